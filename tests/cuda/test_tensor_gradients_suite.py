"""Attention's gradient on tensor cores under the property suite that every gradient kernel meets, executed on the CPU.

Examples of the suite have narrow heads; they are widened with zeros, which change no score, no slope and no gradient of the channels that
are there, so that each call without a mask goes through the tensor-core kernels. The bounds are the contract's own for 16-bit formats. A
nightly run searches as long as ``KERNELPROOF_CUDA_PROFILE`` says.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from kernelproof.numeric.cupy_gradient_file import cupy_gradient_source
from kernelproof.properties.targets import memory_target
from kernelproof.properties.verify import checked_variant, verdict_on
from kernelproof.symbolic.registry import gradient

pytestmark = pytest.mark.cuda
EVERY = bool(os.environ.get("KERNELPROOF_CUDA_PROFILE"))
WIDTH = 64
VARIANTS: list[dict[str, object]] = [{"causal_alignment": "bottom_right"}, {"grouped_query": True}, {"causal_alignment": "top_left"}]


def widened(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """The kernel on heads of width 64; calls with a mask, and wider heads, go as they are."""

    def attention_vjp(
        q: Any, k: Any, v: Any, grad_out: Any, *, causal: bool = False, mask: Any = None, scale: float | None = None
    ) -> Any:
        d, e = q.shape[-1], v.shape[-1]
        if mask is not None or max(d, e) > WIDTH:
            return kernel(q, k, v, grad_out, causal=causal, mask=mask, scale=scale)
        scale = (1 / math.sqrt(d) if d else 1.0) if scale is None else scale
        wide = [np.pad(part, [(0, 0)] * (part.ndim - 1) + [(0, WIDTH - part.shape[-1])]) for part in (q, k, v, grad_out)]
        found = kernel(*wide, causal=causal, scale=scale)
        assert not any(part[..., width:].any() for part, width in zip(found, (d, d, e), strict=True)), "channels of zeros have a gradient"
        return tuple(part[..., :width] for part, width in zip(found, (d, d, e), strict=True))

    return attention_vjp


def judged(source: str, profile: str, variant: dict[str, object], emulation: ModuleType, compiler: Any) -> tuple[Any, Any]:
    """The verdict on a gradient file, and what its launches counted."""
    module = emulation.stand_in(compiler, 2)
    kernel = emulation.namespace_of(source, module)["attention_vjp"]
    target = memory_target(widened(kernel), phase="attention.vjp", variant=checked_variant("attention.vjp", variant))
    shape = (1, 3, 4) if variant.get("grouped_query") else (3, 4)
    for mask in (None, np.ones((3, 3), dtype=bool)):
        target.function(*[np.zeros(shape, dtype=np.float16)] * 4, mask=mask)  # compiles
    before = module.RawModule.counts.copy()
    return verdict_on(target, profile=profile, dtype="float16", seed=0), module.RawModule.counts - before


@pytest.mark.tier("T2", kernel="attention gradient on tensor cores")
@pytest.mark.parametrize("variant", VARIANTS if EVERY else VARIANTS[:1], ids=lambda variant: "-".join(map(str, variant.values())))
def test_the_property_suite_holds(variant: dict[str, object], profile: str, emulation: ModuleType, compiler: Any) -> None:
    source = cupy_gradient_source(gradient("attention", **variant), "float16")
    verdict, (_, conflicts, products) = judged(source, profile, variant, emulation, compiler)
    assert verdict, str(verdict)
    assert products > 0 and conflicts == 0, "the tensor-core kernels were not used"


def test_the_property_suite_sees_a_fault(profile: str, emulation: ModuleType, compiler: Any) -> None:
    """Δ is forgotten in dQ."""
    source = cupy_gradient_source(gradient("attention"), "float16").replace("slope[j][at] - mean[at / 2]", "slope[j][at]")
    verdict, _ = judged(source, profile, {}, emulation, compiler)
    assert verdict.verdict == "fail", str(verdict)
