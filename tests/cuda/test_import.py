"""Generated files under the real cupy, where no GPU is: they import, and calling one is refused by cupy itself."""

from __future__ import annotations

import ast
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from kernelproof.numeric.cupy_file import cupy_source
from kernelproof.numeric.cupy_gradient_file import cupy_gradient_source
from kernelproof.symbolic.registry import derive, gradient, phases

pytestmark = pytest.mark.cuda


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("phase", list(phases()))
def test_every_name_of_cupy_is_there(phase: str, dtype: str, cupy: ModuleType) -> None:
    attributes = [node for node in ast.walk(ast.parse(cupy_source(derive(phase), dtype))) if isinstance(node, ast.Attribute)]
    used = {node.attr for node in attributes if isinstance(node.value, ast.Name) and node.value.id == "cp"}
    assert "RawModule" in used
    assert not [name for name in sorted(used) if not hasattr(cupy, name)]


@pytest.mark.parametrize("phase", list(phases()))
def test_a_file_imports_without_a_gpu_and_refuses_to_run(phase: str, cases: ModuleType, cupy: ModuleType) -> None:
    if cupy.cuda.is_available():
        pytest.skip("a GPU is present: test_device runs the kernels")
    derivation = derive(phase)
    space: dict[str, Any] = {}
    exec(compile(cupy_source(derivation, "float32"), "generated", "exec"), space)
    assert any(isinstance(value, cupy.RawModule) for value in space.values())
    call = next(iter(cases.calls(phase, derivation.variant, "float32")))
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match=r"cudaError(InsufficientDriver|NoDevice)"):
        space[phase](*cases.arguments(phase, call, "float32", np), **call.options)


@pytest.mark.parametrize(
    ("phase", "count", "options"),
    [("softmax", 2, {}), ("embedding", 3, {}), ("attention", 4, {}), ("multi_head_attention", 6, {"n_heads": 1})], ids=str,
)
def test_a_gradient_imports_without_a_gpu_and_refuses_to_run(
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
