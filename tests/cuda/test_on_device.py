"""The command for a session on a device: what it says without one, and its exit codes with small parts in the place of the real ones."""

from __future__ import annotations

import json
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kernelproof.reports.speed.cuda import device


@pytest.fixture
def command(neighbour: Callable[[str], ModuleType]) -> ModuleType:
    return neighbour("on_device")


def test_without_a_gpu_it_is_one_line_and_leaves_nothing(
    command: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(device, "missing", lambda: "there is no GPU")
    assert command.main(["-o", str(tmp_path / "results")]) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "on_device: there is no GPU\n") and not (tmp_path / "results").exists()


def test_packages_that_are_missing_are_named(command: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "PACKAGES", ("json", "no_such_package"))
    assert command.unusable().startswith(f"not installed for {sys.executable}: no_such_package; ")


def test_a_part_that_there_is_not_is_refused(command: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["-o", str(tmp_path), "--only", "wrappers,benches"]) == 2
    assert capsys.readouterr().err == (
        "on_device: --only benches: no such part; expected names out of facts,wrappers,verify,tests,bench,sanitizers\n"
    )


def test_the_commands_can_be_read_without_a_device(command: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["-o", str(tmp_path / "results"), "--only", "wrappers", "--list"]) == 0
    expected = f"{sys.executable} tests/cuda/wrapper_vectors.py -o {tmp_path.resolve()}/results/wrappers/vectors.json"
    assert capsys.readouterr().out == f"wrappers/vectors: {expected}\n"


@pytest.mark.parametrize(
    ("text", "code", "line"), [("pass", 0, "one: 1 of 1 done"), ("raise SystemExit('why')", 1, "failed: job: exit code 1: why")]
)
def test_it_runs_what_is_planned_and_ends_with_a_summary(
    command: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    text: str, code: int, line: str,
) -> None:
    planned(command, monkeypatch, text)
    assert command.main(["-o", str(tmp_path / "results")]) == code
    shown = capsys.readouterr().out
    assert line in shown and shown.endswith(f"results: {(tmp_path / 'results').resolve()}\n")
    assert line in (tmp_path / "results" / "summary.txt").read_text(encoding="utf-8")
    (found,) = json.loads((tmp_path / "results" / "outcomes.json").read_text(encoding="utf-8"))
    assert found["status"] == ("failed" if code else "done")
    for _ in range(2):
        with tarfile.open(tmp_path / "results" / "results.tar.gz") as kept:
            assert kept.getnames() == ["one", "one/job.log", "outcomes.json", "summary.txt"], "and not an archive of an earlier run"
        assert command.main(["-o", str(tmp_path / "results")]) == code


def planned(command: ModuleType, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    def parts(run: ModuleType, folder: Path, quick: bool) -> list[Any]:
        return [run.Part("one", "a small one", 1, (run.Job("job", (sys.executable, "-c", text)),))]

    monkeypatch.setattr(command, "unusable", lambda: "")
    monkeypatch.setattr(command.neighbour("device_plan"), "parts", parts)


def test_ctrl_c_ends_with_a_summary_of_what_there_is(
    command: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planned(command, monkeypatch, "pass")

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command.neighbour("device_parts").Session, "_start", interrupted)
    assert command.main(["-o", str(tmp_path / "results")]) == 130
    assert "results: " in capsys.readouterr().out and (tmp_path / "results" / "summary.txt").is_file()


def test_jobs_find_the_package_from_the_root(command: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    assert command.environment()["PYTHONPATH"].split(":") == [str(command.ROOT), "/somewhere"]
