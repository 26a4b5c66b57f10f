"""What the tests of this folder share: all phases with all variants, random calls of them, and errors measured against bounds.

Calls are richer than ``numeric.samples``: batches, masks of every kind, odd widths, explicit options, several magnitudes.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest

from kernelproof.numeric.kernel import Kernel, generate
from kernelproof.numeric.signatures import PARAMS
from kernelproof.symbolic.registry import phases

Array = np.ndarray[Any, np.dtype[Any]]
Options = dict[str, object]
DTYPES = ("float32", "float64", "float16", "bfloat16")
HEADS = 2
MAGNITUDES = (1.0, 0.25, 3.0, 30.0)


def variants_of(phase: str) -> list[Options]:
    """Every combination of the variant options of a phase."""
    options = phases()[phase].variants
    values = itertools.product(*(option.choices for option in options.values()))
    return [dict(zip(options, chosen, strict=True)) for chosen in values]


ALL = [(phase, variant) for phase in phases() for variant in variants_of(phase)]


def kernel_of(phase: str, variant: Mapping[str, object] | None = None, dtype: str = "float32") -> Kernel:
    """The generated kernel; each is generated once in a session."""
    return _generated(phase, tuple((variant or {}).items()), dtype)


@cache
def _generated(phase: str, variant: tuple[tuple[str, object], ...], dtype: str) -> Kernel:
    return generate(phase, dtype=dtype, **dict(variant))  # type: ignore[arg-type]


def name_of(value: object) -> str:
    """A short id for parametrised tests."""
    return "-".join(map(str, value.values())) or "plain" if isinstance(value, Mapping) else str(value)


def dtype_named(name: str) -> np.dtype[Any]:
    """The dtype of a name; bfloat16 comes from ml_dtypes, and tests of it are skipped without."""
    if name == "bfloat16":
        return np.dtype(pytest.importorskip("ml_dtypes").bfloat16)
    return np.dtype(name)


class Calls:
    """Random calls from a seed. ``sizes`` fix lengths by name; magnitude scales everything that is not an affine parameter."""

    def __init__(self, seed: int, dtype: str = "float32", magnitude: float = 1.0, **sizes: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.kind, self.magnitude, self.sizes = dtype_named(dtype), magnitude, sizes

    def array(self, *shape: int) -> Array:
        found = self.rng.standard_normal(shape) * self.magnitude
        return np.asarray(found).astype(self.kind)

    def affine(self, *shape: int) -> Array:
        return np.asarray(self.rng.standard_normal(shape)).astype(self.kind)

    def size(self, name: str, low: int = 1, high: int = 7) -> int:
        return self.sizes.get(name, int(self.rng.integers(low, high)))

    def batch(self) -> tuple[int, ...]:
        return ((), (2,), (3, 1), (1,))[self.size("batch", 0, 4)]

    def mask(self, lead: tuple[int, ...], n: int, m: int) -> Array | None:
        """No mask, or one of each shape and kind."""
        kind = self.size("mask", 0, 6)
        shapes = ((n, m), (m,), (1, m), (n, 1), (*lead, n, m), (*(1 for _ in lead), n, m))
        shape = shapes[self.size("mask_shape", 0, len(shapes))]
        allowed = self.rng.random(shape) < 0.6
        if kind in (1, 4) and allowed.ndim > 1 and allowed.shape[-2]:
            allowed[..., 0, :] = False  # a row that may attend to nothing
        bias = self.rng.standard_normal(shape) * 3
        if kind in (0, 5):
            return None
        if kind in (1, 2):
            return allowed
        return np.where(allowed, bias if kind == 3 else 0.0, -np.inf).astype(self.kind)

    def of(self, phase: str, variant: Mapping[str, object]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional arguments and keyword options."""
        made: tuple[tuple[Any, ...], dict[str, Any]] = getattr(self, f"_{phase}")(variant)
        return made

    def _embedding(self, variant: Mapping[str, object]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        vocab = self.size("vocab")
        ids = self.rng.integers(0, vocab, (*self.batch(), self.size("n")))
        return (ids, self.array(vocab, self.size("d"))), {}

    def _positional(self, variant: Mapping[str, object]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        width = self.size("d", 0, 12)
        width -= width % 2 if variant["layout"] == "halves" else 0
        start = int(self.rng.choice([0, 1, 7, 1000]))
        return (self.size("n"), width), {"start": start, "base": float(self.rng.choice([1e4, 100.0, 3.0]))}

    def _rotary(self, variant: Mapping[str, object]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        x = self.array(*self.batch(), self.size("n"), 2 * self.size("h"))
        return (x,), {"start": int(self.rng.choice([0, 3, 500])), "base": float(self.rng.choice([1e4, 10.0]))}

    def _softmax(self, variant: Mapping[str, object]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (self.array(*self.batch(), self.size("n")),), {}

    def _attention(self, variant: Mapping[str, object]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        lead, n, m, d, e = self.batch(), self.size("n"), self.size("m"), self.size("d"), self.size("e")
        options: dict[str, Any] = {"causal": bool(self.rng.integers(2)), "mask": self.mask(lead, n, m)}
        if self.rng.integers(2):
            options["scale"] = float(self.rng.choice([0.3, 1.0, 2.0]))
        return (self.array(*lead, n, d), self.array(*lead, m, d), self.array(*lead, m, e)), options

    def _heads(self, lead: tuple[int, ...], n: int) -> dict[str, Any]:
        return {"n_heads": HEADS, "causal": bool(self.rng.integers(2)), "mask": self.mask(lead, n, n)}

    def _multi_head_attention(self, variant: Mapping[str, object]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        lead, n, d = self.batch(), self.size("n"), HEADS * self.size("f", 1, 4)
        return (self.array(*lead, n, d), *(self.array(d, d) for _ in range(4))), self._heads(lead, n)

    def _feed_forward(self, variant: Mapping[str, object]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        d, h = self.size("d"), self.size("h")
        x = self.array(*self.batch(), self.size("n"), d)
        return (x, self.array(d, h), self.affine(h), self.array(h, d), self.affine(d)), {}

    def _activation(self, variant: Mapping[str, object]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (self.array(*self.batch(), self.size("n")),), {}

    def _layer_norm(self, variant: Mapping[str, object]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        d = self.size("d")
        return (self.array(*self.batch(), d), self.affine(d), self.affine(d)), {"eps": float(self.rng.choice([1e-5, 0.5]))}

    def _rms_norm(self, variant: Mapping[str, object]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        d = self.size("d")
        return (self.array(*self.batch(), d), self.affine(d)), {"eps": float(self.rng.choice([1e-5, 0.5]))}

    def _encoder_block(self, variant: Mapping[str, object]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        lead, n, d, h = self.batch(), self.size("n"), HEADS * self.size("f", 1, 4), self.size("h")
        shapes = {"w1": (d, h), "b1": (h,), "w2": (h, d), "b2": (d,)}
        params = {name: self.affine(*shapes.get(name, (d, d) if name.startswith("w_") else (d,))) for name in PARAMS}
        return (self.array(*lead, n, d), params), self._heads(lead, n)


def excess(result: Array, expected: Array, bound: Array) -> float:
    """The largest error over bound where the bound is finite; infinite where a result is not finite."""
    assert result.shape == expected.shape == bound.shape
    known = np.isfinite(bound)
    with np.errstate(all="ignore"):
        error = np.abs(result.astype(expected.dtype) - expected)
        ratio = np.where(error <= bound, np.where(bound > 0, error / np.where(bound > 0, bound, 1), 0), np.inf)
        ratio = np.where((error > bound) & (bound > 0), error / np.where(bound > 0, bound, 1), ratio)
    return float(np.where(np.isnan(ratio), np.inf, ratio)[known].max(initial=0))


def arrays_in(arguments: tuple[Any, ...], options: Mapping[str, Any]) -> list[Array]:
    """Every array of a call."""
    found: list[Array] = []
    for value in (*arguments, *options.values()):
        if isinstance(value, Mapping):
            found.extend(value.values())
        elif isinstance(value, np.ndarray):
            found.append(value)
    return found
