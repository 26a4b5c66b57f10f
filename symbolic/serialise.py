"""Proofs as plain JSON: nodes, definitions, steps; and the fingerprint of a derivation.

What it does: :func:`proofs` writes theorems with their logs in the format ``kernelproof proofs 1``, from which the second checker
(:mod:`kernelproof.symbolic.checker`) replays them without this code. Every node and every step stands there once, after what it
refers to by number.

``{"format", "nodes": [node …], "definitions": [definition …], "steps": [step …], "theorems": {name: number of a step}}``

======================================  ==========================================================================================
node                                    ``["num", "3/2"]``, ``["var", name, kind]``, ``["entry", tensor, [n …]]``, ``["op", name, [n …]]``,
                                        ``["fold", kind, var, size, body, guard]``, ``["lambda", [var …], body]``,
                                        ``["call", function, [[parameter, lambda] …], [n …]]``,
                                        ``["formula", name, tensor or null, [n …]]``, ``["every", [[var, size] …], body]``
definition                              ``{"name", "parameters": [{"name", "kind", "axes": [n …]} …],
                                        "clauses": [{"pattern": [n …], "ranges": [[var, size] …], "body": n} …]}``, called ones first
step                                    ``{"rule", "premises": [step …], "arguments": [argument …], "hypotheses": [n …],
                                        "conclusion": n, "axioms": [text …]}``
argument                                a text, an integer, null, ``{"node": n}``, ``{"list": [a …]}``, ``{"map": [[a, a] …]}``
======================================  ==========================================================================================

Guarantees: equal theorems give equal bytes; nothing depends on memory addresses, hash seeds or dates.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from kernelproof.symbolic.binding import functions_called
from kernelproof.symbolic.core.definitions import definition_of
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.formulas import Every, Formula
from kernelproof.symbolic.functions import Definition
from kernelproof.symbolic.logs import steps
from kernelproof.symbolic.terms import Call, Entry, Fold, Lambda, Node, Num, Op, Var

FORMAT = "kernelproof proofs 1"


class _Writer:
    """Nodes and steps, each numbered once."""

    def __init__(self) -> None:
        self.nodes: list[list[Any]] = []
        self.steps: list[dict[str, Any]] = []
        self.definitions: dict[str, dict[str, Any]] = {}
        self._numbers: dict[Node, int] = {}
        self._places: dict[int, int] = {}

    def node(self, value: Node) -> int:
        """The number of a node."""
        if value not in self._numbers:
            made = self._fields(value)
            self._numbers[value] = len(self.nodes)
            self.nodes.append(made)
            for function in sorted(functions_called(value)) if isinstance(value, Call) else ():
                self.define(definition_of(function))
        return self._numbers[value]

    def _fields(self, value: Node) -> list[Any]:
        match value:
            case Num():
                return ["num", str(value.value)]
            case Var():
                return ["var", value.name, value.kind]
            case Entry():
                return ["entry", value.tensor, self.all(value.indices)]
            case Op():
                return ["op", value.name, self.all(value.args)]
            case Fold():
                return ["fold", value.kind, *self.all((value.var, value.size, value.body, value.guard))]
            case Lambda():
                return ["lambda", self.all(value.params), self.node(value.body)]
            case Call():
                return ["call", value.function, [[name, self.node(given)] for name, given in value.arguments], self.all(value.indices)]
            case Every():
                return ["every", [self.all(pair) for pair in value.over], self.node(value.body)]
            case Formula():
                return ["formula", value.name, value.tensor, self.all(value.terms)]
        raise TypeError(f"{value!r} has no JSON form")

    def all(self, values: Iterable[Node]) -> list[int]:
        """Their numbers."""
        return [self.node(value) for value in values]

    def define(self, definition: Definition) -> None:
        """A definition, after those that it calls."""
        if definition.name in self.definitions:
            return
        clauses = [
            {"pattern": self.all(c.pattern), "ranges": [self.all(pair) for pair in c.ranges], "body": self.node(c.body)}
            for c in definition.clauses
        ]
        parameters = [{"name": p.name, "kind": p.kind, "axes": self.all(p.axes)} for p in definition.parameters]
        self.definitions[definition.name] = {"name": definition.name, "parameters": parameters, "clauses": clauses}

    def argument(self, value: Any) -> Any:
        """An argument of a rule."""
        if isinstance(value, Node):
            return {"node": self.node(value)}
        if isinstance(value, Mapping):
            pairs = [[self.argument(key), self.argument(item)] for key, item in value.items()]
            return {"map": pairs}
        if isinstance(value, (tuple, list)):
            return {"list": [self.argument(item) for item in value]}
        if value is None or isinstance(value, (str, int)):
            return value
        raise TypeError(f"{value!r} has no JSON form")

    def theorem(self, theorem: Theorem) -> int:
        """The number of the step that makes a theorem."""
        for step in steps(theorem):
            if id(step) not in self._places:
                made = {
                    "rule": step.rule,
                    "premises": [self._places[id(premise)] for premise in step.premises],
                    "arguments": [self.argument(argument) for argument in step.arguments],
                    "hypotheses": self.all(step.hypotheses),
                    "conclusion": self.node(step.conclusion),
                    "axioms": sorted(step.axioms),
                }
                self._places[id(step)] = len(self.steps)
                self.steps.append(made)
        return self._places[id(theorem)]


def proofs(theorems: Mapping[str, Theorem]) -> dict[str, Any]:
    """Theorems by name with complete logs and the definitions that they speak of."""
    writer = _Writer()
    places = {name: writer.theorem(theorem) for name, theorem in theorems.items()}
    return {
        "format": FORMAT, "nodes": writer.nodes, "definitions": list(writer.definitions.values()), "steps": writer.steps,
        "theorems": places,
    }


def fingerprint(value: Any) -> str:
    """SHA-256 of the canonical JSON text of anything :func:`json.dumps` takes."""
    data = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(data.encode()).hexdigest()
