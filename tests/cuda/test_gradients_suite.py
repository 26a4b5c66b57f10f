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
from kernelproof.properties.targets import memory_target
from kernelproof.properties.verify import checked_variant, verdict_on
from kernelproof.symbolic.registry import gradient

pytestmark = pytest.mark.cuda
#: on a push, for all properties of a gradient together
SECONDS = 3.0


@pytest.mark.parametrize("phase", ["layer_norm", "embedding", "attention"])
def test_the_property_suite_holds(phase: str, emulation: ModuleType, compiler: Any) -> None:
    profile = os.environ.get("KERNELPROOF_CUDA_PROFILE", "")
    space = emulation.namespace_of(cupy_gradient_source(gradient(phase), "float32"), emulation.stand_in(compiler, 2))
    kernel, name = space[f"{phase}_vjp"], f"{phase}.vjp"
    target = memory_target(kernel, phase=name, variant=checked_variant(name, {}))
    verdict = verdict_on(target, profile=profile or "quick", dtype="float32", seed=0, **({} if profile else {"max_seconds": SECONDS}))
    assert verdict, str(verdict)


def test_the_property_suite_sees_a_fault(emulation: ModuleType, compiler: Any) -> None:
    """A token that picked no row is added to the first, or the last token of a row is left out."""
    source = cupy_gradient_source(gradient("embedding"), "float32").replace("at < end; ++at", "at + 1 < end; ++at")
    kernel = emulation.namespace_of(source, emulation.stand_in(compiler, 2))["embedding_vjp"]
    assert not np.array_equal(kernel(np.array([0]), np.zeros((2, 1), np.float32), np.ones((1, 1), np.float32))[0], [[1], [0]])
    target = memory_target(kernel, phase="embedding.vjp", variant=checked_variant("embedding.vjp", {}))
    assert not verdict_on(target, profile="quick", dtype="float32", seed=0, max_seconds=SECONDS)
