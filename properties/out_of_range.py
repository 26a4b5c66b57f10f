"""Ids that no row of the table has: ``embedding.ids_out_of_range``.

What it does: some ids are below zero or from the number of rows up. The contract leaves open what happens, so these are *no* verdict: an
exception; a clamped row, zeros, a row counted from the end (a negative id in Python's manner). A verdict is: a process that ends, hangs or
eats memory; inputs that changed; another shape; another result for the same inputs on a second call (what was read is not the
table's); and rows of ids that *are* in range which are not the table's rows, since by the theorem ``embedding.token_reindexing``, which
has no hypothesis about the range, each token is looked up alone. Cannot see: a read beyond the table that gives the same every time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from hypothesis.strategies import DrawFn

from kernelproof.properties.call import Call, TargetDied, TargetRaised, arrays_of, call_text
from kernelproof.properties.harness import same_bits
from kernelproof.properties.model import Case, Finding, Inputs, Property, Setting, build
from kernelproof.properties.strategies import draw_case
from kernelproof.properties.values import Array

#: beyond the table, as (multiple of its rows, offset)
BEYOND = {
    "-1": (0, -1), "rows": (1, 0), "rows + 1": (1, 1), "-rows": (-1, 0), "-rows - 1": (-1, -1), "9·rows": (9, 0),
    "2^20": (0, 2**20),
}
RAISED = "raised "


def range_properties(phase: str, variant: Mapping[str, object]) -> list[Property]:
    """The property of the embedding; none for others."""
    if phase != "embedding":
        return []
    return [
        Property(
            "embedding.ids_out_of_range",
            "An id out of range may raise, or give anything repeatable in its own row",
            "ids[t] beyond the table implies (tested, not proved here) an exception, or the same result twice, inputs kept, "
            "and f[s] = table[ids[s]] wherever ids[s] is in range",
            phase,
            _draw,
            _check,
            kind="harness",
        )
    ]


def _draw(draw: DrawFn, setting: Setting) -> Case:
    return draw_case(draw, setting, empty=False, picks={"beyond": tuple(BEYOND), "every": (1, 2, 3)})


def _check(call: Call, case: Case, setting: Setting) -> Finding:
    inputs = build(case)
    times, offset = BEYOND[case.pick("beyond")]
    ids = inputs.tensors["ids"]
    wrong = (np.arange(ids.size) % case.pick("every") == 0).reshape(ids.shape)
    given = Inputs({**inputs.tensors, "ids": np.where(wrong, times * case.size("vocab") + offset, ids).astype(ids.dtype)}, inputs.options)
    once = _tried(call, given)
    if isinstance(once, Finding):
        return once
    result, changed = once
    if changed:
        return _told(case, given, f"the input {changed!r} was changed by the call", None, changed)
    expected = given.tensors["table"][np.where(wrong, 0, ids)]
    if result.shape != expected.shape:
        shapes = f"the result has shape {list(result.shape)}, expected {list(expected.shape)}"
        return _told(case, given, shapes, f"observed.shape == {expected.shape}")
    if not (result[~wrong] == expected[~wrong]).all():
        inside = f"(ids >= 0) & (ids < {case.size('vocab')})"
        message = f"with the id {case.pick('beyond')} elsewhere, rows of ids in range are not the table's"
        return _told(case, given, message, f"(observed[{inside}] == table[ids[{inside}]]).all()")
    # other data between the calls: what a stale buffer holds is then another thing
    _tried(call, inputs)
    again = _tried(call, given)
    if isinstance(again, Finding) or not same_bits(again[0], result):
        message = f"the id {case.pick('beyond')} gives another result on the same inputs the second time"
        return _told(case, given, message, "observed.tobytes() == kept.tobytes()")
    return Finding(ok=True, ratio=0.0)


def _tried(call: Call, given: Inputs) -> Finding | tuple[Array, str]:
    """The result and the name of an input that changed; a finding that ends the example if the target raised."""
    handed = given.copy()
    try:
        result = np.array(call.raw(handed, given), copy=True)
    except TargetDied:
        raise
    except TargetRaised as error:
        if not error.text.startswith(RAISED):
            raise
        return Finding(ok=True, ratio=0.0)
    changed = [name for name, before in arrays_of(given).items() if not same_bits(before, arrays_of(handed)[name])]
    return result, changed[0] if changed else ""


def _told(case: Case, given: Inputs, message: str, assertion: str | None, changed: str = "") -> Finding:
    text = call_text(case.shape, given)
    script = f"kept = np.asarray({text}).copy()\nobserved = np.asarray({text})"
    if changed:
        script, assertion = f"before = {changed}.copy()\n{text}\nobserved = {changed}", "observed.tobytes() == before.tobytes()"
    return Finding(
        ok=False, ratio=math.inf, observed=message, expected="an exception, or a repeatable result", message=message, inputs=given,
        script=script, assertion=assertion,
    )
