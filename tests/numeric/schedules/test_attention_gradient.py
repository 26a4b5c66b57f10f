"""The gradient of attention in tiles: right with any blocks, the same with any threads, kept or computed again, and with little memory."""

from __future__ import annotations

import math
import tracemalloc
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest

from kernelproof.numeric import kernel as kernels
from kernelproof.numeric.gradient_forms import gradient_program
from kernelproof.numeric.gradient_signature import gradient_signature
from kernelproof.numeric.kernel import Kernel
from kernelproof.numeric.schedules.attention_gradient import attention_gradient
from kernelproof.symbolic.registry import gradient

made = cache(kernels.generate)
RNG = np.random.default_rng(7)
BLOCKS = ("HEAD_BLOCK", "QUERY_BLOCK", "KEY_BLOCK", "KEPT_TILES")


def generate(**variant: Any) -> Kernel:
    """A kernel with a module of its own, so that its constants can be set."""
    return replace(made("attention", vjp=True, **variant))


def set_blocks(kernel: Kernel, *sizes: int) -> None:
    kernel.function.__globals__.update(zip(BLOCKS, sizes, strict=True))


def arrays(lead: tuple[int, ...], n: int, m: int, d: int, e: int, dtype: str = "float32") -> list[Any]:
    shapes = (*lead, n, d), (*lead, m, d), (*lead, m, e), (*lead, n, e)
    return [RNG.standard_normal(shape).astype(dtype) for shape in shapes]


def plain(q: Any, k: Any, v: Any, g: Any, allow: Any = True, bias: Any = 0, scale: float | None = None) -> list[Any]:
    """Whole arrays in float64, −∞ where a key is hidden."""
    q, k, v, g = (part.astype(np.float64) for part in (q, k, v, g))
    scale = (1 / math.sqrt(q.shape[-1]) if q.shape[-1] else 1) if scale is None else scale
    s = np.where(allow, scale * q @ np.swapaxes(k, -1, -2) + bias, -np.inf)
    top = np.max(s, axis=-1, keepdims=True, initial=-np.inf)
    p = np.exp(s - np.where(np.isneginf(top), 0, top))
    total = p.sum(axis=-1, keepdims=True)
    p /= np.where(total == 0, 1, total)
    slopes = g @ np.swapaxes(v, -1, -2)
    ds = scale * p * (slopes - (p * slopes).sum(axis=-1, keepdims=True))
    return [ds @ k, np.swapaxes(ds, -1, -2) @ q, np.swapaxes(p, -1, -2) @ g]


def agree(found: Any, wanted: list[Any], rough: float = 3e-5) -> None:
    for one, other in zip(found, wanted, strict=True):
        assert one.shape == other.shape
        if one.size:
            np.testing.assert_allclose(one, other, rtol=0, atol=rough * (1 + np.abs(other).max()))


@pytest.mark.parametrize("sizes", [(0, 0, 0, 0), (2, 3, 2, 2), (1, 2, 3, 99)])
def test_the_gradients_in_tiles_are_those_of_whole_arrays(sizes: tuple[int, ...]) -> None:
    kernel = generate()
    set_blocks(kernel, *sizes)
    for lead, (n, m), (d, e) in product(((), (3,), (2, 5)), ((7, 5), (4, 9), (1, 1), (0, 3), (3, 0)), ((2, 3), (0, 1), (4, 0))):
        given = arrays(lead, n, m, d, e)
        seen, added = RNG.random((n, m)) < 0.6, RNG.standard_normal((n, m)).astype("float32")
        lower = np.tri(n, m, dtype=bool)
        agree(kernel(*given), plain(*given))
        agree(kernel(*given, causal=True, mask=seen), plain(*given, allow=seen & lower))
        agree(kernel(*given, mask=added, scale=0.3), plain(*given, bias=added, scale=0.3))


def test_large_scores_are_shifted_by_the_largest_one() -> None:
    kernel = generate()
    q, *rest = arrays((2,), 9, 11, 4, 4)
    for size in (40, 400, -400):
        agree(kernel(size * q, *rest), plain(size * q, *rest), 1e-3)
    k = rest[0] - 300 * q[:, :1]  # one row of scores far below 0: its sum would be 0 with shift 0
    agree(kernel(q, k, *rest[1:]), plain(q, k, *rest[1:]), 1e-3)


def within(kernel: Kernel, *given: Any, **options: Any) -> None:
    expected, bounds = kernel.error_bound(*given, **options)
    for one, wanted, bound in zip(kernel(*given, **options), expected, bounds, strict=True):
        assert (np.abs(one.astype(wanted.dtype) - wanted) <= bound).all()


def test_small_gradients_and_unusual_sizes_stay_within_the_bound() -> None:
    """Sums of weights near 2^60 would take a gradient of 10^-28 below the normal numbers."""
    q = np.full((8, 4), 4.4, dtype=np.float32)
    for size in (1e-10, 1e-20, 1e-25, 1e-28, 1e-33):
        grad = np.full((8, 4), size, dtype=np.float32)
        within(generate(), q, q, q, grad)
        np.testing.assert_allclose(generate()(q, q, q, grad)[2], grad, rtol=1e-4)
    small, large = np.full((8, 4), 4.4e-30, dtype=np.float32), np.full((8, 4), 4.4e30, dtype=np.float32)
    large[0, 0] *= 1.01
    within(generate(), small, large, q, q)
    within(generate(), large, small, q, q)
    for number in range(4):
        given = arrays((2,), 40, 50, 4, 4)
        given[number] = (given[number] * 1e9).astype(np.float32)
        within(generate(), *given, scale=1e-12)


def test_a_row_that_sees_no_key_has_no_gradient() -> None:
    kernel = generate()
    q, k, v, g = arrays((2,), 6, 4, 3, 2)
    seen = np.ones((6, 1), dtype=bool)
    seen[2] = False
    d_q, d_k, d_v = kernel(q, k, v, g, mask=seen)
    assert not d_q[:, 2].any() and d_q[:, 1].any()
    kept = [0, 1, 3, 4, 5]
    agree((d_k, d_v), plain(q[:, kept], k, v, g[:, kept])[1:])


def test_the_bits_do_not_depend_on_threads_nor_on_what_is_kept() -> None:
    kernel = generate()
    for lead in ((), (4,)):
        given, found = arrays(lead, 50, 45, 8, 8), []
        for threads, kept in product((1, 2, 3), (1, 99)):
            set_blocks(kernel, 0, 8, 8, kept)
            kernel.function.__globals__["THREADS"] = threads
            found.append(kernel(*given, causal=True))
        for other in found[1:]:
            for one, two in zip(found[0], other, strict=True):
                np.testing.assert_array_equal(one, two)


def test_queries_that_share_keys_add_up_their_gradients() -> None:
    kernel = generate(grouped_query=True)
    q, g = (RNG.standard_normal((2, 6, 5, 3)).astype("float32") for _ in range(2))
    k, v = (RNG.standard_normal((2, 2, 7, 3)).astype("float32") for _ in range(2))
    for sizes in ((0, 0, 0, 0), (1, 2, 3, 2)):
        set_blocks(kernel, *sizes)
        d_q, d_k, d_v = plain(q, np.repeat(k, 3, axis=1), np.repeat(v, 3, axis=1), g)
        agree(kernel(q, k, v, g), [d_q, *(part.reshape((2, 2, 3, 7, 3)).sum(axis=2) for part in (d_k, d_v))])


@pytest.mark.parametrize("variant", [{"window": 2}, {"window": 30}, {"causal_alignment": "bottom_right"}])
def test_windows_and_alignment_hide_keys(variant: dict[str, Any]) -> None:
    kernel = generate(**variant)
    for sizes, (n, m) in product(((0, 0, 0, 0), (2, 3, 2, 2)), ((9, 9), (5, 8), (8, 5))):
        set_blocks(kernel, *sizes)
        given, ahead = arrays((3,), n, m, 4, 2), m - n if "causal_alignment" in variant else 0
        near = np.tri(n, m, ahead, dtype=bool)
        allow = near & ~np.tri(n, m, -variant["window"], dtype=bool) if "window" in variant else near
        agree(kernel(*given, causal=True), plain(*given, allow=allow))
        agree(kernel(*given), plain(*given, allow=allow if "window" in variant else True))


def test_inputs_that_were_broadcast_or_lie_across_get_gradients_of_their_shape() -> None:
    kernel = generate()
    q, k, v, g = arrays((3,), 6, 5, 4, 2)
    wide = plain(q, k, np.broadcast_to(v[0], v.shape), g)
    agree(kernel(np.asfortranarray(q), k[:, ::-1][:, ::-1], v[0], np.asfortranarray(g)), [*wide[:2], wide[2].sum(axis=0)])


def test_no_array_of_queries_times_keys_is_made() -> None:
    kernel = generate()
    given = arrays((), 3000, 3000, 4, 4)
    set_blocks(kernel, 0, 64, 64, 1)
    kernel.function.__globals__["THREADS"] = 1
    kernel(*(part[:9] for part in given))
    tracemalloc.start()
    try:
        kernel(*given)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3000 * 3000 * 4 / 10


def test_an_option_that_the_schedule_does_not_know_is_printed_whole() -> None:
    found, made, given = gradient("attention"), gradient_program("attention", {}), gradient_signature("attention", {})
    assert attention_gradient(found, made, given) is not None
    assert attention_gradient(replace(found, variant={**found.variant, "unheard_of": True}), made, given) is None
