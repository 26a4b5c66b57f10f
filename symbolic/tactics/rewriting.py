"""Tactics: functions that find the next step and have the core prove it.

What it does: a *conversion* takes a term and returns a theorem ``term = …``. The combinators here apply a conversion below the
root, everywhere, or one after the other; :class:`Chain` keeps the lines that a person would write. Guarantees: nothing: whatever
is wrong here cannot make a theorem, because only rules do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeGuard

from kernelproof.symbolic.binding import Path, alpha_equal, at, free_variables, positions, tensors
from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.definitions import definition_of, unfolding
from kernelproof.symbolic.core.laws import LAWS, law
from kernelproof.symbolic.core.logic import cut, reflexivity, replacement, symmetry, transitivity
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import Formula
from kernelproof.symbolic.terms import Call, Lambda, Op, Term, TermLike, term

Conversion = Callable[[Term], Theorem]


def then(first: Theorem, *others: Theorem) -> Theorem:
    """a = b, b = c, … gives a = …"""
    for other in others:
        first = transitivity((first, other))
    return first


def use(name: str, *premises: Theorem, **values: TermLike | Lambda) -> Theorem:
    """A law with terms for its variables and lambdas for its tensors, by name; premises discharge its hypotheses."""
    row = LAWS.get(name)
    if row is None:
        raise ProofError(f"law {name!r}: there is no such law")
    formulas = (*row.hypotheses, row.conclusion)
    named = {var.name: var for formula in formulas for var in free_variables(formula)}
    known = {tensor for formula in formulas for tensor in tensors(formula)} | {str(formula.tensor) for formula in formulas}
    terms = {named[key]: term(value) for key, value in values.items() if not isinstance(value, Lambda) and key in named}
    lambdas = {key: value for key, value in values.items() if isinstance(value, Lambda) and key in known}
    if len(terms) + len(lambdas) != len(values):
        raise ProofError(f"law {name!r}: it has {sorted(named)} and tensors {sorted(known)}, not {sorted(values)}")
    return law(premises, name, terms, lambdas)


def congruence(given: Theorem, whole: Term, path: Path) -> Theorem:
    """From a = b: a term with a at a position equals the term with b there."""
    return replacement((reflexivity((), whole), given), (1, *path))


def shown_as(theorem: Theorem, left: Term, right: Term | None = None) -> Theorem:
    """The equation with the names of bound variables that these terms have."""
    if theorem.left is not left:
        theorem = transitivity((reflexivity((), left, theorem.left), theorem))
    if right is not None and theorem.right is not right:
        theorem = transitivity((theorem, reflexivity((), theorem.right, right)))
    return theorem


def discharged(theorem: Theorem, *lemmas: Theorem) -> Theorem:
    """The theorem without the hypotheses that the lemmas show; a lemma that shows none of them is not used."""
    for lemma in lemmas:
        if any(alpha_equal(lemma.conclusion, formula) for formula in theorem.hypotheses):
            theorem = cut((lemma, theorem))
    return theorem


def replaced(theorem: Theorem, *equations: Theorem) -> Theorem:
    """The statement with left sides replaced by right sides, each equation wherever its left side stands."""
    for equation in equations:
        for path in occurrences(theorem.conclusion, equation.left):
            theorem = replacement((theorem, equation), path)
    return theorem


def occurrences(formula: Formula, wanted: Term) -> list[Path]:
    """Where a term stands in a formula, up to bound names; not inside another occurrence."""
    found: list[Path] = []
    for path, part in positions(formula):
        inside = any(path[: len(outer)] == outer for outer in found)
        if isinstance(part, Term) and not inside and alpha_equal(part, wanted):
            found.append(path)
    return found


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
                    return found if not path else congruence(found, value, path)
                except ProofError:
                    continue
        raise ProofError("the step applies nowhere")

    return convert


def any_of(*conversions: Conversion) -> Conversion:
    """The first of these that applies."""

    def convert(value: Term) -> Theorem:
        for conversion in conversions:
            try:
                return conversion(value)
            except ProofError:
                continue
        raise ProofError("none of the steps applies")

    return convert


def tried(conversion: Conversion) -> Conversion:
    """The conversion, or nothing where it does not apply."""
    return any_of(conversion, lambda value: reflexivity((), value))


def only_at(source: Term, target: Term) -> Conversion:
    """source = target by arithmetic, at that very term."""

    def convert(value: Term) -> Theorem:
        if value is not source:
            raise ProofError("another term")
        return by_arithmetic(target)(value)

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


def part(value: Term, *path: int) -> Term:
    """The term at a position."""
    return term(at(value, path))


def inside(path: Path, conversion: Conversion) -> Conversion:
    """Apply at one position."""
    return lambda value: congruence(conversion(term(at(value, path))), value, path)


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
