"""Seeded faults of CUDA kernels: what is changed in a generated file, and which tier is expected to see it.

What it does: each fault is a change of the text by a regular expression that must match. The rows stand in the modules of :data:`MODULES`,
each of which has ``faults(dataclass)``; ``kernel`` names the file that a fault is put into, a row of ``targets``. ``tier`` names the tier
that a push runs for it: T0 text, T1 compile, T2 execute, T3a address and undefined behaviour, T3t thread; ``tiers`` tries them all. Cannot
see: what no tier can, a wrong instruction in a wrapper whose text was meant to change; a device has to be asked.
"""

from __future__ import annotations

import re
import runpy
from dataclasses import dataclass
from pathlib import Path

#: modules beside this file, in the order of the table
MODULES = (
    "forward_faults", "warpgroup_faults", "printer_faults", "inside_faults", "gradient_faults", "tensor_gradient_faults",
)


@dataclass(frozen=True)
class Fault:
    """A change of a generated file, ``pattern`` to ``change``; the tier that is expected to see it, and whether every push tries.

    ``kernel`` is the key of its target: "" for the printer's kernels.
    """

    name: str
    phase: str
    dtype: str
    pattern: str
    change: str
    tier: str = "T2"
    kernel: str = ""
    push: bool = True

    def applied(self, source: str) -> str:
        """The changed file; ValueError where nothing matches."""
        changed, count = re.subn(self.pattern, self.change, source)
        if not count or changed == source:
            raise ValueError(f"fault {self.name!r}: the text has nothing like {self.pattern}")
        return changed


def _rows(module: str) -> tuple[Fault, ...]:
    """The faults of a module; run by its path, for tests cannot import their neighbours by name."""
    found: tuple[Fault, ...] = runpy.run_path(str(Path(__file__).with_name(f"{module}.py")))["faults"](Fault)
    return found


FAULTS = tuple(fault for module in MODULES for fault in _rows(module))
