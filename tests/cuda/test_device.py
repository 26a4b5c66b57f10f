"""Generated CuPy kernels on a real GPU, within the derived bound. Skipped where there is none, with the reason."""

from __future__ import annotations

import itertools
from types import ModuleType
from typing import Any

import pytest

from kernelproof.numeric.cupy_file import cupy_source
from kernelproof.symbolic.phases.attention_options import VARIANTS
from kernelproof.symbolic.registry import derive, phases

pytestmark = pytest.mark.cuda


@pytest.fixture(autouse=True)
def device(cupy: ModuleType) -> None:
    if not cupy.cuda.is_available():
        pytest.skip("no GPU: cupy.cuda.is_available() is false; the kernels were only emulated")


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("phase", list(phases()))
def test_every_kernel_keeps_its_bound_on_the_device(phase: str, dtype: str, cases: ModuleType, cupy: ModuleType) -> None:
    options = phases()[phase].variants
    for values in itertools.product(*(option.choices for option in options.values())):
        derivation = derive(phase, **dict(zip(options, values, strict=True)))
        space: dict[str, Any] = {}
        exec(compile(cupy_source(derivation, dtype), "generated", "exec"), space)
        bounds = cases.Bounds(derivation, dtype)
        for call in cases.calls(phase, derivation.variant, dtype):
            given = {name: cupy.asarray(value) if hasattr(value, "shape") else value for name, value in call.options.items()}
            result = space[phase](*cases.arguments(phase, call, dtype, cupy), **given)
            bounds.check(call, cupy.asnumpy(result), None)
        assert bounds.total.compared > 0


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("variant", [{}, *VARIANTS], ids=lambda variant: "-".join(variant) or "plain")
def test_attention_in_tiles_keeps_its_bound_on_the_device(
    variant: dict[str, object], dtype: str, cases: ModuleType, cupy: ModuleType, neighbour: Any
) -> None:
    derivation, space = derive("attention", **variant), dict[str, Any]()
    exec(compile(cupy_source(derivation, dtype), "generated", "exec"), space)
    bounds = cases.Bounds(derivation, dtype)
    for call in neighbour("tiled_cases").calls(cases, dtype, derivation.variant):
        given = {name: cupy.asarray(value) if hasattr(value, "shape") else value for name, value in call.options.items()}
        bounds.check(call, cupy.asnumpy(space["attention"](*cases.arguments("attention", call, dtype, cupy), **given)), None)
    assert bounds.total.compared > 0


@pytest.mark.parametrize("switched", [False, True])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("width", [64, 128])
def test_attention_on_tensor_cores_keeps_its_bound_on_the_device(
    width: int, dtype: str, switched: bool, cases: ModuleType, cupy: ModuleType, neighbour: Any
) -> None:
    """Both kernels; the one by products of warpgroups where the device has them."""
    if switched and int(cupy.cuda.Device().compute_capability) != 90:
        pytest.skip("products of warpgroups are of compute capability 9.0")
    derivation, given = derive("attention", causal_alignment="bottom_right"), neighbour("tensor_cases")
    space: dict[str, Any] = {}
    exec(compile(cupy_source(derivation, dtype), "generated", "exec"), space)
    space["ON_WARPGROUPS"] = switched
    bounds = cases.Bounds(derivation, dtype, "")
    for call in itertools.chain(given.calls(cases, dtype, width), given.long(cases, dtype, width)):
        bounds.check(call, cupy.asnumpy(space["attention"](*cases.arguments("attention", call, dtype, cupy), **call.options)), None)
    assert bounds.total.compared > 0
