"""What a session on a device does, as data: the parts in order, what is worth most first, and the tables of their results.

Guarantees: every phase, format, direction, device test and sanitizer is there, so that what is not run is named. Cannot see: how long a job
takes on a device; the shares of the time are guesses.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from kernelproof.reports.speed.cuda.workloads import ONE_GROUP
from kernelproof.symbolic.registry import phases

ROOT = Path(__file__).parents[2]
DTYPES = ("float16", "bfloat16", "float32", "float64")
SANITIZERS = ("memcheck", "racecheck", "synccheck", "initcheck")
#: rivals of the two kinds of work
PRODUCTS, BYTES = "flash,cudnn,compile,cupy,gemm", "compile,copy"
#: a verification searches for so long, and may not take longer in all
SEARCH, VERIFIED = 10, 75.0
WITHOUT_GRADIENT = frozenset({"positional"})
#: the tests of a device: name of the job, file, what -k picks; a kernel that no device has run yet comes last
TESTS: tuple[tuple[str, str, str], ...] = (
    ("tensor_cores", "test_device.py", "tensor_cores and False"),
    ("tensor_core_gradients", "test_gradients_device.py", "tensor_cores"),
    ("tiles", "test_device.py", "in_tiles"),
    *((f"kernels_{dtype}", "test_device.py", f"every_kernel and {dtype}") for dtype in DTYPES),
    *((f"gradients_{dtype}", "test_gradients_device.py", f"every_gradient and {dtype}") for dtype in DTYPES),
    ("bench", "test_bench.py", "on_a_device and not True"),
    ("warpgroups", "test_device.py", "tensor_cores and True"),
    ("warpgroups_bench", "test_bench.py", "on_a_device and True"),
)
#: seconds at most of tests that may hang: some more than those after which the log says where
UNTRIED: Mapping[str, float] = {"warpgroups": 75.0, "warpgroups_bench": 75.0}
#: the benchmark by groups of rows, each a process of its own: group, phases, rivals, its share of the time
BENCHES: tuple[tuple[str, tuple[str, ...], str, float], ...] = (
    ("forward", ("attention",), PRODUCTS, 8),
    ("gradient", ("attention.vjp",), PRODUCTS, 8),
    ("float32", ("attention",), PRODUCTS, 1),
    ("bytes", ("layer_norm", "positional"), BYTES, 2),
    ("warpgroups", ("attention",), PRODUCTS, 6),
)


def parts(run: ModuleType, folder: Path, quick: bool = False, cores: int | None = None) -> list[Any]:
    """The parts of a session; ``run`` is the module ``device_parts``. ``quick`` leaves out float64 and all sanitizers but one."""
    together = max(1, min(8, (cores or os.cpu_count() or 1) // 2))
    formats = DTYPES[:3] if quick else DTYPES
    job, python = run.Job, sys.executable
    return [
        run.Part("facts", "the device and what is installed", 2, (
            job("device", (python, "-m", "kernelproof.reports.speed.cuda.device"), 60.0),
        )),
        run.Part("wrappers", "each one-instruction wrapper is asked with numbers", 10, (
            job("vectors", (python, "tests/cuda/wrapper_vectors.py", "-o", str(folder / "wrappers" / "vectors.json"))),
        )),
        run.Part("verify", "every phase against its theorems, on CuPy", 24, tuple(
            job(name, command, VERIFIED) for name, command in verifications(folder, formats)
        ), together, finish=write_verdicts),
        run.Part("tests", "the tests that need a device", 20, tuple(
            job(name, tested_by(python, file, words), UNTRIED.get(name, 1e9))
            for name, file, words in TESTS if not (quick and name.endswith("float64"))
        ), together),
        run.Part("bench", "speed, alone on the device", 30, tuple(
            job(group, bench(python, folder, group, chosen, rivals), share=share) for group, chosen, rivals, share in BENCHES
        ), finish=write_bench),
        run.Part("sanitizers", "a short call of each kernel", 14, tuple(sanitized(job, python, SANITIZERS[: 1 if quick else None])),
                 min(together, len(SANITIZERS))),
    ]


def verifications(folder: Path, formats: tuple[str, ...] = DTYPES) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Name and command of each verification: by format, attention first."""
    ordered = sorted(phases(), key=lambda phase: phase != "attention")
    for dtype in formats:
        for phase in ordered:
            for vjp in (False, True)[: 1 if phase in WITHOUT_GRADIENT else None]:
                name = f"{phase}{'.vjp' if vjp else ''}-{dtype}"
                target = (f"generated:{phase}", "--phase", phase, "--backend", "cupy", "--dtype", dtype, *(["--vjp"] if vjp else []))
                search = ("--profile", "quick", "--max-seconds", str(SEARCH), "--json", str(folder / "verify" / f"{name}.json"))
                yield name, (sys.executable, "-m", "kernelproof", "verify", *target, *search)


def tested_by(python: str, file: str, words: str) -> tuple[str, ...]:
    """pytest on some tests of a file. A name that holds that of another format means its own alone."""
    words += " and not bfloat16" if words.endswith(" float16") else ""
    told = ("-v", "--tb=short", "-rfEs", "-o", "faulthandler_timeout=60")  # the log names the test that hangs, and where
    return (python, "-m", "pytest", "-p", "no:cacheprovider", "-m", "cuda", *told, f"tests/cuda/{file}", "-k", words)


def bench(python: str, folder: Path, group: str, chosen: tuple[str, ...], rivals: str) -> tuple[str, ...]:
    """The benchmark of one group of rows against some rivals."""
    command = (python, "-m", "kernelproof", "bench", *chosen, "--against", rivals, "--json", str(folder / "bench" / f"{group}.json"))
    return ("env", f"{ONE_GROUP}={group}", *command)


def sanitized(job: Any, python: str, tools: tuple[str, ...]) -> Iterator[Any]:
    """compute-sanitizer over the short calls, once for each tool."""
    program = shutil.which("compute-sanitizer") or shutil.which("compute-sanitizer", path="/usr/local/cuda/bin")
    missing = "" if program else "compute-sanitizer was not found on the PATH or in /usr/local/cuda/bin"
    for tool in tools:
        options = ("--tool", tool, "--error-exitcode", "9", "--print-limit", "20", "--target-processes", "all")
        yield job(tool, (program or "compute-sanitizer", *options, python, "tests/cuda/short_calls.py"), missing=missing)


def write_verdicts(folder: Path) -> None:
    """One table and one JSON of all verdicts that there are."""
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((folder / "verify").glob("*.json"))}
    (folder / "verify.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (folder / "verify.md").write_text(verdict_table(found), encoding="utf-8")


def verdict_table(found: dict[str, Any]) -> str:
    """Phases down, formats across: the verdict with the worst error over its bound, or the properties that did not hold."""
    rows = []
    for phase in dict.fromkeys(name.rpartition("-")[0] for name, _ in verifications(Path())):
        cells = (verdict_cell(found.get(f"{phase}-{dtype}")) for dtype in DTYPES)
        rows.append(f"| {phase} | {' | '.join(cells)} |")
    return "\n".join((f"| phase | {' | '.join(DTYPES)} |", "| --- " * (1 + len(DTYPES)) + "|", *rows, ""))


def verdict_cell(verdict: dict[str, Any] | None) -> str:
    """``pass 0.31``; the ids of what failed or erred; – where there is no verdict."""
    if verdict is None:
        return "–"
    wrong = [one["id"] for one in verdict["properties"] if one["verdict"] in ("fail", "error")]
    worst = [float(one["worst_error_over_bound"]) for one in verdict["properties"] if one["worst_error_over_bound"] is not None]
    return f"{verdict['verdict']}: {', '.join(wrong)}" if wrong else f"{verdict['verdict']} {max(worst, default=0.0):.2g}"


def write_bench(folder: Path) -> None:
    """One page and one JSON of all rows that were measured, and none of an earlier run."""
    for name in ("bench.json", "bench.md"):
        (folder / name).unlink(missing_ok=True)
    pieces = [str(path) for path in sorted((folder / "bench").glob("*.json"))]
    if not pieces:
        raise RuntimeError("no row was measured")
    command = [sys.executable, "-m", "kernelproof.reports.speed", "--from", *pieces, "--json", str(folder / "bench.json")]
    done = subprocess.run([*command, "--cuda-docs", str(folder / "bench.md")], cwd=ROOT, capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise RuntimeError(" ".join(done.stderr.split())[-200:] or "the tables were not written")
