"""Gradients of two calls compared, so that no reference value is needed: linearity, slices of a batch, masks, causality; slopes on a grid.

Guarantees: the tolerance is the rounding bound of the calls compared; what must be zero must be so exactly. Cannot see: a kernel that is
wrong in both calls alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from kernelproof.numeric.formal import masks
from kernelproof.numeric.gradient_reference import GRAD_OUT
from kernelproof.properties.call import Call, call_text, gradient_text
from kernelproof.properties.gradients import all_within, expected_gradients, shown_at, worst_of
from kernelproof.properties.harness import (
    BATCHES,
    PASSED,
    slice_of_mask,
)
from kernelproof.properties.literals import literal, wrapped
from kernelproof.properties.masking import HIDING
from kernelproof.properties.model import Case, Finding, Inputs, Recipe, Setting, build, dtype_named
from kernelproof.properties.shapes import PhaseShape, phase_shape
from kernelproof.properties.strategies import draw_case, draw_mask
from kernelproof.properties.telling import PLAIN, draw_telling
from kernelproof.properties.tolerance import within
from kernelproof.properties.values import Array

#: factors of the two gradients of the result that are combined; exact in every format
FACTORS = ((1.0, 1.0), (2.0, -1.0), (-0.5, 1.0), (4.0, 0.0))


# -- linearity ----------------------------------------------------------------------------------------------------------------------------


def draw_linear(draw: DrawFn, setting: Setting) -> Case:
    return draw_case(draw, setting, picks={"factors": FACTORS}, **{**draw_telling(draw, setting), "empty": False})


def check_linear(call: Call, case: Case, setting: Setting) -> Finding:
    """The combination is rounded to the dtype; what that loses is carried into its bound."""
    first = build(case)
    other = build(replace(case, seed=case.seed ^ 0x11EA)).tensors[GRAD_OUT]
    a, b = case.pick("factors")
    before = expected_gradients(case, first, setting.dtype)
    wide = next(iter(before.values())).value.dtype
    exact = a * first.tensors[GRAD_OUT].astype(wide) + b * other.astype(wide)
    with np.errstate(over="ignore"):
        # not a scalar, where there are no axes
        rounded = np.asarray(exact.astype(dtype_named(setting.dtype)))
    if not np.isfinite(rounded.astype(np.float64)).all():
        return Finding(ok=True, vacuous=True, message="the combined gradient overflows the format under test")
    parts = [first, _with(first, other), _with(first, rounded)]
    errors = {name: np.zeros_like(array, dtype=wide) for name, array in first.tensors.items() if not case.shape.tensor(name).below}
    errors[GRAD_OUT] = np.abs(rounded.astype(wide) - exact) * 1.001
    found = [before, expected_gradients(case, parts[1], setting.dtype), expected_gradients(case, parts[2], setting.dtype, errors)]
    observed = [call.gradients(part.tensors, part.options) for part in parts]
    findings = []
    for name in case.shape.gradients:
        one, two, both = (part[name].astype(wide) for part in observed)
        if not one.shape == two.shape == both.shape == found[0][name].value.shape:
            return Finding(ok=True, vacuous=True, message="a gradient has another shape than the contract's")
        # zero times an infinite bound is nothing known
        with np.errstate(invalid="ignore"):
            bound = abs(a) * found[0][name].error + abs(b) * found[1][name].error + found[2][name].error
        bound = np.where(np.isnan(bound), np.inf, bound)
        finding = within(both, a * one + b * two, bound, first, f"the gradient of {name} for {a:g}·grad_out {b:+g}·other")
        findings.append(finding if finding.ok else _linear_shown(case, first, name, finding, (a, b), other, rounded))
    return worst_of(findings, first)


def _linear_shown(
    case: Case, inputs: Inputs, name: str, finding: Finding, factors: tuple[float, float], other: Array, rounded: Array
) -> Finding:
    def at(array: str) -> str:
        words = call_text(case.shape, inputs).replace(GRAD_OUT, array)
        return f"np.asarray({gradient_text(case.shape, words, name)}).astype(np.float64)"

    a, b = factors
    script = (
        f"other = {wrapped(literal(other))}\ncombined = {wrapped(literal(rounded))}\n"
        f"observed = {at('combined')} - ({a!r} * {at('grad_out')} + {b!r} * {at('other')})"
    )
    difference = np.asarray(finding.observed) - np.asarray(finding.expected)
    return replace(finding, inputs=inputs, script=script, observed=difference, expected=np.zeros_like(difference))


def _with(inputs: Inputs, grad_out: Array) -> Inputs:
    return Inputs({**inputs.tensors, GRAD_OUT: grad_out}, inputs.options, inputs.extras)


# -- batches ------------------------------------------------------------------------------------------------------------------------------


def draw_slices(draw: DrawFn, setting: Setting) -> Case:
    """Few slices where every token is one, since all of them are summed."""
    shape = phase_shape(setting.phase, setting.variant)
    batch = draw(st.sampled_from(BATCHES))
    return draw_case(draw, setting, batch=batch, picks={"slice": range(7)}, maximum=dict.fromkeys(shape.lead, 3), empty=False)


def check_batch(call: Call, case: Case, setting: Setting) -> Finding:
    """Slices one by one against the whole."""
    inputs = build(case)
    shape = case.shape
    leading = case.batch if shape.output == ("...",) else case.leading
    whole = call.gradients(inputs.tensors, inputs.options)
    bounds = expected_gradients(case, inputs, setting.dtype)
    if any(whole[name].shape != bounds[name].value.shape for name in shape.gradients):
        return Finding(ok=True, vacuous=True, message="a gradient has another shape than the contract's")
    wide = next(iter(bounds.values())).value.dtype
    batched = {name for name in inputs.tensors if shape.tensor(name).axes[:1] == ("...",)}
    sums = {name: np.zeros(whole[name].shape, dtype=wide) for name in shape.gradients if name not in batched}
    lost = {name: np.zeros(whole[name].shape, dtype=wide) for name in sums}
    picked = case.pick("slice") % math.prod(leading)
    findings = []
    for number in range(math.prod(leading)) if sums else (picked,):
        index = tuple(int(at) for at in np.unravel_index(number, leading))
        part = Inputs(
            {name: np.asarray(array[index]) if name in batched else array for name, array in inputs.tensors.items()},
            {
                key: slice_of_mask(value, leading, index, 2 + len(shape.head_axes)) if isinstance(value, np.ndarray) else value
                for key, value in inputs.options.items()
            },
        )
        alone = call.gradients(part.tensors, part.options)
        near = expected_gradients(case, part, setting.dtype)
        for name in shape.gradients:
            if name in sums:
                sums[name] += alone[name].astype(wide)
                lost[name] += near[name].error
            elif number == picked:
                what = f"the gradient of {name} at {list(index)} of the batch, beside that of the slice alone,"
                bound = near[name].error + bounds[name].error[index]
                finding = within(whole[name][index], alone[name].astype(wide), bound, inputs, what)
                findings.append(finding if finding.ok else _sliced(shape, inputs, name, index, finding))
    for name, total in sums.items():
        what = f"the gradient of {name}, beside the sum of those of the slices,"
        finding = within(whole[name], total, bounds[name].error + lost[name], inputs, what)
        findings.append(finding if finding.ok else shown_at(shape, inputs, name, finding))
    return worst_of(findings, inputs)


def _sliced(shape: PhaseShape, inputs: Inputs, name: str, index: tuple[int, ...], finding: Finding) -> Finding:
    text = gradient_text(shape, call_text(shape, inputs), name)
    return replace(finding, inputs=inputs, script=f"observed = np.asarray({text})[{index!r}]")


# -- long axes ---------------------------------------------------------------------------------------------------------------------------

#: beyond common blocks of 128 and 256, and no multiple of them
FAR = (130, 257)


def draw_long(draw: DrawFn, setting: Setting) -> Case:
    """One axis is long, or the batch; the others are short."""
    shape = phase_shape(setting.phase, setting.variant)
    inner = {part for _, parts in shape.derived for part in parts}
    axes = [name for name in shape.sizes if name not in inner]
    if any("..." in tensor.axes for tensor in shape.tensors):
        axes.append("...")
    axis, length = draw(st.sampled_from(axes)), draw(st.sampled_from(FAR))
    most = dict.fromkeys(shape.sizes, 3) | {axis: length}
    return draw_case(
        draw, setting, recipes=_plain(setting), batch=(length,) if axis == "..." else (), minimum={axis: length}, maximum=most, empty=False,
    )


def check_long(call: Call, case: Case, setting: Setting) -> Finding:
    """The definition, where a kernel works block by block."""
    inputs = build(case)
    return all_within(
        case.shape, inputs, call.gradients(inputs.tensors, inputs.options), expected_gradients(case, inputs, setting.dtype)
    )


# -- slopes -------------------------------------------------------------------------------------------------------------------------------

GRID = np.concatenate([np.linspace(-30, 30, 241), *(np.array([-far, far]) for far in (1e2, 3e2, 1e3, 1e4))])


def draw_grid(draw: DrawFn, setting: Setting) -> Case:
    return draw_case(
        draw, setting, batch=(), fixed={"n": len(GRID)}, recipes={GRAD_OUT: Recipe("uniform", 1.0)}, picks={"shift": (0.0, 0.125, 0.0625)},
    )


def check_grid(call: Call, case: Case, setting: Setting) -> Finding:
    inputs = build(case)
    inputs.tensors["x"][...] = GRID + case.pick("shift")
    expected = expected_gradients(case, inputs, setting.dtype)
    return all_within(case.shape, inputs, call.gradients(inputs.tensors, inputs.options), expected)


# -- masks --------------------------------------------------------------------------------------------------------------------------------


def _plain(setting: Setting) -> dict[str, Recipe]:
    shape = phase_shape(setting.phase, setting.variant)
    return {tensor.name: Recipe("normal", PLAIN[tensor.role]) for tensor in shape.tensors if tensor.role in PLAIN}


def draw_forbidden(draw: DrawFn, setting: Setting) -> Case:
    shape = phase_shape(setting.phase, setting.variant)
    return draw_case(
        draw, setting, options={"mask": draw_mask(draw, setting, shape, HIDING)}, recipes=_plain(setting), empty=False
    )


def check_forbidden(call: Call, case: Case, setting: Setting) -> Finding:
    """Exactly zero, and no change where only the results of rows without keys change."""
    inputs = build(case)
    found = call.gradients(inputs.tensors, inputs.options)
    if any(found[name].shape != inputs.tensors[name].shape for name in found):
        return Finding(ok=True, vacuous=True, message="a gradient has another shape than the contract's")
    empty_rows, unseen = _without_partners(case, inputs)
    masked = dict(case.variant).get("fully_masked", "zeros")
    if masked == "nan" and empty_rows.any():
        return Finding(ok=True, vacuous=True, message="the variant fully_masked=nan claims nothing of such rows")
    # where such a row gives the mean of the values, each of them has its share of the gradient
    pairs = (("q", empty_rows), ("k", unseen), *((("v", unseen),) if masked != "mean" else ()))
    for name, nothing in pairs:
        result = found[name].astype(np.float64)
        off = np.expand_dims(nothing, -1) & (result != 0)
        if off.any():
            place = [int(at) for at in np.argwhere(off)[0]]
            zeros = np.where(np.expand_dims(nothing, -1), 0, result)
            finding = Finding(
                ok=False, ratio=math.inf, observed=found[name], expected=zeros, bound=np.where(np.expand_dims(nothing, -1), 0, np.inf),
                message=f"the gradient of {name} at {place} is {result[tuple(place)]}, where nothing may be attended to; expected zero",
            )
            return shown_at(case.shape, inputs, name, finding)
    if not empty_rows.any() or masked == "mean":
        return PASSED
    moved = inputs.tensors[GRAD_OUT].copy()
    moved[empty_rows] = 3
    other = _with(inputs, moved)
    return agree_all(case, other, call.gradients(other.tensors, other.options), found, setting)


def _without_partners(case: Case, inputs: Inputs) -> tuple[Array, Array]:
    """Along the axes of queries, the rows that may attend to no key; along those of keys, the keys that no row may attend to."""
    variant, n, m = dict(case.variant), case.size("n"), case.size("m")
    before = case.lengths(case.shape.output[:-2])
    allow = np.broadcast_to(masks(inputs.options, n, m, variant)[0], (*before, n, m))
    unseen: Array = np.asarray(~allow.any(axis=-2))
    if variant.get("grouped_query"):
        # a group of query heads reads one head of keys
        unseen = np.asarray(unseen.reshape((*before[:-1], case.size("heads"), case.size("group"), m)).all(axis=-2))
    return np.asarray(~allow.any(axis=-1)), unseen


def draw_causal(draw: DrawFn, setting: Setting) -> Case:
    without = ("mask",)
    return draw_case(
        draw, setting, options={"causal": True}, without=without, recipes=_plain(setting), minimum={"n": 2}, picks={"token": range(1, 9)},
        batch=draw(st.sampled_from(((), *BATCHES[:2]))), empty=False,
    )


def check_causal(call: Call, case: Case, setting: Setting) -> Finding:
    """grad_out before the token is replaced; the gradients from the token on stay, of keys from the last that is seen before it."""
    inputs, variant = build(case), dict(case.variant)
    n, m = (case.size(axis) for axis in case.shape.score_axes)
    ahead = m - n if variant.get("causal_alignment") == "bottom_right" else 0
    token = 1 + (case.pick("token") - 1) % (n - 1)
    moved = inputs.tensors[GRAD_OUT].copy()
    moved[..., :token, :] = build(replace(case, seed=case.seed ^ 0xCA5A)).tensors[GRAD_OUT][..., :token, :]
    other = _with(inputs, moved)
    before, after = (call.gradients(one.tensors, one.options) for one in (inputs, other))
    bounds = [expected_gradients(case, one, setting.dtype) for one in (inputs, other)]
    findings = []
    for name in case.shape.gradients:
        # gradients of weights see every token, as do those of values where a row without keys gives their mean
        if case.shape.tensor(name).axes[:1] != ("...",) or (name == "v" and variant.get("fully_masked") == "mean"):
            continue
        one, two = before[name], after[name]
        if one.shape != bounds[0][name].value.shape or two.shape != one.shape:
            return Finding(ok=True, vacuous=True, message="a gradient has another shape than the contract's")
        wide = bounds[0][name].value.dtype
        bound = bounds[0][name].error + bounds[1][name].error
        bound[..., : token if name not in ("k", "v") else max(token + ahead, 0), :] = np.inf
        what = f"the gradient of {name} after grad_out before token {token} has changed"
        finding = within(two, one.astype(wide), bound, other, what)
        findings.append(finding if finding.ok else shown_at(case.shape, other, name, finding))
    return worst_of(findings, inputs)




def agree_all(case: Case, inputs: Inputs, observed: Mapping[str, Array], expected: Mapping[str, Array], setting: Setting) -> Finding:
    """Whether two sets of gradients for the same inputs differ by no more than twice the rounding bound."""
    bounds = expected_gradients(case, inputs, setting.dtype)
    if any(observed[name].shape != approx.value.shape or expected[name].shape != approx.value.shape for name, approx in bounds.items()):
        return Finding(ok=True, vacuous=True, message="a gradient has another shape than the contract's")
    targets = {name: replace(approx, value=expected[name].astype(approx.value.dtype)) for name, approx in bounds.items()}
    return all_within(case.shape, inputs, observed, targets, 2)
