"""What masks mean, told without the reference: two calls of the target are compared with each other.

What it does: replaces what a row may not attend to by other finite numbers, and writes the same mask in another form (additive,
materialised, a triangle for ``causal``); the row, or the whole result, stays what it was. The convention itself is read from the
options by ``numeric.formal``. Guarantees: no values are compared but the target's own; the tolerance is the rounding bound of both
calls. Cannot see: a mask that is ignored in the same way in every form; NaN or infinity in a masked value, which is a convention.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from kernelproof.numeric.formal import masks
from kernelproof.properties.call import Call, arrays_of, call_text
from kernelproof.properties.literals import literal, wrapped
from kernelproof.properties.model import Case, Finding, Inputs, Property, Setting, build
from kernelproof.properties.shapes import phase_shape
from kernelproof.properties.strategies import draw_case, draw_mask
from kernelproof.properties.telling import draw_telling
from kernelproof.properties.tolerance import agree, expected_of, within
from kernelproof.properties.values import Array

Draw = Callable[[DrawFn, Setting], Case]
Check = Callable[[Call, Case, Setting], Finding]
#: factors of the numbers that stand in for forbidden ones
REPLACED = (1.0, 100.0)
BATCHES = ((2, 3), (3, 2))
HIDING = ("bool", "bool_row", "float_inf", "float_row", "float_mixed")


def masking_properties(phase: str, variant: Mapping[str, object]) -> list[Property]:
    """The properties of a phase that takes masks; none for others."""
    if "mask" not in phase_shape(phase, variant).options:
        return []

    def made(name: str, title: str, statement: str, draw: Draw, check: Check, needs: str) -> Property:
        return Property(f"{phase}.{name}", title, statement, phase, draw, check, frozenset({needs}), "harness")

    return [
        made(
            "later_tokens_do_not_matter",
            "Under causality no row depends on later tokens",
            "causal; x'[j] = x[j] for all j ≤ i implies (tested, not proved here) f(x')[i] = f(x)[i]",
            _draw_causal,
            _check_hidden,
            "causal",
        ),
        made(
            "masked_tokens_do_not_matter",
            "No row depends on what its mask forbids",
            "x'[j] = x[j] for all j that i may attend to implies (tested, not proved here) f(x')[i] = f(x)[i]",
            _draw_masked,
            _check_hidden,
            "mask",
        ),
        made(
            "mask_forms_agree",
            "One mask in two forms gives one result",
            "allow(mask') = allow(mask), bias(mask') = bias(mask) implies (tested, not proved here) f(x; mask') = f(x; mask)",
            _draw_forms,
            _check_forms,
            "mask",
        ),
    ]


def _draw(draw: DrawFn, setting: Setting, options: Mapping[str, object], picks: Mapping[str, Any]) -> Case:
    return draw_case(draw, setting, **{**draw_telling(draw, setting), "empty": False}, options=options, picks=picks)


def _draw_causal(draw: DrawFn, setting: Setting) -> Case:
    return _draw(draw, setting, {"causal": True}, {"row": range(12), "factor": REPLACED})


def _draw_masked(draw: DrawFn, setting: Setting) -> Case:
    mask = draw_mask(draw, setting, phase_shape(setting.phase, setting.variant), HIDING)
    return _draw(draw, setting, {"mask": mask}, {"row": range(12), "factor": REPLACED})


def _draw_forms(draw: DrawFn, setting: Setting) -> Case:
    needed = {"whole": {"mask"}, "added": {"mask_bool", "mask_float"}, "triangle": {"causal", "mask_bool", "mask_float"}}
    form = draw(st.sampled_from([form for form, needs in needed.items() if needs <= setting.capabilities]))
    if form == "triangle":
        return _draw(draw, setting, {"causal": True}, {"form": [form]})
    shape = phase_shape(setting.phase, setting.variant)
    mask = draw_mask(draw, setting, shape)
    case = _draw(draw, setting, {"mask": mask}, {"form": [form]})
    if shape.batched_mask and draw(st.booleans()):
        # one mask for some of the batch axes: the form that is read wrongly most often
        case = replace(case, batch=draw(st.sampled_from(BATCHES)), options=(*_without_mask(case), ("mask", replace(mask, shape="first"))))
    return case


def _without_mask(case: Case) -> list[tuple[str, object]]:
    return [(name, value) for name, value in case.options if name != "mask"]


def _check_hidden(call: Call, case: Case, setting: Setting) -> Finding:
    inputs, other = build(case), build(replace(case, seed=case.seed ^ 0x5EED))
    queries, keys = (case.size(axis) for axis in case.shape.score_axes)
    row = case.pick("row") % queries
    allow, _ = masks(inputs.options, queries, keys, dict(case.variant))
    changed = dict(inputs.tensors)
    for name, kept in _kept(case, allow, row).items():
        factor = inputs.tensors[name].dtype.type(case.pick("factor"))
        with np.errstate(over="ignore"):
            changed[name] = np.where(kept[..., None], inputs.tensors[name], np.nan_to_num(other.tensors[name] * factor))
    whole, again = call(inputs.tensors, inputs.options), call(changed, inputs.options)
    if whole.shape != case.lengths(case.shape.output) or again.shape != whole.shape:
        # a wrong shape is another property's finding
        return Finding(ok=True, vacuous=True, message="the result has another shape than the contract's")
    found = expected_of(case.phase, dict(case.variant), inputs, setting.dtype)
    at = (..., row, slice(None))
    bound = 2 * found.error[at]
    finding = within(again[at], whole[at].astype(found.value.dtype), bound, inputs, f"row {row}")
    if finding.ok:
        return finding
    first, second = (call_text(case.shape, inputs, named) for named in ("{}", "{}_changed"))
    moved = arrays_of(Inputs(changed, inputs.options))
    return _two_calls(
        replace(finding, message=f"row {row} changes with what it may not attend to: {finding.message}"),
        Inputs(inputs.tensors, inputs.options, {f"{name}_changed": value for name, value in moved.items()}),
        f"np.asarray({first})[..., {row}, :]",
        f"np.asarray({second})[..., {row}, :]",
    )


def _two_calls(finding: Finding, inputs: Inputs, first: str, second: str) -> Finding:
    """A finding whose reproducer compares two calls: a mended kernel changes both, so neither result stands in it."""
    bound = wrapped(literal(np.asarray(finding.bound).astype(np.float64)))
    return replace(
        finding,
        inputs=inputs,
        script=f"kept = {first}\nobserved = {second}\nbound = {bound}",
        assertion="(~np.isfinite(bound) | (abs(observed.astype(np.float64) - kept) <= bound)).all()",
    )


def _kept(case: Case, allow: Array, row: int) -> dict[str, Array]:
    """Which entries along the tokens stay, for every tensor that has keys or values."""
    seen: Array = allow[..., row, :]
    if dict(case.variant).get("fully_masked") == "mean":
        # a row that may attend to nothing depends on all values
        seen = np.asarray(seen | ~seen.any(axis=-1, keepdims=True))
    if case.shape.score_axes == ("n", "m"):
        if case.shape.head_axes == ("query_heads",) and seen.ndim > 1:
            # a key head stays where any of its query heads sees it
            wide = np.broadcast_to(seen, (*seen.shape[:-2], case.size("query_heads"), seen.shape[-1]))
            seen = np.asarray(wide.reshape(*wide.shape[:-2], case.size("heads"), case.size("group"), wide.shape[-1]).any(axis=-2))
        return {"k": seen, "v": seen}
    # in self-attention the row itself also asks
    return {"x": seen | (np.arange(seen.shape[-1]) == row)}


def _check_forms(call: Call, case: Case, setting: Setting) -> Finding:
    inputs = build(case)
    other = _in_form(case, inputs)
    one, two = call(inputs.tensors, inputs.options), call(inputs.tensors, other)
    if one.shape != two.shape:
        return Finding(ok=True, vacuous=True, message="the result has another shape than the contract's")
    finding = agree(case.phase, dict(case.variant), inputs.tensors, inputs.options, two, one)
    if finding.ok:
        return finding
    second = call_text(case.shape, Inputs(inputs.tensors, other)).replace("mask=mask", "mask=mask_rewritten")
    return _two_calls(
        replace(finding, message=f"the mask as {case.pick('form')} and as drawn: {finding.message}"),
        Inputs(inputs.tensors, inputs.options, {"mask_rewritten": np.asarray(other["mask"])}),
        f"np.asarray({call_text(case.shape, inputs)})",
        f"np.asarray({second})",
    )


def _in_form(case: Case, inputs: Inputs) -> dict[str, object]:
    """The options with the same mask in another form."""
    options = dict(inputs.options)
    queries, keys = (case.size(axis) for axis in case.shape.score_axes)
    if case.pick("form") == "triangle":
        allow, bias = masks(options, queries, keys, dict(case.variant))
        del options["causal"]
        mask = np.where(allow, bias, -np.inf).astype(options["mask"].dtype) if bias.any() else allow  # type: ignore[attr-defined]
    else:
        mask = np.asarray(options["mask"])
        if case.pick("form") == "added" and mask.dtype == bool:
            dtype = next(array.dtype for array in inputs.tensors.values())
            mask = np.where(mask, 0, -np.inf).astype(dtype)
        lead = case.leading if case.shape.batched_mask else tuple(case.size(axis) for axis in case.shape.head_axes)
        mask = np.broadcast_to(mask, (*lead, queries, keys)).copy()
    return {**options, "mask": mask}
