"""The schedule of a CuPy kernel: what it puts into the file beside the kernels of the printer.

What it does: a :class:`CudaPlan` holds constants with CUDA text and launch contract, helper functions, and lines that run once the formats
of the arrays are known. Guarantees: ``licences`` names the theorems that the order of the computation rests on, beside those of the
derivation. Where the lines do not return a result, the file goes on as if there were no plan. Cannot see: speed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from kernelproof.numeric.program import Program
from kernelproof.numeric.signatures import Signature
from kernelproof.symbolic.phase import Derivation


@dataclass(frozen=True)
class CudaPlan:
    """``constants`` are lines of the module; ``helpers`` texts of functions; ``lines`` stand between the check of formats and the rest.

    ``loader`` is the helper that brings an argument to an array of CuPy; ``licences`` are ids of theorems.
    ``whole``: there are no other kernels to go on with; ``lines`` come after all checks of arguments, and end with the result.
    ``numpy``: the file needs NumPy, beside CuPy, for what it asks of the driver.
    ``program`` is what the printer prints instead of the phase's own, ``signature`` the one given with other lines, if it needs others.
    """

    constants: tuple[str, ...]
    helpers: tuple[str, ...]
    lines: tuple[str, ...]
    loader: str
    licences: tuple[str, ...]
    whole: bool = False
    program: Program | None = None
    signature: Signature | None = None
    numpy: bool = False


@dataclass(frozen=True)
class Contract:
    """How a kernel is launched and what it may use: what the compiler is held to, and what an emulator allocates.

    ``rows`` of the result are a block's; ``block`` threads, ``blocks`` of them on a multiprocessor at least; ``shared`` bytes of dynamic
    shared memory; ``registers`` and bytes of ``local`` memory of a thread at most.
    """

    rows: int
    block: int
    blocks: int
    shared: int
    registers: int
    local: int = 0

    def __str__(self) -> str:
        return "{" + ", ".join(f'"{name}": {value}' for name, value in vars(self).items()) + "}"


Schedule = Callable[[Derivation, str], CudaPlan | None]
#: module and function of each schedule, in the order in which a file tries them
SCHEDULES: tuple[tuple[str, str], ...] = (
    ("attention", "attention_on_tensor_cores"), ("tiled", "attention_in_tiles"), ("inside", "attention_inside"),
)


def cuda_plan_of(derivation: Derivation, dtype: str) -> CudaPlan | None:
    """The plan of a derivation's CuPy kernel in a format, of all schedules that have one; None where none has."""
    found: CudaPlan | None = None
    for module, function in SCHEDULES:
        schedule: Schedule = getattr(import_module(f"kernelproof.numeric.cuda.{module}"), function)
        plan = schedule(derivation, dtype)
        if plan is not None:
            found = plan if found is None else _joined(found, plan)
    return found


def _joined(first: CudaPlan, second: CudaPlan) -> CudaPlan:
    """Both plans in one file; the first is tried first."""
    return CudaPlan(
        (*first.constants, "", *second.constants), tuple(dict.fromkeys((*first.helpers, *second.helpers))), (*first.lines, *second.lines),
        first.loader, tuple(dict.fromkeys((*first.licences, *second.licences))), numpy=first.numpy or second.numpy,
    )
