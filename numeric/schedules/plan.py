"""The schedule of a NumPy kernel: found in one table, asked in order, the first that knows a derivation writes its lines.

What it does: a :class:`Plan` holds what a schedule puts into the file: imports, constants, helper functions, and the lines between the
checks of the arguments and ``out``. Without one the lines of the printer stand there. Guarantees: ``licences`` names the theorems that the
order of the computation rests on, beside those of the derivation; sizes of blocks are integer constants of the module called …BLOCK, 0
where a small cost model chooses from CACHE_BYTES at run time, so that the text is the same on every machine. Cannot see: speed; that is
what ``kernelproof bench`` measures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from kernelproof.numeric.signatures import Signature
from kernelproof.symbolic.phase import Derivation, Gradient

if TYPE_CHECKING:
    from kernelproof.numeric.gradient_forms import GradientProgram


@dataclass(frozen=True)
class Plan:
    """What a schedule puts into a kernel file.

    ``imports`` are whole lines; ``constants`` lines of the module; ``helpers`` texts of functions; ``lines`` end in an assignment of
    ``out``, in the working type and of the shape that the signature's result has; those of a gradient kernel in one of ``d_NAME`` for each
    differentiable input NAME, in the working type, with all leading axes where the input has any: the file sums what was broadcast.
    ``licences`` are ids of theorems; ``signature`` is the one given with other lines before these, if the schedule needs others.
    """

    lines: tuple[str, ...]
    imports: tuple[str, ...] = ()
    constants: tuple[str, ...] = ()
    helpers: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()
    signature: Signature | None = None


Schedule = Callable[[Derivation, Signature], Plan | None]
#: module and function of each schedule, the first that answers wins
SCHEDULES: tuple[tuple[str, str], ...] = (
    ("attention", "attention"),
    ("rows", "rows"), ("positions", "positions"),
)


def schedules() -> Iterator[Schedule]:
    """The schedules in order."""
    for module, function in SCHEDULES:
        found: Schedule = getattr(import_module(f"kernelproof.numeric.schedules.{module}"), function)
        yield found


def plan_of(derivation: Derivation, signature: Signature) -> Plan | None:
    """The plan of a derivation's NumPy kernel, or None where it has no schedule."""
    return next((plan for schedule in schedules() if (plan := schedule(derivation, signature)) is not None), None)


GradientSchedule = Callable[[Gradient, "GradientProgram", Signature], Plan | None]
#: module and function of each schedule of a gradient kernel, the first that answers wins
GRADIENT_SCHEDULES: tuple[tuple[str, str], ...] = (
    ("scatter", "embedding_gradient"), ("gradient_rows", "gradient_rows"), ("attention_gradient", "attention_gradient"),
    ("attention_gradient_inside", "gradient_inside"), ("positions_gradient", "rotary_gradient"),
)


def gradient_plan_of(found: Gradient, made: GradientProgram, signature: Signature) -> Plan | None:
    """The plan of a gradient's NumPy kernel, or None where it has no schedule."""
    for module, function in GRADIENT_SCHEDULES:
        schedule: GradientSchedule = getattr(import_module(f"kernelproof.numeric.schedules.{module}"), function)
        if (plan := schedule(found, made, signature)) is not None:
            return plan
    return None
