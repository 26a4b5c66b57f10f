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
