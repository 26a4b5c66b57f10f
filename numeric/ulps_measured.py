"""How accurate the elementary functions of an installed library are: measured on float32 numbers, every one in the range that matters.

What it does: ``python -m kernelproof.numeric.ulps_measured LIBRARY [FUNCTION…]`` runs a function of numpy, torch or jax on all float32
numbers whose magnitude lies in its core range, and on one in 1,009 outside it, and compares with the double-precision function
(which is within a billionth of a float32 unit). With ``--dtype float64``: on a random sample of the core range, compared with the
function in the platform's long double, which has 11 bits more on x86. Prints the worst error in units in the last place of the correctly
rounded result, where it is, and how many numbers were tried.

Guarantees: the worst error over the numbers tried, for this library, version and processor. Cannot see: the numbers not drawn in float64,
results below 2⁻¹⁰² (where underflow is allowed for apart from the units), other processors, and functions that a library computes inside
larger operations.
"""

from __future__ import annotations

import argparse
import importlib
import math
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np

from kernelproof.numeric.rounding import Array

#: function -> (double-precision reference, exponents of the core range: magnitudes from 2^low up to 2^high, both signs?)
FUNCTIONS: dict[str, tuple[str, int, int, bool]] = {
    "exp": ("exp", -26, 7, True),
    "exp2": ("exp2", -26, 7, True),
    "log": ("log", -126, 128, False),
    "sin": ("sin", -14, 17, True),
    "cos": ("cos", -14, 17, True),
    "tanh": ("tanh", -14, 5, True),
    "erf": ("erf", -14, 3, True),
    "sqrt": ("sqrt", -2, 2, False),
}
SPARSE = 1009
#: below, what an underflow on the way may take is more than a unit, and is allowed for apart from the units
LEAST = 2.0**-102
SAMPLE = 3_000_000
_BLOCK = 2**22


@dataclass(frozen=True)
class Worst:
    """The worst error found, in units in the last place, at which number, and over how many."""

    ulps: float
    at: float
    tried: int


def _reference(name: str) -> Callable[[Array], Array]:
    source = "scipy.special" if name == "erf" else "numpy"
    found: Callable[[Array], Array] = getattr(importlib.import_module(source), name)
    return found


def library_function(library: str, name: str) -> Callable[[Array], Array]:
    """A library's function on NumPy arrays, float32 or float64 as these are."""
    if library == "numpy":
        return _reference(name)
    module = importlib.import_module("torch" if library == "torch" else "jax.numpy")
    if library == "torch":
        function = getattr(module, name)
        return lambda x: function(module.from_numpy(x)).numpy()
    jax: Any = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", True)
    compiled = jax.jit(getattr(jax.scipy.special if name == "erf" else module, name))
    return lambda x: np.asarray(compiled(x))


def inputs(name: str) -> Iterator[Array]:
    """All float32 numbers of the core range in blocks, and a sparse choice of the others."""
    _, low, high, both = FUNCTIONS[name]
    first, last = (np.uint32((exponent + 127) << 23) for exponent in (max(low, -126), min(high, 127)))
    for start in range(int(first), int(last), _BLOCK):
        bits = np.arange(start, min(start + _BLOCK, int(last)), dtype=np.uint32)
        yield bits.view(np.float32)
        if both:
            yield (bits | np.uint32(2**31)).view(np.float32)
    # subnormal operands may be read as zero: that is another assumption
    rest = np.arange(int(np.float32(2.0**-126).view(np.uint32)), int(np.float32(np.inf).view(np.uint32)), SPARSE, dtype=np.uint32)
    rest = rest[(rest < first) | (rest >= last)]
    yield rest.view(np.float32)
    if both:
        yield (rest | np.uint32(2**31)).view(np.float32)


def drawn(name: str) -> Iterator[Array]:
    """A sample of the float64 numbers of the core range: as many by their exponent as evenly."""
    _, low, high, both = FUNCTIONS[name]
    random = np.random.default_rng(0)
    for _ in range(0, SAMPLE, 2 * _BLOCK // 8):
        size = min(SAMPLE, _BLOCK // 8)
        x = np.concatenate([np.exp2(random.uniform(low, high, size)), random.uniform(2.0**low, 2.0 ** min(high, 5), size)])
        yield np.where(random.integers(0, 2, x.size) == 1, -x, x) if both else x


def measured(library: str, name: str, dtype: str = "float32") -> Worst:
    """The worst error of a function of a library."""
    function, exact = library_function(library, name), _reference(FUNCTIONS[name][0])
    wider, kind = (np.float64, np.float32) if dtype == "float32" else (np.longdouble, np.float64)
    worst, at, tried = 0.0, 0.0, 0
    for x in inputs(name) if dtype == "float32" else drawn(name):
        with np.errstate(all="ignore"):
            expected = exact(x.astype(wider))
            seen = np.abs(expected)
            usable = (seen >= LEAST) & (seen < wider(np.finfo(kind).max))
            unit = np.exp2(np.floor(np.log2(np.where(usable, seen, 1.0))) - np.finfo(kind).nmant)
            error = np.where(usable, np.abs(function(x).astype(wider) - expected) / unit, 0)
        tried += int(usable.sum())
        place = int(np.nanargmax(np.where(np.isnan(error), math.inf, error)))
        if error[place] > worst or math.isnan(error[place]):
            worst, at = float(error[place]), float(x[place])
    return Worst(worst, at, tried)


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m kernelproof.numeric.ulps_measured", description="Measure the accuracy of a library's functions."
    )
    parser.add_argument("library", choices=("numpy", "torch", "jax"))
    parser.add_argument("functions", nargs="*", metavar="function", default=None)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32", help="float64: a sample, erf left out")
    given = parser.parse_args(argv)
    if unknown := [name for name in given.functions if name not in FUNCTIONS]:
        parser.error(f"function {unknown[0]!r}: expected one of {', '.join(FUNCTIONS)}")
    try:
        version = metadata.version(given.library)
    except metadata.PackageNotFoundError:
        print(f"measuring {given.library}: it is not installed; install it with pip install {given.library}", file=sys.stderr)
        return 2
    print(f"{given.library} {version}, {platform.machine()}, {given.dtype}")
    for name in given.functions or FUNCTIONS:
        if given.dtype == "float64" and name == "erf":
            print("erf   not measured in float64: NumPy has none in long double")
            continue
        found = measured(given.library, name, given.dtype)
        print(f"{name:5} {found.ulps:.3f} ulp at {found.at!r}, {found.tried:,} numbers tried", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
