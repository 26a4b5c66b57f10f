"""Generated CuPy gradient files, executed on the CPU: the text that the device gets, within the derived bound, under two schedules."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from kernelproof.numeric.cupy_gradient_file import cupy_gradient_source
from kernelproof.numeric.gradient_file import gradient_source
from kernelproof.symbolic.registry import gradient, phases

pytestmark = pytest.mark.cuda
SCHEDULES = (0, 7)


def variants(phase: str) -> list[dict[str, object]]:
    options = phases()[phase].variants
    return [dict(zip(options, values, strict=True)) for values in itertools.product(*(option.choices for option in options.values()))]


DIFFERENTIABLE = [phase for phase in phases() if phase != "positional"]
#: beside float32: the texts differ in types alone, so that a few kinds of kernels are enough
OTHERS = {
    "bfloat16": ("softmax", "layer_norm", "feed_forward", "attention", "multi_head_attention", "embedding", "rotary"),
    "float16": ("rms_norm", "attention", "embedding"),
    "float64": ("softmax", "attention"),
}
#: attention's masks and biases are no arrays of the caller: these variants make them themselves
MADE = ({"alibi": True}, {"fully_masked": "mean"})
TOGETHER: dict[str, object] = {"grouped_query": True, "window": 3, "alibi": True, "causal_alignment": "bottom_right"}
TARGETS: list[tuple[str, dict[str, object], str]] = [
    *((phase, variant, "float32") for phase in DIFFERENTIABLE if phase != "encoder_block" for variant in variants(phase)),
    *(("encoder_block", {"norm": norm}, "float32") for norm in ("post", "pre")),
    *((phase, dict(variant), "float32") for phase in ("attention", "feed_forward") for variant in phases()[phase].samples[:12]),
    *((phase, variants(phase)[0], dtype) for dtype, chosen in OTHERS.items() for phase in chosen),
    *(("attention", dict(variant), "bfloat16") for variant in MADE), ("attention", TOGETHER, "float32"),
]
TARGETS = [target for target in TARGETS if target[1] != {"activation": "gelu", "gated": True}]


def name(part: object) -> str:
    """The part of a test's id for a phase, a variant or a dtype."""
    return ("-".join(f"{key}={value}" for key, value in part.items()) or "default") if isinstance(part, dict) else str(part)


@pytest.fixture(scope="module")
def given(neighbour: Callable[[str], ModuleType]) -> ModuleType:
    """The module ``gradient_cases`` beside this file."""
    neighbour("cases")
    return neighbour("gradient_cases")


def numpy_kernel(phase: str, variant: dict[str, object], dtype: str) -> Callable[..., Any] | None:
    """The generated NumPy gradient; none for bfloat16, which needs ml_dtypes."""
    if dtype == "bfloat16":
        return None
    space: dict[str, Any] = {"__name__": "generated"}
    exec(compile(gradient_source(gradient(phase, **variant), dtype), "generated", "exec"), space)
    return space[f"{phase}_vjp"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(("phase", "variant", "dtype"), TARGETS, ids=name)
def test_every_gradient_keeps_its_bound(
    phase: str, variant: dict[str, object], dtype: str, emulated: Callable[..., Any], given: ModuleType
) -> None:
    found = gradient(phase, **variant)
    source = cupy_gradient_source(found, dtype)
    kernels = [emulated(source, f"{phase}_vjp", schedule) for schedule in SCHEDULES]
    other, bounds = numpy_kernel(phase, variant, dtype), given.Bounds(found, dtype)
    for call in given.calls(phase, found.variant, dtype):
        with np.errstate(all="ignore"):
            results = [given.flat(kernel(*given.arguments(phase, call, dtype), **call.options)) for kernel in kernels]
            compared = None if other is None else given.flat(other(*given.arguments(phase, call, dtype), **call.options))
        for result in results[1:]:
            same = [one.tobytes() == first.tobytes() for one, first in zip(result, results[0], strict=True)]
            assert all(same), "the result depends on the order in which threads run"
        bounds.check(call, results[0], compared)
    assert bounds.total.compared > 0
    assert bounds.total.inconclusive <= 0.2 * (bounds.total.compared + bounds.total.inconclusive)
