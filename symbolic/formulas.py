"""Formulas: what a theorem can state or assume.

========================  =====================================================================================
``eq(a, b)``              a = b
``positive(a)``           a > 0
``nonnegative(a)``        a ≥ 0
``nonzero(a)``            a ≠ 0
``in(t, n)``              t is an integer with 0 ≤ t < n
``integer(t)``            t is an integer
``permutation(s, n)``     the tensor s maps the integers j with 0 ≤ j < n one-to-one onto themselves
``derivative(f, p, a)``   the function f = λt. … of a real variable is differentiable at p, and f′(p) = a
``every(j < n, φ)``       φ for all integers j with 0 ≤ j < n (:class:`Every`)
========================  =====================================================================================
"""

from __future__ import annotations

from typing import Any, Self

from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.terms import Lambda, Node, Term, TermLike, Var, index_variable, term

#: predicate -> number of terms it speaks of; ``permutation`` has the name of a tensor in front, ``derivative`` a lambda
PREDICATES = {"eq": 2, "positive": 1, "nonnegative": 1, "nonzero": 1, "in": 2, "integer": 1, "permutation": 1, "derivative": 3}


class Formula(Node):
    """A predicate of :data:`PREDICATES` on terms; ``tensor`` is the one that a ``permutation`` speaks of."""

    __match_args__: tuple[str, ...] = ("name", "tensor", "terms")
    __slots__: tuple[str, ...] = ("name", "tensor", "terms")
    name: str
    tensor: str | None
    terms: tuple[Any, ...]

    def __new__(cls, name: str, *terms: TermLike | Lambda, tensor: str | None = None) -> Self:
        if PREDICATES.get(name) != len(terms) or isinstance(tensor, str) != (name == "permutation"):
            raise ProofError(f"formula {name!r} with {len(terms)} terms: expected one of {PREDICATES}, a tensor with permutation only")
        parts: list[Node] = [part if isinstance(part, Lambda) else term(part) for part in terms]
        for place, part in enumerate(parts):
            function = isinstance(part, Lambda) and len(part.params) == 1
            if function != (name == "derivative" and not place) or isinstance(part, Lambda) != function:
                raise ProofError(f"formula {name!r}: {part!r} in place {place}; a function of one variable stands first in a derivative")
        return super().__new__(cls, name, tensor, tuple(parts))

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
        return term(self.terms[place])


class Every(Formula):
    """``body`` for all integers of the ranges ``over``: pairs of an index and its size. Its name is ``every``, it has no terms."""

    __match_args__ = ("over", "body")
    __slots__ = ("body", "over")
    over: tuple[tuple[Var, Term], ...]
    body: Formula

    def __new__(cls, over: tuple[tuple[Var, TermLike], ...], body: Formula) -> Self:
        pairs = tuple((index_variable(var), term(length)) for var, length in over)
        if not pairs or len({var for var, _ in pairs}) != len(pairs):
            raise ProofError(f"every {over!r}: expected one or more different indices")
        if not isinstance(body, Formula) or body.name == "permutation":
            raise ProofError(f"every {over!r}: {body!r} is no formula that can be said of all indices")
        return Node.__new__(cls, pairs, body)

    def __getnewargs_ex__(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (self.over, self.body), {}

    @property
    def name(self) -> str:  # type: ignore[override]
        """Always ``every``, so that no rule takes it for what it says of each index."""
        return "every"

    @property
    def tensor(self) -> None:  # type: ignore[override]
        """None."""
        return None

    @property
    def terms(self) -> tuple[Any, ...]:  # type: ignore[override]
        """None of its own."""
        return ()


def equation(left: TermLike, right: TermLike) -> Formula:
    """left = right."""
    return Formula("eq", left, right)


def positive(value: TermLike) -> Formula:
    """value > 0."""
    return Formula("positive", value)


def nonnegative(value: TermLike) -> Formula:
    """value ≥ 0."""
    return Formula("nonnegative", value)


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


def derivative(function: Lambda, point: TermLike, value: TermLike) -> Formula:
    """The function of one real variable is differentiable at the point, and its derivative there is the value."""
    return Formula("derivative", function, point, value)


def every(over: tuple[tuple[Var, TermLike], ...], body: Formula) -> Every:
    """The body for all integers of the ranges."""
    return Every(over, body)
