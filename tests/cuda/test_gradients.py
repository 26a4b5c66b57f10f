"""Generated CuPy gradient files, executed on the CPU: the text that the device gets, within the derived bound, under two schedules.

A push runs each kind of kernel; with ``KERNELPROOF_CUDA_PROFILE`` every variant runs, in every format.
"""

from __future__ import annotations

import itertools
import os
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
TOGETHER: dict[str, object] = {"grouped_query": True, "window": 3, "alibi": True, "causal_alignment": "bottom_right"}
#: what every push runs: each kind of kernel once, in each format somewhere
PUSHED: list[tuple[str, dict[str, object], str]] = [
    ("softmax", {}, "float32"), ("layer_norm", {}, "float32"), ("layer_norm", {}, "bfloat16"), ("rms_norm", {}, "float16"),
    ("activation", {"activation": "relu"}, "float32"), ("activation", {"activation": "gelu"}, "float32"),
    ("feed_forward", {"activation": "gelu_tanh"}, "float32"), ("feed_forward", {"activation": "silu"}, "bfloat16"),
    ("embedding", {}, "float32"), ("embedding", {}, "bfloat16"), ("rotary", {"layout": "halves"}, "float32"),
    ("rotary", {"layout": "interleaved"}, "bfloat16"), ("attention", {}, "float32"), ("attention", {}, "float64"),
    ("attention", {}, "bfloat16"), ("attention", TOGETHER, "float16"), ("attention", {"fully_masked": "mean", "softcap": 2.0}, "float64"),
    ("attention", {"sinks": True, "softcap": 2.0, "rotary": "interleaved"}, "float32"), ("multi_head_attention", {}, "float32"),
    ("attention", {"rotary": "halves", "grouped_query": True, "fully_masked": "mean"}, "bfloat16"),
    ("encoder_block", {"norm": "pre"}, "float32"),
]


def everything() -> list[tuple[str, dict[str, object], str]]:
    """Every variant of the registry in float32, every phase in the other formats, the samples of variants in all."""
    found = list(PUSHED)
    for phase, known in phases().items():
        for values in itertools.product(*(option.choices for option in known.variants.values())):
            found.append((phase, dict(zip(known.variants, values, strict=True)), "float32"))
        for dtype in ("float32", "float64", "float16", "bfloat16"):
            found += [(phase, {}, dtype), *((phase, dict(variant), dtype) for variant in known.samples)]
    return [target for place, target in enumerate(found) if target[0] != "positional" and target not in found[:place]]


#: a nightly run tries all
TARGETS = everything() if os.environ.get("KERNELPROOF_CUDA_PROFILE") else PUSHED


def name(part: object) -> str:
    """The part of a test's id for a phase, a variant or a dtype."""
    return ("-".join(f"{key}={value}" for key, value in part.items()) or "default") if isinstance(part, dict) else str(part)


@pytest.fixture(scope="module")
def given(neighbour: Callable[[str], ModuleType]) -> ModuleType:
    """The module ``gradient_cases`` beside this file."""
    neighbour("cases")
    return neighbour("gradient_cases")


@pytest.mark.tier("T2", vjp=True)
@pytest.mark.parametrize(("phase", "variant", "dtype"), TARGETS, ids=name)
def test_every_gradient_keeps_its_bound(
    phase: str, variant: dict[str, object], dtype: str, emulated: Callable[..., Any], given: ModuleType
) -> None:
    found = gradient(phase, **variant)
    source = cupy_gradient_source(found, dtype)
    kernels, bounds = [emulated(source, f"{phase}_vjp", schedule) for schedule in SCHEDULES], given.Bounds(found, dtype)
    for call in given.calls(phase, found.variant, dtype):
        with np.errstate(all="ignore"):
            results = [given.flat(kernel(*given.arguments(phase, call, dtype), **call.options)) for kernel in kernels]
        for result in results[1:]:
            same = [one.tobytes() == first.tobytes() for one, first in zip(result, results[0], strict=True)]
            assert all(same), "the result depends on the order in which threads run"
        bounds.check(call, results[0])
    assert bounds.total.compared > 0
    assert bounds.total.inconclusive <= 0.2 * (bounds.total.compared + bounds.total.inconclusive)


def test_a_gradient_agrees_with_that_for_numpy(emulated: Callable[..., Any], given: ModuleType) -> None:
    """In shape, in type and within twice the bound: the two files are made from one program."""
    found = gradient("layer_norm")
    kernel, bounds = emulated(cupy_gradient_source(found, "float32"), "layer_norm_vjp"), given.Bounds(found, "float32")
    space: dict[str, Any] = {"__name__": "generated"}
    exec(compile(gradient_source(found, "float32"), "generated", "exec"), space)
    for call in given.calls("layer_norm", found.variant, "float32"):
        arguments = given.arguments("layer_norm", call, "float32")
        with np.errstate(all="ignore"):
            results, others = (given.flat(one(*arguments, **call.options)) for one in (kernel, space["layer_norm_vjp"]))
        assert [(one.shape, one.dtype) for one in results] == [(one.shape, one.dtype) for one in others]
        bounds.check(call, results)
        bounds.check(call, others)
