"""Rules of logic: where they refuse, and which hypotheses they discharge."""

from __future__ import annotations

import pytest

from kernelproof.symbolic.binding import alpha_equal
from kernelproof.symbolic.core.logic import (
    assumption,
    cases,
    cut,
    induction,
    instantiation,
    reflexivity,
    replacement,
    symmetry,
    transitivity,
)
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import (
    Formula,
    derivative,
    equation,
    every,
    nonnegative,
    nonzero,
    permutation,
    positive,
    within,
)
from kernelproof.symbolic.tactics.rewriting import congruence, use
from kernelproof.symbolic.tactics.sums import reindexed, sum_constant, sum_delta
from kernelproof.symbolic.terms import (
    ONE,
    ZERO,
    Entry,
    Lambda,
    Num,
    Op,
    Term,
    delta,
    exp,
    less,
    size,
    total,
    variables,
)

a, b, i, j, k, t, v = variables("a b i j k t v")
n, m = size("n"), size("m")
x = Entry("x", j)
PICKED = total(v, n, delta(v, j) * Entry("x", v))


def fact(left: Term, right: Term) -> Theorem:
    """An equation under itself."""
    return assumption((), equation(left, right))


def given(formula: Formula) -> Theorem:
    """A formula under itself."""
    return assumption((), formula)


def test_equality_rules_refuse_what_does_not_fit() -> None:
    with pytest.raises(ProofError):
        reflexivity((), a, b)
    with pytest.raises(ProofError):
        reflexivity((), total(i, n, Entry("f", i, j)), total(j, n, Entry("f", j, j)))
    with pytest.raises(ProofError):
        transitivity((fact(a, b), fact(a, b)))
    for formula in (positive(a), every(((j, n),), equation(a, b))):
        with pytest.raises(ProofError):
            symmetry((given(formula),))
        with pytest.raises(ProofError):
            replacement((fact(a, b), given(formula)), (0,))
    with pytest.raises(ProofError):
        congruence(fact(a, b), Entry("x", b), (0,))


# -- instantiation --------------------------------------------------------------------------------------------------------------


def test_instantiation_reaches_hypotheses() -> None:
    range_of_v = sum_delta(total(v, n, delta(v, a) * Entry("x", v)))
    made = instantiation((range_of_v,), {a: i + 1, n: m + 2}, {"x": Lambda((k,), k**2)})
    assert made.hypotheses == (within(i + 1, m + 2),) and made.right is (i + 1) ** 2
    assert alpha_equal(made.left, total(v, m + 2, delta(v, i + 1) * v**2))


@pytest.mark.parametrize("value", [a, n - 1, Num(-1), n / 2, -n, Entry("len", ZERO), n + a, 2 * n - n])
def test_a_size_stays_natural(value: Term) -> None:
    with pytest.raises(ProofError, match="natural number"):
        instantiation((sum_constant(total(j, n, a)),), {n: value}, {})
    with pytest.raises(ProofError, match="natural number"):
        use("sum_last", n=value, f=Lambda((j,), x))


def test_what_is_bound_by_an_axiom_cannot_be_replaced() -> None:
    for name in ("turns_are_whole", "whole_turns"):
        with pytest.raises(ProofError, match="fixed by an axiom"):
            instantiation((use(name),), {}, {"turns": Lambda((i, j), ONE / 2)})
        with pytest.raises(ProofError, match="fixed by an axiom"):
            use(name, turns=Lambda((i, j), ONE / 2))


def test_a_permutation_is_renamed_or_left() -> None:
    known = reindexed("s")(total(j, n, x))
    made = instantiation((known,), {}, {"s": Lambda((i,), Entry("r", i))})
    assert made.hypotheses == (permutation("r", n),) and alpha_equal(made.right, total(j, n, Entry("x", Entry("r", j))))
    for value in (
        Lambda((i,), i), Lambda((i,), Entry("r", i + 0)), Lambda((i,), ZERO), Lambda((i,), Entry("f", i, i)),
        Lambda((i, j), Entry("r", i, j)), Lambda((), Entry("r")),
    ):
        with pytest.raises((ProofError, TypeError)):
            instantiation((known,), {}, {"s": value})
        with pytest.raises(ProofError):
            instantiation((given(permutation("s", n)),), {}, {"s": value})
        with pytest.raises((ProofError, TypeError)):
            use("sum_reindexed", n=n, f=Lambda((j,), x), s=value)


def test_the_variable_of_a_derivative_is_not_captured() -> None:
    """d/dt c = 0 for a constant c: with t put for c it is still a constant, another t."""
    made = use("derivative_of_constant", c=t, p=a)
    assert alpha_equal(made.conclusion, derivative(Lambda((v,), t), a, ZERO))
    assert not alpha_equal(made.conclusion, derivative(Lambda((t,), t), a, ZERO))
    later = instantiation((use("derivative_of_constant", c=b, p=a),), {b: t}, {})
    assert alpha_equal(later.conclusion, made.conclusion)
    moved = instantiation((given(derivative(Lambda((t,), Entry("x", t) * b), a, b)),), {b: t}, {"x": Lambda((v,), v * t)})
    assert alpha_equal(moved.conclusion, derivative(Lambda((k,), k * t * t), a, t))


# -- cut, cases, induction ------------------------------------------------------------------------------------------------------


def test_cut_removes_one_hypothesis_and_brings_those_of_the_lemma() -> None:
    known = sum_delta(total(v, n, delta(v, a) * Entry("x", v)))
    assert cut((given(within(a, n)), known)).hypotheses == (within(a, n),)
    other = cut((use("exp_positive", a=a), use("positive_is_nonzero", a=exp(a))))
    assert other.hypotheses == () and other.conclusion is nonzero(exp(a))
    assert cut((given(positive(b)), known)).hypotheses == (positive(b), within(a, n))


def test_cases_need_an_indicator_and_the_same_conclusion() -> None:
    flag = less(a, b)
    either = use("less_is_indicator", a=a, b=b)
    zero, one = (given(equation(flag, value)) for value in (ZERO, ONE))
    holds = [replacement((given(nonnegative(value)), symmetry((known,))), (0,)) for known, value in ((zero, ZERO), (one, ONE))]
    made = cases((either, *holds))
    assert made.conclusion is nonnegative(flag) and set(made.hypotheses) == {nonnegative(0), nonnegative(1)}
    refused = (
        (fact(flag * flag, b), *holds), (fact(flag * b, b), *holds), (either, holds[0], given(positive(flag))),
        (given(positive(flag)), *holds), (either, zero, one),
    )
    for premises in refused:
        with pytest.raises(ProofError, match=r"cases|equation"):
            cases(premises)
    swapped = cases((either, holds[1], holds[0]))
    assert set(swapped.hypotheses) == {nonnegative(0), nonnegative(1), equation(flag, ONE), equation(flag, ZERO)}


def test_induction_discharges_the_claim_and_nothing_else() -> None:
    def claim(at: Term) -> Formula:
        return nonnegative(Entry("x", at))

    base, step = given(claim(ZERO)), given(claim(n + 1))
    with pytest.raises(ProofError, match="speaks of n"):  # the step was only assumed, and it speaks of n
        induction((base, step), n, claim(n))
    with pytest.raises(ProofError, match="φ"):
        induction((step, base), n, claim(n))
    for var in (m, a):
        with pytest.raises(ProofError):
            induction((base, step), var, claim(n))


def test_induction_refuses_hypotheses_about_n() -> None:
    """From n > 0 ⊢ φ(n+1) and φ(0) nothing follows by induction: the hypothesis would have to hold for every n."""
    claim = equation(total(j, n, ONE), n)
    last = use("sum_last", n=n, f=Lambda((j,), ONE))
    from_claim = replacement((last, given(claim)), (1, 0))
    base = use("sum_empty", f=Lambda((j,), ONE))
    made = induction((base, from_claim), n, claim)
    assert made.hypotheses == () and made.conclusion is claim
    burdened = replacement((from_claim, cut((given(positive(n)), fact(n, n)))), (1, 0))
    assert burdened.hypotheses == (claim, positive(n), equation(n, n))
    with pytest.raises(ProofError, match="speaks of n"):
        induction((base, burdened), n, claim)
    other = instantiation((from_claim,), {n: n + 1}, {})
    with pytest.raises(ProofError):
        induction((base, other), n, claim)


def test_zero_and_successor_are_not_confused_with_other_terms() -> None:
    claim = nonnegative(n)
    for zero, successor in ((Num(1), n + 1), (ZERO, 1 + n), (ZERO, n + 2), (ZERO, n), (Op("sub", n, n), n + 1)):
        with pytest.raises(ProofError):
            induction((use("size_nonnegative", n=0) if zero is ZERO else given(nonnegative(zero)), given(nonnegative(successor))), n, claim)
