"""Gradients of the phases that map each row alone, in blocks of rows on threads.

What it does: a block computes what its rows give, in a cache: its rows of ``dx``, its part of every sum over rows (``dgain``, ``dbias``,
``db1``, …), and the factors of the products over all rows (``dw1``, ``dw2``), which are made afterwards, in blocks of their result.
Parts of sums are added in the order of the blocks. Guarantees: blocks depend on shapes alone, so the result does not depend on the number
of threads; for feed-forward that a token's gradient depends on the token alone is ``feed_forward.dx_position_wise``. Cannot see: leading
axes that are no single axis in memory; those are copied.
"""

from __future__ import annotations

from dataclasses import dataclass

from kernelproof.numeric.gradient_forms import FLAT, GradientProgram
from kernelproof.numeric.gradient_printer import GradientPrinter
from kernelproof.numeric.gradient_recipe import recipe
from kernelproof.numeric.gradient_signature import GRAD_OUT
from kernelproof.numeric.program import Operation, Program, Ref
from kernelproof.numeric.schedules import erf, threads
from kernelproof.numeric.schedules.plan import Plan
from kernelproof.numeric.signatures import Signature
from kernelproof.numeric.source_code import size_code
from kernelproof.symbolic.phase import Gradient

CACHE = "CACHE_BYTES = 1 << 20  # about half of what a core has for itself"
PRODUCT = '''
def _over_rows(left, right):
    """The product of left, transposed, and right: a sum over rows, in blocks of the result."""
    found = np.empty((left.shape[1], right.shape[1]), dtype=left.dtype)
    size = WEIGHT_BLOCK or max(128, -(-left.shape[1] // 8))

    def block(number):
        part = slice(number * size, (number + 1) * size)
        np.matmul(np.swapaxes(left[:, part], 0, 1), right, out=found[part])

    _each(-(-left.shape[1] // size), block)
    return found
'''
WEIGHT_BLOCK = "WEIGHT_BLOCK = 0  # rows of a weight's gradient that one product makes; 0: an eighth of all, but at least 128"


@dataclass(frozen=True)
class Rows:
    """How a phase is cut: lines that make ``x`` and ``grad_out`` arrays of ``rows`` rows, and how many of them are one block."""

    before: tuple[str, ...]
    size: str
    comment: str
    after: tuple[str, ...] = ()


def _of_width(width: str, before: tuple[str, ...], after: tuple[str, ...] = ()) -> Rows:
    size = f"max(1, CACHE_BYTES // (4 * work.itemsize * max({width}, 1)))"
    return Rows(before, size, "rows of a block; 0: as many as lie in the cache with what is computed of them", after)


ROWS: dict[str, Rows] = {
    "softmax": _of_width(
        "n",
        ("shape, rows = x.shape, math.prod(x.shape[:-1])", f"x, {GRAD_OUT} = (part.reshape((rows, n)) for part in (x, {GRAD_OUT}))"),
        ("d_x = d_x.reshape(shape)",),
    ),
    "layer_norm": _of_width("d", ("rows = leading",)),
    "rms_norm": _of_width("d", ("rows = leading",)),
    "activation": Rows(
        ("rows = x.size",), "CACHE_BYTES // (4 * work.itemsize)",
        "entries of a block; 0: as many as lie in the cache with what is computed of them",
    ),
    # each block reads all weights, so it is not the cache that says how many rows
    "feed_forward": Rows(
        ("rows = x.shape[0]",), "min(512, max(128, rows // 8))", "rows of a block; 0: an eighth of all, but from 128 to 512",
    ),
}


def gradient_rows(found: Gradient, made: GradientProgram, signature: Signature) -> Plan | None:
    """The plan of the gradient of a phase that maps each row alone."""
    cut = ROWS.get(found.phase)
    if cut is None:
        return None
    chosen = recipe(made)
    parts = _cut(chosen.program, made)
    printer = GradientPrinter(
        _of_block(chosen.program, parts), "np", signature.unbatched, signature.optional, {made.result.name: GRAD_OUT}, _is_implicit(made)
    )
    printer.erf = "_erf"
    codes = [code.code for code in printer.run()]
    names = {part.place: part.name for part in parts}
    before, inside, after = list[str](), list[str](), list[str]()
    for part, code in zip(parts, codes, strict=True):
        shape = ", ".join(["count" if part.summed else "rows", *part.lengths])
        before.append(f"{part.name} = np.empty({shape if not part.lengths else f'({shape})'}, dtype=work)")
        inside.append(f"{part.name}[{'number' if part.summed else 'rows_here'}] = {code}")
        if part.summed:
            after.append(f"d_{part.of} = np.sum({part.name}, axis=0)")
    products = _products(chosen.program, made)
    for name, product in products.items():
        factors = [_named(chosen.program, ref, names, made) for ref in product]
        after.append(f"d_{name} = _over_rows({factors[0]}, {factors[1]})")
    lines = [
        *cut.before, f"size = ROW_BLOCK or {cut.size}", "count = -(-rows // size)", *before, f"all_x, all_{GRAD_OUT} = x, {GRAD_OUT}",
        "", "def block(number):", "    rows_here = slice(number * size, (number + 1) * size)",
        f"    x, {GRAD_OUT} = all_x[rows_here], all_{GRAD_OUT}[rows_here]", *(f"    {line}" for line in (*printer.lines, *inside)),
        "", "_each(count, block)", *after, *cut.after,
    ]
    known = {statement.id for statement in found.statements}
    return Plan(
        lines=tuple(lines),
        imports=(*threads.IMPORTS, threads.OPTIONAL_IMPORT, *((erf.IMPORT,) if printer.uses_erf else ())),
        constants=(
            *threads.CONSTANTS, *([CACHE] if "CACHE_BYTES" in cut.size else []), f"ROW_BLOCK = 0  # {cut.comment}",
            *([WEIGHT_BLOCK] if products else []),
        ),
        helpers=(threads.HELPER, *((erf.HELPER,) if printer.uses_erf else ()), *([PRODUCT] if products else [])),
        licences=(*chosen.licences, *(name for name in (f"{found.phase}.dx_position_wise",) if name in known)),
    )


# -- cutting a program ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """What a block leaves: its rows of a value, or its part of a sum; ``of`` is the input whose gradient that is, if it is one."""

    place: int
    ref: Ref
    name: str
    of: str
    summed: bool
    lengths: tuple[str, ...]


def _cut(program: Program, made: GradientProgram) -> list[Part]:
    """The rows of dx, the parts of sums over rows, and the factors of products over rows that are no arguments."""
    found: list[Part] = []
    products = _products(program, made)
    for name, ref, frame in zip(made.inputs, program.outputs, program.frames, strict=True):
        if name not in products:
            summed = name != "x"
            lengths = _lengths(program, ref, frame if summed or _is_implicit(made) else frame[1:])
            found.append(Part(ref.value, ref, f"sums_{name}" if summed else "d_x", name, summed, lengths))
    for ref in (ref for product in products.values() for ref in product):
        operation = program.operations[ref.value]
        if operation.kind != "input" and all(part.place != ref.value for part in found):
            lengths = tuple(size_code(axis.size).code for axis in operation.axes[1:])
            found.append(Part(ref.value, Ref(ref.value, operation.names), f"factor{len(found)}", "", False, lengths))
    return found


def _is_implicit(made: GradientProgram) -> bool:
    """Whether the rows are leading axes that the program does not name."""
    return not made.leading and made.phase not in FLAT


def _lengths(program: Program, ref: Ref, names: tuple[str, ...]) -> tuple[str, ...]:
    sizes = dict(zip(ref.axes, program.operations[ref.value].axes, strict=True))
    return tuple(size_code(sizes[name].size).code for name in names)


def _products(program: Program, made: GradientProgram) -> dict[str, tuple[Ref, Ref]]:
    """The gradients that are products of two matrices over all rows, with their factors."""
    found = {}
    for name, ref in zip(made.inputs, program.outputs, strict=True):
        operation: Operation = program.operations[ref.value]
        if operation.kind == "contract" and name != "x":
            found[name] = (operation.operands[0], operation.operands[1])
    return found


def _of_block(program: Program, parts: list[Part]) -> Program:
    """The program whose results are what a block leaves."""
    frames = [tuple(part.ref.axes) for part in parts]
    return Program(list(program.operations), [part.ref for part in parts], frames)


def _named(program: Program, ref: Ref, names: dict[int, str], made: GradientProgram) -> str:
    """A factor of a product over all rows: an argument, or what the blocks have left."""
    operation = program.operations[ref.value]
    if operation.kind == "input":
        return GRAD_OUT if operation.detail[0] == made.result.name else str(operation.detail[0])
    return names[ref.value]
