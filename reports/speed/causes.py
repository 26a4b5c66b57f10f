"""Why a target was missed: a sentence computed from what was measured in the same run, and the floor beside it.

The floor is the ratio that bare products (or one pass, where there are no products) would have against the same rival:
(ours / rival) / (ours / floor). Guarantees: every number in a sentence is a measured one or follows from two of them. Cannot see: causes
that no rival isolates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kernelproof.reports.speed.model import MISSED, Comparison
from kernelproof.reports.speed.products import PASSES
from kernelproof.reports.speed.rivals import RIVALS

FLOOR = "products"


def with_causes(kind: str, comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """The comparisons with floors, and causes where a target was missed."""
    bare = next((one.ratio for one in comparisons if one.rival == FLOOR), None)
    found = []
    for one in comparisons:
        floor = one.ratio / bare if one.ratio is not None and bare and one.rival != FLOOR else None
        one = replace(one, floor=floor)
        found.append(replace(one, cause=_cause(kind, one, bare) if one.verdict == MISSED else ""))
    return tuple(found)


def _cause(kind: str, one: Comparison, bare: float | None) -> str:
    assert one.ratio is not None and one.target is not None
    title = RIVALS[one.rival].title
    if one.rival == FLOOR:
        return f"{1 - 1 / one.ratio:.0%} of the kernel's time is outside the products: exponentials, and passes over the scores"
    if bare is None or one.floor is None:
        return "the floor was not measured in this run"
    if kind in PASSES:
        said = f"one pass over the arrays alone takes {one.floor:.2f} of {title}'s time, and the kernel takes the time of {bare:.1f} passes"
        return f"{said}; the target leaves room for {one.target / one.floor:.1f}"
    said = f"the bare products alone take {one.floor:.2f} of {title}'s time"
    if one.floor > one.target:
        return f"{said}, more than the target: out of reach for this BLAS in such tiles"
    return f"{said}, the rest of the kernel {one.ratio - one.floor:.2f}, and the target leaves {one.target - one.floor:.2f} for it"
