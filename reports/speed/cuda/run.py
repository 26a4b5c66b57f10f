"""The part of a run of ``kernelproof bench`` that is on a GPU: which rows, on which device, or why there are none.

What it does: rows of a GPU are measured where no rival is named, or one that runs there is. Guarantees: without a device a call that asks
for nothing else is an error of one line, and every other says in one line why there are none. Cannot see: a second device; the first is
used, or what CUDA_VISIBLE_DEVICES says. KERNELPROOF_CUDA_ROWS names one group of rows, where a session on a device measures each apart.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from kernelproof.reports.speed.cuda import device
from kernelproof.reports.speed.cuda.measuring import CudaBench
from kernelproof.reports.speed.cuda.workloads import CUDA_WORKLOADS, ONE_GROUP, CudaWorkload, chosen
from kernelproof.reports.speed.model import Row, Table
from kernelproof.reports.speed.rivals import CUDA, check_rivals
from kernelproof.symbolic.errors import InputError


class OnGpu:
    """The rows of a GPU of one run; ``alone`` where no rival of the CPU is asked for."""

    def __init__(self, phases: Sequence[str], names: Sequence[str], alone: bool) -> None:
        self.rivals = check_rivals(names, CUDA)
        self.workloads: list[CudaWorkload] = chosen(phases, os.environ.get(ONE_GROUP, "")) if self.rivals else []
        self.missing = device.missing() if self.workloads else ""
        self.rows: list[Row] = []
        self._bench: CudaBench | None = None
        if alone and not self.workloads:
            there = ", ".join(dict.fromkeys(row.phase for row in CUDA_WORKLOADS))
            raise InputError(
                f"bench {' '.join(phases)} --against {','.join(names)}: these compare on a GPU, where rows of {there} are; name one of them"
            )
        if self.missing:
            if alone:
                raise InputError(f"bench --against {','.join(names)}: these compare on a GPU: {self.missing}")
            self.workloads = []

    def note(self) -> dict[str, Any]:
        """What the head of the table says where there is no device."""
        return {"cuda": self.missing} if self.missing else {}

    def measure(self, workload: CudaWorkload, say: Callable[[str], None]) -> None:
        """One row more."""
        if self._bench is None:
            found = device.Device()
            self._facts = device.described(found)
            self._bench = CudaBench(self.rivals, found, say=say)
        self.rows.append(self._bench.row(workload))

    def table(self, complete: bool, ended: bool = True) -> Table | None:
        """What there is so far; None where nothing was measured. Only where the run has ended is nvidia-smi asked, which takes its time."""
        if self._bench is None:
            return None
        return Table({**self._facts, "nvidia-smi after": device.asked() if ended else {}}, tuple(self.rows), complete)
