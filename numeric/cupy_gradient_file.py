"""The text of a generated CuPy gradient kernel file: ``PHASE_vjp``.

What it does: as ``cupy_file``, for a gradient: the signature and the conventions of the NumPy gradient's file, a tuple with one gradient
for each differentiable input. Where no schedule knows the gradient, its recipe is printed step by step: products are the matrix library's,
every other sum is a row of a kernel, in one order; attention inside another phase is one step, by tiles of scores (``cuda.inside``).
Guarantees: as ``cupy_file``; no atomic additions; intermediates are float32 or wider, and a gradient of 16 bits is rounded once. Cannot
see: the matrix library, as ``cupy_file``.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from kernelproof.numeric.cuda.gradient_plan import GradientPlan, gradient_plan_of
from kernelproof.numeric.cuda.inside import gradient_inside
from kernelproof.numeric.cupy_file import format_lines, head_lines, size_lines
from kernelproof.numeric.cupy_gradient_printer import CupyGradientPrinter
from kernelproof.numeric.cupy_launch import LOADED, NARROWED, WIDENED
from kernelproof.numeric.file_parts import filled, sealed
from kernelproof.numeric.gradient_file import gradient_docstring, named_lines, return_lines
from kernelproof.numeric.gradient_forms import FLAT, GradientProgram, gradient_program
from kernelproof.numeric.gradient_recipe import Recipe, recipe
from kernelproof.numeric.gradient_signature import GRAD_OUT, gradient_signature, vjp_name
from kernelproof.numeric.signatures import Signature
from kernelproof.symbolic.phase import Gradient


def cupy_gradient_licences(found: Gradient, dtype: str) -> tuple[str, ...]:
    """The theorems that license the form: that the definitions are the gradient, other forms that were taken, and those of the schedule."""
    signature = gradient_signature(found.phase, found.variant)
    if plan := gradient_plan_of(found, signature, dtype):
        return tuple(dict.fromkeys((f"{found.phase}.vjp", *plan.licences)))
    chosen = _recipe(found.phase, tuple(found.variant.items()))
    inside = gradient_inside(found, chosen.program, signature, dtype)
    return tuple(dict.fromkeys((f"{found.phase}.vjp", *(inside or chosen).licences)))


@cache
def _recipe(phase: str, variant: tuple[tuple[str, object], ...]) -> Recipe:
    """The recipe of a gradient, for every format the same."""
    return recipe(gradient_program(phase, dict(variant)))


def cupy_gradient_source(found: Gradient, dtype: str) -> str:
    """The CuPy kernel file of a gradient."""
    name, made = vjp_name(found.phase), gradient_program(found.phase, found.variant)
    signature = gradient_signature(found.phase, found.variant)
    plan = gradient_plan_of(found, signature, dtype) or _steps(found, made, signature, dtype)
    signature = plan.signature or signature
    opening = gradient_docstring(found, dtype, "cupy", cupy_gradient_licences(found, dtype))
    head = head_lines(opening, dtype, list(plan.kernels), set(plan.helpers)) + (["", *plan.constants] if plan.constants else [])
    bits = dtype == "bfloat16"
    texts = [LOADED, *([WIDENED] if bits and plan.widened else []), *([NARROWED] if bits and not plan.rounded else [])]
    texts += [*plan.texts, *signature.helpers]
    for text in texts:
        head += ["", text.replace("{np}", "cp").rstrip()]
    stored = "_narrowed({})" if bits and not plan.rounded else "{}.astype(dtype, copy=False)"
    early = plan.early and (*plan.early, *(f"    {line}" for line in return_lines(made, signature, stored.replace("dtype", "STORED"))))
    body = [*_prologue(signature, name, dtype, plan.widened, early), *plan.lines, *return_lines(made, signature, stored)]
    return sealed("\n".join((*head, "", "", f"def {name}({signature.call}):", *(f"    {line}" for line in body))) + "\n")


def _steps(found: Gradient, made: GradientProgram, signature: Signature, dtype: str) -> GradientPlan:
    """No schedule: one step after the other. Not attention's: what an input was broadcast along would be rounded before it is summed."""
    phase, name = found.phase, vjp_name(found.phase)
    if phase == "attention":
        raise ValueError(f"printing {name}: no tiles know the variant {dict(found.variant)}")
    chosen, names = _recipe(phase, tuple(found.variant.items())), {made.result.name: GRAD_OUT}
    inside = gradient_inside(found, chosen.program, signature, dtype)
    program, signature = (inside.program, inside.signature) if inside else (chosen.program, signature)
    above, parts = _destinations(found)
    implicit = not made.leading and phase not in FLAT
    printer = CupyGradientPrinter(name, program, signature, dtype, names, implicit=implicit, destinations=parts)
    outputs = [code.code for code in printer.run()]
    before = _prologue(signature, name, dtype, printer.widened)
    sizes = size_lines(program, printer.kernels, before, names)
    ends = [] if parts else named_lines(made, program, outputs, found.variant, "cp")
    lines = (*sizes, *above, *printer.lines, *ends)
    plan = GradientPlan(
        tuple(printer.kernels), lines, chosen.licences, frozenset(printer.helpers), printer.widened, rounded=True, signature=signature
    )
    if inside is None:
        return plan
    own = inside.own
    return replace(
        plan, kernels=(*own.kernels, *plan.kernels), helpers=plan.helpers | own.helpers, constants=inside.constants, texts=inside.texts,
        licences=inside.licences,
    )


def _prologue(signature: Signature, name: str, dtype: str, widened: tuple[str, ...], early: tuple[str, ...] = ()) -> list[str]:
    """From the user's arguments to the formal parameters, as in the NumPy file; ``early`` lines may return before they are widened."""
    before = [filled(line, name, "cp") for line in signature.before]
    if not signature.arrays:  # ids are no floating point: the phase checks its own arguments
        at = next(place for place, line in enumerate(before) if line.startswith("ids, table = "))
        rest = [line for line in before[at + 1 :] if line != f"{GRAD_OUT} = cp.asarray({GRAD_OUT})"]
        loaded = f"ids, table, {GRAD_OUT} = _loaded(ids), _loaded(table), _loaded({GRAD_OUT})"
        return [*before[:at], loaded, *format_lines(("table", GRAD_OUT), name, dtype, ()), *rest]
    plain = [part.strip() for part in signature.call.partition(", *")[0].split(",")]
    params = tuple(array for array in signature.arrays if array not in plain)
    given = {array: f'_loaded(params["{array}"])' if array in params else f"_loaded({array})" for array in signature.arrays}
    lines = []
    if params:
        lines += [
            f"missing = [name for name in {params!r} if name not in params]",
            "if missing:",
            f'    raise KeyError(f"{name}: params lacks {{missing}}; expected a mapping with w_q … bias2")',
        ]
    lines.append(f"{', '.join(given)} = {', '.join(given.values())}")
    return [*lines, *format_lines(signature.arrays, name, dtype, widened, early), *before]


def _destinations(found: Gradient) -> tuple[list[str], tuple[str, ...]]:
    """Where the gradient is made of two, and no kernel reads it: the line that makes it, and its parts."""
    if found.phase != "rotary":
        return [], ()
    parts = ("..., 0::2", "..., 1::2") if found.variant.get("layout") == "interleaved" else ("..., :h", "..., h:")
    return ["d_x = cp.empty(x.shape, dtype=STORED)"], tuple(f"d_x[{part}]" for part in parts)
