"""Theorems as array programs: both sides of an equation, with the kernel under test as an opaque call.

What it does: lowers left and right side over the free indices of a statement, and the hypotheses that depend on inputs to programs
that say where they hold. Guarantees: the program is the theorem's own conclusion, node by node; nothing is restated by hand.
Cannot see: theorems whose conclusion is no equation or whose hypotheses are equations (uniqueness): those are not lowered.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from kernelproof.numeric.forms import derivation_of, kernel_form
from kernelproof.numeric.lower import Frame, Lowering
from kernelproof.numeric.program import Program
from kernelproof.symbolic.binding import children, rebuild
from kernelproof.symbolic.functions import Parameter
from kernelproof.symbolic.phase import Statement
from kernelproof.symbolic.terms import ONE, Call, Node, Op, Term, Var


@dataclass(frozen=True)
class StatementProgram:
    """``equation`` has two outputs, the sides; ``conditions`` one for each hypothesis, to be positive. ``equal`` sizes coincide."""

    equation: Program
    conditions: Program
    equal: tuple[tuple[str, Term], ...]


def is_testable(statement: Statement) -> bool:
    """Whether a statement is an equation under hypotheses on sizes, ranges, signs and permutations."""
    names = {formula.name for formula in statement.theorem.hypotheses}
    plain = names <= {"in", "positive", "permutation"}
    return statement.theorem.conclusion.name == "eq" and plain and not statement.untested


@cache
def statement_program(function: str, name: str) -> StatementProgram:
    """The programs of a statement of the phase that defines ``function``."""
    derivation = derivation_of(function)
    statement = derivation.statement(name)
    definition = derivation.definition
    conclusion = statement.theorem.conclusion
    equal = _equal_sizes(function, conclusion.left) | _equal_sizes(function, conclusion.right)
    extras = tuple(_parameter(extra.name, extra.axes, extra.kind) for extra in statement.extras)
    lowering = Lowering(kernel_form, frozenset({function}))
    scope = lowering.scope((*definition.parameters, *extras), equal)
    frame: Frame = {var: lowering.axis(var.name, scope.size(length)) for var, length in statement.over}
    for side in (conclusion.left, conclusion.right):
        lowering.program.outputs.append(lowering.lower(side, scope, frame))
        lowering.program.frames.append(tuple(axis.name for axis in frame.values()))
    equation = lowering.program
    conditions = Lowering(kernel_form)
    scope = conditions.scope((*definition.parameters, *extras), equal)
    frame = {var: conditions.axis(var.name, scope.size(length)) for var, length in statement.over}
    for formula in statement.theorem.hypotheses:
        if formula.name == "positive":
            conditions.program.outputs.append(conditions.lower(_sign(formula.terms[0]), scope, frame))
            conditions.program.frames.append(tuple(axis.name for axis in frame.values()))
    return StatementProgram(equation, conditions.program, tuple((var.name, value) for var, value in equal.items()))


def _parameter(name: str, axes: tuple[Term, ...], kind: str) -> Parameter:
    return Parameter(name, axes, "index" if kind in ("permutation", "index_map") else "real")


def _equal_sizes(function: str, value: Term) -> dict[Var, Term]:
    """Sizes that a statement's calls identify: attention(m := n) makes m another name of n."""
    found: dict[Var, Term] = {}

    def visit(node: Node) -> None:
        if isinstance(node, Call) and node.function == function:
            for parameter in derivation_of(function).definition.parameters:
                given = dict(node.arguments)[parameter.name]
                if parameter.kind == "size" and given.body is not parameter.var:
                    found[parameter.var] = given.body
        for part, _ in children(node):
            visit(part)

    visit(value)
    return found


def _sign(value: Term) -> Term:
    """The term with every exponential replaced by 1: a positive factor does not change a sign, and it cannot overflow."""
    if isinstance(value, Op) and value.name == "exp":
        return ONE
    return rebuild(value, [_sign(part) if isinstance(part, Term) else part for part, _ in children(value)])
