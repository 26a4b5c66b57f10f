"""Verdicts in words and numbers."""

from __future__ import annotations

import math

import pytest

from kernelproof.reports.model import THEOREM_STATUSES, VERDICTS, PropertyRow
from kernelproof.reports.verdicts import look, ratio, tally, worst_ratio


def row(verdict: str, worst: float | None = None) -> PropertyRow:
    return PropertyRow("p", "t", verdict, 1, worst, 0.1, "numpy")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "—"), (0.0, "0"), (0.0312, "0.031"), (1.0, "1"), (12.34, "12"), (123.4, "123"), (3.2e7, "3.2e+07"),
     (math.inf, "∞"), (math.nan, "NaN")],
)  # fmt: skip
def test_ratio(value: float | None, shown: str) -> None:
    assert ratio(value) == shown


def test_a_ratio_beyond_its_bound_never_looks_kept() -> None:
    assert [ratio(value) for value in (1.04, 1.0001, 0.9999, 0.96)] == ["1.040", ">1", "<1", "0.960"]


def test_every_verdict_has_a_mark_of_its_own() -> None:
    marks = [look(verdict).mark for verdict in (*VERDICTS, *THEOREM_STATUSES)]
    assert len(set(marks)) == len(marks)


def test_tally_puts_the_worst_first_and_forgets_none() -> None:
    rows = [row("pass"), row("new"), row("fail"), row("pass"), row("error"), row("not_applicable"), row("inconclusive")]
    assert tally(rows) == (
        ("fail", 1), ("error", 1), ("new", 1), ("inconclusive", 1), ("pass", 2), ("not_applicable", 1),
    )  # fmt: skip
    assert tally([]) == ()


def test_worst_ratio() -> None:
    assert worst_ratio([]) is None
    assert worst_ratio([row("pass")]) is None
    assert worst_ratio([row("pass", 0.5), row("pass"), row("pass", 0.25)]) == 0.5
    assert math.isnan(worst_ratio([row("fail", math.nan), row("fail", 2.0)]) or 0.0)
