"""Which tier sees which seeded fault of a CUDA kernel: tries them without a GPU and prints a Markdown table.

    python tests/cuda/tiers.py -o docs/cuda-tiers.md        all faults, all tiers: some minutes
    python tests/cuda/tiers.py --only 'barrier'             those whose name has the word

T0 text: the one-instruction wrappers are those of the golden file. T1 compile: NVRTC, within the launch contract. T2 execute: the emulator,
values within the derived bound under every schedule, no bank conflicts. T3: the same text under g++'s sanitizers, address and undefined
behaviour (a) and thread (t). Exit code 1: a fault that no tier saw, or a right kernel that one did not pass.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np

from kernelproof.numeric.cupy_file import cupy_source
from kernelproof.symbolic.registry import derive

HERE = Path(__file__).parent
TIERS = ("T0", "T1", "T2", "T3a", "T3t")
ARCHITECTURES = ("sm_80", "sm_90", "sm_90a", "sm_100")
SCHEDULES = (0, 1, 2, 7)
#: without a fault every tier must be silent about these
RIGHT = (
    ("attention", "float16", "tensor"), ("attention", "bfloat16", "tensor"), ("attention", "float32", "tiled"),
    ("attention", "float64", "tiled"), ("attention", "float32", ""), ("softmax", "float32", ""),
)
#: by kernel: the variant of the file, the names of its text and contract, and what is added to a kernel's name in the table
VARIANTS: dict[str, dict[str, object]] = {"": {}, "tensor": {"causal_alignment": "bottom_right"}, "tiled": {"window": 70}}
CONSTANTS = {"": ("CUDA", "LAUNCH"), "tensor": ("TENSOR_CUDA", "TENSOR_LAUNCH"), "tiled": ("TILED_CUDA", "TILED_LAUNCH")}
SHOWN = {"": "", "tensor": " on tensor cores", "tiled": " in tiles"}


def neighbour(name: str) -> ModuleType:
    """A module beside this file, under the name that the tests know it by."""
    full = f"kernelproof_cuda_{name}"
    if full not in sys.modules:
        spec = spec_from_file_location(full, HERE / f"{name}.py")
        assert spec is not None and spec.loader is not None
        sys.modules[full] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[full])
    return sys.modules[full]


def source_of(phase: str, dtype: str, kernel: str) -> str:
    """The file that faults are put into; of several widths of a kernel only the first stays."""
    source = cupy_source(derive(phase, **VARIANTS[kernel]), dtype)
    if kernel:
        source = re.sub(rf'\n// a block has[^\n]*\nextern "C" __global__ void [^\n]*attention_{kernel}128\((?:.*\n)*?}}\n', "\n", source)
        source = re.sub(rf'    "attention_{kernel}128": [^\n]*\n', "", source)
        source = source.replace(f', 128: "attention_{kernel}128"', "")
    return source


class Tiers:
    """Runs one file through one tier; a message where the tier sees something, else an empty text."""

    def __init__(self, folder: Path) -> None:
        self.emulation, self.cases = neighbour("emulation"), neighbour("cases")
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
        except AssertionError as error:
            return " ".join(str(error).split()) or "failed"
        return ""

    @staticmethod
    def _text(source: str, dtype: str, kernel: str) -> None:
        if kernel == "tensor":
            golden = (HERE / f"wrappers_{dtype}.golden").read_text(encoding="utf-8").strip()
            assert golden in source, "a wrapper is not the golden one"

    @staticmethod
    def _compile(source: str, kernel: str, architectures: tuple[str, ...]) -> None:
        nvrtc = neighbour("nvrtc")
        names = CONSTANTS[kernel]
        found = nvrtc.constants(source, *names)
        for architecture in architectures:
            nvrtc.compiled(found[names[0]], found[names[1]], architecture)

    def _execute(self, source: str, phase: str, dtype: str, kernel: str, schedules: tuple[int, ...], sanitizer: str) -> None:
        cases, variant = self.cases, VARIANTS[kernel]
        if kernel == "tensor":
            calls = [*neighbour("tensor_cases").few(cases, dtype, 64)]
        elif kernel:
            calls = [*neighbour("tiled_cases").few(cases, dtype, variant)]
        else:
            calls = [*cases.calls(phase, derive(phase).variant, dtype)]
        if sanitizer and not kernel:
            calls = calls[:: len(calls) // 4]  # a process for each launch takes its time
        bounds = cases.Bounds(derive(phase, **variant), dtype, "" if kernel == "tensor" else None)
        for schedule in schedules:
            # the printer's attention is what an old device gets
            module = self.emulation.stand_in(self.compiler, schedule, sanitizer, "50" if phase == "attention" and not kernel else "90")
            function = self.emulation.namespace_of(source, module)[phase]
            for call in calls:
                bounds.check(call, function(*cases.arguments(phase, call, dtype), **call.options), None)
            conflicts = int(module.RawModule.counts[1])
            assert conflicts == 0, f"{conflicts} bank conflicts"


def rows(tiers: Tiers, only: str, record: Path, told: Callable[[str], None]) -> list[tuple[str, str, dict[str, str]]]:
    """(kernel, fault, what each tier says), right kernels first; what the record knows of the same text is not run again."""
    found: list[tuple[str, str, dict[str, str]]] = []
    known = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()] if record.is_file() else []

    def run(name: str, source: str, phase: str, dtype: str, kernel: str) -> None:
        began, digest = time.perf_counter(), digest_of(source)
        # threads of the printer's kernels share nothing but registers of a warp
        wanted, architectures = (TIERS if kernel else TIERS[:-1]), (("sm_90",) if name else ARCHITECTURES)
        before = next((line["said"] for line in known if line["digest"] == digest), None)
        said = before or {tier: tiers.see(tier, source, phase, dtype, kernel, architectures) for tier in wanted}
        shown = f"{phase} {dtype}{SHOWN[kernel]}"
        found.append((shown, name, said))
        if before is None:
            record.parent.mkdir(parents=True, exist_ok=True)
            with record.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"digest": digest, "kernel": shown, "fault": name, "said": said}, ensure_ascii=False) + "\n")
        seen = ", ".join(tier for tier in TIERS if said.get(tier))
        told(f"{shown}: {name or 'right'}: {seen or 'nothing seen'} ({time.perf_counter() - began:.1f} s)")

    for phase, dtype, kernel in RIGHT:
        if only in "right":
            run("", source_of(phase, dtype, kernel), phase, dtype, kernel)
    for fault in sorted(neighbour("faults").FAULTS, key=lambda fault: [*CONSTANTS].index(fault.kernel), reverse=True):
        if only in fault.name:
            source = fault.applied(source_of(fault.phase, fault.dtype, fault.kernel))
            run(fault.name, source, fault.phase, fault.dtype, fault.kernel)
    return found


def digest_of(source: str) -> str:
    """Of a file and of all that judges it here."""
    digest = hashlib.sha256(source.encode())
    for path in sorted((*HERE.glob("*.h"), *HERE.glob("*cases.py"), *HERE.glob("*.golden"), HERE / "nvrtc.py", HERE / "emulation.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def markdown(found: list[tuple[str, str, dict[str, str]]]) -> str:
    """The table, and how many faults each tier saw."""
    faults = [said for _, name, said in found if name]
    lines = [
        "# Which tier sees which seeded fault of a CUDA kernel", "",
        "Made by `make nightly-cuda`, without a GPU; nothing here was run on hardware. T0: the wrappers are the golden ones. T1: NVRTC for",
        f"{', '.join(ARCHITECTURES)} (a fault: for sm_90), within registers, shared memory and no spills. T2: the emulator, under",
        f"{len(SCHEDULES)} schedules, within the derived bound and without bank conflicts. T3a: address and undefined behaviour sanitizer.",
        "T3t: thread sanitizer, where threads share memory. ✗: the tier reports the fault; ·: it passes; empty: not run.", "",
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
    with tempfile.TemporaryDirectory() as folder:
        found = rows(Tiers(Path(folder)), given.only, given.record, lambda line: print(line, file=sys.stderr, flush=True))
    table = markdown(found)
    print(table)
    if given.output:
        given.output.write_text(table, encoding="utf-8")
    return int(any(bool(name) != any(said.values()) for _, name, said in found))


if __name__ == "__main__":
    sys.exit(main())
