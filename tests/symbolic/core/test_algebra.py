"""Field arithmetic: what is shown, what is refused, and that nothing is divided by without a premise."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy
from fact_strategies import identities
from generators import terms, worlds
from hypothesis import given, settings

from kernelproof.symbolic.core.algebra import Arithmetic, arithmetic, equal
from kernelproof.symbolic.core.logic import assumption
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import Formula, equation, nonzero, positive
from kernelproof.symbolic.soundness.evaluator import World, same
from kernelproof.symbolic.terms import ONE, PI, ZERO, Entry, Num, Op, Term, delta, exp, log, maximum_of, size, sqrt, term, total, variables

a, b, c, i, j, k = variables("a b c i j k")
n = size("n")
x = Entry("x", i)


def known(*formulas: Formula) -> tuple[Theorem, ...]:
    return tuple(assumption((), formula) for formula in formulas)


@pytest.mark.parametrize(
    ("left", "right", "premises"),
    [
        ((a + b) ** 2, a**2 + 2 * a * b + b**2, ()),
        (a / b * b, a, (nonzero(b),)),
        (a / b + c / b, (a + c) / b, ()),
        (1 / (a * b), 1 / a * (1 / b), ()),
        (a / (b / c), a * c / b, ()),
        (1 / exp(a), exp(-a), ()),
        (exp(a) / exp(a), ONE, ()),
        (exp(a + b) / exp(b), exp(a), ()),
        (exp(2 * a), exp(a) ** 2, ()),
        (exp(ZERO), ONE, ()),
        (a / 0, ZERO, ()),
        (a**0, ONE, ()),
        (ZERO**0, ONE, ()),
        (a / a, ONE, (positive(a),)),
        ((a**2 - b**2) / (a - b), a + b, (nonzero(a - b),)),
        (1 / a + 1 / b, (a + b) / (a * b), (nonzero(a), nonzero(b))),
        (x - x, ZERO, ()),
        (total(j, n, x) * 2, total(k, n, x) + total(j, n, x), ()),
        (Num(Fraction(1, 3)) * a * 3, a, ()),
        (1 / (1 / (1 / a)), 1 / a, ()),
    ],
)
def test_what_is_shown(left: Term, right: Term, premises: tuple[Formula, ...]) -> None:
    made = arithmetic(known(*premises), left, right)
    assert made.hypotheses == premises and made.conclusion is equation(left, right)


@pytest.mark.parametrize(
    ("left", "right", "premises"),
    [
        (a, b, ()),
        (a / a, ONE, ()),
        (a / b * b, a, ()),
        (a / b * b, a, (nonzero(a),)),
        (a * b / (a * b), ONE, (nonzero(a),)),
        (1 / (a + b), 1 / a + 1 / b, (nonzero(a), nonzero(b))),
        (exp(a * b), exp(a) * exp(b), ()),
        (exp(a) + exp(b), exp(a + b), ()),
        (exp(a) / exp(a) * (b / b), ONE, ()),
        (log(exp(a)), a, ()),
        (sqrt(a) * sqrt(a), a, ()),
        (sqrt(a**2), a, ()),
        (Op("sin", a) ** 2 + Op("cos", a) ** 2, ONE, ()),
        (exp(log(a)), a, (positive(a),)),
        (Op("max", a, b), Op("max", b, a), ()),
        (Op("erf", -a), -Op("erf", a), ()),
        (delta(a, a), ONE, ()),
        (total(i, n, x), total(i, n, Entry("x", j)), ()),
        (total(i, n, x + 1), total(i, n, 1 + x), ()),
        (maximum_of(i, n, x), total(i, n, x), ()),
        (Op("sin", 2 * PI), ZERO, ()),
        (a / 0, a, ()),
        (1 / (1 / a), a * 1 * (1 / a) * a, ()),
        (1 / a + 1 / b, (a + b) / (a * b), (nonzero(a * b),)),  # true, but the factors of a premise are not looked at
    ],
)
def test_what_is_refused(left: Term, right: Term, premises: tuple[Formula, ...]) -> None:
    with pytest.raises(ProofError):
        arithmetic(known(*premises), left, right)


def test_a_contradiction_may_be_used_but_stays_a_hypothesis() -> None:
    """From 0 ≠ 0 anything may follow; what SymPy makes of 1/0 does not reach a conclusion without it."""
    false = nonzero(a - a)
    for left, right in ((1 / (a - a), ZERO), ((a - a) / (a - a), ONE), (exp(1 / (a - a)), ZERO), (1 / (a - a) - 1 / (a - a), ZERO)):
        try:
            made = arithmetic(known(false), left, right)
        except ProofError:
            continue
        assert made.hypotheses == (false,)
    with pytest.raises(ProofError, match="nan or infinity"):
        arithmetic(known(false), 1 / (a - a), ONE)


def test_equations_need_a_cofactor_each() -> None:
    fact = assumption((), equation(a, b))
    made = arithmetic((fact,), 3 * a, 3 * b, (Num(3),))
    assert made.hypotheses == (equation(a, b),)
    for cofactors in ((), (ONE,), (ONE, ONE), (-Num(3),)):
        with pytest.raises(ProofError):
            arithmetic((fact,), 3 * a, 3 * b, cofactors)
    with pytest.raises(ProofError, match="premises must be"):
        arithmetic((assumption((), Formula("integer", a)),), a, a)


def test_sympy_sees_plain_symbols_only() -> None:
    """No sum, index, function or assumption of ours reaches SymPy: what it may get wrong about them cannot matter."""
    value = total(i, n, x) / (a + b) + Op("max", a, b) * exp(log(a) - sqrt(b)) + delta(i, j) * PI - 1 / a
    seen = Arithmetic([a + b]).translate(value)
    kinds = {type(part) for part in sympy.preorder_traversal(seen)}
    assert all(issubclass(kind, (sympy.Add, sympy.Mul, sympy.Pow, sympy.exp, sympy.Dummy, sympy.Number)) for kind in kinds), kinds
    assert not any(symbol.is_real or symbol.is_positive or symbol.is_integer for symbol in seen.free_symbols)
    assert not any(part.is_Pow and not part.exp.is_Integer for part in sympy.preorder_traversal(seen))


@settings(max_examples=settings.default.max_examples // 2, deadline=None)
@given(terms(3), terms(1), terms(1), worlds())
def test_a_yes_is_true_where_the_premises_are(value: Term, divisor: Term, other: Term, world: World) -> None:
    """Rewritten by hand in ways that need the divisor to be nonzero, or not."""
    for left, right in (
        *identities(divisor, other), *identities(other, divisor),
        (value * divisor / divisor, value), (value / divisor * divisor, value), (value / (divisor * other), value / divisor / other),
        (other / divisor + value, (other + value * divisor) / divisor), (divisor / divisor, term(1)), (other / other, term(1)),
    ):
        try:
            shown = equal(left, right, frozenset([divisor]))
        except ProofError:
            continue
        if shown and world.holds(nonzero(divisor)):
            assert same(world.value(left), world.value(right))


def test_atoms_are_equal_up_to_bound_names() -> None:
    assert equal(total(i, n, Entry("x", i)) - total(j, n, Entry("x", j)), ZERO, frozenset())
    assert not equal(total(i, n, Entry("f", i, j)) - total(j, n, Entry("f", j, i)), ZERO, frozenset())
