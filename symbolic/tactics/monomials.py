"""What the collected form of a term is made of: monomials, ``coefficient · Π outer · Σ_prefix Π inner``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from kernelproof.symbolic.terms import ONE, ZERO, Fold, Num, Term, Var

Prefix = tuple[tuple[Var, Term], ...]


@dataclass(frozen=True)
class Monomial:
    """``coefficient · Π outer · Σ_prefix Π inner``."""

    coefficient: Fraction
    outer: tuple[Term, ...] = ()
    prefix: Prefix = ()
    inner: tuple[Term, ...] = ()

    @property
    def fold(self) -> Term:
        """The nested sums."""
        value = product(self.inner)
        for var, length in reversed(self.prefix):
            value = Fold("sum", var, length, value)
        return value

    @property
    def term(self) -> Term:
        """The monomial as a term."""
        parts = [*self.outer, *([self.fold] if self.prefix else [])]
        return product(parts) if self.coefficient == 1 and parts else product([Num(self.coefficient), *parts])


def product(parts: Iterable[Term]) -> Term:
    """Factors multiplied from the left."""
    value: Term | None = None
    for part in parts:
        value = part if value is None else value * part
    return ONE if value is None else value


def summed(monomials: list[Monomial]) -> Term:
    value: Term | None = None
    for monomial in monomials:
        value = monomial.term if value is None else value + monomial.term
    return ZERO if value is None else value
