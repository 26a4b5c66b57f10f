"""The value of terms and formulas in a world of concrete numbers, with mpmath.

What it does: evaluates a term directly; a call of a defined function by its definition, a derivative by a central difference. Guarantees:
the total meaning of :mod:`kernelproof.symbolic.terms` (x/0 = 0, empty folds are 0); as many digits as mpmath is set to. Cannot see: more
than the numbers given.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from typing import Any

import mpmath

from kernelproof.symbolic.binding import free_variables, substitute
from kernelproof.symbolic.core.definitions import definition_of, instance
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import Every, Formula
from kernelproof.symbolic.terms import Call, Entry, Fold, Num, Op, Term, Var

#: equations agree to so many digits; the exponent of a central difference's step
AGREEING, STEP = 40, 35


@dataclass
class World:
    """Concrete values: variables by name, tensors as functions of indices, single entries, curves; the rest is random but fixed.

    ``curves`` are tensors as functions of a real index: by tensor and place of that index, then the other indices, a point and a slope.
    """

    seed: int
    variables: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Callable[..., Any]] = field(default_factory=dict)
    known: dict[object, Any] = field(default_factory=dict)
    entries: dict[tuple[str, tuple[Any, ...]], Any] = field(default_factory=dict)
    curves: dict[tuple[str, int], dict[tuple[Any, ...], tuple[Any, Any]]] = field(default_factory=dict)

    def entry(self, tensor: str, indices: tuple[Any, ...]) -> Any:
        """An entry: given, on a curve, or a number that depends on seed, name and indices only."""
        if (tensor, indices) in self.entries:
            return self.entries[tensor, indices]
        for place in range(len(indices)):
            others = (*indices[:place], *indices[place + 1 :])
            if others in self.curves.get((tensor, place), {}):
                point, slope = self.curves[tensor, place][others]
                gap = indices[place] - point
                return self._random(tensor, others) + gap * slope + gap**2 * self._random(f"{tensor} bends", others)
        if tensor in self.tensors:
            return self.tensors[tensor](*(int(index) for index in indices))
        return self._random(tensor, indices)

    def _random(self, name: str, indices: tuple[Any, ...]) -> Any:
        key = ",".join(mpmath.nstr(index, 30) for index in indices)
        return mpmath.mpf(random.Random(f"{self.seed}/{name}/{key}").randint(-3000, 3000)) / 1000


def sides(formula: Formula, world: World, bound: Mapping[Var, Any]) -> tuple[Any, Any]:
    """Both sides of an equation; of a derivative, a central difference and what it should be."""
    if formula.name == "eq":
        return value_at(formula.left, world, bound), value_at(formula.right, world, bound)
    function, point, slope = formula.terms
    at, step = mpmath.mpf(value_at(point, world, bound)), mpmath.mpf(10) ** -STEP
    above, below = (value_at(function.body, world, {**bound, function.params[0]: at + side * step}) for side in (1, -1))
    return (above - below) / (2 * step), value_at(slope, world, bound)


def each_instance(formula: Formula, world: World, bound: Mapping[Var, Any]) -> Iterator[tuple[Formula, Mapping[Var, Any]]]:
    """A formula for all integers of its ranges."""
    if not isinstance(formula, Every):
        yield formula, bound
        return
    for choice in product(*(range(int(mpmath.ceil(value_at(length, world, bound)))) for _, length in formula.over)):
        at = dict(zip((var for var, _ in formula.over), choice, strict=True))
        yield from each_instance(formula.body, world, {**bound, **at})


def value(term: Term, world: World, at: Mapping[Var, Any] | None = None) -> Any:
    """The value of a term, division by zero being zero; ``at`` gives values of free variables, over those of the world."""
    return value_at(term, world, at or {})


def value_at(term: Term, world: World, bound: Mapping[Var, Any]) -> Any:
    """Each term once for each value of its free indices: unfolded definitions share most of their parts."""
    if isinstance(term, (Num, Var)):
        return _fresh(term, world, bound)
    key = (term, tuple((var, bound[var]) for var in sorted(free_variables(term), key=lambda var: var.name) if var in bound))
    if key not in world.known:
        world.known[key] = _fresh(term, world, bound)
    return world.known[key]


def _fresh(term: Term, world: World, bound: Mapping[Var, Any]) -> Any:
    if isinstance(term, Num):
        return mpmath.mpf(term.value.numerator) / term.value.denominator
    if isinstance(term, Var):
        if term in bound:
            return bound[term]
        if term.name not in world.variables:
            raise KeyError(f"variable {term.name!r} was not drawn")
        return world.variables[term.name]
    if isinstance(term, Entry):
        return world.entry(term.tensor, tuple(mpmath.mpf(value_at(index, world, bound)) for index in term.indices))
    if isinstance(term, Fold):
        return _fold(term, world, bound)
    if isinstance(term, Call):
        return value_at(_body(term, world, bound), world, bound)
    assert isinstance(term, Op)
    args = [value_at(arg, world, bound) for arg in term.args]
    return _FUNCTIONS[term.name](*args)


def _fold(term: Fold, world: World, bound: Mapping[Var, Any]) -> Any:
    found = []
    for index in range(int(value_at(term.size, world, bound))):
        at = {**bound, term.var: index}
        if value_at(term.guard, world, at) != 0:
            found.append(value_at(term.body, world, at))
    if term.kind == "sum":
        return mpmath.fsum(found)
    return max(found, default=mpmath.mpf(0))


def _body(term: Call, world: World, bound: Mapping[Var, Any]) -> Term:
    """The body of the clause whose pattern the indices have and whose ranges they meet."""
    for hypotheses, body in _unfolded(term):
        if all(holds_at(formula, world, bound) for formula in hypotheses):
            return body
    definition, given = definition_of(term.function), dict(term.arguments)
    scalars = {parameter.var: given[parameter.name].body for parameter in definition.parameters if not parameter.axes}
    for which, clause in enumerate(definition.clauses):  # an index that is not of the form of a pattern may have its value
        lengths = [int(value_at(substitute(length, scalars), world, bound)) for _, length in clause.ranges]
        for choice in product(*map(range, lengths)):
            put = {**scalars, **{var: Num(at) for (var, _), at in zip(clause.ranges, choice, strict=True)}}
            there = tuple(substitute(part, put) for part in clause.pattern)
            if all(value_at(one, world, bound) == value_at(two, world, bound) for one, two in zip(there, term.indices, strict=True)):
                return instance(Call(term.function, term.arguments, there), which)[1]
    return Entry(f"outside {term.function}", *term.indices)  # some number: nothing is said of it


@lru_cache(maxsize=4096)
def _unfolded(term: Call) -> tuple[tuple[tuple[Formula, ...], Term], ...]:
    """Hypotheses and bodies of the clauses whose pattern the indices have; the same call comes back in every world."""
    found = []
    for which in range(len(definition_of(term.function).clauses)):
        try:
            hypotheses, body = instance(term, which)
        except ProofError:
            continue
        found.append((tuple(hypotheses), body))
    return tuple(found)


def holds(formula: Formula, world: World) -> bool:
    """Whether a hypothesis holds in a world; permutations hold by construction."""
    return holds_at(formula, world, {})


def holds_at(formula: Formula, world: World, bound: Mapping[Var, Any]) -> bool:
    if isinstance(formula, Every):
        return all(holds_at(plain, world, at) for plain, at in each_instance(formula, world, bound))
    if formula.name in ("eq", "derivative"):
        left, right = sides(formula, world, bound)
        return bool(abs(left - right) <= (1 + abs(left)) * mpmath.mpf(10) ** -AGREEING)
    values = [value_at(part, world, bound) for part in formula.terms]
    match formula.name:
        case "positive":
            return bool(values[0] > 0)
        case "nonnegative":
            return bool(values[0] >= 0)
        case "nonzero":
            return bool(values[0] != 0)
        case "in":
            return bool(values[0] == int(values[0]) and 0 <= values[0] < values[1])
        case "integer":
            return bool(values[0] == int(values[0]))
    return formula.name == "permutation"


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "neg": lambda a: -a,
    "div": lambda a, b: mpmath.mpf(a) / b if b else mpmath.mpf(0), "pow": lambda a, b: mpmath.mpf(a) ** int(b),
    "exp": mpmath.exp, "log": lambda a: mpmath.log(a) if a > 0 else mpmath.mpf(0),
    "sqrt": lambda a: mpmath.sqrt(a) if a > 0 else mpmath.mpf(0), "sin": mpmath.sin, "cos": mpmath.cos, "tanh": mpmath.tanh,
    "erf": mpmath.erf, "max": max, "delta": lambda a, b: int(a == b), "less": lambda a, b: int(a < b),
    "pi": lambda: +mpmath.pi,
}
