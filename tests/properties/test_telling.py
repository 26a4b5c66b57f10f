"""Telling examples: half of all, plain, sometimes long, and never beyond what the phase allows."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from kernelproof.properties.capabilities import everything
from kernelproof.properties.model import Case, Setting, build
from kernelproof.properties.profiles import PROFILES
from kernelproof.properties.shapes import PHASES, phase_shape
from kernelproof.properties.strategies import draw_case
from kernelproof.properties.telling import LONG, LONG_BATCH, draw_padding, draw_telling, with_padding


def drawn(phase: str, examples: int = 63) -> list[tuple[dict[str, Any], Case]]:
    """What is asked for, and the case that comes of it."""
    setting = Setting(phase, {}, "float32", everything(phase_shape(phase)), PROFILES["quick"])
    found: list[tuple[dict[str, Any], Case]] = []

    @st.composite
    def cases(draw: st.DrawFn) -> tuple[dict[str, Any], Case]:
        telling = draw_telling(draw, setting)
        return telling, draw_padding(draw, draw_case(draw, setting, **telling))

    # in short rounds, as the runner does: a long one varies its first examples a little
    for number in range(examples // 9):

        @seed(number)
        @settings(max_examples=9, database=None, deadline=None, phases=(Phase.generate,), suppress_health_check=list(HealthCheck))
        @given(cases())
        def collect(value: tuple[dict[str, Any], Case]) -> None:
            found.append(value)

        collect()
    return found


@pytest.mark.parametrize("phase", PHASES)
def test_telling_examples_are_plain_whole_and_a_good_part_of_all(phase: str) -> None:
    found = drawn(phase)
    telling = [case for asked, case in found if asked]
    assert len(found) / 4 < len(telling) < len(found)
    for case in telling:
        assert all(recipe.style in ("normal", "binades") for _, recipe in case.recipes if recipe.style[:3] != "ids")
        assert 0 not in dict(case.sizes).values()
        assert 0 not in case.batch


@pytest.mark.parametrize("phase", ["attention", "softmax", "layer_norm", "feed_forward", "multi_head_attention", "positional"])
def test_every_axis_is_long_now_and_then_but_few_examples_are_large(phase: str) -> None:
    shape = phase_shape(phase)
    telling = [case for asked, case in drawn(phase, 630) if asked]
    longest: Counter[str] = Counter()
    for case in telling:
        for name, size in case.sizes:
            longest[name] = max(longest[name], size)
        if case.batch == LONG_BATCH:
            longest["..."] = LONG_BATCH[0]
    for name in shape.sizes:
        assert name == "heads" or longest[name] >= LONG[-1], name
    if shape.tensors:
        assert longest["..."] == LONG_BATCH[0]
    largest = [sum(array.size for array in build(case).tensors.values()) for case in telling]
    assert sorted(largest)[len(largest) // 2] < 20_000


def test_attention_is_often_square() -> None:
    telling = [case for asked, case in drawn("attention", 90) if asked]
    square = sum(case.size("n") == case.size("m") for case in telling)
    assert len(telling) / 4 < square < len(telling)


def test_padding_is_drawn_and_leaves_ids_alone() -> None:
    cases = [case for _, case in drawn("embedding")]
    assert {case.pick("padding") for case in cases} == {False, True}
    for case in cases:
        assert (with_padding(case, build(case)).tensors["ids"] == build(case).tensors["ids"]).all()


def test_a_long_axis_has_few_heads_beside_it() -> None:
    for asked, case in drawn("multi_head_attention", 180):
        if "minimum" in asked:
            assert case.size("heads") <= 2
