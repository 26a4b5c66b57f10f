"""What a session on a device would run, and the tables it makes: read as data, nothing is run."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kernelproof.cli.parser import parse
from kernelproof.reports.speed.cuda.workloads import CUDA_WORKLOADS, GROUPS
from kernelproof.reports.speed.cuda.workloads import chosen as rows_of
from kernelproof.reports.speed.model import Table, read_table
from kernelproof.reports.speed.rivals import CUDA, check_rivals
from kernelproof.symbolic.registry import phases

HERE = Path(__file__).parent
DTYPES = ("float16", "bfloat16", "float32", "float64")


@pytest.fixture(scope="module")
def plan(neighbour: Callable[[str], ModuleType]) -> ModuleType:
    return neighbour("device_plan")


@pytest.fixture(scope="module")
def run(neighbour: Callable[[str], ModuleType]) -> ModuleType:
    return neighbour("device_parts")


@pytest.fixture
def parts(plan: ModuleType, run: ModuleType) -> dict[str, Any]:
    return {part.name: part for part in plan.parts(run, Path("/results"), cores=16)}


def test_the_most_valuable_comes_first_and_speed_is_measured_alone(parts: dict[str, Any]) -> None:
    assert list(parts) == ["facts", "wrappers", "verify", "tests", "bench", "sanitizers"]
    assert parts["bench"].together == 1 and parts["verify"].together == 8
    assert sum(part.share for part in parts.values()) == 100


def test_every_phase_is_verified_in_every_format_forward_and_backward(parts: dict[str, Any]) -> None:
    wanted = {(phase, dtype, vjp) for phase in phases() for dtype in DTYPES for vjp in (False, True)}
    wanted -= {("positional", dtype, True) for dtype in DTYPES}
    found = []
    for job in parts["verify"].jobs:
        assert job.command[:3] == (sys.executable, "-m", "kernelproof")
        read = parse(job.command[3:])
        assert (read.command, read.backend, read.target) == ("verify", "cupy", f"generated:{read.phase}")
        assert read.json == Path(f"/results/verify/{job.name}.json") and read.max_seconds < job.limit
        found.append((read.phase, read.dtype, read.vjp))
    assert len(found) == len(wanted) and set(found) == wanted
    assert found[:2] == [("attention", "float16", False), ("attention", "float16", True)]


def test_every_test_of_a_device_is_picked(parts: dict[str, Any]) -> None:
    for file in ("test_device.py", "test_gradients_device.py", "test_bench.py"):
        tree = ast.parse((HERE / file).read_text(encoding="utf-8"))
        tests = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
        picked = [job.command[-1].split(" and ")[0] for job in parts["tests"].jobs if f"tests/cuda/{file}" in job.command]
        asked = [name for name in tests if "device" in name]
        assert asked and all(any(words in name for words in picked) for name in asked), file
        for words in picked:
            assert any(words in name for name in tests), f"{words} picks nothing of {file}"
    words = [job.command[-1] for job in parts["tests"].jobs]
    assert all(sum(f"every_{kind} and {dtype}" in one for one in words) == 1 for kind in ("kernel", "gradient") for dtype in DTYPES)
    assert "every_kernel and float16 and not bfloat16" in words and "every_kernel and bfloat16" in words


def test_the_benchmark_has_every_row_of_a_gpu_and_every_rival(parts: dict[str, Any]) -> None:
    rows, rivals = [], set()
    for job in parts["bench"].jobs:
        assert job.command[:2] == ("env", f"KERNELPROOF_CUDA_ROWS={job.name}") and job.share > 0
        read = parse(job.command[5:])
        assert read.command == "bench" and not set(read.against) - set(check_rivals((), CUDA))
        rows += [row.name for row in rows_of(read.phases, job.name)]
        rivals |= set(read.against)
    assert rows == [row.name for row in CUDA_WORKLOADS] and rivals == set(check_rivals((), CUDA))
    assert [job.name for job in parts["bench"].jobs] == list(GROUPS), "a process for each group"


def test_a_kernel_that_no_device_has_run_is_last_and_limited(parts: dict[str, Any]) -> None:
    assert parts["bench"].jobs[-1].name == "warpgroups"
    untried = [number for number, job in enumerate(parts["tests"].jobs) if job.command[-1].endswith(" and True")]
    assert untried == list(range(len(parts["tests"].jobs)))[-2:] and all(60 < parts["tests"].jobs[number].limit < 90 for number in untried)
    for job in parts["tests"].jobs:
        assert {"-v", "faulthandler_timeout=60"} <= set(job.command), "a log that says which test hangs, and where"


def test_quick_leaves_out_one_format_and_all_sanitizers_but_one(plan: ModuleType, run: ModuleType, parts: dict[str, Any]) -> None:
    quick = {part.name: part for part in plan.parts(run, Path("/results"), quick=True, cores=2)}
    left_out = {job.name for name, part in parts.items() for job in part.jobs} - {job.name for part in quick.values() for job in part.jobs}
    assert all("float64" in name for name in left_out - {"racecheck", "synccheck", "initcheck"}) and len(left_out) > 20
    assert quick["verify"].together == 1


def test_a_sanitizer_that_is_not_found_is_named(plan: ModuleType, run: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan.shutil, "which", lambda name, path=None: None)
    jobs = list(plan.sanitized(run.Job, "python", plan.SANITIZERS))
    assert [job.name for job in jobs] == ["memcheck", "racecheck", "synccheck", "initcheck"]
    assert all("compute-sanitizer was not found" in job.missing for job in jobs)
    monkeypatch.setattr(plan.shutil, "which", lambda name, path=None: f"{path}/{name}" if path else None)
    (job,) = plan.sanitized(run.Job, "python", ("racecheck",))
    assert job.missing == "" and job.command[:3] == ("/usr/local/cuda/bin/compute-sanitizer", "--tool", "racecheck")


def verdict(overall: str, *properties: tuple[str, str, Any]) -> dict[str, Any]:
    names = ("id", "verdict", "worst_error_over_bound")
    return {"verdict": overall, "properties": [dict(zip(names, one, strict=True)) for one in properties]}


def test_the_table_of_verdicts(plan: ModuleType, tmp_path: Path) -> None:
    good = verdict("pass", ("attention.a", "pass", 0.25), ("attention.b", "not_applicable", None), ("attention.c", "pass", 0.125))
    bad = verdict("fail", ("softmax.a", "fail", "inf"), ("softmax.b", "pass", 0.5), ("softmax.c", "error", None))
    table = plan.verdict_table({"attention.vjp-bfloat16": good, "softmax-float64": bad})
    assert "| attention.vjp | – | pass 0.25 | – | – |" in table
    assert "| softmax | – | – | – | fail: softmax.a, softmax.c |" in table
    assert len(table.splitlines()) == 2 + 2 * len(phases()) - 1
    (tmp_path / "verify").mkdir()
    (tmp_path / "verify" / "attention.vjp-bfloat16.json").write_text(plan.json.dumps(good), encoding="utf-8")
    plan.write_verdicts(tmp_path)
    assert plan.json.loads((tmp_path / "verify.json").read_text(encoding="utf-8")) == {"attention.vjp-bfloat16": good}
    assert (tmp_path / "verify.md").read_text(encoding="utf-8") == plan.verdict_table({"attention.vjp-bfloat16": good})


def test_pieces_of_the_benchmark_are_put_together(plan: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench.md").write_text("of an earlier run", encoding="utf-8")
    with pytest.raises(RuntimeError, match="no row was measured"):
        plan.write_bench(tmp_path)
    assert not (tmp_path / "bench.md").exists()
    told = {
        "date": "2026-01-02", "device": "A device", "capability": 90, "multiprocessors": 1, "L2": 0, "memory": 1, "driver": 0, "runtime": 0,
        "nvrtc": [0], "torch cuda": "", "versions": {}, "nvidia-smi": {}, "nvidia-smi after": {},
    }
    for name in ("a", "b"):
        table = Table({"date": "2026-01-02"}, (), cuda=Table(told, (), name == "a"))
        (tmp_path / "bench" / f"{name}.json").write_text(table.to_json(), encoding="utf-8")
    plan.write_bench(tmp_path)
    found = read_table(tmp_path / "bench.json").cuda
    assert found is not None and found.machine["device"] == "A device" and not found.complete
    assert "A device" in (tmp_path / "bench.md").read_text(encoding="utf-8")
