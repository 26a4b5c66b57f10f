"""A document of the format ``kernelproof proofs 1``: read, and replayed step by step.

What it does: reads nodes, definitions and steps; recomputes what each step states from its rule, premises and arguments, and compares
it with what the log says: the conclusion up to bound names, the hypotheses as sets, the axioms.

Guarantees: a report is made only if every node, definition and step of the document passed, used or not. Every failure is a
:class:`~.errors.CheckError`. Cannot see: whether the definitions and statements are those that a reader has in mind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .arguments import Arguments
from .definitions import Clause, Definition, Parameter, checked
from .errors import CheckError
from .named import Named, Signatures
from .nodes import Node
from .rules import Statement, Step, applied
from .shape import array, fields, integer, mapping, parsed, text

FORMAT = "kernelproof proofs 1"
_KEYS = ("format", "nodes", "definitions", "steps", "theorems")


@dataclass(frozen=True)
class Report:
    """What was verified: a statement for each named theorem, the definitions that they speak of, the number of steps."""

    theorems: Mapping[str, Statement]
    definitions: Mapping[str, Definition]
    steps: int


def check(document: dict[str, Any] | str) -> Report:
    """Replay a document, given as JSON text or as what that text stands for."""
    try:
        return _checked(parsed(document) if isinstance(document, str) else document)
    except RecursionError:
        # trees are shallow (nodes.DEEPEST), so this happens only where the caller has used up the stack
        raise CheckError("the stack of Python was used up") from None


def _checked(document: Any) -> Report:
    version, table, written, steps, theorems = fields(document, "document", _KEYS)
    if version != FORMAT:
        raise CheckError(f"format: expected {FORMAT!r}")
    definitions = array(written, "definitions")
    named = Named(table, _signatures(definitions))
    known = _definitions(definitions, named)
    statements = _replayed(array(steps, "steps"), named, known)
    found = dict[str, Statement]()
    for name, value in mapping(theorems, "theorems").items():
        place = integer(value, f"theorem {name!r}")
        if not 0 <= place < len(statements):
            raise CheckError(f"theorem {name!r}: there is no step {place}")
        found[name] = statements[place]
    return Report(found, known, len(statements))


def _signatures(definitions: list[Any]) -> Signatures:
    """How each function must be called, before any node is read."""
    signatures: dict[str, tuple[tuple[tuple[str, int], ...], frozenset[int]]] = {}
    for value in definitions:
        name, parameters, clauses = fields(value, "definition", ("name", "parameters", "clauses"))
        named = [fields(part, "parameter", ("name", "kind", "axes")) for part in array(parameters, "parameters")]
        parts = tuple((text(part, "parameter"), len(array(axes, "axes"))) for part, _, axes in named)
        rows = [fields(part, "clause", ("pattern", "ranges", "body")) for part in array(clauses, "clauses")]
        if text(name, "definition") in signatures:
            raise CheckError(f"definition {name!r}: it is defined twice")
        signatures[name] = parts, frozenset(len(array(pattern, "pattern")) for pattern, _, _ in rows)
    return signatures


def _definitions(written: list[Any], named: Named) -> dict[str, Definition]:
    known: dict[str, Definition] = {}
    for value in written:
        try:
            definition = _definition(value, named)
            known[definition.name] = checked(definition, known)
        except CheckError as problem:
            raise CheckError(f"definition {value['name']!r}: {problem}") from None
    return known


def _definition(value: Any, named: Named) -> Definition:
    parameters = tuple(
        Parameter(text(part["name"], "name"), text(part["kind"], "kind"), _terms(part["axes"], named)) for part in value["parameters"]
    )
    clauses = []
    for part in value["clauses"]:
        ranges = tuple((var, named.nodes[size]) for var, size in named.ranges(part["ranges"]))
        (body,) = _terms([part["body"]], named)
        clauses.append(Clause(_terms(part["pattern"], named), ranges, body))
    return Definition(value["name"], parameters, tuple(clauses))


def _terms(value: Any, named: Named) -> tuple[Node, ...]:
    found = tuple(named.nodes[place] for place in named.numbers(value))
    if not all(node.is_term for node in found):
        raise CheckError("a part is not a term")
    return found


def _replayed(steps: list[Any], named: Named, definitions: dict[str, Definition]) -> list[Statement]:
    statements = list[Statement]()
    conclusions = list[int]()
    for place, value in enumerate(steps):
        rule: Any = None
        try:
            rule, premises, arguments, *logged = fields(
                value, "step", ("rule", "premises", "arguments", "hypotheses", "conclusion", "axioms")
            )
            before = [integer(premise, "premise") for premise in array(premises, "premises")]
            if not all(0 <= premise < place for premise in before):
                raise CheckError("a premise is not an earlier step")
            step = Step(
                tuple(statements[premise] for premise in before), tuple(conclusions[premise] for premise in before),
                Arguments(arguments, named.nodes), named, definitions,
            )
            made = applied(text(rule, "rule"), step)
            conclusions.append(_agreed(made, logged, named))
            statements.append(made)
        except CheckError as problem:
            raise CheckError(f"step {place}, rule {rule!r}: {problem}") from None
    return statements


def _agreed(made: Statement, logged: list[Any], named: Named) -> int:
    """The number of the logged conclusion, if the log says what was recomputed."""
    hypotheses = [named.node(value) for value in array(logged[0], "hypotheses")]
    place = named.number(logged[1])
    axioms = [text(value, "axiom") for value in array(logged[2], "axioms")]
    if named.nodes[place] is not made.conclusion:
        raise CheckError("the log states another conclusion than what follows")
    if len(set(hypotheses)) != len(hypotheses) or set(hypotheses) != made.hypotheses:
        raise CheckError("the log states other hypotheses than what follows")
    if len(set(axioms)) != len(axioms) or set(axioms) != made.axioms:
        raise CheckError("the log states other axioms than what follows")
    return place
