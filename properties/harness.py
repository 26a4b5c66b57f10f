"""Properties that no theorem of real numbers shows: what a kernel does to memory, types and order of calls.

Guarantees: six properties for every phase. Those about memory and repetition compare bits; views and batches, where a
library may choose another order of summation, are compared within the rounding bound of both sides
(``tolerance.agree``).
Cannot see: a kernel that is wrong in the same way every time.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from kernelproof.properties.call import Call, arrays_of, call_text
from kernelproof.properties.model import Case, Finding, Inputs, Property, Recipe, Setting, build, dtype_named
from kernelproof.properties.shapes import phase_shape
from kernelproof.properties.strategies import draw_case
from kernelproof.properties.tolerance import expected_of, missing
from kernelproof.properties.values import Array
from kernelproof.properties.views import VIEWS, view_of

#: batches to take a slice of
BATCHES = ((1,), (2,), (3,), (5,), (2, 3), (3, 1, 2))
PASSED = Finding(ok=True, ratio=0.0)


def harness_properties(phase: str, variant: Mapping[str, object] | None = None) -> list[Property]:
    """The harness properties that make sense for a phase."""
    shape = phase_shape(phase, variant or {})
    made = [
        _property(
            phase, "shape_and_dtype", "the result has the contract's shape and the inputs' dtype, also for axes of length 0", check_shape,
            draw_any,
        ),
        _property(phase, "inputs_unchanged", "the inputs are bitwise unchanged after the call", check_inputs),
        _property(
            phase, "deterministic",
            "calls on A, B, A give the first result again, which no later call overwrites",
            check_again,
        ),
        _property(
            phase, "finite", "finite moderate inputs, logits up to ±1e5, give a finite result", check_finite, draw_tame
        ),
    ]
    if shape.tensors:
        views = _property(
            phase,
            "views_equal_copies",
            "views that are not contiguous give what contiguous copies give",
            check_views,
            draw_views,
            frozenset({"layouts"}),
        )
        made.append(views)
    if any("..." in tensor.axes for tensor in shape.tensors):
        batches = _property(
            phase, "batch_independent", "a slice of the result is the result of the slice", check_batch, draw_batched
        )
        made.append(batches)
    return made


def _property(
    phase: str,
    name: str,
    statement: str,
    check: Callable[[Call, Case, Setting], Finding],
    draw: Callable[[DrawFn, Setting], Case] | None = None,
    needs: frozenset[str] = frozenset(),
) -> Property:
    return Property(
        id=f"{phase}.{name}",
        title=name.replace("_", " "),
        theorem=statement,
        phase=phase,
        draw=draw or draw_filled,
        check=check,
        needs=needs,
        kind="harness",
    )


def draw_any(draw: DrawFn, setting: Setting) -> Case:
    """Any case of the phase."""
    return draw_case(draw, setting)


def draw_filled(draw: DrawFn, setting: Setting) -> Case:
    """No axis of length 0: a target that fails there is convicted once, by its shapes, not by every property."""
    return draw_case(draw, setting, empty=False)


def draw_tame(draw: DrawFn, setting: Setting) -> Case:
    """Values at which every right kernel is finite."""
    return draw_case(draw, setting, tame=True, empty=False)


def draw_views(draw: DrawFn, setting: Setting) -> Case:
    """A layout for every tensor, and for the mask; a broadcast one needs equal slices."""
    names = [tensor.name for tensor in phase_shape(setting.phase, setting.variant).tensors]
    case = draw_case(draw, setting, picks=dict.fromkeys((*names, "mask"), VIEWS), empty=False)

    def held(name: str, recipe: Recipe) -> Recipe:
        return (
            replace(recipe, style="same_slices")
            if case.pick(name) == "broadcast" and not recipe.style.startswith("ids")
            else recipe
        )

    return replace(case, recipes=tuple((name, held(name, recipe)) for name, recipe in case.recipes))


def draw_batched(draw: DrawFn, setting: Setting) -> Case:
    """At least one slice; which one is a pick, taken modulo the number of slices."""
    return draw_case(draw, setting, batch=draw(st.sampled_from(BATCHES)), picks={"slice": range(7)}, empty=False)


def check_shape(call: Call, case: Case, setting: Setting) -> Finding:
    """Shape and dtype of the contract; ``positional`` may give any floating type, as nothing tells it which."""
    inputs = build(case)
    result = call(inputs.tensors, inputs.options)
    shape, dtype = case.lengths(case.shape.output), dtype_named(setting.dtype)
    free = not case.shape.tensors
    right_type = result.dtype == dtype or (free and result.dtype.kind in "fV")
    if result.shape == shape and right_type:
        return PASSED
    return Finding(
        ok=False,
        ratio=math.inf,
        observed={"shape": list(result.shape), "dtype": result.dtype.name},
        expected={"shape": list(shape), "dtype": "any floating type" if free else dtype.name},
        message=f"the result is {result.dtype.name}{list(result.shape)}, expected {dtype.name}{list(shape)}",
        inputs=inputs,
        assertion=f"observed.shape == {shape!r}" + ("" if free else f" and observed.dtype.name == {dtype.name!r}"),
    )


def check_inputs(call: Call, case: Case, setting: Setting) -> Finding:
    """No input, the mask included, changes a bit."""
    inputs = build(case)
    handed = inputs.copy()
    call.raw(handed, inputs)
    for name, before in arrays_of(inputs).items():
        after = arrays_of(handed)[name]
        if not same_bits(before, after):
            return Finding(
                ok=False,
                ratio=math.inf,
                observed=after,
                expected=before,
                message=f"the input {name!r} was changed by the call",
                inputs=inputs,
                script=f"before = {name}.copy()\n{call_text(case.shape, inputs)}\nobserved = {name}",
                assertion="observed.tobytes() == before.tobytes()",
            )
    return PASSED


def check_again(call: Call, case: Case, setting: Setting) -> Finding:
    """A, B with other data of the same shapes, A."""
    first, other = build(case), build(replace(case, seed=case.seed ^ 0x5EED))
    result = call.raw(first.copy(), first)
    kept = np.array(result, copy=True)
    call.raw(other.copy(), other)
    once = call_text(case.shape, first)
    between = call_text(case.shape, first, "{}_between")
    shown = Inputs(first.tensors, first.options, {f"{name}_between": value for name, value in arrays_of(other).items()})
    if not same_bits(result, kept):
        return Finding(
            ok=False,
            ratio=math.inf,
            observed=np.array(result, copy=True),
            expected=kept,
            message="a later call with other data overwrote the first result",
            inputs=shown,
            script=f"observed = {once}\nkept = observed.copy()\n{between}",
            assertion="observed.tobytes() == kept.tobytes()",
        )
    again = call.raw(first.copy(), first)
    if not same_bits(again, kept):
        return Finding(
            ok=False,
            ratio=math.inf,
            observed=np.array(again, copy=True),
            expected=kept,
            message="a second call on the same inputs gave another result",
            inputs=shown,
            script=f"kept = {once}.copy()\n{between}\nobserved = {once}",
            assertion="observed.tobytes() == kept.tobytes()",
        )
    return PASSED


def check_finite(call: Call, case: Case, setting: Setting) -> Finding:
    """No NaN and no infinity, except where the result is too large, or a variant asks for NaN in a row that may attend to nothing."""
    inputs = build(case)
    result = call(inputs.tensors, inputs.options)
    bad = ~np.isfinite(result.astype(np.float64))
    if bad.any() and dict(case.variant).get("fully_masked") == "nan":
        return Finding(ok=True, vacuous=True, message="the variant fully_masked=nan allows NaN")
    allowed = int(bad.sum())
    if allowed:
        bad = missing(result, expected_of(case.phase, dict(case.variant), inputs, setting.dtype).value, setting.dtype)
        allowed -= int(bad.sum())
    if not bad.any():
        return PASSED
    return Finding(
        ok=False,
        ratio=math.inf,
        observed=result,
        expected="finite numbers",
        message=f"{int(bad.sum())} of {bad.size} entries are not finite",
        inputs=inputs,
        assertion=f"np.isfinite(observed.astype(np.float64)).sum() >= {bad.size - allowed}",
    )


def check_views(call: Call, case: Case, setting: Setting) -> Finding:
    """The layout of an input does not matter."""
    inputs = build(case)
    copies = call(inputs.tensors, inputs.options)
    mask = inputs.options.get("mask")
    options = (
        {**inputs.options, "mask": view_of(mask, case.pick("mask"))} if isinstance(mask, np.ndarray) else inputs.options
    )
    tensors = {name: view_of(array, case.pick(name)) for name, array in inputs.tensors.items()}
    views = np.array(call.raw(Inputs(tensors, options), inputs), copy=True)
    finding = agree(case, inputs, views, copies)
    if finding.ok:
        return finding
    layouts = {name: case.pick(name) for name in arrays_of(inputs)}
    remade = "\n".join(f"{name} = view_of({name}, {kind!r})" for name, kind in layouts.items())
    described = ", ".join(f"{name} {kind}" for name, kind in layouts.items())
    return replace(
        finding,
        inputs=inputs,
        message=f"views ({described}) give another result than contiguous copies",
        script=f"{remade}\nobserved = {call_text(case.shape, inputs)}",
    )


def check_batch(call: Call, case: Case, setting: Setting) -> Finding:
    """Entry b of the batch depends on entry b alone."""
    inputs = build(case)
    # an elementwise phase has no axis of its own: keep one
    leading = case.batch if case.shape.output == ("...",) else case.leading
    index = np.unravel_index(case.pick("slice") % math.prod(leading), leading)
    whole = call(inputs.tensors, inputs.options)
    part = Inputs(
        {
            name: np.asarray(array[index]) if case.shape.tensor(name).axes[:1] == ("...",) else array
            for name, array in inputs.tensors.items()
        },
        {
            name: slice_of_mask(value, leading, index, 2 + len(case.shape.head_axes)) if isinstance(value, np.ndarray) else value
            for name, value in inputs.options.items()
        },
    )
    alone = call(part.tensors, part.options)
    if whole.shape[: len(leading)] != leading:
        # a wrong shape is the other property's finding
        return Finding(ok=True, vacuous=True, message="the result has another shape than the contract's")
    finding = agree(case, part, np.asarray(whole[index]), alone)
    if finding.ok:
        return finding
    position = tuple(int(i) for i in index)
    return replace(
        finding,
        inputs=inputs,
        message=f"entry {position} of the batched result is not the result of the slice {position} alone",
        script=f"observed = np.asarray({call_text(case.shape, inputs)})[{position!r}]",
    )


def slice_of_mask(mask: Array, leading: tuple[int, ...], index: tuple[Any, ...], own: int = 2) -> Array:
    """A mask of shape (m,) or (n, m), or one for each head, serves all slices; with more than its ``own`` axes each has its own."""
    if mask.ndim <= own:
        return mask
    return np.asarray(np.broadcast_to(mask, (*leading, *mask.shape[-own:]))[index])


def agree(case: Case, inputs: Inputs, observed: Array, expected: Array) -> Finding:
    """Whether two results for the same inputs differ by no more than rounding may make them differ."""
    if observed.shape != expected.shape:
        return Finding(ok=False, ratio=math.inf, observed=observed, expected=expected, message="the shapes differ")
    tolerance = importlib.import_module("kernelproof.properties.tolerance")
    found: Finding = tolerance.agree(case.phase, dict(case.variant), inputs.tensors, inputs.options, observed, expected)
    return found


def same_bits(a: Array, b: Array) -> bool:
    """Equal shape, type and bits: NaN equals itself, the two zeros differ."""
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
