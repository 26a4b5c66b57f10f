"""Every CUDA text that kernelproof generates, compiled for every architecture: what there is, and a record of what was compiled.

    python tests/cuda/compiled.py --update        compile what the record does not know; minutes after a change of attention
    python tests/cuda/compiled.py --update --all  compile all again

What it does: takes every phase, forward and gradient, in every variant of the registry and every format, and each CUDA text in those files.
A text is compiled by NVRTC for all of :data:`ARCHITECTURES` within its launch contract; ``compiled.json`` has, under the digest of text,
contract, compiler, options and checks, the registers of each kernel. Guarantees: the record names only texts that passed. Cannot see:
values of options that no sample of the registry has, such as another window.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import itertools
import json
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from kernelproof.numeric.cupy_file import cupy_source
from kernelproof.numeric.cupy_gradient_file import cupy_gradient_source
from kernelproof.symbolic.registry import derive, gradient, has_gradient, phases

HERE = Path(__file__).parent
RECORD = HERE / "compiled.json"
DTYPES = ("float32", "float64", "float16", "bfloat16")
ARCHITECTURES = ("sm_80", "sm_90", "sm_90a", "sm_100")
ATOMIC = re.compile(r"\b(atom|red)\.")
#: arithmetic; a mask may be of double, and is read as that
DOUBLE = re.compile(r"\b(?:add|sub|mul|fma|div|rcp|sqrt|rsqrt|min|max)\.(?:\w+\.)*f64\b")
#: angles are computed in double, whatever the format
ANGLES = ("positional", "rotary")
#: registers by kernel and architecture, an entry None for an architecture that the text is not for
Registers = dict[str, list[int | None]]
#: the name of a text, and its registers
Line = tuple[str, Registers]


def _nvrtc() -> ModuleType:
    full = "kernelproof_cuda_nvrtc"
    if full not in sys.modules:
        spec = spec_from_file_location(full, HERE / "nvrtc.py")
        assert spec is not None and spec.loader is not None
        sys.modules[full] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[full])
    return sys.modules[full]


@dataclass(frozen=True)
class Text:
    """A CUDA text of a file: where it stands, what it may use, and what it is for."""

    name: str
    text: str
    contract: dict[str, dict[str, int]]
    architectures: tuple[str, ...]
    most_shared: int
    double: bool

    @property
    def digest(self) -> str:
        parts = (self.text, self.contract, self.architectures, self.most_shared, self.double, judge())
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def compiled(self) -> Registers:
        """The registers of each kernel; CompileError where something does not hold."""
        nvrtc, found = _nvrtc(), {name: [None] * len(ARCHITECTURES) for name in self.contract}
        for architecture in self.architectures:
            ptx, used = nvrtc.measured(self.text, self.contract, architecture, self.most_shared)
            if ATOMIC.search(ptx):
                raise nvrtc.CompileError("an atomic operation: sums would depend on the order in which threads run")
            if not self.double and DOUBLE.search(ptx):
                raise nvrtc.CompileError("double arithmetic in a float kernel")
            for name, registers in used.items():
                found[name][ARCHITECTURES.index(architecture)] = registers
        return found


@cache
def nvrtc_version() -> str:
    return version("nvidia-cuda-nvrtc")


@cache
def judge() -> tuple[str, ...]:
    """What a verdict on a text depends on besides it: the compiler, its headers and options, and the checks as they are written."""
    from cupy.cuda import nvrtc

    own = _nvrtc()
    packages = ("nvidia-cuda-nvrtc", "nvidia-cuda-runtime", "nvidia-cuda-cccl", "nvidia-cuda-crt")
    written = (inspect.getsource(own.measured), inspect.getsource(Text.compiled), own.USED.pattern, own.CHANGED.pattern)
    return (*map(version, packages), str(nvrtc.getVersion()), *own.OPTIONS, *written, ATOMIC.pattern, DOUBLE.pattern)


def variants(phase: str) -> list[dict[str, object]]:
    """The default first, then every combination of choices, then samples."""
    known = phases()[phase]
    found: list[dict[str, object]] = [{}]
    for values in itertools.product(*(option.choices for option in known.variants.values())):
        found.append(dict(zip(known.variants, values, strict=True)))
    return found + [dict(sample) for sample in known.samples]


def named(phase: str, vjp: bool, dtype: str) -> str:
    """What the names of a file's texts begin with."""
    return f"{phase}{' gradient' if vjp else ''} {dtype}: "


def texts(phase: str, vjp: bool, dtype: str, variant: dict[str, object]) -> Iterator[Text]:
    """The CUDA texts of a file."""
    nvrtc = _nvrtc()
    source = cupy_gradient_source(gradient(phase, **variant), dtype) if vjp else cupy_source(derive(phase, **variant), dtype)
    spelled = " ".join(f"{name}={value}" for name, value in variant.items())
    for constant in re.findall(r"(?m)^(\w*CUDA) = ", source):
        launch = constant.removesuffix("CUDA") + "LAUNCH"
        found = nvrtc.constants(source, constant, launch)
        of_warpgroups = constant.startswith("WARPGROUP")
        yield Text(
            named(phase, vjp, dtype) + " ".join(filter(None, (spelled, constant))), found[constant], found[launch],
            ("sm_90a",) if of_warpgroups else ARCHITECTURES, nvrtc.MOST_SHARED_90 if of_warpgroups else nvrtc.MOST_SHARED,
            double=dtype == "float64" or phase in ANGLES or "rotary" in variant,
        )


def files() -> list[tuple[str, bool, str]]:
    """Phase, whether its gradient, format."""
    return [(phase, vjp, dtype) for phase in phases() for vjp in (False, True) if has_gradient(phase) or not vjp for dtype in DTYPES]


def recorded() -> dict[str, Line]:
    """By digest."""
    lines = json.loads(RECORD.read_text(encoding="utf-8"))["texts"] if RECORD.is_file() else {}
    return {digest: (name, registers) for digest, (name, registers) in lines.items()}


def write(lines: dict[str, Line]) -> None:
    """The record, by name."""
    rows = [f"{json.dumps(digest)}: {json.dumps(line)}" for digest, line in sorted(lines.items(), key=lambda row: row[1][0])]
    head = f'{{"nvrtc": {json.dumps(nvrtc_version())}, "architectures": {json.dumps(ARCHITECTURES)}, "texts": {{\n'
    RECORD.write_text(head + ",\n".join(rows) + "\n}}\n", encoding="utf-8")


def _made(file: tuple[str, bool, str], known: dict[str, Line]) -> tuple[dict[str, Line], list[str]]:
    """What the record holds of a file in all variants, and what does not hold; texts that are not known are compiled."""
    found: dict[str, Line] = {}
    wrong: list[str] = []
    for variant in variants(file[0]):
        for text in texts(*file, variant):
            if text.digest not in found:
                try:
                    found[text.digest] = text.name, known[text.digest][1] if text.digest in known else text.compiled()
                except _nvrtc().CompileError as error:  # of a module that another process does not know by name
                    wrong.append(f"{text.name}: {error}")
    return found, wrong


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", required=True, help="write compiled.json anew")
    parser.add_argument("--all", action="store_true", help="compile what the record knows, too")
    given = parser.parse_args(arguments)
    before = recorded()
    known = {} if given.all else before
    found: dict[str, Line] = {}
    failed = False
    with ProcessPoolExecutor() as pool:
        for file, (lines, wrong) in zip(files(), pool.map(_made, files(), itertools.repeat(known)), strict=True):
            new = sum(digest not in known for digest in lines)
            print("\n    ".join((f"{named(*file)}{len(lines)} texts, {new} compiled", *wrong)), file=sys.stderr, flush=True)
            for digest, line in lines.items():
                found.setdefault(digest, line)  # the same text inside another phase
            write({**before, **found})  # so that nothing is lost where this is interrupted
            failed |= bool(wrong)
    write(found)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
