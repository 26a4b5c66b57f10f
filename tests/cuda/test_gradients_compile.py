"""Every generated CUDA text of a gradient compiles with NVRTC without a GPU, within its launch contract, and imports under the real cupy.

On a push each text is compiled for one of three architectures in turn; with ``KERNELPROOF_CUDA_PROFILE`` for all of them.
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
ARCHITECTURES = ("sm_80", "sm_90", "sm_100")
#: formats of a phase, and the variants whose texts differ by more than a mask
TARGETS: list[tuple[str, dict[str, object], str]] = [
    *(("softmax", {}, dtype) for dtype in ("float32", "float64", "float16", "bfloat16")),
    *(("layer_norm", {}, dtype) for dtype in ("float32", "float64", "bfloat16")), ("rms_norm", {}, "float16"),
    *(("activation", {"activation": name}, "float32") for name in ("relu", "gelu", "gelu_tanh", "silu")),
    *(("feed_forward", {"activation": name}, dtype) for name, dtype in (("relu", "float64"), ("gelu", "bfloat16"), ("silu", "float32"))),
    ("feed_forward", {"activation": "silu", "gated": True}, "float32"),
    *(("embedding", {}, dtype) for dtype in ("float32", "float64", "float16", "bfloat16")),
    ("rotary", {}, "float32"), ("rotary", {"layout": "interleaved"}, "bfloat16"),
    *(("attention", {}, dtype) for dtype in ("float32", "float64", "bfloat16")),
    *(("attention", variant, "float32") for variant in (
        {"grouped_query": True}, {"fully_masked": "mean"}, {"softcap": 2.0}, {"sinks": True}, {"rotary": "halves"},
        {"rotary": "interleaved", "grouped_query": True}, {"window": 2, "alibi": True},
    )),
    ("multi_head_attention", {}, "float16"), ("encoder_block", {}, "float32"), ("encoder_block", {"norm": "pre"}, "bfloat16"),
]


def name(part: object) -> str:
    """The part of a test's id for a variant."""
    return ("-".join(f"{key}={value}" for key, value in part.items()) or "default") if isinstance(part, dict) else str(part)


@pytest.mark.parametrize(("phase", "variant", "dtype"), TARGETS, ids=name)
def test_every_text_compiles_within_its_contract(phase: str, variant: dict[str, object], dtype: str, neighbour: Callable[..., Any]) -> None:
    nvrtc, source = neighbour("nvrtc"), cupy_gradient_source(gradient(phase, **variant), dtype)
    found = nvrtc.constants(source, "CUDA", "LAUNCH")
    place = TARGETS.index((phase, variant, dtype)) % 3
    chosen = ARCHITECTURES if os.environ.get("KERNELPROOF_CUDA_PROFILE") else ARCHITECTURES[place : place + 1]
    for architecture in chosen:
        ptx = nvrtc.compiled(found["CUDA"], found["LAUNCH"], architecture)
        assert not re.search(r"\b(atom|red)\.", ptx), "an atomic operation: sums would depend on the order in which threads run"
        if dtype != "float64" and phase != "rotary" and "rotary" not in variant:
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
