"""Gradients of CuPy under the property suite that every gradient kernel meets, executed on the CPU; and that the checks can fail.

A nightly run searches as long as ``KERNELPROOF_CUDA_PROFILE`` says.
"""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from kernelproof.numeric.cupy_gradient_file import cupy_gradient_source
from kernelproof.numeric.precision import assuming
from kernelproof.properties.registry import properties_of
from kernelproof.properties.targets import memory_target
from kernelproof.properties.verify import checked_variant, verdict_on
from kernelproof.symbolic.registry import gradient

pytestmark = pytest.mark.cuda
#: on a push, for all properties of a gradient together, what is compiled and derived before not counted
SECONDS = 6.0
#: as CuPy compiles, and as the emulator runs
FLUSHED = "subnormals=flushed"
#: a call that compiles all kernels
FIRST = {
    "layer_norm": ((2, 3), (3,), (3,), (2, 3)), "embedding": ((2,), (4, 3), (2, 3)), "attention": ((3, 4), (3, 4), (3, 4), (3, 4)),
    "multi_head_attention": ((3, 4), (4, 4), (4, 4), (4, 4), (4, 4), (3, 4)),
}
OPTIONS = {"multi_head_attention": {"n_heads": 2}}


def judged(source: str, phase: str, emulation: ModuleType, compiler: Any) -> Any:
    """The verdict on a gradient file of a phase."""
    name, profile = f"{phase}.vjp", os.environ.get("KERNELPROOF_CUDA_PROFILE", "")
    kernel = emulation.namespace_of(source, emulation.stand_in(compiler, 2))[f"{phase}_vjp"]
    arrays = [np.zeros(shape, dtype=np.float32) for shape in FIRST[phase]]
    kernel(*([arrays[0].astype(np.int64), *arrays[1:]] if phase == "embedding" else arrays), **OPTIONS.get(phase, {}))
    assert properties_of(name, {})
    target = memory_target(kernel, phase=name, variant=checked_variant(name, {}))
    with assuming(FLUSHED):
        return verdict_on(target, profile=profile or "quick", dtype="float32", seed=0, **({} if profile else {"max_seconds": SECONDS}))


@pytest.mark.parametrize("phase", FIRST)
def test_the_property_suite_holds(phase: str, emulation: ModuleType, compiler: Any) -> None:
    verdict = judged(cupy_gradient_source(gradient(phase), "float32"), phase, emulation, compiler)
    assert verdict, str(verdict)


def test_the_property_suite_sees_a_fault(emulation: ModuleType, compiler: Any) -> None:
    """The last token of each row is left out."""
    source = cupy_gradient_source(gradient("embedding"), "float32").replace("at < end; ++at", "at + 1 < end; ++at")
    verdict = judged(source, "embedding", emulation, compiler)
    assert verdict.verdict == "fail", str(verdict)
