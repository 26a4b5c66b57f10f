"""What a measurement was made on is read from the machine, or not claimed."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernelproof.reports.speed.machine import has_avx512, machine


def test_avx512_is_a_flag_of_the_processor(tmp_path: Path) -> None:
    told = tmp_path / "cpuinfo"
    for flags, expected in (("fpu avx2 avx512f avx512vl", True), ("fpu avx2 avx512fp", False)):
        told.write_text(f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t: avx512f\n", encoding="utf-8")
        assert has_avx512(told) is expected
    assert not has_avx512(tmp_path / "nothing")


def test_what_was_set_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    assert machine()["settings"]["OPENBLAS_CORETYPE"] == "Haswell" and "OMP_NUM_THREADS" not in machine()["settings"]
