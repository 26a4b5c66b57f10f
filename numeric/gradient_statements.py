"""Theorems about gradients as array programs, with the gradient kernel under test as opaque calls.

What it does: as ``statements``: lowers both sides of an equation that speaks of a gradient of an input, and its hypotheses to programs
that say where they hold. The calls of the phase itself stay opaque too, for whoever runs the program has its reference.
Guarantees: the program is the theorem's own conclusion. Cannot see: theorems that are no equations (derivatives), and those about
intermediates, which no kernel shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from kernelproof.numeric.forms import phase_functions
from kernelproof.numeric.gradient_forms import GRADIENTS_OF_RESULT, gradient_program, other_forms, stage_form
from kernelproof.numeric.lower import Frame, LoweringError
from kernelproof.numeric.lower_stages import StageLowering
from kernelproof.numeric.program import Program
from kernelproof.symbolic.binding import children, rebuild
from kernelproof.symbolic.formulas import Every, Formula
from kernelproof.symbolic.functions import Parameter
from kernelproof.symbolic.phase import Gradient, Statement
from kernelproof.symbolic.registry import derive, gradient
from kernelproof.symbolic.terms import ONE, Call, Node, Op, Term

#: hypotheses that are drawn so, or looked at for the inputs drawn
KNOWN = frozenset({"in", "permutation", "positive", "nonzero"})


@dataclass(frozen=True)
class Condition:
    """A hypothesis to be looked at: ``kind`` is positive or nonzero; it must hold along the last ``every`` axes."""

    kind: str
    every: int


@dataclass(frozen=True)
class GradientStatementProgram:
    """``equation`` has two outputs, the sides; ``conditions`` one for each of ``looked_at``."""

    equation: Program
    conditions: Program
    looked_at: tuple[Condition, ...]


def is_about_results(found: Gradient, statement: Statement) -> bool:
    """Whether a statement is an equation about gradients of inputs, under hypotheses that can be drawn or looked at."""
    names = {formula.body.name if isinstance(formula, Every) else formula.name for formula in statement.theorem.hypotheses}
    if statement.theorem.conclusion.name != "eq" or not names <= KNOWN or statement.untested:
        return False
    return bool(_functions(statement.theorem.conclusion) & set(found.results.values()))


@cache
def gradient_statement_program(phase: str, variant: tuple[tuple[str, object], ...], name: str) -> GradientStatementProgram | None:
    """The programs of a statement of a phase's gradient, or None where it has none."""
    found, forward = gradient(phase, **dict(variant)), derive(phase, **dict(variant)).definition
    statement = found.statement(name)
    result = gradient_program(phase, dict(variant)).result
    extras = tuple(
        Parameter(extra.name, extra.axes, "index" if extra.kind in ("permutation", "index_map") else "real")
        for extra in statement.extras if extra.name not in GRADIENTS_OF_RESULT
    )
    parameters = (*forward.parameters, result, *extras)
    opaque = frozenset({*found.results.values(), forward.name})
    conclusion = statement.theorem.conclusion
    try:
        equation = _lowered(parameters, statement, ((conclusion.left, ()), (conclusion.right, ())), opaque)
        conditions, terms = [], []
        for formula in statement.theorem.hypotheses:
            body, over = (formula.body, formula.over) if isinstance(formula, Every) else (formula, ())
            if body.name in ("positive", "nonzero"):
                conditions.append(Condition(body.name, len(over)))
                terms.append((_sign(body.terms[0]), over))
        return GradientStatementProgram(equation, _lowered(parameters, statement, tuple(terms), frozenset()), tuple(conditions))
    except LoweringError:
        return None


def _lowered(
    parameters: tuple[Parameter, ...], statement: Statement, terms: tuple[tuple[Term, object], ...], opaque: frozenset[str]
) -> Program:
    lowering = StageLowering(stage_form, other_forms, phase_functions(), opaque)
    scope = lowering.scope(parameters)
    for term, over in terms:
        frame: Frame = {var: lowering.axis(var.name, scope.size(length)) for var, length in (*statement.over, *over)}  # type: ignore[misc]
        lowering.program.outputs.append(lowering.lower(term, scope, frame))
        lowering.program.frames.append(tuple(axis.name for axis in frame.values()))
    return lowering.program


def _functions(formula: Formula) -> set[str]:
    found: set[str] = set()

    def visit(node: Node) -> None:
        if isinstance(node, Call):
            found.add(node.function)
        for part, _ in children(node):
            visit(part)

    visit(formula)
    return found


def _sign(value: Term) -> Term:
    """As in ``statements``: an exponential does not change a sign, and 1 cannot overflow."""
    if isinstance(value, Op) and value.name == "exp":
        return ONE
    return rebuild(value, [_sign(part) if isinstance(part, Term) else part for part, _ in children(value)])


def about_results(phase: str, variant: Mapping[str, object]) -> tuple[Statement, ...]:
    """The statements of a phase's gradient that a kernel can be held to."""
    found = gradient(phase, **variant)
    chosen = tuple(sorted(found.variant.items()))
    return tuple(
        statement for statement in found.statements
        if is_about_results(found, statement) and gradient_statement_program(phase, chosen, statement.id) is not None
    )
