"""Tactics: functions that find the next step and have the core prove it.

What it does: a *conversion* takes a term and returns a theorem ``term = …``. The combinators here apply a conversion below the
root, everywhere, or one after the other; :class:`Chain` keeps the lines that a person would write. Guarantees: nothing: whatever
is wrong here cannot make a theorem, because only rules do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from kernelproof.symbolic.binding import alpha_equal, at, positions
from kernelproof.symbolic.core.definitions import definition_of, unfolding
from kernelproof.symbolic.core.equality import arithmetic, congruence, reflexivity, symmetry, transitivity
from kernelproof.symbolic.core.folds import sum_constant, sum_delta, sum_of_sums, sum_scaled
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.terms import Call, Fold, Op, Term, term

Conversion = Callable[[Term], Theorem]


def then(first: Theorem, *others: Theorem) -> Theorem:
    """a = b, b = c, … gives a = …"""
    for other in others:
        first = transitivity((first, other))
    return first


def of_rule(rule: Callable[..., Theorem], *arguments: Any) -> Conversion:
    """The conversion of a rule that takes the term as its first argument."""
    return lambda value: rule((), value, *arguments)


def by_arithmetic(target: Term, *premises: Theorem, cofactors: Iterable[Term] = ()) -> Conversion:
    """term = target by field arithmetic and the premises."""
    return lambda value: arithmetic(premises, value, target, tuple(cofactors))


def rewriting(theorem: Theorem) -> Conversion:
    """Replace the left side of an equation by its right side, at the root."""

    def convert(value: Term) -> Theorem:
        if not alpha_equal(value, theorem.left):
            raise ProofError("rewriting: the term is not the left side")
        return theorem if value is theorem.left else then(reflexivity((), value, theorem.left), theorem)

    return convert


def by_only(target: Term, theorem: Theorem) -> Conversion:
    """Use a theorem on this very subterm and on no equal one."""

    def convert(value: Term) -> Theorem:
        if value is not target:
            raise ProofError("another subterm")
        return theorem

    return convert


def first(conversion: Conversion) -> Conversion:
    """Apply at the first position where it works, from the outside in."""

    def convert(value: Term) -> Theorem:
        for path, part in positions(value):
            if isinstance(part, Term):
                try:
                    found = conversion(part)
                    return found if not path else congruence((found,), value, path)
                except ProofError:
                    continue
        raise ProofError("the step applies nowhere")

    return convert


def everywhere(conversion: Conversion, limit: int = 200) -> Conversion:
    """Apply until it works nowhere; at least once."""

    def convert(value: Term) -> Theorem:
        result = first(conversion)(value)
        for _ in range(limit):
            try:
                step = first(conversion)(result.right)
            except ProofError:
                return result
            if alpha_equal(step.right, result.right):
                return result
            result = then(result, step)
        raise ProofError("the step applies for ever")

    return convert


def in_order(*conversions: Conversion) -> Conversion:
    """One conversion after the other."""

    def convert(value: Term) -> Theorem:
        result = reflexivity((), value)
        for conversion in conversions:
            result = then(result, conversion(result.right))
        return result

    return convert


def unfold(function: str, which: int | None = None) -> Conversion:
    """A call of this function becomes its body; of several clauses, the one that fits."""

    def convert(value: Term) -> Theorem:
        if not (isinstance(value, Call) and value.function == function):
            raise ProofError(f"not a call of {function}")
        if which is not None:
            return unfolding((), value, which)
        for clause in range(len(definition_of(function).clauses)):
            try:
                return unfolding((), value, clause)
            except ProofError:
                continue
        raise ProofError(f"no clause of {function} fits")

    return convert


def linear_sum(value: Term) -> Theorem:
    """Pull sums apart and constants out of a sum, at the root."""
    if not (isinstance(value, Fold) and value.kind == "sum"):
        raise ProofError("not a sum")
    for rule in (sum_delta, sum_constant, sum_of_sums, sum_scaled):
        try:
            return rule((), value)
        except ProofError:
            continue
    raise ProofError("the sum has no linear form")


def inside(path: tuple[int, ...], conversion: Conversion) -> Conversion:
    """Apply at one position."""
    return lambda value: congruence((conversion(term(at(value, path))),), value, path)


def both_sides(left: Term, right: Term, to_left: Conversion, to_right: Conversion) -> Theorem:
    """left = right, where both convert to the same term."""
    one, two = to_left(left), to_right(right)
    return then(one, reflexivity((), one.right, two.right), symmetry((two,)))


def split_exponential(value: Term) -> Theorem:
    """exp(a ± b) = exp(a)·exp(±b), at the root."""
    if is_operation(value, "exp"):
        (inner,) = value.args
        if is_operation(inner, "add"):
            return arithmetic((), value, Op("exp", inner.args[0]) * Op("exp", inner.args[1]))
        if is_operation(inner, "sub"):
            return arithmetic((), value, Op("exp", inner.args[0]) * Op("exp", -inner.args[1]))
    raise ProofError("not the exponential of a sum or difference")


def is_operation(value: object, name: str) -> TypeGuard[Op]:
    """Whether a term is this operation."""
    return isinstance(value, Op) and value.name == name


def _as_difference(value: Term) -> Theorem:
    if is_operation(value, "add") and is_operation(value.args[1], "neg"):
        return by_arithmetic(value.args[0] - value.args[1].args[0])(value)
    raise ProofError("not a sum with a negative")


#: a + (−b) becomes a − b, everywhere
as_differences: Conversion = everywhere(_as_difference)


@dataclass
class Line:
    """A line of a derivation: ``before = after``, in words and by which theorem."""

    title: str
    theorem: Theorem


@dataclass
class Chain:
    """A chain of equal terms that remembers its lines."""

    start: Term
    lines: list[Line] = field(default_factory=list)

    @property
    def current(self) -> Term:
        """The last term."""
        return self.lines[-1].theorem.right if self.lines else self.start

    def step(self, title: str, conversion: Conversion) -> Chain:
        """One more line."""
        theorem = conversion(self.current)
        if not alpha_equal(theorem.left, self.current):
            raise ProofError(f"line {title!r} does not start where the last one ended")
        self.lines.append(Line(title, theorem))
        return self

    def theorem(self) -> Theorem:
        """start = last term."""
        return then(reflexivity((), self.start), *(line.theorem for line in self.lines))
