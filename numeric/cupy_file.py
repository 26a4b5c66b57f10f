"""The text of a generated CuPy kernel file.

What it does: the counterpart of ``kernel_file`` for CuPy: the same docstring, signature and conventions, the CUDA text of the
kernels as one constant, their launch contract as data, and a content hash. Guarantees: the file stands alone (math and cupy, and
numpy where a plan asks the driver for something), and importing it needs no device: the kernels are compiled when the first one runs.
16-bit arrays are storage: products and sums are computed in float32; bfloat16 is handed over as its 16 bits (uint16), for CuPy has no such
type.

Cannot see: the matrix library. Products are as accurate as the error bound assumes only while cuBLAS computes in float32 (CuPy's
default; not with CUPY_TF32). Unlike the NumPy file, a file refuses arrays of a wider format than its own: its kernels are compiled
for one.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

from kernelproof.numeric.cuda.grouped import SPLIT, is_grouped, plain_program
from kernelproof.numeric.cuda.plan import CudaPlan, cuda_plan_of
from kernelproof.numeric.cuda_kernel import KernelText
from kernelproof.numeric.cuda_types import TYPES, Types, helpers_text
from kernelproof.numeric.cupy_launch import LAUNCH, MERGED, WIDENED
from kernelproof.numeric.cupy_printer import CupyPrinter
from kernelproof.numeric.file_parts import filled, sealed
from kernelproof.numeric.forms import program_of
from kernelproof.numeric.kernel_file import docstring, steps_line
from kernelproof.numeric.program import Program
from kernelproof.numeric.signature_variants import signature as signature_of
from kernelproof.numeric.signatures import Signature
from kernelproof.numeric.source_code import size_code
from kernelproof.symbolic.phase import Derivation
from kernelproof.symbolic.terms import Var

#: ids may have any number of axes, none included; the kernel reads a row of them
FLAT_IDS = ("shape = ids.shape", "ids = ids.reshape(-1)")
#: replaced by the check of ``format_lines``: bfloat16 is handed over as integers
TABLE_FORMAT = "if table.dtype.kind"
FLAT_RESULT = "out = out.reshape((*shape, table.shape[1]))"


def cupy_source(derivation: Derivation, dtype: str) -> str:
    """The CuPy kernel file of a derivation."""
    phase, types = derivation.phase, TYPES[dtype]
    grouped, plan = is_grouped(derivation.variant), cuda_plan_of(derivation, dtype)
    if plan is not None and plan.whole:
        return _whole(derivation, dtype, plan)
    signature = plan.signature if plan and plan.signature else signature_of(phase, derivation.variant, cache=False)
    program = plain_program(derivation) if grouped else program_of(derivation.definition.name)
    program = plan.program if plan and plan.program else program
    made, destinations = _destinations(derivation)
    printer = CupyPrinter(phase, program, signature, dtype, destinations)
    outputs = printer.run()
    prologue = [*_prologue(derivation, signature, dtype, printer.widened, plan), *steps_line(derivation), *(SPLIT if grouped else ())]
    body = [*prologue, *size_lines(program, printer.kernels, prologue), *made, *printer.lines]
    if not destinations:
        result = signature.result.replace("{np}", "cp").replace("{out}", outputs[0].code)
        body += [] if result == "out" else [f"out = {result.replace('(out)', 'out')}"]
    if phase == "embedding":
        body.append(FLAT_RESULT)
    body.append("return out" if phase == "positional" or types.converts else "return out.astype(dtype, copy=False)")
    numpy = plan is not None and plan.numpy
    head = head_lines(docstring(derivation, "cupy", dtype), dtype, printer.kernels, printer.helpers, numpy=numpy)
    if plan is not None:
        merged = () if printer.kernels else (MERGED,)  # which otherwise stands with what launches the kernels
        head += ["", *plan.constants, *(f"\n{helper.rstrip()}" for helper in (*merged, *plan.helpers))]
    if dtype == "bfloat16" and printer.widened:
        head += ["", WIDENED.rstrip()]
    for helper in signature.helpers:
        head += ["", helper.replace("{np}", "cp").rstrip()]
    function = [f"def {phase}({signature.call}):", *(f"    {line}" for line in body)]
    return sealed("\n".join((*head, "", "", *function)) + "\n")


def _whole(derivation: Derivation, dtype: str, plan: CudaPlan) -> str:
    """The file of a kernel that is its schedule's alone: the checks of arguments, up to where a mask would be laid out, and its lines."""
    phase, signature = derivation.phase, signature_of(derivation.phase, derivation.variant, cache=False)
    before = [filled(line, phase, "cp") for line in signature.before]
    checks = before[: next((at for at, line in enumerate(before) if line.startswith("allow, bias = _mask(")), len(before))]
    loaded = ", ".join(f"{plan.loader}({name})" for name in signature.arrays)
    body = [f"{', '.join(signature.arrays)} = {loaded}", *format_lines(signature.arrays, phase, dtype, ()), *checks, *plan.lines]
    helpers = (MERGED, *plan.helpers, *(text.replace("{np}", "cp") for text in signature.helpers if "def _mask(" not in text))
    head = head_lines(docstring(derivation, "cupy", dtype), dtype, [], set())
    lines = [*head, "", *plan.constants, *(f"\n{helper.rstrip()}" for helper in helpers)]
    lines += ["", "", f"def {phase}({signature.call}):", *(f"    {line}" for line in body)]
    return sealed("\n".join(lines) + "\n")


def head_lines(
    opening: str, dtype: str, kernels: list[KernelText], helpers: set[tuple[str, str]], *, numpy: bool = False
) -> list[str]:
    """What stands above the functions of a file: its docstring, its formats, the kernels and what launches them."""
    types, note = TYPES[dtype], "  # bfloat16 as its bits" if dtype == "bfloat16" else ""
    head = [f'"""{opening}\n"""', "", "import math", "", "import cupy as cp", *["import numpy as np"] * numpy]
    head += ["", f"COMPUTE = cp.{types.compute}"]
    head.append(f"STORED = cp.{types.array}{note}")
    if kernels:
        head += ["", f"CUDA = r'''{cuda_text(kernels, helpers, types)}'''", "", *_contract(kernels)]
        head += ["", 'MODULE = cp.RawModule(code=CUDA, options=("-std=c++17",))  # compiled when the first kernel runs']
        head += ["", LAUNCH.rstrip()]
    return head


def cuda_text(kernels: list[KernelText], helpers: set[tuple[str, str]], types: Types) -> str:
    """The CUDA text of a file."""
    parts = ([f"#include <{types.header}>"] if types.header else []) + [helpers_text(helpers), *(kernel.text for kernel in kernels)]
    return "\n" + "\n\n".join(part for part in parts if part) + "\n"


def _contract(kernels: list[KernelText]) -> list[str]:
    """The launch contract as data: threads of a block, threads for a row or entry, and what a thread and a block may use."""
    note = "# threads in a block and for each row or entry, bytes of shared memory; at most so many registers, bytes of local memory"
    return [note, "LAUNCH = {", *(f'    "{kernel.name}": {kernel.launch},'.replace("'", '"') for kernel in kernels), "}"]


def _destinations(derivation: Derivation) -> tuple[list[str], tuple[str, ...]]:
    """Where a result is made of two: the line that makes ``out``, and the parts of it."""
    layout = derivation.variant.get("layout")
    if layout is None:
        return [], ()
    positional = derivation.phase == "positional"
    if layout == "interleaved":
        parts = ("out[..., 0::2]", "out[..., 1::2]")
    else:
        half = "sines" if positional else "h"
        parts = (f"out[..., :{half}]", f"out[..., {half}:]")
    return [f"out = cp.empty({'(n, d)' if positional else 'x.shape'}, dtype=STORED)"], parts


def _prologue(
    derivation: Derivation, signature: Signature, dtype: str, widened: tuple[str, ...], plan: CudaPlan | None
) -> list[str]:
    """From the user's arguments to the formal parameters, as in the NumPy file."""
    phase = derivation.phase
    before = [filled(line, phase, "cp") for line in signature.before]
    if phase == "positional":
        return before
    if phase == "embedding":
        dropped = [place for place, line in enumerate(before) if line.startswith(TABLE_FORMAT)]
        before = [line for place, line in enumerate(before) if place not in dropped and place - 1 not in dropped]
        return [*before[:1], *format_lines(("table",), phase, dtype, ()), *before[1:], *FLAT_IDS]
    lines = []
    if phase == "encoder_block":
        params = signature.arrays[1:]
        lines += [
            f"missing = [name for name in {params!r} if name not in params]",
            "if missing:",
            '    raise KeyError(f"encoder_block: params lacks {missing}; expected a mapping with w_q … bias2")',
        ]
        sources = ["cp.asarray(x)", *(f'cp.asarray(params["{name}"])' for name in params)]
    else:
        sources = [f"{plan.loader if plan else 'cp.asarray'}({name})" for name in signature.arrays]
    lines.append(f"{', '.join(signature.arrays)} = {', '.join(sources)}")
    return [*lines, *format_lines(signature.arrays, phase, dtype, widened, plan.lines if plan else ()), *before]


def format_lines(
    arrays: tuple[str, ...], phase: str, dtype: str, widened: tuple[str, ...], early: tuple[str, ...] = ()
) -> list[str]:
    """Arrays are brought to the stored format; those that contractions read, to the one computed in, after the lines ``early``."""
    names = ", ".join(arrays)
    pairs = ", ".join(f'("{name}", {name})' for name in arrays)
    test, expected = "array.dtype != STORED", {"bfloat16": "bfloat16, handed over as its bits (uint16)"}.get(dtype, dtype)
    if dtype in ("float32", "float64"):
        test = 'array.dtype.kind != "f" or cp.result_type(array.dtype, STORED) != STORED'
        expected = f"floating point of at most {dtype}"
    lines = [
        f"for label, array in ({pairs}{',' if len(arrays) == 1 else ''}):", f"    if {test}:",
        f'        message = f"{phase}: {{label}} of dtype {{array.dtype}}; expected {expected}"',
        '        raise TypeError(f"{message}; for another format generate a kernel with another --dtype")',
        *early, f"dtype, work = cp.result_type({names}), COMPUTE",
    ]
    if dtype in ("float16", "bfloat16"):
        cast = [f"_widened({name})" if dtype == "bfloat16" else f"{name}.astype(work)" for name in widened]
        return [*lines, *([f"{', '.join(widened)} = {', '.join(cast)}"] if widened else [])]
    return [*lines, f"{names} = {', '.join(f'{name}.astype(STORED, copy=False)' for name in arrays)}"]


def size_lines(program: Program, kernels: list[KernelText], prologue: list[str], names: Mapping[str, str] | None = None) -> list[str]:
    """Lengths that launches need and the prologue does not set, read from the shapes of the inputs; ``names`` as in the source."""
    text = "\n".join(f"    {line}" for line in prologue)
    tree = ast.parse(f"def prologue():\n{text}\n")
    known = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    wanted: dict[str, None] = {}
    for kernel in kernels:
        wanted.update(dict.fromkeys(kernel.sizes))
        for axis in [axis for number in kernel.tensors for axis in program.operations[number.value].axes]:
            wanted.update(dict.fromkeys(_names(size_code(axis.size).code)))
    lines = []
    for name in wanted:
        if name not in known:
            lines.append(f"{name} = {_length(program, name, names or {})}")
    return lines


def _names(code: str) -> list[str]:
    return [node.id for node in ast.walk(ast.parse(code, mode="eval")) if isinstance(node, ast.Name)]


def _length(program: Program, name: str, names: Mapping[str, str]) -> str:
    """Where an input shows a length."""
    for operation in program.operations:
        if operation.kind == "input":
            for place, axis in enumerate(operation.axes):
                if isinstance(axis.size, Var) and axis.size.name == name:
                    return f"{names.get(operation.detail[0], operation.detail[0])}.shape[{place - len(operation.axes)}]"
    raise AssertionError(f"no input has an axis of length {name}")
