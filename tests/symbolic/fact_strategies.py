"""Random theorems for the rules to be applied to: equations, statements about indices, positions in formulas."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from generators import (
    ANALYTIC,
    INDICES,
    PAIRED,
    RATIONAL,
    REALS,
    SIZES,
    formulas,
    natural,
    terms,
)
from hypothesis import assume
from hypothesis import strategies as st

from kernelproof.symbolic.binding import positions, replace_at
from kernelproof.symbolic.core import definitions, logic
from kernelproof.symbolic.core.algebra import arithmetic as prove
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.formulas import Formula, equation, within
from kernelproof.symbolic.tactics.rewriting import use
from kernelproof.symbolic.tactics.sums import reindexed, sum_constant, sum_delta, sum_scaled
from kernelproof.symbolic.terms import ONE, ZERO, Entry, Num, Op, Term, delta, exp, total

Draw = Callable[..., Any]
i, j, k = INDICES
a, b, _ = REALS
n, m = SIZES
ANY = RATIONAL + ANALYTIC
assumed = logic.assumption


@cache
def binary(*names: str) -> Callable[[st.SearchStrategy[Term]], st.SearchStrategy[Term]]:
    return lambda part: st.builds(lambda name, one, two: Op(name, one, two), st.sampled_from(names), part, part)


SMALL = st.recursive(
    st.sampled_from((a, b, ZERO, ONE)),
    lambda part: st.one_of(binary("add", "sub", "mul", "div")(part), part.map(Term.__neg__), part.map(exp), part.map(lambda one: one**2)),
    max_leaves=4,
)


def close_enough(value: Term) -> st.SearchStrategy[Term]:
    """Terms that arithmetic shows equal to this one, now and then."""
    zero = terms(1).map(lambda part: value + (part - part))
    return st.sampled_from([value, value * 1, value + 0, 0 + value, 0 - -value, value - 0, 2 * value - value]) | zero


@st.composite
def simple_facts(draw: Draw) -> Theorem:
    """An assumed equation about an index that holds for some of its values, and not for others."""
    at = draw(st.sampled_from(INDICES))
    left = draw(st.sampled_from((at, Entry("x", at), delta(at, 0), at**2)))
    return assumed((), equation(left, draw(st.sampled_from((ZERO, ONE, Entry("x", ZERO), Entry("x", j))))))


@st.composite
def delta_sums(draw: Draw) -> Term:
    var, point = draw(st.sampled_from(INDICES)), draw(terms(0))
    assume(var is not point)
    picked = draw(st.sampled_from((delta(var, point), delta(point, var))))
    rest = draw(terms(2))
    return total(var, draw(natural()), draw(st.sampled_from((picked * rest, rest * picked))))


@st.composite
def facts(draw: Draw) -> Theorem:
    """An equation: assumed, by arithmetic, of folds, of a definition, with hypotheses about the indices."""
    kind = draw(st.sampled_from(("assumed", "simple", "arithmetic", "delta", "permuted", "definition", "scaled", "constant")))
    fold = total(draw(st.sampled_from(INDICES)), draw(natural()), draw(terms(1)))
    match kind:
        case "assumed":
            return assumed((), draw(st.builds(equation, terms(1), terms(1))))
        case "simple":
            return draw(simple_facts())
        case "constant":
            return sum_constant(total(fold.var, fold.size, draw(st.sampled_from(REALS))))
        case "arithmetic":
            value = draw(terms(2))
            return prove((), value, draw(close_enough(value)))
        case "delta":
            return sum_delta(draw(delta_sums()))
        case "permuted":
            return reindexed("s")(fold)
        case "definition":
            return definitions.unfolding((), PAIRED.call({}, 2 * draw(st.sampled_from(INDICES))), 0)
    return sum_scaled(total(fold.var, fold.size, a * fold.body))


@st.composite
def statements(draw: Draw) -> Theorem:
    """A theorem whose hypotheses say something of an index: its range, or more than that."""
    var = draw(st.sampled_from(INDICES))
    at = draw(st.sampled_from((var, var, draw(st.sampled_from(INDICES)))))
    length = draw(st.sampled_from((n, n, m, Num(2), n + m, Entry("x", i), Entry("x", j))))
    inside = within(at, length)
    match draw(st.sampled_from(("range", "positive", "integer", "delta", "assumed", "fact"))):
        case "range":
            return assumed((), inside)
        case "positive":
            return use("index_below", assumed((), within(at, n)), a=at, n=n)
        case "integer":
            return use("index_is_integer", assumed((), within(at, n)), a=at, n=n)
        case "delta":
            return assumed((), equation(total(k, n, delta(k, at)), ONE))
        case "assumed":
            return assumed((), draw(formulas()))
    return draw(facts())


@st.composite
def contexts(draw: Draw, fact: Theorem) -> tuple[Theorem, tuple[int, ...]]:
    """A theorem with the left side of an equation somewhere in it: one position of a random formula replaced, and assumed or reflexive."""
    whole = draw(st.one_of(formulas(2), st.builds(lambda value: equation(value, value), terms(2))))
    places = [path for path, part in positions(whole) if isinstance(part, Term) and not _in_exponent(whole, path)]
    path = draw(st.sampled_from(places))
    placed = replace_at(whole, path, fact.left)
    if placed.name == "eq" and draw(st.booleans()):
        return logic.reflexivity((), placed.left), path if path[0] == 0 else (0,)
    return assumed((), placed), path


def _in_exponent(whole: Formula, path: tuple[int, ...]) -> bool:
    return any(isinstance(part, Op) and part.name == "pow" and path == (*above, 1) for above, part in positions(whole))


def identities(one: Term, two: Term) -> tuple[tuple[Term, Term], ...]:
    """Pairs of terms that are equal for all values, and pairs that are not."""
    return (
        (exp(one + two), exp(one) * exp(two)), (exp(one - two), exp(one) / exp(two)), (1 / exp(one), exp(-one)),
        (exp(one) ** 2, exp(2 * one)), (exp(one) / (exp(one) * exp(two)), exp(-two)), (exp(ZERO) * one, one),
        (1 / (one * two), 1 / one * (1 / two)), (1 / (one / two), two / one), (1 / -one, -(1 / one)), (one**0, ONE),
        (Num(3) / 0, ZERO), (one / (two / 2), 2 * one / two), ((one + two) ** 2, one**2 + 2 * one * two + two**2),
        # and some that are false, which must be refused
        (1 / (one / two), 1 / (one * two)), (one / one, ONE), (1 / (one + two), 1 / one + 1 / two), (exp(one * two), exp(one) * exp(two)),
        (1 / exp(one), exp(one)), (exp(one) - exp(two), exp(one - two)), (one / 0, one), (1 / -one, 1 / one), (exp(-one), -exp(one)),
        (one / two * two, one), (Op("max", one, two), one + two), ((one * two) ** 2, one**2 * two), (one**0, ZERO),
    )
