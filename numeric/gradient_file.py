"""The text of a generated gradient kernel file: ``PHASE_vjp``.

What it does: as ``kernel_file``, for a gradient: the docstring has the equations that define it, shapes, the theorems, the bound and the
fingerprint; the function gives a tuple, one gradient for each differentiable input. Guarantees: as ``kernel_file``; a gradient has its
input's shape, sums over leading axes that the input does not have included. Cannot see: how it is called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kernelproof.numeric.file_parts import dtype_check, facts, file_text, filled, quoted
from kernelproof.numeric.gradient_forms import FLAT, GradientProgram, gradient_program
from kernelproof.numeric.gradient_printer import GradientPrinter
from kernelproof.numeric.gradient_recipe import Recipe, recipe
from kernelproof.numeric.gradient_signature import GRAD_OUT, gradient_signature, vjp_name
from kernelproof.numeric.program import Program
from kernelproof.numeric.schedules.plan import Plan, gradient_plan_of
from kernelproof.numeric.signatures import Signature
from kernelproof.numeric.source_code import size_code
from kernelproof.symbolic.phase import Gradient
from kernelproof.symbolic.printing.derivation import equations_of, variant_text
from kernelproof.symbolic.printing.render import text


def gradient_licences(found: Gradient) -> tuple[str, ...]:
    """The theorems that license the form: that the definitions are the gradient, other forms that were taken, and those of the schedule."""
    made, plan = _made(found)
    own = plan.licences if plan else recipe(made).licences
    return tuple(dict.fromkeys((f"{found.phase}.vjp", *own)))


def _made(found: Gradient) -> tuple[GradientProgram, Plan | None]:
    made = gradient_program(found.phase, found.variant)
    return made, gradient_plan_of(found, made, gradient_signature(found.phase, found.variant))


def gradient_docstring(found: Gradient, dtype: str, backend: str, licences: Sequence[str]) -> str:
    """The docstring of the file."""
    variant, signature = variant_text(found), gradient_signature(found.phase, found.variant)
    lines = [f"{found.title}{f' ({variant})' if variant else ''}: {backend}, {dtype}.", "", "Definitions:"]
    lines += [f"    {text(formula)}" for definition in found.definitions for formula in equations_of(definition)]
    lines += ["Gradients:", *(f"    of {name}: {stage}" for name, stage in found.results.items())]
    lines += ["Shapes:", *(f"    {shape}" for shape in signature.shapes)]
    end = facts(licences, found.statements, "Rounding error, of each gradient:", dtype, found.fingerprint())
    return quoted([*lines, *end])


def gradient_source(found: Gradient, dtype: str) -> str:
    """The NumPy kernel file of a gradient."""
    phase, name = found.phase, vjp_name(found.phase)
    signature = gradient_signature(phase, found.variant)
    made, plan = _made(found)
    plan = plan or _whole(made, signature, found.variant)
    signature = plan.signature or signature
    compute = "float32" if dtype in ("float16", "bfloat16") else dtype
    steps = [*(filled(line, name) for line in signature.before), *_of_type(phase), *plan.lines, *return_lines(made, signature)]
    opening = gradient_docstring(found, dtype, "numpy", gradient_licences(found))
    return file_text(opening, [f"COMPUTE = np.{compute}"], plan, signature, name, steps)


def _of_type(phase: str) -> list[str]:
    """The types of a phase whose arguments are not all floating."""
    if phase != "embedding":
        return []
    arrays = ("table", GRAD_OUT)
    lines = [*dtype_check(vjp_name(phase), arrays), f"dtype = np.result_type({', '.join(arrays)})", "work = np.result_type(dtype, COMPUTE)"]
    return [*lines, f"{GRAD_OUT} = {GRAD_OUT}.astype(work, copy=False)"]


# -- without a schedule -------------------------------------------------------------------------------------------------------------


def _whole(made: GradientProgram, signature: Signature, variant: Mapping[str, object]) -> Plan:
    """No schedule: one operation after the other on whole arrays."""
    chosen: Recipe = recipe(made)
    names, implicit = {made.result.name: GRAD_OUT}, not made.leading and made.phase not in FLAT
    printer = GradientPrinter(chosen.program, "np", signature.unbatched, signature.optional, names, implicit)
    lines = named_lines(made, chosen.program, [code.code for code in printer.run()], variant)
    imports = ("from scipy.special import erf",) if printer.uses_erf else ()
    return Plan((*printer.lines, *lines), imports=imports, licences=chosen.licences)


def named_lines(
    made: GradientProgram, program: Program, outputs: Sequence[str], variant: Mapping[str, object], module: str = "np"
) -> list[str]:
    """The lines that make ``d_NAME`` of the code of the outputs, for each differentiable input NAME."""
    implicit, lines, place = not made.leading and made.phase not in FLAT, list[str](), 0
    for name, count in zip(made.inputs, made.clauses, strict=True):
        parts, lengths = outputs[place : place + count], _lengths(program, place)
        place += count
        lead = () if not implicit else ("*lead",) if made.phase == "attention" else ("*x.shape[:-2]",)
        lines += [f"d_{name} = {parts[0]}"] if count == 1 else _by_cases(f"d_{name}", parts, (*lead, *lengths), variant, module)
        own = [size_code(axis).code for axis in made.axes[name]]
        if name in ("q", "k", "v") and (made.leading or len(lengths) != len(own)):
            width = "v.shape[-1]" if name == "v" else own[-1]
            lines.append(f"d_{name} = d_{name}.reshape((*lead, {', '.join(own[:-1])}, {width}))")
    return lines


def _lengths(program: Program, place: int) -> list[str]:
    """The lengths of the axes that an output is wanted in."""
    ref = program.outputs[place]
    sizes = dict(zip(ref.axes, program.operations[ref.value].axes, strict=True))
    return [size_code(sizes[name].size).code for name in program.frames[place]]


def _by_cases(name: str, parts: Sequence[str], shape: tuple[str, ...], variant: Mapping[str, object], module: str) -> list[str]:
    """Channels that turn in pairs, each where the layout has it; ``shape`` is that of one part."""
    alternate = "interleaved" in (variant.get("layout"), variant.get("rotary"))
    places = ("..., 0::2", "..., 1::2") if alternate else (f"..., :{shape[-1]}", f"..., {shape[-1]}:")
    whole = f"{name} = {module}.empty(({', '.join(shape[:-1])}, 2 * {shape[-1]}), dtype=work)"
    return [whole, *(f"{name}[{place}] = {part}" for place, part in zip(places, parts, strict=True))]


# -- results --------------------------------------------------------------------------------------------------------------------------


def return_lines(made: GradientProgram, signature: Signature, stored: str = "{}.astype(dtype, copy=False)") -> list[str]:
    """The tuple: each gradient in its input's shape and, by the code ``stored``, in the type of the arrays."""
    shown = {name: stored.format(_in_shape(made, signature, name)) for name in made.inputs}
    if "params" not in signature.call:
        return ["return (", *(f"    {code}," for code in shown.values()), ")"]
    first, *rest = made.inputs
    lines = ["d_params = {", *(f'    "{name}": {shown[name]},' for name in rest), "}"]
    return [*lines, f"return {shown[first]}, d_params"]


def _in_shape(made: GradientProgram, signature: Signature, name: str) -> str:
    """A gradient in its input's shape."""
    if made.phase == "attention" and name in ("q", "k", "v"):
        return f"_to_shape(d_{name}, {name}_shape)" if made.leading else f"_to_shape(d_{name}, {name}.shape)"
    if name == "x" and (made.phase in FLAT or made.leading):
        return "d_x.reshape(shape)"
    whole = len(made.axes[name]) == len(made.program.frames[sum(made.clauses[: made.inputs.index(name)])])
    return f"d_{name}" if whole or made.phase == "rotary" else f"d_{name}.reshape({name}.shape)"
