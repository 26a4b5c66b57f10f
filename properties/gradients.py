"""Gradient kernels held to the theorems: the definition of every gradient, and the equations between them.

What it does: ``PHASE.vjp.matches_definition`` compares each gradient with the derived one, within its rounding bound, and names the input
whose gradient is off. A theorem of ``symbolic.gradient`` that speaks of gradients of inputs is run as an equation in which the target's
gradients stand for the definitions; calls of the phase itself are the reference's. Guarantees: as ``from_theorems``.
Cannot see: theorems about intermediates (dS, Δ), which a kernel keeps to itself; more than one row in the theorems about norms, and a batch
in any theorem (the definition has both).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from kernelproof.numeric.formal import Formal, formal
from kernelproof.numeric.forms import free_shifts
from kernelproof.numeric.gradient_forms import gradient_program
from kernelproof.numeric.gradient_interpret import GradientInterpreter
from kernelproof.numeric.gradient_statements import GradientStatementProgram, about_results, gradient_statement_program
from kernelproof.numeric.interpret import Approx, size_value
from kernelproof.numeric.reference import wide
from kernelproof.numeric.rounding import arithmetic_for
from kernelproof.properties.call import Call, call_text, gradient_text
from kernelproof.properties.from_theorems import Unfinished, theorem_text
from kernelproof.properties.kept_references import gradient_reference, reference
from kernelproof.properties.model import Case, Finding, Inputs, Property, Recipe, Setting, build
from kernelproof.properties.presentation import present
from kernelproof.properties.shapes import GRAD_OUT, PhaseShape, forward_of, phase_shape
from kernelproof.properties.strategies import draw_case, draw_mask
from kernelproof.properties.telling import draw_padding, draw_telling, with_padding
from kernelproof.properties.tolerance import within
from kernelproof.properties.values import Array
from kernelproof.symbolic.core.definitions import definition_of
from kernelproof.symbolic.phase import Gradient, Statement
from kernelproof.symbolic.printing.derivation import equations_of
from kernelproof.symbolic.printing.render import text
from kernelproof.symbolic.registry import derive, gradient
from kernelproof.symbolic.terms import Term, Var

TELLING_MASKS = ("bool_row", "float_bias", "float_mixed")
#: phases whose definition has no token axis: a statement is about one row
OF_ONE_ROW = ("layer_norm", "rms_norm")


def gradient_theorem_properties(phase: str, variant: Mapping[str, object]) -> list[Property]:
    """The properties of a gradient (``PHASE.vjp``) that are theorems, the definition first."""
    found = gradient(forward_of(phase), **variant)
    # once for all examples, as in from_theorems
    free_shifts()
    return [_definition_property(phase, found), *(_statement_property(phase, found, one) for one in about_results(found.phase, variant))]


# -- all gradients of a call ------------------------------------------------------------------------------------------------------------


def expected_gradients(case: Case, inputs: Inputs, dtype: str, errors: Mapping[str, Array] | None = None) -> dict[str, Approx]:
    """Reference and bound of every gradient for the inputs of a case."""
    return gradient_reference(forward_of(case.phase), dict(case.variant), inputs.tensors, inputs.options, dtype, errors)


def shown_at(shape: PhaseShape, inputs: Inputs, name: str, finding: Finding) -> Finding:
    """A finding about the gradient of one input, with the lines that give it from the target."""
    return replace(finding, inputs=inputs, script=f"observed = np.asarray({gradient_text(shape, call_text(shape, inputs), name)})")


def wrong_shape(shape: PhaseShape, inputs: Inputs, name: str, observed: tuple[int, ...], expected: tuple[int, ...]) -> Finding:
    """A gradient has its input's shape."""
    finding = Finding(
        ok=False,
        ratio=math.inf,
        observed=list(observed),
        expected=list(expected),
        message=f"the gradient of {name} has shape {list(observed)}, expected {list(expected)}, that of {name}",
        assertion=f"observed.shape == {expected!r}",
    )
    return shown_at(shape, inputs, name, finding)


def all_within(
    shape: PhaseShape, inputs: Inputs, observed: Mapping[str, Array], expected: Mapping[str, Approx], factor: float = 1
) -> Finding:
    """Every gradient within its bound, or the one that is farthest off."""
    findings = []
    for name, approx in expected.items():
        if observed[name].shape != approx.value.shape:
            return wrong_shape(shape, inputs, name, observed[name].shape, approx.value.shape)
        finding = within(observed[name], approx.value, factor * approx.error, inputs, f"the gradient of {name}")
        findings.append(finding if finding.ok else shown_at(shape, inputs, name, finding))
    return worst_of(findings, inputs)


def worst_of(findings: list[Finding], inputs: Inputs) -> Finding:
    """The failure with the largest ratio; else the largest ratio, vacuous where all are."""
    failures = [finding for finding in findings if not finding.ok]
    if failures:
        return max(failures, key=lambda finding: finding.ratio or 0)
    ratios = [finding.ratio for finding in findings if finding.ratio is not None]
    vacuous = bool(findings) and all(finding.vacuous for finding in findings)
    return Finding(ok=True, ratio=max(ratios, default=None), vacuous=vacuous, inputs=inputs)


def _definition_property(phase: str, found: Gradient) -> Property:
    def draw(draw: DrawFn, setting: Setting) -> Case:
        chosen = draw_telling(draw, setting)
        shape = phase_shape(setting.phase, setting.variant)
        if chosen and "mask" in setting.capabilities and draw(st.booleans()):
            # what a mask adds is told by moderate numbers alone
            chosen["options"] = {"mask": draw_mask(draw, setting, shape, TELLING_MASKS)}
        if chosen and found.phase in OF_ONE_ROW and draw(st.booleans()):
            # far from zero a variance in one pass has no digits left
            chosen["recipes"] = {**chosen["recipes"], "x": Recipe("offset", draw(st.sampled_from((4.0, 10.0))))}
        return draw_padding(draw, draw_case(draw, setting, **chosen))

    def check(call: Call, case: Case, setting: Setting) -> Finding:
        inputs = with_padding(case, build(case))
        expected = expected_gradients(case, inputs, setting.dtype)
        return all_within(case.shape, inputs, call.gradients(inputs.tensors, inputs.options), expected)

    return Property(
        id=f"{phase}.matches_definition",
        title="Every gradient is the derived one, within the rounding bound",
        theorem="; ".join(text(formula) for definition in found.definitions for formula in equations_of(definition)),
        phase=phase,
        draw=draw,
        check=check,
    )


# -- theorems -----------------------------------------------------------------------------------------------------------------------------


def _statement_property(phase: str, found: Gradient, statement: Statement) -> Property:
    program = gradient_statement_program(found.phase, tuple(sorted(found.variant.items())), statement.id)
    if program is None:
        raise AssertionError(f"{statement.id} has no program")
    return Property(
        id=f"{phase}.{statement.id.partition('.')[2]}",
        title=statement.title,
        theorem=theorem_text(statement),
        phase=phase,
        draw=partial(_draw_statement, found, statement),
        check=partial(_check_statement, found, statement, program),
        needs=frozenset(statement.needs),
    )


def _draw_statement(found: Gradient, statement: Statement, draw: DrawFn, setting: Setting) -> Case:
    result = gradient_program(found.phase, found.variant).result.name
    extras = [
        (extra.name, extra.kind, _axis_names((*extra.axes, *((extra.bound,) if extra.kind == "index_map" and extra.bound else ()))))
        for extra in statement.extras if extra.name != result
    ]
    telling = draw_telling(draw, setting)
    chosen: dict[str, Any] = {**telling, "batch": (), "empty": False}
    if found.phase in OF_ONE_ROW:
        chosen["lead"] = ()
    case = draw_case(draw, setting, extras=extras, **chosen)
    return replace(case, extras=tuple(replace(extra, batched=False) for extra in case.extras))


def _axis_names(axes: tuple[Term, ...]) -> tuple[str, ...]:
    """Names of sizes as the contract has them: 2·h is the width d."""
    return tuple(axis.name if isinstance(axis, Var) else "d" for axis in axes)


def _check_statement(
    found: Gradient, statement: Statement, program: GradientStatementProgram, call: Call, case: Case, setting: Setting
) -> Finding:
    inputs = build(case)
    own = {name: array for name, array in inputs.tensors.items() if name != GRAD_OUT}
    given = formal(found.phase, found.variant, own, inputs.options)
    result = gradient_program(found.phase, found.variant).result
    shape = tuple(size_value(axis, given.sizes) for axis in result.axes)
    arrays: dict[str, Any] = {**given.inputs, result.name: inputs.tensors[GRAD_OUT].reshape(shape), **inputs.extras}
    dtype, on = wide(setting.dtype), arithmetic_for(setting.dtype, wide(setting.dtype))
    target = _Target(found, call, case, setting, inputs, given, result.name)
    held = _conditions(program, GradientInterpreter(on, dtype, given.sizes, arrays, None, free_shifts()))
    try:
        left, right = GradientInterpreter(on, dtype, given.sizes, arrays, None, free_shifts(), target).run(program.equation)
    except Unfinished as stop:
        return stop.finding
    bound = left.error + right.error
    bound = np.where(np.broadcast_to(held, np.broadcast_shapes(held.shape, bound.shape)), bound, np.inf)
    finding = within(left.value, right.value, bound, inputs, f"{statement.id}: the left side")
    return finding if finding.ok else target.convict(finding)


def _conditions(program: GradientStatementProgram, run: GradientInterpreter) -> Any:
    held: Any = np.True_
    for condition, part in zip(program.looked_at, run.run(program.conditions), strict=True):
        holds = (part.value if condition.kind == "positive" else np.abs(part.value)) > part.error
        held = held & holds.all(axis=tuple(range(holds.ndim - condition.every, holds.ndim)))
    return np.asarray(held)


class _Target:
    """The gradients of the target, and the phase's reference, as values of the program."""

    def __init__(
        self, found: Gradient, call: Call, case: Case, setting: Setting, inputs: Inputs, given: Formal, result: str
    ) -> None:
        self._found, self._call, self._case, self._setting = found, call, case, setting
        self._inputs, self._given, self._result = inputs, given, result
        self._names = {stage: name for name, stage in found.results.items()}
        self._witness: Finding | None = None

    def __call__(self, function: str, arguments: Mapping[str, Approx], sizes: Mapping[str, int]) -> Approx:
        whole = self._whole(arguments)
        shown = present(self._case, self._setting, whole, sizes, self._inputs, self._given.inputs)
        if not all(np.isfinite(array.astype(np.float64)).all() for array in shown.tensors.values()):
            raise Unfinished(Finding(ok=True, vacuous=True, message="an argument overflows the format under test"))
        dtype, phase = self._setting.dtype, self._found.phase
        axes = tuple(size_value(size, sizes) for size in definition_of(function).result_axes)
        if function == derive(phase, **self._found.variant).definition.name:
            own, lost = ({name: array for name, array in part.items() if name != GRAD_OUT} for part in (shown.tensors, shown.errors))
            return self._apart(axes, reference(phase, self._found.variant, own, shown.options, dtype, lost), "")
        name = self._names[function]
        expected = gradient_reference(phase, self._found.variant, shown.tensors, shown.options, dtype, shown.errors)[name]
        given = Inputs(dict(shown.tensors), dict(shown.options))
        observed = self._call.gradients(shown.tensors, shown.options)[name]
        shape = self._case.shape
        if observed.shape != expected.value.shape:
            raise Unfinished(wrong_shape(shape, given, name, observed.shape, expected.value.shape))
        alone = within(observed, expected.value, expected.error, given, f"the gradient of {name}")
        if not alone.ok:
            self._witness = shown_at(shape, given, name, alone)
            if not np.isfinite(observed.astype(np.float64)).all():
                raise Unfinished(self._witness)
        return self._apart(axes, Approx(observed.astype(expected.value.dtype), expected.error), name)

    def _apart(self, axes: tuple[int, ...], found: Approx, name: str) -> Approx:
        """Query heads are two axes of the definition, and one of the call."""
        if "query_heads" not in (self._case.shape.tensor(name).axes if name else self._case.shape.output):
            return found
        one = len(axes) - 1
        return Approx(*(part.reshape((*part.shape[: part.ndim - one], *axes)) for part in (found.value, found.error)))

    def _whole(self, arguments: Mapping[str, Approx]) -> dict[str, Approx]:
        """The arguments of the call by the contract's names; what the definition does not depend on is as it was drawn."""
        named = {GRAD_OUT if name == self._result else name: approx for name, approx in arguments.items()}
        drawn: dict[str, Any] = {**self._given.inputs, GRAD_OUT: self._inputs.tensors[GRAD_OUT]}
        for tensor in self._case.shape.tensors:
            if tensor.name not in named:
                value = np.asarray(drawn[tensor.name]).astype(wide(self._setting.dtype))
                named[tensor.name] = Approx(value, np.zeros_like(value))
        return named

    def convict(self, finding: Finding) -> Finding:
        """The failure shown on the gradient that is off its definition: if all were within their bounds, both sides would agree."""
        if self._witness is None:
            raise AssertionError(f"{finding.message}; yet every gradient is within its bound: the bound of the statement is too small")
        return replace(self._witness, ratio=finding.ratio, message=f"{finding.message}; there {self._witness.message}")
