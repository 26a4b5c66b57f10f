"""What looks are tried on: claims that are no theorems (stand-ins: theorems cannot be forged), laws, false neighbours of theorems."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from kernelproof.symbolic.binding import at, children, replace_at
from kernelproof.symbolic.core.laws import LAWS
from kernelproof.symbolic.formulas import Formula, equation
from kernelproof.symbolic.functions import Definition
from kernelproof.symbolic.looks.model import all_statements
from kernelproof.symbolic.phase import Derivation, Extra, Statement
from kernelproof.symbolic.registry import derive, gradient, has_gradient, phases
from kernelproof.symbolic.terms import Entry, Fold, Node, Op, Term

#: phases made of phases: their gradients take a minute
BLOCKS = ("multi_head_attention", "encoder_block")
SOFTMAX = derive("softmax")


def claim(conclusion: Formula, *hypotheses: Formula, over: Any = (), extras: tuple[Extra, ...] = (), name: str = "claim") -> Statement:
    """What looks like a statement."""
    theorem = SimpleNamespace(conclusion=conclusion, hypotheses=hypotheses)
    return SimpleNamespace(id=name, title="a claim", theorem=theorem, over=over, extras=extras)  # type: ignore[return-value]


def laws() -> list[Statement]:
    """The laws of the core as statements."""
    return [claim(law.conclusion, *law.hypotheses, name=law.name) for law in LAWS.values()]


def neighbours(statement: Statement) -> Iterator[tuple[str, Statement]]:
    """Statements with one thing changed on the right: a sign, a factor, an order of indices, a bound, an exponent."""
    theorem = statement.theorem
    if theorem.conclusion.name != "eq":
        return
    seen: set[str] = set()
    for path in [(), *_positions(theorem.conclusion.right)]:
        part = at(theorem.conclusion.right, path)
        assert isinstance(part, Term)
        for what, changed in _changes(part):
            if what in seen:
                continue
            seen.add(what)
            right = replace_at(theorem.conclusion.right, path, changed)
            name = f"{statement.id}: {what}"
            yield what, claim(
                equation(theorem.conclusion.left, right), *theorem.hypotheses, over=statement.over, extras=statement.extras, name=name
            )


def _changes(part: Term) -> Iterator[tuple[str, Term]]:
    match part:
        case Op("add", (left, right)):
            yield "plus became minus", left - right
        case Op("sub", (left, right)):
            yield "minus became plus", left + right
        case Op("mul", (left, _)):
            yield "a factor is dropped", left
        case Op("div", (left, _)):
            yield "a divisor is dropped", left
        case Op("exp", (inside,)):
            yield "the sign of an exponent", Op("exp", -inside)
            yield "an exponent is shifted", Op("exp", inside + 1)
        case Entry(tensor, (one, two)) if one is not two:
            yield "indices are swapped", Entry(tensor, two, one)
        case Fold(kind, var, size, body, guard):
            yield "a bound is shifted", Fold(kind, var, size - 1, body, guard)
    yield "the sign of a part", -part


def _positions(node: Node, path: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    for step, (part, _) in enumerate(children(node)):
        if isinstance(part, Term):
            yield (*path, step)
        yield from _positions(part, (*path, step))


def theorems() -> Iterator[tuple[Derivation, Statement]]:
    """All theorems and lines of the default variants, and of the gradients of all phases that are small enough."""
    for name, phase in phases().items():
        plain = {option: choice.default for option, choice in phase.variants.items()}
        derivation = derive(name, **plain)
        yield from ((derivation, statement) for statement in all_statements(derivation))
        if has_gradient(name) and name not in BLOCKS:
            source = gradient(name, **plain)
            parameters = {parameter.name: parameter for definition in source.definitions for parameter in definition.parameters}
            last = source.definitions[-1]
            whole = Definition(f"{name}_gradient", tuple(parameters.values()), last.clauses, result=last.result)
            made = Derivation(name, source.title, source.variant, whole, (), source.statements, ())
            yield from ((made, statement) for statement in source.statements)
