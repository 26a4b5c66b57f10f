"""Rules of folds and the named axioms: exact conclusions, and where they refuse."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kernelproof.symbolic.binding import alpha_equal
from kernelproof.symbolic.core import analysis, folds
from kernelproof.symbolic.core.equality import assumption
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import Formula, equation, integer, nonzero, permutation, positive, within
from kernelproof.symbolic.terms import ONE, PI, ZERO, Entry, Fold, Num, Op, Term, delta, maximum_of, size, sqrt, total, variables

a, b, c, i, j, k = variables("a b c i j k")
n, m = size("n"), size("m")
x, y = Entry("x", j), Entry("y", j)
masked = Fold("sum", j, n, x + y, Entry("allow", j))


def given(formula: Formula) -> Theorem:
    return assumption((), formula)


@pytest.mark.parametrize(
    ("made", "right", "hypotheses"),
    [
        (folds.sum_of_sums((), total(j, n, x - y)), total(j, n, x) - total(j, n, y), ()),
        (folds.sum_scaled((), total(j, n, a * x)), a * total(j, n, x), ()),
        (folds.sum_scaled((), total(j, n, x * a)), total(j, n, x) * a, ()),
        (folds.sum_scaled((), total(j, n, x / a)), total(j, n, x) / a, ()),
        (folds.sum_scaled((), total(j, n, -x)), -total(j, n, x), ()),
        (folds.sum_constant((), total(j, n * m, a)), n * m * a, ()),
        (folds.sum_exchange((), total(i, n, total(j, m, Entry("f", i, j)))), total(j, m, total(i, n, Entry("f", i, j))), ()),
        (folds.sum_split((), total(j, n + m, x)), total(j, n, x) + total(j, m, Entry("x", n + j)), ()),
        (folds.sum_delta((), total(j, n, delta(j, a) * x)), Entry("x", a), (within(a, n),)),
        (folds.sum_delta((), total(j, n, x * delta(a, j))), Entry("x", a), (within(a, n),)),
        (folds.sum_delta((), total(j, n, delta(j, a) * total(k, n, Entry("f", j, k)))), total(k, n, Entry("f", a, k)), (within(a, n),)),
        (folds.fold_reindexed((), maximum_of(j, n, x, y), "s"),
         maximum_of(j, n, Entry("x", Entry("s", j)), Entry("y", Entry("s", j))), (permutation("s", n),)),
        (analysis.root_scaled((given(positive(c)),), a), c * sqrt(a), (positive(c),)),
        (analysis.maximum_scaled((given(positive(c)),), a), c * Op("max", ZERO, a), (positive(c),)),
        (analysis.unit_circle((), a), ONE, ()),
    ],
    ids=lambda value: value.rule if isinstance(value, Theorem) else "",
)
def test_conclusions(made: Theorem, right: Term, hypotheses: tuple[Formula, ...]) -> None:
    assert alpha_equal(made.right, right) and made.hypotheses == hypotheses


def test_what_a_fold_is_moved_over_is_not_captured() -> None:
    """Σ_j δ(j, k)·Σ_k f[j, k]: the k put in for j is not the k of the inner sum."""
    made = folds.sum_delta((), total(j, n, delta(j, k) * total(k, n, Entry("f", j, k))))
    assert alpha_equal(made.right, total(i, n, Entry("f", k, i)))
    split = folds.sum_split((), total(k, m + n, Entry("f", k, j) * m))
    assert alpha_equal(split.right, total(k, m, Entry("f", k, j) * m) + total(i, n, Entry("f", m + i, j) * m))


@pytest.mark.parametrize(
    "refused",
    [
        lambda: folds.sum_of_sums((), total(j, n, x * y)),
        lambda: folds.sum_of_sums((), maximum_of(j, n, x + y)),
        lambda: folds.sum_of_sums((), masked),
        lambda: folds.sum_of_sums((), x),
        lambda: folds.sum_scaled((), total(j, n, x * y)),
        lambda: folds.sum_scaled((), total(j, n, a / x)),
        lambda: folds.sum_scaled((), total(j, n, x + a)),
        lambda: folds.sum_scaled((), Fold("sum", j, n, a * x, ZERO)),
        lambda: folds.sum_constant((), total(j, n, x)),
        lambda: folds.sum_constant((), total(j, n - 1, a)),
        lambda: folds.sum_constant((), total(j, Entry("len", ZERO), a)),
        lambda: folds.sum_constant((), Fold("sum", j, n, a, Entry("allow", j))),
        lambda: folds.sum_exchange((), total(i, n, total(j, i, a))),
        lambda: folds.sum_exchange((), total(i, n, total(i, m, Entry("x", i)))),
        lambda: folds.sum_exchange((), total(i, j, total(j, n, a))),
        lambda: folds.sum_exchange((), total(i, n, Fold("sum", j, n, x, Entry("allow", i)))),
        lambda: folds.sum_split((), total(j, n, x)),
        lambda: folds.sum_split((), total(j, n + a, x)),
        lambda: folds.sum_split((), total(j, n + Num(-1), x)),
        lambda: folds.sum_delta((), total(j, n, delta(j, j) * x)),
        lambda: folds.sum_delta((), total(j, n, delta(j, j + 1) * x)),
        lambda: folds.sum_delta((), total(j, n, delta(i, a) * x)),
        lambda: folds.sum_delta((), total(j, n, delta(2 * j, a) * x)),
        lambda: folds.sum_delta((), Fold("sum", j, n, delta(j, a) * x, Entry("allow", j))),
        lambda: folds.fold_reindexed((), x, "s"),
        lambda: analysis.root_squared((given(nonzero(a)),)),
        lambda: analysis.root_scaled((given(nonzero(a)),), b),
        lambda: analysis.maximum_scaled((given(nonzero(a)),), b),
        lambda: analysis.odd_function((), "exp", a),
        lambda: analysis.odd_function((), "max", a),
        lambda: analysis.whole_turns((given(equation(Op("sin", a), Op("sin", b))),) * 2, a, b),
        lambda: analysis.whole_turns((given(equation(Op("sin", a), Op("sin", b))), given(equation(Op("cos", b), Op("cos", a)))), a, b),
        lambda: analysis.whole_turns((given(equation(Op("cos", a), Op("cos", b))), given(equation(Op("sin", a), Op("sin", b)))), a, b),
        lambda: analysis.pi_irrational((given(equation(a, 2 * PI * b)), given(integer(a)), given(integer(c)))),
        lambda: analysis.pi_irrational((given(equation(a, 2 * b)), given(integer(a)), given(integer(b)))),
        lambda: analysis.pi_irrational((given(equation(a, 2 * PI * b)), given(integer(a)), given(nonzero(b)))),
    ],
)
def test_where_they_refuse(refused: Callable[[], Theorem]) -> None:
    with pytest.raises(ProofError):
        refused()


def test_uniqueness_of_an_angle() -> None:
    """The road of the axioms: equal sine and cosine, whole turns, π is irrational; each is listed."""
    agree = tuple(given(equation(Op(name, i), Op(name, j))) for name in ("sin", "cos"))
    turns = analysis.whole_turns(agree, i, j)
    whole = given(integer(i - j))
    made = analysis.pi_irrational((turns, whole, analysis.turns_are_whole((), i, j)))
    assert made.conclusion is equation(i - j, ZERO) and len(made.hypotheses) == 3
    assert made.axioms == {"period of sine and cosine", "π is irrational"}
