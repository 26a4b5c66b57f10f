"""For each rule of equational logic, a strategy of theorems that it made from random premises and arguments, refusals included."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from generators import ANALYTIC, INDICES, PAIRED, RATIONAL, REALS, SIZES, folds, lambdas, sizes, sums, terms
from hypothesis import assume
from hypothesis import strategies as st

from kernelproof.symbolic.binding import positions
from kernelproof.symbolic.core import definitions, equality
from kernelproof.symbolic.core import folds as rules_of_folds
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.formulas import Formula, equation, integer, nonzero, permutation, positive, within
from kernelproof.symbolic.terms import ONE, PI, ZERO, Entry, Fold, Lambda, Num, Op, Term, Var, delta, exp, total

Draw = Callable[..., Any]
i, j, k = INDICES
a, b, _ = REALS
n, m = SIZES
ANY = RATIONAL + ANALYTIC
ASSUMED = equality.assumption
natural = st.one_of(st.sampled_from(SIZES), st.builds(Num, st.integers(0, 2)))


@cache
def binary(*names: str) -> Callable[[st.SearchStrategy[Term]], st.SearchStrategy[Term]]:
    return lambda part: st.builds(lambda name, one, two: Op(name, one, two), st.sampled_from(names), part, part)


SMALL = st.recursive(
    st.sampled_from((a, b, ZERO, ONE)),
    lambda part: st.one_of(binary("add", "sub", "mul", "div")(part), part.map(Term.__neg__), part.map(exp), part.map(lambda one: one**2)),
    max_leaves=4,
)
SIGNED = st.recursive(
    st.sampled_from((PI, exp(a), ZERO, ONE, Num(3), b, n, Entry("x", i), Entry("x", j))),
    lambda part: st.one_of(
        binary("add", "sub", "mul", "sub", "div", "max")(part), part.map(lambda one: Op("sqrt", one)), part.map(lambda one: one**2),
        folds(part, lengths=natural),
    ),
    max_leaves=4,
)


def formulas(depth: int = 1) -> st.SearchStrategy[Formula]:
    part = terms(depth)
    return st.one_of(
        st.builds(equation, part, part), st.builds(positive, part), st.builds(nonzero, part), st.builds(integer, part),
        st.builds(within, st.sampled_from(INDICES), sizes()), st.builds(lambda length: permutation("s", length), natural),
    )


def close_enough(value: Term) -> st.SearchStrategy[Term]:
    """Terms that arithmetic shows equal to this one, now and then."""
    zero = terms(1).map(lambda part: value + (part - part))
    return st.sampled_from([value, value * 1, value + 0, 0 + value, 0 - -value, value - 0, 2 * value - value]) | zero


@st.composite
def facts(draw: Draw) -> Theorem:
    """An equation: assumed, by arithmetic, of folds, of a definition, with hypotheses about the indices."""
    kind = draw(st.sampled_from(("assumed", "simple", "arithmetic", "delta", "permuted", "definition", "scaled", "constant")))
    match kind:
        case "assumed":
            return ASSUMED((), draw(st.builds(equation, terms(1), terms(1))))
        case "simple":
            return draw(simple_facts())
        case "constant":
            return rules_of_folds.sum_constant((), total(draw(st.sampled_from(INDICES)), draw(natural), draw(st.sampled_from(REALS))))
        case "arithmetic":
            value = draw(terms(2))
            return equality.arithmetic((), value, draw(close_enough(value)))
        case "delta":
            return rules_of_folds.sum_delta((), draw(delta_sums()))
        case "permuted":
            return rules_of_folds.fold_reindexed((), draw(folds(terms(1), lengths=natural)), "s")
        case "definition":
            return definitions.unfolding((), PAIRED.call({}, 2 * draw(st.sampled_from(INDICES))), 0)
    fold = draw(sums(terms(1)))
    return rules_of_folds.sum_scaled((), total(fold.var, fold.size, a * fold.body))


@st.composite
def simple_facts(draw: Draw) -> Theorem:
    """An assumed equation about an index that holds for some of its values, and not for others."""
    at = draw(st.sampled_from(INDICES))
    left = draw(st.sampled_from((at, Entry("x", at), delta(at, 0), at**2)))
    return ASSUMED((), equation(left, draw(st.sampled_from((ZERO, ONE, Entry("x", ZERO), Entry("x", j))))))


@st.composite
def delta_sums(draw: Draw) -> Term:
    var, point = draw(st.sampled_from(INDICES)), draw(terms(0))
    assume(var is not point)
    picked = draw(st.sampled_from((delta(var, point), delta(point, var))))
    rest = draw(terms(2))
    return total(var, draw(sizes()), draw(st.sampled_from((picked * rest, rest * picked))))


@st.composite
def contexts(draw: Draw, fact: Theorem) -> tuple[Term, tuple[int, ...]]:
    """A term with the left side of an equation somewhere in it: one position of a random term replaced."""
    whole = draw(terms(2))
    places = [path for path, part in positions(whole) if isinstance(part, Term) and not _in_exponent(whole, path)]
    path = draw(st.sampled_from(places))
    return equality.replace_at(whole, path, fact.left), path


def _in_exponent(whole: Term, path: tuple[int, ...]) -> bool:
    return any(isinstance(part, Op) and part.name == "pow" and path == (*above, 1) for above, part in positions(whole))


# -- one strategy for each rule: a theorem that it made ---------------------------------------------------------------------------


@st.composite
def reflexivity(draw: Draw) -> Theorem:
    value = draw(terms(3, ANY))
    return equality.reflexivity((), value)


@st.composite
def symmetry(draw: Draw) -> Theorem:
    return equality.symmetry((draw(facts()),))


@st.composite
def transitivity(draw: Draw) -> Theorem:
    first = draw(facts())
    return equality.transitivity((first, ASSUMED((), equation(first.right, draw(terms(1))))))


@st.composite
def congruence(draw: Draw) -> Theorem:
    fact = draw(facts())
    whole, path = draw(contexts(fact))
    return equality.congruence((fact,), whole, path)


@st.composite
def congruence_under_a_sum(draw: Draw) -> Theorem:
    """The case where a range is discharged, with lengths that may speak of an outer variable of the same name."""
    var = draw(st.sampled_from((i, j)))
    length = draw(st.sampled_from((Entry("x", i), Entry("x", j), n)))
    inner = total(k, length, delta(k, var) * draw(st.sampled_from((ONE, a, Entry("f", k, var)))))
    fact = rules_of_folds.sum_delta((), inner)
    guard = draw(st.sampled_from((ONE, delta(var, a), ONE)))
    return equality.congruence((fact,), Fold(draw(st.sampled_from(("sum", "max"))), var, length, inner, guard), (2,))


@st.composite
def congruence_under_an_index(draw: Draw) -> Theorem:
    """An equation that holds for one value of an index, below a fold over that index or another."""
    fact = draw(simple_facts())
    body = draw(st.sampled_from((fact.left, fact.left * a)))
    whole = Fold(draw(st.sampled_from(("sum", "max"))), draw(st.sampled_from(INDICES)), draw(natural), body)
    return equality.congruence((fact,), whole, (2,) if body is fact.left else (2, 0))


@st.composite
def instantiation(draw: Draw) -> Theorem:
    values: dict[Var, Term] = {draw(st.sampled_from(INDICES + REALS)): draw(terms(1)) for _ in range(2)}
    anything = st.one_of(natural, st.sampled_from((Num(-1), n - 2, a, ONE / 2)))
    values |= {size: draw(anything) for size in draw(st.sets(st.sampled_from(SIZES)))}
    functions = {"x": draw(lambdas(1, terms(1))), "f": draw(lambdas(2, terms(1)))}
    if draw(st.booleans()):
        functions["s"] = Lambda((j,), Entry("r", j))
    return equality.instantiation((draw(facts()),), values, functions)


@st.composite
def instantiation_of_sizes(draw: Draw) -> Theorem:
    """Σ_{j<n} a = n·a is false for n that are not natural."""
    fact = rules_of_folds.sum_constant((), total(j, draw(st.sampled_from((n, n + m, n * m))), a))
    return equality.instantiation((fact,), {n: draw(st.sampled_from((m, Num(2), n * 2, n - 2, Num(-1), b, ONE / 2, -m)))}, {})


@st.composite
def assumption(draw: Draw) -> Theorem:
    return ASSUMED((), draw(formulas()))


@st.composite
def cut(draw: Draw) -> Theorem:
    given = draw(facts())
    assume(given.hypotheses)
    lemma = draw(st.sampled_from(given.hypotheses))
    return equality.cut((ASSUMED((), lemma), given))


@st.composite
def arithmetic(draw: Draw) -> Theorem:
    value, divisor = draw(terms(2)), draw(terms(1))
    known = ASSUMED((), draw(st.sampled_from((nonzero, positive, integer)))(divisor))
    return equality.arithmetic((known,), value * divisor / divisor, draw(close_enough(value)))


@st.composite
def arithmetic_with_equations(draw: Draw) -> Theorem:
    fact, factor = draw(facts()), draw(terms(1))
    left = draw(terms(1))
    return equality.arithmetic((fact,), left + factor * fact.left, left + factor * fact.right, (factor,))


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


@st.composite
def arithmetic_of_exponentials(draw: Draw) -> Theorem:
    return equality.arithmetic((), *draw(st.sampled_from(identities(draw(terms(1)), draw(terms(1))))))


@st.composite
def arithmetic_at_random(draw: Draw) -> Theorem:
    """Two random terms: nearly always refused, so they are small and of few letters."""
    premises = [ASSUMED((), nonzero(draw(SMALL))) for _ in range(draw(st.integers(0, 2)))]
    return equality.arithmetic(premises, draw(SMALL), draw(SMALL))


@st.composite
def positivity(draw: Draw) -> Theorem:
    """Random terms of the forms that are shown positive, and of some that are not."""
    known = draw(st.lists(st.sampled_from((b, n, m, Entry("x", i), Entry("x", j), a)), max_size=3))
    return equality.positivity([ASSUMED((), positive(part)) for part in known], draw(SIGNED))


@st.composite
def positive_is_nonzero(draw: Draw) -> Theorem:
    return equality.positive_is_nonzero((ASSUMED((), positive(draw(terms(1)))),))


@st.composite
def integer_difference(draw: Draw) -> Theorem:
    return equality.integer_difference(tuple(ASSUMED((), integer(draw(terms(1)))) for _ in range(2)))


EQUALITY: dict[str, tuple[st.SearchStrategy[Theorem], ...]] = {
    "reflexivity": (reflexivity(),),
    "symmetry": (symmetry(),),
    "transitivity": (transitivity(),),
    "congruence": (congruence(), congruence_under_a_sum(), congruence_under_an_index()),
    "instantiation": (instantiation(), instantiation_of_sizes()),
    "assumption": (assumption(),),
    "cut": (cut(),),
    "arithmetic": (arithmetic(), arithmetic_with_equations(), arithmetic_of_exponentials(), arithmetic_at_random()),
    "positivity": (positivity(),),
    "positive_is_nonzero": (positive_is_nonzero(),),
    "integer_difference": (integer_difference(),),
}
