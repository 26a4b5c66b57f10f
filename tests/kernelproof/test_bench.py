"""``kernelproof bench`` as a command: table, JSON, exit codes, interruption. The times are made up; kernels, rivals and checks are real."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from kernelproof.__main__ import main
from kernelproof.numeric.kernel import generate
from kernelproof.numeric.tuning import read
from kernelproof.reports.speed import measuring, tune, workloads
from kernelproof.reports.speed.checking import BEYOND, Check
from kernelproof.reports.speed.cuda import device, run
from kernelproof.reports.speed.cuda import workloads as cuda
from kernelproof.reports.speed.cuda.measuring import CudaBench
from kernelproof.reports.speed.measuring import Bench
from kernelproof.reports.speed.model import read_table
from kernelproof.reports.speed.paired import Pair
from kernelproof.reports.speed.rivals import Rival
from kernelproof.reports.speed.tune import Tuning
from kernelproof.reports.speed.workloads import Workload

ROWS = (
    Workload("softmax", {"rows": 6, "d": 5}, targets={"numpy": 0.4}),
    Workload("layer_norm", {"rows": 6, "d": 5}, targets={"products": 3.0}),
)


def pairing(ours: Any, theirs: Any, effort: Any) -> Pair:
    """Twice as fast as any rival."""
    ours()
    theirs()
    return Pair((1.0, 1.0), (2.0, 2.0))


@pytest.fixture(autouse=True)
def rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(workloads, "WORKLOADS", ROWS)
    monkeypatch.setattr(measuring, "Bench", partial(Bench, pairing=pairing))
    monkeypatch.setattr(tune, "Tuning", partial(Tuning, pairing=pairing))
    monkeypatch.setenv("KERNELPROOF_TUNING", str(tmp_path / "blocks.json"))


def test_it_prints_and_writes_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "speed.json"
    assert main(["bench", "--against", "numpy,products", "--json", str(path)]) == 0
    shown = capsys.readouterr()
    assert "Measured on " in shown.out and "0.50 ≤ 0.4 missed" in shown.out and "0.50 ≤ 3 met" in shown.out
    assert "2 of 2 rows measured; targets: 1 met, 1 missed" in shown.out
    assert [line.split(":")[0] for line in shown.err.splitlines()] == ["[1/2] softmax", "[2/2] layer_norm"]
    table = read_table(path)
    assert table.complete and [row.phase for row in table.rows] == ["softmax", "layer_norm"]
    assert all(row.check == "within" and len(row.kernel) == 12 for row in table.rows)
    assert [[one.rival for one in row.comparisons] for row in table.rows] == [["numpy", "products"]] * 2


def test_phases_and_rivals_are_chosen(tmp_path: Path) -> None:
    path = tmp_path / "speed.json"
    assert main(["bench", "layer_norm", "--against", "products", "--json", str(path)]) == 0
    (row,) = read_table(path).rows
    assert row.phase == "layer_norm" and [one.rival for one in row.comparisons] == ["products"]


def test_all_rivals_are_named_installed_or_not(tmp_path: Path) -> None:
    path = tmp_path / "speed.json"
    assert main(["bench", "softmax", "--json", str(path)]) == 0
    (row,) = read_table(path).rows
    assert [one.rival for one in row.comparisons] == ["numpy", "torch", "onnxruntime", "products"]
    for one in row.comparisons:
        assert one.status == "measured" or one.what.startswith("not installed: ")


GPU = ("attention", "--against", "flash,gemm")


def test_without_a_gpu_the_rest_is_measured_and_one_line_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(device, "missing", lambda: "the reason")
    path = tmp_path / "speed.json"
    assert main(["bench", "--json", str(path)]) == 0
    assert capsys.readouterr().out.count("Rows of a GPU: not run: the reason.") == 1
    table = read_table(path)
    assert [row.phase for row in table.rows] == ["softmax", "layer_norm"] and table.cuda is None
    assert main(["bench", "--against", "numpy"]) == 0
    assert main(["bench", "softmax"]) == 0
    assert "GPU" not in capsys.readouterr().out, "nobody asked for its rows, or there are none"
    assert main(["bench", "--against", "numpy,flash"]) == 0
    assert "Rows of a GPU: not run" in capsys.readouterr().out


def test_what_compares_on_a_gpu_alone_is_refused_without_one(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(device, "missing", lambda: "the reason")
    assert main(["bench", *GPU]) == 2
    assert capsys.readouterr().err == "kernelproof bench: bench --against flash,gemm: these compare on a GPU: the reason\n"
    assert main(["bench", "softmax", *GPU[1:]]) == 2
    assert "rows of attention, layer_norm, positional are; name one of them" in capsys.readouterr().err


def test_what_is_missing_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, expected in (
        (None, "cupy cannot be imported"),
        (SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: False)), "there is no GPU that CuPy can use"),
        (SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: 1 // 0)), "CuPy cannot use the driver (integer division"),
        (SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: True)), ""),
    ):
        monkeypatch.setitem(sys.modules, "cupy", module)
        assert device.missing().startswith(expected) and bool(device.missing()) == bool(expected)


def on_cpu() -> SimpleNamespace:
    """Arrays of NumPy are on the device, and each call takes a second."""
    return SimpleNamespace(
        capability=80, upload=np.array, download=np.array, zeros_like=np.zeros_like, alive=lambda: True, free=lambda: None,
        peak=lambda call: 1, host_seconds=lambda call: 1e-6, seconds=lambda call, host: 1.0,
    )


def test_rows_of_a_gpu_are_written_one_by_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Real kernels of NumPy in the place of CuPy's."""
    path = tmp_path / "speed.json"
    rows = [cuda.CudaWorkload("attention", {"heads": 2, "n": n, "d": 8}, targets={"flash": 1.0}) for n in (4, 5)]
    told = {
        "date": "2026-01-02", "device": "A device", "capability": 80, "multiprocessors": 1, "L2": 0, "memory": 1, "driver": 0, "runtime": 0,
        "nvrtc": [0], "torch cuda": "", "versions": {}, "nvidia-smi": {},
    }
    seen: list[bool] = []

    def build(name: str, workload: Workload, inputs: Any) -> Rival:
        seen.append(path.is_file() and not read_table(path).complete)
        return Rival("it", lambda: None)

    monkeypatch.setattr(cuda, "CUDA_WORKLOADS", rows)
    monkeypatch.setattr(device, "missing", lambda: "")
    monkeypatch.setattr(device, "Device", on_cpu)
    monkeypatch.setattr(device, "described", lambda _: told)
    asked: list[dict[str, str]] = []
    monkeypatch.setattr(device, "asked", lambda: asked.append({"clocks.sm": "1 MHz"}) or asked[-1])
    made = partial(CudaBench, build=build, generate=lambda phase, backend, dtype, vjp: generate(phase, "numpy", dtype, vjp))
    monkeypatch.setattr(run, "CudaBench", made)
    assert main(["bench", "attention", "--against", "flash", "--json", str(path)]) == 0
    found = read_table(path)
    assert seen == [False, True] and len(asked) == 1, "nvidia-smi takes its time: not after every row"
    assert found.rows == () and found.complete
    assert found.cuda is not None and found.cuda.machine == {**told, "nvidia-smi after": {"clocks.sm": "1 MHz"}}
    assert [row.status for row in found.cuda.rows] == ["measured"] * 2
    shown = capsys.readouterr()
    assert shown.out.startswith("Measured on 2026-01-02: A device") and "2 of 2 rows measured; targets: 2 met, 0 missed" in shown.out
    assert "[2/2] attention float32: heads 2, n 5, d 8" in shown.err


def test_a_wrong_kernel_exits_with_one(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(measuring, "Bench", partial(Bench, pairing=pairing, check=lambda *_: Check(BEYOND, 3.0, "rows 0, 1")))
    assert main(["bench", "softmax", "--against", "numpy"]) == 1
    assert "wrong: 3 times its bound: rows 0, 1; not timed" in capsys.readouterr().out


def test_ctrl_c_keeps_what_it_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(ours: Any, theirs: Any, effort: Any) -> Pair:
        if ours().shape == (6, 5) and capsys.readouterr().err:
            raise KeyboardInterrupt  # in the second row: the first has its line
        return pairing(ours, theirs, effort)

    monkeypatch.setattr(measuring, "Bench", partial(Bench, pairing=interrupted))
    path = tmp_path / "speed.json"
    assert main(["bench", "--against", "numpy", "--json", str(path)]) == 130
    table = read_table(path)
    assert not table.complete and [row.phase for row in table.rows] == ["softmax"]
    assert "interrupted" in capsys.readouterr().out


@pytest.mark.parametrize("more", [["--power", "--tune"], ["--power", "--against", "numpy"], ["--tune", "--against", "numpy"]])
def test_options_that_say_nothing_to_each_other_are_refused(more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "softmax", *more]) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.count("\n") == 1 and "leave" in shown.err


def test_tuning_writes_what_is_better_and_its_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "tuning.json"
    assert main(["bench", "softmax", "--tune", "--json", str(report)]) == 0
    sizes = read(tmp_path / "blocks.json")["softmax"]
    assert "ROW_BLOCK" in sizes
    shown = capsys.readouterr().out
    assert "ROW_BLOCK 0 →" in shown and str(tmp_path / "blocks.json") in shown
    (found,) = json.loads(report.read_text(encoding="utf-8"))["kernels"]
    assert found["kind"] == "softmax" and found["found"] == sizes


def test_a_place_that_cannot_be_written_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("KERNELPROOF_TUNING", str(tmp_path / "file" / "blocks.json"))
    assert main(["bench", "softmax", "--tune"]) == 2
    assert "set KERNELPROOF_TUNING to a file that can" in capsys.readouterr().err
    assert main(["bench", "softmax", "--json", str(tmp_path / "none" / "speed.json")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
