"""``kernelproof bench --tune``: block sizes of this machine, tried one constant after the other.

What it does: the block sizes of a generated kernel are integer constants of its module. For each, every candidate is timed in pairs against
the best so far, on all workloads of the kind; the geometric mean of the median ratios decides, and only a gain of more than
:data:`WORTH` is taken. Guarantees: the kernel with the sizes found is held to its bound before they are kept. Cannot see: sizes that are
good only together; whether the machine was busy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tabulate import tabulate

from kernelproof.numeric.kernel import Kernel, generate
from kernelproof.numeric.processor import processor
from kernelproof.numeric.tuning import constants_of, write
from kernelproof.reports.speed.checking import BEYOND, Check, check
from kernelproof.reports.speed.measuring import Pairing
from kernelproof.reports.speed.paired import Effort, paired
from kernelproof.reports.speed.workloads import Inputs, Workload, chosen, inputs_of
from kernelproof.symbolic.errors import InputError

WORTH = 0.03
CACHE = "CACHE_BYTES"
BLOCKS = (0, 64, 128, 256, 512, 1024, 2048)
CACHES = tuple(1 << power for power in range(18, 24))
EFFORT = Effort(seconds=1.0, least=3, most=9)
Sizes = dict[str, int]


@dataclass(frozen=True)
class Outcome:
    """What was found for one kind: the kernel's own sizes, those found, and the ratio of times found / own, by workload."""

    kind: str
    own: Mapping[str, int]
    found: Mapping[str, int]
    ratios: Mapping[str, float] = field(default_factory=dict)
    note: str = ""


def tunable_workloads(phases: Sequence[str]) -> dict[str, list[Workload]]:
    """The workloads of these phases by kind, without those that are measured in a process of their own."""
    groups: dict[str, list[Workload]] = {}
    for workload in chosen(phases):
        if workload.megabytes is None:
            groups.setdefault(workload.kind, []).append(workload)
    return groups


@dataclass
class Tuning:
    """The search, and what it found so far."""

    effort: Effort = EFFORT
    generate: Callable[..., Kernel] = generate
    pairing: Pairing = paired
    check: Callable[[Workload, Kernel, Inputs, Any], Check] = check
    say: Callable[[str], None] = lambda _: None
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def found(self) -> dict[str, Mapping[str, int]]:
        """Sizes by kind, where some are better than the kernel's own."""
        return {one.kind: one.found for one in self.outcomes if one.found}

    def tune(self, kind: str, workloads: Sequence[Workload]) -> None:
        """Find the sizes of one kind."""
        try:
            kernels = [self.generate(one.phase, dtype=one.dtype, vjp=one.vjp, **one.variant) for one in workloads]
        except InputError as error:
            self.outcomes.append(Outcome(kind, {}, {}, note=str(error)))
            return
        works = [_Work(workload, kernel) for workload, kernel in zip(workloads, kernels, strict=True)]
        own = {name: size for work in works for name, size in work.own.items() if name == CACHE or "BLOCK" in name}
        best: Sizes = {}
        # the cache first: it decides about every size that is 0
        for name in sorted(own, key=lambda name: (name != CACHE, name)):
            fastest, chosen_size = 1.0 - WORTH, None
            for size in CACHES if name == CACHE else BLOCKS:
                if size == own[name]:
                    continue
                self.say(f"{kind}: {name} = {size}")
                ratio = self._ratio(works, {**best, name: size}, best)
                if ratio < fastest:
                    fastest, chosen_size = ratio, size
            if chosen_size is not None:
                best[name] = chosen_size
        self.outcomes.append(self._kept(kind, works, own, best))

    def _kept(self, kind: str, works: Sequence[_Work], own: Sizes, best: Sizes) -> Outcome:
        if not best:
            return Outcome(kind, own, {}, note="its own sizes are as good" if own else "it has no block sizes")
        for work in works:
            kernel = work.kernel_with(best)
            found = self.check(work.workload, kernel, work.inputs, kernel(*work.inputs.arguments, **work.inputs.options))
            if found.verdict == BEYOND:
                note = f"with {best} it is beyond its bound ({found.how}): a fault of kernelproof, please report it"
                return Outcome(kind, own, {}, note=note)
        return Outcome(kind, own, best, {work.workload.name: self._ratio([work], best, {}) for work in works})

    def _ratio(self, works: Sequence[_Work], these: Sizes, those: Sizes) -> float:
        """The geometric mean of the times with these sizes over those; infinite where a size does not work."""
        logs = []
        for work in works:
            try:
                pair = self.pairing(work.call(these), work.call(those), self.effort)
            except Exception:
                return math.inf
            logs.append(math.log(pair.ratio))
        return math.exp(sum(logs) / len(logs))

    def write(self, path: Path) -> None:
        """Keep what was found; nothing is written where nothing is better."""
        if self.found:
            write(path, self.found)

    def table(self) -> str:
        """What was found, kind by kind."""
        rows = []
        for one in self.outcomes:
            sizes = ", ".join(f"{name} {one.own[name]} → {size}" for name, size in one.found.items())
            gains = ", ".join(f"{ratio:.2f}" for ratio in one.ratios.values())
            rows.append([one.kind, sizes or "–", gains or "–", one.note])
        return str(tabulate(rows, headers=["kernel", "sizes", "time, tuned / own", ""], disable_numparse=True))

    def to_json(self) -> dict[str, Any]:
        """The same as data."""
        rows = [{"kind": one.kind, "own": dict(one.own), "found": dict(one.found), "ratios": dict(one.ratios), "note": one.note}
                for one in self.outcomes]
        return {"format": "kernelproof tuning 1", "processor": processor(), "kernels": rows}


class _Work:
    """A workload with its inputs, and its kernel executed anew for every choice of sizes."""

    def __init__(self, workload: Workload, kernel: Kernel) -> None:
        self.workload, self._kernel = workload, kernel
        self.own = constants_of(_module(replace(kernel)))
        for name, size in _written(kernel, self.own).items():
            self.own[name] = size
        self.inputs = inputs_of(workload)

    def kernel_with(self, sizes: Sizes) -> Kernel:
        """The kernel with its own sizes but for these."""
        kernel = replace(self._kernel)
        _module(kernel).update({**self.own, **{name: size for name, size in sizes.items() if name in self.own}})
        return kernel

    def call(self, sizes: Sizes) -> Callable[[], Any]:
        """A call of the kernel with these sizes."""
        kernel = self.kernel_with(sizes)
        return lambda: kernel(*self.inputs.arguments, **self.inputs.options)


def _module(kernel: Kernel) -> dict[str, Any]:
    """The names of the executed module of a kernel."""
    names: dict[str, Any] = kernel.function.__globals__
    return names


def _written(kernel: Kernel, known: Mapping[str, int]) -> Sizes:
    """The sizes as the kernel's text has them, whatever an earlier tuning set."""
    space: dict[str, Any] = {"__name__": "kernelproof_own_sizes"}
    exec(compile(kernel.source, "<kernelproof sizes>", "exec"), space)
    return {name: size for name, size in constants_of(space).items() if name in known}
