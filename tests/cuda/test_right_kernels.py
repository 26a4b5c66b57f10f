"""Right kernels of every phase and gradient, under g++'s sanitizers: address and undefined behaviour, thread where memory is shared.

Attention's own kernels have tests beside theirs. The files and calls are those that seeded faults are put into, and ``tiers.py`` runs them
through all tiers.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

from kernelproof.symbolic.registry import has_gradient, phases

pytestmark = pytest.mark.cuda
PHASES = [phase for phase in phases() if phase != "attention"]
#: whose threads share memory in float32; a push leaves those of larger phases, which are slow, to the night
SHARING = [(phase, True) for phase in ("embedding", "feed_forward", "layer_norm", "rms_norm")] + [("multi_head_attention", False)]
SLOW = [("encoder_block", False), ("multi_head_attention", True), ("encoder_block", True)]
TRIED = [
    *(("T3a", phase, vjp) for phase in PHASES for vjp in (False, True) if not vjp or has_gradient(phase)),
    *(("T3t", *sharing) for sharing in SHARING + (SLOW if os.environ.get("KERNELPROOF_CUDA_PROFILE") else [])),
]


@pytest.fixture(scope="module")
def tiers(neighbour: Any, compiler: Any) -> Any:
    found = neighbour("tiers").Tiers(compiler.folder)
    found.compiler = compiler
    return found


def kernel_of(neighbour: Any, phase: str, vjp: bool) -> str:
    """The key of the target that has the phase among its right kernels."""
    targets = neighbour("targets")
    return next(key for name, dtype, key in targets.RIGHT if (name, dtype) == (phase, "float32") and targets.TARGETS[key].gradient == vjp)


def test_those_that_share_memory_are_named(neighbour: Any) -> None:
    targets, every = neighbour("targets"), [(phase, vjp) for tier, phase, vjp in TRIED if tier == "T3a"]
    sharing = {file for file in every if targets.TARGETS[kernel_of(neighbour, *file)].shares}
    assert sharing == {*SHARING, *SLOW}


@pytest.mark.tier
@pytest.mark.parametrize(("tier", "phase", "vjp"), TRIED)
def test_sanitizers_find_nothing(tier: str, phase: str, vjp: bool, tiers: Any, neighbour: Any) -> None:
    kernel = kernel_of(neighbour, phase, vjp)
    assert tiers.see(tier, neighbour("tiers").source_of(phase, "float32", kernel), phase, "float32", kernel) == ""
