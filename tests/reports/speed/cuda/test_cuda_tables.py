"""Tables of a GPU's rows: nothing in them was measured, they are made up here."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kernelproof.reports.speed.__main__ import main, merged
from kernelproof.reports.speed.cuda.tables import head, markdown, rate, text_table
from kernelproof.reports.speed.cuda.workloads import CUDA_WORKLOADS
from kernelproof.reports.speed.model import FAILED, MEASURED, NOT_THERE, Aim, Comparison, Row, Table, read_table
from kernelproof.symbolic.errors import InputError

MACHINE = {
    "date": "2026-01-02", "device": "A device", "capability": 90, "multiprocessors": 7, "L2": 50 << 20, "memory": 141e9, "driver": 13000,
    "runtime": 13000, "nvrtc": [13, 0], "torch cuda": "13.0", "versions": {"kernelproof": "0.1.0", "cupy": "14.2.0"},
    "nvidia-smi": {"clocks.sm": "345 MHz"}, "nvidia-smi after": {},
}
CPU = {
    "date": "2026-01-02", "processor": "A processor", "cores": 2, "caches": {}, "system": "Linux x86_64", "versions": {"numpy": "2.0.0"},
    "not installed": [], "blas": [], "torch threads": None,
}


def row(number: int, *comparisons: Comparison, **more: Any) -> Row:
    """A measured row of the registry."""
    work = CUDA_WORKLOADS[number]
    made = {
        "kernel": "0123456789ab", "checked": "in the last head, rows 0, 1", "worst_error_over_bound": 0.25, "seconds": 0.5,
        "figures": {"operations": 1e14, "bytes": 1e9, "host_seconds": 2e-5}, "dtype": work.dtype, **more,
    }
    return Row(work.name, work.phase, work.vjp, {}, dict(work.sizes), {}, MEASURED, comparisons=comparisons, **made)


FLASH = Comparison("flash", MEASURED, "sdpa", 2.0, 1.5, 2.5, 7, 0.5, 0.25, 1 / 0.6, 0.5, "the cause of it")
GPU = Table(MACHINE, (
    row(0, FLASH, Comparison("gemm", MEASURED, "a product", 4.0, 4.0, 4.0, 7, 0.5, 0.125)),
    row(1, replace(FLASH, ratio=1.5), Comparison("gemm", FAILED, "it: no memory"), aims=(Aim("peak", 1.25, 2.0, "3 MB"),)),
    replace(row(8), status=NOT_THERE, error="not run: why", seconds=None, kernel="", checked=""),
))
TABLE = Table(CPU, (), cuda=GPU)


def test_the_terminal_has_rates_ratios_and_reasons() -> None:
    lines = text_table(GPU).splitlines()
    first = next(line for line in lines if line.startswith(GPU.rows[0].name))
    assert "500.0 ms" in first and "200 TFLOP/s" in first and "20 µs" in first and "2.00 ≤ 1.667 missed" in first and "4.00" in first
    assert any("1.50 ≤ 1.667 met" in line for line in lines)
    assert f"  {GPU.rows[0].name}: 2.00 of SDPA FLASH misses 1.667, floor 0.50: the cause of it" in lines
    assert f"  {GPU.rows[2].name}: not there: not run: why" in lines
    assert f"  matrix product: it: no memory – {GPU.rows[1].name}" in lines
    assert f"  {GPU.rows[1].name}: peak 1.25 ≤ 2 met (3 MB)" in lines
    assert lines[-1] == "2 of 3 rows measured; targets: 2 met, 1 missed"


def test_the_head_states_device_driver_and_clocks() -> None:
    assert head(GPU) == [
        "Measured on 2026-01-02: A device, compute capability 9.0, 7 multiprocessors, L2 50 MiB, memory 141 GB.",
        "CUDA: driver 13000, runtime 13000, NVRTC 13.0, PyTorch's 13.0. Versions: kernelproof 0.1.0, cupy 14.2.0.",
        "nvidia-smi before: clocks.sm 345 MHz; after: not there.",
    ]


def test_work_without_products_has_a_rate_in_bytes() -> None:
    assert rate(replace(row(0), figures={"bytes": 2e12, "host_seconds": 0.0})) == "4000 GB/s"
    assert rate(replace(row(0), seconds=None)) == ""


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "speed.json"
    path.write_text(TABLE.to_json(), encoding="utf-8")
    assert read_table(path) == TABLE and TABLE.ok and not replace(TABLE, cuda=replace(GPU, rows=GPU.rows[2:])).ok
    written = json.loads(path.read_text(encoding="utf-8"))["cuda"]
    assert [one["verdict"] for one in written["rows"][0]["comparisons"]] == ["missed", ""]


def test_pieces_of_one_device_are_put_together() -> None:
    pieces = [Table(CPU, (), cuda=replace(GPU, rows=(one,))) for one in reversed(GPU.rows)]
    found = merged([*pieces, Table(CPU, ())])
    assert found.cuda == GPU, "in the order of the registry"
    other = Table(CPU, (), cuda=replace(GPU, machine={**MACHINE, "device": "B"}))
    with pytest.raises(InputError, match="device is B in one and A device in another"):
        merged([TABLE, other])


def test_the_page_has_the_table_and_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, page = tmp_path / "cuda.json", tmp_path / "cuda.md"
    source.write_text(TABLE.to_json(), encoding="utf-8")
    assert main(["--from", str(source), "--cuda-docs", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert text == markdown(GPU, "cuda") and "2.00 (1.50–2.50) ≤ 1.667 missed" in text
    assert "kernelproof bench --against flash,gemm --json docs/cuda.json\n" in text
    assert f"- {GPU.rows[0].name} (0123456789ab): in the last head, rows 0, 1: worst error over bound 0.25\n" in text
    assert main(["--from", str(source)]) == 0
    assert capsys.readouterr().out == f"{text_table(GPU)}\n", "a table of the CPU without a row is left out"
    source.write_text(replace(TABLE, cuda=None).to_json(), encoding="utf-8")
    assert main(["--from", str(source), "--cuda-docs", str(page)]) == 2
    assert "the measurement has none" in capsys.readouterr().err


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[4] / "docs").glob("cuda-speed*.json")), ids=lambda path: path.stem)
def test_the_docs_are_what_the_measurements_give(path: Path) -> None:
    found = read_table(path).cuda
    assert found is not None and path.with_suffix(".md").read_text(encoding="utf-8") == markdown(found, path.stem)
