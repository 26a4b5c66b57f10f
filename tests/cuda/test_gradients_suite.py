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
#: phase, variant, and the shapes of a call that compiles all kernels
FIRST: tuple[tuple[str, dict[str, object], tuple[tuple[int, ...], ...]], ...] = (
    ("layer_norm", {}, ((2, 3), (3,), (3,), (2, 3))), ("embedding", {}, ((2,), (4, 3), (2, 3))),
    ("attention", {}, ((3, 4), (3, 4), (3, 4), (3, 4))),
    ("multi_head_attention", {}, ((3, 4), (4, 4), (4, 4), (4, 4), (4, 4), (3, 4))),
)
OPTIONS = {"multi_head_attention": {"n_heads": 2}}
#: at night the others that do more to scores than masks do
NIGHTLY: tuple[tuple[str, dict[str, object], tuple[tuple[int, ...], ...]], ...] = (
    ("attention", {"sinks": True, "softcap": 2.0, "rotary": "interleaved"}, ((2, 3, 4), (2, 3, 4), (2, 3, 4), (2,), (2, 3, 4))),
    ("attention", {"fully_masked": "mean", "softcap": 2.0}, ((3, 4), (3, 4), (3, 4), (3, 4))),
    ("attention", {"rotary": "halves", "grouped_query": True}, ((4, 3, 4), (2, 3, 4), (2, 3, 4), (4, 3, 4))),
)
TRIED = FIRST + (NIGHTLY if os.environ.get("KERNELPROOF_CUDA_PROFILE") else ())


def named(part: object) -> str:
    """The part of a test's id for a phase or a variant; shapes have none."""
    return ("-".join(part) or "default") if isinstance(part, dict) else part if isinstance(part, str) else ""


def judged(
    source: str, phase: str, variant: dict[str, object], shapes: tuple[tuple[int, ...], ...], emulation: ModuleType, compiler: Any
) -> Any:
    """The verdict on a gradient file of a phase."""
    name, profile = f"{phase}.vjp", os.environ.get("KERNELPROOF_CUDA_PROFILE", "")
    kernel = emulation.namespace_of(source, emulation.stand_in(compiler, 2))[f"{phase}_vjp"]
    arrays = [np.zeros(shape, dtype=np.float32) for shape in shapes]
    kernel(*([arrays[0].astype(np.int64), *arrays[1:]] if phase == "embedding" else arrays), **OPTIONS.get(phase, {}))
    assert properties_of(name, variant)
    target = memory_target(kernel, phase=name, variant=checked_variant(name, variant))
    with assuming(FLUSHED):
        return verdict_on(target, profile=profile or "quick", dtype="float32", seed=0, **({} if profile else {"max_seconds": SECONDS}))


@pytest.mark.parametrize(("phase", "variant", "shapes"), TRIED, ids=named)
def test_the_property_suite_holds(
    phase: str, variant: dict[str, object], shapes: tuple[tuple[int, ...], ...], emulation: ModuleType, compiler: Any
) -> None:
    verdict = judged(cupy_gradient_source(gradient(phase, **variant), "float32"), phase, variant, shapes, emulation, compiler)
    assert verdict, str(verdict)


def test_the_property_suite_sees_a_fault(emulation: ModuleType, compiler: Any) -> None:
    """The last token of each row is left out."""
    source = cupy_gradient_source(gradient("embedding"), "float32").replace("at < end; ++at", "at + 1 < end; ++at")
    verdict = judged(source, "embedding", {}, FIRST[1][2], emulation, compiler)
    assert verdict.verdict == "fail", str(verdict)
