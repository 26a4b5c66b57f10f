"""Generated CuPy gradients on a real GPU, within the derived bound. Skipped where there is none, with the reason."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from kernelproof.numeric.cupy_gradient_file import cupy_gradient_source
from kernelproof.symbolic.registry import gradient, phases

pytestmark = pytest.mark.cuda


@pytest.fixture(autouse=True)
def device(cupy: ModuleType) -> None:
    if not cupy.cuda.is_available():
        pytest.skip("no GPU: cupy.cuda.is_available() is false; the gradients were only emulated")


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("phase", [phase for phase in phases() if phase != "positional"])
def test_every_gradient_keeps_its_bound_on_the_device(
    phase: str, dtype: str, neighbour: Callable[[str], ModuleType], cupy: ModuleType
) -> None:
    neighbour("cases")
    given = neighbour("gradient_cases")
    for variant in ({}, *phases()[phase].samples):
        found = gradient(phase, **variant)
        space: dict[str, Any] = {}
        exec(compile(cupy_gradient_source(found, dtype), "generated", "exec"), space)
        bounds = given.Bounds(found, dtype)
        for call in given.calls(phase, found.variant, dtype):
            options = {name: cupy.asarray(value) if hasattr(value, "shape") else value for name, value in call.options.items()}
            results = given.flat(space[f"{phase}_vjp"](*given.arguments(phase, call, dtype, cupy), **options))
            again = given.flat(space[f"{phase}_vjp"](*given.arguments(phase, call, dtype, cupy), **options))
            kept = [cupy.asnumpy(result) for result in results]
            assert all(cupy.asnumpy(other).tobytes() == one.tobytes() for one, other in zip(kept, again, strict=True))
            bounds.check(call, kept)
        assert bounds.total.compared > 0


@pytest.mark.parametrize("variant", [{}, {"causal_alignment": "bottom_right"}, {"grouped_query": True}], ids=str)
@pytest.mark.parametrize(("dtype", "width"), [(dtype, width) for dtype in ("float16", "bfloat16") for width in (64, 128)])
def test_attention_on_tensor_cores_keeps_its_bound_on_the_device(
    dtype: str, width: int, variant: dict[str, object], neighbour: Callable[[str], ModuleType], cupy: ModuleType
) -> None:
    cases, own, given = neighbour("cases"), neighbour("tensor_gradient_cases"), neighbour("gradient_cases")
    space, bounds = dict[str, Any](), given.Bounds(gradient("attention", **variant), dtype, own.precision(dtype))
    exec(compile(cupy_gradient_source(gradient("attention", **variant), dtype), "generated", "exec"), space)
    for call in own.grouped(cases, dtype, width) if variant.get("grouped_query") else own.ragged(cases, dtype, width, every=True):
        arguments = given.arguments("attention", call, dtype, cupy)
        results, again = (given.flat(space["attention_vjp"](*arguments, **call.options)) for _ in range(2))
        kept = [cupy.asnumpy(result) for result in results]
        assert all(cupy.asnumpy(other).tobytes() == one.tobytes() for one, other in zip(kept, again, strict=True))
        bounds.check(call, kept)
    assert bounds.total.compared > 0
