"""The pass over offsets against brute force in many digits, rows by rotation, and ceilings against the derived bound."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest

from kernelproof.numeric.reference import reference
from kernelproof.numeric.separation import TURNED_ERROR, Frequencies, Turned, ceilings, entries_at, nearest, split_frequencies

PAPER, OTHER = {"denominator": "paper"}, {"denominator": "half_minus_one"}
WIDTHS = [2, 3, 4, 5, 8, 17, 64]
DIGITS = 40


def exact_omega(variant: dict[str, str], width: int, base: float) -> list[Any]:
    """base^(−i/steps), from the words of the contract."""
    steps = mpmath.mpf(width) / 2 if variant == PAPER else mpmath.mpf(max(width // 2 - 1, 1))
    return [mpmath.mpf(base) ** (-i / steps) for i in range((width + 1) // 2)]


def brute_force(variant: dict[str, str], width: int, base: float, count: int) -> tuple[Any, int]:
    """The least √(Σ of squared differences of rows 0 and k) over the paired columns, and its k."""
    omega = exact_omega(variant, width, base)[: width // 2]
    found = []
    for k in range(1, count):
        square = sum(mpmath.sin(k * w) ** 2 + (mpmath.cos(k * w) - 1) ** 2 for w in omega)
        found.append((mpmath.sqrt(square), k))
    return min(found)


@pytest.mark.parametrize("variant", [PAPER, OTHER], ids=str)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("base", "count"), [(10000.0, 800), (1.0, 400), (3.7, 300), (0.5, 100), (10000.0, 2)])
def test_the_minimum_is_that_of_brute_force(variant: dict[str, str], width: int, base: float, count: int) -> None:
    found = nearest(split_frequencies(variant, width, base), count, width // 2, block=37)
    with mpmath.workdps(DIGITS):
        distance, offset = brute_force(variant, width, base, count)
        assert found.offset == offset
        assert abs(distance - found.distance) <= found.error
    # one unit in the last place of the distance, and what a sine is off by
    assert found.error <= 4e-16 * found.distance + 1e-17


@pytest.mark.parametrize("layout", ["interleaved", "halves"])
@pytest.mark.parametrize("width", [2, 6, 7, 32])
def test_the_offsets_stand_for_all_pairs(layout: str, width: int) -> None:
    rows = reference("positional", {"layout": layout}, {}, {"n_positions": 120, "d_model": width, "start": 5}, "float32").value
    if width % 2:
        rows = np.delete(rows, width - 1 if layout == "interleaved" else width // 2, axis=1)
    every = np.linalg.norm(rows[:, None] - rows[None, :], axis=-1)
    every[np.diag_indices(len(rows))] = np.inf
    found = nearest(split_frequencies(PAPER, width, 10000.0), 120, width // 2, block=11)
    p, q = np.unravel_index(int(every.argmin()), every.shape)
    assert abs(int(p) - int(q)) == found.offset
    assert found.distance == pytest.approx(every.min(), rel=1e-11)


def test_a_near_collision_of_a_million_positions_is_the_convergent_of_pi() -> None:
    """312689/99532 is a convergent of π with an even denominator: 312689 is nearly 49766 turns."""
    found = nearest(split_frequencies(PAPER, 2, 10000.0), 1_000_000, 1, block=1000)
    with mpmath.workdps(DIGITS):
        assert abs(abs(312689 - 99532 * mpmath.pi) - found.distance) < 1e-15
    assert found.offset == 312689


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="long double is no wider than double here")
def test_a_tie_in_float64_is_decided_by_the_exact_form() -> None:
    """ω a little above π/2: offsets 1 and 3 are √2 away to 16 digits, and 3 is nearer."""
    with mpmath.workdps(DIGITS):
        high = float(mpmath.floor(mpmath.pi / 2 * 2**30) / 2**30)
        low = np.longdouble(float(mpmath.pi / 2 + mpmath.mpf(5e-18) - high))
    found = nearest(Frequencies(np.array([high], dtype=np.longdouble), np.array([low])), 4, 1, block=37)
    assert found.offset == 3
    assert found.distance == pytest.approx(math.sqrt(2), abs=1e-15)


def test_one_position_is_alone_and_no_pair_tells_nothing() -> None:
    split = split_frequencies(PAPER, 1, 10000.0)
    assert nearest(split, 1, 0, 8).distance == math.inf
    assert nearest(split, 5, 0, 8).distance == 0.0


@pytest.mark.parametrize("base", [10000.0, 0.01])
@pytest.mark.parametrize("start", [0, 12345, 2**31 - 40])
def test_rows_by_rotation_are_exact_to_their_stated_error(base: float, start: int) -> None:
    turned = Turned(split_frequencies(PAPER, 7, base), 30, start, 8)
    rows = [turned.rows(number) for number in range(turned.blocks)]
    assert [len(sines) for sines, _ in rows] == [8, 8, 8, 6]
    sines, cosines = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    with mpmath.workdps(DIGITS):
        for p in range(30):
            for i, omega in enumerate(exact_omega(PAPER, 7, base)):
                assert abs(sines[p, i] - mpmath.sin((start + p) * omega)) <= TURNED_ERROR
                assert abs(cosines[p, i] - mpmath.cos((start + p) * omega)) <= TURNED_ERROR


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("layout", ["interleaved", "halves"])
def test_entries_are_those_of_the_reference(dtype: str, layout: str) -> None:
    variant = {"layout": layout, "denominator": "half_minus_one"}
    places = np.array([0, 3, 500, 70_000, 2**24 + 1])
    found = entries_at(variant, 9, 500.0, places, dtype)
    for row, place in enumerate(places.tolist()):
        whole = reference("positional", variant, {}, {"n_positions": 1, "d_model": 9, "base": 500.0, "start": place}, dtype)
        assert np.array_equal(found.value[row], whole.value[0])
        # a start with more digits than the format is a scalar there, a position here
        assert (found.error[row] <= whole.error[0]).all()
        assert place > 2**24 or np.array_equal(found.error[row], whole.error[0])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_a_ceiling_holds_at_every_position_up_to_its_own(dtype: str) -> None:
    ends = np.array([0, 1, 63, 1000, 40_000])
    found = ceilings(PAPER, 6, 10000.0, ends, dtype)
    places = np.unique(np.linspace(0, 40_000, 3000).astype(int))
    bound = entries_at(PAPER, 6, 10000.0, places, dtype).error
    for row, end in enumerate(ends.tolist()):
        assert (bound[places <= end] <= found[row]).all()
    # and says little more than the bound where that is largest
    assert (found[-1] <= bound.max(axis=0) * 3 + 1e-30).all()
