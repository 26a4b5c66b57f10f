"""The signature of a kernel with attention in tiles: a mask keeps its own shape, and nothing of queries × keys is made before the tiles.

What it does: rewrites the lines of :mod:`numeric.signature_variants` that make such arrays: causality, windows and ALiBi become numbers
that the tiles are told, and a row without keys is seen by its sum. Guarantees: every rewritten line is found, or ValueError: a line that
has changed there cannot pass unseen.
"""

from __future__ import annotations

import re
from dataclasses import replace

from kernelproof.numeric.signatures import MASK, Signature
from kernelproof.symbolic.phase import Options

_CALL = re.compile(r"allow, bias = _mask\(causal, mask, (\(.*\)), work(?:, offset)?\)")
_TAIL = MASK.index("            allow, least = ")
_ADDED = """\
            least = {4: -3.0e38}.get(work.itemsize, -math.inf)  # a finite number stays one
            bias = {np}.where({np}.isneginf(mask), mask, {np}.maximum(mask, least)).astype(work)
"""


def mask_helper(phase: str) -> str:
    """``_mask`` without causality."""
    text = MASK[:_TAIL] + _ADDED + "    return allow, bias\n"
    text = _replaced(text, "def _mask(causal, mask, shape, work):", "def _mask(mask, shape, work):")
    text = _replaced(text, "as (allow, bias): True = may", "as (allow, bias), one of them or none: True = may")
    text = _replaced(text, "-inf hides; causal is top left.", "-inf hides.")
    return text.replace("PHASE", phase)


def mask_kept(phase: str, given: Signature) -> Signature:
    """The signature of self-attention with its mask as it was given, checked, with as many axes as the scores of one head."""
    before = list(given.before)
    at = _place(before, "allow, bias = _mask(causal")
    found = _CALL.fullmatch(before[at])
    if found is None:
        raise ValueError(f"tiling {phase}: {before[at]!r} is no call of _mask that is known here")
    before[at] = f"mask = _mask(mask, {found[1]})"
    text = _replaced(MASK[: MASK.index('        if mask.dtype.kind == "b":')], "    allow = bias = None\n", "")
    text = _replaced(text, "def _mask(causal, mask, shape, work):", "def _mask(mask, shape):")
    text = _replaced(text, "this shape as (allow, bias): True", "this shape, with as many axes: True")
    text = _replaced(text, "-inf hides; causal is top left.", "-inf hides.") + "    return mask\n"
    helpers = (text.replace("PHASE", phase), *(text for text in given.helpers if "def _mask(" not in text))
    return replace(given, before=tuple(before), helpers=helpers)


def tiled(phase: str, variant: Options, given: Signature) -> Signature:
    """The signature with the lines that attention in tiles needs."""
    before = list(given.before)
    at = _place(before, "allow, bias = _mask(causal")
    found = _CALL.fullmatch(before[at])
    if found is None:
        raise ValueError(f"tiling {phase}: {before[at]!r} is no call of _mask that is known here")
    before[at] = f"allow, bias = _mask(mask, {found[1]}, work)"
    result = given.result
    if variant.get("fully_masked") == "mean":
        del before[_place(before, "allow = ({np}.ones(")]
    if variant.get("fully_masked") == "nan":
        del before[_place(before, "seen = (")]
        result = _replaced(_replaced(result, "{np}.where(seen, ", ""), ", math.nan)", "")
    if variant.get("alibi"):
        del before[_place(before, "distance = ")]
        at = _place(before, "alibi = (_slopes(")
        count = before[at].partition("_slopes(")[2].partition(")")[0]
        shape = ".reshape((heads, group))" if variant.get("grouped_query") else ""
        before[at : at + 2] = [f"slopes = _slopes({count}).astype(work){shape}"]
    helpers = (mask_helper(phase), *(text for text in given.helpers if "def _mask(" not in text))
    return replace(given, before=tuple(before), result=result, helpers=helpers, optional=given.optional | {"allow", "bias"})


def _place(lines: list[str], start: str) -> int:
    """The one line that starts so."""
    (at,) = [number for number, line in enumerate(lines) if line.startswith(start)]
    return at


def _replaced(text: str, old: str, new: str) -> str:
    if text.count(old) != 1:
        raise ValueError(f"tiling: {old!r} is {text.count(old)} times in the text; expected once")
    return text.replace(old, new)
