"""Formulas: what a theorem can state or assume.

========================  =====================================================================================
``eq(a, b)``              a = b
``positive(a)``           a > 0
``nonzero(a)``            a ≠ 0
``in(t, n)``              t is an integer with 0 ≤ t < n
``integer(t)``            t is an integer
``permutation(s, n)``     the tensor s maps the integers j with 0 ≤ j < n one-to-one onto themselves
========================  =====================================================================================
"""

from __future__ import annotations

from typing import Any, Self

from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.terms import Node, Term, TermLike, term

#: predicate -> number of terms it speaks of; ``permutation`` has the name of a tensor in front
PREDICATES = {"eq": 2, "positive": 1, "nonzero": 1, "in": 2, "integer": 1, "permutation": 1}


class Formula(Node):
    """A predicate of :data:`PREDICATES` on terms; ``tensor`` is the one that a ``permutation`` speaks of."""

    __match_args__ = ("name", "tensor", "terms")
    __slots__ = __match_args__
    name: str
    tensor: str | None
    terms: tuple[Term, ...]

    def __new__(cls, name: str, *terms: TermLike, tensor: str | None = None) -> Self:
        if PREDICATES.get(name) != len(terms) or isinstance(tensor, str) != (name == "permutation"):
            raise ProofError(f"formula {name!r} with {len(terms)} terms: expected one of {PREDICATES}, a tensor with permutation only")
        return super().__new__(cls, name, tensor, tuple(term(part) for part in terms))

    def __getnewargs_ex__(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (self.name, *self.terms), {"tensor": self.tensor}

    @property
    def left(self) -> Term:
        """Left side of an equation."""
        return self._side(0)

    @property
    def right(self) -> Term:
        """Right side of an equation."""
        return self._side(1)

    def _side(self, place: int) -> Term:
        if self.name != "eq":
            raise ProofError(f"an equation was expected, got {self.name}")
        return self.terms[place]


def equation(left: TermLike, right: TermLike) -> Formula:
    """left = right."""
    return Formula("eq", left, right)


def positive(value: TermLike) -> Formula:
    """value > 0."""
    return Formula("positive", value)


def nonzero(value: TermLike) -> Formula:
    """value ≠ 0."""
    return Formula("nonzero", value)


def within(index: TermLike, length: TermLike) -> Formula:
    """index is an integer with 0 ≤ index < length."""
    return Formula("in", index, length)


def integer(value: TermLike) -> Formula:
    """value is an integer."""
    return Formula("integer", value)


def permutation(tensor: str, length: TermLike) -> Formula:
    """The tensor maps the integers j with 0 ≤ j < length one-to-one onto themselves."""
    return Formula("permutation", length, tensor=tensor)
