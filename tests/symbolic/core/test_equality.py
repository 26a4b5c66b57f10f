"""Rules of equational logic: where they refuse, and which hypotheses they discharge."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kernelproof.symbolic.binding import alpha_equal
from kernelproof.symbolic.core.equality import (
    assumption,
    congruence,
    cut,
    instantiation,
    integer_difference,
    positive_is_nonzero,
    positivity,
    reflexivity,
    symmetry,
    transitivity,
)
from kernelproof.symbolic.core.folds import fold_reindexed, sum_constant, sum_delta
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import equation, integer, nonzero, permutation, positive, within
from kernelproof.symbolic.terms import (
    ONE,
    PI,
    ZERO,
    Entry,
    Fold,
    Lambda,
    Num,
    Op,
    Term,
    delta,
    exp,
    maximum_of,
    size,
    sqrt,
    total,
    variables,
)

a, b, i, j, k, v = variables("a b i j k v")
n, m = size("n"), size("m")
x = Entry("x", j)


def fact(left: Term, right: Term) -> Theorem:
    """An equation under itself."""
    return assumption((), equation(left, right))


def test_equality_rules_refuse_what_does_not_fit() -> None:
    with pytest.raises(ProofError):
        reflexivity((), a, b)
    with pytest.raises(ProofError):
        reflexivity((), total(i, n, Entry("f", i, j)), total(j, n, Entry("f", j, j)))
    with pytest.raises(ProofError):
        transitivity((fact(a, b), fact(a, b)))
    with pytest.raises(ProofError):
        symmetry((assumption((), positive(a)),))
    with pytest.raises(ProofError):
        congruence((fact(a, b),), Entry("x", b), (0,))
    with pytest.raises(ProofError):
        positive_is_nonzero((assumption((), nonzero(a)),))
    with pytest.raises(ProofError):
        integer_difference((assumption((), integer(a)), assumption((), within(b, n))))


def test_congruence_discharges_the_range_of_the_fold() -> None:
    inner = total(v, n, delta(v, j) * Entry("x", v))
    made = congruence((sum_delta((), inner),), total(j, n, inner), (2,))
    assert made.hypotheses == () and made.right is total(j, n, x)
    guarded = congruence((sum_delta((), inner),), maximum_of(j, n, ONE, inner), (1,))
    assert guarded.hypotheses == ()


@pytest.mark.parametrize(
    ("whole", "path"),
    [
        (lambda inner: total(j, m, inner), (2,)),
        (lambda inner: total(j, n + 1, inner), (2,)),
        (lambda inner: total(j, n, total(j, m, inner)), (2, 2)),
        (lambda inner: Fold("sum", j, Entry("g", j), inner), (2,)),
        (lambda inner: Fold("max", j, m, ZERO, inner), (1,)),
    ],
)
def test_another_range_is_not_discharged(whole: Callable[[Term], Term], path: tuple[int, ...]) -> None:
    inner = total(v, n, delta(v, j) * Entry("x", v))
    with pytest.raises(ProofError, match="bound at the position"):
        congruence((sum_delta((), inner),), whole(inner), path)


def test_a_length_that_speaks_of_an_outer_index_of_the_same_name() -> None:
    """Σ_{j < g[j]}: the j of the length is the outer one, so j < g[j] is not what the sum guarantees.

    With g[x] = 2 − 2·x and an outer j = 0 the two sides would be 1 and 2.
    """
    length = Entry("g", j)
    inner = total(v, length, delta(v, j) * ONE)
    with pytest.raises(ProofError, match="bound at the position"):
        congruence((sum_delta((), inner),), Fold("sum", j, length, inner), (2,))
    renamed = total(v, Entry("g", i), delta(v, j) * ONE)
    made = congruence((sum_delta((), renamed),), Fold("sum", j, Entry("g", i), renamed), (2,))
    assert made.hypotheses == ()


def test_congruence_below_a_lambda_discharges_nothing() -> None:
    inner = total(v, n, delta(v, j) * Entry("x", v))
    call = Lambda((j,), inner)
    with pytest.raises(ProofError):
        congruence((sum_delta((), inner),), call, (0,))  # type: ignore[arg-type]
    other = congruence((fact(Entry("x", i), a),), total(j, n, Entry("x", i)), (2,))
    assert other.hypotheses == (equation(Entry("x", i), a),)


def test_a_hypothesis_about_the_bound_index_is_refused() -> None:
    with pytest.raises(ProofError, match="bound at the position"):
        congruence((fact(x, a),), total(j, n, x), (2,))


def test_instantiation_reaches_hypotheses() -> None:
    range_of_v = sum_delta((), total(v, n, delta(v, a) * Entry("x", v)))
    made = instantiation((range_of_v,), {a: i + 1, n: m + 2}, {"x": Lambda((k,), k**2)})
    assert made.hypotheses == (within(i + 1, m + 2),) and made.right is (i + 1) ** 2
    assert alpha_equal(made.left, total(v, m + 2, delta(v, i + 1) * v**2))


@pytest.mark.parametrize("value", [a, n - 1, Num(-1), n / 2, -n, Entry("len", ZERO), n + a, 2 * n - n])
def test_a_size_stays_natural(value: Term) -> None:
    length = sum_constant((), total(j, n, a))
    with pytest.raises(ProofError, match="natural number"):
        instantiation((length,), {n: value}, {})


def test_what_is_bound_by_an_axiom_cannot_be_replaced() -> None:
    with pytest.raises(ProofError, match="fixed by an axiom"):
        instantiation((reflexivity((), a),), {}, {"turns": Lambda((i, j), ZERO)})


def test_a_permutation_is_renamed_or_left() -> None:
    given = fold_reindexed((), total(j, n, x), "s")
    made = instantiation((given,), {}, {"s": Lambda((i,), Entry("r", i))})
    assert made.hypotheses == (permutation("r", n),) and alpha_equal(made.right, total(j, n, Entry("x", Entry("r", j))))
    for value in (
        Lambda((i,), i), Lambda((i,), Entry("r", i + 0)), Lambda((i,), ZERO), Lambda((i,), Entry("f", i, i)),
        Lambda((i, j), Entry("r", i, j)), Lambda((), Entry("r")),
    ):
        with pytest.raises((ProofError, TypeError)):
            instantiation((given,), {}, {"s": value})
        with pytest.raises(ProofError):
            instantiation((assumption((), permutation("s", n)),), {}, {"s": value})


def test_cut_removes_one_hypothesis_and_brings_those_of_the_lemma() -> None:
    given = sum_delta((), total(v, n, delta(v, a) * Entry("x", v)))
    lemma = assumption((), within(a, n))
    assert cut((lemma, given)).hypotheses == (within(a, n),)
    other = cut((positivity((), exp(a)), positive_is_nonzero((assumption((), positive(exp(a))),))))
    assert other.hypotheses == () and other.conclusion is nonzero(exp(a))
    assert cut((assumption((), positive(b)), given)).hypotheses == (positive(b), within(a, n))


@pytest.mark.parametrize(
    ("value", "premises"),
    [
        (exp(a) + PI * 2, ()),
        (sqrt(exp(a) / Num(3)) ** 2, ()),
        (a * b, (a, b)),
        (total(j, n, exp(x)), (n,)),
        (total(j, n + m, exp(x)), (n, m)),
        (total(j, n, total(k, m, exp(x) + exp(k))), (n, m)),
        (total(j, Num(2), a), (a,)),
        (total(j, n, a * exp(j)), (n, a)),
        (a**0, (a,)),
    ],
)
def test_what_is_positive_by_its_form(value: Term, premises: tuple[Term, ...]) -> None:
    made = positivity([assumption((), positive(part)) for part in premises], value)
    assert made.hypotheses == tuple(positive(part) for part in premises)


@pytest.mark.parametrize(
    ("value", "premises"),
    [
        (a, ()),
        (ZERO, ()),
        (Num(-1), ()),
        (a - b, (a, b)),
        (-a, (a,)),
        (a * b, (a,)),
        (n, ()),
        (total(j, n, exp(x)), ()),
        (total(j, n, x), (n,)),
        (total(j, n, x), (n, x)),
        (maximum_of(j, n, exp(x)), (n,)),
        (Fold("sum", j, n, exp(x), delta(j, 0)), (n,)),
        (Fold("sum", j, n, exp(x), ZERO), (n,)),
        (total(j, j, exp(x)), (n,)),
        (a**2, ()),
        (Op("log", exp(a)), ()),
        (Op("max", a, b), (a,)),
        (a / b, (a,)),
        (sqrt(a), ()),
    ],
)
def test_what_is_not(value: Term, premises: tuple[Term, ...]) -> None:
    """Also Σ_j x[j] from x[j] > 0: the j of the premise is free, the one of the sum is bound."""
    with pytest.raises(ProofError):
        positivity([assumption((), positive(part)) for part in premises], value)
    with pytest.raises(ProofError):
        positivity([assumption((), nonzero(part)) for part in premises] or [assumption((), nonzero(a))], value)
