"""Replacement below binders, and "for all": which ranges are discharged, and what would be captured."""

from __future__ import annotations

import pytest

from kernelproof.symbolic.binding import alpha_equal
from kernelproof.symbolic.core.logic import (
    assumption,
    generalisation,
    reflexivity,
    replacement,
    specialisation,
)
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import (
    Formula,
    derivative,
    equation,
    every,
    integer,
    permutation,
    positive,
    within,
)
from kernelproof.symbolic.tactics.rewriting import congruence, use
from kernelproof.symbolic.tactics.sums import sum_delta
from kernelproof.symbolic.terms import (
    ONE,
    ZERO,
    Entry,
    Fold,
    Lambda,
    Term,
    delta,
    maximum_of,
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


# -- replacement ----------------------------------------------------------------------------------------------------------------


def test_replacement_discharges_the_range_of_the_binder() -> None:
    picked = sum_delta(PICKED)
    assert picked.hypotheses == (within(j, n),)
    made = congruence(picked, total(j, n, PICKED), (2,))
    assert made.hypotheses == () and made.right is total(j, n, x)
    assert congruence(picked, maximum_of(j, n, ONE, PICKED), (1,)).hypotheses == ()
    whole = given(every(((j, n),), positive(PICKED)))
    assert replacement((whole, picked), (1, 0)).conclusion is every(((j, n),), positive(x))
    assert replacement((whole, picked), (1, 0)).hypotheses == whole.hypotheses


@pytest.mark.parametrize(
    ("whole", "path"),
    [
        (total(j, m, PICKED), (2,)),
        (total(j, n + 1, PICKED), (2,)),
        (total(j, n, total(j, m, PICKED)), (2, 2)),
        (Fold("sum", j, Entry("g", j), PICKED), (2,)),
        (Fold("max", j, m, ZERO, PICKED), (1,)),
        (every(((j, m),), positive(PICKED)), (1, 0)),
        (every(((j, Entry("g", j)),), positive(PICKED)), (1, 0)),
        (every(((i, n), (j, i)), positive(PICKED)), (2, 0)),
        (derivative(Lambda((j,), PICKED), a, b), (0, 0)),
    ],
)
def test_another_range_is_not_discharged(whole: Term | Formula, path: tuple[int, ...]) -> None:
    theorem, place = (reflexivity((), whole), (1, *path)) if isinstance(whole, Term) else (given(whole), path)
    with pytest.raises(ProofError, match="bound here"):
        replacement((theorem, sum_delta(PICKED)), place)


def test_a_length_that_speaks_of_an_outer_index_of_the_same_name() -> None:
    """Σ_{j < g[j]}: the j of the length is the outer one, so j < g[j] is not what the sum guarantees.

    With g[x] = 2 − 2·x and an outer j = 0 the two sides would be 1 and 2.
    """
    length = Entry("g", j)
    inner = total(v, length, delta(v, j) * ONE)
    picked = use("sum_delta", n=n, p=j, f=Lambda((v,), ONE))
    assumed = replacement((fact(inner, ONE), reflexivity((), inner)), (0,))
    with pytest.raises(ProofError, match="bound here"):
        congruence(assumed, Fold("sum", j, length, inner), (2,))
    with pytest.raises(ProofError, match="bound here"):
        generalisation((given(within(j, length)),), ((j, length),))
    assert congruence(picked, Fold("sum", j, n, picked.left), (2,)).hypotheses == ()


def test_replacement_below_a_lambda_discharges_nothing() -> None:
    with pytest.raises(ProofError):
        replacement((given(derivative(Lambda((j,), PICKED), ZERO, a)), sum_delta(PICKED)), (0, 0))
    other = congruence(fact(Entry("x", i), a), total(j, n, Entry("x", i)), (2,))
    assert other.hypotheses == (equation(Entry("x", i), a),)


def test_a_hypothesis_about_the_bound_index_is_refused() -> None:
    with pytest.raises(ProofError, match="bound here"):
        congruence(fact(x, a), total(j, n, x), (2,))


# -- for all --------------------------------------------------------------------------------------------------------------------


def test_generalisation_discharges_ranges_only() -> None:
    below = use("index_below", given(within(j, n)), a=j, n=n)
    made = generalisation((below,), ((j, n),))
    assert made.hypotheses == () and made.conclusion is every(((j, n),), positive(n - j))
    assert generalisation((below,), ((j, n), (i, m))).hypotheses == ()
    assert generalisation((below,), ((i, n),)).hypotheses == below.hypotheses
    for over in (((j, m),), ((j, n + 1),), ((j, j),), ((j, n), (n, m)), ((j, n), (j, n)), (), ((i, n), (j, i))):
        with pytest.raises((ProofError, TypeError)):
            generalisation((below,), over)
    for formula in (positive(x), integer(j), within(j + 0, n), equation(j, a)):
        with pytest.raises(ProofError, match="bound here"):
            generalisation((given(formula),), ((j, n),))
    with pytest.raises(ProofError, match="all indices"):
        generalisation((given(permutation("s", n)),), ((j, n),))


def test_specialisation_asks_for_the_range_and_does_not_capture() -> None:
    whole = given(every(((j, n),), equation(total(i, m, Entry("f", i, j)), Entry("x", j))))
    made = specialisation((whole,), (i,))
    assert made.hypotheses == (*whole.hypotheses, within(i, n))
    assert alpha_equal(made.left, total(k, m, Entry("f", k, i))) and made.right is Entry("x", i)
    for indices in ((), (i, i)):
        with pytest.raises(ProofError, match="for all"):
            specialisation((whole,), indices)
    with pytest.raises(ProofError, match="for all"):
        specialisation((given(positive(a)),), (i,))


def test_lengths_stand_outside_the_ranges() -> None:
    """∀ i < n, j < i: the second i is the one outside."""
    whole = given(every(((i, n), (j, i)), positive(Entry("f", i, j))))
    made = specialisation((whole,), (a, b))
    assert made.hypotheses[1:] == (within(a, n), within(b, i)) and made.conclusion is positive(Entry("f", a, b))
    swapped = specialisation((given(every(((i, n), (j, m)), positive(Entry("f", i, j)))),), (j, i))
    assert swapped.conclusion is positive(Entry("f", j, i))
