"""What a device is handed and what the check computes with are the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cuda_cases import small

from kernelproof.reports.speed.cuda.arrays import Drawn, stored, values_of


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_the_numbers_of_the_check_are_those_of_the_device(dtype: str) -> None:
    given = Drawn(np.array).inputs(small("attention", dtype))
    for name, array in given.device.named.items():
        host = given.host.named[name]
        assert array.shape == host.shape == (3, 16, 8) and host.dtype == np.float32
        assert np.array_equal(values_of(array, dtype), host)
        assert np.array_equal(stored(host, dtype), array), "stored anew, nothing is lost"
        assert 0.8 < host.std() < 1.2 and np.count_nonzero(host) == host.size


def test_bfloat16_is_rounded_as_ml_dtypes_does() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    scales = np.float32(2.0) ** np.arange(-60, 68, dtype=np.float32).repeat(32)
    values = np.random.default_rng(0).standard_normal(4096, dtype=np.float32) * scales
    values[:3] = (1 + 2.0**-8, 1 + 3 * 2.0**-8, -1 - 2.0**-8)  # half way between two of its numbers: to the even one
    assert np.array_equal(stored(values, "bfloat16"), values.astype(ml_dtypes.bfloat16).view(np.uint16))
    assert np.array_equal(values_of(stored(values, "bfloat16"), "bfloat16"), values.astype(ml_dtypes.bfloat16).astype(np.float32))


def test_arguments_differ_from_each_other_and_runs_do_not() -> None:
    first, second = (Drawn(np.array).inputs(small("attention.vjp", "float16")).host.named for _ in range(2))
    assert list(first) == ["q", "k", "v", "grad_out"]
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert len({first[name].tobytes() for name in first}) == 4
    other = Drawn(np.array, seed=6).inputs(small("attention", "float16")).host.named
    assert not np.array_equal(other["q"], first["q"])


def test_rows_of_a_size_and_format_share_what_was_drawn_once() -> None:
    uploaded: list[Any] = []
    drawn = Drawn(lambda array: uploaded.append(array) or array)
    one = drawn.inputs(small("attention", "float16"))
    two = drawn.inputs(small("attention.vjp", "float16", sizes={"heads": 6, "n": 8, "d": 8}))
    assert len(uploaded) == 4 and two.device.named["q"].shape == (6, 8, 8)
    assert np.array_equal(one.host.named["v"].ravel(), two.host.named["v"].ravel())
    drawn.inputs(small("attention", "bfloat16"))
    assert len(uploaded) == 7 and uploaded[-1].dtype == np.uint16
    drawn.inputs(small("layer_norm"))
    assert len(drawn._kept) == 3, "arrays of a row of another kind would only fill memory"


def test_a_table_of_positions_is_called_with_its_sizes() -> None:
    given = Drawn(np.array).inputs(small("positional"))
    assert given.device.arguments == given.host.arguments == (12, 8)
