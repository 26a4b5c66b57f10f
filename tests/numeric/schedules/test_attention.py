"""Attention in tiles: every visible key once, the same with any blocks and threads, shift 0 only where it is safe, little memory."""

from __future__ import annotations

import math
import tracemalloc
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelproof.numeric import kernel as kernels
from kernelproof.numeric.kernel import Kernel

made = cache(kernels.generate)
RNG = np.random.default_rng(11)


def generate(phase: str, **variant: Any) -> Kernel:
    """A kernel with a module of its own, so that its constants can be set."""
    return replace(made(phase, **variant))


def arrays(*shapes: tuple[int, ...], dtype: str = "float32", size: float = 1.0) -> list[Any]:
    return [(RNG.standard_normal(shape) * size).astype(dtype) for shape in shapes]


def plain(q: Any, k: Any, v: Any, *, causal: bool = False, mask: Any = None, scale: Any = None, ahead: int = 0) -> Any:
    """In float64, with −∞ where a key is hidden."""
    q, k, v = (part.astype(np.float64) for part in (q, k, v))
    n, m = q.shape[-2], k.shape[-2]
    s = q @ np.swapaxes(k, -1, -2) * (1 / math.sqrt(max(q.shape[-1], 1)) if scale is None else scale)
    if mask is not None:
        s = np.where(mask, s, -np.inf) if mask.dtype == bool else s + mask
    if causal:
        s = np.where(np.tri(n, m, ahead, dtype=bool), s, -np.inf)
    top = np.max(s, axis=-1, keepdims=True, initial=-np.inf)
    w = np.exp(s - np.where(np.isneginf(top), 0, top))
    total = w.sum(axis=-1, keepdims=True)
    return w @ v / np.where(total == 0, 1, total)


def set_blocks(kernel: Kernel, heads: int, queries: int, keys: int) -> None:
    space = kernel.function.__globals__
    space["HEAD_BLOCK"], space["QUERY_BLOCK"], space["KEY_BLOCK"] = heads, queries, keys


@given(
    st.integers(0, 6), st.integers(1, 7), st.integers(0, 12), st.integers(1, 5), st.integers(-6, 8), st.integers(1, 9), st.booleans()
)
@settings(max_examples=400, deadline=None)
def test_tiles_show_every_visible_key_once(first: int, rows: int, m: int, width: int, ahead: int, behind: int, masked: bool) -> None:
    """Query i sees key j if i + ahead − behind < j ≤ i + ahead, and the mask of the call allows it; no tile is without a visible key."""
    stop = first + rows
    allow = RNG.random((1, stop, m)) < 0.5 if masked else None
    for window in (False, True):
        space = made("attention", **({"window": 2} if window else {})).function.__globals__
        near = np.tri(width, dtype=bool)
        given_ = (first, stop, m, width, ahead, *((behind,) if window else ()), near, allow)
        seen = np.zeros((rows, m), dtype=int)
        for some, keys, hidden in space["_tiles"](*given_):
            tile = np.ones((some.stop - some.start, keys.stop - keys.start), dtype=int)
            assert tile.size and tile.shape[1] <= width
            for part, visible in hidden[: len(hidden) - masked]:
                tile[part] *= visible
            assert tile.any(axis=0).all()
            for part, visible in hidden[len(hidden) - masked :]:
                tile[part] *= visible[0]
            seen[some, keys] += tile
        i, j = np.arange(first, stop)[:, None], np.arange(m)
        wanted = (j <= i + ahead) & (j > i + ahead - (behind if window else 100)) & (True if allow is None else allow[0, first:stop])
        assert (seen == wanted).all()


@pytest.mark.parametrize("blocks", [(0, 0, 0), (1, 7, 5), (3, 16, 32), (2, 64, 3)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_blocks_change_nothing(blocks: tuple[int, int, int], dtype: str) -> None:
    kernel = generate("attention", dtype=dtype)
    set_blocks(kernel, *blocks)
    for n, m in ((40, 40), (33, 50), (50, 33), (1, 70)):
        q, k, v = arrays((2, 3, n, 8), (2, 3, m, 8), (2, 3, m, 5), dtype=dtype)
        masks = [None, RNG.random((n, m)) < 0.5, RNG.random(m) < 0.5, arrays((3, 1, m), dtype=dtype, size=3.0)[0]]
        for causal, mask in product((False, True), masks):
            off = np.abs(kernel(q, k, v, causal=causal, mask=mask) - plain(q, k, v, causal=causal, mask=mask)).max()
            assert off < {"float32": 3e-6, "float64": 2e-14}[dtype]


def test_threads_change_no_bit() -> None:
    kernel = generate("attention")
    q, k, v = arrays((5, 300, 16), (5, 300, 16), (5, 300, 8))
    set_blocks(kernel, 1, 64, 64)
    found = []
    for threads in (1, 2, 3):
        kernel.function.__globals__["THREADS"] = threads
        found.append([kernel(q, k, v, causal=causal) for causal in (False, True)])
    assert all((one == other).all() for pair in found[1:] for one, other in zip(found[0], pair, strict=True))


# -- the shift -----------------------------------------------------------------------------------------------------------------


def counted(kernel: Kernel) -> list[str]:
    """What the kernel does from now on: each block by shift 0 ("direct"), and whether again by the running maximum ("online")."""
    space, found = kernel.function.__globals__, list[str]()
    for name in ("_direct", "_online"):
        def call(*arguments: Any, of: Any = space[name], label: str = name[1:]) -> Any:
            found.append(label)
            return of(*arguments)

        space[name] = call
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("size", "sizes_of_v", "ways"),
    [
        (1.0, 1.0, ["direct"]), (12.0, 1.0, ["direct", "online"]),
        # sums with such values would overflow with shift 0, or their products underflow
        (3.0, 1e37, ["direct", "online"]), (1.0, 1e-30, ["direct"]),
    ],
)
def test_shift_zero_is_left_where_it_is_not_safe(size: float, sizes_of_v: float, ways: list[str], dtype: str) -> None:
    kernel = generate("attention", dtype=dtype)
    done = counted(kernel)
    q, k = arrays((200, 64), (200, 64), dtype=dtype, size=size)
    (v,) = arrays((200, 3), dtype=dtype, size=sizes_of_v)
    found, expected = kernel(q, k, v), plain(q, k, v)
    assert np.isfinite(found).all() and np.abs(found - expected).max() <= 2e-5 * np.abs(v).max()
    assert set(done) <= set(ways) and done
    if dtype == "float32":
        assert set(done) == set(ways)
    reference, bound = kernel.error_bound(q, k, v)
    assert (np.abs(found - reference) <= bound).all()


def test_rows_whose_weights_are_small_keep_their_digits() -> None:
    """Every score near −50: with shift 0 weights are 1e-22, and their products with small values underflow."""
    kernel = generate("attention")
    done = counted(kernel)
    q, k = np.full((4, 4), 5.0, np.float32), np.full((6, 4), -5.0, np.float32)
    (v,) = arrays((6, 2), size=1e-20)
    found = kernel(q, k, v)
    assert set(done) == {"direct", "online"} and np.abs(found - plain(q, k, v)).max() < 1e-6 * np.abs(v).max()
    # still smaller ones are 0 with shift 0, and not to be taken for hidden keys; hidden keys are zeros without another pass
    done.clear()
    assert np.abs(kernel(3 * q, k, v) - plain(3 * q, k, v)).max() < 1e-6 * np.abs(v).max() and "online" in done
    done.clear()
    hidden = np.zeros((4, 6), dtype=bool)
    hidden[1:, 2] = True
    found = kernel(q / 5, k, v, mask=hidden)
    assert (found[0] == 0).all() and np.abs(found[1:] - v[2]).max() < 1e-6 * np.abs(v).max() and done == ["direct"]


def test_a_sink_may_be_left_out_and_may_be_large() -> None:
    kernel = generate("attention", sinks=True)
    q, k, v = arrays((2, 9, 4), (2, 9, 4), (2, 9, 3))
    none = kernel(q, k, v, np.full(2, -np.inf, np.float32), causal=True)
    assert np.abs(none - plain(q, k, v, causal=True)).max() < 1e-6
    for sink in (-200.0, 200.0, 88.0):
        reference, bound = kernel.error_bound(q, k, v, np.full(2, sink, np.float32))
        assert (np.abs(kernel(q, k, v, np.full(2, sink, np.float32)) - reference) <= bound).all()


def test_powers_of_two_and_exponentials_agree() -> None:
    kernel = generate("attention")
    space = kernel.function.__globals__
    q, k, v = arrays((3, 50, 16), (3, 50, 16), (3, 50, 4), size=2.0)
    expected = plain(q, k, v)
    for power, unit in ((np.exp, 1.0), (np.exp2, 1 / math.log(2))):
        space["POWER"], space["UNIT"] = power, unit
        assert np.abs(kernel(q, k, v) - expected).max() < 1e-5


@pytest.mark.parametrize(
    ("found", "system", "fast"),
    [(["AVX512_SKX"], "linux", True), (["X86_V3", "X86_V4"], "linux", True), (["X86_V4"], "windows", False), (["X86_V3"], "linux", False)],
)
def test_which_machines_take_powers_of_two(found: list[str], system: str, fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"SIMD Extensions": {"found": found}, "Machine Information": {"host": {"system": system}}}
    space = generate("attention").function.__globals__
    monkeypatch.setattr(space["np"], "show_config", lambda mode: told if mode == "dicts" else None)
    assert space["_exp2_is_fast"]() is fast
    told.clear()
    assert space["_exp2_is_fast"]() is False


# -- memory and shapes --------------------------------------------------------------------------------------------------------


def test_memory_grows_with_blocks_and_not_with_queries_times_keys() -> None:
    variants = {"": generate("attention"), "window": generate("attention", window=300), "alibi": generate("attention", alibi=True)}
    q, k, v = arrays((1, 8192, 8), (1, 8192, 8), (1, 8192, 8))
    for name, kernel in variants.items():
        kernel(q[:, :9], k[:, :9], v[:, :9])
        tracemalloc.start()
        kernel(q, k, v, causal=True)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 16 * 2**20 < q.shape[1] ** 2, name


def test_keys_of_a_group_are_not_copied() -> None:
    kernel = generate("attention", grouped_query=True)
    q, k, v = arrays((64, 4, 8), (2, 4000, 8), (2, 4000, 8))
    kernel(q, k, v)
    tracemalloc.start()
    found = kernel(q, k, v)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 * k.nbytes / 2
    assert np.abs(found - plain(q, np.repeat(k, 32, axis=0), np.repeat(v, 32, axis=0))).max() < 1e-5


def test_views_and_leading_axes_that_broadcast() -> None:
    kernel = generate("attention")
    q, k, v = arrays((6, 2, 20, 4)[::-1], (2, 30, 4), (30, 5))
    q = q.T[:, :, ::-1]
    expected = plain(q, k, v)
    assert kernel(q, k, v).shape == expected.shape == (6, 2, 20, 5)
    assert np.abs(kernel(q, k, v) - expected).max() < 1e-6
    empty = (((0, 4), (3, 4), (3, 2)), ((3, 4), (0, 4), (0, 2)), ((3, 0), (2, 0), (2, 2)), ((3, 4), (2, 4), (2, 0)), ((0, 3, 4),) * 3)
    for shapes in empty:
        parts = arrays(*shapes)
        assert kernel(*parts).shape == plain(*parts).shape and np.allclose(kernel(*parts), plain(*parts), atol=1e-6)


@pytest.mark.parametrize("phase", ["multi_head_attention", "encoder_block"])
def test_attention_inside_a_block_is_the_same_in_any_blocks(phase: str) -> None:
    kernel = generate(phase)
    (x,) = arrays((2, 37, 12))
    shapes = {"w1": (12, 9), "b1": (9,), "w2": (9, 12), "b2": (12,), "gain1": (12,), "bias1": (12,), "gain2": (12,), "bias2": (12,)}
    params = {name: arrays((12, 12), size=0.4)[0] for name in ("w_q", "w_k", "w_v", "w_o")}
    if phase == "encoder_block":
        given_: tuple[Any, ...] = (x, {**params, **{name: arrays(shape)[0] for name, shape in shapes.items()}})
    else:
        given_ = (x, *params.values())
    for options in ({}, {"causal": True}, {"mask": RNG.random((2, 1, 37)) < 0.6}, {"mask": arrays((37, 37), size=2.0)[0]}):
        reference, bound = kernel.error_bound(*given_, n_heads=3, **options)
        for blocks in ((0, 0, 0), (2, 8, 5), (1, 40, 7)):
            set_blocks(kernel, *blocks)
            assert (np.abs(kernel(*given_, n_heads=3, **options) - reference) <= bound).all()


def test_a_finite_mask_hides_nothing_though_float32_does_not_reach_so_far() -> None:
    q, k, v = arrays((3, 4), (5, 4), (5, 2))
    mask = np.zeros((3, 5))
    mask[1], mask[2] = np.finfo(float).min, -math.inf
    for kernel in (generate("attention"), generate("attention", fully_masked="mean"), generate("multi_head_attention")):
        if kernel.phase == "attention":
            found = kernel(q, k, v, mask=mask)
            np.testing.assert_allclose(found[1], v.mean(axis=0), rtol=1e-6)
        else:
            x, *squares = arrays((3, 4), *[(4, 4)] * 4)
            one = kernel(x, *squares, n_heads=1, mask=mask[:, :3])
            np.testing.assert_allclose(one[1], x.mean(axis=0) @ squares[2] @ squares[3], rtol=1e-4, atol=1e-5)
    assert (generate("attention")(q, k, v, mask=mask)[2] == 0).all()
