"""Nothing is remembered of an earlier call: ``PHASE.one_input_changed``.

What it does: two calls of equal shapes that differ in one input alone, or in the options alone; the second result must be the definition's.
A kernel that keeps rows, tables or products of weights under a key that leaves that input out answers the second call with what it knows
from the first. Guarantees: the tolerance is the derived bound; what a single call gets wrong is seen here too, and is the business of
``matches_definition``. Cannot see: what is remembered for more than one call and given back later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis.strategies import DrawFn

from kernelproof.properties.call import Call, call_text
from kernelproof.properties.model import Case, Finding, Inputs, Property, Setting, build
from kernelproof.properties.shapes import phase_shape
from kernelproof.properties.strategies import draw_case
from kernelproof.properties.telling import draw_telling
from kernelproof.properties.tolerance import expected_of, within
from kernelproof.properties.two_calls import WRONG_SHAPE, spelled

OPTIONS = "options"


def changed_input_properties(phase: str, variant: Mapping[str, object]) -> list[Property]:
    """The property of a phase with two inputs or more, options and sizes counted as one each."""
    shape = phase_shape(phase, variant)
    if len(_choices(phase, variant)) + bool(shape.positional) < 2:
        return []
    return [
        Property(
            f"{phase}.one_input_changed",
            "A call after another one that differs in one input gives its own result",
            "f(a', b) after f(a, b) is f(a', b) (tested, not proved here)",
            phase,
            _draw,
            _check,
            kind="harness",
        )
    ]


def _choices(phase: str, variant: Mapping[str, object]) -> tuple[str, ...]:
    shape = phase_shape(phase, variant)
    return (*(tensor.name for tensor in shape.tensors), *((OPTIONS,) if shape.options else ()))


def _draw(draw: DrawFn, setting: Setting) -> Case:
    chosen: dict[str, Any] = {**draw_telling(draw, setting), "empty": False}
    return draw_case(draw, setting, **chosen, picks={"changed": _choices(setting.phase, setting.variant)})


def _check(call: Call, case: Case, setting: Setting) -> Finding:
    second, fresh, name = build(case), build(replace(case, seed=case.seed ^ 0x0DD)), str(case.pick("changed"))
    if name == OPTIONS:
        first = Inputs(second.tensors, {key: value for key, value in second.options.items() if key not in case.shape.options})
    else:
        first = Inputs({**second.tensors, name: fresh.tensors[name]}, second.options)
    call(first.tensors, first.options)
    observed = call(second.tensors, second.options)
    expected = expected_of(case.phase, dict(case.variant), second, setting.dtype)
    if observed.shape != expected.value.shape:
        return WRONG_SHAPE
    finding = within(observed, expected.value, expected.error, second)
    if finding.ok:
        return finding
    before = {} if name == OPTIONS else {f"{name}_before": first.tensors[name]}
    earlier = spelled(case.shape, first, {} if name == OPTIONS else {name: f"{name}_before"})
    return replace(
        finding,
        inputs=Inputs(second.tensors, second.options, before),
        message=f"after a call with {'no options' if name == OPTIONS else f'another {name}'}: {finding.message}",
        script=f"{earlier}\nobserved = np.asarray({call_text(case.shape, second)})",
    )
