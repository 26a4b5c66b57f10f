"""Kernels that die, and what the tests of isolation share: a worker with small limits, two properties, the end of a process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kernelproof.properties import remote
from kernelproof.properties.isolation import isolated_target
from kernelproof.properties.model import Case, Finding, Property, Setting, build
from kernelproof.properties.profiles import PROFILES
from kernelproof.properties.reproducer import reproducer
from kernelproof.properties.runner import run_properties
from kernelproof.properties.strategies import draw_case
from kernelproof.properties.targets import Target, memory_target
from kernelproof.properties.verdict import PropertyVerdict
from kernelproof.properties.watched import Limits

LIMITS = Limits(seconds=20.0, again=10.0, load_seconds=20.0, memory=300 << 20, memory_again=300 << 20)
SHORT = replace(LIMITS, seconds=1.0, again=0.5)
SOFTMAX = """\
import ctypes, os, signal, sys
import numpy as np
def f(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)
"""
#: what it does, what is said of it
DEATHS = {
    "segfault": ("ctypes.string_at(0)", "killed its process: SIGSEGV"),
    "sigfpe": ("signal.raise_signal(signal.SIGFPE)", "killed its process: SIGFPE"),
    "abort": ("os.abort()", "killed its process: SIGABRT"),
    "leaves": ("os._exit(0)", "ended its process with exit code 0"),
    "hangs": ("while True: pass", "did not come back within"),
    "eats": ("kept = [np.ones(10**6) for _ in range(400)]", "memory more than after it was loaded; the limit is 300 MiB"),
    "closes": ("os.closerange(3, 256)", "closed file descriptors that it did not open"),
    "writes": ("[os.write(fd, b'x' * 20) for fd in range(3, 60) if os.path.exists(f'/proc/self/fd/{fd}')]", "did not open"),
    "exits": ("sys.exit(0)", "raised SystemExit: 0"),
}


def wide_only(statement: str) -> str:
    """A right softmax that does something else from seven columns on."""
    return SOFTMAX.replace("    e = np.exp", f"    if x.shape[-1] > 6:\n        {statement}\n    e = np.exp", 1)


def row_sum(call: Any, case: Case, setting: Setting) -> Finding:
    inputs = build(case)
    total = call(inputs.tensors, inputs.options).astype(np.float64).sum(-1)
    return Finding(bool(np.abs(total - 1).max(initial=0.0) < 1e-3), 0.0, inputs=inputs)


def subject(name: str, **sizes: Any) -> Property:
    return Property(f"softmax.{name}", name, "Σ = 1", "softmax", lambda draw, setting: draw_case(draw, setting, **sizes), row_sum)


WIDE, NARROW = subject("wide", minimum={"n": 7}), subject("narrow", fixed={"n": 3})


def verdicts(target: Target, properties: list[Property] | None = None, **rest: Any) -> tuple[tuple[PropertyVerdict, ...], bool]:
    chosen = properties or [WIDE, NARROW]
    setting = Setting("softmax", {}, "float32", target.capabilities, replace(PROFILES["quick"], examples=8, shrink_seconds=1.0))

    def reproduce(subject: Property, case: Case, finding: Finding) -> str:
        return reproducer(target, subject.id, subject.theorem, case, finding)

    return run_properties(chosen, target.call, setting, **{"seed": 0, "reproduce": reproduce, "max_seconds": 60.0, **rest})


@contextmanager
def isolated(folder: Path, source: str, limits: Limits = LIMITS) -> Iterator[Target]:
    (folder / "kernels.py").write_text(source)
    with isolated_target(f"{folder / 'kernels.py'}:f", phase="softmax", variant={}, limits=limits) as target:
        yield target


def remote_of(target: Target) -> remote.Remote:
    assert isinstance(target.call, remote.IsolatedCall) and target.call.remote is not None
    return target.call.remote


def gone(pid: int) -> bool:
    """Whether the process ends within some seconds."""
    ends = time.monotonic() + 10
    while time.monotonic() < ends:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def in_memory(function: Callable[..., Any]) -> Target:
    return memory_target(function, phase="softmax", variant={})
