"""What a theorem can state or assume.

========================  =============================================================================
``eq(a, b)``              a = b
``positive(a)``           a > 0
``nonzero(a)``            a ≠ 0
``in(t, n)``              t is an integer with 0 ≤ t < n
``integer(t)``            t is an integer
``permutation(s, n)``     the tensor s maps {0, …, n−1} one-to-one onto itself
========================  =============================================================================
"""

from __future__ import annotations

from collections.abc import Mapping

from kernelproof.symbolic.binding import canonical, free_variables, substitute, tensors
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.terms import Entry, Lambda, Node, Term, TermLike, Var, term

PREDICATES = {"eq": 2, "positive": 1, "nonzero": 1, "in": 2, "integer": 1, "permutation": 2}


class Formula(Node):
    """A predicate of :data:`PREDICATES` on terms; ``permutation`` has the name of a tensor in front of the size."""

    __slots__ = ()

    def __new__(cls, name: str, *args: Term | str) -> Formula:
        if PREDICATES.get(name) != len(args):
            raise ProofError(f"formula {name!r} with {len(args)} arguments: not one of {PREDICATES}")
        return super().__new__(cls, name, tuple(args))  # type: ignore[no-any-return]

    @property
    def name(self) -> str:
        return self.fields[0]  # type: ignore[no-any-return]

    @property
    def args(self) -> tuple[Term | str, ...]:
        return self.fields[1]  # type: ignore[no-any-return]

    @property
    def terms(self) -> tuple[Term, ...]:
        return tuple(arg for arg in self.args if isinstance(arg, Term))

    @property
    def left(self) -> Term:
        return self.side(0)

    @property
    def right(self) -> Term:
        return self.side(1)

    def side(self, place: int) -> Term:
        """One side of an equation."""
        found = self.args[place]
        if self.name != "eq" or not isinstance(found, Term):
            raise ProofError(f"an equation was expected, got {self.name}")
        return found

    @property
    def tensor(self) -> str | None:
        """The tensor that a ``permutation`` speaks of."""
        return self.args[0] if isinstance(self.args[0], str) else None

    def free(self) -> frozenset[Var]:
        """Free variables."""
        return frozenset().union(*(free_variables(part) for part in self.terms))

    def tensors(self) -> frozenset[str]:
        """Tensors spoken of."""
        named = frozenset((self.tensor,)) if self.tensor is not None else frozenset()
        return named.union(*(tensors(part) for part in self.terms))

    def same(self, other: Formula) -> bool:
        """Equality up to bound names."""
        return self.key() == other.key()

    def key(self) -> tuple[object, ...]:
        """A hashable representative of the class under renaming of bound variables."""
        return self.name, *(canonical(arg) if isinstance(arg, Term) else arg for arg in self.args)

    def substituted(self, values: Mapping[Var, Term], functions: Mapping[str, Lambda]) -> Formula:
        """The formula with terms put for variables and lambdas for tensors."""
        args: list[Term | str] = []
        for arg in self.args:
            if isinstance(arg, Term):
                args.append(substitute(arg, values, functions))
            elif arg in functions:
                args.append(_renamed_tensor(arg, functions[arg]))
            else:
                args.append(arg)
        return Formula(self.name, *args)


def _renamed_tensor(name: str, value: Lambda) -> str:
    """A tensor under ``permutation`` may only be renamed: λi. r[i] is r; anything else would leave the hypothesis behind."""
    body = value.body
    if isinstance(body, Entry) and body.indices == value.params:
        return body.tensor
    raise ProofError(f"tensor {name!r} is assumed to be a permutation: it can be renamed, not replaced by {body!r}")


def equation(left: TermLike, right: TermLike) -> Formula:
    """left = right."""
    return Formula("eq", term(left), term(right))


def positive(value: TermLike) -> Formula:
    """value > 0."""
    return Formula("positive", term(value))


def nonzero(value: TermLike) -> Formula:
    """value ≠ 0."""
    return Formula("nonzero", term(value))


def within(index: TermLike, length: TermLike) -> Formula:
    """index is an integer with 0 ≤ index < length."""
    return Formula("in", term(index), term(length))


def integer(value: TermLike) -> Formula:
    """value is an integer."""
    return Formula("integer", term(value))


def permutation(tensor: str, length: TermLike) -> Formula:
    """The tensor permutes {0, …, length−1}."""
    return Formula("permutation", tensor, term(length))
