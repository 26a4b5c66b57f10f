"""The nodes of a document as they are written, with names for bound variables, beside the nodes of the checker that they mean.

What it does: reads the table of nodes, in which each refers to earlier ones only, and turns it into nodes of :mod:`.nodes`. In the table a
body speaks of the variables that its binder will bind as free ones; closing it is the last act. So a node of the table means the same
wherever it is referred to, and :meth:`Named.walk` can go below a binder: what stands there speaks of the bound variable by its name.

Guarantees: every node of the table is well formed, or there is an error that names it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from .binding import close
from .errors import CheckError
from .nodes import Node, binders, make
from .shape import array, integer, text

_NUMBER = re.compile(r"(-?)(0|[1-9][0-9]{0,4000})(?:/([1-9][0-9]{0,4000}))?")
#: function -> (name, number of indices) of its parameters, and how many indices the function itself can have
Signatures = Mapping[str, tuple[tuple[tuple[str, int], ...], frozenset[int]]]


@dataclass(frozen=True)
class Written:
    """A node of the table: the head it gets, the numbers of its parts, the variables it binds and the numbers of their sizes."""

    head: tuple[Any, ...]
    parts: tuple[int, ...] = ()
    variables: tuple[Node, ...] = ()
    sizes: tuple[int | None, ...] = ()

    def node(self, parts: Sequence[Node]) -> Node:
        """The node, of parts in which the bound variables still stand by name."""
        bound = binders(self.head, len(parts))
        return make(self.head, [close(part, self.variables) if count else part for part, count in zip(parts, bound, strict=True)])


@dataclass(frozen=True)
class Crossing:
    """A step of a walk down: what is passed, which of its parts is entered, the variables bound there with their sizes."""

    written: Written
    parts: tuple[Node, ...]
    place: int
    bound: tuple[tuple[Node, Node | None], ...]

    def rebuilt(self, part: Node) -> Node:
        """What was passed with another part in the place that was entered."""
        return self.written.node([*self.parts[: self.place], part, *self.parts[self.place + 1:]])


class Named:
    """The table of nodes of a document."""

    def __init__(self, table: Any, signatures: Signatures) -> None:
        self._signatures = signatures
        self._written: list[Written] = []
        self.nodes: list[Node] = []
        for place, fields in enumerate(array(table, "nodes")):
            try:
                written = self._read(array(fields, "node"))
                node = written.node([self.nodes[part] for part in written.parts])
            except CheckError as problem:
                raise CheckError(f"node {place}: {problem}") from None
            self._written.append(written)
            self.nodes.append(node)

    def walk(self, place: int, path: Sequence[int]) -> tuple[list[Crossing], Node]:
        """From a node down a path of parts: what is crossed, and what stands at the end, with names."""
        crossed = list[Crossing]()
        for step in path:
            written = self._written[place]
            if not 0 <= step < len(written.parts):
                raise CheckError(f"the path leads to part {step} of a node with {len(written.parts)} parts")
            sizes = [None if size is None else self.nodes[size] for size in written.sizes]
            below = bool(binders(written.head, len(written.parts))[step])
            bound = tuple(zip(written.variables, sizes, strict=True)) if below else ()
            crossed.append(Crossing(written, tuple(self.nodes[part] for part in written.parts), step, bound))
            place = written.parts[step]
        return crossed, self.nodes[place]

    def number(self, value: Any) -> int:
        """A number of a node that has been read."""
        place = integer(value, "number of a node")
        if not 0 <= place < len(self.nodes):
            raise CheckError(f"there is no node {place} before it")
        return place

    def node(self, value: Any) -> Node:
        """The node of a number."""
        return self.nodes[self.number(value)]

    def variable(self, value: Any) -> Node:
        """A variable that may be bound."""
        found = self.node(value)
        if found.kind != "var" or found.head[2] != "real":
            raise CheckError("what is bound is not a variable other than a size")
        return found

    def numbers(self, value: Any) -> tuple[int, ...]:
        """An array of numbers of nodes."""
        return tuple(self.number(part) for part in array(value, "parts"))

    def ranges(self, value: Any) -> tuple[tuple[Node, int], ...]:
        """An array of pairs of a variable that may be bound and the number of its size."""
        pairs = [array(pair, "range", 2) for pair in array(value, "ranges")]
        found = tuple((self.variable(var), self.number(size)) for var, size in pairs)
        if not all(self.nodes[size].is_term for _, size in found):
            raise CheckError("a size is not a term")
        return found

    def _read(self, fields: list[Any]) -> Written:
        match fields:
            case ["num", written]:
                return Written(("num", _fraction(written)))
            case ["var", name, kind]:
                return Written(("var", _name(name), text(kind, "kind")))
            case ["entry", tensor, indices]:
                return Written(("entry", text(tensor, "tensor")), self.numbers(indices))
            case ["op", name, arguments]:
                return Written(("op", text(name, "operation")), self.numbers(arguments))
            case ["fold", kind, var, size, body, guard]:
                length = self.number(size)
                parts = (length, self.number(guard), self.number(body))
                return Written(("fold", text(kind, "fold")), parts, (self.variable(var),), (length,))
            case ["lambda", params, body]:
                variables = tuple(self.variable(param) for param in array(params, "parameters"))
                return Written(("lambda", len(variables)), (self.number(body),), _different(variables), (None,) * len(variables))
            case ["call", function, arguments, indices]:
                return self._call(text(function, "function"), array(arguments, "arguments"), self.numbers(indices))
            case ["formula", name, tensor, terms]:
                named = None if tensor is None else text(tensor, "tensor")
                return Written(("formula", text(name, "predicate"), named), self.numbers(terms))
            case ["every", over, body]:
                pairs = self.ranges(over)
                sizes = tuple(size for _, size in pairs)
                variables = _different(tuple(var for var, _ in pairs))
                return Written(("every", len(pairs)), (*sizes, self.number(body)), variables, sizes)
        raise CheckError("there is no node of this form")

    def _call(self, function: str, arguments: list[Any], indices: tuple[int, ...]) -> Written:
        pairs = [array(pair, "argument", 2) for pair in arguments]
        names = tuple(text(name, "name of a parameter") for name, _ in pairs)
        lambdas = tuple(self.number(value) for _, value in pairs)
        if function not in self._signatures:
            raise CheckError(f"function {function!r} is not defined")
        parameters, ranks = self._signatures[function]
        given = tuple((name, self.nodes[value].head) for name, value in zip(names, lambdas, strict=True))
        if given != tuple((name, ("lambda", count)) for name, count in parameters) or len(indices) not in ranks:
            raise CheckError(f"function {function!r} is not called with its parameters and indices")
        return Written(("call", function, names), lambdas + indices)


def _name(value: Any) -> str:
    name = text(value, "name")
    if name.startswith("#"):
        raise CheckError("a name of a variable starts with '#'")
    return name


def _different(variables: tuple[Node, ...]) -> tuple[Node, ...]:
    if len(set(variables)) != len(variables):
        raise CheckError("a variable is bound twice by one binder")
    return variables


def _fraction(value: Any) -> Fraction:
    found = _NUMBER.fullmatch(text(value, "number"))
    if found is None:
        raise CheckError("a number is written -12 or 3/4")
    number = Fraction(int(found[1] + found[2]), int(found[3] or 1))
    if str(number) != value:
        raise CheckError(f"a number is written in lowest terms: {str(number)[:60]}")
    return number
