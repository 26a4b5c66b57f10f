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

from kernelproof.numeric.forms import kernel_form, phase_functions
from kernelproof.numeric.lower import Frame
from kernelproof.numeric.lower_stages import StageLowering, with_leading_axis
from kernelproof.numeric.program import Program
from kernelproof.numeric.signature_variants import signature
from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.definitions import definition_of
from kernelproof.symbolic.core.logic import instantiation
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.functions import Definition, Parameter
from kernelproof.symbolic.gradients.attention import PLAIN
from kernelproof.symbolic.gradients.attention_identities import delta_by_output, recomputed, recomputed_sink, slope_from_score
from kernelproof.symbolic.gradients.attention_stages import DP, stages
from kernelproof.symbolic.gradients.softmax import DX as SOFTMAX_DX
from kernelproof.symbolic.phase import Gradient
from kernelproof.symbolic.phases.attention import i, j, shift
from kernelproof.symbolic.phases.attention_forms import FORMS, Form
from kernelproof.symbolic.registry import derive, gradient
from kernelproof.symbolic.tactics.rewriting import part, then, unfold
from kernelproof.symbolic.terms import Entry, Term

#: what a gradient of the result is called in the definitions
GRADIENTS_OF_RESULT = ("g", "grad")
#: phases whose formal parameters have no leading axes left
FLAT = frozenset({"embedding", "feed_forward", "activation"})


@dataclass(frozen=True)
class GradientProgram:
    """``inputs`` are the differentiable ones in the contract's order, one output each (more for a result defined by cases).

    ``axes`` are those of each input by its definition. A frame of an output may have a pair of axes, (kv, member) or (h, g), for one of
    them; an output of two clauses has the first and the second channels of pairs. ``result`` is the parameter that the gradient of the
    result goes to; with ``leading`` the leading axes are one axis of the program.
    """

    phase: str
    program: Program
    inputs: tuple[str, ...]
    clauses: tuple[int, ...]
    result: Parameter
    leading: bool
    axes: Mapping[str, tuple[Term, ...]]


def weights_from_shift(form: Form = PLAIN) -> Theorem:
    """⊢ P[i, j] = allow·exp(S − z) / Σ_l allow·exp(S − z) with z the maximum of the row; a sink counts in both."""
    return instantiation((recomputed(form),), {shift: form.highest}, {})


def sink_from_shift(form: Form) -> Theorem:
    """⊢ P₀[i] = exp(sink − z) / (Σ_l allow·exp(S − z) + exp(sink − z)) with z the maximum of the row and the sink."""
    return instantiation((recomputed_sink(form),), {shift: form.highest}, {})


def multiplied_out(form: Form = PLAIN) -> Theorem:
    """⊢ dS[i, j] = P·dP − P·Δ."""
    of = stages(form)
    opened = unfold(of.ds.name)(of.ds.call({}, i, j))
    p, slope, mean = of.p(i, j), DP.call({}, i, j), of.delta.call({}, i)
    return then(opened, arithmetic((), opened.right, p * slope - p * mean))


def softmax_multiplied_out() -> Theorem:
    """⊢ dx[j] = p·g − p·Σ_k p·g."""
    (clause,) = SOFTMAX_DX.clauses
    opened = unfold(SOFTMAX_DX.name)(SOFTMAX_DX.call({}, *clause.pattern))
    weight, mean = part(opened.right, 0), part(opened.right, 1, 1)
    return then(opened, arithmetic((), opened.right, weight * Entry("g", *clause.pattern) - weight * mean))


#: stage -> the form of attention that it belongs to
_OF_FORM = {
    stage.name: form
    for form in FORMS if not form.mean
    for stage in stages(form).all if stage is not DP
}


@cache
def _own(function: str) -> Term | None:
    """The form that a stage is lowered in where that is not its definition: weights with a shift, or they overflow."""
    form = _OF_FORM.get(function)
    if form is not None and function == stages(form).weights.name:
        return weights_from_shift(form).right
    if form is not None and function == f"{form.name}_sink_weight":
        return sink_from_shift(form).right
    return None


def stage_form(function: str, which: int) -> tuple[Definition, Term]:
    """The form in which a function is lowered: a phase in its kernel form, a stage as it is defined or as a theorem says."""
    if function in phase_functions():
        return kernel_form(function, which)
    definition = definition_of(function)
    return definition, _own(function) or definition.clauses[which].body


@cache
def other_forms(function: str) -> tuple[Term, ...]:
    """Further forms of a stage."""
    if function == SOFTMAX_DX.name:
        return (softmax_multiplied_out().right,)
    form = _OF_FORM.get(function)
    if form is None:
        return ()
    of = stages(form)
    if function == of.delta.name:
        return (delta_by_output(form).left,)
    if function == of.ds.name:
        return (multiplied_out(form).right,)
    return (slope_from_score(form).right,) if form.capped and function == of.dr.name else ()


def gradient_program(phase: str, variant: Mapping[str, object]) -> GradientProgram:
    """The program of a phase's gradient under a variant. InputError for a phase without one."""
    return _program(phase, tuple(sorted(gradient(phase, **variant).variant.items())))


@cache
def _program(phase: str, variant: tuple[tuple[str, object], ...]) -> GradientProgram:
    found = gradient(phase, **dict(variant))
    forward = derive(phase, **dict(variant)).definition
    inputs = tuple(parameter.name for parameter in forward.parameters if parameter.name in found.results)
    ends = [_definition(found, name) for name in inputs]
    (result,) = {
        parameter.name: parameter for stage in ends for parameter in stage.parameters if parameter.name in GRADIENTS_OF_RESULT
    }.values()
    lowering = StageLowering(stage_form, other_forms, phase_functions())
    scope = lowering.scope((*forward.parameters, result))
    clauses = []
    for stage in ends:
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
    single = signature(phase, dict(variant), cache=False).unbatched if phase not in FLAT else frozenset()
    if single:
        totals = tuple(name in single for name, count in zip(inputs, clauses, strict=True) for _ in range(count))
        program = with_leading_axis(program, single, totals)
    axes = {name: forward.parameter(name).axes for name in inputs}
    return GradientProgram(phase, program, inputs, tuple(clauses), result, bool(single), axes)


def _definition(found: Gradient, name: str) -> Definition:
    return next(stage for stage in found.definitions if stage.name == found.results[name])


__all__ = ["FLAT", "GradientProgram", "gradient_program", "other_forms", "stage_form"]
