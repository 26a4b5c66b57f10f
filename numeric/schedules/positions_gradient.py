"""The schedule of rotary encoding's gradient: turned back by the same angles, in blocks of positions on threads.

What it does: R(−θ) of a pair has the same cosine and minus the sine, so the lines are those of :mod:`positions`, with ``grad_out`` for x.
Guarantees: those of :mod:`positions`. Cannot see: as there.
"""

from __future__ import annotations

from kernelproof.numeric.gradient_forms import GradientProgram
from kernelproof.numeric.gradient_signature import GRAD_OUT
from kernelproof.numeric.schedules.plan import Plan
from kernelproof.numeric.schedules.positions import plan_with, turned_lines
from kernelproof.numeric.signatures import Signature
from kernelproof.symbolic.phase import Gradient


def rotary_gradient(found: Gradient, _: GradientProgram, __: Signature) -> Plan | None:
    """The plan of the gradient of rotary encoding."""
    if found.phase != "rotary":
        return None
    *lines, last = turned_lines(str(found.variant["layout"]), "-")
    return plan_with((f"x = {GRAD_OUT}", *lines, last.replace("out = ", "d_x = ")))
