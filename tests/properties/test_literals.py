"""Source text of arrays gives the same bits."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
import pytest

from kernelproof.properties.literals import MOST_LITERALS, literal, packed, wrapped

SPACE: dict[str, Any] = {"np": np, "inf": np.inf, "nan": np.nan, "zlib": zlib, "base64": base64}
ARRAYS = {
    "normal": np.random.default_rng(0).standard_normal((3, 4)),
    "zeros": np.array([0.0, -0.0]),
    "extremes": np.array([np.inf, -np.inf, 1e-40, 3e38]),
    "scalar": np.array(0.1),
    "empty": np.zeros((0, 5)),
    "large": np.random.default_rng(0).standard_normal((20, 20)),
    "stepped": np.arange(10.0)[::2],
}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32", "bool"])
@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("write", [literal, packed])
def test_bits_come_back(write: Any, name: str, dtype: str) -> None:
    with np.errstate(all="ignore"):
        array = ARRAYS[name].astype(dtype)
    made = eval(wrapped(write(array)), SPACE)
    assert made.dtype == array.dtype
    assert made.shape == array.shape
    assert made.tobytes() == array.tobytes()


def test_nan_comes_back() -> None:
    assert np.isnan(eval(literal(np.array([np.nan], dtype=np.float32)), SPACE)).all()


def test_short_text_for_short_numbers() -> None:
    assert literal(np.array([0.1, 2.0], dtype=np.float32)) == "np.array([0.1, 2.0], dtype=np.float32)"
    assert "b64decode" in literal(np.zeros(MOST_LITERALS + 1))
