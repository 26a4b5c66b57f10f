"""Calls in the contract's words as formal parameters: sizes, masks, default scale, shapes of results."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numeric_cases import ALL, Calls, kernel_of, name_of

from kernelproof.numeric.error_bounds import ErrorBound
from kernelproof.numeric.formal import formal, masks
from kernelproof.numeric.interpret import Approx
from kernelproof.numeric.reference import reference, stored
from kernelproof.numeric.rounding import FORMATS, Arithmetic, arithmetic_for
from kernelproof.symbolic.registry import derive


def test_without_a_mask_everything_is_seen() -> None:
    allow, bias = masks({}, 2, 3)
    assert allow.shape == (2, 3) and allow.all() and not bias.any()
    assert masks({"mask": None, "causal": False}, 2, 3)[0].all()


def test_causal_is_aligned_top_left() -> None:
    """The first query sees the first key only, also where there are more keys than queries, or fewer."""
    assert masks({"causal": True}, 2, 4)[0].astype(int).tolist() == [[1, 0, 0, 0], [1, 1, 0, 0]]
    assert masks({"causal": True}, 4, 2)[0].astype(int).tolist() == [[1, 0], [1, 1], [1, 1], [1, 1]]


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (1, 3), (2, 1), (5, 2, 3), (5, 1, 1, 3)])
def test_masks_of_every_shape(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    allowed = np.asarray(rng.random(shape) < 0.5)
    want = np.broadcast_to(allowed, np.broadcast_shapes(shape, (2, 3)))
    allow, bias = masks({"mask": allowed}, 2, 3)
    assert (np.broadcast_to(allow, want.shape) == want).all() and not bias.any()
    values = rng.standard_normal(shape)
    allow, bias = masks({"mask": np.where(allowed, values, -np.inf), "causal": True}, 2, 3)
    assert (np.broadcast_to(allow, want.shape) == want & np.tri(2, 3, dtype=bool)).all()
    assert np.allclose(np.broadcast_to(bias, want.shape), np.where(want, np.broadcast_to(values, want.shape), 0))


def test_the_scale_is_one_over_the_root_unless_given() -> None:
    def scale(d: int, **options: object) -> object:
        q, v = np.ones((2, d)), np.ones((2, 3))
        return formal("attention", {}, {"q": q, "k": q, "v": v}, options).inputs["scale"]

    assert scale(16) == 0.25 and scale(3) == 1 / math.sqrt(3) and scale(0) == 1.0
    assert scale(16, scale=None) == 0.25 and scale(16, scale=2.0) == 2.0 and scale(16, scale=0.0) == 0.0


@pytest.mark.parametrize(("phase", "variant"), ALL, ids=name_of)
def test_the_reference_has_the_shape_of_the_result(phase: str, variant: dict[str, object]) -> None:
    for seed in range(6):
        arguments, options = Calls(seed).of(phase, variant)
        value, bound = ErrorBound(phase, variant, "float32")(*arguments, **options)
        assert value.shape == bound.shape == kernel_of(phase, variant)(*arguments, **options).shape


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_the_reference_is_wider_than_the_target(dtype: str) -> None:
    found = reference("softmax", {}, {"x": np.ones((2, 3))}, {}, dtype)
    wider = np.longdouble if dtype == "float64" else np.float64
    assert found.value.dtype == found.error.dtype == np.dtype(wider)
    on = arithmetic_for(dtype, found.value.dtype)
    assert on.store is FORMATS[dtype] and on.compute is FORMATS["float64" if dtype == "float64" else "float32"]


def test_storing_rounds_once_and_overflows_where_the_format_ends() -> None:
    on, value = arithmetic_for("float16", np.dtype(np.float64)), np.array([1.0, 1e-7, 65504.0, 66000.0])
    found = stored(on, Approx(value, np.zeros(4)))
    assert found.error[0] == 2.0**-11 + 2.0**-25 and found.error[1] >= 2.0**-25
    assert np.isinf(found.error[3]) and found.value is value
    assert stored(on, Approx(value, np.zeros(4)), copied=True).error.max() == 0
    same = Arithmetic(FORMATS["float32"], FORMATS["float32"], 0.0)
    assert stored(same, Approx(value, np.zeros(4))).error.max() == 0


def test_bfloat16_ends_before_float32() -> None:
    """The largest bfloat16 is 3.39·10³⁸; a number between it and float32's 3.40·10³⁸ is stored as infinity."""
    assert FORMATS["bfloat16"].largest < 3.3962e38 < FORMATS["float32"].largest
    on = arithmetic_for("bfloat16", np.dtype(np.float64))
    assert np.isinf(stored(on, Approx(np.array([3.3962e38]), np.zeros(1))).error).all()


def test_errors_of_inputs_are_carried() -> None:
    x = np.array([[0.0, 1.0, 2.0]])
    plain = reference("softmax", {}, {"x": x}, {}, "float32")
    moved = reference("softmax", {}, {"x": x}, {}, "float32", {"x": np.full(x.shape, 1e-3)})
    assert (moved.error > plain.error + 1e-4).all()
    shifted = reference("softmax", {}, {"x": x + np.array([[1e-3, -1e-3, 1e-3]])}, {}, "float32")
    assert (np.abs(shifted.value - plain.value) <= moved.error).all()


def test_a_derivation_has_one_program_for_both_denominators() -> None:
    tables = [
        reference("positional", derive("positional", denominator=name).variant, {}, {"n_positions": 3, "d_model": 6}, "float32").value
        for name in ("paper", "half_minus_one")
    ]
    assert not np.allclose(*tables) and np.allclose(tables[0][:, :2], tables[1][:, :2])
