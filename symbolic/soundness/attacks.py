"""Attempts to have a false statement proved or accepted.

* :func:`rerun`: the log of the true theorem with its target replaced everywhere in the arguments, or with the assumption that is to be
  missing taken out of the premises, applied again rule by rule: the same proof, asked for the neighbour.
* :func:`by_arithmetic`, :func:`by_sums_of_products`: the automatic provers on the false target, after every call is unfolded, with the
  signs that it assumes as premises.
* :func:`forged`: a document of the true theorem whose last step states the neighbour, for the second checker.

Guarantees: nothing; each returns what it got, and the campaign demands that it is nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from kernelproof.symbolic.binding import alpha_equal, canonical, children, functions_called, rebuild
from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.definitions import unfolding
from kernelproof.symbolic.core.laws import law
from kernelproof.symbolic.core.logic import (
    assumption,
    cases,
    cut,
    generalisation,
    induction,
    instantiation,
    reflexivity,
    replacement,
    specialisation,
    symmetry,
    transitivity,
)
from kernelproof.symbolic.core.theorem import RULES, Theorem
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import Formula
from kernelproof.symbolic.logs import steps
from kernelproof.symbolic.serialise import proofs
from kernelproof.symbolic.soundness.neighbours import Neighbour
from kernelproof.symbolic.tactics.collect import by_sums
from kernelproof.symbolic.tactics.rewriting import everywhere, in_order, tried, unfold
from kernelproof.symbolic.terms import Node, Term

#: a rule by name, as the core offers it
APPLY: Mapping[str, Callable[..., Theorem]] = {
    "reflexivity": reflexivity, "symmetry": symmetry, "transitivity": transitivity, "replacement": replacement,
    "instantiation": instantiation, "assumption": assumption, "cut": cut, "generalisation": generalisation,
    "specialisation": specialisation, "cases": cases, "induction": induction, "arithmetic": arithmetic, "law": law,
    "definition": unfolding,
}
assert set(APPLY) == set(RULES)
#: what a rule raises where it is given what does not fit
REFUSALS = (ProofError, TypeError, IndexError, ValueError, AttributeError, KeyError)
#: terms with more nodes than this are not multiplied out
LARGEST = 120


def states(found: Theorem, wanted: Neighbour) -> bool:
    """Whether a theorem says what the neighbour says, or more."""
    allowed = {canonical(formula) for formula in wanted.hypotheses}
    return alpha_equal(found.conclusion, wanted.conclusion) and {canonical(formula) for formula in found.hypotheses} <= allowed


def rerun(theorem: Theorem, wanted: Neighbour) -> Theorem | None:
    """The proof with the target replaced, if it goes through; steps that do not change are taken over."""
    edit = _Edit(dict(targets(theorem.conclusion, wanted.conclusion)))
    new: dict[int, Theorem | None] = {}
    try:
        for step in steps(theorem):
            new[id(step)] = _again(step, new, edit, wanted.missing)
    except REFUSALS:
        return None
    return new[id(theorem)]


def _again(step: Theorem, new: dict[int, Theorem | None], edit: _Edit, missing: Formula | None) -> Theorem | None:
    if step.rule == "assumption" and missing is not None and alpha_equal(step.conclusion, missing):
        return None
    premises = tuple(new[id(premise)] for premise in step.premises)
    arguments = tuple(map(edit.argument, step.arguments))
    if all(one is two for one, two in zip((*premises, *arguments), (*step.premises, *step.arguments), strict=True)):
        return step
    there = tuple(premise for premise in premises if premise is not None)
    if len(there) < len(premises) and RULES[step.rule].premises is not None:
        raise ProofError(f"rule {step.rule!r} lacks a premise")
    return APPLY[step.rule](there, *arguments)


def targets(true: Formula, false: Formula) -> tuple[tuple[Node, Node], ...]:
    """The terms of a statement that the neighbour has otherwise: the whole of each, and of each its part that differs."""
    if true.name != false.name or len(true.terms) != len(false.terms):
        return ((true, false),)
    return ((true, false), *((one, two) for one, two in zip(true.terms, false.terms, strict=True) if one is not two))


class _Edit:
    """Some nodes replaced by others wherever they stand; what has none of them is handed back as it is."""

    def __init__(self, pairs: Mapping[Node, Node]) -> None:
        self._pairs = pairs
        self._done: dict[Node, Node] = {}

    def argument(self, value: Any) -> Any:
        """An argument of a rule."""
        if isinstance(value, Node):
            return self._node(value)
        if isinstance(value, tuple):
            parts = tuple(map(self.argument, value))
            return value if all(one is two for one, two in zip(parts, value, strict=True)) else parts
        if isinstance(value, Mapping):
            changed = {key: self.argument(part) for key, part in value.items()}
            return value if all(changed[key] is value[key] for key in value) else changed
        return value

    def _node(self, node: Node) -> Node:
        if node in self._pairs:
            return self._pairs[node]
        if node not in self._done:
            parts = [part for part, _ in children(node)]
            new = [self._node(part) for part in parts]
            self._done[node] = node if all(one is two for one, two in zip(parts, new, strict=True)) else rebuild(node, new)
        return self._done[node]


def by_arithmetic(theorem: Theorem, wanted: Neighbour) -> bool | None:
    """Whether arithmetic, with the signs that the neighbour assumes, shows it; None where there is nothing to show."""
    signs = tuple(assumption((), formula) for formula in wanted.hypotheses if formula.name in ("positive", "nonzero"))
    return _shown(theorem, wanted, lambda one, two: arithmetic(signs, one, two))


def by_sums_of_products(theorem: Theorem, wanted: Neighbour) -> bool | None:
    """Whether moving sums about, and arithmetic, shows it; None where there is nothing to show, or the terms are too large."""
    signs = tuple(assumption((), formula) for formula in wanted.hypotheses if formula.name in ("positive", "nonzero"))
    return _shown(theorem, wanted, lambda one, two: by_sums(one, two, *signs), LARGEST)


def _shown(theorem: Theorem, wanted: Neighbour, prove: Callable[[Term, Term], Theorem], largest: int | None = None) -> bool | None:
    """Whether the prover shows the neighbour: as an equation, or by showing each term that it has otherwise equal to the true one."""
    pairs = targets(theorem.conclusion, wanted.conclusion)[1:]
    goals = [(one, two) for one, two in pairs if isinstance(one, Term) and isinstance(two, Term)]
    if len(goals) != len(pairs) or not goals:
        return None
    ways = [goals, [(wanted.conclusion.left, wanted.conclusion.right)]] if wanted.conclusion.name == "eq" else [goals]
    allowed = {canonical(formula) for formula in wanted.hypotheses}
    tried = False
    for way in ways:
        sides = [(_unfolded(one).right, _unfolded(two).right) for one, two in way]
        if largest is not None and any(_count(side) > largest for pair in sides for side in pair):
            continue
        tried = True
        try:
            found = [prove(one, two) for one, two in sides]
        except REFUSALS:
            continue
        if all({canonical(formula) for formula in made.hypotheses} <= allowed for made in found):
            return True
    return False if tried else None


@cache
def _unfolded(value: Term) -> Theorem:
    """The term with calls unfolded, as long as it stays small."""
    found = reflexivity((), value)
    while _count(found.right) <= LARGEST and functions_called(found.right):
        step = in_order(*(tried(everywhere(unfold(name))) for name in sorted(functions_called(found.right))))(found.right)
        if step.right is found.right:
            break
        found = transitivity((found, step))
    return found


def _count(node: Node) -> int:
    return 1 + sum(_count(part) for part, _ in children(node))


def forged(theorem: Theorem, wanted: Neighbour) -> dict[str, Any]:
    """A document whose last step, and every other that states the theorem, states the neighbour."""
    document = proofs({"theorem": theorem, "wanted": assumption((), wanted.conclusion)})
    last, other = (document["steps"][document["theorems"][name]] for name in ("theorem", "wanted"))
    for step in document["steps"]:
        if step["conclusion"] == last["conclusion"] and step is not other and step["rule"] != "assumption":
            step["conclusion"] = other["conclusion"]
    if wanted.missing is not None:
        dropped = proofs({"theorem": theorem, "missing": assumption((), wanted.missing)})
        place = dropped["steps"][dropped["theorems"]["missing"]]["conclusion"]
        last["hypotheses"] = [number for number in last["hypotheses"] if number != place]
    document["theorems"] = {"theorem": document["theorems"]["theorem"]}
    return document
