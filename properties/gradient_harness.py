"""What gradient kernels get wrong that no theorem about one call shows: linearity, masks, batches, memory.

What it does: the harness properties of ``harness.py`` for a tuple of gradients, and the identities of ``gradient_calls.py``: a pullback
is linear in grad_out; what may not be attended to has exactly zero gradients and a row that may attend to nothing passes nothing on;
under causality a token's gradient does not see the results before it; a slice of a batch has its slice of dx, and weights get the sum
over the slices. Guarantees: those about memory compare bits. Cannot see: a kernel that is wrong in the same way every time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from hypothesis.strategies import DrawFn

from kernelproof.numeric.gradient_reference import GRAD_OUT
from kernelproof.properties.call import Call, arrays_of, call_text, gradient_text
from kernelproof.properties.gradient_calls import (
    agree_all,
    check_batch,
    check_causal,
    check_forbidden,
    check_grid,
    check_linear,
    check_long,
    draw_causal,
    draw_forbidden,
    draw_grid,
    draw_linear,
    draw_long,
    draw_slices,
)
from kernelproof.properties.gradients import all_within, expected_gradients, shown_at
from kernelproof.properties.harness import (
    PASSED,
    draw_any,
    draw_filled,
    draw_tame,
    draw_views,
    same_bits,
)
from kernelproof.properties.model import Case, Finding, Inputs, Property, Setting, build, dtype_named
from kernelproof.properties.shapes import forward_of, phase_shape
from kernelproof.properties.tolerance import missing
from kernelproof.properties.values import Array
from kernelproof.properties.views import view_of

Check = Callable[[Call, Case, Setting], Finding]
Draw = Callable[[DrawFn, Setting], Case]
#: phases without an axis that is summed
NEVER_LONG = ("activation", "rotary")


def gradient_harness_properties(phase: str, variant: Mapping[str, object] | None = None) -> list[Property]:
    """The properties of a gradient (``PHASE.vjp``) that are no theorems about one call."""
    shape = phase_shape(phase, variant or {})

    def made(name: str, statement: str, check: Check, draw: Draw = draw_filled, needs: frozenset[str] = frozenset()) -> Property:
        return Property(f"{phase}.{name}", name.replace("_", " "), statement, phase, draw, check, needs, "harness")

    found = [
        made(
            "linear_in_grad_out", "f(a·g + b·h) = a·f(g) + b·f(h), for every input's gradient (tested, follows from the definition)",
            check_linear, draw_linear,
        ),
        made(
            "shape_and_dtype", "every gradient has its input's shape and dtype, also for axes of length 0", _check_shapes, draw_any
        ),
        made("inputs_unchanged", "the inputs, grad_out too, are bitwise unchanged after the call", _check_inputs),
        made("deterministic", "calls on A, B, A give the first gradients again, which no later call overwrites", _check_again),
        made("other_data_of_the_same_shape", "a call on B after one on A of the same shapes gives the gradients of B", _check_other_data),
        made("finite", "finite moderate inputs, logits up to ±1e5, give finite gradients", _check_finite, draw_tame),
        made(
            "views_equal_copies", "views that are not contiguous give what contiguous copies give", _check_views, draw_views,
            frozenset({"layouts"}),
        ),
    ]
    if any("..." in shape.tensor(name).axes for name in shape.gradients) or "..." in shape.tensor(GRAD_OUT).axes:
        found.append(
            made(
                "batch_independent", "dx of a slice is the slice of dx; what has no batch gets the sum over the slices", check_batch,
                draw_slices,
            )
        )
    if forward_of(phase) not in NEVER_LONG:
        found.append(
            made("long_axes", "along an axis of 130 or 257 every gradient is the derived one, within the bound", check_long, draw_long)
        )
    if "mask" in shape.options and phase.startswith("attention"):
        found.append(
            made(
                "forbidden_gets_nothing",
                "a key that no row may attend to has exactly zero dk and dv, a row without a key has zero dq and passes nothing on",
                check_forbidden, draw_forbidden, frozenset({"mask"}),
            )
        )
    if phase.startswith("activation"):
        found.append(
            made("slope_on_a_grid", "dx = f′(x)·grad_out from −30 to 30 and far out, within the rounding bound", check_grid, draw_grid)
        )
    if "causal" in shape.options:
        found.append(
            made(
                "earlier_results_do_not_matter", "causal; grad_out[i] for i < j does not enter the gradients at token j", check_causal,
                draw_causal, frozenset({"causal"}),
            )
        )
    return found


# -- memory, types, order of calls --------------------------------------------------------------------------------------------------------


def _check_shapes(call: Call, case: Case, setting: Setting) -> Finding:
    inputs = build(case)
    found = call.gradients(inputs.tensors, inputs.options)
    dtype = dtype_named(setting.dtype)
    for name, result in found.items():
        shape = inputs.tensors[name].shape
        if result.shape == shape and result.dtype == dtype:
            continue
        finding = Finding(
            ok=False,
            ratio=math.inf,
            observed={"shape": list(result.shape), "dtype": result.dtype.name},
            expected={"shape": list(shape), "dtype": dtype.name},
            message=f"the gradient of {name} is {result.dtype.name}{list(result.shape)}, expected {dtype.name}{list(shape)}",
            assertion=f"observed.shape == {shape!r} and observed.dtype.name == {dtype.name!r}",
        )
        return shown_at(case.shape, inputs, name, finding)
    return PASSED


def _check_inputs(call: Call, case: Case, setting: Setting) -> Finding:
    inputs = build(case)
    handed = inputs.copy()
    call.parts(handed, inputs)
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


def _check_again(call: Call, case: Case, setting: Setting) -> Finding:
    """A, B with other data of the same shapes, A."""
    first, other = build(case), build(replace(case, seed=case.seed ^ 0x5EED))
    results = call.parts(first.copy(), first)
    kept = [np.array(result, copy=True) for result in results]
    call.parts(other.copy(), other)
    shown = Inputs(first.tensors, first.options, {f"{name}_between": value for name, value in arrays_of(other).items()})
    once, between = call_text(case.shape, first), call_text(case.shape, first, "{}_between")
    for name, result, before in zip(case.shape.gradients, results, kept, strict=True):
        if not same_bits(result, before):
            script = f"observed = {gradient_text(case.shape, once, name)}\nkept = np.array(observed, copy=True)\n{between}"
            return _not_again(shown, f"a later call with other data overwrote the gradient of {name}", script, result, before)
    again = call.parts(first.copy(), first)
    for name, result, before in zip(case.shape.gradients, again, kept, strict=True):
        if not same_bits(result, before):
            here = gradient_text(case.shape, once, name)
            script = f"kept = np.array({here}, copy=True)\n{between}\nobserved = {here}"
            return _not_again(shown, f"a second call on the same inputs gave another gradient of {name}", script, result, before)
    return PASSED


def _check_other_data(call: Call, case: Case, setting: Setting) -> Finding:
    """What a kernel keeps from one call to the next must not show."""
    first, inputs = build(replace(case, seed=case.seed ^ 0x0DA7A)), build(case)
    call.parts(first.copy(), first)
    expected = expected_gradients(case, inputs, setting.dtype)
    finding = all_within(case.shape, inputs, call.gradients(inputs.tensors, inputs.options), expected)
    if finding.ok or finding.script is None:
        return finding
    before = {f"{name}_before": value for name, value in arrays_of(first).items()}
    return replace(
        finding,
        inputs=Inputs(inputs.tensors, inputs.options, before),
        script=f"{call_text(case.shape, inputs, '{}_before')}\n{finding.script}",
        message=f"after a call with other data of the same shapes {finding.message}",
    )


def _not_again(shown: Inputs, message: str, script: str, observed: Array, expected: Array) -> Finding:
    return Finding(
        ok=False,
        ratio=math.inf,
        observed=np.array(observed, copy=True),
        expected=expected,
        message=message,
        inputs=shown,
        script=script,
        assertion="np.asarray(observed).tobytes() == kept.tobytes()",
    )


def _check_finite(call: Call, case: Case, setting: Setting) -> Finding:
    inputs = build(case)
    for name, result in call.gradients(inputs.tensors, inputs.options).items():
        bad = ~np.isfinite(result.astype(np.float64))
        if bad.any() and dict(case.variant).get("fully_masked") == "nan":
            return Finding(ok=True, vacuous=True, message="the variant fully_masked=nan allows NaN")
        allowed = int(bad.sum())
        if allowed:
            # a sum over a batch may itself be too large for the format
            bad = missing(result, expected_gradients(case, inputs, setting.dtype)[name].value, setting.dtype)
            allowed -= int(bad.sum())
        if bad.any():
            finding = Finding(
                ok=False,
                ratio=math.inf,
                observed=result,
                expected="finite numbers",
                message=f"{int(bad.sum())} of {bad.size} entries of the gradient of {name} are not finite",
                assertion=f"np.isfinite(observed.astype(np.float64)).sum() >= {bad.size - allowed}",
            )
            return shown_at(case.shape, inputs, name, finding)
    return PASSED


def _check_views(call: Call, case: Case, setting: Setting) -> Finding:
    """The layout of an input does not matter, nor that of grad_out."""
    inputs = build(case)
    copies = call.gradients(inputs.tensors, inputs.options)
    layouts = {name: case.pick(name) for name in arrays_of(inputs)}
    seen = Inputs(
        {name: np.asarray(view_of(array, layouts[name])) for name, array in inputs.tensors.items()},
        {name: view_of(value, layouts[name]) if name in layouts else value for name, value in inputs.options.items()},  # type: ignore[arg-type]
    )
    views = dict(zip(case.shape.gradients, call.parts(seen, inputs), strict=True))
    finding = agree_all(case, inputs, views, copies, setting)
    if finding.ok or finding.script is None:
        return finding
    remade = "\n".join(f"{name} = view_of({name}, {kind!r})" for name, kind in layouts.items())
    described = ", ".join(f"{name} {kind}" for name, kind in layouts.items())
    return replace(
        finding, script=f"{remade}\n{finding.script}", message=f"views ({described}) and contiguous copies differ: {finding.message}"
    )
