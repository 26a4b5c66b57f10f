"""One token at a time gives what all at once give: ``PHASE.decoding_agrees``.

What it does: under causality row i of the whole call is compared with the same row of the call on the first i + 1 tokens (as a sequence
grows), and for attention also with a single query against the keys that it may see and no causality (as a decoder with a cache calls it:
the last row of a bottom-right triangle). Theorem ``attention.decoding``: in real numbers they are equal. The results differ by no more
than the bounds of both calls. Guarantees: no values are compared but the target's own. Cannot see: caches that the target keeps itself.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from hypothesis.strategies import DrawFn

from kernelproof.numeric.formal import masks
from kernelproof.properties.call import Call
from kernelproof.properties.model import Case, Finding, Inputs, Property, Setting, build
from kernelproof.properties.path_rewrites import causal_offset
from kernelproof.properties.shapes import phase_shape
from kernelproof.properties.strategies import draw_case
from kernelproof.properties.telling import draw_telling
from kernelproof.properties.tolerance import expected_of, within
from kernelproof.properties.two_calls import WRONG_SHAPE, calls_differ
from kernelproof.properties.values import Array

ROWS = range(12)


def decoding_properties(phase: str, variant: Mapping[str, object]) -> list[Property]:
    """The property of a phase that can be causal; none for others."""
    if "causal" not in phase_shape(phase, variant).options or variant.get("fully_masked") == "mean":
        # the mean of all values is another one for fewer keys
        return []
    return [
        Property(
            f"{phase}.decoding_agrees",
            "Under causality one token at a time gives what all at once give",
            "causal implies (attention.decoding; tested, not proved of this kernel) f(first i + 1 tokens)[i] = f(all)[i]",
            phase,
            _draw,
            _check,
            frozenset({"causal"}),
            "harness",
        )
    ]


def _draw(draw: DrawFn, setting: Setting) -> Case:
    # with a window a single query must stand where it stood, at the last key; with rotary positions it would stand at the first
    placed = "window" in setting.variant and setting.variant.get("causal_alignment") != "bottom_right"
    moved = placed or "rotary" in setting.variant
    ways = ("step", "prefix") if setting.phase == "attention" and not moved else ("prefix",)
    return draw_case(
        draw, setting, **{**draw_telling(draw, setting), "empty": False}, options={"causal": True}, picks={"row": ROWS, "way": ways}
    )


def _check(call: Call, case: Case, setting: Setting) -> Finding:
    inputs = build(case)
    queries, keys = (case.size(axis) for axis in case.shape.score_axes)
    row = case.pick("row") % queries
    step = case.pick("way") == "step"
    seen = min(row + 1 + causal_offset(case), keys)
    if seen < 1:
        return Finding(ok=True, vacuous=True, message="the row may attend to nothing, and a call without keys is another matter")
    short = _shortened(inputs, row, seen, step)
    last = 0 if step else row
    whole, alone = call(inputs.tensors, inputs.options), call(short.tensors, short.options)
    full, part = (expected_of(case.phase, dict(case.variant), given, setting.dtype) for given in (inputs, short))
    if whole.shape != full.value.shape or alone.shape != part.value.shape:
        return WRONG_SHAPE
    bound = full.error[..., row, :] + part.error[..., last, :]
    if dict(case.variant).get("fully_masked", "zeros") != "zeros":
        # then a row that may attend to nothing is a matter of all keys
        allow = masks(inputs.options, queries, keys, dict(case.variant))[0]
        bound = np.where(np.any(allow[..., row, :], axis=-1, keepdims=True), bound, np.inf)
    finding = within(alone[..., last, :], whole[..., row, :].astype(full.value.dtype), bound, inputs, f"row {row}")
    if finding.ok:
        return finding
    told = f"one query against the first {seen} keys" if step else f"the first {row + 1} tokens alone"
    first, second = (f"np.asarray({{0}})[..., {at}, :]" for at in (row, last))
    message = f"{told} give another row {row} than the whole call: {finding.message}"
    return calls_differ(finding, case.shape, inputs, first, (short,), second, message)


def _shortened(inputs: Inputs, row: int, seen: int, step: bool) -> Inputs:
    """The inputs up to a row: that row alone with the keys that it sees, or all rows up to it."""
    rows = slice(row, row + 1) if step else slice(None, row + 1)
    options = dict(inputs.options)
    if step:
        options["causal"] = False
    mask = options.get("mask")
    if isinstance(mask, np.ndarray):
        options["mask"] = _cut(mask, rows, seen)
    cuts = {"q": rows, "k": slice(None, seen), "v": slice(None, seen), "x": rows}
    tensors = {
        name: np.ascontiguousarray(array[..., cuts[name], :]) if name in cuts else array for name, array in inputs.tensors.items()
    }
    return Inputs(tensors, options)


def _cut(mask: Array, rows: slice, keys: int) -> Array:
    if mask.ndim > 1 and mask.shape[-2] > 1:
        mask = mask[..., rows, :]
    return np.ascontiguousarray(mask[..., :keys])
