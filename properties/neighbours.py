"""What stands beside a slice or a head does not reach it: ``PHASE.poison_stays`` and ``multi_head_attention.heads_independent``.

What it does: fills all other slices of the batch with NaN, infinities and the largest numbers, and asks for the slice's own result; puts
other weights into all other heads, with the identity as the last projection, and asks for the head's own columns. Guarantees: the tolerance
is the bound of both calls; finite faults of mixing are the business of ``batch_independent``. Cannot see: NaN or infinity in a masked
value of the slice itself, or in a row of a table that no id picks (0·NaN in a product): conventions, no verdict.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from kernelproof.properties.call import Call
from kernelproof.properties.model import Case, Finding, Inputs, Property, Recipe, Setting, build
from kernelproof.properties.shapes import phase_shape
from kernelproof.properties.strategies import draw_case
from kernelproof.properties.telling import draw_telling
from kernelproof.properties.tolerance import expected_of, within
from kernelproof.properties.two_calls import WRONG_SHAPE, calls_differ

BATCHES = ((2,), (3,), (5,), (2, 3))
POISONS: dict[str, float] = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def neighbour_properties(phase: str, variant: Mapping[str, object]) -> list[Property]:
    """The properties of a phase with leading axes of numbers, and of one with heads."""
    made = []
    if any(tensor.axes[:1] == ("...",) and not tensor.below for tensor in phase_shape(phase, variant).tensors):
        made.append(
            Property(
                f"{phase}.poison_stays",
                "NaN and infinity in one slice do not reach another",
                "x'[b] = x[b], x' not finite elsewhere, implies (tested, not proved here) f(x')[b] = f(x)[b]",
                phase,
                _draw_poison,
                _check_poison,
                kind="harness",
            )
        )
    if phase == "multi_head_attention":
        made.append(
            Property(
                f"{phase}.heads_independent",
                "A head depends on its own columns of the projections",
                "w_o = identity, columns of head h kept, implies (tested, not proved here) columns of head h of the result are kept",
                phase,
                _draw_heads,
                _check_heads,
                kind="harness",
            )
        )
    return made


def _draw_poison(draw: DrawFn, setting: Setting) -> Case:
    chosen: dict[str, Any] = {**draw_telling(draw, setting), "empty": False, "batch": draw(st.sampled_from(BATCHES))}
    return draw_case(draw, setting, **chosen, picks={"slice": range(7), "poison": tuple(POISONS)})


def _check_poison(call: Call, case: Case, setting: Setting) -> Finding:
    inputs = build(case)
    leading = case.batch if case.shape.output == ("...",) else case.leading
    index = tuple(int(at) for at in np.unravel_index(case.pick("slice") % math.prod(leading), leading))
    poisoned = dict(inputs.tensors)
    for tensor in case.shape.tensors:
        if tensor.axes[:1] == ("...",) and not tensor.below:
            array = np.full_like(inputs.tensors[tensor.name], POISONS[case.pick("poison")])
            array[index] = inputs.tensors[tensor.name][index]
            poisoned[tensor.name] = array
    other = Inputs(poisoned, inputs.options)
    clean, beside = call(inputs.tensors, inputs.options), call(poisoned, inputs.options)
    known = expected_of(case.phase, dict(case.variant), inputs, setting.dtype)
    if clean.shape != known.value.shape or beside.shape != clean.shape:
        return WRONG_SHAPE
    finding = within(beside[index], clean[index].astype(known.value.dtype), 2 * known.error[index], inputs, f"slice {list(index)}")
    if finding.ok:
        return finding
    text = f"np.asarray({{0}})[{index!r}]"
    message = f"slice {list(index)} changes with {case.pick('poison')} in the other slices: {finding.message}"
    return calls_differ(finding, case.shape, inputs, text, (other,), text, message)


def _draw_heads(draw: DrawFn, setting: Setting) -> Case:
    telling = draw_telling(draw, setting)
    chosen: dict[str, Any] = {**telling, "empty": False, "recipes": {**telling.get("recipes", {}), "w_o": Recipe("identity")}}
    chosen["minimum"] = {**telling.get("minimum", {}), "heads": 2}
    return draw_case(draw, setting, **chosen, picks={"head": range(6)})


def _check_heads(call: Call, case: Case, setting: Setting) -> Finding:
    inputs, fresh = build(case), build(replace(case, seed=case.seed ^ 0x4EAD))
    head, width = case.pick("head") % case.size("heads"), case.size("f")
    own = slice(head * width, head * width + width)
    changed = dict(inputs.tensors)
    for name in ("w_q", "w_k", "w_v"):
        changed[name] = fresh.tensors[name].copy()
        changed[name][:, own] = inputs.tensors[name][:, own]
    one, two = call(inputs.tensors, inputs.options), call(changed, inputs.options)
    known = expected_of(case.phase, dict(case.variant), inputs, setting.dtype)
    other = Inputs(changed, inputs.options)
    again = expected_of(case.phase, dict(case.variant), other, setting.dtype)
    if one.shape != known.value.shape or two.shape != one.shape:
        return WRONG_SHAPE
    bound = known.error[..., own] + again.error[..., own]
    finding = within(two[..., own], one[..., own].astype(known.value.dtype), bound, inputs, f"head {head}")
    if finding.ok:
        return finding
    text = f"np.asarray({{0}})[..., {own.start}:{own.stop}]"
    message = f"head {head} changes with the weights of the other heads: {finding.message}"
    return calls_differ(finding, case.shape, inputs, text, (other,), text, message)
