"""Worst-case rounding-error rules, one for each elementary operation.

What it does: given values and bounds on the errors of the operands, bounds the error of the result of a floating-point operation.
An error bounds |target − reference|, entry by entry, where both are rounded: the target with roundoff u_t, the reference with u_r.
Rules take ``u = u_t + u_r`` and are applied to the reference's values. That covers both: one rounding is off by at most u/(1+u) of
the exact number and u of the rounded one, so u_t/(1+u_t)·(1+u_r) + u_r <= u_t + u_r as long as u_r <= u_t, and
``γ_n = n·u/(1 − n·u)`` is superadditive in u. Any order of summation and fused multiply-add are within γ_n (Higham, Accuracy and
Stability of Numerical Algorithms, ch. 3 and 4).

Guarantees: sound for round-to-nearest with gradual underflow or results flushed to zero, and elementary functions within
:data:`ULPS` units in the last place; second-order terms are kept, and what the bounds lose in being computed themselves is put back
by ``Arithmetic.slack``. A bound that cannot be given is infinite, never small. Cannot see: intrinsics worse than the table (the
units are *assumed*: measured on samples or stated by vendors), subnormal inputs read as zero unless the precision says so
(``Arithmetic.flushes``), accumulators that truncate, products of Strassen's kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kernelproof.numeric.precision import FORMATS, Format, Precision, assumed_precision
from kernelproof.numeric.ulps import ANY, Ulps

__all__ = [
    "FORMATS", "RULES", "ULPS", "Arithmetic", "Array", "Format", "arithmetic_for", "arithmetic_of", "exponential", "power", "rounded",
]

Array = np.ndarray[Any, np.dtype[Any]]
#: assumed worst error of an elementary function in units in the last place, in the default precision
ULPS = ANY
TWO_OVER_ROOT_PI = 1.1283791670955128
#: a/b, or a times the rounded 1/b
DIVISION = 2.0


@dataclass(frozen=True)
class Arithmetic:
    """What is assumed of the target: the format it computes in, the format it stores in, and the reference's own roundoff.

    ``rescaled`` is a factor on what underflow loses, for values that a target may hold multiplied by a number of its own (the
    weights of a softmax, each implementation with its own shift). ``flushes``: inputs below the least normal number may be read as zero;
    what is computed may underflow anyway.
    """

    compute: Format
    store: Format
    reference_unit: float
    rescaled: float = 1.0
    ulps: Ulps = field(default_factory=lambda: ANY)
    flushes: bool = False

    @property
    def unit(self) -> float:
        """Roundoff of target and reference together."""
        return self.compute.unit + self.reference_unit

    @property
    def tiny(self) -> float:
        """What underflow takes from one result at most."""
        return self.compute.tiny * self.rescaled

    def slack(self, count: float = 0) -> float:
        """A factor above one for what the computation of a bound itself loses, with sums over ``count`` entries."""
        return 1 + (count + 16) * self.reference_unit

    def gamma(self, count: float) -> float:
        """γ_count; infinite where count·u reaches one."""
        product = count * self.unit
        return product / (1 - product) if product < 1 else float("inf")


def arithmetic_for(dtype: str, reference: np.dtype[Any]) -> Arithmetic:
    """The arithmetic assumed of kernels of this dtype: of 16-bit formats float32 with storage in them, of others their own."""
    return arithmetic_of(assumed_precision(dtype), reference)


def arithmetic_of(precision: Precision, reference: np.dtype[Any]) -> Arithmetic:
    """The arithmetic of what a precision computes in."""
    compute, output = precision.format("compute"), precision.format("output")
    return Arithmetic(compute, output, float(np.finfo(reference).eps) / 2, ulps=precision.functions, flushes=precision.flushes)


Rule = Callable[[Arithmetic, Array, list[Array], list[Array]], Array]


def rounded(on: Arithmetic, value: Array, error: Array, roundings: float = 1.0) -> Array:
    """An error, and the rounding of the result itself."""
    found: Array = error + roundings * on.unit * (np.abs(value) + error) + on.tiny
    return found


def _sum(on: Arithmetic, value: Array, args: list[Array], errors: list[Array]) -> Array:
    """Without the underflow term where both are certainly zero: a sum of zeros is zero."""
    carried = errors[0] + errors[1]
    something = (args[0] != 0) | (args[1] != 0) | (carried > 0)
    own: Array = on.unit * (np.abs(value) + carried) + np.where(something, on.tiny, 0)
    return carried + own


def _product(on: Arithmetic, value: Array, args: list[Array], errors: list[Array]) -> Array:
    a, b = (np.abs(arg) for arg in args)
    return rounded(on, value, a * errors[1] + b * errors[0] + errors[0] * errors[1])


def _quotient(on: Arithmetic, value: Array, args: list[Array], errors: list[Array]) -> Array:
    room = np.abs(args[1]) - errors[1]
    certain_zero = (args[1] == 0) & (errors[1] == 0)
    carried = (errors[0] + np.abs(value) * errors[1]) / np.where(room > 0, room, 1)
    carried = np.where(room > 0, carried, np.inf)
    # by way of the reciprocal, which underflows for divisors this large
    lost = np.where((np.abs(args[1]) + errors[1]) * on.compute.tiny >= 0.5, (np.abs(args[0]) + errors[0]) * on.compute.tiny, 0)
    return np.where(certain_zero, 0, rounded(on, value, carried + lost, DIVISION))


def _negation(on: Arithmetic, value: Array, args: list[Array], errors: list[Array]) -> Array:
    return errors[0]


def exponential(argument: Array) -> Array:
    """exp, at most the largest number there is: what divides by it is then nearly zero, as it should be, and not unknown."""
    found: Array = np.exp(np.minimum(argument, np.log(np.finfo(argument.dtype).max)))
    return found


def _exponential(on: Arithmetic, value: Array, args: list[Array], errors: list[Array]) -> Array:
    own = 2 * on.ulps["exp"] * on.unit
    relative = value * (np.expm1(errors[0]) * (1 + own) + own)
    # where the reference has underflowed, a relative error of it says nothing
    whole = np.exp(args[0] + errors[0]) * (1 + own)
    found = np.where(value > np.finfo(value.dtype).tiny / on.unit, relative, whole) + on.tiny
    return np.where(args[0] < np.log(np.finfo(value.dtype).max), found, np.inf)


def _logarithm(on: Arithmetic, value: Array, args: list[Array], errors: list[Array]) -> Array:
    inside = args[0] > errors[0]
    fraction = np.where(inside, errors[0] / np.where(args[0] > 0, args[0], 1), 0)
    carried = np.where(inside, -np.log1p(-fraction), np.inf)
    return carried + 2 * on.ulps["log"] * on.unit * (np.abs(value) + carried)


def _root(on: Arithmetic, value: Array, args: list[Array], errors: list[Array]) -> Array:
    """|√a − √b| = |a − b| / (√a + √b), and at most √|a − b|; a negative operand counts as zero."""
    together = value + np.sqrt(np.maximum(args[0] - errors[0], 0))
    carried = np.minimum(errors[0] / np.where(together > 0, together, 1), np.sqrt(errors[0]))
    carried = np.where(together > 0, carried, np.sqrt(errors[0]))
    found: Array = carried + 2 * on.ulps["sqrt"] * on.unit * (value + carried)
    return found


def _within_two(slope: Array, error: Array) -> Array:
    """slope·error, and no more than two values in [−1, 1] differ by; infinite where the operand may be no number at all."""
    return np.where(np.isfinite(error), np.minimum(slope * error, 2.0), np.inf)


def _circular(on: Arithmetic, value: Array, args: list[Array], errors: list[Array]) -> Array:
    carried = _within_two(np.ones_like(value), errors[0])
    own: Array = 2 * on.ulps["sin"] * on.unit * np.minimum(np.abs(value) + carried, 1.0) + on.tiny
    return carried + own


def _tanh(on: Arithmetic, value: Array, args: list[Array], errors: list[Array]) -> Array:
    """The slope is largest where the operand may be nearest to zero; 1/cosh² keeps its digits far out."""
    nearest = np.clip(np.abs(args[0]) - errors[0], 0, 300)
    carried = _within_two(1 / np.cosh(nearest) ** 2, errors[0])
    return carried + 2 * on.ulps["tanh"] * on.unit * (np.abs(value) + carried) + on.tiny


def _erf(on: Arithmetic, value: Array, args: list[Array], errors: list[Array]) -> Array:
    nearest = np.maximum(np.abs(args[0]) - errors[0], 0)
    carried = _within_two(TWO_OVER_ROOT_PI * np.exp(-(nearest**2)), errors[0])
    return carried + 2 * on.ulps["erf"] * on.unit * (np.abs(value) + carried) + on.tiny


def _maximum(on: Arithmetic, value: Array, args: list[Array], errors: list[Array]) -> Array:
    """max is 1-Lipschitz and not rounded; where one side is ahead beyond both errors, only its error counts."""
    a, b = args
    return np.where(a - errors[0] > b + errors[1], errors[0], np.where(b - errors[1] > a + errors[0], errors[1], np.maximum(*errors)))


def _delta(on: Arithmetic, value: Array, args: list[Array], errors: list[Array]) -> Array:
    """Exact, unless the two may be equal and may differ."""
    reach = errors[0] + errors[1]
    return np.where((reach > 0) & ~(np.abs(args[0] - args[1]) > reach), 1.0, 0.0)


def _constant(on: Arithmetic, value: Array, args: list[Array], errors: list[Array]) -> Array:
    return on.unit * np.abs(value)


def _carried(on: Arithmetic, value: Array, args: list[Array], errors: list[Array]) -> Array:
    return errors[0]


RULES: dict[str, Rule] = {
    "add": _sum, "sub": _sum, "mul": _product, "div": _quotient, "neg": _negation, "exp": _exponential, "log": _logarithm,
    "sqrt": _root, "sin": _circular, "cos": _circular, "tanh": _tanh, "erf": _erf, "max": _maximum, "delta": _delta, "pi": _constant,
    "broadcast": _carried,
}


def power(on: Arithmetic, value: Array, base: Array, error: Array, exponent: int) -> Array:
    """base**exponent by multiplications or by ``pow``; (b + e)^k − b^k <= k·e·(b + e)^(k−1), which loses no digits."""
    if exponent == 0:
        return np.zeros_like(value)
    most = np.abs(base) + error
    own: Array = on.gamma(exponent - 1 + 2 * on.ulps["pow"]) * most**exponent + exponent * on.tiny
    carried: Array = exponent * error * most ** (exponent - 1)
    return carried + own
