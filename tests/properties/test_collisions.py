"""Repeated rows against NumPy's own unique rows, also with digests that are nearly always equal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelproof.properties.collisions import digests, first_repeat, plain, repeats

Digest = Callable[[Any], Any]


def blind(rows: Any) -> Any:
    return np.zeros(len(rows), dtype=np.uint64)


def narrow(rows: Any) -> Any:
    """Two values: most rows share a digest with other rows."""
    return digests(rows) & np.uint64(1)


def expected(table: Any) -> tuple[int, int] | None:
    """The least q whose row stands before, with the least such p, by np.unique."""
    _, first, inverse = np.unique(table, axis=0, return_index=True, return_inverse=True)
    earliest = first[inverse.reshape(-1)]
    later = np.flatnonzero(earliest < np.arange(len(table)))
    return (int(earliest[later[0]]), int(later[0])) if len(later) else None


@pytest.mark.parametrize("digest", [digests, narrow, blind])
@given(
    rows=st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=12),
    dtype=st.sampled_from(["float16", "float32", "float64"]),
)
def test_the_first_repeat_is_that_of_unique_rows(digest: Digest, rows: list[tuple[int, ...]], dtype: str) -> None:
    table = np.array(rows, dtype=dtype)
    assert first_repeat(table, digest) == expected(table)


def test_of_many_rows_the_digest_finds_those_that_repeat() -> None:
    stream = np.random.default_rng(0)
    table = stream.integers(0, 40, (5000, 3)).astype(np.float32)
    found = repeats(digests(plain(table)))
    _, first, inverse = np.unique(table, axis=0, return_index=True, return_inverse=True)
    earliest = first[inverse.reshape(-1)]
    later = np.flatnonzero(earliest < np.arange(len(table)))
    assert len(later) > 100
    assert np.array_equal(found.later, later)
    assert np.array_equal(found.earlier, earliest[later])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_zeros_of_both_signs_are_equal(dtype: str) -> None:
    table = np.array([[0.0, 1.0], [-0.0, 1.0], [-1.0, 1.0]], dtype=dtype)
    assert first_repeat(table) == (0, 1)
    # and the table itself is left as it was
    assert np.signbit(table[1, 0])
    assert np.array_equal(plain(table), table)


def test_equal_nans_are_equal() -> None:
    assert first_repeat(np.array([[np.nan, 1.0], [2.0, 1.0], [np.nan, 1.0]])) == (0, 2)
    assert first_repeat(np.array([[1.0, 0.0], [0.0, 1.0]])) is None


def test_rows_that_are_not_contiguous_and_rows_without_columns() -> None:
    table = np.arange(24.0).reshape(4, 6)
    table[3] = table[1]
    assert first_repeat(table[:, ::2]) == (1, 3)
    assert first_repeat(np.asfortranarray(table)) == (1, 3)
    assert first_repeat(np.empty((3, 0))) == (0, 1)
    assert first_repeat(np.empty((0, 3))) is None


def test_a_difference_in_the_last_bit_is_seen() -> None:
    table = np.ones((2, 512), dtype=np.float32)
    table[1, 511] = np.nextafter(np.float32(1), np.float32(2))
    assert first_repeat(table) is None
