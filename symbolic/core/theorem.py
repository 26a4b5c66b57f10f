"""The sealed theorem and the registry of rules.

What it does: a :class:`Theorem` is a sequent ``hypotheses ⊢ conclusion`` with the log of how it was made: rule, premises,
arguments. Only a function decorated with :func:`rule` gets theorems built, and :func:`replay` runs a log again from its leaves.

Guarantees: hypotheses and axioms of the premises are kept unless a rule says which it discharges; a theorem and its log are
immutable, whatever the caller does later to what it passed. Cannot see: Python cannot seal a constructor against a determined
program. That is why the log is kept: a checker that shares no code with this one can replay it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import InitVar, dataclass, field
from functools import wraps
from types import MappingProxyType
from typing import Any

from kernelproof.symbolic.binding import canonical, operations
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import Formula
from kernelproof.symbolic.terms import Node, Term

_SEAL = object()
Made = tuple[Iterable[Formula], Formula]
#: the axioms a rule rests on: none; names for the operations that occur in what it speaks of; or what its first argument says
Axiom = Callable[[Any], frozenset[str]] | Mapping[str, str] | None


@dataclass(frozen=True, eq=False, slots=True)
class Theorem:
    """``hypotheses ⊢ conclusion``, made by ``rule`` from ``premises`` with ``arguments``, resting on ``axioms``."""

    hypotheses: tuple[Formula, ...]
    conclusion: Formula
    rule: str
    premises: tuple[Theorem, ...] = field(repr=False)
    arguments: tuple[Any, ...] = field(repr=False)
    axioms: frozenset[str]
    seal: InitVar[object]  # not kept: dataclasses.replace cannot pass it on

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise ProofError("a theorem can only be made by a rule")

    def __reduce__(self) -> str:
        raise TypeError("a theorem is not copied or pickled: replay its log")

    @property
    def left(self) -> Term:
        return self.conclusion.left

    @property
    def right(self) -> Term:
        return self.conclusion.right

    @property
    def licence(self) -> str:
        """What licenses the step: the name of the law where the rule is ``law``, else that of the rule."""
        return str(self.arguments[0]) if self.rule == "law" else self.rule


@dataclass(frozen=True)
class Rule:
    """A registered rule: what it licenses in words, how many premises it takes (None: any), its axiom, the function that applies it."""

    name: str
    meaning: str
    premises: int | None
    axiom: Axiom
    apply: Callable[..., Made]


_RULES: dict[str, Rule] = {}
RULES: Mapping[str, Rule] = MappingProxyType(_RULES)


def rule(name: str, premises: int | None = 0, axiom: Axiom = None) -> Callable[[Callable[..., Made]], Callable[..., Theorem]]:
    """Register a rule. The function gets (premises, *arguments) and returns the new hypotheses and the conclusion."""

    def register(function: Callable[..., Made]) -> Callable[..., Theorem]:
        if name in RULES:
            raise ProofError(f"rule {name!r} is registered twice")
        meaning = (function.__doc__ or "").strip().splitlines()[0]
        _RULES[name] = Rule(name, meaning, premises, axiom, function)

        @wraps(function)
        def make(premises: Iterable[Theorem] = (), *arguments: Any) -> Theorem:
            return apply_rule(name, tuple(premises), arguments)

        return make

    return register


def apply_rule(name: str, premises: tuple[Theorem, ...], given: tuple[Any, ...]) -> Theorem:
    """What a rule of this name makes of premises and arguments."""
    if name not in RULES:
        raise ProofError(f"rule {name!r} does not exist")
    made = RULES[name]
    if not all(type(premise) is Theorem for premise in premises):
        raise ProofError(f"rule {name!r}: every premise must be a theorem")
    if made.premises is not None and len(premises) != made.premises:
        raise ProofError(f"rule {name!r}: {len(premises)} premises, expected {made.premises}")
    arguments = tuple(_frozen(argument) for argument in given)
    hypotheses, conclusion = made.apply(premises, *arguments)
    kept = {canonical(formula): formula for formula in hypotheses}
    axioms = frozenset().union(*(premise.axioms for premise in premises))
    if callable(made.axiom):
        axioms |= made.axiom(arguments[0])
    elif made.axiom is not None:
        nodes = (conclusion, *(premise.conclusion for premise in premises), *_nodes(arguments))
        axioms |= {axiom for operation, axiom in made.axiom.items() if any(operation in operations(node) for node in nodes)}
    return Theorem(tuple(kept.values()), conclusion, name, premises, arguments, axioms, _SEAL)


def _frozen(argument: Any) -> Any:
    """The argument as a value that nobody else can change, in one order, so that the log stays what the rule saw."""
    if argument is None or isinstance(argument, (Node, str, int)):
        return argument
    if isinstance(argument, (tuple, list)):
        return tuple(_frozen(part) for part in argument)
    if isinstance(argument, Mapping):
        return MappingProxyType({key: _frozen(argument[key]) for key in sorted(argument, key=repr)})
    raise TypeError(f"{argument!r} cannot be an argument of a rule: expected terms, formulas, texts, numbers or collections of them")


def _nodes(argument: Any) -> list[Node]:
    if isinstance(argument, tuple):
        return [node for part in argument for node in _nodes(part)]
    return [argument] if isinstance(argument, Node) else []


def gathered(premises: Iterable[Theorem]) -> list[Formula]:
    """All hypotheses of the premises."""
    return [formula for premise in premises for formula in premise.hypotheses]
