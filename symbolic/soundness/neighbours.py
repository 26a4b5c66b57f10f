"""False neighbours: statements that differ from a theorem in one thing, and are probably not true.

What it does: walks over the statement and changes one sign, index, factor, name, bound or number, or leaves a hypothesis out; calls of
defined functions are also opened, so that the change is made inside what they stand for. Terms only: nothing is proved or evaluated
here. Guarantees: nothing; whether a neighbour is false is for a numeric witness to show.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kernelproof.symbolic.binding import alpha_equal, at, bound_on_path, free_variables, positions, replace_at
from kernelproof.symbolic.core.definitions import instance
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import Formula
from kernelproof.symbolic.terms import ONE, Call, Entry, Fold, Lambda, Num, Op, Term, Var

KINDS = ("sign", "index", "dropped factor", "swapped names", "shifted bound", "number", "missing hypothesis")


@dataclass(frozen=True)
class Neighbour:
    """A statement, how it was made, and the hypothesis that it lacks, if that is how."""

    kind: str
    hypotheses: tuple[Formula, ...]
    conclusion: Formula
    missing: Formula | None = None


@dataclass(frozen=True)
class _Scope:
    """What may stand at a position: real variables, sizes, and tensors with their numbers of indices."""

    reals: tuple[Var, ...]
    sizes: tuple[Var, ...]
    tensors: frozenset[tuple[str, int]]


def neighbours(hypotheses: tuple[Formula, ...], conclusion: Formula, seed: int = 0) -> Iterator[Neighbour]:
    """Neighbours of a statement, kinds in turn, in an order that the seed chooses; those with calls opened come last."""
    dice = random.Random(seed)
    kept = {given: tuple(other for other in hypotheses if other is not given) for given in hypotheses}
    without = [Neighbour("missing hypothesis", others, conclusion, given) for given, others in kept.items()]
    changed = (Neighbour(kind, hypotheses, new) for kind, new in _changes(conclusion))
    yield from _in_turn([*without, *changed], dice)
    opened = _opened(conclusion)
    if opened is not conclusion:
        yield from _in_turn((Neighbour(kind, hypotheses, new) for kind, new in _changes(opened)), dice)


def _in_turn(found: Iterable[Neighbour], dice: random.Random) -> Iterator[Neighbour]:
    """One of each kind, then another of each, without repetition."""
    piles: dict[str, list[Neighbour]] = {kind: [] for kind in KINDS}
    for one in dict.fromkeys(found):
        piles[one.kind].append(one)
    for pile in piles.values():
        dice.shuffle(pile)
    while any(piles.values()):
        for pile in piles.values():
            if pile:
                yield pile.pop()


def _changes(formula: Formula) -> Iterator[tuple[str, Formula]]:
    """Every formula that differs at one position."""
    terms = [part for _, part in positions(formula) if isinstance(part, Term)]
    outside = free_variables(formula)
    names = frozenset((part.tensor, len(part.indices)) for part in terms if isinstance(part, Entry))
    sizes = tuple(sorted({part for part in terms if isinstance(part, Var) and part.kind == "size"}, key=repr))
    for place, part in enumerate(formula.terms):
        if isinstance(part, Term):
            yield from ((kind, replace_at(formula, (place,), new)) for kind, new in _whole(part))
    for path, part in positions(formula):
        if isinstance(part, Term):
            bound = [var for binder in bound_on_path(formula, path) for var, _ in binder]
            reals = tuple(sorted({*bound, *(var for var in outside if var.kind == "real")}, key=repr))
            for kind, new in _local(part, _Scope(reals, sizes, names)):
                if _stands(formula, path):
                    changed = replace_at(formula, path, new)
                    if not alpha_equal(changed, formula):
                        yield kind, changed


def _stands(formula: Formula, path: tuple[int, ...]) -> bool:
    """Whether another term may stand at a position: not an exponent, not a size that is passed to a function."""
    above = at(formula, path[:-1])
    return not (isinstance(above, Op) and above.name == "pow" and path[-1] == 1) and not (isinstance(above, Lambda) and not above.params)


def _local(part: Term, scope: _Scope) -> Iterator[tuple[str, Term]]:
    """The term with one thing changed at its root."""
    match part:
        case Op():
            yield from _operations(part)
        case Entry(tensor, indices):
            yield from (("index", Entry(tensor, *other)) for other in _indices(indices, scope))
            for name, count in sorted(scope.tensors):
                if count == len(indices) and name != tensor:
                    yield "swapped names", Entry(name, *indices)
            if len(indices) > 1:
                yield "swapped names", Entry(tensor, *reversed(indices))
        case Call(function, arguments, indices):
            yield from (("index", Call(function, arguments, other)) for other in _indices(indices, scope))
        case Fold(kind, var, length, body, guard):
            yield "shifted bound", Fold(kind, var, length + 1, body, guard)
            yield from (("shifted bound", Fold(kind, var, other, body, guard)) for other in scope.sizes if other is not length)
            if guard is not ONE:
                yield "dropped factor", Fold(kind, var, length, body)
        case Num():
            yield "number", Num(part.value + 1)
        case Var() if part.kind == "real":
            yield from (("index", other) for other in scope.reals if other is not part)
            yield "sign", -part


def _whole(part: Term) -> Iterator[tuple[str, Term]]:
    """A side of the statement with another sign or number."""
    yield from (("sign", new) for new in (-part, 1 - part, -2 * part, -part - 1))
    yield from (("number", new) for new in (part + 1, part - 1, 2 * part, part / 2, part - 2, part + 2))


def _operations(part: Op) -> Iterator[tuple[str, Term]]:
    one, two = (*part.args, *part.args)[:2] if part.args else (part, part)
    match part.name:
        case "add":
            yield "sign", one - two
        case "sub":
            yield "sign", one + two
            yield "sign", two - one
        case "neg":
            yield "sign", one
        case "mul":
            yield "dropped factor", one
            yield "dropped factor", two
        case "div":
            yield "dropped factor", one
        case "pow":
            yield "dropped factor", one
        case "exp" | "sqrt" | "tanh" | "erf" | "sin":
            yield "sign", -part
            yield "sign", Op(part.name, -one)
        case "max":
            yield "dropped factor", two
        case "less":
            yield "swapped names", Op("less", two, one)


def _indices(indices: tuple[Term, ...], scope: _Scope) -> Iterator[tuple[Term, ...]]:
    """Indices of which one is another variable, or one more."""
    for place, index in enumerate(indices):
        for other in (*scope.reals, index + 1):
            if other is not index:
                yield (*indices[:place], other, *indices[place + 1 :])


def _opened(formula: Formula) -> Formula:
    """The statement with every call that has one clause opened once, from the outside in."""
    while True:
        for path, part in positions(formula):
            body = _body(part)
            if body is not None:
                formula = replace_at(formula, path, body)
                break
        else:
            return formula
        if sum(1 for _ in positions(formula)) > 150:
            return formula


def _body(part: object) -> Term | None:
    if not isinstance(part, Call):
        return None
    try:
        hypotheses, body = instance(part, 0)
    except ProofError:
        return None
    return None if hypotheses else body
