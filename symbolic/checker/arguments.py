"""The arguments of a step, read from JSON one after another by the rule that they are for.

Guarantees: what is read has the sort that was asked for, or there is an error; :meth:`Arguments.end` fails if something was not read.
"""

from __future__ import annotations

from typing import Any, TypeVar

from .errors import CheckError
from .nodes import Node
from .shape import array, fields, integer, text

Key = TypeVar("Key")


class Arguments:
    """A reader of the arguments of one step; numbers of nodes are looked up in ``nodes``."""

    def __init__(self, values: Any, nodes: list[Node]) -> None:
        self._values = list(array(values, "arguments"))
        self._nodes = nodes

    def end(self) -> None:
        """All have been read."""
        if self._values:
            raise CheckError(f"{len(self._values)} arguments too many")

    def _next(self) -> Any:
        if not self._values:
            raise CheckError("an argument is missing")
        return self._values.pop(0)

    def term(self) -> Node:
        """A term."""
        return self._term(self._next())

    def optional_term(self, default: Node) -> Node:
        """A term; null or nothing stands for the default."""
        given = self._values.pop(0) if self._values else None
        return default if given is None else self._term(given)

    def terms(self) -> tuple[Node, ...]:
        """A list of terms."""
        return tuple(self._term(part) for part in _list(self._next()))

    def optional_terms(self) -> tuple[Node, ...]:
        """A list of terms; nothing stands for none."""
        return self.terms() if self._values else ()

    def formula(self) -> Node:
        """A formula."""
        found = self._node(self._next())
        if not found.is_formula:
            raise CheckError("an argument is not a formula")
        return found

    def variable(self) -> Node:
        """A variable."""
        return self._variable(self._next())

    def text(self) -> str:
        """A text."""
        return text(self._next(), "argument")

    def integers(self) -> tuple[int, ...]:
        """A list of integers."""
        return tuple(integer(part, "part of a path") for part in _list(self._next()))

    def optional_integer(self, default: int) -> int:
        """An integer; nothing stands for the default."""
        return integer(self._next(), "argument") if self._values else default

    def ranges(self) -> tuple[tuple[Node, Node], ...]:
        """A list of pairs of a variable and a size."""
        pairs = [array(_list(part), "range", 2) for part in _list(self._next())]
        return tuple((self._variable(var), self._term(size)) for var, size in pairs)

    def values(self) -> dict[Node, Node]:
        """A map from variables to terms."""
        pairs = [(self._variable(key), self._term(value)) for key, value in _map(self._next())]
        return _different(pairs)

    def functions(self) -> dict[str, Node]:
        """A map from names of tensors to lambdas."""
        pairs = [(text(key, "name of a tensor"), self._node(value)) for key, value in _map(self._next())]
        if any(value.kind != "lambda" for _, value in pairs):
            raise CheckError("a tensor is given something else than a lambda")
        return _different(pairs)

    def _node(self, value: Any) -> Node:
        place = integer(fields(value, "argument", ("node",))[0], "number of a node")
        if not 0 <= place < len(self._nodes):
            raise CheckError(f"there is no node {place}")
        return self._nodes[place]

    def _term(self, value: Any) -> Node:
        found = self._node(value)
        if not found.is_term:
            raise CheckError("an argument is not a term")
        return found

    def _variable(self, value: Any) -> Node:
        found = self._node(value)
        if found.kind != "var":
            raise CheckError("an argument is not a variable")
        return found


def _list(value: Any) -> list[Any]:
    return array(fields(value, "argument", ("list",))[0], "list")


def _map(value: Any) -> list[list[Any]]:
    return [array(pair, "pair of a map", 2) for pair in array(fields(value, "argument", ("map",))[0], "map")]


def _different(pairs: list[tuple[Key, Node]]) -> dict[Key, Node]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise CheckError("a map has a key twice")
    return made
