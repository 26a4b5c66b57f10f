"""Masks mask: both values in every row, an empty row where the kind says so, every shape that broadcasts."""

from __future__ import annotations

import numpy as np
import pytest

from kernelproof.properties.masks import MASK_KINDS, MASK_SHAPES, make_mask, mask_shape

SEEDS = range(20)


@pytest.mark.parametrize("kind", ["bool", "float_inf", "float_mixed"])
def test_both_values_in_every_row(kind: str) -> None:
    for seed in SEEDS:
        for shape in [(2,), (3, 2), (2, 3, 5)]:
            mask = make_mask(kind, 1.0, shape, np.float32, seed)
            allowed = mask if mask.dtype == bool else ~np.isneginf(mask)
            assert allowed.any(-1).all()
            assert (~allowed).any(-1).all()


@pytest.mark.parametrize("kind", ["bool_row", "float_row"])
def test_exactly_one_row_allows_nothing(kind: str) -> None:
    for seed in SEEDS:
        mask = make_mask(kind, 1.0, (4, 5), np.float32, seed)
        allowed = mask if mask.dtype == bool else ~np.isneginf(mask)
        assert np.count_nonzero(~allowed.any(-1)) == 1


def test_one_key_is_allowed() -> None:
    assert make_mask("bool", 1.0, (3, 1), np.float32, 0).all()


def test_biases_are_finite_and_as_large_as_asked() -> None:
    mask = make_mask("float_bias", 1e3, (8, 8), np.float16, 0)
    assert mask.dtype == np.float16
    assert np.isfinite(mask).all()
    assert np.abs(mask).max() > 500


@pytest.mark.parametrize("kind", MASK_KINDS)
def test_empty_axes_and_repetition(kind: str) -> None:
    for shape in [(0, 3), (3, 0), (0, 0), (4, 4)]:
        mask = make_mask(kind, 1.0, shape, np.float32, 3)
        assert mask.shape == shape
        assert mask.tobytes() == make_mask(kind, 1.0, shape, np.float32, 3).tobytes()


@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_every_shape_broadcasts(batch: tuple[int, ...]) -> None:
    for shape in MASK_SHAPES:
        made = mask_shape(shape, batch, 4, 5)
        assert np.broadcast_shapes(made, (*batch, 4, 5)) == (*batch, 4, 5)
    assert mask_shape("m", batch, 4, 5) == (5,)
    assert mask_shape("full", batch, 4, 5) == (*batch, 4, 5)
