"""Tactics that combine conversions find the place and the order; a wrong one gives ProofError, never a theorem."""

from __future__ import annotations

import pytest
from generators import JOINED, PAIRED

from kernelproof.symbolic.binding import alpha_equal
from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.logic import assumption, reflexivity
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import equation, positive
from kernelproof.symbolic.logs import replay
from kernelproof.symbolic.tactics.rewriting import (
    Chain,
    as_differences,
    both_sides,
    by_arithmetic,
    by_only,
    discharged,
    everywhere,
    first,
    in_order,
    inside,
    occurrences,
    replaced,
    rewriting,
    split_exponential,
    then,
    tried,
    unfold,
    use,
)
from kernelproof.symbolic.tactics.sums import linear_sum, sum_scaled
from kernelproof.symbolic.terms import ZERO, Entry, delta, exp, size, total, variables

a, b, c, i, j, k = variables("a b c i j k")
n = size("n")
x, y = Entry("x", j), Entry("y", j)


def test_first_goes_from_the_outside_in() -> None:
    swap = assumption((), equation(a, b))
    made = first(rewriting(swap))(a + a)
    assert made.right is b + a
    assert everywhere(rewriting(swap))(a + a * a).right is b + b * b
    with pytest.raises(ProofError, match="nowhere"):
        first(rewriting(swap))(c)


def test_everywhere_stops() -> None:
    assert everywhere(rewriting(reflexivity((), a)))(a + b).right is a + b
    with pytest.raises(ProofError, match="for ever"):
        everywhere(rewriting(assumption((), equation(a, a + 0))), limit=5)(a)


def test_rewriting_matches_up_to_bound_names() -> None:
    rule = assumption((), equation(total(i, n, Entry("x", i)), a))
    assert first(rewriting(rule))(total(k, n, Entry("x", k)) * 2).right is a * 2
    with pytest.raises(ProofError):
        rewriting(rule)(total(i, n, Entry("y", i)))


def test_conversions_in_order_and_inside() -> None:
    made = in_order(inside((2,), by_arithmetic(a * x)), sum_scaled)(total(j, n, x * a))
    assert made.right is a * total(j, n, x) and replay(made).conclusion is made.conclusion
    assert then(made, by_arithmetic(total(j, n, x) * a)(made.right)).right is total(j, n, x) * a
    assert tried(split_exponential)(a).right is a and tried(split_exponential)(exp(a + b)).right is exp(a) * exp(b)
    with pytest.raises(ProofError):
        by_only(a, reflexivity((), a))(b)


def test_statements_are_replaced_and_discharged() -> None:
    made = replaced(assumption((), positive(a + a)), assumption((), equation(a, b)))
    assert made.conclusion is positive(b + b)
    assert occurrences(positive(a + a * a), a) == [(0, 0), (0, 1, 0), (0, 1, 1)]
    assert discharged(use("positive_is_nonzero", a=exp(a)), use("exp_positive", a=a)).hypotheses == ()


def test_unfolding_picks_the_clause_that_fits() -> None:
    assert unfold("test_paired")(PAIRED.call({}, 2 * a + 1)).right is -Entry("x", a) * 2
    assert unfold("test_joined")(JOINED.call({}, n + a)).right is Entry("x", n + a)
    assert unfold("test_joined", 1)(JOINED.call({}, n + a)).right is Entry("x", a) + 5
    with pytest.raises(ProofError, match="no clause"):
        unfold("test_paired")(PAIRED.call({}, a))
    with pytest.raises(ProofError, match="not a call"):
        unfold("test_paired")(a)


def test_linear_sums() -> None:
    assert linear_sum(total(j, n, delta(j, a) * x)).right is Entry("x", a)
    assert linear_sum(total(j, n, a)).right is n * a
    assert linear_sum(total(j, n, x + y)).right is total(j, n, x) + total(j, n, y)
    for value in (total(j, n, x * y), a):
        with pytest.raises(ProofError):
            linear_sum(value)


def test_exponentials_and_differences() -> None:
    assert split_exponential(exp(a - b)).right is exp(a) * exp(-b)
    assert as_differences(a + -b).right is a - b
    with pytest.raises(ProofError):
        split_exponential(exp(a * b))


def test_both_sides_must_meet() -> None:
    made = both_sides(a + b, b + a, by_arithmetic(a + b), by_arithmetic(a + b))
    assert made.conclusion is equation(a + b, b + a)
    with pytest.raises(ProofError):
        both_sides(a, b, by_arithmetic(a), by_arithmetic(b))


def test_a_chain_goes_on_where_it_ended() -> None:
    chain = Chain(total(j, n, a * x)).step("take a out", sum_scaled).step("turn", by_arithmetic(total(k, n, Entry("x", k)) * a))
    assert alpha_equal(chain.theorem().left, chain.start) and chain.current is chain.theorem().right and len(chain.lines) == 2
    with pytest.raises(ProofError, match="does not start where the last one ended"):
        Chain(a).step("jump", lambda _: arithmetic((), b, b + ZERO))
