"""Gradients of attention on CuPy make no array of queries × keys, in any variant, and sum what was broadcast in one order of their own.

The memory is that of the file's own Python, on a device that computes nothing: what is allocated beyond the inputs stays below one byte for
each pair of a query and a key. Cannot see: what CuPy itself keeps in its pools.
"""

from __future__ import annotations

import os
import tracemalloc
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from kernelproof.numeric.cupy_gradient_file import cupy_gradient_licences, cupy_gradient_source
from kernelproof.symbolic.registry import derive, gradient, phases

pytestmark = pytest.mark.cuda
#: what every push tries; a nightly run tries all samples
VARIANTS: list[dict[str, object]] = [
    {}, {"sinks": True, "softcap": 2.0, "rotary": "interleaved"},
    {"rotary": "halves", "grouped_query": True, "fully_masked": "mean"},
]
if os.environ.get("KERNELPROOF_CUDA_PROFILE"):
    VARIANTS += map(dict, phases()["attention"].samples)
N, M, D = 1500, 1400, 4


def name(part: object) -> str:
    """The part of a test's id for a variant."""
    return ("-".join(f"{key}={value}" for key, value in part.items()) or "plain") if isinstance(part, dict) else str(part)


def idle(emulation: ModuleType, compiler: Any) -> ModuleType:
    """A device whose kernels do nothing."""
    module: ModuleType = emulation.stand_in(compiler)
    silent = type("Silent", (), {"__init__": lambda *_, **__: None, "get_function": lambda *_: lambda *_, **__: None})
    module.RawModule = silent  # type: ignore[attr-defined]
    return module


def peak_of(source: str, variant: dict[str, object], module: ModuleType, emulation: ModuleType) -> int:
    """The most bytes that a call of a gradient holds beyond its inputs."""
    kernel = emulation.namespace_of(source, module)["attention_vjp"]
    headed = bool({"grouped_query", "sinks", "alibi"} & set(variant))
    lead, shared = ((2,), (1 if variant.get("grouped_query") else 2,)) if headed else ((), ())
    q, k, v, grad_out = (np.zeros((*own, D), dtype=np.float32) for own in ((*lead, N), (*shared, M), (*shared, M), (*lead, N)))
    sinks = [np.zeros(2, dtype=np.float32)] if variant.get("sinks") else []
    mask = np.arange(M) % 3 != 0
    with np.errstate(all="ignore"):
        kernel(q, k, v, *sinks, grad_out, causal=True, mask=mask)  # what a first call brings, it brings here
        tracemalloc.start()
        try:
            kernel(q, k, v, *sinks, grad_out, causal=True, mask=mask)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("variant", VARIANTS, ids=name)
def test_no_array_of_queries_and_keys_is_made(variant: dict[str, object], emulation: ModuleType, compiler: Any) -> None:
    source = cupy_gradient_source(gradient("attention", **variant), "float32")
    assert peak_of(source, variant, idle(emulation, compiler), emulation) < N * M


def test_one_that_is_made_would_be_seen(emulation: ModuleType, compiler: Any) -> None:
    """Not even one of truth values."""
    source = cupy_gradient_source(gradient("attention"), "float32")
    changed = source.replace("    e = v.shape[-1]\n", "    e = v.shape[-1]\n    near = cp.tri(n, m, dtype=bool)\n")
    assert changed != source
    assert peak_of(changed, {}, idle(emulation, compiler), emulation) >= N * M


@pytest.mark.parametrize("variant", VARIANTS, ids=name)
def test_licences_are_theorems(variant: dict[str, object]) -> None:
    found = gradient("attention", **variant)
    licences = cupy_gradient_licences(found, "float32")
    alone = {key: value for key, value in variant.items() if key == "fully_masked"}  # whose theorem speaks of one head
    proved = {statement.id for made in (gradient("attention"), gradient("attention", **alone), found) for statement in made.statements}
    proved |= {statement.id for statement in derive("attention").statements}
    assert set(licences) <= proved
    of_variant = {"window": "outside_window", "sinks": "sinks", "rotary": "rotary"}
    assert all(f"attention.{theorem}" in licences for option, theorem in of_variant.items() if variant.get(option))
    assert ("attention.vjp_fully_masked" in licences) == (variant.get("fully_masked") == "mean")


@pytest.mark.parametrize(
    ("shape", "axes"), [((3, 5, 40), (0,)), ((3, 5, 40), (0, -1)), ((2100, 3), (0,)), ((2, 1500), (1,)), ((0, 3), (0,)), ((2, 0), (0,))],
    ids=str,
)
def test_sums_keep_their_bound_in_every_order_of_threads(
    shape: tuple[int, ...], axes: tuple[int, ...], emulation: ModuleType, compiler: Any
) -> None:
    """Sums of whatever order: |error| ≤ (n − 1)·u/(1 − (n − 1)·u)·Σ|x| for n numbers; deep ones come in stretches."""
    source, array = cupy_gradient_source(gradient("attention"), "float32"), np.random.default_rng(0).standard_normal(shape)
    array = array.astype(np.float32)
    found = [emulation.namespace_of(source, emulation.stand_in(compiler, at))["_summed"](array, axes) for at in (0, 1, 2, 7)]
    assert len({part.tobytes() for part in found}) == 1, "the result depends on the order in which threads run"
    wide, count, unit = array.astype(np.longdouble), int(np.prod([shape[axis] for axis in axes])), 2.0**-24
    expected, size = np.sum(wide, axis=axes), np.sum(np.abs(wide), axis=axes)
    assert found[0].shape == expected.shape
    steps = max(count - 1, 0) * unit
    assert (np.abs(found[0] - expected) <= steps / (1 - steps) * size).all()
