"""Rows in blocks: each row once, whatever the size of the blocks and the threads, and inputs kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kernelproof.numeric.kernel import Kernel, generate
from kernelproof.numeric.schedules.hidden import in_parts
from kernelproof.numeric.schedules.rows import ROWS

VARIANTS: dict[str, tuple[dict[str, object], ...]] = {
    "activation": tuple({"activation": name} for name in ("relu", "gelu", "gelu_tanh", "silu")),
    "feed_forward": ({"activation": "gelu"}, {"activation": "relu"}, {"activation": "silu", "gated": True}),
}
CASES = [(phase, variant) for phase in ROWS for variant in VARIANTS.get(phase, ({},))]


def arguments(phase: str, rows: int, width: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(rows)
    shapes: dict[str, tuple[tuple[int, ...], ...]] = {
        "layer_norm": ((width,), (width,)), "rms_norm": ((width,),), "feed_forward": ((width, 5), (5,), (5, width), (width,)),
    }
    return tuple(rng.standard_normal(shape).astype(np.float32) for shape in ((rows, width), *shapes.get(phase, ())))


def given(kernel: Kernel, rows: int = 37, width: int = 6) -> tuple[np.ndarray, ...]:
    found = arguments(kernel.phase, rows, width)
    return (*found[:3], found[1][::-1].copy(), *found[3:]) if kernel.variant.get("gated") else found


def space(kernel: Kernel, **constants: int) -> Any:
    names: dict[str, Any] = {"__name__": "rows"}
    exec(kernel.source, names)
    assert set(constants) <= set(names)
    names |= constants
    return names[kernel.phase]


@pytest.mark.parametrize(("phase", "variant"), CASES, ids=str)
def test_blocks_and_threads_change_nothing_but_rounding(phase: str, variant: dict[str, object]) -> None:
    kernel = generate(phase, **variant)
    inputs = given(kernel)
    kept = [array.copy() for array in inputs]
    whole = kernel(*inputs)
    expected, bound = kernel.error_bound(*inputs)
    for size in (1, 5, 36, 37, 100):
        results = [space(kernel, ROW_BLOCK=size, THREADS=threads)(*inputs) for threads in (1, 3)]
        assert np.array_equal(*results)  # bit for bit: a block does not know how many threads there are
        assert (np.abs(results[0].astype(np.float64) - expected) <= bound).all() and results[0].shape == whole.shape
    assert all(np.array_equal(array, before) for array, before in zip(inputs, kept, strict=True))


@pytest.mark.parametrize(("phase", "variant"), CASES, ids=str)
def test_leading_axes_views_and_more_blocks_than_one(phase: str, variant: dict[str, object]) -> None:
    kernel = generate(phase, **variant)
    x, *rest = given(kernel, rows=36)
    small = space(kernel, CACHE_BYTES=128) if "CACHE_BYTES" in kernel.source else space(kernel, ROW_BLOCK=4)
    flat = small(x, *rest)
    assert np.allclose(small(x.reshape(3, 4, 3, 6), *rest), flat.reshape(3, 4, 3, 6), rtol=1e-5, atol=1e-6)
    turned = np.ascontiguousarray(x.T).T
    assert np.allclose(small(turned, *rest), flat, rtol=1e-5, atol=1e-6) and np.array_equal(turned, x)
    assert np.allclose(small(x[::-2], *rest), flat[::-2], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("variant", [*VARIANTS["feed_forward"], {"activation": "gelu", "gated": True}], ids=str)
def test_parts_of_hidden_entries_are_within_the_bound(variant: dict[str, object]) -> None:
    kernel = generate("feed_forward", **variant)
    inputs = given(kernel)
    expected, bound = kernel.error_bound(*inputs)
    for size in (1, 4, 10, 37, 50):
        found = space(kernel, HIDDEN_BLOCK=size, ROW_BLOCK=10)(*inputs)
        assert (np.abs(found.astype(np.float64) - expected) <= bound).all() and found.shape == expected.shape


@pytest.mark.parametrize("lines", [["product1 = np.matmul(a, b)", "value1 = 2 * product1", "product2 = np.matmul(value1, c)"]])
def test_what_a_part_makes_is_read_nowhere_else(lines: list[str]) -> None:
    with pytest.raises(AssertionError):
        list(in_parts(lines))


def test_one_block_makes_no_threads() -> None:
    names: dict[str, Any] = {"__name__": "rows"}
    exec(generate("layer_norm").source, names)
    names["_shared"] = {}
    names["layer_norm"](*arguments("layer_norm", 100, 64))
    assert not names["_shared"]


def test_feed_forward_names_the_theorem_of_its_blocks() -> None:
    assert "feed_forward.position_wise" in generate("feed_forward", activation="relu").licences
    assert "feed_forward.position_wise" in generate("feed_forward", activation="silu", gated=True).licences
    assert not generate("activation").licences
