"""The schedule of a CuPy gradient kernel: found in one table, asked in order, the first that knows a gradient writes kernels and lines.

What it does: a :class:`GradientPlan` holds kernels, and the lines that launch them and end in an assignment of ``d_NAME`` for each
differentiable input NAME, with all leading axes where the input has any. Guarantees: ``licences`` names the theorems that the order of the
computation rests on. Cannot see: speed. A gradient that no schedule knows is printed step by step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module

from kernelproof.numeric.cuda_kernel import KernelText
from kernelproof.numeric.signatures import Signature
from kernelproof.symbolic.phase import Gradient


@dataclass(frozen=True)
class GradientPlan:
    """``helpers`` are device functions, (name, C type), ``constants`` lines of the module, ``texts`` functions of Python; ``widened`` the
    arrays that are brought to the format computed in; ``rounded`` says that the gradients are in the format of the arrays already;
    ``signature`` is the one given, with other lines if these are needed.

    A plan without lines is for calls that fit it, ahead of the next plan: ``early`` lines come before arrays are widened and arguments
    checked; they set ``found``, to None where the call does not fit, and ``d_NAME``.
    """

    kernels: tuple[KernelText, ...]
    lines: tuple[str, ...]
    licences: tuple[str, ...]
    helpers: frozenset[tuple[str, str]] = frozenset()
    widened: tuple[str, ...] = ()
    rounded: bool = False
    signature: Signature | None = None
    constants: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    early: tuple[str, ...] = ()


Schedule = Callable[[Gradient, Signature, str], GradientPlan | None]
#: module and function of each schedule, the first that answers wins
SCHEDULES: tuple[tuple[str, str], ...] = (
    ("scatter", "embedding_gradient"), ("tensor_gradient", "gradient_on_tensor_cores"), ("attention_gradient", "attention_gradient"),
)


def gradient_plan_of(found: Gradient, signature: Signature, dtype: str) -> GradientPlan | None:
    """The plan of a gradient's CuPy kernel in a format, or None where it has no schedule for every call."""
    ahead: GradientPlan | None = None
    for module, function in SCHEDULES:
        schedule: Schedule = getattr(import_module(f"kernelproof.numeric.cuda.{module}"), function)
        plan = schedule(found, signature, dtype)
        if plan is not None and plan.lines:
            return plan if ahead is None else _joined(ahead, plan)
        ahead = plan or ahead
    return None


def _joined(ahead: GradientPlan, plan: GradientPlan) -> GradientPlan:
    """The plan, with another one that is tried before it."""
    licences, constants, texts = (
        tuple(dict.fromkeys((*first, *second)))
        for first, second in ((ahead.licences, plan.licences), (ahead.constants, plan.constants), (ahead.texts, plan.texts))
    )
    return replace(plan, licences=licences, constants=constants, texts=texts, early=ahead.early)
