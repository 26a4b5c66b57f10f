"""The checks of CUDA gradients can fail: seeded faults are each seen, and sanitizers find nothing in right kernels.

Faults are in the embedding's segments, in a sum over leading axes, and in attention's tiles; each is seen by the tier that the table
names: T2 executed within the bound under three schedules, T3t the thread sanitizer.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from kernelproof.numeric.cupy_gradient_file import cupy_gradient_source
from kernelproof.symbolic.registry import gradient

pytestmark = pytest.mark.cuda
#: what is wrong, where, the change, the tier that sees it, and whether every push tries; the others are tried at night
FAULTS = (
    ("the last token of a segment is left out", "embedding", r"at < end; \+\+at", "at + 1 < end; ++at", "T2", True),
    ("a segment begins where the one before does", "embedding", r"starts\[v \*", "starts[(v > 0 ? v - 1 : v) *", "T2", False),
    ("tokens are read without their order", "embedding", r"grad_out\[order\[at \* order_by0\]", "grad_out[at", "T2", True),
    ("a row too many of the table", "embedding", r"entry < vocab \* d", "entry < vocab * d + 1", "T2", False),
    ("lanes over tokens are not joined", "layer_norm", r"(?s)(_rows2\(.*?)total_1 = kp_warp_sum\(total_1\);", r"\1", "T2", True),
    ("a token too few in the sum of the gain", "layer_norm", r"(?s)(_rows3\(.*?)batch < leading", r"\1batch + 1 < leading", "T2", False),
    ("a maximum is not joined", "attention", r"highest = kp_row_max\(highest\);", "", "T2", False),
    ("the sum is not rescaled", "attention", r"total\[a\] \* factor", "total[a]", "T2", True),
    ("the mean is not rescaled", "attention", r"mean\[a\] \* factor", "mean[a]", "T2", False),
    ("the mean is forgotten", "attention", r"slopes_here\[a\]\[b\] - mean\[a\]", "slopes_here[a][b]", "T2", False),
    ("the mask is forgotten", "attention", r"!mask\.allow\[", "false && !mask.allow[", "T2", True),
    ("a key ahead is seen", "attention", r"j <= i \+ mask\.ahead", "j <= i + mask.ahead + 1", "T2", False),
    ("the last tile of keys is left out", "attention", r"end = high < m \? high : m;", "end = (high < m ? high : m) - 32;", "T2", True),
    ("a tile of queries too late", "attention", r"kp_tile : 0, end = high < n", "kp_tile + kp_tile : 0, end = high < n", "T2", False),
    ("only one piece of channels", "attention", r"at % chunks \* kp_chunk", "0", "T2", True),
    ("the scale is left out of the keys", "attention", r"= scale \* of_keys", "= of_keys", "T2", False),
    ("threads part at a barrier", "attention", r"(kp_loaded\(right, another, other, column\);)", r"\1 if (tx == 3) continue;", "T2", True),
    ("tiles are written while they are read", "attention", r"__syncthreads\(\);  // nobody reads what was there", "", "T3t", True),
    ("slopes are written while they are read", "attention", r"__syncthreads\(\);  // the slopes have been read", "", "T3t", False),
    ("weights are written while they are read", "attention", r"__syncthreads\(\);  // slopes and weights have been read", "", "T3t", False),
    ("keys are loaded over values that are read", "attention", r"__syncthreads\(\);  // nobody reads the values any more", "", "T3t", True),
)
TRIED = [fault[:5] for fault in FAULTS if fault[5] or os.environ.get("KERNELPROOF_CUDA_PROFILE")]


@pytest.fixture(scope="module")
def given(neighbour: Callable[[str], ModuleType]) -> ModuleType:
    """The module ``gradient_cases`` beside this file."""
    neighbour("cases")
    return neighbour("gradient_cases")


def few(given: ModuleType, phase: str) -> list[Any]:
    """A few calls that meet every branch of a text."""
    draw = given.cases.Draw("float32", 3)
    if phase == "embedding":
        ids = np.array([[4, 0, 4], [2, 4, 8]])
        return [given.cases.Call({"ids": ids, "table": draw(9, 3), "grad_out": draw(2, 3, 3)})]
    if phase == "layer_norm":
        return [given.cases.Call({"x": draw(40, 5), "gain": draw(5), "bias": draw(5), "grad_out": draw(40, 5)})]
    sizes = ((34, 35, 3, 66, {"causal": True}), (3, 40, 65, 2, {"mask": draw.choice(3, 40)}), (40, 40, 0, 0, {}))
    return [
        given.cases.Call({"q": draw(n, d), "k": draw(m, d), "v": draw(m, e), "grad_out": draw(n, e)}, options)
        for n, m, d, e, options in sizes
    ]


def run(source: str, phase: str, given: ModuleType, module: ModuleType, emulation: ModuleType) -> None:
    """All of it within the bound; AssertionError where something does not hold."""
    kernel, bounds = emulation.namespace_of(source, module)[f"{phase}_vjp"], given.Bounds(gradient(phase), "float32")
    for call in few(given, phase):
        with np.errstate(all="ignore"):
            bounds.check(call, given.flat(kernel(*given.arguments(phase, call, "float32"), **call.options)))
    assert bounds.total.compared > 0


@pytest.mark.parametrize(("what", "phase", "pattern", "change", "tier"), TRIED, ids=[fault[0] for fault in TRIED])
def test_a_seeded_fault_is_seen(
    what: str, phase: str, pattern: str, change: str, tier: str, given: ModuleType, emulation: ModuleType, compiler: Any
) -> None:
    source = cupy_gradient_source(gradient(phase), "float32")
    changed, count = re.subn(pattern, change, source)
    assert count and changed != source, "the text has nothing like it"
    schedules, sanitizer = ((2,), "thread") if tier == "T3t" else ((0, 1, 2), "")
    modules = [emulation.stand_in(compiler, schedule, sanitizer) for schedule in schedules]
    with pytest.raises(AssertionError) as told:
        for module in modules:
            run(changed, phase, given, module, emulation)
    assert "does not compile the text" not in str(told.value), "the fault is no C++"


@pytest.mark.parametrize(
    ("phase", "sanitizer"), [("attention", "thread"), ("attention", "address"), ("embedding", "address"), ("layer_norm", "address")]
)
def test_sanitizers_find_nothing(phase: str, sanitizer: str, given: ModuleType, emulation: ModuleType, compiler: Any) -> None:
    run(cupy_gradient_source(gradient(phase), "float32"), phase, given, emulation.stand_in(compiler, 2, sanitizer), emulation)
