"""Every generated CUDA text of a gradient compiles with NVRTC without a GPU, within its launch contract, and imports under the real cupy.

On a push each text is compiled for one of four architectures in turn, plain tiles for all; with ``KERNELPROOF_CUDA_PROFILE`` all are.
"""

from __future__ import annotations

import ast
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
ARCHITECTURES = ("sm_80", "sm_90", "sm_90a", "sm_100")
#: texts that differ by more than a mask
TARGETS: list[tuple[str, dict[str, object], str]] = [
    ("softmax", {}, "float32"), ("softmax", {}, "float16"), ("layer_norm", {}, "float64"), ("layer_norm", {}, "bfloat16"),
    ("rms_norm", {}, "float32"), ("activation", {"activation": "relu"}, "bfloat16"), ("activation", {"activation": "gelu"}, "float32"),
    ("feed_forward", {"activation": "gelu_tanh"}, "float32"), ("feed_forward", {"activation": "silu"}, "float64"),
    *(("embedding", {}, dtype) for dtype in ("float32", "float64", "float16", "bfloat16")), ("rotary", {"layout": "halves"}, "float32"),
    ("multi_head_attention", {}, "float16"), ("encoder_block", {"norm": "pre"}, "float32"),
    # the first two are compiled for all architectures: registers are many
    *(("attention", {}, dtype) for dtype in ("float32", "float64")), ("attention", {"sinks": True, "softcap": 2.0}, "float32"),
    ("attention", {"fully_masked": "mean", "softcap": 2.0}, "float64"),
]


def name(part: object) -> str:
    """The part of a test's id for a variant."""
    return ("-".join(f"{key}={value}" for key, value in part.items()) or "default") if isinstance(part, dict) else str(part)


@pytest.mark.parametrize(("phase", "variant", "dtype"), TARGETS, ids=name)
def test_every_text_compiles_within_its_contract(phase: str, variant: dict[str, object], dtype: str, neighbour: Callable[..., Any]) -> None:
    nvrtc, source = neighbour("nvrtc"), cupy_gradient_source(gradient(phase, **variant), dtype)
    found = nvrtc.constants(source, "CUDA", "LAUNCH")
    place = TARGETS.index((phase, variant, dtype)) % len(ARCHITECTURES)
    tiles = phase == "attention" and not variant  # the same text inside other phases
    chosen = ARCHITECTURES if tiles or os.environ.get("KERNELPROOF_CUDA_PROFILE") else ARCHITECTURES[place : place + 1]
    for architecture in chosen:
        ptx = nvrtc.compiled(found["CUDA"], found["LAUNCH"], architecture)
        assert not re.search(r"\b(atom|red)\.", ptx), "an atomic operation: sums would depend on the order in which threads run"
        if dtype != "float64" and phase != "rotary":
            assert not re.search(r"\.f64\b", ptx), "double arithmetic in a float kernel"


@pytest.mark.parametrize(
    ("phase", "count", "options"),
    [("softmax", 2, {}), ("embedding", 3, {}), ("attention", 4, {}), ("multi_head_attention", 6, {"n_heads": 1})], ids=str,
)
def test_every_name_of_cupy_is_there_and_a_call_is_refused_without_a_gpu(
    phase: str, count: int, options: dict[str, int], cupy: ModuleType
) -> None:
    source = cupy_gradient_source(gradient(phase), "bfloat16")
    attributes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)]
    used = {node.attr for node in attributes if isinstance(node.value, ast.Name) and node.value.id == "cp"}
    assert "RawModule" in used
    assert not [name for name in sorted(used) if not hasattr(cupy, name)]
    if cupy.cuda.is_available():
        pytest.skip("a GPU is present: the kernels run in test_gradients_device")
    space: dict[str, Any] = {}
    exec(compile(source, "generated", "exec"), space)
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match=r"cudaError(InsufficientDriver|NoDevice)"):
        space[f"{phase}_vjp"](*[np.zeros((2, 2), dtype=np.uint16)] * count, **options)
