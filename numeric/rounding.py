"""Worst-case rounding-error rules, one for each elementary operation.

What it does: given values and bounds on the errors of the operands, bounds the error of the result of a floating-point operation.
``u`` is the unit roundoff of the arithmetic, ``γ_n = n·u/(1 − n·u)``. Any order of summation and fused multiply-add are covered by
γ_n (Higham, Accuracy and Stability of Numerical Algorithms, ch. 3 and 4).

Guarantees: sound for round-to-nearest with gradual underflow or flush to zero, and elementary functions within :data:`ULPS` units
in the last place. A bound that cannot be given is infinite, never small. Cannot see: intrinsics worse than the table, and
accumulators that truncate.

The units are *assumed*: measured on samples or stated by vendors, not proved (docs: TRUST).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
#: assumed worst error of an elementary function in units in the last place
ULPS = {"exp": 3.0, "log": 4.0, "sin": 2.0, "cos": 2.0, "tanh": 2.0, "erf": 2.0, "sqrt": 0.5, "pow": 2.0}
TWO_OVER_ROOT_PI = 1.1283791670955126


@dataclass(frozen=True)
class Format:
    """A floating-point format: unit roundoff, smallest normal number, largest number."""

    name: str
    unit: float
    tiny: float
    largest: float


FORMATS = {
    "float16": Format("float16", 2.0**-11, 2.0**-14, 65504.0),
    "bfloat16": Format("bfloat16", 2.0**-8, 2.0**-126, float(np.finfo(np.float32).max)),
    "float32": Format("float32", 2.0**-24, 2.0**-126, float(np.finfo(np.float32).max)),
    "float64": Format("float64", 2.0**-53, 2.0**-1022, float(np.finfo(np.float64).max)),
}


@dataclass(frozen=True)
class Arithmetic:
    """What is assumed of the target: the format it computes in, the format it stores in, and the reference's own roundoff."""

    compute: Format
    store: Format
    reference_unit: float

    @property
    def unit(self) -> float:
        """Roundoff of target and reference together: every rule is superadditive in u, so one walk covers both."""
        return self.compute.unit + self.reference_unit

    def gamma(self, count: float) -> float:
        """γ_count; infinite where count·u reaches one."""
        product = count * self.unit
        return product / (1 - product) if product < 1 else float("inf")


def arithmetic_for(dtype: str, reference: np.dtype[Any]) -> Arithmetic:
    """16-bit formats are storage with float32 accumulation; others compute in themselves."""
    compute = FORMATS["float32" if dtype in ("float16", "bfloat16") else dtype]
    return Arithmetic(compute, FORMATS[dtype], float(np.finfo(reference).eps) / 2)


Rule = Callable[[Arithmetic, Array, list[Array], list[Array]], Array]


def rounded(on: Arithmetic, value: Array, error: Array, roundings: float = 1.0) -> Array:
    """An error, and the rounding of the result itself."""
    return error + roundings * on.unit * (np.abs(value) + error) + on.compute.tiny


def _sum(on: Arithmetic, value: Array, args: list[Array], errors: list[Array]) -> Array:
    carried = errors[0] + errors[1]
    return carried + on.unit * (np.abs(value) + carried)


def _product(on: Arithmetic, value: Array, args: list[Array], errors: list[Array]) -> Array:
    a, b = (np.abs(arg) for arg in args)
    return rounded(on, value, a * errors[1] + b * errors[0] + errors[0] * errors[1])


def _quotient(on: Arithmetic, value: Array, args: list[Array], errors: list[Array]) -> Array:
    room = np.abs(args[1]) - errors[1]
    certain_zero = (args[1] == 0) & (errors[1] == 0)
    carried = (errors[0] + np.abs(value) * errors[1]) / np.where(room > 0, room, 1)
    carried = np.where(room > 0, carried, np.inf)
    return np.where(certain_zero, 0, rounded(on, value, carried))


def _negation(on: Arithmetic, value: Array, args: list[Array], errors: list[Array]) -> Array:
    return errors[0]


def _exponential(on: Arithmetic, value: Array, args: list[Array], errors: list[Array]) -> Array:
    own = 2 * ULPS["exp"] * on.unit
    return value * (np.expm1(errors[0]) * (1 + own) + own) + on.compute.tiny


def _logarithm(on: Arithmetic, value: Array, args: list[Array], errors: list[Array]) -> Array:
    low = args[0] - errors[0]
    carried = np.where(low > 0, np.log(np.where(low > 0, args[0] / np.where(low > 0, low, 1), 1)), np.inf)
    return carried + 2 * ULPS["log"] * on.unit * (np.abs(value) + carried)


def _root(on: Arithmetic, value: Array, args: list[Array], errors: list[Array]) -> Array:
    below = np.sqrt(np.maximum(args[0] - errors[0], 0))
    together = value + below
    carried = np.where(errors[0] == 0, 0, errors[0] / np.where(together > 0, together, 1))
    carried = np.where((errors[0] > 0) & (together <= 0), np.sqrt(errors[0]), carried)
    return carried + on.unit * (value + carried)


def _circular(on: Arithmetic, value: Array, args: list[Array], errors: list[Array]) -> Array:
    carried = np.minimum(errors[0], 2.0)
    return carried + 2 * ULPS["sin"] * on.unit * np.minimum(np.abs(value) + carried, 1.0) + on.compute.tiny


def _tanh(on: Arithmetic, value: Array, args: list[Array], errors: list[Array]) -> Array:
    nearest = np.maximum(np.abs(args[0]) - errors[0], 0)
    carried = np.minimum(errors[0] * (1 - np.tanh(nearest) ** 2), 2.0)
    return carried + 2 * ULPS["tanh"] * on.unit * (np.abs(value) + carried) + on.compute.tiny


def _erf(on: Arithmetic, value: Array, args: list[Array], errors: list[Array]) -> Array:
    nearest = np.maximum(np.abs(args[0]) - errors[0], 0)
    carried = np.minimum(errors[0] * TWO_OVER_ROOT_PI * np.exp(-(nearest**2)), 2.0)
    return carried + 2 * ULPS["erf"] * on.unit * (np.abs(value) + carried) + on.compute.tiny


def _maximum(on: Arithmetic, value: Array, args: list[Array], errors: list[Array]) -> Array:
    """max is 1-Lipschitz and not rounded; where one side is ahead beyond both errors, only its error counts."""
    a, b = args
    return np.where(a - errors[0] > b + errors[1], errors[0], np.where(b - errors[1] > a + errors[0], errors[1], np.maximum(*errors)))


def _exact(on: Arithmetic, value: Array, args: list[Array], errors: list[Array]) -> Array:
    return np.zeros_like(value)


def _constant(on: Arithmetic, value: Array, args: list[Array], errors: list[Array]) -> Array:
    return on.unit * np.abs(value)


def _carried(on: Arithmetic, value: Array, args: list[Array], errors: list[Array]) -> Array:
    return errors[0]


RULES: dict[str, Rule] = {
    "add": _sum, "sub": _sum, "mul": _product, "div": _quotient, "neg": _negation, "exp": _exponential, "log": _logarithm,
    "sqrt": _root, "sin": _circular, "cos": _circular, "tanh": _tanh, "erf": _erf, "max": _maximum, "delta": _exact, "pi": _constant,
    "broadcast": _carried,
}


def power(on: Arithmetic, value: Array, base: Array, error: Array, exponent: int) -> Array:
    """base**exponent by multiplications or by ``pow``."""
    if exponent == 0:
        return np.zeros_like(value)
    reach = (np.abs(base) + error) ** exponent
    carried = reach - np.abs(base) ** exponent
    return carried + on.gamma(exponent - 1 + 2 * ULPS["pow"]) * reach + on.compute.tiny
