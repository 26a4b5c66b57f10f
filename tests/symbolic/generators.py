"""Random terms, lambdas and worlds for the tests of the core, small enough to be evaluated exactly.

The names of variables are few on purpose: what is put in, what is bound and what stands free are often called the same, which is where
substitution and renaming go wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

from hypothesis import strategies as st

from kernelproof.symbolic.core.definitions import define
from kernelproof.symbolic.formulas import (
    Every,
    Formula,
    derivative,
    equation,
    every,
    integer,
    nonnegative,
    nonzero,
    permutation,
    positive,
    within,
)
from kernelproof.symbolic.functions import Clause, Definition, Parameter
from kernelproof.symbolic.soundness.evaluator import World, permuting
from kernelproof.symbolic.terms import Call, Entry, Fold, Lambda, Num, Op, Term, Var, delta, size, total, variables

INDICES = variables("i j k")
REALS = variables("a b i'")  # i' is what i is renamed to
SIZES = (size("n"), size("m"))
#: tensor -> number of indices; s and r stand for permutations and maps of a range
TENSORS = {"x": 1, "f": 2, "s": 1}
RATIONAL = ("add", "sub", "mul", "div", "neg", "max", "delta", "less")
ANALYTIC = ("exp", "sin", "cos", "sqrt", "tanh")

_n, _t, _i, _k = size("n"), Var("t"), Var("i"), Var("k")
#: a defined function whose body binds names that its arguments speak of
PROBE = define(
    Definition(
        "test_probe",
        (Parameter("n", kind="size"), Parameter("t"), Parameter("x", (_n,))),
        (Clause((_i,), ((_i, _n),), total(_k, _n, _t * Entry("x", _k)) + delta(_i, 1) * Entry("x", _i)),),
    )
)
#: two clauses each: even and odd places, a first part and the rest
PAIRED = define(
    Definition(
        "test_paired",
        (Parameter("n", kind="size"), Parameter("x", (_n,))),
        (Clause((2 * _i,), ((_i, _n),), Entry("x", _i)), Clause((2 * _k + 1,), ((_k, _n),), -Entry("x", _k) * 2)),
    )
)
JOINED = define(
    Definition(
        "test_joined",
        (Parameter("n", kind="size"), Parameter("m", kind="size"), Parameter("x", (_n,))),
        (Clause((_i,), ((_i, _n),), Entry("x", _i)), Clause((_n + _k,), ((_k, size("m")),), Entry("x", _k) + 5)),
    )
)


def terms(depth: int = 3, operations: tuple[str, ...] = RATIONAL) -> st.SearchStrategy[Term]:
    """Random terms."""
    return _terms(depth, operations)


@cache
def _leaves() -> st.SearchStrategy[Term]:
    numbers = st.builds(Num, st.integers(-2, 3))
    entries = st.sampled_from(sorted(TENSORS)).flatmap(
        lambda tensor: st.tuples(*[st.sampled_from(INDICES + REALS)] * TENSORS[tensor]).map(lambda at: Entry(tensor, *at))
    )
    return st.one_of(st.sampled_from(INDICES + REALS + SIZES), numbers, entries)


@cache
def _terms(depth: int, operations: tuple[str, ...]) -> st.SearchStrategy[Term]:
    if depth == 0:
        return _leaves()
    part = st.one_of(_terms(depth - 1, operations), _leaves())
    return st.one_of(
        folds(part),
        st.sampled_from(operations).flatmap(lambda name: st.builds(lambda *args: Op(name, *args), *[part] * _arity(name))),
        st.builds(lambda base, exponent: base**exponent, part, st.integers(0, 3)),
        folds(_terms(depth - 1, operations)),
        st.builds(lambda at: Entry("x", at), part),
        st.builds(_probed, sizes(), part, lambdas(1, part), part),
    )


def _probed(length: Term, factor: Term, values: Lambda, at: Term) -> Term:
    return PROBE.call({"n": length, "t": factor, "x": values}, at)


def _arity(name: str) -> int:
    return 1 if name in ("neg", *ANALYTIC) else 2


@cache
def sizes() -> st.SearchStrategy[Term]:
    """Sizes, most of them natural by form, some that depend on an index."""
    natural = st.one_of(st.sampled_from(SIZES), st.builds(Num, st.integers(0, 2)))
    both = st.builds(lambda one, two: one + two, natural, natural)
    return st.one_of(natural, both, st.sampled_from(INDICES).map(lambda at: Entry("x", at)))


@cache
def folds(body: st.SearchStrategy[Term], kinds: tuple[str, ...] = ("sum", "max"), lengths: Any = None) -> st.SearchStrategy[Fold]:
    """Sums and maxima, some with a guard."""
    guards = st.one_of(
        st.just(Num(1)), st.just(Num(1)), st.builds(delta, st.sampled_from(INDICES), st.sampled_from(INDICES)),
        st.sampled_from(INDICES).map(lambda at: Entry("x", at)),
    )
    return st.builds(Fold, st.sampled_from(kinds), st.sampled_from(INDICES), sizes() if lengths is None else lengths, body, guards)


@cache
def sums(body: st.SearchStrategy[Term], lengths: st.SearchStrategy[Term] | None = None) -> st.SearchStrategy[Fold]:
    """Sums without a guard."""
    return st.builds(total, st.sampled_from(INDICES), sizes() if lengths is None else lengths, body)


@cache
def lambdas(count: int, body: st.SearchStrategy[Term]) -> st.SearchStrategy[Lambda]:
    """Values of tensors."""
    return st.builds(Lambda, st.permutations(INDICES).map(lambda order: tuple(order[:count])), body)


@cache
def plain_formulas(depth: int = 1) -> st.SearchStrategy[Formula]:
    """Formulas about terms."""
    part = terms(depth)
    return st.one_of(
        st.builds(equation, part, part), st.builds(positive, part), st.builds(nonnegative, part), st.builds(nonzero, part),
        st.builds(integer, part), st.builds(within, st.sampled_from(INDICES), sizes()), st.builds(derivative, lambdas(1, part), part, part),
    )


@cache
def statements_for_all(depth: int = 1) -> st.SearchStrategy[Every]:
    """A formula for all of one or two ranges, whose lengths may speak of indices of the same name."""
    lengths = st.lists(sizes(), min_size=1, max_size=2)
    ranges = st.builds(lambda order, given: tuple(zip(order, given, strict=False)), st.permutations(INDICES), lengths)
    return st.builds(every, ranges, plain_formulas(depth))


@cache
def formulas(depth: int = 1) -> st.SearchStrategy[Formula]:
    """Formulas of every kind."""
    return st.one_of(plain_formulas(depth), st.builds(permutation, st.just("s"), natural()), statements_for_all(depth))


@cache
def natural() -> st.SearchStrategy[Term]:
    """Sizes, natural by form."""
    return st.one_of(st.sampled_from(SIZES), st.builds(Num, st.integers(0, 2)))


@st.composite
def worlds(draw: Callable[..., Any], denominators: tuple[int, ...] = (1, 1, 2)) -> World:
    """Values of everything that :func:`terms` speaks of; s permutes {0, …, n−1} half of the time."""
    values: dict[Var, Any] = {var: Fraction(draw(st.integers(0, 3))) for var in SIZES}
    values |= {var: Fraction(draw(st.integers(-1, 2))) for var in INDICES}
    values |= {var: Fraction(draw(st.integers(-2, 3)), draw(st.sampled_from(denominators))) for var in REALS}
    world = World(values, seed=draw(st.integers(0, 10**6)), denominators=denominators)
    order = draw(st.none() | st.permutations(range(int(values[SIZES[0]]))))
    if order is not None:
        world.tensors["s"] = permuting(order)
    return world


def renamed(term: Any, pick: Callable[[], str]) -> Any:
    """The same term with every bound variable called otherwise, done by hand: new names are never used twice."""
    return _renamed(term, {}, pick)


def _renamed(node: Any, names: dict[Var, Var], pick: Callable[[], str]) -> Any:
    match node:
        case Var():
            return names.get(node, node)
        case Entry(tensor, indices):
            return Entry(tensor, *(_renamed(index, names, pick) for index in indices))
        case Op(name, args):
            return Op(name, *(_renamed(arg, names, pick) for arg in args))
        case Fold(kind, var, length, body, guard):
            new = Var(pick())
            below = {**names, var: new}
            return Fold(kind, new, _renamed(length, names, pick), _renamed(body, below, pick), _renamed(guard, below, pick))
        case Lambda(params, body):
            fresh = [Var(pick()) for _ in params]
            return Lambda(tuple(fresh), _renamed(body, {**names, **dict(zip(params, fresh, strict=True))}, pick))
        case Call(function, arguments, indices):
            given = tuple((name, _renamed(value, names, pick)) for name, value in arguments)
            return Call(function, given, tuple(_renamed(index, names, pick) for index in indices))
        case Every(over, body):
            below = {var: Var(pick()) for var, _ in over}
            pairs = tuple((below[var], _renamed(length, names, pick)) for var, length in over)
            return Every(pairs, _renamed(body, {**names, **below}, pick))
        case Formula(name, tensor, parts):
            return Formula(name, *(_renamed(part, names, pick) for part in parts), tensor=tensor)
    return node
