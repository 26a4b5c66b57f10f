"""Which tier sees which seeded fault of a CUDA kernel: tries them without a GPU and prints a Markdown table.

    python tests/cuda/tiers.py -o docs/cuda-tiers.md        all faults, all tiers: some minutes
    python tests/cuda/tiers.py --only 'gradient: '          faults whose name has these words
    python tests/cuda/tiers.py --only 'right gradient: '    right kernels of a key, behind the colon phase and format

T0 text: the one-instruction wrappers are those of the golden file. T1 compile: NVRTC, within the launch contract. T2 execute: the emulator,
values within the derived bound under every schedule, no bank conflicts. T3: the same text under g++'s sanitizers, address and undefined
behaviour (a) and thread (t). Exit code 1: a fault that no tier saw or that is no C++, or a right kernel that one did not pass.
"""

from __future__ import annotations

import argparse
import atexit
import hashlib
import itertools
import json
import multiprocessing
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np

from kernelproof.numeric.kept_kernels import SOURCES

HERE = Path(__file__).parent
TIERS = ("T0", "T1", "T2", "T3a", "T3t")
ARCHITECTURES = ("sm_80", "sm_90", "sm_90a", "sm_100")
SCHEDULES = (0, 1, 2, 7)
#: what the emulator says of a text that is no C++
NO_TEXT = "does not compile the text"
#: modules that judge a file, beside calls, headers and golden files
JUDGES = ("nvrtc", "emulation", "targets")


def neighbour(name: str) -> ModuleType:
    """A module beside this file, under the name that the tests know it by."""
    full = f"kernelproof_cuda_{name}"
    if full not in sys.modules:
        spec = spec_from_file_location(full, HERE / f"{name}.py")
        assert spec is not None and spec.loader is not None
        sys.modules[full] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[full])
    return sys.modules[full]


@cache
def source_of(phase: str, dtype: str, kernel: str) -> str:
    """The file that faults are put into; of several widths of a kernel only the first stays."""
    return str(neighbour("targets").TARGETS[kernel].source(phase, dtype))


class Tiers:
    """Runs one file through one tier; a message where the tier sees something, else an empty text."""

    def __init__(self, folder: Path) -> None:
        self.emulation, self.targets = neighbour("emulation"), neighbour("targets").TARGETS
        self.compiler = self.emulation.Compiler(folder)

    def see(
        self, tier: str, source: str, phase: str, dtype: str, kernel: str, architectures: tuple[str, ...] = ("sm_90",)
    ) -> str:
        """What a tier says of a file."""
        runs: dict[str, Callable[[], None]] = {
            "T0": lambda: self._text(source, dtype, kernel),
            "T1": lambda: self._compile(source, kernel, architectures),
            "T2": lambda: self._execute(source, phase, dtype, kernel, SCHEDULES, ""),
            "T3a": lambda: self._execute(source, phase, dtype, kernel, (2,), "address"),
            "T3t": lambda: self._execute(source, phase, dtype, kernel, (2,), "thread"),
        }
        try:
            with np.errstate(all="ignore"):
                runs[tier]()
        # a file refuses right arguments, or the driver a map: seen as well
        except (AssertionError, ValueError, RuntimeError) as error:
            return " ".join(str(error).split()) or "failed"
        return ""

    def _text(self, source: str, dtype: str, kernel: str) -> None:
        for name in self.targets[kernel].golden:
            golden = (HERE / f"{name}_{dtype}.golden").read_text(encoding="utf-8").strip()
            assert golden in source, "a wrapper is not the golden one"

    def _compile(self, source: str, kernel: str, architectures: tuple[str, ...]) -> None:
        nvrtc, target = neighbour("nvrtc"), self.targets[kernel]
        found = nvrtc.constants(source, *itertools.chain(*target.texts))
        there = [(found[text], found[contract]) for text, contract in target.texts if text in found]
        assert there, f"none of {target.texts} is in the file"
        for (text, contract), architecture in itertools.product(there, target.architectures or architectures):
            nvrtc.compiled(text, contract, architecture, target.most_shared)

    def _execute(self, source: str, phase: str, dtype: str, kernel: str, schedules: tuple[int, ...], sanitizer: str) -> None:
        target = self.targets[kernel]
        calls = target.calls(neighbour, phase, dtype, target.variant)
        if sanitizer and target.some:
            calls = calls[:: len(calls) // target.some]
        judged = target.judged(neighbour, phase, dtype)
        for schedule in schedules:
            module = self.emulation.stand_in(self.compiler, schedule, sanitizer, target.capability if phase == "attention" else "90")
            space = self.emulation.namespace_of(source, module)
            for call in calls:
                judged(space, call)
            conflicts = int(module.RawModule.counts[1])
            assert conflicts == 0, f"{conflicts} bank conflicts"


@dataclass(frozen=True)
class Job:
    """A file to put through the tiers, the name of its fault empty for a right kernel."""

    name: str
    source: str
    phase: str
    dtype: str
    kernel: str

    def said(self) -> dict[str, str]:
        """What each tier says."""
        shares = neighbour("targets").TARGETS[self.kernel].shares
        architectures = ("sm_90",) if self.name else ARCHITECTURES
        given = self.source, self.phase, self.dtype, self.kernel, architectures
        return {tier: _tiers().see(tier, *given) for tier in (TIERS if shares else TIERS[:-1])}

    def timed(self) -> tuple[dict[str, str], float]:
        """What each tier says, and the seconds that it took."""
        began = time.perf_counter()
        return self.said(), time.perf_counter() - began


@cache
def _tiers() -> Tiers:
    """Of this process, with a folder of its own that goes with it."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    return Tiers(Path(folder.name))


def jobs(only: str) -> Iterator[Job]:
    """Right kernels first, then faults in the order of their kernels."""
    targets = [*neighbour("targets").TARGETS]
    for phase, dtype, kernel in neighbour("targets").RIGHT:
        if only in f"right {kernel}: {phase} {dtype}":
            yield Job("", source_of(phase, dtype, kernel), phase, dtype, kernel)
    for fault in sorted(neighbour("faults").FAULTS, key=lambda fault: targets.index(fault.kernel)):
        if only in fault.name:
            source = fault.applied(source_of(fault.phase, fault.dtype, fault.kernel))
            yield Job(fault.name, source, fault.phase, fault.dtype, fault.kernel)


def rows(only: str, record: Path, told: Callable[[str], None]) -> list[tuple[str, str, dict[str, str]]]:
    """(kernel, fault, what each tier says); what the record knows of the same text is not run again."""
    lines = record.read_text(encoding="utf-8").splitlines() if record.is_file() else []
    known = {row["digest"]: row["said"] for row in map(json.loads, lines)}
    every = [(job, digest_of(job.source)) for job in jobs(only)]
    record.parent.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool, record.open("a", encoding="utf-8") as file:
        running = {pool.submit(job.timed): (job, digest) for job, digest in every if digest not in known}
        for future in as_completed(running):
            job, digest = running[future]
            (said, seconds), shown = future.result(), _shown(job)
            if NO_TEXT in said["T2"]:
                pool.shutdown(cancel_futures=True)
                raise SystemExit(f"{job.name}: the fault makes no C++ of the text, and no tier is asked: {said['T2']}")
            known[digest] = said
            file.write(json.dumps({"digest": digest, "kernel": shown, "fault": job.name, "said": said}, ensure_ascii=False) + "\n")
            file.flush()
            seen = ", ".join(tier for tier in TIERS if said.get(tier))
            told(f"{shown}: {job.name or 'right'}: {seen or 'nothing seen'} ({seconds:.1f} s)")
    return [(_shown(job), job.name, known[digest]) for job, digest in every]


def _shown(job: Job) -> str:
    return f"{job.phase} {job.dtype}{neighbour('targets').TARGETS[job.kernel].shown}"


def digest_of(source: str) -> str:
    """Of a file and of all that judges it: what stands here, and the bounds."""
    digest = hashlib.sha256(source.encode() + SOURCES.encode())
    for path in sorted((*HERE.glob("*.h"), *HERE.glob("*cases.py"), *HERE.glob("*.golden"), *(HERE / f"{name}.py" for name in JUDGES))):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def markdown(found: list[tuple[str, str, dict[str, str]]]) -> str:
    """The table, and how many faults each tier saw."""
    faults = [said for _, name, said in found if name]
    lines = [
        "# Which tier sees which seeded fault of a CUDA kernel", "",
        "Made by `make nightly-cuda`, without a GPU; nothing here was run on hardware. T0: the wrappers are the golden ones. T1: NVRTC for",
        f"{', '.join(ARCHITECTURES)} (a fault: for sm_90; products of warpgroups: for sm_90a alone), within registers, shared",
        f"memory and no spills. T2: the emulator, under {len(SCHEDULES)} schedules, within the derived bound and without bank conflicts.",
        "T3a: address and undefined behaviour sanitizer. T3t: thread sanitizer, where threads share memory. ✗: the tier reports the fault;",
        "·: it passes; empty: not run.", "",
        f"| kernel | fault | {' | '.join(TIERS)} | first report |", f"| --- | --- | {' | '.join('---' for _ in TIERS)} | --- |",
    ]
    for kernel, name, said in found:
        first = next((said[tier] for tier in TIERS if said.get(tier)), "")
        shown = re.sub(r"/\S*/", "", first).replace("|", "\\|")
        marks = " | ".join(("✗" if said[tier] else "·") if tier in said else " " for tier in TIERS)
        lines.append(f"| {kernel} | {name or '*none: a right kernel*'} | {marks} | {shown[:110]} |")
    counts = ", ".join(f"{tier} {sum(bool(said.get(tier)) for said in faults)}" for tier in TIERS)
    seen = sum(any(said.values()) for said in faults)
    lines += ["", f"{seen} of {len(faults)} faults are seen by at least one tier; by tier: {counts}."]
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, help="where the table goes (default: only printed)")
    parser.add_argument("--record", type=Path, default=Path("build/cuda-tiers.jsonl"), help="what is known, to go on with")
    parser.add_argument("--only", default="", help="faults whose name has this")
    given = parser.parse_args(arguments)
    found = rows(given.only, given.record, lambda line: print(line, file=sys.stderr, flush=True))
    table = markdown(found)
    print(table)
    if given.output:
        given.output.write_text(table, encoding="utf-8")
    return int(any(bool(name) != any(said.values()) for _, name, said in found))


if __name__ == "__main__":
    sys.exit(main())
