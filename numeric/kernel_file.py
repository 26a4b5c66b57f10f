"""The text of a generated kernel file.

What it does: puts together the docstring (equations, shapes, theorems, bound, fingerprint), the signature of the contract, the
lines of the printer, and a content hash. Guarantees: the file stands alone (numpy or cupy; scipy only for erf), and the same
derivation, backend, dtype and version give the same bytes. Cannot see: how it is called; the conventions are in ``signatures``.
"""

from __future__ import annotations

from kernelproof.numeric.cuda.grouped import LICENCE as GROUPED
from kernelproof.numeric.cuda.grouped import is_grouped
from kernelproof.numeric.cuda.plan import CudaPlan, cuda_plan_of
from kernelproof.numeric.file_parts import dtype_check, facts, file_text, filled, quoted
from kernelproof.numeric.forms import program_of
from kernelproof.numeric.printer import ArrayPrinter, Code
from kernelproof.numeric.schedules.plan import Plan, plan_of
from kernelproof.numeric.signature_variants import signature as signature_of
from kernelproof.numeric.signatures import Signature
from kernelproof.symbolic.phase import Derivation
from kernelproof.symbolic.printing.derivation import definition_equations, variant_text
from kernelproof.symbolic.printing.render import text


def licences_of(derivation: Derivation, backend: str, dtype: str) -> tuple[str, ...]:
    """The theorems that license the form of a kernel: the derivation's, and those of its schedule."""
    plan: Plan | CudaPlan | None
    if backend == "numpy":
        plan = plan_of(derivation, signature_of(derivation.phase, derivation.variant))
    else:
        plan = cuda_plan_of(derivation, dtype)
    grouped = (GROUPED,) if backend != "numpy" and is_grouped(derivation.variant) else ()
    return tuple(dict.fromkeys((*derivation.licences, *(plan.licences if plan else ()), *grouped)))


def docstring(derivation: Derivation, backend: str, dtype: str) -> str:
    """The opening docstring of a kernel file."""
    variant = variant_text(derivation)
    signature = signature_of(derivation.phase, derivation.variant, cache=backend == "numpy")
    lines = [f"{derivation.title}{f' ({variant})' if variant else ''}: {backend}, {dtype}.", "", "Definition:"]
    lines += [f"    {text(formula)}" for formula in definition_equations(derivation)]
    lines += ["Kernel form, the last line of the derivation:"]
    lines += [f"    {text(clausal.lines[0].theorem.left)} = {text(clausal.kernel)}" for clausal in derivation.clauses]
    lines += ["Shapes:", *(f"    {shape}" for shape in signature.shapes)]
    licences = licences_of(derivation, backend, dtype)
    return quoted([*lines, *facts(licences, derivation.statements, "Rounding error:", dtype, derivation.fingerprint())])


def kernel_source(derivation: Derivation, dtype: str) -> str:
    """The NumPy kernel file of a derivation."""
    phase = derivation.phase
    signature = signature_of(phase, derivation.variant)
    plan = plan_of(derivation, signature) or _whole(derivation, signature)
    signature = plan.signature or signature
    compute = "float32" if dtype in ("float16", "bfloat16") else dtype
    types = dtype_lines(dtype) if phase == "positional" else [f"COMPUTE = np.{compute}"]
    steps = [
        *(filled(line, phase) for line in signature.before),
        *(dtype_check("embedding", ("table",)) if phase == "embedding" else ()), *steps_line(derivation), *plan.lines,
        *_return_lines(phase, signature),
    ]
    return file_text(docstring(derivation, "numpy", dtype), types, plan, signature, phase, steps)


def _whole(derivation: Derivation, signature: Signature) -> Plan:
    """No schedule: one operation after the other on whole arrays."""
    printer = ArrayPrinter(program_of(derivation.definition.name), "np", signature.unbatched, signature.optional)
    outputs = printer.run()
    lines = (*printer.lines, *result_lines(derivation, signature, outputs, "np"))
    return Plan(lines, imports=("from scipy.special import erf",) if printer.uses_erf else ())


def _return_lines(phase: str, signature: Signature) -> list[str]:
    """The result in the dtype of the arrays; with it all keys and values where earlier ones were given."""
    if phase in ("positional", "embedding"):
        return ["return out"]
    if not signature.cache:
        return ["return out.astype(dtype, copy=False)"]
    return [
        "out = out.astype(dtype, copy=False)",
        "return out if past_k is None else (out, k.astype(dtype, copy=False), v.astype(dtype, copy=False))",
    ]


def dtype_lines(dtype: str) -> list[str]:
    """The constant DTYPE of a kernel that makes its own array."""
    if dtype == "bfloat16":
        return ["import ml_dtypes", "", "DTYPE = ml_dtypes.bfloat16"]
    return [f"DTYPE = np.{dtype}"]


def result_lines(derivation: Derivation, signature: Signature, outputs: list[Code], module: str) -> list[str]:
    """The lines that make ``out``."""
    layout = derivation.variant.get("layout")
    if layout is None:
        return [f"out = {signature.result.replace('{np}', module).replace('{out}', outputs[0].code)}"]
    first, second = (":, 0::2", ":, 1::2") if layout == "interleaved" else (":, :sines", ":, sines:")
    if derivation.phase == "positional":
        shape, dtype = "(n, d)", "DTYPE"
    else:
        shape, dtype = "x.shape", "work"
        first, second = ("..., 0::2", "..., 1::2") if layout == "interleaved" else ("..., :h", "..., h:")
    return [
        f"out = {module}.empty({shape}, dtype={dtype})", f"out[{first}] = {outputs[0].code}", f"out[{second}] = {outputs[1].code}",
    ]


def steps_line(derivation: Derivation) -> list[str]:
    """What the variants of the positions set."""
    if derivation.phase != "positional":
        return []
    lines = ["steps = d / 2"] if derivation.variant["denominator"] == "paper" else ["steps = max(d // 2 - 1, 1)"]
    if derivation.variant["layout"] == "halves":
        lines += ["if d % 2:", '    raise ValueError(f"positional: width {d}; expected an even width in the layout halves")']
    return lines
