"""Position tables by rotation: right to the last digits at any position, in every layout, width and size of block."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest

from kernelproof.numeric.kernel import Kernel, generate

LAYOUTS, DENOMINATORS = ("interleaved", "halves"), ("paper", "half_minus_one")
#: what issue and contract ask of float32: a rounding, and an eighth for the angle
ALLOWED = 2.0**-24 + 2.0**-27


def exact(kernel: Kernel, positions: list[float], width: int, base: float = 10000.0) -> np.ndarray:
    """The table by mpmath."""
    sines = (width + 1) // 2
    steps = mpmath.mpf(width) / 2 if kernel.variant["denominator"] == "paper" else max(width // 2 - 1, 1)
    table = np.empty((len(positions), width))
    with mpmath.workdps(40):
        for row, position in enumerate(positions):
            angles = [mpmath.mpf(position) * mpmath.mpf(base) ** (-mpmath.mpf(i) / steps) for i in range(sines)]
            sine, cosine = ([float(function(angle)) for angle in angles] for function in (mpmath.sin, mpmath.cos))
            if kernel.variant["layout"] == "interleaved":
                table[row, 0::2], table[row, 1::2] = sine, cosine[: width // 2]
            else:
                table[row] = [*sine, *cosine]
    return table


def with_block(kernel: Kernel, size: int) -> Any:
    """The function of a kernel's file, its positions in blocks of this size."""
    names: dict[str, Any] = {"__name__": "positions"}
    exec(kernel.source, names)
    names["POSITION_BLOCK"] = size
    return names[kernel.name]


@pytest.mark.parametrize("denominator", DENOMINATORS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("start", [0, 65530.5, 10**6, 10**7 - 300, -60.5, -(10**7)])
def test_it_is_right_at_any_position(layout: str, denominator: str, start: float) -> None:
    kernel = generate("positional", layout=layout, denominator=denominator)
    table = kernel(300, 64, start=start)
    rows = [0, 1, 37, 53, 54, 107, 299]
    off = np.abs(table[rows].astype(np.float64) - exact(kernel, [start + row for row in rows], 64))
    assert off.max() <= ALLOWED


@pytest.mark.parametrize(("width", "base", "start"), [(7, 10000.0, 0), (1, 10000.0, 5), (9, 2.5, -3), (6, 0.5, -1.5), (2, 1e6, 0.25)])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_widths_bases_starts_and_types_keep_the_bound(width: int, base: float, start: float, dtype: str) -> None:
    kernel = generate("positional", dtype=dtype)
    table = kernel(9, width, base=base, start=start)
    expected, bound = kernel.error_bound(9, width, base=base, start=start)
    assert table.dtype.name == dtype and table.flags.c_contiguous and np.isfinite(bound).all()
    assert (np.abs(table.astype(expected.dtype) - expected) <= bound).all()
    wide = exact(kernel, [start + row for row in range(9)], width, base)
    assert np.allclose(table.astype(np.float64), wide, atol={"float16": 2**-11, "bfloat16": 2**-8}.get(dtype, 1e-7), rtol=0)


@pytest.mark.parametrize("start", [1000, -20, -1000.5])
@pytest.mark.parametrize("phase", ["positional", "rotary"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_size_of_blocks_changes_no_more_than_the_last_digit(phase: str, layout: str, start: float) -> None:
    kernel = generate(phase, dtype="float64", layout=layout)
    x = np.random.default_rng(0).standard_normal((2, 50, 12))
    given = (50, 12) if phase == "positional" else (x,)
    tables = [with_block(kernel, size)(*given, start=start) for size in (0, 1, 7, 50, 64)]
    # an angle below 1050 is rounded in two parts, or once; twelve roundings of products and sums; a pair of x has two entries
    allowed = (2 * 1050 + 12) * 2.0**-53 * (1 if phase == "positional" else 2 * np.abs(x).max())
    assert all(np.abs(table - tables[1]).max() <= allowed for table in tables)


@pytest.mark.parametrize("size", [1, 2, 5, 16])
@pytest.mark.parametrize("start", [-16, -9.75, -3, -0.5, -40])
def test_small_sines_on_both_sides_of_zero_keep_their_digits(size: int, start: float) -> None:
    """The bound of the direct form in float64: a sine of 10⁻¹² has as many digits as one of 1, in whichever block it is."""
    kernel = generate("positional", dtype="float64", layout="halves")
    table = with_block(kernel, size)(24, 12, base=1e13, start=start)
    expected, bound = kernel.error_bound(24, 12, base=1e13, start=start)
    assert (np.abs(table - expected) <= bound).all() and bound[bound > 0].min() < 2.0**-60


def test_a_zero_in_the_middle_is_zero() -> None:
    """With a negative start nothing is the difference of larger parts."""
    for phase, given in (("positional", (400, 8)), ("rotary", (np.ones((400, 8)),))):
        kernel = generate(phase, dtype="float64", layout="halves")
        row = kernel(*given, start=-200)[200]
        assert row.tolist() == ([0.0] * 4 + [1.0] * 4 if phase == "positional" else [1.0] * 8)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_gradient_turns_back_in_blocks_of_any_size(layout: str) -> None:
    kernel, back = (generate("rotary", dtype="float64", layout=layout, vjp=vjp) for vjp in (False, True))
    x = np.random.default_rng(0).standard_normal((2, 50, 12))
    turned = with_block(kernel, 1)(x, start=1000)
    # as above, there and back
    allowed = 2 * (2 * 1050 + 12) * 2.0**-53 * 2 * np.abs(x).max()
    for size in (0, 1, 7, 50, 64):
        assert np.abs(with_block(back, size)(x, turned, start=1000)[0] - x).max() <= allowed


def test_the_rotation_is_named() -> None:
    for phase, vjp in (("positional", False), ("rotary", False), ("rotary", True)):
        assert {"positional.rotation_sine", "positional.rotation_cosine"} <= set(generate(phase, vjp=vjp).licences)
