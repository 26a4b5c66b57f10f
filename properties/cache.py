"""Earlier keys and values beside new ones: ``attention.cache_agrees``.

What it does: keys and values are cut in two, the first part passed as ``past_k`` and ``past_v``; causality is bottom right then. The first
result must be the definition's for all keys, within the derived bound; the second and third must be the earlier keys and values with the
new ones behind them, bit for bit. Guarantees: only targets whose signature has both options are asked, and those that declare them.
Cannot see: caches that the target keeps itself, or that it writes into.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from hypothesis.strategies import DrawFn

from kernelproof.properties.call import CACHE, Call, call_text
from kernelproof.properties.model import Case, Finding, Inputs, Property, Setting, build
from kernelproof.properties.strategies import draw_case
from kernelproof.properties.telling import draw_telling
from kernelproof.properties.tolerance import expected_of, within
from kernelproof.properties.two_calls import WRONG_SHAPE

#: how many of the keys are earlier ones, up to their number
EARLIER = range(1, 12)


def cache_properties(phase: str, variant: Mapping[str, object]) -> list[Property]:
    """The property of attention; none for others."""
    if phase != "attention":
        return []
    return [
        Property(
            "attention.cache_agrees",
            "With earlier keys and values the result is that of all keys, and all of them are given back",
            "f(q, k₂, v₂, past_k = k₁, past_v = v₁) = (f(q, k₁k₂, v₁v₂) aligned bottom right, k₁k₂, v₁v₂) (tested, not proved here)",
            phase,
            _draw,
            _check,
            frozenset(CACHE),
            "harness",
        )
    ]


def _draw(draw: DrawFn, setting: Setting) -> Case:
    return draw_case(draw, setting, **{**draw_telling(draw, setting), "empty": False}, picks={"earlier": EARLIER})


def _check(call: Call, case: Case, setting: Setting) -> Finding:
    whole = build(case)
    earlier = case.pick("earlier") % (case.size("m") + 1)
    past = {f"past_{name}": np.ascontiguousarray(whole.tensors[name][..., :earlier, :]) for name in "kv"}
    new = {name: np.ascontiguousarray(whole.tensors[name][..., earlier:, :]) for name in "kv"}
    inputs = Inputs({**whole.tensors, **new}, {**whole.options, **past})
    observed, *kept = (np.array(part, copy=True) for part in call.parts(inputs.copy(), inputs))
    expected = expected_of(case.phase, dict(case.variant), inputs, setting.dtype)
    if observed.shape != expected.value.shape:
        return WRONG_SHAPE
    for place, (name, found) in enumerate(zip("kv", kept, strict=True), start=1):
        wanted = whole.tensors[name]
        if found.shape != wanted.shape or not np.array_equal(found, wanted, equal_nan=True):
            told = f"the {'keys' if name == 'k' else 'values'} given back are not the earlier ones with the new ones behind them"
            return replace(_finding(case, inputs, place), observed=found, expected=wanted, bound=np.zeros(()), message=told)
    finding = within(observed, expected.value, expected.error, inputs, "the result with earlier keys")
    return finding if finding.ok else replace(finding, script=_finding(case, inputs, 0).script)


def _finding(case: Case, inputs: Inputs, place: int) -> Finding:
    """A failure in one of the three parts of the result."""
    return Finding(
        ok=False, ratio=float("inf"), inputs=inputs, script=f"observed = np.asarray({call_text(case.shape, inputs)}[{place}])"
    )
