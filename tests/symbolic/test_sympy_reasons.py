"""Why terms are our own: what SymPy makes of bound indices, and what this package makes of the same.

Each test asserts SymPy's wrong answer, so that the reason stays visible. Where one fails because SymPy has changed,
``docs/decisions/0001-own-terms.md`` may be looked at again; nothing else depends on it.
"""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy
from evaluator import World

from kernelproof.symbolic.binding import alpha_equal, free_variables, substitute
from kernelproof.symbolic.core.equality import arithmetic, instantiation, positivity, reflexivity
from kernelproof.symbolic.core.folds import sum_scaled
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.terms import ZERO, Entry, Fold, Var, exp, size, total, variables

CHANGED = "SymPy no longer does what docs/decisions/0001-own-terms.md says: the decision may be looked at again"
i, j, k, l, y, c = variables("i j k l y c")
n = size("n")
I, J, K, L, Y, N = sympy.symbols("i j k l y N", integer=True)
X, F = sympy.IndexedBase("x"), sympy.IndexedBase("f")


def test_row_sums_are_not_column_sums() -> None:
    rows = sympy.Sum(sympy.exp(sympy.Sum(F[I, J], (J, 0, N - 1))), (I, 0, N - 1))
    columns = sympy.Sum(sympy.exp(sympy.Sum(F[L, K], (L, 0, N - 1))), (K, 0, N - 1))
    assert rows.dummy_eq(columns) is True, CHANGED
    collapsed = rows.as_dummy().function.args[0].function
    assert len(set(collapsed.indices)) == 1, CHANGED  # f[_0, _0]

    ours = total(i, n, exp(total(j, n, Entry("f", i, j))))
    assert not alpha_equal(ours, total(k, n, exp(total(l, n, Entry("f", l, k)))))
    assert alpha_equal(ours, total(k, n, exp(total(l, n, Entry("f", k, l)))))


def test_a_term_put_in_is_not_captured() -> None:
    weighted = sympy.Sum(X[J] * Y, (J, 0, N - 1))
    assert weighted.subs(Y, X[J]) == sympy.Sum(X[J] ** 2, (J, 0, N - 1)), CHANGED
    nested = sympy.Sum(X[J] * F[K, J], (J, 0, N - 1))
    assert nested.subs(K, J) == sympy.Sum(X[J] * F[J, J], (J, 0, N - 1)), CHANGED

    put = substitute(total(j, n, Entry("x", j) * y), {y: Entry("x", j)})
    assert alpha_equal(put, total(i, n, Entry("x", i) * Entry("x", j))) and free_variables(put) == {j, n}
    put = substitute(total(j, n, Entry("x", j) * Entry("f", k, j)), {k: j})
    assert alpha_equal(put, total(i, n, Entry("x", i) * Entry("f", j, i)))


def test_a_derivative_confuses_bound_and_free() -> None:
    """d/dx[l] of Σ_l exp(x[l]) is exp(x[l]), not the sum. This package has no rule of calculus yet."""
    wrong = sympy.Sum(sympy.exp(X[L]), (L, 0, N - 1)).diff(X[L])
    assert wrong == sympy.Sum(sympy.exp(X[L]), (L, 0, N - 1)), CHANGED


def test_nothing_cancels_by_itself() -> None:
    assert X[J] / X[J] == 1, CHANGED
    assert 0 * sympy.Sum(1 / X[J], (J, 0, N - 1)) == 0, CHANGED

    entry = Entry("x", j)
    assert (entry / entry).name == "div"
    with pytest.raises(ProofError):
        arithmetic((), entry / entry, 1)
    # 0·t = 0 is true here, as 1/0 = 0 gives every term a value
    assert arithmetic((), 0 * total(j, n, 1 / entry), ZERO).hypotheses == ()


def test_sums_are_not_flattened() -> None:
    flat = sympy.Sum(sympy.Sum(F[I, J], (J, 0, N - 1)), (I, 0, N - 1))
    assert len(flat.limits) == 2, CHANGED

    ours = total(i, n, total(j, n, Entry("f", i, j)))
    assert isinstance(ours.body, Fold)


def test_an_empty_range_is_an_empty_sum() -> None:
    assert sympy.Sum(X[I], (I, 3, 1)).doit() == -X[2], CHANGED

    assert World({n: Fraction(-2)}).value(total(i, n, Entry("x", i) + 7)) == 0


def test_scaling_does_not_divide_by_zero() -> None:
    """From Σ g = Σ y·g/y with y := 0 SymPy makes zoo·Σ 0; here the sum keeps its factor and y/y does not cancel."""
    scaled = sympy.Sum(Y * X[I], (I, 0, N - 1)) / Y
    assert scaled.subs(Y, 0).has(sympy.zoo), CHANGED

    out = sum_scaled((), total(i, n, y * Entry("x", i)))
    with pytest.raises(ProofError):
        arithmetic((), out.right / y, total(i, n, Entry("x", i)))


def test_assumptions_are_hypotheses() -> None:
    """A positive symbol may be replaced by −1 without a word; here a hypothesis goes along."""
    positive_symbol = sympy.Symbol("c", positive=True)
    assert positive_symbol.is_positive and (positive_symbol > 0) == True, CHANGED  # noqa: E712
    assert sympy.Sum(positive_symbol, (I, 0, N - 1)).subs(positive_symbol, -1).function == -1, CHANGED

    with pytest.raises(ProofError):
        positivity((), c)


def test_a_size_stays_natural() -> None:
    length = size("n")
    with pytest.raises(ProofError, match="natural"):
        instantiation((reflexivity((), length),), {length: Var("a")}, {})
    with pytest.raises(ProofError, match="natural"):
        instantiation((reflexivity((), length),), {length: ZERO - 1}, {})


def test_a_reserved_name_is_refused() -> None:
    """With ``#0`` for canonical bound names and for a user's variable, Σ_i f[i, #0] would be Σ_i f[i, i]."""
    with pytest.raises(TypeError, match="#"):
        Var("#0")
