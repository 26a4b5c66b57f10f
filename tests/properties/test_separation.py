"""All positions of a table are distinct: right tables by the theorem or by their bits, wrong ones with the right pair."""

from __future__ import annotations

import math
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernelproof import generate
from kernelproof.properties import separation
from kernelproof.properties.call import TargetRaised
from kernelproof.properties.reading import peak_memory
from kernelproof.properties.separation import Positions, check_positions, main
from kernelproof.symbolic.errors import InputError

Table = Any


def table(p: Any, d: int, base: float = 10000.0, dtype: Any = np.float32) -> Table:
    """sin and cos of p·ω, interleaved, from float64 angles."""
    angles = np.asarray(p, dtype=np.float64)[:, None] * base ** (-2 * np.arange((d + 1) // 2) / d)
    out = np.empty((len(angles), d), dtype=dtype)
    out[:, 0::2], out[:, 1::2] = np.sin(angles), np.cos(angles)[:, : d // 2]
    return out


def textbook(n_positions: int, d_model: int, *, base: float = 10000.0, start: int = 0) -> Table:
    """Angles in float32, as in many a tutorial."""
    p = np.arange(start, start + n_positions, dtype=np.float32)[:, None]
    a = p * np.exp(np.arange(0, d_model, 2, dtype=np.float32) * np.float32(-math.log(base) / d_model))
    out = np.empty((n_positions, d_model), dtype=np.float32)
    out[:, 0::2], out[:, 1::2] = np.sin(a), np.cos(a)[:, : d_model // 2]
    return out


def periodic(n_positions: int, d_model: int, *, base: float = 10000.0, start: int = 0) -> Table:
    return table((start + np.arange(n_positions)) % 1000, d_model, base)


def base_one(n_positions: int, d_model: int, *, base: float = 10000.0, start: int = 0) -> Table:
    return table(start + np.arange(n_positions), d_model, 1.0)


def constant(n_positions: int, d_model: int, *, base: float = 10000.0, start: int = 0) -> Table:
    return np.ones((n_positions, d_model), dtype=np.float32)


def in_half(n_positions: int, d_model: int, *, base: float = 10000.0, start: int = 0) -> Table:
    """Whole numbers from 2048 on collapse."""
    return table((start + np.arange(n_positions)).astype(np.float16), d_model, base)


def no_start(n_positions: int, d_model: int, *, base: float = 10000.0) -> Table:
    return table(np.arange(n_positions), d_model, base)


def first_by_unique(rows: Table) -> tuple[int, int] | None:
    """The first row that stands before, by np.unique."""
    _, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    earliest = first[inverse.reshape(-1)]
    later = np.flatnonzero(earliest < np.arange(len(rows)))
    return (int(earliest[later[0]]), int(later[0])) if len(later) else None


def pair(found: Positions) -> tuple[int, int] | None:
    return None if found.collision is None else (found.collision.p, found.collision.q)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some hundred entries a block, so that small tables have many."""
    monkeypatch.setattr(separation, "_ENTRIES", 512)


# -- right tables ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("layout", ["interleaved", "halves"])
@pytest.mark.parametrize("denominator", ["paper", "half_minus_one"])
@pytest.mark.parametrize("width", [16, 33])
def test_a_right_table_is_separated(dtype: str, layout: str, denominator: str, width: int) -> None:
    kernel = generate("positional", dtype=dtype, layout=layout, denominator=denominator)
    width -= width % 2 if layout == "halves" else 0
    found = check_positions(kernel, 3001, width, layout=layout, denominator=denominator, base=5000.0, start=17)
    assert (found.verdict, found.decided_by, found.dtype) == ("pass", "separation", dtype)
    assert found.nearest.distance > found.subtracted > 0
    assert found.separated == 3001
    assert found.outside is None and found.exit_code == 0 and found
    # the measured deviation is below the derived one, which is for two rows
    assert 0 < found.deviation <= found.subtracted / 2 + 1e-12


def test_bfloat16_is_read_like_any_format() -> None:
    pytest.importorskip("ml_dtypes", reason="bfloat16 tables are NumPy's only through ml_dtypes")
    found = check_positions(generate("positional", dtype="bfloat16"), 2000, 64)
    assert (found.verdict, found.decided_by, found.dtype) == ("pass", "separation", "bfloat16")
    # one pair in 8 bits: the first collision is that of the bits
    kernel = generate("positional", dtype="bfloat16")
    few = check_positions(kernel, 2000, 2)
    assert pair(few) == first_by_unique(np.asarray(kernel(2000, 2)).astype(np.float32))


def test_where_the_bound_is_vacuous_the_bits_decide() -> None:
    found = check_positions(textbook, 500, 16, start=2_000_000)
    assert (found.verdict, found.decided_by, pair(found)) == ("pass", "hashing", None)
    assert found.nearest.distance < found.subtracted
    assert found.separated == 0
    assert "hashed" in str(found) and "leaves nothing" in str(found)


def test_how_many_positions_are_separated_is_said_where_not_all_are() -> None:
    found = check_positions(textbook, 1_000_000, 2)
    assert found.decided_by == "hashing" and found.separated == 0
    some = check_positions(textbook, 600_000, 16)
    assert some.decided_by == "hashing" and 1000 < some.separated < 600_000
    assert check_positions(textbook, some.separated, 16).decided_by == "separation"


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_narrow_tables_have_the_collisions_of_their_bits(width: int, dtype: str) -> None:
    kernel = generate("positional", dtype=dtype)
    found = check_positions(kernel, 4000, width)
    assert pair(found) == first_by_unique(np.asarray(kernel(4000, width)))
    assert found.verdict == ("pass" if found.collision is None else "inconclusive")
    if found.collision is not None:
        assert found.decided_by == "hashing" and found.collision.explained
        assert np.array_equal(found.collision.row, np.asarray(kernel(4000, width))[found.collision.q])
        assert found.finding().vacuous and found.finding().ok and found.exit_code == 1


def test_a_separated_table_has_no_equal_rows() -> None:
    """The theorem's word against the bits, where both can speak."""
    told = 0
    for width in (2, 3, 4, 6, 8):
        for dtype in ("float16", "float32", "float64"):
            kernel = generate("positional", dtype=dtype)
            for count in (2, 50, 700, 3000):
                if check_positions(kernel, count, width).decided_by == "separation":
                    told += 1
                    assert first_by_unique(np.asarray(kernel(count, width))) is None
    assert told > 20


# -- wrong tables ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "expected"), [(periodic, (0, 1000)), (constant, (0, 1)), (in_half, (2048, 2049))], ids=["periodic", "constant", "in_half"]
)
def test_a_wrong_table_is_convicted_with_the_right_pair(function: Any, expected: tuple[int, int]) -> None:
    found = check_positions(function, 3000, 32)
    assert (found.verdict, found.decided_by, pair(found)) == ("fail", "hashing", expected)
    assert found.collision is not None and not found.collision.explained
    assert np.array_equal(found.collision.row, function(3000, 32)[expected[1]])
    assert found.separated == 0 and found.exit_code == 1 and not found
    finding = found.finding()
    assert not finding.ok and finding.ratio == math.inf and f"positions {expected[0]} and {expected[1]}" in finding.message


def test_a_collision_that_rounding_explains_does_not_hide_one_that_it_does_not() -> None:
    """In float16 a pair collides early by rounding alone; positions from 3000 on repeat the first ones."""

    def both(n_positions: int, d_model: int, *, start: int = 0) -> Table:
        return table((start + np.arange(n_positions)) % 3000, d_model, dtype=np.float16)

    rows = both(3100, 2)
    assert first_by_unique(rows) == (2, 712)
    found = check_positions(both, 3100, 2)
    assert found.verdict == "fail" and found.collision is not None
    assert not found.collision.explained and found.collision.q >= 3000
    assert np.array_equal(rows[found.collision.p], rows[found.collision.q])


def test_another_base_leaves_rows_distinct_in_float32_and_not_in_float16() -> None:
    """All frequencies 1: the theorem of the first pair still holds, and the floats follow it as far as they can tell."""
    found = check_positions(base_one, 3000, 32)
    assert (found.verdict, found.decided_by) == ("pass", "hashing")
    assert found.outside is not None and found.outside[0] == 1 and "breaks its rounding bound" in str(found)
    half = check_positions(base_one, 3000, 32, dtype="float16")
    assert (half.verdict, pair(half)) == ("fail", first_by_unique(base_one(3000, 32).astype(np.float16)))


def test_one_entry_out_of_bounds_takes_the_theorem_away() -> None:
    def spoiled(n_positions: int, d_model: int, *, start: int = 0) -> Table:
        out = table(start + np.arange(n_positions), d_model)
        if start <= 700 < start + n_positions:
            out[700 - start, 5] = np.nan
        return out

    found = check_positions(spoiled, 1000, 16)
    assert (found.verdict, found.decided_by, found.outside) == ("pass", "hashing", (700, 5))
    assert found.deviation == math.inf and found.separated == 0


def test_a_start_that_is_ignored_repeats_the_first_block() -> None:
    found = check_positions(lambda n_positions, d_model, *, start=0: table(np.arange(n_positions), d_model), 400, 16)
    assert found.verdict == "fail"
    assert pair(found) == (0, 32)


# -- how the table is read ------------------------------------------------------------------------------------------------------------


def test_the_table_is_asked_for_in_blocks_and_memory_does_not_grow_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(separation, "_ENTRIES", 2**15)
    asked = []

    def recorded(n_positions: int, d_model: int, *, start: int = 0) -> Table:
        asked.append((start, n_positions))
        return table(start + np.arange(n_positions), d_model, dtype=np.float64)

    tracemalloc.start()
    try:
        found = check_positions(recorded, 100_000, 64)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.verdict == "pass"
    # one block is read ahead, for its format
    assert [place for start, length in asked[1:] for place in (start, start + length)][1:-1:2] == [start for start, _ in asked[2:]]
    assert asked[-1][0] + asked[-1][1] == 100_000
    assert max(length for _, length in asked) == 2**15 // 64
    # the table has 51 MB
    assert peak < 25e6


def test_a_target_without_start_gives_its_whole_table() -> None:
    found = check_positions(no_start, 1000, 16)
    assert (found.verdict, found.decided_by) == ("pass", "separation")
    with pytest.raises(InputError, match="takes no 'start'"):
        check_positions(no_start, 1000, 16, start=5)


def test_a_table_of_another_format_is_converted_and_said_to_be() -> None:
    found = check_positions(textbook, 800, 2, dtype="float16")
    assert "float16 (converted from float32)" in str(found)
    assert pair(found) == first_by_unique(textbook(800, 2).astype(np.float16))
    assert found.collision is not None


def test_a_wrong_shape_and_an_exception_are_the_targets() -> None:
    with pytest.raises(TargetRaised, match=r"shape \[32, 17\], expected \[32, 16\]"):
        check_positions(lambda n_positions, d_model, *, start=0: np.ones((n_positions, d_model + 1), np.float32), 400, 16)
    with pytest.raises(TargetRaised, match="ZeroDivisionError"):
        check_positions(lambda n_positions, d_model, *, start=0: 1 // 0, 400, 16)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"n_positions": 0}, "at least one position"),
        ({"d_model": 0}, "one column"),
        ({"start": -1}, "from 0 up"),
        ({"n_positions": 2**31, "start": 1}, "give smaller"),
        ({"base": 0.0}, "base 0.0 is not"),
        ({"base": math.inf}, "base inf is not"),
        ({"dtype": "float8"}, "'float8' is not known"),
        ({"layout": "diagonal"}, "diagonal"),
        ({"layout": "halves", "d_model": 5}, "give an even width"),
    ],
    ids=str,
)
def test_what_cannot_be_checked_is_refused_in_one_line(words: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as refusal:
        check_positions(textbook, **{"n_positions": 10, "d_model": 4, **words})
    assert "\n" not in str(refusal.value)


def test_a_table_of_whole_numbers_needs_a_format() -> None:
    with pytest.raises(InputError, match="the table is int64"):
        check_positions(lambda n_positions, d_model: np.arange(n_positions * d_model).reshape(n_positions, d_model), 10, 4)


def test_one_position_is_distinct() -> None:
    assert check_positions(textbook, 1, 4).verdict == "pass"
    assert check_positions(constant, 1, 4).verdict == "pass"


# -- the command ----------------------------------------------------------------------------------------------------------------------


def test_the_command_says_how_it_was_decided_and_what_it_cost(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generated:positional", "--positions", "500", "--d-model", "32", "--dtype", "float64", "--layout", "halves"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("pass: 500 positions of width 32, generated:positional in float64\n  decided by separation")
    assert "smallest distance" in out and "bound subtracted" in out and "in the target" in out
    assert ("peak memory of the process" in out) == (peak_memory() is not None)


def test_the_command_ends_in_the_codes_of_the_contract(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import numpy as np\n"
        "def same(n_positions, d_model, *, start=0):\n    return np.zeros((n_positions, d_model), np.float32)\n"
        "def broken(n_positions, d_model, *, start=0):\n    raise ValueError('no')\n"
        "def dies(n_positions, d_model, *, start=0):\n    import os\n    os.abort()\n"
    )
    assert main([f"{file}:same", "--positions", "50", "--d-model", "8"]) == 1
    assert "positions 0 and 1 have the same row" in capsys.readouterr().out
    assert main([f"{file}:broken", "--positions", "50", "--d-model", "8"]) == 1
    assert "raised ValueError: no" in capsys.readouterr().out
    assert main([f"{file}:dies", "--positions", "50", "--d-model", "8"]) == 1
    assert "killed its process: SIGABRT" in capsys.readouterr().out
    assert main([f"{file}:absent", "--positions", "50"]) == 2
    assert main(["generated:positional", "--positions", "0"]) == 2
    err = capsys.readouterr().err
    assert len(err.strip().splitlines()) == 2
