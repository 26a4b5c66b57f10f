"""Gradients as array programs: one output for each differentiable input, the intermediates shared.

What it does: lowers the result definitions of ``symbolic.gradient`` with every stage a value of its own. Where a backward kernel may
compute a stage otherwise, the other form is taken from a theorem: the weights from a shift (``attention.recomputed_weights``), Δ as the
row sum of gradient times output (``attention.delta_by_output``), a difference multiplied out. The program is what a printer can read:
of an ``either`` it prints one operand, a ``stored`` is its operand.
Guarantees: no form is written down here that no theorem ends in. Cannot see: other recipes; what they may differ by is in
``gradient_interpret``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from kernelproof.numeric.forms import kernel_form
from kernelproof.numeric.lower import Frame
from kernelproof.numeric.lower_stages import StageLowering, with_leading_axis
from kernelproof.numeric.program import Program
from kernelproof.numeric.signatures import SIGNATURES
from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.definitions import definition_of
from kernelproof.symbolic.core.logic import instantiation
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.functions import Definition, Parameter
from kernelproof.symbolic.gradients.attention import DELTA, DP, DS
from kernelproof.symbolic.gradients.attention_identities import delta_by_output, recomputed
from kernelproof.symbolic.gradients.softmax import DX as SOFTMAX_DX
from kernelproof.symbolic.phase import Gradient
from kernelproof.symbolic.phases.attention import MAXIMUM, WEIGHTS, i, j, p, shift
from kernelproof.symbolic.registry import derive, gradient, phases
from kernelproof.symbolic.tactics.rewriting import part, then, unfold
from kernelproof.symbolic.terms import Entry, Term

#: what a gradient of the result is called in the definitions
GRADIENTS_OF_RESULT = ("g", "grad")
#: phases whose formal parameters have no leading axes left
FLAT = frozenset({"embedding", "feed_forward", "activation"})


@dataclass(frozen=True)
class GradientProgram:
    """``inputs`` are the differentiable ones in the contract's order, one output each (more for a result defined by cases).

    ``result`` is the parameter that the gradient of the result goes to; with ``leading`` the leading axes are one axis of the program.
    """

    phase: str
    program: Program
    inputs: tuple[str, ...]
    clauses: tuple[int, ...]
    result: Parameter
    leading: bool


def weights_from_shift() -> Theorem:
    """⊢ P[i, j] = allow·exp(S − z) / Σ_l allow·exp(S − z) with z the maximum of the row."""
    return instantiation((recomputed(),), {shift: MAXIMUM}, {})


def multiplied_out() -> Theorem:
    """⊢ dS[i, j] = P·dP − P·Δ."""
    opened = unfold(DS.name)(DS.call({}, i, j))
    slope, mean = DP.call({}, i, j), DELTA.call({}, i)
    return then(opened, arithmetic((), opened.right, p(i, j) * slope - p(i, j) * mean))


def softmax_multiplied_out() -> Theorem:
    """⊢ dx[j] = p·g − p·Σ_k p·g."""
    (clause,) = SOFTMAX_DX.clauses
    opened = unfold(SOFTMAX_DX.name)(SOFTMAX_DX.call({}, *clause.pattern))
    weight, mean = part(opened.right, 0), part(opened.right, 1, 1)
    return then(opened, arithmetic((), opened.right, weight * Entry("g", *clause.pattern) - weight * mean))


@cache
def _forms() -> tuple[dict[str, Term], dict[str, tuple[Term, ...]]]:
    """The form that a stage is lowered in where that is not its definition, and further forms."""
    own = {WEIGHTS.name: weights_from_shift().right}
    others: dict[str, tuple[Term, ...]] = {
        DELTA.name: (delta_by_output().left,),
        DS.name: (multiplied_out().right,),
        SOFTMAX_DX.name: (softmax_multiplied_out().right,),
    }
    return own, others


@cache
def phase_functions() -> frozenset[str]:
    """Names of the functions that are whole phases."""
    found = set()
    for phase in phases().values():
        combinations: list[dict[str, object]] = [{}]
        for name, option in phase.variants.items():
            combinations = [{**chosen, name: choice} for chosen in combinations for choice in option.choices]
        found |= {derive(phase.name, **chosen).definition.name for chosen in combinations}
    return frozenset(found)


def stage_form(function: str, which: int) -> tuple[Definition, Term]:
    """The form in which a function is lowered: a phase in its kernel form, a stage as it is defined or as a theorem says."""
    if function in phase_functions():
        return kernel_form(function, which)
    definition = definition_of(function)
    return definition, _forms()[0].get(function, definition.clauses[which].body)


def other_forms(function: str) -> tuple[Term, ...]:
    """Further forms of a stage."""
    return _forms()[1].get(function, ())


def gradient_program(phase: str, variant: Mapping[str, object]) -> GradientProgram:
    """The program of a phase's gradient under a variant. InputError for a phase without one."""
    return _program(phase, tuple(sorted(gradient(phase, **variant).variant.items())))


@cache
def _program(phase: str, variant: tuple[tuple[str, object], ...]) -> GradientProgram:
    found = gradient(phase, **dict(variant))
    forward = derive(phase, **dict(variant)).definition
    inputs = tuple(parameter.name for parameter in forward.parameters if parameter.name in found.results)
    stages = [_definition(found, name) for name in inputs]
    (result,) = {
        parameter.name: parameter for stage in stages for parameter in stage.parameters if parameter.name in GRADIENTS_OF_RESULT
    }.values()
    lowering = StageLowering(stage_form, other_forms, phase_functions())
    scope = lowering.scope((*forward.parameters, result))
    clauses = []
    for stage in stages:
        clauses.append(len(stage.clauses))
        for which, clause in enumerate(stage.clauses):
            frame: Frame = {var: lowering.axis(var.name, scope.size(length)) for var, length in clause.ranges}
            if len(stage.clauses) == 1:
                term: Term = stage.call({}, *clause.pattern)
            else:
                term = stage_form(stage.name, which)[1]
            lowering.program.outputs.append(lowering.lower(term, scope, frame))
            lowering.program.frames.append(tuple(axis.name for axis in frame.values()))
    program = lowering.program
    single = SIGNATURES[phase].unbatched if phase not in FLAT else frozenset()
    if single:
        program = with_leading_axis(program, single, tuple(name in single for name in inputs))
    return GradientProgram(phase, program, inputs, tuple(clauses), result, bool(single))


def _definition(found: Gradient, name: str) -> Definition:
    return next(stage for stage in found.definitions if stage.name == found.results[name])


__all__ = ["FLAT", "GradientProgram", "gradient_program", "other_forms", "stage_form"]
