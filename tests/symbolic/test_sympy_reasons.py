"""Why terms are our own: what SymPy makes of bound indices, empty ranges, divisions and assumptions, and what this package does.

Each test asserts SymPy's unsound answer, so that the reason stays visible, and that the same step is refused or right here. Where one
fails because SymPy has changed, ``docs/decisions/0001-own-terms.md`` may be looked at again; nothing else depends on it.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import pytest
import sympy
from sympy.concrete.delta import deltasummation

from kernelproof.symbolic.binding import alpha_equal, free_variables, substitute
from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.logic import assumption, instantiation, reflexivity
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import derivative, nonzero, permutation, positive, within
from kernelproof.symbolic.soundness.evaluator import World
from kernelproof.symbolic.tactics.calculus import T, curve, differentiate, slope_of
from kernelproof.symbolic.tactics.rewriting import use
from kernelproof.symbolic.tactics.signs import positivity
from kernelproof.symbolic.tactics.sums import reindexed, sum_delta, sum_scaled, sum_split
from kernelproof.symbolic.terms import (
    ONE,
    ZERO,
    Entry,
    Fold,
    Lambda,
    Num,
    Op,
    Term,
    Var,
    delta,
    exp,
    less,
    maximum_of,
    size,
    total,
    variables,
)

CHANGED = "SymPy no longer does what docs/decisions/0001-own-terms.md says: the decision may be looked at again"
a, b, i, j, k, l, y, c = variables("a b i j k l y c")
n, m = size("n"), size("m")
I, J, K, L, Y, N = sympy.symbols("i j k l y N", integer=True)
X, F, V = sympy.IndexedBase("x"), sympy.IndexedBase("f"), sympy.IndexedBase("V")


def test_row_sums_are_not_column_sums() -> None:
    rows = sympy.Sum(sympy.exp(sympy.Sum(F[I, J], (J, 0, N - 1))), (I, 0, N - 1))
    columns = sympy.Sum(sympy.exp(sympy.Sum(F[L, K], (L, 0, N - 1))), (K, 0, N - 1))
    assert rows.dummy_eq(columns) is True, CHANGED
    collapsed = rows.as_dummy().function.args[0].function
    assert len(set(collapsed.indices)) == 1, CHANGED  # f[_0, _0]

    ours = total(i, n, exp(total(j, n, Entry("f", i, j))))
    assert not alpha_equal(ours, total(k, n, exp(total(l, n, Entry("f", l, k)))))
    assert alpha_equal(ours, total(k, n, exp(total(l, n, Entry("f", k, l)))))


@pytest.mark.parametrize("put", [lambda e, old, new: e.subs(old, new), lambda e, old, new: e.xreplace({old: new}),
                                 lambda e, old, new: e.replace(old, new)], ids=["subs", "xreplace", "replace"])
def test_a_term_put_in_is_not_captured(put: Callable[[sympy.Expr, sympy.Expr, sympy.Expr], sympy.Expr]) -> None:
    weighted = sympy.Sum(X[J] * Y, (J, 0, N - 1))
    assert put(weighted, Y, X[J]) == sympy.Sum(X[J] ** 2, (J, 0, N - 1)), CHANGED
    nested = sympy.Sum(X[J] * F[K, J], (J, 0, N - 1))
    assert put(nested, K, J) == sympy.Sum(X[J] * F[J, J], (J, 0, N - 1)), CHANGED

    made = substitute(total(j, n, Entry("x", j) * y), {y: Entry("x", j)})
    assert alpha_equal(made, total(i, n, Entry("x", i) * Entry("x", j))) and free_variables(made) == {j, n}
    made = substitute(total(j, n, Entry("x", j) * Entry("f", k, j)), {k: j})
    assert alpha_equal(made, total(i, n, Entry("x", i) * Entry("f", j, i)))


def test_a_derivative_does_not_confuse_bound_and_free() -> None:
    """d/dx[l] of Σ_l exp(x[l]) is exp(x[l]), not the sum."""
    wrong = sympy.Sum(sympy.exp(X[L]), (L, 0, N - 1)).diff(X[L])
    assert wrong == sympy.Sum(sympy.exp(X[L]), (L, 0, N - 1)), CHANGED

    moving = curve("X", "U", ((j, n),))
    made = differentiate(Lambda((T,), total(l, n, exp(Entry("X", T, l)))), ZERO, moving)
    one = instantiation((made,), {}, {"X": Lambda((T, j), Entry("x", j) + T * delta(j, l)), "U": Lambda((j,), delta(j, l))})
    world = World({n: Fraction(3), l: Fraction(1)})
    assert world.holds(one.conclusion)
    assert alpha_equal(slope_of(one), total(k, n, exp(Entry("x", k) + ZERO * delta(k, l)) * delta(k, l)))


def test_nothing_is_simplified_at_construction() -> None:
    assert X[J] / X[J] == 1, CHANGED
    assert 0 * sympy.Sum(1 / X[J], (J, 0, N - 1)) == 0, CHANGED
    assert 1 / sympy.exp(Y) == sympy.exp(-Y) and sympy.exp(K) * sympy.exp(2 * K) == sympy.exp(3 * K), CHANGED
    mask = sympy.Piecewise((1, J <= I), (0, True))
    folded = sympy.Sum(V[J] * mask, (J, 0, N - 1)).function
    assert isinstance(folded, sympy.Piecewise), CHANGED  # the condition has swallowed the factor

    entry = Entry("x", j)
    assert (entry / entry).name == "div" and (1 / exp(y)).name == "div"
    assert isinstance(total(j, n, Entry("v", j) * less(j, i)).body, Op)
    with pytest.raises(ProofError):
        arithmetic((), entry / entry, ONE)
    # 0·t = 0 is true here, as 1/0 = 0 gives every term a value
    assert arithmetic((), 0 * total(j, n, 1 / entry), ZERO).hypotheses == ()


def test_sums_are_not_flattened() -> None:
    flat = sympy.Sum(sympy.Sum(F[I, J], (J, 0, N - 1)), (I, 0, N - 1))
    assert len(flat.limits) == 2, CHANGED

    ours = total(i, n, total(j, n, Entry("f", i, j)))
    assert isinstance(ours.body, Fold)


def test_an_empty_range_is_an_empty_sum() -> None:
    """Karr's convention subtracts where the upper limit is below the lower one."""
    assert sympy.Sum(X[I], (I, 3, 1)).doit() == -X[2], CHANGED

    assert World({n: Fraction(-2)}).value(total(i, n, Entry("x", i) + 7)) == 0


def test_scaling_does_not_divide_by_zero() -> None:
    """From Σ g = Σ y·g/y with y := 0 SymPy makes zoo·Σ 0; here the sum keeps its factor and y/y does not cancel."""
    scaled = sympy.Sum(Y * X[I], (I, 0, N - 1)) / Y
    assert scaled.subs(Y, 0).has(sympy.zoo), CHANGED

    out = sum_scaled(total(i, n, y * Entry("x", i)))
    with pytest.raises(ProofError):
        arithmetic((), out.right / y, total(i, n, Entry("x", i)))
    under = arithmetic((assumption((), nonzero(y)),), out.right / y, total(i, n, Entry("x", i)))
    assert instantiation((under,), {y: ZERO}, {}).hypotheses == (nonzero(0),)  # true of nothing


def test_assumptions_are_hypotheses_and_go_along() -> None:
    """A positive symbol may be replaced by −1, a real tensor by iπ, without a word; here a hypothesis goes along."""
    positive_symbol = sympy.Symbol("c", positive=True)
    assert positive_symbol.is_positive and (positive_symbol > 0) == True, CHANGED  # noqa: E712
    assert sympy.Sum(positive_symbol, (I, 0, N - 1)).subs(positive_symbol, -1).function == -1, CHANGED
    real = sympy.IndexedBase("x", real=True)
    assert sympy.exp(real[I]).is_positive and sympy.exp(real[I]).subs(real[I], sympy.I * sympy.pi) == -1, CHANGED

    with pytest.raises(ProofError):
        positivity(c)
    made = instantiation((positivity(c, assumption((), positive(c))),), {c: Num(-1)}, {})
    assert made.hypotheses == (positive(-1),)
    with pytest.raises(TypeError):
        instantiation((use("exp_positive", a=Entry("x", i)),), {}, {"x": Lambda((j,), 1j)})  # type: ignore[arg-type]


def test_a_size_stays_natural() -> None:
    """Σ over n = −2 or n = 1/2, and a split off of −2 terms, are things that SymPy writes down."""
    split = sympy.Sum(X[I], (I, 0, N + K - 1))
    assert split.subs(K, -N - 2).doit() == -X[-1] - X[-2], CHANGED

    parts = sum_split(total(i, n + m, Entry("x", i)))
    for value in (Num(-2), ZERO - 1, Var("a"), n - m, ONE / 2):
        with pytest.raises(ProofError, match="natural"):
            instantiation((reflexivity((), n),), {n: value}, {})
        with pytest.raises(ProofError, match="natural"):
            instantiation((parts,), {m: value}, {})
    empty = instantiation((use("maximum_split", f=Lambda((j,), Entry("x", j)), g=Lambda((j,), ONE)),), {n: ZERO}, {})
    assert World({m: Fraction(3)}).holds(empty.conclusion) and World({m: Fraction(0)}).holds(empty.conclusion)


def test_a_reserved_name_is_refused() -> None:
    """With ``#0`` for canonical bound names and for a user's variable, Σ_i f[i, #0] would be Σ_i f[i, i]."""
    named = sympy.Symbol("#0")
    renamed = sympy.Sum(F[I, named], (I, 0, N - 1)).subs(I, named)
    assert renamed == sympy.Sum(F[I, named], (I, 0, N - 1)) and sympy.Symbol("#0") == named, CHANGED

    with pytest.raises(TypeError, match="#"):
        Var("#0")


def test_a_permutation_is_renamed_in_hypothesis_and_statement() -> None:
    """SymPy's substitution of an applied function by name leaves the statement as it was."""
    sigma, rho = sympy.Function("sigma"), sympy.Function("rho")
    bijection = sympy.Eq(sympy.Sum(X[sigma(I)], (I, 0, N - 1)), sympy.Sum(X[I], (I, 0, N - 1)))
    assert bijection.xreplace({sympy.Symbol("sigma"): sympy.Symbol("rho")}).has(sigma) and not bijection.has(rho), CHANGED

    made = instantiation((reindexed("s")(total(j, n, Entry("x", j))),), {}, {"s": Lambda((j,), Entry("r", j))})
    assert made.hypotheses == (permutation("r", n),)
    assert alpha_equal(made.right, total(j, n, Entry("x", Entry("r", j))))


def test_there_is_no_infinity() -> None:
    """x − x is 0, and with x := ∞ it is nan: an equation that SymPy has simplified cannot be instantiated."""
    real = sympy.Symbol("r", real=True)
    assert real - real == 0 and sympy.oo - sympy.oo is sympy.nan and 0 * sympy.oo is sympy.nan, CHANGED
    assert (1 / Y).subs(Y, 0) is sympy.zoo and sympy.Max().is_infinite, CHANGED

    for value in (float("inf"), float("nan"), sympy.oo, sympy.zoo, sympy.nan):
        with pytest.raises(TypeError):
            Num(value)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            instantiation((reflexivity((), a - a),), {a: value}, {})  # type: ignore[dict-item]
    with pytest.raises(ProofError, match="nan or infinity"):
        arithmetic((assumption((), nonzero(a - a)),), 1 / (a - a), ONE)
    assert World().value(ONE / 0) == 0 and World().value(maximum_of(i, 0, i)) == 0


def test_a_step_at_zero_is_zero_and_no_derivative() -> None:
    """SymPy's derivative of max(0, x) at 0 is Heaviside(0) = 1/2: there is none."""
    real = sympy.Symbol("r", real=True)
    slope = sympy.Max(0, real).diff(real)
    assert slope == sympy.Heaviside(real) and slope.subs(real, 0) == sympy.Rational(1, 2), CHANGED

    assert World().value(less(ZERO, ZERO)) == 0
    made = differentiate(Lambda((T,), Op("max", ZERO, T)), a)
    assert made.hypotheses == (nonzero(a),) and World({a: Fraction(2)}).holds(made.conclusion)
    at_zero = instantiation((made,), {a: ZERO}, {})
    assert at_zero.hypotheses == (nonzero(0),)
    for value in (ZERO, ONE / 2, ONE):
        assert not World().holds(derivative(Lambda((T,), Op("max", ZERO, T)), 0, value))
    with pytest.raises(ProofError):  # max(x, c) and max over a range have no derivative at all here
        differentiate(Lambda((T,), maximum_of(j, n, T * Entry("x", j))), a)


def test_a_contraction_keeps_its_range() -> None:
    """Without Piecewise, SymPy's Σ_v δ(v, t)·w[v] is w[t] for every t, in the range or not."""
    one_hot = sympy.KroneckerDelta(K, I) * V[K]
    assert deltasummation(one_hot, (K, 0, N - 1), no_piecewise=True) == V[I], CHANGED

    made = sum_delta(total(k, n, delta(k, i) * Entry("w", k)))
    assert made.hypotheses == (within(i, n),)
    outside = World({n: Fraction(2), i: Fraction(5)}, {"w": lambda at: at + 1})
    assert not outside.holds(made.conclusion) and not outside.holds(made.hypotheses[0])


def test_terms_of_the_core_are_not_sympys() -> None:
    for value in (sympy.Symbol("x"), sympy.Integer(1), X[I]):
        with pytest.raises(TypeError):
            Op("add", value, ONE)
    assert isinstance(ONE + 1, Term)
