"""Arrays arrive on the other side bit for bit, in the same layout, in memory of their own."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator

import numpy as np
import pytest

from kernelproof.properties.exchange import SHARED_FROM, Arena, memory_of, pack, sent, unpack
from kernelproof.properties.views import VIEWS, view_of


@pytest.fixture
def arena() -> Iterator[Arena]:
    made = Arena.create()
    yield made
    made.close()


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int64, np.bool_, ">f4"])
@pytest.mark.parametrize("shape", [(), (0, 3), (5,), (2, 3), (3, 50, 300)])
def test_every_layout_arrives(arena: Arena, shape: tuple[int, ...], dtype: object) -> None:
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)  # type: ignore[call-overload]
    arrays = [values.copy(), np.array(values, order="F"), *(view_of(values, kind) for kind in VIEWS)]
    for array in arrays:
        arena.reset()
        packed = pickle.loads(pickle.dumps(pack(array, arena)))
        made = unpack(packed, arena)
        assert (made.dtype, made.shape, made.tobytes()) == (array.dtype, array.shape, array.tobytes())
        assert not np.shares_memory(made, array)
        assert made.flags.writeable
        if made.size:
            assert made.strides == array.strides
            assert made.flags.owndata == array.flags.owndata
            assert np.array_equal(memory_of(made), sent(packed, arena))


def test_what_lies_around_a_view_arrives_too(arena: Arena) -> None:
    view = view_of(np.ones((3, 4), np.float32), "offset")
    made = unpack(pack(view, arena), arena)
    assert np.isnan(np.lib.stride_tricks.as_strided(made, (5,), (4,))[4]), "a kernel that reads past its strides must find the hole"


def test_a_small_view_of_a_large_array_travels_alone(arena: Arena) -> None:
    packed = pack(np.zeros((1000, 100))[3], arena)
    assert packed.size == 800


def test_large_arrays_lie_in_memory_that_both_sides_see(arena: Arena) -> None:
    large, small = np.arange(SHARED_FROM, dtype=np.uint8), np.arange(SHARED_FROM - 1, dtype=np.uint8)
    other_side = Arena(os.dup(arena.descriptor))
    arrays = (large, small, large[::-1])
    packed = [pack(array, arena) for array in arrays]
    assert [one.data is None for one in packed] == [True, False, True]
    assert all(np.array_equal(unpack(one, other_side), array) for one, array in zip(packed, arrays, strict=True))
    # more than it has held so far
    more = np.arange(1 << 19, dtype=np.float64)
    assert np.array_equal(unpack(pack(more, arena), other_side), more)
    other_side.close()


def test_a_read_only_array_stays_so(arena: Arena) -> None:
    array = np.zeros(3)
    array.flags.writeable = False
    assert not unpack(pack(array, arena), arena).flags.writeable
