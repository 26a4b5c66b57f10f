"""For each rule of the core, a strategy of theorems that it made from random premises and arguments, refusals included."""

from __future__ import annotations

from collections.abc import Callable

from equality_strategies import ASSUMED, EQUALITY, Draw, delta_sums, natural
from generators import INDICES, JOINED, PAIRED, PROBE, REALS, SIZES, folds, lambdas, sizes, sums, terms
from hypothesis import strategies as st

from kernelproof.symbolic.core import analysis, definitions
from kernelproof.symbolic.core import folds as rules_of_folds
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.formulas import equation, integer, positive
from kernelproof.symbolic.terms import ONE, PI, ZERO, Entry, Fold, Num, Op, Term, delta, total

i, j, _ = INDICES
a, b, _ = REALS
n, m = SIZES


def mostly_sums(body: Term) -> st.SearchStrategy[Term]:
    """Sums of this body; maxima and guarded sums too, which must be refused."""
    return st.one_of(sums(st.just(body)), sums(st.just(body)), folds(st.just(body)))


@st.composite
def sum_of_sums(draw: Draw) -> Theorem:
    body = draw(st.builds(lambda one, two, name: Op(name, one, two), terms(1), terms(1), st.sampled_from(("add", "sub"))))
    return rules_of_folds.sum_of_sums((), draw(mostly_sums(body)))


@st.composite
def sum_scaled(draw: Draw) -> Theorem:
    name = draw(st.sampled_from(("mul", "div", "neg")))
    body = Op(name, *(draw(terms(1)) for _ in range(1 if name == "neg" else 2)))
    return rules_of_folds.sum_scaled((), draw(mostly_sums(body)))


@st.composite
def sum_constant(draw: Draw) -> Theorem:
    lengths = draw(st.sampled_from((n, n * m, Entry("x", j), n - 2, Num(2), ONE / 2)))
    return rules_of_folds.sum_constant((), total(draw(st.sampled_from(INDICES)), lengths, draw(terms(1))))


@st.composite
def sum_exchange(draw: Draw) -> Theorem:
    return rules_of_folds.sum_exchange((), draw(sums(sums(terms(2)))))


@st.composite
def sum_split(draw: Draw) -> Theorem:
    length = st.builds(lambda one, two: one + two, sizes(), sizes())
    return rules_of_folds.sum_split((), draw(sums(terms(2), length)))


@st.composite
def sum_delta(draw: Draw) -> Theorem:
    return rules_of_folds.sum_delta((), draw(delta_sums()))


@st.composite
def fold_reindexed(draw: Draw) -> Theorem:
    var = draw(st.sampled_from(INDICES))
    body, guard = (draw(st.sampled_from((Entry("x", var), delta(var, 1), var, Entry("f", var, i), ONE))) for _ in range(2))
    simple = Fold(draw(st.sampled_from(("sum", "max"))), var, draw(st.sampled_from((n, n, m))), body, guard)
    return rules_of_folds.fold_reindexed((), draw(st.sampled_from((simple, draw(folds(terms(2), lengths=natural))))), "s")


@st.composite
def delta_same(draw: Draw) -> Theorem:
    return rules_of_folds.delta_same((), draw(terms(2)))


@st.composite
def definition(draw: Draw) -> Theorem:
    part = terms(1)
    match draw(st.sampled_from(("probe", "paired", "joined"))):
        case "probe":
            arguments = {"n": draw(sizes()), "t": draw(part), "x": draw(lambdas(1, part))}
            return definitions.unfolding((), PROBE.call(arguments, draw(part)))
        case "paired":
            arguments = {"n": draw(sizes()), "x": draw(lambdas(1, part))}
            at = draw(st.sampled_from((2 * i, 2 * j + 1, 2 * a, i, 2 * ZERO, 1 + 2 * i)))
            return definitions.unfolding((), PAIRED.call(arguments, at), draw(st.integers(0, 1)))
    length = draw(sizes())
    arguments = {"n": length, "m": draw(sizes()), "x": draw(lambdas(1, part))}
    at = draw(st.sampled_from((i, n + j, m + j, length + i, length + (i + j), (length + 1) + i, i + length, a + b, 2 + i)))
    return definitions.unfolding((), JOINED.call(arguments, at), draw(st.integers(0, 1)))


def of_terms(made: Callable[..., Theorem], count: int) -> st.SearchStrategy[Theorem]:
    return st.tuples(*[terms(1)] * count).map(lambda given: made((), *given))


def with_positive(made: Callable[..., Theorem], count: int) -> st.SearchStrategy[Theorem]:
    return st.tuples(*[terms(1)] * (count + 1)).map(lambda given: made((ASSUMED((), positive(given[0])),), *given[1:]))


ANALYSIS = {
    "sine_of_sum": of_terms(analysis.sine_of_sum, 2),
    "cosine_of_sum": of_terms(analysis.cosine_of_sum, 2),
    "sine_of_difference": of_terms(analysis.sine_of_difference, 2),
    "cosine_of_difference": of_terms(analysis.cosine_of_difference, 2),
    "unit_circle": of_terms(analysis.unit_circle, 1),
    "turns_are_whole": of_terms(analysis.turns_are_whole, 2),
    "root_squared": with_positive(analysis.root_squared, 0),
    "root_scaled": with_positive(analysis.root_scaled, 1),
    "odd_function": st.builds(lambda name, value: analysis.odd_function((), name, value), st.sampled_from(("erf", "tanh")), terms(1)),
    "maximum_reflected": of_terms(analysis.maximum_reflected, 1),
    "maximum_scaled": with_positive(analysis.maximum_scaled, 1),
    "logarithm_of_exp": of_terms(analysis.logarithm_of_exp, 1),
}


@st.composite
def whole_turns(draw: Draw) -> Theorem:
    """sin and cos agree exactly where the angles differ by whole turns: such angles, and others."""
    one, turns = draw(terms(1)), draw(st.integers(-2, 2))
    other = draw(st.sampled_from((one + 2 * PI * turns, one + PI, PI - one, one)))
    equal = tuple(ASSUMED((), equation(Op(name, one), Op(name, other))) for name in ("sin", "cos"))
    return analysis.whole_turns(equal, one, other)


@st.composite
def pi_irrational(draw: Draw) -> Theorem:
    value, turns = draw(terms(1)), draw(st.just(ZERO) | terms(1))
    premises = (ASSUMED((), equation(value, 2 * PI * turns)), ASSUMED((), integer(value)), ASSUMED((), integer(turns)))
    return analysis.pi_irrational(premises)


RULE_STRATEGIES: dict[str, tuple[st.SearchStrategy[Theorem], ...]] = {
    **EQUALITY,
    "sum_of_sums": (sum_of_sums(),),
    "sum_scaled": (sum_scaled(),),
    "sum_constant": (sum_constant(),),
    "sum_exchange": (sum_exchange(),),
    "sum_split": (sum_split(),),
    "sum_delta": (sum_delta(),),
    "fold_reindexed": (fold_reindexed(),),
    "delta_same": (delta_same(),),
    "definition": (definition(),),
    "whole_turns": (whole_turns(),),
    "pi_irrational": (pi_irrational(),),
    **{name: (strategy,) for name, strategy in ANALYSIS.items()},
}
