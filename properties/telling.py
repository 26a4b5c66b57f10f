"""Telling examples: inputs on which a fault of most kinds shows.

What it does: draws plain random numbers of moderate size, for which no exponential is saturated and every entry matters; now and
then one axis is longer than a block of 16, 32 or 64, or all widths are whole blocks, or the last token is all zeros, as padding is.
Cannot see: faults at large magnitudes, at special values and in empty axes; the free draw of ``strategies.py`` is for those.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from kernelproof.properties.model import Case, Inputs, Recipe, Setting
from kernelproof.properties.shapes import phase_shape
from kernelproof.properties.strategies import COUNTS

#: standard deviations that keep scores near one, by role
PLAIN = {"logit": 1.0, "score": 1.0, "value": 1.0, "weight": 0.25, "affine": 1.0}
#: just longer than common blocks
LONG = (17, 33, 65)
LONG_BATCH = (17,)
ALIGNED = (16, 32)
LONGEST = (129, 129)


def draw_telling(draw: DrawFn, setting: Setting) -> dict[str, Any]:
    """Arguments of ``draw_case``: none, or those of a telling example."""
    if not draw(st.booleans()):
        return {}
    shape = phase_shape(setting.phase, setting.variant)
    plain = {tensor.name: Recipe("normal", PLAIN[tensor.role]) for tensor in shape.tensors if tensor.role in PLAIN}
    if shape.output == ("...",) and draw(st.booleans()):
        # one function of one number: what it does far out shows on no plain random number
        plain = dict.fromkeys(plain, Recipe("binades"))
    chosen: dict[str, Any] = {"recipes": plain, "empty": False}
    batch = ("...",) if any("..." in tensor.axes for tensor in shape.tensors) else ()
    axes = [name for name in (*shape.sizes, *batch) if name not in COUNTS]
    widths = [name for name in ("d", "h", "e", "f") if name in shape.sizes]
    longer = draw(st.sampled_from(["", "", *axes, *(["aligned"] if widths else [])]))
    if longer == "aligned":
        # what tensor cores and vector loads take: another path for widths that are multiples of a block
        chosen["fixed"] = dict.fromkeys(widths, draw(st.sampled_from(ALIGNED)))
        chosen["maximum"] = dict.fromkeys(COUNTS, 2)
    elif longer == "...":
        chosen["batch"] = LONG_BATCH
    elif longer:
        # tokens cost least; the shortest profile has no time for them
        further = LONGEST if setting.profile.boundaries and longer in (*shape.score_axes, *shape.lead) else ()
        chosen["minimum"] = {longer: draw(st.sampled_from((*LONG, *further)))}
        # heads multiply the width: two are enough beside a long one
        chosen["maximum"] = dict.fromkeys(COUNTS, 2)
    if {"n", "m"} <= set(shape.sizes) and draw(st.booleans()):
        # self-attention: some slips need as many keys as queries
        chosen["fixed"] = {**chosen.get("fixed", {}), "m": "n"}
    return chosen


def draw_padding(draw: DrawFn, case: Case) -> Case:
    """The case, now and then with a last token of zeros."""
    return replace(case, picks=(("padding", draw(st.booleans())),))


def with_padding(case: Case, inputs: Inputs) -> Inputs:
    """The inputs, with the last row of every tensor that has tokens set to zero where the case says so."""
    if case.pick("padding"):
        for tensor in case.shape.tensors:
            array = inputs.tensors[tensor.name]
            if tensor.axes[0] == "..." and not tensor.below and array.ndim > 1 and array.shape[-2]:
                array[..., -1, :] = 0
    return inputs
