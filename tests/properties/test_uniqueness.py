"""The property ``positional.uniqueness`` itself: what it convicts, what it leaves open, how many positions it draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelproof import generate
from kernelproof.properties import uniqueness
from kernelproof.properties.call import Call
from kernelproof.properties.model import Case, Finding, Property, Setting
from kernelproof.properties.profiles import PROFILES
from kernelproof.properties.reproducer import reproducer
from kernelproof.properties.shapes import phase_shape
from kernelproof.properties.targets import memory_target
from kernelproof.properties.uniqueness import uniqueness_property
from kernelproof.symbolic.registry import derive

VARIANT = {"layout": "interleaved", "denominator": "paper"}
SUBJECT: Property = uniqueness_property(derive("positional"))


def found(function: Callable[..., Any], count: int, width: int, dtype: str = "float32") -> Finding:
    case = Case("positional", (("n", count), ("d", width)), variant=tuple(VARIANT.items()), dtype=dtype)
    return SUBJECT.check(Call(function, phase_shape("positional", VARIANT)), case, Setting("positional", VARIANT, dtype))


def repeated(n_positions: int, d_model: int, **options: Any) -> Any:
    table = np.asarray(generate("positional")(n_positions, d_model, **options))
    return table[np.arange(n_positions) % 16]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_right_table_passes(dtype: str) -> None:
    finding = found(generate("positional", dtype=dtype), 4096, 16, dtype)
    assert finding.ok and not finding.vacuous and finding.ratio == 0


def test_equal_rows_far_apart_convict() -> None:
    finding = found(repeated, 40, 6)
    assert not finding.ok and "positions 0 and 16" in finding.message
    assert found(repeated, 16, 6).ok


def test_a_table_of_nans_is_convicted() -> None:
    finding = found(lambda n, d: np.full((n, d), np.nan, np.float32), 3, 4)
    assert not finding.ok and "positions 0 and 1" in finding.message


def test_rows_that_a_format_cannot_tell_apart_are_left_open() -> None:
    finding = found(generate("positional", dtype="float16"), 1000, 2, "float16")
    assert finding.ok and finding.vacuous


def test_among_aliases_the_collision_that_convicts_is_found() -> None:
    """Positions 2 and 712 alias in float16 (710 is nearly 113 turns); that the last row is the first has no excuse."""

    def spoiled(n: int, d: int) -> Any:
        table = np.array(generate("positional", dtype="float16")(n, d))
        table[-1] = table[0]
        return table

    finding = found(spoiled, 1000, 2, "float16")
    assert not finding.ok and "positions 0 and 999" in finding.message


def test_rows_are_compared_and_not_their_digests_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uniqueness, "digests", lambda rows: np.zeros(len(rows), dtype=np.uint64))
    right = found(generate("positional"), 40, 6)
    assert right.ok and not right.vacuous
    assert "positions 0 and 16" in found(repeated, 40, 6).message


def test_a_wrong_shape_is_anothers_finding() -> None:
    assert found(lambda n, d: np.zeros((n, d + 1)), 5, 4).vacuous
    assert found(lambda n, d: np.zeros(n), 5, 4).vacuous


def test_the_reproducer_convicts_too() -> None:
    finding = found(repeated, 20, 4)
    target = memory_target(repeated, phase="positional", variant=VARIANT)
    case = Case("positional", (("n", 20), ("d", 4)), variant=tuple(VARIANT.items()))
    text = reproducer(target, SUBJECT.id, SUBJECT.theorem, case, finding)
    assert finding.assertion is not None and f"assert {finding.assertion}" in text
    assert not eval(finding.assertion, {"observed": repeated(20, 4)})
    assert eval(finding.assertion, {"observed": np.asarray(generate("positional")(20, 4))})


@pytest.mark.parametrize(("profile", "most"), [("quick", 4096), ("standard", 16384), ("thorough", 65536)])
def test_the_number_of_positions_grows_with_the_profile(profile: str, most: int) -> None:
    seen = set()

    @settings(max_examples=60, database=None, derandomize=True, deadline=None)
    @given(st.data())
    def draw(data: st.DataObject) -> None:
        setting = replace(Setting("positional", VARIANT), profile=PROFILES[profile])
        seen.add(SUBJECT.draw(data.draw, setting).size("n"))

    draw()
    assert min(seen) == 2 and max(seen) == most
