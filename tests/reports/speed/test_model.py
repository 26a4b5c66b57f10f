"""Measurements as JSON: strict, and read back as they were; verdicts follow from the numbers."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from speed_cases import TABLE, comparison, machine, row

from kernelproof.reports.speed.model import MET, MISSED, WRONG, Aim, Comparison, Table, read_table
from kernelproof.symbolic.errors import InputError


def no_number(name: str) -> float:
    raise AssertionError(f"{name} is not strict JSON")


def written(table: Table, tmp_path: Path) -> Path:
    path = tmp_path / "speed.json"
    path.write_text(table.to_json(), encoding="utf-8")
    return path


def test_it_is_read_back_as_it_was(tmp_path: Path) -> None:
    assert read_table(written(TABLE, tmp_path)) == TABLE
    interrupted = replace(TABLE, complete=False)
    assert read_table(written(interrupted, tmp_path)) == interrupted


def test_it_is_strict_and_says_the_verdicts(tmp_path: Path) -> None:
    table = Table(machine(), (row("wrong", status=WRONG, worst_error_over_bound=math.inf),))
    data = json.loads(table.to_json(), parse_constant=no_number)
    assert data["rows"][0]["worst_error_over_bound"] == "inf"
    assert read_table(written(table, tmp_path)) == table
    data = json.loads(TABLE.to_json(), parse_constant=no_number)
    assert data["format"] == "kernelproof speed 1"
    assert [[one["verdict"] for one in row["comparisons"]] for row in data["rows"]] == [["met", "missed", ""], ["", ""], [], []]
    assert [aim["verdict"] for aim in data["rows"][3]["aims"]] == ["missed", "met"]


@pytest.mark.parametrize(("ratio", "target", "verdict"), [(1.0, 1.0, MET), (1.001, 1.0, MISSED), (0.5, None, "")])
def test_a_target_is_met_up_to_itself(ratio: float, target: float | None, verdict: str) -> None:
    assert comparison("torch", ratio, target).verdict == verdict
    assert Comparison("torch", "not there", target=target).verdict == ""
    if target is not None:
        assert Aim("error", ratio, target).verdict == verdict


def test_targets_are_counted_and_a_wrong_kernel_is_not_ok() -> None:
    assert TABLE.counted() == (2, 2)
    assert TABLE.ok
    assert not replace(TABLE, rows=(*TABLE.rows, row("wrong", status=WRONG))).ok
    assert not replace(TABLE, rows=TABLE.rows[2:3]).ok


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"format": "kernelproof speed 2"}', '{"format": "kernelproof speed 1"}',
             '{"format": "kernelproof speed 1", "machine": {}, "complete": true, "rows": [{"name": "x"}]}']
)
def test_a_file_that_is_none_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "speed.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"reading the measurements of .*kernelproof bench --json") as refused:
        read_table(path)
    assert "\n" not in str(refused.value)
    with pytest.raises(InputError, match="reading the measurements of"):
        read_table(tmp_path / "nothing.json")
