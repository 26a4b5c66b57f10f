"""Styles make what their names say, always the same, always finite."""

from __future__ import annotations

import numpy as np
import pytest

from kernelproof.properties.values import EXACT_STYLES, ID_STYLES, STYLES, make_floats, make_ids

SHAPES = [(), (1,), (0,), (5,), (4, 6), (0, 3), (3, 0), (2, 3, 4)]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("style", STYLES)
def test_finite_of_the_right_shape_and_repeatable(style: str, dtype: str) -> None:
    for shape in SHAPES:
        for magnitude in (1.0, 3e4):
            made = make_floats(style, magnitude, shape, dtype, 7, "x")
            assert made.shape == shape
            assert made.dtype == dtype
            assert np.isfinite(made).all()
            assert made.flags.c_contiguous
            assert made.flags.writeable
            assert made.tobytes() == make_floats(style, magnitude, shape, dtype, 7, "x").tobytes()


def test_streams_differ_by_seed_and_name() -> None:
    one = make_floats("normal", 1.0, (8,), "float64", 7, "x")
    assert not np.array_equal(one, make_floats("normal", 1.0, (8,), "float64", 8, "x"))
    assert not np.array_equal(one, make_floats("normal", 1.0, (8,), "float64", 7, "y"))


def made(style: str, shape: tuple[int, ...] = (6, 8), magnitude: float = 1.0) -> np.ndarray:
    return make_floats(style, magnitude, shape, "float32", 3, "x")


def test_what_the_styles_mean() -> None:
    assert len(np.unique(made("constant"))) == 1
    assert (np.count_nonzero(made("one_hot"), axis=-1) == 1).all()
    assert (made("zeros") == 0).all()
    assert set(np.signbit(made("zeros")).reshape(-1)) == {True, False}
    assert (made("negative") < 0).all()
    assert (made("repeated") == made("repeated")[:1]).all()
    assert not np.array_equal(made("repeated"), np.full((6, 8), made("repeated")[0, 0]))
    assert (np.abs(made("spike")).max(-1) > 50).all()
    assert np.abs(made("offset")).min() > 50
    assert np.abs(made("subnormal")).max() < np.finfo(np.float32).tiny
    assert (made("integers") == np.round(made("integers"))).all()
    slope = np.polyfit(np.arange(8), made("ramp").T, 1)[0]
    assert (slope > 1).all() or (slope < -1).all()
    assert np.abs(made("large", magnitude=3e4)).max() > 3e4


def test_exact_styles() -> None:
    assert set(EXACT_STYLES) == {"ones", "zero", "identity", "same_slices", "positive", "binades"}
    assert (made("ones") == 1).all()
    assert (made("zero") == 0).all()
    assert (made("identity", (2, 4, 4)) == np.eye(4)).all()
    assert (made("positive") > 0).all()
    assert (made("same_slices") == made("same_slices")[0]).all()
    assert len(np.unique(made("same_slices")[0])) > 1


def test_unknown_style_is_our_own_fault() -> None:
    with pytest.raises(ValueError, match="fancy"):
        made("fancy")


@pytest.mark.parametrize("style", ID_STYLES)
def test_ids_are_in_range(style: str) -> None:
    for limit in (1, 2, 50):
        ids = make_ids(style, limit, (30,), "int32", 5, "ids")
        assert ids.dtype == np.int32
        assert ids.min() >= 0
        assert ids.max() < limit
    assert set(make_ids("ids_ends", 50, (30,), "int64", 5, "ids")) == {0, 49}
    assert len(set(make_ids("ids_repeated", 50, (30,), "int64", 5, "ids"))) <= 2
    assert len(set(make_ids("ids", 50, (30,), "int64", 5, "ids"))) > 5
