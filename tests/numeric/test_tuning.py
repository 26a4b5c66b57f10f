"""Block sizes of this machine: which constants may be set, whose file is read, and that a bad file is one warning."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from kernelproof.numeric import tuning
from kernelproof.numeric.processor import UNKNOWN, processor
from kernelproof.numeric.tuning import FORMAT, apply, constants_of, read, tunable, tuned, tuning_path, write

GOOD = {"format": FORMAT, "processor": processor(), "phases": {"attention": {"QUERY_BLOCK": 64}, "softmax.vjp": {"CACHE_BYTES": 8192}}}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = tmp_path / "blocks.json"
    monkeypatch.setenv("KERNELPROOF_TUNING", str(found))
    return found


@pytest.mark.parametrize(
    ("name", "value", "may"),
    [
        ("QUERY_BLOCK", 64, True), ("BLOCK", 0, True), ("TILE_ROWS", 2, True), ("CHUNK", 1, True), ("CACHE_BYTES", 1 << 20, True),
        ("THREADS", 2, False), ("query_block", 2, False), ("_BLOCK", 2, False), ("COMPUTE", 2, False), ("BLOCK", -1, False),
        ("BLOCK", 1.0, False), ("BLOCK", True, False), ("BLOCK", "2", False), ("BLOCK", None, False),
    ],
)
def test_what_may_be_set(name: str, value: Any, may: bool) -> None:
    assert tunable(name, value) is may
    assert constants_of({name: value}) == ({name: value} if may else {})


def test_sizes_are_set_where_the_kernel_has_the_constant(path: Path) -> None:
    path.write_text(json.dumps(GOOD), encoding="utf-8")
    space: dict[str, Any] = {"QUERY_BLOCK": 0, "KEY_BLOCK": 0}
    assert apply("attention", space) == {"QUERY_BLOCK": 64}
    assert space == {"QUERY_BLOCK": 64, "KEY_BLOCK": 0}
    other: dict[str, Any] = {"ROW_BLOCK": 0}
    assert apply("attention", other) == {} and other == {"ROW_BLOCK": 0}
    assert apply("attention.vjp", space) == {}


def test_the_file_of_another_processor_is_left_alone(path: Path) -> None:
    path.write_text(json.dumps({**GOOD, "processor": "another one"}), encoding="utf-8")
    assert tuned("attention") == {}


def test_without_a_file_there_is_nothing(path: Path) -> None:
    assert tuned("attention") == {} and tuning_path() == path


BAD = [
    "", "{", "[]", "null", "{}", json.dumps({**GOOD, "format": "kernelproof blocks 2"}), json.dumps({**GOOD, "phases": []}),
    json.dumps({**GOOD, "phases": {"attention": 64}}), json.dumps({**GOOD, "phases": {"attention": {"QUERY_BLOCK": "64"}}}),
    json.dumps({**GOOD, "phases": {"attention": {"np": 1}}}), json.dumps({**GOOD, "phases": {"attention": {"QUERY_BLOCK": -1}}}),
    "[" * 100_000,
]


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_a_bad_file_is_one_warning_of_one_line(text: str, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.write_text(text, encoding="utf-8")
    with caplog.at_level(logging.WARNING, "kernelproof.tuning"):
        assert tuned("attention") == {}
        assert tuned("softmax") == {}
    (record,) = caplog.records
    said = record.getMessage()
    assert str(path) in said and "mend or delete that file" in said and "\n" not in said


def test_writing_keeps_other_phases_and_replaces_a_bad_file(path: Path) -> None:
    path.write_text(json.dumps(GOOD), encoding="utf-8")
    write(path, {"attention": {"KEY_BLOCK": 128}})
    assert read(path) == {"attention": {"KEY_BLOCK": 128}, "softmax.vjp": {"CACHE_BYTES": 8192}}
    path.write_text("{", encoding="utf-8")
    write(path, {"softmax": {"ROW_BLOCK": 1}})
    assert read(path) == {"softmax": {"ROW_BLOCK": 1}}
    assert [found.name for found in path.parent.iterdir()] == ["blocks.json"]


def test_the_file_stands_in_the_users_folder_of_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KERNELPROOF_TUNING", raising=False)
    monkeypatch.setattr(tuning.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert tuning_path() == tmp_path / "kernelproof" / "blocks.json"


def test_the_processors_name(tmp_path: Path) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text("processor\t: 0\nmodel name\t: A processor of 2 GHz\nmodel name\t: another\n", encoding="utf-8")
    assert processor(path) == "A processor of 2 GHz"
    path.write_text("nothing\n", encoding="utf-8")
    assert processor(path) in (processor(tmp_path / "none"), UNKNOWN)
    assert processor(tmp_path / "none")
