"""Generated NumPy kernels: within their derived bounds on every kind of input, without warnings, with clean hands."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from numeric_cases import ALL, DTYPES, MAGNITUDES, Calls, arrays_in, dtype_named, excess, kernel_of, name_of

from kernelproof.numeric.kernel import Kernel


def run(kernel: Kernel, arguments: tuple[Any, ...], options: dict[str, Any]) -> np.ndarray:
    """A call with every warning an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return kernel(*arguments, **options)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("phase", "variant"), ALL, ids=name_of)
def test_within_the_bound_in_the_right_type_and_without_side_effects(phase: str, variant: dict[str, object], dtype: str) -> None:
    kernel, kind, concluded, worst = kernel_of(phase, variant, dtype), dtype_named(dtype), 0, 0.0
    for seed in range(12):
        arguments, options = Calls(seed, dtype, MAGNITUDES[seed % len(MAGNITUDES)]).of(phase, variant)
        before = [array.tobytes() for array in arrays_in(arguments, options)]
        result = run(kernel, arguments, options)
        expected, bound = kernel.error_bound(*arguments, **options)
        assert result.dtype == kind
        assert result.shape == expected.shape
        ratio = excess(result, expected, bound)
        assert ratio <= 1, f"seed {seed}: {ratio}"
        worst = max(worst, ratio)
        concluded += int(np.isfinite(bound).sum())
        result[...] = 0
        assert [array.tobytes() for array in arrays_in(arguments, options)] == before
    assert concluded > 0
    # a bound far above every error would say nothing; a copied entry has neither
    copied = phase == "embedding" or (phase, variant) == ("activation", {"activation": "relu"})
    assert worst > 1e-3 or copied


@pytest.mark.parametrize(("phase", "variant"), ALL, ids=name_of)
def test_layouts_and_lists_give_the_same(phase: str, variant: dict[str, object]) -> None:
    """Fortran order, strides and reversed views are the same numbers; a list is a float64 array."""
    kernel = kernel_of(phase, variant)
    arguments, options = Calls(5, batch=1, n=4).of(phase, variant)
    plain = run(kernel, arguments, options)
    _, bound = kernel.error_bound(*arguments, **options)

    def changed(value: Any, change: Any) -> Any:
        if isinstance(value, dict):
            return {name: change(array) for name, array in value.items()}
        return change(value) if isinstance(value, np.ndarray) else value

    def strided(array: np.ndarray) -> np.ndarray:
        wide = np.zeros((*array.shape, 2), dtype=array.dtype)
        wide[..., 1] = array
        return wide[..., 1]

    for change in (np.asfortranarray, strided, lambda array: array[..., ::-1].copy()[..., ::-1]):
        made = [changed(value, change) for value in arguments]
        assert excess(run(kernel, made, {key: changed(value, change) for key, value in options.items()}), plain, 2 * bound) <= 1
    listed = [changed(value, lambda array: array.tolist()) for value in arguments]
    from_lists = run(kernel, listed, options)
    assert from_lists.dtype == (np.float32 if phase == "positional" else np.float64)
    assert excess(from_lists, plain, 2 * bound) <= 1


EMPTY = [
    *(("attention", {name: 0}) for name in ("n", "m", "d", "e")), ("softmax", {"n": 0}), ("layer_norm", {"d": 0}), ("rms_norm", {"d": 0}),
    ("rotary", {"n": 0}), ("rotary", {"h": 0}), ("positional", {"n": 0}), ("positional", {"d": 0}), ("embedding", {"n": 0}),
    ("embedding", {"d": 0}), ("activation", {"n": 0}), *(("feed_forward", {name: 0}) for name in ("n", "d", "h")),
    *(("multi_head_attention", {name: 0}) for name in ("n", "f")), *(("encoder_block", {name: 0}) for name in ("n", "f", "h")),
]


@pytest.mark.parametrize(("phase", "sizes"), EMPTY, ids=name_of)
def test_axes_of_length_zero(phase: str, sizes: dict[str, int]) -> None:
    """A sum over nothing is zero, a row with no key gives zeros."""
    kernel = kernel_of(phase)
    for seed in range(6):
        arguments, options = Calls(seed, mask=(0, 1, 3)[seed % 3], mask_shape=0, **sizes).of(phase, dict(kernel.variant))
        result = run(kernel, arguments, options)
        expected, bound = kernel.error_bound(*arguments, **options)
        assert result.dtype == np.float32
        assert excess(result, expected, bound) <= 1
        if phase == "attention" and "m" in sizes:
            assert not result.any()


@pytest.mark.parametrize("phase", ["softmax", "attention", "layer_norm", "rms_norm", "activation", "feed_forward", "rotary", "embedding"])
def test_an_empty_batch(phase: str) -> None:
    kernel = kernel_of(phase)
    arguments, options = Calls(1, batch=1, n=3, mask=0).of(phase, dict(kernel.variant))
    batched = arguments if phase == "attention" else arguments[:1]
    result = run(kernel, (*(array[:0] for array in batched), *arguments[len(batched) :]), options)
    assert result.shape[0] == 0 and result.ndim == arguments[0].ndim + (phase == "embedding")


def test_one_row_and_no_axis_at_all() -> None:
    x, one = np.float32([1.0, -2.0, 3.0]), np.ones(3, dtype=np.float32)
    assert kernel_of("softmax")(x).shape == (3,)
    assert kernel_of("layer_norm")(x, one, one).shape == (3,)
    assert kernel_of("rms_norm")(x, one).shape == (3,)
    feed = (np.ones((3, 2), dtype=np.float32), np.ones(2, dtype=np.float32), np.ones((2, 3), dtype=np.float32), one)
    assert kernel_of("feed_forward")(x, *feed).shape == (3,)
    scalar = kernel_of("activation")(np.float32(-1.5))
    assert scalar.shape == () and scalar.dtype == np.float32 and scalar == 0
    assert kernel_of("embedding")(np.int64(1), np.eye(3, dtype=np.float32)).tolist() == [0, 1, 0]


def test_the_input_of_relu_is_not_handed_back() -> None:
    x = np.ones((2, 3), dtype=np.float32)
    assert not np.shares_memory(kernel_of("activation")(x), x)
    table = np.ones((2, 3), dtype=np.float32)
    assert not np.shares_memory(kernel_of("embedding")(np.int64(0), table), table)


@pytest.mark.parametrize("size", [1e5, -1e5, 3e37])
def test_large_logits(size: float) -> None:
    rows = np.float32([[size, 0.0, -size], [size, size, size], [-size, -size, 0.0]])
    result = run(kernel_of("softmax"), (rows,), {})
    assert np.isfinite(result).all() and np.allclose(result.sum(-1), 1)
    q, k = np.float32([[size]]), np.float32([[1.0], [-1.0], [0.5]])
    result = run(kernel_of("attention"), (q, k, np.eye(3, dtype=np.float32)), {"scale": 1.0})
    assert result.tolist() == [[1.0, 0.0, 0.0]] if size > 0 else [[0.0, 1.0, 0.0]]


def test_silu_far_out_is_nearly_zero_and_known_to_be() -> None:
    """exp(−z) overflows where the result is nearly zero; the bound still says so."""
    kernel, x = kernel_of("activation", {"activation": "silu"}), np.float32([-89.0, -1e3, -1e30, 1e30])
    result = run(kernel, (x,), {})
    expected, bound = kernel.error_bound(x)
    assert (bound[:3] < 1e-30).all()
    assert excess(result, expected, bound) <= 1
    wrong = result.copy()
    wrong[0] = 1e-3
    assert excess(wrong, expected, bound) > 1


MASKED = [
    np.zeros((3, 4), dtype=bool), np.zeros(4, dtype=bool), np.full((3, 4), -np.inf, dtype=np.float32),
    np.full((1, 4), -np.inf),
]


@pytest.mark.parametrize("mask", MASKED, ids=range(len(MASKED)))
def test_a_row_that_may_attend_to_nothing_gives_zeros(mask: np.ndarray) -> None:
    arguments, _ = Calls(3, batch=0, n=3, m=4).of("attention", {})
    kernel, options = kernel_of("attention"), {"mask": mask, "causal": True}
    assert not run(kernel, arguments, options).any()
    if np.isneginf(mask).all() or not mask.any():
        value, bound = kernel.error_bound(*arguments, **options)
        assert not value.any() and not bound.any()


@pytest.mark.parametrize("phase", ["attention", "multi_head_attention", "encoder_block"])
@pytest.mark.parametrize("kind", [1, 3])
def test_a_broadcast_mask_is_the_mask_written_out(phase: str, kind: int) -> None:
    kernel = kernel_of(phase)
    arguments, options = Calls(7, batch=1, n=4, m=4, mask=0).of(phase, dict(kernel.variant))
    rng = np.random.default_rng(kind)
    for shape in ((), (4,), (4, 4), (1, 4), (4, 1), (1, 4, 4), (2, 4, 4), (2, 1, 4)):
        allowed = np.asarray(rng.random(shape) < 0.5)
        mask = allowed if kind == 1 else np.where(allowed, rng.standard_normal(shape), -np.inf)
        full = np.ascontiguousarray(np.broadcast_to(mask, (2, 4, 4)))
        short, long = (run(kernel, arguments, {**options, "mask": each}) for each in (mask, full))
        assert short.tobytes() == long.tobytes()


def test_a_mask_over_batch_and_heads_in_attention() -> None:
    rng = np.random.default_rng(0)
    q, k, v = (rng.standard_normal((2, 3, 4, 5)).astype(np.float32) for _ in "qkv")
    mask = rng.random((2, 1, 4, 4)) < 0.5
    result = run(kernel_of("attention"), (q, k, v), {"mask": mask})
    for b, h in np.ndindex(2, 3):
        alone = kernel_of("attention")(q[b, h], k[b, h], v[b, h], mask=mask[b, 0])
        assert np.allclose(result[b, h], alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("given", ["float64", "float16"])
@pytest.mark.parametrize("own", ["float32", "float64", "float16"])
def test_inputs_of_another_type_than_the_kernel(own: str, given: str) -> None:
    """The type of the inputs comes back; the bound of the kernel covers the rounding to it."""
    for phase in ("softmax", "layer_norm", "feed_forward"):
        kernel = kernel_of(phase, {}, own)
        arguments, options = Calls(2, given).of(phase, dict(kernel.variant))
        result = run(kernel, arguments, options)
        expected, bound = kernel.error_bound(*arguments, **options)
        assert result.dtype == np.dtype(given)
        assert excess(result, expected, bound) <= 1


def test_mixed_types_give_the_widest() -> None:
    x, gain, bias = np.ones((2, 3), dtype=np.float32), np.ones(3, dtype=np.float16), np.ones(3, dtype=np.float64)
    assert kernel_of("layer_norm")(x, gain, bias).dtype == np.float64
    assert kernel_of("layer_norm")(x, gain, gain).dtype == np.float32
