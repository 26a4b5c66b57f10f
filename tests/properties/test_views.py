"""Views hold the same numbers in memory that is not contiguous."""

from __future__ import annotations

import numpy as np
import pytest

from kernelproof.properties.views import VIEWS, view_of


@pytest.mark.parametrize("kind", VIEWS)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (5,), (3, 4), (0, 4), (2, 3, 4)])
@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_equal_values_writable_own_memory(kind: str, shape: tuple[int, ...], dtype: str) -> None:
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    view = view_of(array, kind)
    assert np.array_equal(view, array)
    assert view.dtype == array.dtype
    assert view.flags.writeable
    assert not np.shares_memory(view, array)


@pytest.mark.parametrize("kind", [kind for kind in VIEWS if kind != "broadcast"])
def test_not_contiguous(kind: str) -> None:
    assert not view_of(np.ones((3, 4)), kind).flags.c_contiguous


def test_broadcast_has_stride_zero_where_slices_are_equal() -> None:
    same = np.tile(np.arange(4.0), (3, 1))
    assert view_of(same, "broadcast").strides[0] == 0
    different = np.arange(12.0).reshape(3, 4)
    assert view_of(different, "broadcast").strides[0] != 0


def test_nan_stands_around_an_offset_view() -> None:
    view = view_of(np.ones(4, dtype=np.float32), "offset")
    assert view.base is not None
    assert np.isnan(view.base).sum() == 3
