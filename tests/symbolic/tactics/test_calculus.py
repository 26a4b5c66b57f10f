"""Differentiation: values against numeric derivatives, hypotheses where a function is not smooth, and what has no derivative."""

from __future__ import annotations

from fractions import Fraction

import pytest

from kernelproof.symbolic.binding import alpha_equal
from kernelproof.symbolic.core.logic import assumption, generalisation, instantiation
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import derivative, equation, every, nonzero, positive
from kernelproof.symbolic.logs import replay
from kernelproof.symbolic.soundness.evaluator import World, operate
from kernelproof.symbolic.tactics.calculus import T, curve, differentiate, slope_of, tidy
from kernelproof.symbolic.tactics.gradients import chained, constant, contracted, moved, straight, valued
from kernelproof.symbolic.tactics.rewriting import use
from kernelproof.symbolic.terms import ONE, ZERO, Entry, Lambda, Op, Term, delta, exp, log, maximum_of, size, sqrt, total, variables

a, i, j, k, t = variables("a i j k t")
n = size("n")
AXES = ((j, n),)
X = curve("X", "U", AXES)


def at(index: Term) -> Entry:
    """An entry of the curve."""
    return Entry("X", T, index)


def world(seed: int) -> World:
    """X[t, j] = sin(j + 1 + s·t) + 2 with a speed s; its derivative at 0 is U[j] = s·cos(j + 1)."""
    there = World({n: Fraction(3), i: Fraction(seed % 3), a: Fraction(1, 2)}, seed=seed)
    speed = Fraction(seed + 1, 2)
    there.tensors = {
        "X": lambda time, index: operate("sin", [index + 1 + time * speed]) + 2, "U": lambda index: operate("cos", [index + 1]) * speed,
    }
    return there


@pytest.mark.parametrize(
    "body",
    [
        at(i) + 3 * at(i) * at(i),
        exp(at(i)) / total(k, n, exp(at(k))),
        at(i) / 2 * (1 + Op("erf", at(i) / sqrt(ONE * 2))),
        at(i) ** 3 - a * Op("tanh", at(i)),
        log(at(i)) * sqrt(at(i)),
        Op("max", ZERO, at(i) - a),
        (at(i) - total(k, n, at(k)) / n) / sqrt(total(k, n, at(k) ** 2) / n + a),
        total(j, n, at(j) * total(k, n, at(k) * Entry("w", j, k))),
        -at(i) / (1 + exp(-at(i))),
        at(i) ** 2 + a,
    ],
)
def test_derivatives_are_the_numeric_ones(body: Term) -> None:
    made = differentiate(Lambda((T,), body), ZERO, X, assumption((), positive(n)), assumption((), positive(a)), over=((i, n),))
    assert replay(made).conclusion is made.conclusion
    for seed in range(3):
        there = world(seed)
        assert all(there.holds(formula) for formula in made.hypotheses), made.hypotheses
        assert there.holds(made.conclusion), (made, seed)


def test_where_it_is_not_smooth_a_hypothesis_says_so() -> None:
    step = differentiate(Lambda((T,), Op("max", ZERO, T)), a)
    assert step.hypotheses == (nonzero(a),)
    assert differentiate(Lambda((T,), 1 / T), a).hypotheses == (nonzero(a),)
    for function in (log, sqrt):
        assert differentiate(Lambda((T,), function(T)), a).hypotheses == (positive(a),)
    total_of_roots = differentiate(Lambda((T,), total(j, n, sqrt(at(j)))), ZERO, X)
    assert every(AXES, positive(Entry("X", ZERO, j))) in total_of_roots.hypotheses
    assert not World({a: Fraction(0)}).holds(step.conclusion)


@pytest.mark.parametrize(
    "body",
    [
        Op("max", at(i), ZERO), maximum_of(j, n, at(j)), delta(at(i), a), Op("less", at(i), a), Op("sin", at(i)), Entry("Y", T, i),
        Entry("x", T), Entry("X", T + 1, i), total(j, T, a),
    ],
)
def test_what_has_no_derivative_here(body: Term) -> None:
    with pytest.raises(ProofError):
        differentiate(Lambda((T,), body), ZERO, X)


def test_the_variable_of_differentiation_stays_bound() -> None:
    """d/dt (t·c) at 0 with c := t is the t outside."""
    made = differentiate(Lambda((T,), T * a), ZERO)
    moved_in = instantiation((made,), {a: T}, {})
    assert alpha_equal(moved_in.conclusion, derivative(Lambda((k,), k * t), ZERO, t))
    assert World({t: Fraction(5)}).holds(moved_in.conclusion)


def test_terms_are_tidied() -> None:
    assert tidy(0 * a + a * 1 - (ZERO - ZERO)) is a and tidy(0 / a) is ZERO and tidy(-(ZERO * a)) is ZERO
    assert tidy(a + a) is a + a


def test_gradients_along_curves_compose() -> None:
    """d/dt Σ_j w[j]·X[t, j]² along X = x + t·u, along a curve that stands still, and by the chain rule."""
    square = differentiate(Lambda((T,), at(j) * at(j)), ZERO, X, over=AXES)
    loss = contracted(Lambda((j,), Entry("w", j)), AXES, square)
    along = straight(loss, {"X": ("U", "x", "u", AXES)})
    assert along.hypotheses == ()
    wanted = total(j, n, Entry("w", j) * (Entry("u", j) * Entry("x", j) + Entry("x", j) * Entry("u", j)))
    assert alpha_equal(slope_of(along), wanted)
    for seed in range(3):
        assert World({n: Fraction(3)}, seed=seed).holds(along.conclusion)
    still = constant(loss, "X", "U", "x", AXES)
    assert still.hypotheses == () and World({n: Fraction(2)}).holds(still.conclusion)
    twice = use("derivative_of_product", use("derivative_of_constant", c=a, p=0), differentiate(Lambda((T,), at(j)), ZERO, X), p=0,
                f=Lambda((T,), a), g=Lambda((T,), at(j)), u=ZERO, v=Entry("U", j))
    scaled = moved(loss, {"X": ("U", AXES, twice)})
    assert X.conclusion in scaled.hypotheses
    assert chained(scaled, scaled).conclusion is equation(slope_of(scaled), slope_of(scaled))
    with pytest.raises(ProofError, match="different functions"):
        chained(scaled, loss)


def test_a_curve_is_replaced_only_by_what_moves_like_it() -> None:
    loss = contracted(Lambda((j,), Entry("w", j)), AXES, differentiate(Lambda((T,), at(j)), ZERO, X, over=AXES))
    lemma = generalisation((differentiate(Lambda((T,), Entry("x", j) * T), 0),), AXES)
    wrong = instantiation((loss,), {}, {"X": Lambda((T, j), Entry("x", j) * T), "U": Lambda((j,), ONE)})
    assert not alpha_equal(lemma.conclusion, wrong.hypotheses[0])  # so nothing discharges it
    with pytest.raises(ProofError):
        valued(loss, use("derivative_of_constant", c=a, p=0))
