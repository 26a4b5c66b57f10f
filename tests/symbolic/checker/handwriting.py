"""Documents written by hand, without the core, which would refuse most of them."""

from __future__ import annotations

from typing import Any

from kernelproof.symbolic.checker.document import FORMAT


class Sheet:
    """Nodes and steps of a document; each is written once and has a number."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.definitions: list[Any] = []
        self.steps: list[Any] = []

    def node(self, *fields: Any) -> int:
        """The number of a node."""
        if list(fields) not in self.nodes:
            self.nodes.append(list(fields))
        return self.nodes.index(list(fields))

    def num(self, value: object) -> int:
        """A number."""
        return self.node("num", str(value))

    def var(self, name: str, kind: str = "real") -> int:
        """A variable."""
        return self.node("var", name, kind)

    def op(self, name: str, *parts: int) -> int:
        """An operation."""
        return self.node("op", name, list(parts))

    def entry(self, tensor: str, *indices: int) -> int:
        """An entry of a tensor."""
        return self.node("entry", tensor, list(indices))

    def sum(self, var: int, size: int, body: int) -> int:
        """A sum without a guard."""
        return self.node("fold", "sum", var, size, body, self.num(1))

    def says(self, name: str, *parts: int, tensor: str | None = None) -> int:
        """A formula."""
        return self.node("formula", name, tensor, list(parts))

    def step(
        self, rule: str, arguments: list[Any], conclusion: int, hypotheses: tuple[int, ...] = (), premises: tuple[int, ...] = (),
        axioms: tuple[str, ...] = (),
    ) -> int:
        """A step: what it says is written down, true or not."""
        self.steps.append({
            "rule": rule, "premises": list(premises), "arguments": [_argument(argument) for argument in arguments],
            "hypotheses": list(hypotheses), "conclusion": conclusion, "axioms": list(axioms),
        })
        return len(self.steps) - 1

    def assume(self, formula: int) -> int:
        """φ ⊢ φ."""
        return self.step("assumption", [Ref(formula)], formula, (formula,))

    def document(self) -> dict[str, Any]:
        """The document; its theorem is the last step."""
        theorems = {"last": len(self.steps) - 1} if self.steps else {}
        return {"format": FORMAT, "nodes": self.nodes, "definitions": self.definitions, "steps": self.steps, "theorems": theorems}


class Ref(int):
    """The number of a node, as an argument."""


def _argument(value: Any) -> Any:
    if isinstance(value, Ref):
        return {"node": int(value)}
    if isinstance(value, list):
        return {"list": [_argument(part) for part in value]}
    if isinstance(value, dict):
        return {"map": [[_argument(key), _argument(part)] for key, part in value.items()]}
    return value
