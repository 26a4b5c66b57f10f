"""Every rounding rule against simulated arithmetic: no error ever exceeds its bound, and the bounds are not silly.

A target computes in float32 or float16 from operands that are off by what their errors allow; the reference computes in float64 from
what they stand for. Elementary functions are bent by as many units in the last place as the rule assumes. Errors are measured in long
double, where the 53 digits of the reference and the 24 of the target are exact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelproof.numeric.rounding import FORMATS, RULES, ULPS, Arithmetic, arithmetic_for, power

Array = np.ndarray[Any, np.dtype[Any]]
Wide = np.longdouble
F32 = arithmetic_for("float32", np.dtype(np.float64))
F16 = Arithmetic(FORMATS["float16"], FORMATS["float16"], 2.0**-53)
TARGETS = {"float32": (F32, np.float32), "float16": (F16, np.float16)}
COUNT = 64


class Operands:
    """Operands of one example: what the target holds, what the reference holds, and the error between."""

    def __init__(self, seed: int, kind: type, style: str, spread: float) -> None:
        self.rng, self.kind, self.style, self.spread = np.random.default_rng(seed), kind, style, spread

    def held(self) -> Array:
        """Numbers of the target's format: ordinary, around powers of two, of many magnitudes, tiny, or all alike."""
        limits = {np.float32: (-126, 127), np.float16: (-14, 15)}[self.kind]
        if self.style == "ordinary":
            x = self.rng.standard_normal(COUNT)
        elif self.style == "edges":
            x = 2.0 ** self.rng.integers(-3, 4, COUNT) * (1 + self.rng.integers(-2, 3, COUNT) * 2.0**-23)
        elif self.style == "scales":
            x = self.rng.standard_normal(COUNT) * 2.0 ** self.rng.uniform(limits[0] / 2, limits[1] / 2, COUNT)
        elif self.style == "tiny":
            x = self.rng.integers(-9, 10, COUNT) * 2.0 ** (limits[0] - 3)
        else:
            x = np.full(COUNT, self.rng.standard_normal())
        return np.asarray(x).astype(self.kind)

    def pair(self, positive: bool = False, most: float | None = None) -> tuple[Array, Array, Array]:
        """(target's operand, reference's operand, bound on their difference), the difference anything up to the bound."""
        held = np.abs(self.held()) if positive else self.held()
        if most is not None:
            held = np.clip(held, -most, most).astype(self.kind)
        error = np.abs(held.astype(np.float64)) * self.spread
        at = self.rng.choice([-1.0, 1.0, 0.0, 0.5], COUNT)
        meant = held.astype(np.float64) + at * error
        return held, meant, np.maximum(error, np.abs(held.astype(np.float64) - meant))


def excess(target: Array, reference: Array, bound: Array) -> float:
    """The largest error over bound, where target and bound are finite."""
    error = np.abs(target.astype(Wide) - reference.astype(Wide))
    known = np.isfinite(bound) & np.isfinite(target)
    ratio = np.where((error > 0) & (bound == 0), np.inf, error / np.where(bound > 0, bound, 1))
    return float(ratio[known].max(initial=0))


def flushed(values: Array, on: Arithmetic) -> Array:
    """Results below the smallest normal number as zero."""
    return np.where(np.abs(values) < on.compute.tiny, 0, values).astype(values.dtype)


examples = given(
    seed=st.integers(0, 2**32 - 1), name=st.sampled_from(sorted(TARGETS)),
    style=st.sampled_from(("ordinary", "edges", "scales", "tiny", "alike")), spread=st.sampled_from((0.0, 2.0**-22, 1e-4, 0.3)),
)
BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "max": np.maximum,
    "div": lambda a, b: np.where(b == 0, 0, a / np.where(b == 0, 1, b)).astype(a.dtype),
}


@pytest.mark.parametrize("rule", sorted(BINARY))
@examples
def test_binary_rules(rule: str, seed: int, name: str, style: str, spread: float) -> None:
    on, kind = TARGETS[name]
    operands = Operands(seed, kind, style, spread)
    (a, a_meant, a_error), (b, b_meant, b_error) = operands.pair(), operands.pair()
    with np.errstate(all="ignore"):
        target, reference = BINARY[rule](a, b), BINARY[rule](a_meant, b_meant)
        bound = RULES[rule](on, reference, [a_meant, b_meant], [a_error, b_error]) * on.slack()
        assert target.dtype == kind
        assert excess(target, reference, bound) <= 1
        # a maximum moves numbers and computes none: nothing is flushed
        assert rule == "max" or excess(flushed(target, on), reference, bound) <= 1


@examples
def test_a_quotient_by_way_of_the_reciprocal(seed: int, name: str, style: str, spread: float) -> None:
    on, kind = TARGETS[name]
    operands = Operands(seed, kind, style, spread)
    (a, a_meant, a_error), (b, b_meant, b_error) = operands.pair(), operands.pair()
    with np.errstate(all="ignore"):
        inverse = kind(1) / b
        finite = np.isfinite(inverse)
        reference = BINARY["div"](a_meant, b_meant)
        bound = RULES["div"](on, reference, [a_meant, b_meant], [a_error, b_error]) * on.slack()
        for taken in (inverse, flushed(inverse, on)):
            assert excess(np.where(finite, a * taken, reference), reference, bound) <= 1


def test_a_reciprocal_that_underflows_is_allowed_for() -> None:
    """x·σ(x) at −87.7, where σ(x) is below the normal numbers of float32."""
    on = F32
    above, below = np.array([-87.7]), 1 + np.exp(np.array([87.7]))
    assert float(1 / below[0]) < on.compute.tiny
    error = RULES["div"](on, above / below, [above, below], [np.zeros(1), np.zeros(1)])
    assert abs(above / below)[0] <= error[0] < 1.1 * 87.7 * on.compute.tiny


#: function -> (in long double, the range of arguments)
FUNCTIONS: dict[str, tuple[Callable[[Array], Array], bool, float]] = {
    "exp": (np.exp, False, 700.0), "log": (lambda x: np.where(x > 0, np.log(np.where(x > 0, x, 1)), 0), True, 1e30),
    "sqrt": (lambda x: np.sqrt(np.maximum(x, 0)), False, 1e30), "sin": (np.sin, False, 1e4), "cos": (np.cos, False, 1e4),
    "tanh": (np.tanh, False, 1e4),
}


def bent(exact: Array, kind: type, ulps: float, rng: np.random.Generator) -> Array:
    """A result of the target's format as far from the exact one as so many units in the last place allow."""
    with np.errstate(all="ignore"):
        nearest = exact.astype(kind)
        steps = rng.integers(-int(ulps - 0.5), int(ulps - 0.5) + 1, COUNT) if ulps > 0.5 else np.zeros(COUNT)
        subnormal = np.abs(nearest) < np.finfo(kind).tiny
        return np.where(subnormal, nearest, nearest + (steps * np.spacing(np.abs(nearest)) * 0.5).astype(kind) * 2).astype(kind)


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
@examples
def test_elementary_functions(function: str, seed: int, name: str, style: str, spread: float) -> None:
    on, kind = TARGETS[name]
    apply, positive, most = FUNCTIONS[function]
    operands = Operands(seed, kind, style, spread)
    held, meant, error = operands.pair(positive, min(most, float(np.finfo(kind).max) / 4))
    with np.errstate(all="ignore"):
        target = bent(apply(held.astype(Wide)), kind, ULPS[function], operands.rng)
        reference = apply(meant)
        bound = RULES[function](on, reference, [meant], [error]) * on.slack()
        assert excess(target, reference, bound) <= 1
        assert excess(flushed(target, on), reference, bound) <= 1 or function in ("log", "sqrt")


@examples
def test_erf(seed: int, name: str, style: str, spread: float) -> None:
    from scipy.special import erf

    on, kind = TARGETS[name]
    operands = Operands(seed, kind, style, spread)
    held, meant, error = operands.pair(most=50.0)
    with np.errstate(all="ignore"):
        target = bent(erf(held.astype(np.float64)), kind, ULPS["erf"], operands.rng)
        assert excess(target, erf(meant), RULES["erf"](on, erf(meant), [meant], [error]) * on.slack()) <= 1


@pytest.mark.parametrize("exponent", range(5))
@examples
def test_powers(exponent: int, seed: int, name: str, style: str, spread: float) -> None:
    on, kind = TARGETS[name]
    held, meant, error = Operands(seed, kind, style, spread).pair()
    with np.errstate(all="ignore"):
        reference = meant**exponent
        bound = power(on, reference, meant, error, exponent) * on.slack()
        product = np.ones(COUNT, dtype=kind)
        for _ in range(exponent):
            product = flushed(product * held, on)
        for target in (product, (held.astype(Wide) ** exponent).astype(kind)):
            assert excess(target, reference, bound) <= 1


def test_bounds_that_cannot_be_given_are_infinite() -> None:
    """A divisor or an argument of log that may be zero, an argument of sine that may be infinite; never a small number."""
    one, two = np.array([1.0]), np.array([2.0])
    inf = np.array([np.inf])
    assert RULES["div"](F32, one, [one, one], [0 * one, two]) == np.inf
    assert RULES["log"](F32, 0 * one, [one], [one]) == np.inf
    with np.errstate(all="ignore"):
        for function in ("sin", "cos", "tanh", "erf", "sqrt"):
            assert RULES[function](F32, 0 * one, [0 * one], [inf]) == np.inf
        assert RULES["exp"](F32, np.exp(one), [one], [inf]) == np.inf
        assert RULES["exp"](F32, np.exp(np.array([709.0])), [np.array([1e5])], [0 * one]) == np.inf
    assert F32.gamma(2.0**25) == np.inf


def test_gamma_keeps_its_second_order() -> None:
    on = Arithmetic(FORMATS["float32"], FORMATS["float32"], 0.0)
    assert on.gamma(0) == 0 and on.gamma(2**22) == 1 / 3 and on.gamma(2**23) == 1
    assert on.gamma(2**24) == on.gamma(1.5 * 2**24) == np.inf


@pytest.mark.parametrize("function", ["exp", "log", "sqrt", "sin", "cos", "tanh", "erf"])
def test_a_function_of_an_exact_operand_is_off_by_its_units_in_the_last_place(function: str) -> None:
    """One unit in the last place is two roundoffs of a number just above a power of two."""
    value = np.array([0.7])
    bound = RULES[function](F32, value, [value], [np.zeros(1)])
    assert bound == pytest.approx(2 * ULPS[function] * F32.unit * value, rel=1e-6)


def test_a_root_near_zero_is_off_by_the_root_of_the_error() -> None:
    zero, error = np.zeros(1), np.array([1e-4])
    assert 0.01 <= RULES["sqrt"](F32, zero, [zero], [error]) < 0.0101
    assert 0.01 <= RULES["sqrt"](F32, zero, [np.array([-1.0])], [error]) < 0.0101
    one = np.ones(1)
    assert 0.5e-4 <= RULES["sqrt"](F32, one, [one], [error]) < 0.502e-4


def test_bounded_functions_have_bounded_errors() -> None:
    """No more than two values in [−1, 1] differ by, and next to nothing where the function is flat."""
    far, near = np.array([100.0]), np.array([0.1])
    for function, value in (("sin", np.sin(far)), ("tanh", np.tanh(near)), ("erf", near)):
        assert 1.9 < RULES[function](F32, value, [near], [far]) < 2.00001
    for function in ("tanh", "erf"):
        assert RULES[function](F32, np.ones(1), [np.array([9.0])], [np.array([0.5])]) < 1e-6


def test_an_exponential_that_the_reference_loses_is_still_bounded() -> None:
    """exp(−800) is zero in double precision; an argument that may be off by 750 may give e^−50."""
    with np.errstate(all="ignore"):
        bound = RULES["exp"](F32, np.exp(np.array([-800.0])), [np.array([-800.0])], [np.array([750.0])])
    assert bound >= np.exp(-50.0)


def test_exact_zeros_stay_exact() -> None:
    """A row that may attend to nothing has the divisor zero, and by the convention the quotient zero: no error at all."""
    zero, one = np.zeros(1), np.ones(1)
    assert RULES["add"](F32, zero, [zero, zero], [zero, zero]) == 0
    assert RULES["div"](F32, zero, [one, zero], [one, zero]) == 0
    assert RULES["delta"](F32, one, [one, one], [zero, zero]) == 0
    assert RULES["delta"](F32, one, [one, one], [zero, 0.1 * one]) == 1
    for args in ([zero, one], [one, zero]):
        assert RULES["delta"](F32, zero, args, [zero, 0.1 * one]) == 0 and RULES["delta"](F32, zero, args, [one, zero]) == 1


def test_a_maximum_takes_the_error_of_the_one_that_is_ahead() -> None:
    a, b = np.array([0.0, 0.0, 0.0]), np.array([1.0, -1.0, 0.05])
    assert RULES["max"](F32, np.maximum(a, b), [a, b], [np.zeros(3), np.full(3, 0.1)]).tolist() == [0.1, 0.0, 0.1]
    # ahead, but not beyond what the other may be
    one, other = np.array([1.0]), np.array([0.9])
    for args, errors in (([one, other], [0 * one, 0.5 * one]), ([other, one], [0.5 * one, 0 * one])):
        assert RULES["max"](F32, one, args, errors) == 0.5


def test_a_slope_keeps_its_digits_far_out() -> None:
    """1 − tanh² is zero in double precision from 19 on; 1/cosh² is not."""
    x, error = np.array([18.0, 25.0]), np.array([0.5, 0.5])
    bound = RULES["tanh"](Arithmetic(FORMATS["float64"], FORMATS["float64"], 2.0**-300), np.tanh(x), [x], [error])
    slack = 2 * ULPS["tanh"] * 2.0**-53 + FORMATS["float64"].tiny
    assert (bound - slack > 0.5 * 4 * np.exp(-2 * (x - 0.5)) * 0.99)[0]


NOT_SILLY = {"add": (np.add, 0.3), "mul": (np.multiply, 0.3), "div": (np.divide, 0.3), "sub": (np.subtract, 0.3)}


@pytest.mark.parametrize("rule", sorted(NOT_SILLY))
def test_bounds_are_reached_by_a_third(rule: str) -> None:
    """Half a unit in the last place of a number just above a power of two is nearly the whole bound."""
    rng = np.random.default_rng(1)
    a, b = rng.uniform(1, 2, 100_000).astype(np.float32), rng.uniform(0.2, 0.4, 100_000).astype(np.float32)
    apply, least = NOT_SILLY[rule]
    reference = apply(a.astype(np.float64), b.astype(np.float64))
    zero = np.zeros_like(reference)
    bound = RULES[rule](F32, reference, [a.astype(np.float64), b.astype(np.float64)], [zero, zero])
    assert least < excess(apply(a, b), reference, bound) <= 1


@pytest.mark.parametrize("function", ["exp", "log", "sqrt", "sin", "tanh"])
def test_functions_reach_a_tenth(function: str) -> None:
    rng = np.random.default_rng(1)
    x = rng.uniform(0.01, 3, 100_000).astype(np.float32)
    apply = getattr(np, function)
    reference = apply(x.astype(np.float64))
    bound = RULES[function](F32, reference, [x.astype(np.float64)], [np.zeros_like(reference)])
    assert 0.1 < excess(apply(x), reference, bound) <= 1


@pytest.mark.parametrize("function", ["exp", "log", "sin", "cos", "tanh"])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_units_in_the_last_place_hold_here(function: str, kind: type) -> None:
    """Assumed of every target; measured on the library that these tests run with."""
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.uniform(1e-3, 10, 100_000), rng.uniform(10, 80, 50_000)]).astype(kind)
    result, exact = getattr(np, function)(x), getattr(np, function)(x.astype(Wide))
    assert (np.abs(result - exact) <= ULPS[function] * np.spacing(np.abs(exact).astype(kind))).all()


def test_a_reference_that_is_no_wider_than_the_target() -> None:
    """Where long double is double, both sides round, each in its own direction at worst."""
    on = Arithmetic(FORMATS["float64"], FORMATS["float64"], 2.0**-53)
    rng = np.random.default_rng(3)
    a, b = rng.uniform(1, 2, 20_000), rng.uniform(0.2, 0.4, 20_000)
    zero = np.zeros_like(a)
    for rule in ("add", "sub", "mul", "div"):
        exact = BINARY[rule](a.astype(Wide), b.astype(Wide))
        rounded = exact.astype(np.float64)
        bound = RULES[rule](on, rounded, [a, b], [zero, zero])
        assert (2 * np.abs(rounded.astype(Wide) - exact) <= bound).all()
