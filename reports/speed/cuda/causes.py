"""Why a target was missed on a GPU: the share of the measured peak that both sides reached, from the same run.

The floor is the ratio that the plain matrix product, or the copy, would have against the same rival. Guarantees: every number is a measured
one or follows from two of them. Cannot see: which unit of the device was waited for; that is for a profiler.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kernelproof.reports.speed.model import MISSED, Comparison
from kernelproof.reports.speed.rivals import RIVALS

#: rivals that are a rate: the floor of a row is the first that was measured
PEAKS = ("gemm", "copy")


def with_causes(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """The comparisons with floors, and causes where a target was missed."""
    peak = next((one for name in PEAKS for one in comparisons if one.rival == name and one.ratio), None)
    found = []
    for one in comparisons:
        floor = one.ratio / peak.ratio if one.ratio and peak and peak.ratio and one.rival not in PEAKS else None
        one = replace(one, floor=floor)
        found.append(replace(one, cause=_cause(one, peak) if one.verdict == MISSED else ""))
    return tuple(found)


def _cause(one: Comparison, peak: Comparison | None) -> str:
    if peak is None or not peak.ratio or not one.ratio:
        return "no peak was measured in this run"
    reached = f"the kernel reaches {1 / peak.ratio:.0%} of the measured peak ({RIVALS[peak.rival].title})"
    if one.rival in PEAKS:
        return reached
    return f"{reached}, {RIVALS[one.rival].title} {one.ratio / peak.ratio:.0%}"
