"""Growth: which lengths are measured, what is left out and why, and one real process at a small length."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kernelproof.reports.speed import growth, memory
from kernelproof.reports.speed.growth import LENGTHS, grown, image, main, table, workload
from kernelproof.reports.speed.workloads import Workload

FOUND = {"seconds": 0.5, "traced": 2_000_000, "resident": 3_000_000}


def test_lengths_and_what_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, str]] = []

    def measure(work: Workload, who: str) -> dict[str, Any] | None:
        asked.append((work.sizes["n"], who))
        return None if work.sizes["n"] == 256 else FOUND

    monkeypatch.setattr(growth, "missing_packages", lambda who: ["torch"] if who == "torch" else [])
    rows = grown([128, 256, 65536], measure, memory=10**9)
    assert asked == [(128, "kernel"), (128, "numpy"), (256, "kernel"), (256, "numpy"), (65536, "kernel")]
    reasons = {(row["n"], row["who"]): row["reason"] for row in rows}
    assert reasons[128, "kernel"] == "" and reasons[128, "torch"] == "not installed"
    assert reasons[256, "kernel"] == "ended without a result"
    assert reasons[65536, "numpy"] == "needs 52 GB for 3 score matrices"
    text = table(rows)
    assert "0.5000" in text and "52 GB" in text and "3.0" in text and "2.0" in text
    assert image(rows).startswith(b"\x89PNG") and image(rows) == image(rows)


def test_the_default_goes_from_128_to_65536() -> None:
    assert (LENGTHS[0], LENGTHS[-1], len(LENGTHS)) == (128, 65536, 10)
    assert workload(128).sizes == {"heads": 1, "n": 128, "d": 64}


def test_the_command_reads_what_was_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = grown([128, 256], lambda *_: FOUND, memory=10**9)
    pieces = [tmp_path / "a.json", tmp_path / "b.json"]
    for piece, part in zip(pieces, (rows[3:], rows[:3]), strict=True):
        piece.write_text(json.dumps({"machine": {}, "rows": part}), encoding="utf-8")
    out = tmp_path / "all.json"
    assert main(["--from", *map(str, pieces), "--json", str(out), "--plot", str(tmp_path / "growth.png")]) == 0
    assert json.loads(out.read_text(encoding="utf-8"))["rows"] == rows
    assert capsys.readouterr().out == f"{table(rows)}\n"
    assert main(["--from", str(tmp_path / "none.json")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


PEAK = """
import numpy as np
from kernelproof.reports.speed import memory

def call():
    held = np.ones(4_000_000)
    size = held.nbytes
    del held
    return size

size, found = memory.measure(call)
assert size <= found["traced"] < size + 1_000_000, found
assert found["resident"] is None or size * 0.9 < found["resident"] < size * 2, found
assert found["seconds"] > 0
"""


def test_a_peak_is_what_was_held_at_once_and_then_let_go() -> None:
    # in a fresh process: in an old one there is resident memory that was let go before
    subprocess.run([sys.executable, "-c", PEAK], check=True, timeout=60)


def test_a_fresh_process_gives_seconds_peaks_and_a_check() -> None:
    found = memory.measured_apart(workload(96))
    assert found is not None
    assert found["check"] == "within" and 0 <= found["worst"] <= 1
    assert found["seconds"] > 0 and found["traced"] >= 96 * 64 * 4  # the result at least


def test_a_process_that_fails_gives_nothing() -> None:
    assert memory.measured_apart(Workload("attention", {"heads": 1, "n": -1, "d": 64})) is None
