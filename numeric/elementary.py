"""Elementary functions in the wide formats of the reference: float64 and long double.

Guarantees: accurate to the format's own rounding, up to a unit or two; functions are extended as the terms say: x/0 = 0, log x = 0 and
√x = 0 where they are not defined. Cannot see: a platform whose long double is no wider than double has no more digits here either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kernelproof.numeric.rounding import Array, exponential


def pi(dtype: np.dtype[Any]) -> Any:
    """π in the wide format: a double has too few of its digits."""
    return dtype.type("3.14159265358979323846264338327950288")


def _erf(value: Array) -> Array:
    if value.dtype == np.float64:
        from scipy.special import erf

        return erf(value)  # type: ignore[no-any-return]
    import mpmath

    def exactly(entry: Any) -> Any:
        """In two doubles and back: a long double has no more digits than two doubles together."""
        found = mpmath.erf(mpmath.mpf(float(entry)) + float(entry - value.dtype.type(float(entry))))
        return value.dtype.type(float(found)) + value.dtype.type(float(found - float(found)))

    with mpmath.workprec(120):
        within = np.clip(value, -30, 30)  # erf is ±1 beyond, to more digits than there are
        return np.array([exactly(entry) for entry in within.ravel()], dtype=value.dtype).reshape(value.shape)


def _quotient(a: Array, b: Array) -> Array:
    return np.where(b == 0, 0, a / np.where(b == 0, 1, b))


VALUES: dict[str, Callable[..., Array]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": _quotient, "neg": np.negative, "exp": exponential,
    "log": lambda a: np.where(a > 0, np.log(np.where(a > 0, a, 1)), 0), "sqrt": lambda a: np.sqrt(np.maximum(a, 0)),
    "sin": np.sin, "cos": np.cos, "tanh": np.tanh, "erf": _erf, "max": np.maximum, "delta": lambda a, b: (a == b).astype(a.dtype),
}
