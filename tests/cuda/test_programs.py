"""Array programs that no phase has yet: what the plan and the printer do in general, executed and compared with the interpreter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kernelproof.numeric.cuda_types import TYPES
from kernelproof.numeric.cupy_file import cuda_text
from kernelproof.numeric.cupy_launch import LAUNCH
from kernelproof.numeric.cupy_printer import CupyPrinter
from kernelproof.numeric.interpret import Interpreter
from kernelproof.numeric.program import Axis, Operation, Program, Ref
from kernelproof.numeric.rounding import arithmetic_for
from kernelproof.numeric.signatures import Signature
from kernelproof.symbolic.terms import Num, Var

pytestmark = pytest.mark.cuda
SIZES = {"n": 5, "m": 33, "k": 3}
N, M, K = (Var(name, "size") for name in SIZES)


def axis(name: str) -> Axis:
    """The axis a… has the length n, b… m, c… k."""
    return Axis(name, {"a": N, "b": M, "c": K}[name[0]])


def ref(value: int, axes: str = "") -> Ref:
    return Ref(value, tuple(axes.split()))


def operation(kind: str, axes: str, operands: tuple[Ref, ...] = (), *detail: object) -> Operation:
    return Operation(kind, tuple(axis(name) for name in axes.split()), operands, detail)


X = operation("input", "a0 b0", (), "x", "real")


def columns_of_row_softmax() -> list[Operation]:
    """A sum over the very axis that another fold of the step has for its row."""
    return [
        X, operation("fold", "a0", (ref(0, "a0 b1"),), "max", ("b1",)), operation("map", "a0 b0", (ref(0, "a0 b0"), ref(1, "a0")), "sub"),
        operation("map", "a0 b0", (ref(2, "a0 b0"),), "exp"), operation("fold", "a0", (ref(3, "a0 b1"),), "sum", ("b1",)),
        operation("map", "a0 b0", (ref(3, "a0 b0"), ref(4, "a0")), "div"), operation("fold", "b0", (ref(5, "a1 b0"),), "sum", ("a1",)),
    ]


def sum_over_two_axes() -> list[Operation]:
    """A fold over a whole matrix, and what is divided by it."""
    return [
        X, operation("map", "a0 b0", (ref(0, "a0 b0"),), "pow", 2), operation("fold", "", (ref(1, "a1 b1"),), "sum", ("a1", "b1")),
        operation("map", "a0 b0", (ref(0, "a0 b0"), ref(2)), "div"),
    ]


def folds_along_both_axes() -> list[Operation]:
    """An entry that needs a fold of its row and one of its column."""
    return [
        X, operation("fold", "a0", (ref(0, "a0 b1"),), "sum", ("b1",)), operation("fold", "b0", (ref(0, "a1 b0"),), "max", ("a1",)),
        operation("map", "a0 b0", (ref(1, "a0"), ref(2, "b0")), "mul"),
    ]


def unbatched_beside_batched() -> list[Operation]:
    """A fold of a weight, used in every batch, and a contraction of a part of what a kernel computed."""
    return [
        X, operation("input", "b0 c0", (), "w", "real"), operation("fold", "b0", (ref(1, "b0 c1"),), "sum", ("c1",)),
        operation("map", "a0 b0", (ref(0, "a0 b0"), ref(2, "b0")), "sub"),
        operation("slice", "a0 c0", (ref(3, "a0 b0"),), (Num(0), 1, N), (Num(2), 3, K)),
        operation("slice", "c0 c1", (ref(1, "b0 c0"),), (Num(1), 2, K), None),
        operation("contract", "a0 c1", (ref(4, "a0 c0"), ref(5, "c0 c1")), ("c0",)),
        operation("map", "a0 c1", (ref(6, "a0 c1"),), "tanh"),
    ]


def picked_and_repeated() -> list[Operation]:
    """Rows of something computed, picked by computed indices; a row repeated; nothing but tables in one operand."""
    return [
        X, operation("input", "c0", (), "ids", "index"), operation("map", "a0 b0", (ref(0, "a0 b0"),), "neg"),
        operation("gather", "b0 c0", (ref(2, "a0 b0"), ref(1, "c0")), ("index", 1), ("axis", "b0")),
        operation("index", "b0"), operation("map", "b0 c0", (ref(4, "b0"),), "broadcast"),
        operation("map", "b0 c0", (ref(3, "b0 c0"), ref(5, "b0 c0")), "mul"),
    ]


def result_of_a_row() -> list[Operation]:
    """A result that is a fold, divided by a number."""
    third = Operation("number", (), (), (Num(3).value,))
    return [X, operation("fold", "a0", (ref(0, "a0 b1"),), "max", ("b1",)), third, operation("map", "a0", (ref(1, "a0"), ref(2)), "div")]


PROGRAMS = [
    columns_of_row_softmax, sum_over_two_axes, folds_along_both_axes, unbatched_beside_batched, picked_and_repeated, result_of_a_row,
]


def file_of(program: Program, dtype: str) -> str:
    """A file that runs a program on what it is given by name."""
    signature = Signature(call="", arrays=("x", "w"), shapes=(), before=(), unbatched=frozenset({"w", "ids"}))
    printer = CupyPrinter("program", program, signature, dtype)
    (output,) = printer.run()
    contract = {kernel.name: kernel.launch for kernel in printer.kernels}
    types = TYPES[dtype]
    widened = [f"{name} = {name}.astype(COMPUTE)" for name in printer.widened if types.converts]
    lines = [
        "import math", "import cupy as cp", f"COMPUTE = work = cp.{types.compute}", f"STORED = cp.{types.array}",
        f"CUDA = r'''{cuda_text(printer.kernels, printer.helpers, types)}'''", f"LAUNCH = {contract}",
        'MODULE = cp.RawModule(code=CUDA, options=("-std=c++17",))', LAUNCH, "def program(x, w, ids, n, m, k):",
        *(f"    {line}" for line in (*widened, *printer.lines)), f"    return {output.code}",
    ]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("make", PROGRAMS)
def test_a_program_keeps_its_bound(make: Callable[[], list[Operation]], dtype: str, emulated: Callable[..., Any]) -> None:
    operations = make()
    program = Program(operations, [Ref(len(operations) - 1, operations[-1].names)])
    random = np.random.default_rng(3)
    x, w = random.standard_normal((2, 4, 5, 33)).astype(dtype), random.standard_normal((33, 3)).astype(dtype)
    ids = np.array([4, 0, 4])
    wide = np.dtype(np.longdouble if dtype == "float64" else np.float64)
    on = arithmetic_for(dtype, wide)
    (expected,) = Interpreter(on, wide, SIZES, {"x": x, "w": w, "ids": ids}).run(program)
    found = emulated(file_of(program, dtype), "program", 7)(x, w, ids, **SIZES)
    bound = expected.error + (0 if on.store == on.compute else on.store.unit * (np.abs(expected.value) + expected.error) + on.store.tiny)
    assert found.dtype == dtype and np.isfinite(bound).all()
    assert found.shape == np.broadcast_shapes(found.shape, expected.value.shape)
    assert (np.abs(found.astype(wide) - expected.value) <= bound).all()


def test_a_fold_needed_across_its_row_is_read_a_step_later() -> None:
    operations = columns_of_row_softmax()
    program = Program(operations, [Ref(len(operations) - 1, ("b0",))])
    printer = CupyPrinter("program", program, Signature("", ("x",), (), ()), "float32")
    printer.run()
    first, second = printer.plan.kernels
    assert (first.step, second.step) == (0, 1)
    assert [store.value for store in first.stores] == [1, 4], "both folds of the rows are kept, nothing else"
