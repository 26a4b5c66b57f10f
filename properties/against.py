"""``--against OTHER``: the target compared with another function of its user, on inputs of the phase.

What it does: both run in the dtype under test. If both are faithful to the phase's program each is within its rounding bound of it, so
two results may differ by twice that bound at these inputs, and by no more; that is the tolerance. Guarantees: only options that both
take are drawn; an entry on which both are NaN, or the same infinity, agrees.
Cannot see: which of the two is wrong; whether OTHER follows the definition (``matches_definition`` judges the target alone). Where both
follow another convention, the bound is still that of the phase's own: it may be a little too narrow or too wide for theirs.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis.strategies import DrawFn

from kernelproof.properties.call import Call, TargetRaised
from kernelproof.properties.isolation import isolated_function, isolated_target
from kernelproof.properties.model import Case, Finding, Property, Setting, build
from kernelproof.properties.strategies import draw_case
from kernelproof.properties.targets import Target, memory_target
from kernelproof.properties.telling import draw_padding, draw_telling, with_padding
from kernelproof.properties.values import Array
from kernelproof.symbolic.errors import InputError


@contextmanager
def compared(
    other: str | Callable[..., Any] | None, phase: str, variant: Mapping[str, object], dtype: str
) -> Iterator[tuple[Property, ...]]:
    """The property of comparing with OTHER, named as a target is or in memory; none where there is none.

    OTHER has a worker of its own, as a target has, until the block ends. What makes it unusable is an :class:`InputError`.
    """
    if other is None:
        yield ()
        return
    with ExitStack() as stack:
        try:
            if isinstance(other, str):
                opened = isolated_target(other, phase=phase, variant=variant, dtype=dtype)
            else:
                opened = isolated_function(memory_target(other, phase=phase, variant=variant))
            loaded = stack.enter_context(opened)
        except InputError as error:
            raise InputError(f"comparing against another function: {error}") from error
        yield (against_property(loaded),)


def against_id(phase: str) -> str:
    """The name of the property."""
    return f"{phase}.against"


def against_property(other: Target) -> Property:
    """The target's result is OTHER's, within twice the rounding bound."""
    call = other.call

    def draw(draw: DrawFn, setting: Setting) -> Case:
        both = replace(setting, capabilities=setting.capabilities & other.capabilities)
        return draw_padding(draw, draw_case(draw, both, **{**draw_telling(draw, both), "empty": False}))

    # late: it loads the derivations
    tolerance = importlib.import_module("kernelproof.properties.tolerance")

    def check(target: Call, case: Case, setting: Setting) -> Finding:
        inputs = with_padding(case, build(case))
        if case.shape.gradients:
            gradients = importlib.import_module("kernelproof.properties.gradient_against")
            compared: Finding = gradients.compared(call, other.name, target, case, setting, inputs)
            return compared
        try:
            theirs = call(inputs.tensors, inputs.options)
        except TargetRaised as error:
            return Finding(ok=True, vacuous=True, message=f"{other.name} {error.text}")
        ours = target(inputs.tensors, inputs.options)
        if ours.shape != theirs.shape:
            return Finding(
                ok=False,
                ratio=float("inf"),
                observed=list(ours.shape),
                expected=list(theirs.shape),
                message=f"the result has shape {list(ours.shape)}, that of {other.name} {list(theirs.shape)}",
                inputs=inputs,
                assertion=f"observed.shape == {theirs.shape!r}",
            )
        found = tolerance.expected_of(case.phase, dict(case.variant), inputs, setting.dtype)
        if ours.shape != found.value.shape:
            return Finding(ok=True, vacuous=True, message=f"both results have shape {list(ours.shape)}, which is not the contract's")
        wide = found.value.dtype
        finding: Finding = tolerance.within(*_apart(ours.astype(wide), theirs.astype(wide)), 2 * found.error, inputs, "the result")
        if finding.ok:
            return finding
        told = f"{finding.message} (expected is {other.name}'s, the bound twice the phase's)"
        return replace(finding, observed=ours, expected=theirs, message=told)

    return Property(
        id=against_id(other.phase),
        title=f"The result is that of {other.name}, within twice the rounding bound of the phase",
        theorem=f"|target − other| ≤ 2·bound, entry by entry, other = {other.name} (tested; what it computes is not derived)",
        phase=other.phase,
        draw=draw,
        check=check,
        kind="harness",
    )


def _apart(ours: Array, theirs: Array) -> tuple[Array, Array]:
    """Both, with zeros where they agree without being numbers."""
    alike = ~np.isfinite(ours) & ((ours == theirs) | (np.isnan(ours) & np.isnan(theirs)))
    return np.where(alike, 0, ours), np.where(alike, 0, theirs)
