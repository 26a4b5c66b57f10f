"""Every phase on CuPy, attention on tensor cores and in tiles too, under the property suite that every other kernel meets, on the CPU.

Examples of the suite have narrow heads; they are widened with zeros, which changes no score and adds columns of zeros, so that each call
without a mask goes through the tensor-core kernel. A nightly run searches as long as ``KERNELPROOF_CUDA_PROFILE`` says.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from kernelproof.numeric.cuda.inside import PHASES
from kernelproof.numeric.cupy_file import cupy_source
from kernelproof.numeric.precision import assuming
from kernelproof.properties.targets import memory_target
from kernelproof.properties.verify import checked_variant, verdict_on
from kernelproof.symbolic.phases.attention_options import VARIANTS
from kernelproof.symbolic.registry import derive, phases

pytestmark = pytest.mark.cuda
#: of the kernel in tiles; a nightly run takes each option alone as well
TILED: tuple[dict[str, object], ...] = ({}, {"grouped_query": True, "sinks": True, "window": 3, "causal_alignment": "bottom_right"})
WIDTH = 64


def tiled_variants() -> list[dict[str, object]]:
    every = [dict(variant) for variant in VARIANTS] if os.environ.get("KERNELPROOF_CUDA_PROFILE") else []
    return [*TILED, *(variant for variant in every if variant not in TILED)]


def widened(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """The kernel on heads of width 64; calls with a mask, and wider heads, go as they are."""

    def attention(q: Any, k: Any, v: Any, *, causal: bool = False, mask: Any = None, scale: float | None = None) -> Any:
        d, e = q.shape[-1], v.shape[-1]
        if mask is not None or max(d, e) > WIDTH:
            return kernel(q, k, v, causal=causal, mask=mask, scale=scale)
        scale = (1 / math.sqrt(d) if d else 1.0) if scale is None else scale
        wide = [np.pad(part, [(0, 0)] * (part.ndim - 1) + [(0, WIDTH - part.shape[-1])]) for part in (q, k, v)]
        return kernel(*wide, causal=causal, scale=scale)[..., :e]

    return attention


@pytest.mark.tier("T2", kernel="attention on tensor cores")
@pytest.mark.parametrize("alignment", ["top_left", "bottom_right"])
def test_the_property_suite_holds(alignment: str, profile: str, emulation: ModuleType, compiler: Any, cases: ModuleType) -> None:
    module = emulation.stand_in(compiler, 2)
    kernel = emulation.namespace_of(cupy_source(derive("attention", causal_alignment=alignment), "float16"), module)["attention"]
    target = memory_target(widened(kernel), phase="attention", variant=checked_variant("attention", {"causal_alignment": alignment}))
    for mask in (None, np.ones((3, 3), dtype=bool)):
        target.function(*np.zeros((3, 3, 4), dtype=np.float16), mask=mask)  # compiles
    before = module.RawModule.counts.copy()
    with assuming(cases.FLUSHED):
        verdict = verdict_on(target, profile=profile, dtype="float16", seed=0)
    assert verdict, str(verdict)
    _, conflicts, products = module.RawModule.counts - before
    assert products > 0 and conflicts == 0, "the tensor-core kernel was not used"


@pytest.mark.tier("T2", kernel="attention in tiles")
@pytest.mark.parametrize("variant", tiled_variants(), ids=lambda variant: "-".join(variant) or "plain")
def test_the_property_suite_holds_in_tiles(
    variant: dict[str, object], profile: str, emulation: ModuleType, compiler: Any, cases: ModuleType
) -> None:
    space = emulation.namespace_of(cupy_source(derive("attention", **variant), "float32"), emulation.stand_in(compiler, 2))
    launches, launch = Counter[str](), space["_tiles"]
    space["_tiles"] = lambda name, *rest: launches.update([name]) or launch(name, *rest)
    target = memory_target(space["attention"], phase="attention", variant=checked_variant("attention", variant))
    with assuming(cases.FLUSHED):
        verdict = verdict_on(target, profile=profile, dtype="float32", seed=0)
    assert verdict, str(verdict)
    assert launches.total() > 1, "the kernel in tiles was hardly used"


@pytest.mark.tier("T2")
@pytest.mark.parametrize("phase", [phase for phase in phases() if phase != "attention"])
def test_the_property_suite_holds_of_every_phase(phase: str, profile: str, emulation: ModuleType, compiler: Any, neighbour: Any) -> None:
    cases = neighbour("cases")
    space = emulation.namespace_of(cupy_source(derive(phase), "float32"), emulation.stand_in(compiler, 2))
    wanted = "_tiles" if phase in PHASES else "_launch"
    launches, launch = Counter[str](), space[wanted]
    space[wanted] = lambda name, *rest: launches.update([name]) or launch(name, *rest)
    call = next(cases.calls(phase, {}, "float32"))
    space[phase](*cases.arguments(phase, call, "float32"), **call.options)  # compiles
    launches.clear()
    target = memory_target(space[phase], phase=phase, variant=checked_variant(phase, {}))
    with assuming(cases.FLUSHED):
        verdict = verdict_on(target, profile=profile, dtype="float32", seed=0)
    assert verdict, str(verdict)
    assert launches, "the suite did not use the kernels"
