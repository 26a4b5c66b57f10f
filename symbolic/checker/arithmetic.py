"""When two terms are equal by arithmetic: terms of the checker as polynomials over what is not arithmetic.

What it does: sums, products, natural powers, quotients and exponentials become a polynomial of
:class:`~.polynomials.Field`; every other subterm is an atom. The inverse of t is 1/t of the field only where t is a number, an
exponential, or among the terms that are known not to be 0; inverses of products, negations and quotients are made of those of their
parts (true with x/0 = 0); the inverse of anything else is an atom of its own, which cancels with nothing.

Guarantees: :meth:`Arithmetic.equal` says yes only if the terms are equal for all values of their variables for which the known terms
are not 0. Cannot see: what needs more than this; no means "not shown".
"""

from __future__ import annotations

from collections.abc import Iterable

from .nodes import Node
from .polynomials import Field, Polynomial, add, constant, exponential, negative, subtract


class Arithmetic:
    """A translation that knows which terms are not 0."""

    def __init__(self, nonzero: Iterable[Node] = ()) -> None:
        self._nonzero = frozenset(nonzero)
        self._field = Field()
        self._done: dict[Node, Polynomial] = {}

    def equal(self, left: Node, right: Node, combination: Iterable[tuple[Node, Node, Node]] = ()) -> bool:
        """Whether left − right = Σ c·(l − r) over the (c, l, r) of the combination."""
        difference = subtract(self.polynomial(left), self.polynomial(right))
        for cofactor, one, other in combination:
            given = subtract(self.polynomial(one), self.polynomial(other))
            difference = subtract(difference, self._field.multiply(self.polynomial(cofactor), given))
        return self._field.vanishes(difference)

    def polynomial(self, node: Node) -> Polynomial:
        """The polynomial of a term."""
        if node not in self._done:
            self._done[node] = self._translated(node)
        return self._done[node]

    def _translated(self, node: Node) -> Polynomial:
        parts = node.parts
        match node.head[:2]:
            case ("num", value):
                return constant(value)
            case ("op", "add"):
                return add(self.polynomial(parts[0]), self.polynomial(parts[1]))
            case ("op", "sub"):
                return subtract(self.polynomial(parts[0]), self.polynomial(parts[1]))
            case ("op", "neg"):
                return negative(self.polynomial(parts[0]))
            case ("op", "mul"):
                return self._field.multiply(self.polynomial(parts[0]), self.polynomial(parts[1]))
            case ("op", "div"):
                return self._field.multiply(self.polynomial(parts[0]), self._inverse(parts[1]))
            case ("op", "pow"):
                return self._field.power(self.polynomial(parts[0]), int(parts[1].head[1]))
            case ("op", "exp"):
                return exponential(self.polynomial(parts[0]))
        return self._field.atom(node)

    def _inverse(self, node: Node) -> Polynomial:
        """1/node with 1/0 = 0."""
        parts = node.parts
        if node.kind == "num":
            return constant(1 / node.head[1] if node.head[1] else 0)
        if node in self._nonzero:
            return self._field.inverse(self.polynomial(node))
        match node.head[:2]:
            case ("op", "exp"):
                return exponential(negative(self.polynomial(parts[0])))
            case ("op", "mul"):
                return self._field.multiply(self._inverse(parts[0]), self._inverse(parts[1]))
            case ("op", "neg"):
                return negative(self._inverse(parts[0]))
            case ("op", "div"):
                return self._field.multiply(self._inverse(parts[0]), self.polynomial(parts[1]))
        return self._field.atom(("inverse", node))
