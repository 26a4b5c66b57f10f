"""Signs of terms by their form and by premises, and where they are not shown."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import product

import pytest

from kernelproof.symbolic.core.logic import assumption
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import every, nonnegative, nonzero, positive, within
from kernelproof.symbolic.soundness.evaluator import World
from kernelproof.symbolic.tactics.signs import nonnegativity, nonzero_of, positivity
from kernelproof.symbolic.terms import (
    FOLDS,
    ONE,
    PI,
    ZERO,
    Entry,
    Fold,
    Num,
    Op,
    Term,
    delta,
    exp,
    less,
    maximum_of,
    size,
    sqrt,
    total,
    variables,
)

a, b, i, j, k = variables("a b i j k")
n, m = size("n"), size("m")
x = Entry("x", j)


@pytest.mark.parametrize(
    ("value", "premises"),
    [
        (exp(a) + PI * 2, ()),
        (sqrt(exp(a) / Num(3)) ** 2, ()),
        (a * b, (a, b)),
        (total(j, n, exp(x)), (n,)),
        (total(j, n + m, exp(x)), (n,)),
        (total(j, n, total(k, m, exp(x) + exp(k))), (n, m)),
        (total(j, Num(2), a), (a,)),
        (total(j, n, a * exp(j)), (n, a)),
        (a**0, ()),
        (a**2 + 1, ()),
        (n + ONE / 3, ()),
    ],
)
def test_what_is_positive_by_its_form(value: Term, premises: tuple[Term, ...]) -> None:
    made = positivity(value, *(assumption((), positive(part)) for part in premises))
    assert made.conclusion is positive(value) and set(made.hypotheses) == {positive(part) for part in premises}


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
        (less(a, b), ()),
    ],
)
def test_what_is_not(value: Term, premises: tuple[Term, ...]) -> None:
    """Also Σ_j x[j] from x[j] > 0: the j of the premise is free, the one of the sum is bound."""
    with pytest.raises(ProofError):
        positivity(value, *(assumption((), positive(part)) for part in premises))
    with pytest.raises(ProofError):
        positivity(value, *(assumption((), nonzero(part)) for part in premises or (a,)))


def test_signs_for_all_indices_are_used_within_their_range() -> None:
    known = assumption((), every(((i, n),), positive(Entry("x", i))))
    made = positivity(total(j, n, x), known, assumption((), positive(n)))
    assert set(made.hypotheses) == {known.conclusion, positive(n)}
    with pytest.raises(ProofError):
        positivity(total(j, m, x), known, assumption((), positive(m)))
    assert set(positivity(x, known).hypotheses) == {known.conclusion, within(j, n)}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (n, True), (n * m + 2, True), (a * a, True), (a**4, True), (total(j, n, x * x), True), (total(j, n, less(x, a)), True),
        (delta(a, b), True), (exp(a) * n, True), (n / (m + 1), True), (ZERO, True), (total(j, n, exp(x)), True),
        (a, False), (a * b, False), (a**3, False), (-n, False), (n - 1, False), (total(j, n, x), False), (Num(-1), False),
        (maximum_of(j, n, x * x), False), (a / a, False),
    ],
)
def test_nonnegative_terms(value: Term, shown: bool) -> None:
    if shown:
        made = nonnegativity(value)
        assert made.conclusion is nonnegative(value) and made.hypotheses == ()
    else:
        with pytest.raises(ProofError):
            nonnegativity(value)


def test_nonzero_terms() -> None:
    assert nonzero_of(exp(a)).hypotheses == () and nonzero_of(a, assumption((), nonzero(a))).hypotheses == (nonzero(a),)
    for value in (a, n, ZERO, a * a):
        with pytest.raises(ProofError):
            nonzero_of(value)


def test_signs_of_folds_exhaustively() -> None:
    """Σ x[j] from x[j] > 0 for another j, over an empty range, with a guard: all small folds, with all choices of premises."""
    seen: Counter[str] = Counter()
    there = [
        World({i: Fraction(1), j: Fraction(0), a: Fraction(value), n: Fraction(value), m: Fraction(2)}, seed=value) for value in range(4)
    ]
    parts, lengths = (Entry("x", i), exp(i), exp(j), a, exp(i) - 3), (n, m, Num(0), Num(2), n * m)
    for kind, var, part, length, guard in product(FOLDS, (i, j), parts, lengths, (ONE, delta(i, 1), ZERO)):
        value = Fold(kind, var, length, part, guard)
        for known, show in product(((), (part,), (length,), (n, m), (part, length)), (positivity, nonnegativity)):
            try:
                made = show(value, *(assumption((), positive(given)) for given in known))
            except ProofError:
                seen["refused"] += 1
                continue
            for world in there:
                held = all(world.holds(formula) for formula in made.hypotheses)
                seen["held" if held else "vacuous"] += 1
                assert not held or world.holds(made.conclusion), (made, world)
    assert seen["held"] > 200 and seen["refused"] > 1000, dict(seen)
