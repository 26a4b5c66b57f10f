"""Named functions of tensors, and the rule that unfolds a call.

What it does: a definition gives the entries of a result, by one equation for all indices or by several for disjoint patterns of the
last index (even and odd columns, first and second half). Guarantees: a name is defined once, its body speaks only of its own
parameters, so a definition adds no statement about anything else. Trusted: that the patterns of one definition do not overlap.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kernelproof.symbolic.binding import alpha_equal, free_variables, substitute, tensors
from kernelproof.symbolic.core.equality import Premises
from kernelproof.symbolic.core.formulas import Formula, equation, within
from kernelproof.symbolic.core.theorem import Made, rule
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.terms import Call, Entry, Lambda, Op, Term, Var


@dataclass(frozen=True)
class Parameter:
    """A parameter: a tensor with ``axes`` (their sizes), or a scalar or size without axes."""

    name: str
    axes: tuple[Term, ...] = ()
    kind: str = "real"
    meaning: str = ""

    @property
    def var(self) -> Var:
        """The variable of a scalar or size."""
        return Var(self.name, "size" if self.kind == "size" else "real")


@dataclass(frozen=True)
class Clause:
    """``function[pattern] = body`` for pattern variables within their ranges."""

    pattern: tuple[Term, ...]
    ranges: tuple[tuple[Var, Term], ...]
    body: Term


@dataclass(frozen=True)
class Definition:
    """A function of named tensors: its parameters, and the clauses that give the entries of its result."""

    name: str
    parameters: tuple[Parameter, ...]
    clauses: tuple[Clause, ...]
    meaning: str = ""
    result: tuple[Term, ...] = ()

    @property
    def result_axes(self) -> tuple[Term, ...]:
        """Sizes of the axes of the result."""
        return self.result or tuple(length for _, length in self.clauses[0].ranges)

    def parameter(self, name: str) -> Parameter:
        """The parameter of a name."""
        for found in self.parameters:
            if found.name == name:
                return found
        raise ProofError(f"definition {self.name!r} has no parameter {name!r}")

    def call(self, arguments: dict[str, Lambda | Term], *indices: Term | int) -> Call:
        """A call; what is left out is passed under its own name."""
        values = []
        for parameter in self.parameters:
            given = arguments.get(parameter.name)
            if given is None:
                given = _itself(parameter)
            values.append((parameter.name, given if isinstance(given, Lambda) else Lambda((), given)))
        unknown = set(arguments) - {name for name, _ in values}
        if unknown:
            raise ProofError(f"definition {self.name!r} has no parameters {sorted(unknown)}")
        return Call(self.name, tuple(values), indices)


def _itself(parameter: Parameter) -> Lambda:
    if parameter.kind == "size" or not parameter.axes:
        return Lambda((), parameter.var)
    params = tuple(Var(f"i{place}") for place in range(len(parameter.axes)))
    return Lambda(params, Entry(parameter.name, *params))


_DEFINITIONS: dict[str, Definition] = {}


def define(definition: Definition) -> Definition:
    """Register a definition; the same one twice is fine, another under the same name is not."""
    known = _DEFINITIONS.setdefault(definition.name, definition)
    if known != definition:
        raise ProofError(f"{definition.name!r} is already defined otherwise")
    scalars = {parameter.var for parameter in definition.parameters if not parameter.axes}
    allowed = {parameter.name for parameter in definition.parameters if parameter.axes}
    for clause in definition.clauses:
        own = scalars | set().union(*(free_variables(part) for part in clause.pattern))
        loose = free_variables(clause.body) - own
        if loose or tensors(clause.body) - allowed:
            raise ProofError(f"{definition.name!r}: the body speaks of more than its parameters: {loose}, {tensors(clause.body)}")
    return definition


def definition_of(name: str) -> Definition:
    """The definition of a name."""
    if name not in _DEFINITIONS:
        raise ProofError(f"function {name!r} is not defined")
    return _DEFINITIONS[name]


def definitions() -> Iterable[Definition]:
    """All definitions, in the order they were made."""
    return tuple(_DEFINITIONS.values())


@rule("definition")
def unfolding(premises: Premises, call: Term, which: int = 0) -> Made:
    """A call of a defined function equals its body with the arguments put in."""
    if not isinstance(call, Call):
        raise ProofError(f"definition: a call was expected, got {call!r}")
    hypotheses, body = instance(call, which)
    return hypotheses, equation(call, body)


def instance(call: Call, which: int) -> tuple[list[Formula], Term]:
    """Range hypotheses and body of one clause with the arguments of a call put in."""
    definition = definition_of(call.function)
    given = dict(call.arguments)
    if set(given) != {parameter.name for parameter in definition.parameters}:
        raise ProofError(f"definition: {definition.name!r} is called with {sorted(given)}")
    clause = definition.clauses[which]
    scalars: dict[Var, Term] = {}
    functions: dict[str, Lambda] = {}
    for parameter in definition.parameters:
        value = given[parameter.name]
        if len(value.params) != len(parameter.axes):
            raise ProofError(f"definition: {definition.name}.{parameter.name} needs {len(parameter.axes)} indices")
        if parameter.axes:
            functions[parameter.name] = value
        else:
            scalars[parameter.var] = value.body
    values = dict(scalars)
    for pattern, index in zip(clause.pattern, call.indices, strict=True):
        values.update(_match(substitute(pattern, scalars), index, {var for var, _ in clause.ranges}))
    hypotheses = []
    if len(definition.clauses) > 1:
        hypotheses = [within(values[var], substitute(length, scalars)) for var, length in clause.ranges]
    return hypotheses, substitute(clause.body, values, functions)


def _match(pattern: Term, index: Term, free: set[Var]) -> dict[Var, Term]:
    """Values of the pattern variables that make the pattern equal to the index."""
    if isinstance(pattern, Var) and pattern in free:
        return {pattern: index}
    if isinstance(pattern, Op) and isinstance(index, Op) and pattern.name == index.name:
        found: dict[Var, Term] = {}
        for part, other in zip(pattern.args, index.args, strict=True):
            found.update(_match(part, other, free))
        return found
    if alpha_equal(pattern, index):
        return {}
    raise ProofError("definition: the index does not have the form of the clause")
