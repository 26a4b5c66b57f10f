"""The sealed theorem and the registry of rules.

What it does: a :class:`Theorem` is a sequent ``hypotheses ⊢ conclusion`` with the log of how it was made: rule, premises,
arguments. Only a function decorated with :func:`rule` gets theorems built, and :func:`replay` runs a log again from its leaves.

Guarantees: hypotheses and axioms of the premises are kept unless a rule says which it discharges; a theorem is immutable.
Cannot see: Python cannot seal a constructor against a determined program. That is why the log is kept: a checker that shares no
code with this one can replay it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from kernelproof.symbolic.core.formulas import Formula
from kernelproof.symbolic.errors import ProofError

_SEAL = object()
Made = tuple[Iterable[Formula], Formula]
#: the axiom a rule rests on: none, a name, or a function of the conclusion that says which
Axiom = str | Callable[[Formula], str | None] | None


@dataclass(frozen=True, eq=False)
class Theorem:
    """``hypotheses ⊢ conclusion``, made by ``rule`` from ``premises`` with ``arguments``, resting on ``axioms``."""

    hypotheses: tuple[Formula, ...]
    conclusion: Formula
    rule: str
    premises: tuple[Theorem, ...]
    arguments: tuple[Any, ...]
    axioms: frozenset[str]
    seal: object

    def __post_init__(self) -> None:
        if self.seal is not _SEAL:
            raise ProofError("a theorem can only be made by a rule")

    @property
    def left(self) -> Any:
        return self.conclusion.left

    @property
    def right(self) -> Any:
        return self.conclusion.right

    def size(self) -> int:
        """Number of rule applications in the log, shared ones counted once."""
        return len(steps(self))


@dataclass(frozen=True)
class Rule:
    """A registered rule: what it licenses in words, the axiom it rests on if any, and the function that applies it."""

    name: str
    meaning: str
    axiom: Axiom
    apply: Callable[..., Made]


RULES: dict[str, Rule] = {}


def rule(name: str, axiom: Axiom = None) -> Callable[[Callable[..., Made]], Callable[..., Theorem]]:
    """Register a rule. The function gets (premises, *arguments) and returns the new hypotheses and the conclusion."""

    def register(function: Callable[..., Made]) -> Callable[..., Theorem]:
        if name in RULES:
            raise ProofError(f"rule {name!r} is registered twice")
        meaning = (function.__doc__ or "").strip().splitlines()[0]
        RULES[name] = Rule(name, meaning, axiom, function)

        def make(premises: Iterable[Theorem] = (), *arguments: Any) -> Theorem:
            return _apply(name, tuple(premises), arguments)

        make.__doc__ = function.__doc__
        make.__name__ = function.__name__
        return make

    return register


def _apply(name: str, premises: tuple[Theorem, ...], arguments: tuple[Any, ...]) -> Theorem:
    made = RULES[name]
    if not all(isinstance(premise, Theorem) for premise in premises):
        raise ProofError(f"rule {name!r}: every premise must be a theorem")
    hypotheses, conclusion = made.apply(premises, *arguments)
    kept = {formula.key(): formula for formula in hypotheses}
    own = made.axiom(conclusion) if callable(made.axiom) else made.axiom
    axioms = frozenset().union(*(premise.axioms for premise in premises)) | ({own} if own else set())
    return Theorem(tuple(kept.values()), conclusion, name, premises, arguments, axioms, _SEAL)


def gathered(premises: Iterable[Theorem]) -> list[Formula]:
    """All hypotheses of the premises."""
    return [formula for premise in premises for formula in premise.hypotheses]


def steps(theorem: Theorem) -> list[Theorem]:
    """The log, premises before what they support, each theorem once."""
    done: dict[int, Theorem] = {}

    def visit(current: Theorem) -> None:
        if id(current) not in done:
            for premise in current.premises:
                visit(premise)
            done[id(current)] = current

    visit(theorem)
    return list(done.values())


def replay(theorem: Theorem) -> Theorem:
    """Make the theorem again from its log; raises ProofError where a step does not hold or gives another statement."""
    again: dict[int, Theorem] = {}
    for step in steps(theorem):
        new = _apply(step.rule, tuple(again[id(premise)] for premise in step.premises), step.arguments)
        old, now = ({f.key() for f in side.hypotheses} for side in (step, new))
        if not new.conclusion.same(step.conclusion) or old != now or new.axioms != step.axioms:
            raise ProofError(f"replaying rule {step.rule!r} gives another theorem than the log says")
        again[id(step)] = new
    return again[id(theorem)]
