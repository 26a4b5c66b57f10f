"""Definitions of a document: when they say something at all, and what a call of a defined function equals.

Guarantees: a definition that passes :func:`checked` defines: whatever is passed for its parameters, its clauses can all hold at once.
It speaks of its parameters only, it calls what came before it only (in bodies and in ranges), and its patterns are variables, or, of
two clauses in the last place, 2·i and 2·j + 1, or i and a + j where i < a: one-to-one, and disjoint.
Cannot see: whether a definition is the one that a reader has in mind; :mod:`.printing` shows it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from .binding import close, substitute
from .errors import CheckError
from .nodes import Node, number, operation, predicate, variable


@dataclass(frozen=True)
class Parameter:
    """A parameter: a tensor with axes (their sizes), or a scalar without."""

    name: str
    kind: str
    axes: tuple[Node, ...]

    @property
    def scalar(self) -> Node:
        """The variable of a parameter without axes."""
        return variable(self.name, "size" if self.kind == "size" else "real")


@dataclass(frozen=True)
class Clause:
    """``function[pattern] = body`` for the variables of the ranges, one in each place of the pattern."""

    pattern: tuple[Node, ...]
    ranges: tuple[tuple[Node, Node], ...]
    body: Node


@dataclass(frozen=True)
class Definition:
    """A function of named tensors and scalars."""

    name: str
    parameters: tuple[Parameter, ...]
    clauses: tuple[Clause, ...]

    @property
    def scalars(self) -> frozenset[Node]:
        """The variables of its scalars and sizes."""
        return frozenset(parameter.scalar for parameter in self.parameters if not parameter.axes)


def checked(definition: Definition, earlier: Collection[str]) -> Definition:
    """The definition, if it defines something in terms of the earlier ones."""
    problem = _problem(definition, frozenset(earlier))
    if problem:
        raise CheckError(problem)
    return definition


def _problem(definition: Definition, earlier: frozenset[str]) -> str | None:
    names = [parameter.name for parameter in definition.parameters]
    if len(set(names)) != len(names):
        return "a parameter is named twice"
    if definition.name in earlier:
        return "it is defined twice"
    tensors = frozenset((parameter.name, len(parameter.axes)) for parameter in definition.parameters if parameter.axes)
    lengths = [length for clause in definition.clauses for _, length in clause.ranges]
    lengths += [axis for parameter in definition.parameters for axis in parameter.axes]
    for length in lengths:
        if length.tensors or length.free - definition.scalars or length.calls - earlier:
            return "a range or axis speaks of more than its scalars and earlier definitions"
    for clause in definition.clauses:
        variables = frozenset(var for var, _ in clause.ranges)
        if len(variables) != len(clause.ranges) or len(clause.pattern) != len(clause.ranges) or variables & definition.scalars:
            return "the variables of a pattern are not different from one another and from the parameters, one for each place"
        if clause.body.free - definition.scalars - variables or clause.body.tensors - tensors:
            return "a body speaks of more than the parameters and the pattern"
        if clause.body.calls - earlier:
            return "it calls what is not defined before it"
    return None if _one_to_one(definition.clauses) else "the patterns are not shown to be one-to-one and disjoint"


def _one_to_one(clauses: tuple[Clause, ...]) -> bool:
    """Whether every place of the result is given by one clause at most, once."""
    variables = [tuple(var for var, _ in clause.ranges) for clause in clauses]
    if len(clauses) == 1:
        return clauses[0].pattern == variables[0]
    if len(clauses) != 2 or len(variables[0]) != len(variables[1]) or not variables[0]:
        return False
    if any(clause.pattern[:-1] != names[:-1] for clause, names in zip(clauses, variables, strict=True)):
        return False
    (first, second), (i, j) = (clause.pattern[-1] for clause in clauses), (names[-1] for names in variables)
    two = number(2)
    alternating = (operation("mul", two, i), operation("add", operation("mul", two, j), number(1)))
    joined = (i, operation("add", clauses[0].ranges[-1][1], j))
    return (first, second) in (alternating, joined)


def unfolded(definition: Definition, call: Node, which: int) -> tuple[frozenset[Node], Node]:
    """Hypotheses under which a call equals the body of a clause, and that body with the arguments put in."""
    if not 0 <= which < len(definition.clauses):
        raise CheckError(f"{definition.name!r} has no clause {which}")
    clause, count = definition.clauses[which], len(definition.parameters)
    given, indices = call.parts[:count], call.parts[count:]
    if len(indices) != len(clause.pattern):
        raise CheckError(f"clause {which} of {definition.name!r} has {len(clause.pattern)} indices, the call {len(indices)}")
    passed = list(zip(definition.parameters, given, strict=True))
    scalars = {parameter.scalar: value.parts[0] for parameter, value in passed if not parameter.axes}
    functions = {parameter.name: value for parameter, value in passed if parameter.axes}
    values = {
        var: _solved(substitute(close(pattern, (var,)), scalars), index)
        for pattern, index, (var, _) in zip(clause.pattern, indices, clause.ranges, strict=True)
    }
    ranges = [predicate("in", values[var], substitute(length, scalars)) for var, length in clause.ranges]
    body = substitute(clause.body, {**scalars, **values}, functions)
    return frozenset(ranges if len(definition.clauses) > 1 else ()), body


def _solved(pattern: Node, index: Node) -> Node:
    """What stands in the index where the pattern, which is equal otherwise, has its one bound variable."""
    while pattern.kind != "bound":
        pairs = list(zip(pattern.parts, index.parts, strict=False))
        open_pairs = [pair for pair in pairs if pair[0].loose]
        if pattern.head != index.head or len(open_pairs) != 1 or any(one is not two for one, two in pairs if not one.loose):
            raise CheckError("the index does not have the form of the clause's pattern")
        ((pattern, index),) = open_pairs
    return index
