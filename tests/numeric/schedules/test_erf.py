"""The approximation of erf that kernel files bring along: within the ulps that the bounds assume, for every kind of float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special

from kernelproof.numeric.schedules.erf import HELPER, IMPORT
from kernelproof.numeric.ulps import ANY


def made() -> Any:
    names: dict[str, Any] = {"np": np}
    exec(f"{IMPORT}\n{HELPER}", names)
    return names["_erf"]


def test_it_is_within_the_ulps_assumed() -> None:
    """Every 499th of the float32 from 10⁻³⁷ to 4.5, and all of 2¹⁶ in a row at the worst place."""
    low, high = (int(np.float32(end).view(np.uint32)) for end in (1e-37, 4.5))
    worst = int(np.float32(0.02832307).view(np.uint32))
    numbers = np.concatenate([np.arange(low, high, 499), np.arange(worst - 2**15, worst + 2**15)]).astype(np.uint32).view(np.float32)
    exact = scipy.special.erf(numbers.astype(np.float64))
    relative = np.abs(made()(numbers).astype(np.float64) - exact) / exact
    # the rule for erf in numeric/rounding.py
    assert 2.0 < relative.max() * 2**24 < 2 * ANY["erf"]


@pytest.mark.filterwarnings("ignore:overflow")
def test_ends_signs_and_what_is_no_number() -> None:
    x = np.float32([0, 1e-45, 1e-38, 3.9, 4.5, 30, 3e38, np.inf, np.nan])
    found = made()(x)
    assert np.array_equal(made()(-x), -found, equal_nan=True) and np.signbit(made()(np.float32([-0.0])))[0]
    assert np.allclose(found[:3], scipy.special.erf(x[:3].astype(float)), rtol=1e-6, atol=2e-45)
    assert (found[4:8] >= 1 - 2.0**-24).all() and (found[5:8] == 1).all() and np.isnan(found[8]) and (np.abs(found[:8]) <= 1).all()


@pytest.mark.parametrize("shape", [(0,), (1,), (5, 3), (3, 0), (0, 4), (2, 3, 4), (3, 131073)])
def test_parts_shapes_and_places(shape: tuple[int, ...]) -> None:
    x = np.linspace(-5, 5, int(np.prod(shape)), dtype=np.float32).reshape(shape)
    kept, into = x.copy(), np.empty_like(x)
    assert made()(x, out=into) is into and np.array_equal(x, kept)
    assert np.allclose(into, scipy.special.erf(x), atol=3e-7, rtol=0)
    assert np.array_equal(made()(x), into) and np.array_equal(made()(x, out=x), into)


def test_other_types_go_to_scipy() -> None:
    x = np.linspace(-3, 3, 7)
    assert np.array_equal(made()(x), scipy.special.erf(x)) and made()(x).dtype == np.float64
