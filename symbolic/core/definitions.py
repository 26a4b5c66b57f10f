"""Definitions in force, and the rule that unfolds a call.

Guarantees: a definition adds no statement about anything else. A name is defined once; its body speaks of its own parameters only and
calls only what was defined before, so nothing is defined by itself; the patterns of its clauses are one-to-one and do not overlap.
"""

from __future__ import annotations

from kernelproof.symbolic.binding import alpha_equal, free_variables, functions_called, substitute, tensors
from kernelproof.symbolic.core.theorem import Made, Theorem, rule
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import Formula, equation, within
from kernelproof.symbolic.functions import Clause, Definition
from kernelproof.symbolic.terms import Call, Op, Term, Var

_DEFINITIONS: dict[str, Definition] = {}


def define(definition: Definition) -> Definition:
    """Put a definition in force; the same one twice is fine, another under the same name is not."""
    if definition.name not in _DEFINITIONS:
        _check(definition)
        _DEFINITIONS[definition.name] = definition
    if _DEFINITIONS[definition.name] != definition:
        raise ProofError(f"{definition.name!r} is already defined otherwise")
    return definition


def _check(definition: Definition) -> None:
    hash(definition)  # fails where there is a list that somebody could change later
    names = [parameter.name for parameter in definition.parameters]
    scalars = {parameter.var for parameter in definition.parameters if not parameter.axes}
    allowed = {parameter.name for parameter in definition.parameters if parameter.axes}
    if len(set(names)) != len(names):
        raise ProofError(f"{definition.name!r}: a parameter is named twice")
    for clause in definition.clauses:
        indices, lengths = [var for var, _ in clause.ranges], [length for _, length in clause.ranges]
        if len(scalars.union(indices)) != len(scalars) + len(indices):
            raise ProofError(f"{definition.name!r}: the variables of a pattern must differ from one another and from the parameters")
        loose = (free_variables(clause.body) - set(indices)).union(*map(free_variables, lengths)) - scalars
        if loose or tensors(clause.body) - allowed or any(map(tensors, lengths)):
            raise ProofError(f"{definition.name!r}: it speaks of more than its parameters: {loose}, {tensors(clause.body) - allowed}")
        called = functions_called(clause.body).union(*map(functions_called, lengths))
        if called - set(_DEFINITIONS):
            raise ProofError(f"{definition.name!r}: it calls what is not defined yet: {called}")
    if not _covers_once(definition.clauses):
        raise ProofError(f"{definition.name!r}: the patterns must be variables, or in the last place 2·i and 2·i+1, or i < a and a+i")


def _covers_once(clauses: tuple[Clause, ...]) -> bool:
    """Whether the patterns are one-to-one and disjoint, by their form."""
    variables = [[var for var, _ in clause.ranges] for clause in clauses]
    if len(clauses) == 1:
        return list(clauses[0].pattern) == variables[0]
    if len(clauses) != 2 or any(list(c.pattern[:-1]) != v[:-1] or not v for c, v in zip(clauses, variables, strict=True)):
        return False
    (one, two), (i, j) = ((c.pattern[-1] for c in clauses), (v[-1] for v in variables))
    return (one is 2 * i and two is 2 * j + 1) or (one is i and two is clauses[0].ranges[-1][1] + j)


def definition_of(name: str) -> Definition:
    """The definition of a name."""
    if name not in _DEFINITIONS:
        raise ProofError(f"function {name!r} is not defined")
    return _DEFINITIONS[name]


@rule("definition")
def unfolding(premises: tuple[Theorem, ...], call: Term, which: int = 0) -> Made:
    """A call of a defined function equals its body with the arguments put in; of two clauses, where the index is in range."""
    if not isinstance(call, Call):
        raise ProofError(f"definition: a call was expected, got {call!r}")
    hypotheses, body = instance(call, which)
    return hypotheses, equation(call, body)


def instance(call: Call, which: int) -> tuple[list[Formula], Term]:
    """Range hypotheses and body of one clause with the arguments of a call put in."""
    definition = definition_of(call.function)
    given = [(name, len(value.params)) for name, value in call.arguments]
    if given != [(parameter.name, len(parameter.axes)) for parameter in definition.parameters]:
        raise ProofError(f"definition: {call.function!r} is called with {given}, names and numbers of indices")
    if not 0 <= which < len(definition.clauses) or len(call.indices) != len(definition.clauses[which].pattern):
        raise ProofError(f"definition: {call.function!r} has no clause {which} for {len(call.indices)} indices")
    clause, parameters = definition.clauses[which], dict(call.arguments)
    functions = {parameter.name: parameters[parameter.name] for parameter in definition.parameters if parameter.axes}
    scalars = {parameter.var: parameters[parameter.name].body for parameter in definition.parameters if not parameter.axes}
    values, hypotheses = dict(scalars), list[Formula]()
    for pattern, index, (var, length) in zip(clause.pattern, call.indices, clause.ranges, strict=True):
        values[var] = _match(pattern, index, var, scalars)
        hypotheses.append(within(values[var], substitute(length, scalars)))
    return hypotheses if len(definition.clauses) > 1 else [], substitute(clause.body, values, functions)


def _match(pattern: Term, index: Term, var: Var, scalars: dict[Var, Term]) -> Term:
    """What must be put for the variable to make the pattern the index; it occurs in the pattern once."""
    if pattern is var:
        return index
    if isinstance(pattern, Op) and isinstance(index, Op) and pattern.name == index.name:
        pairs = list(zip(pattern.args, index.args, strict=True))
        (inner,) = ((part, other) for part, other in pairs if var in free_variables(part))
        # the scalars are put into the rest only: what is passed for them may speak of a variable named like the pattern's own
        if all(alpha_equal(substitute(part, scalars), other) for part, other in pairs if part is not inner[0]):
            return _match(*inner, var, scalars)
    raise ProofError("definition: the index does not have the form of the clause")
