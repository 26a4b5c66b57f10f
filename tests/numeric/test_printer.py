"""The printer: text that means what the program says, for programs that no phase has, and refusals of what it cannot say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from kernelproof.numeric.forms import kernel_form
from kernelproof.numeric.interpret import Interpreter
from kernelproof.numeric.lower import Lowering
from kernelproof.numeric.printer import ArrayPrinter, PrinterError, proved_positive, size_code, sizes_in
from kernelproof.numeric.program import Axis, Operation, Program, Ref
from kernelproof.numeric.rounding import arithmetic_for
from kernelproof.symbolic.functions import Parameter
from kernelproof.symbolic.terms import ONE, PI, Entry, Num, Op, Term, Var, exp, log, maximum_of, size, sqrt, total, variables

n, m, d, h = size("n"), size("m"), size("d"), size("h")
i, j, k, l, c, a = variables("i j k l c a")
PARAMETERS = (
    Parameter("x", (n, d)), Parameter("y", (m, d)), Parameter("w", (d, h)), Parameter("t", (m, n)), Parameter("g", (d,)), Parameter("a"),
    Parameter("allow", (n, m), "indicator"), Parameter("bias", (n, m)), Parameter("z", (m, n * h, d)), Parameter("v", (n, d, h)),
    Parameter("u", (d, d)), Parameter("s", (n,), "index"), Parameter("r", (n, m * h)),
    Parameter("p", (d, m * h)), Parameter("o", (m * h, d)),
)
UNBATCHED = frozenset({"w", "g", "u", "s", "p", "o"})
OPTIONAL = frozenset({"allow", "bias"})
SIZES = {"n": 2, "m": 3, "d": 4, "h": 2}


def lowered(term: Term, over: tuple[tuple[Var, Term], ...]) -> Program:
    lowering = Lowering(kernel_form)
    scope = lowering.scope(PARAMETERS)
    frame = {var: lowering.axis(var.name, length) for var, length in over}
    lowering.program.outputs.append(lowering.lower(term, scope, frame))
    lowering.program.frames.append(tuple(axis.name for axis in frame.values()))
    return lowering.program


def printed(program: Program, inputs: dict[str, Any]) -> np.ndarray:
    """The value of the text, run with these inputs."""
    printer = ArrayPrinter(program, "np", UNBATCHED, OPTIONAL)
    (code,) = printer.run()
    names: dict[str, Any] = {"np": np, "math": math, "work": np.dtype(np.float64), **SIZES, **inputs}
    with np.errstate(all="ignore"):
        exec("\n".join(printer.lines), names)
        return np.asarray(eval(code.code, names))


def inputs(batch: tuple[int, ...], seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    shapes = {"x": (2, 4), "y": (3, 4), "t": (3, 2), "z": (3, 4, 4), "v": (2, 4, 2), "r": (2, 6)}
    made: dict[str, Any] = {name: rng.standard_normal((*batch, *shape)) for name, shape in shapes.items()}
    made |= {"w": rng.standard_normal((4, 2)), "g": rng.standard_normal(4), "u": rng.standard_normal((4, 4)), "s": np.array([3, 0])}
    made |= {"p": rng.standard_normal((4, 6)), "o": rng.standard_normal((6, 4))}
    return made | {"a": 0.75, "allow": None, "bias": None}


X, Y, W = Entry("x", i, c), Entry("y", j, c), Entry("w", c, k)
SCORE = total(c, d, X * Y)
IN_ORDER, ACROSS = ((i, n), (j, m)), ((j, m), (i, n))
TERMS: list[tuple[str, Term, tuple[tuple[Var, Term], ...]]] = [
    ("transposed result", SCORE, ACROSS),
    ("batched with unbatched", X * Entry("g", c) + a, ((i, n), (c, d))),
    ("unbatched between batched axes", X * Entry("g", c), ((c, d), (i, n))),
    ("transposed operand", SCORE + Entry("t", j, i), IN_ORDER),
    ("a row taken away", X - total(c, d, X) / d, ((i, n), (c, d))),
    ("a column taken away", X - total(i, n, X) / n, ((i, n), (c, d))),
    ("all summed", total(i, n, total(c, d, X * X)), ()),
    ("product of three axes", total(c, d, X * W), ((i, n), (k, h))),
    ("outer product", total(c, d, X) * total(c, d, Y), ((j, m), (i, n))),
    ("a table meets a tensor", X * Op("sin", i * exp(-c)), ((i, n), (c, d))),
    ("a table alone", Op("cos", i * exp(-c)), ((c, d), (i, n))),
    ("powers", (X + 1) ** 3 - X**2 + X**4 + X**1 + (X - a) ** 2, ((i, n), (c, d))),
    ("precedence", -(X - (a - X)) - (X + a) * (X - a) / (X / (X + 3)), ((i, n), (c, d))),
    ("a divisor that may be zero", ONE / (X - X) + a / (total(c, d, Entry("g", c)) - total(c, d, Entry("g", c))), ((i, n), (c, d))),
    ("scalars", exp(a) * sqrt(a) + log(a) - Op("max", a, -a) / PI + a**3, ()),
    ("maxima", maximum_of(c, d, X) + Op("max", maximum_of(c, d, X), a), ((i, n),)),
    ("a sum over two axes against one", total(i, n, total(c, d, X * Entry("w", c, k))), ((k, h),)),
    ("regular parts", Entry("x", i, 2 * k) + Entry("x", i, 2 * k + 1) + Entry("x", i, h + k), ((i, n), (k, h))),
    ("an axis seen as two", Entry("z", j, i * h + k, c) + Entry("t", j, i), ((i, n), (j, m), (k, h), (c, d))),
    ("the last axis seen as two", Entry("r", i, j * h + k), ((k, h), (i, n), (j, m))),
    ("a product that leaves two axes", total(c, d, X * Entry("z", j, i * h + k, c)), ((j, m), (k, h), (i, n))),
    ("a product with axes in common", total(c, d, X * Entry("v", i, c, k)), ((k, h), (i, n))),
    ("a product summed over two axes", total(i, n, total(c, d, X * Entry("v", i, c, k))), ((k, h),)),
    ("heads joined and projected", total(j, m, total(k, h, Entry("r", i, j * h + k) * Entry("o", j * h + k, c))), ((i, n), (c, d))),
    ("heads of a projection", total(c, d, X * Entry("p", c, j * h + k)), ((j, m), (i, n), (k, h))),
    ("one of two split axes summed, after another", total(k, h, W * Entry("p", l, j * h + k)), ((c, d), (j, m), (l, d))),
    ("one of two split axes summed, before another", total(j, m, Y * Entry("o", j * h + k, l)), ((c, d), (k, h), (l, d))),
    ("a matrix with a vector", total(c, d, X * Entry("g", c)), ((i, n),)),
    ("a vector with a matrix", total(c, d, Entry("g", c) * X), ((i, n),)),
    ("rows that are looked up", Entry("u", Entry("s", i), c) * X, ((i, n), (c, d))),
    ("fractions", X * Num(1) / 3 + Num(1) / 1024, ((i, n), (c, d))),
]


@pytest.mark.parametrize("batch", [(), (5,), (3, 1)])
@pytest.mark.parametrize(("name", "term", "over"), TERMS, ids=[name for name, _, _ in TERMS])
def test_the_text_means_what_the_program_means(name: str, term: Term, over: tuple[tuple[Var, Term], ...], batch: tuple[int, ...]) -> None:
    program, given = lowered(term, over), inputs(batch)
    on, double = arithmetic_for("float32", np.dtype(np.float64)), np.dtype(np.float64)
    shown = {key: value for key, value in given.items() if value is not None}
    (expected,) = Interpreter(on, double, SIZES, shown).run(program)
    result = printed(program, given)
    assert result.shape == expected.value.shape
    assert np.allclose(result, expected.value, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("batch", [(), (5,)])
@pytest.mark.parametrize("present", range(4))
def test_optional_inputs_left_out_or_given(batch: tuple[int, ...], present: int) -> None:
    """The indicator selects, the bias is added; without them everything is seen and nothing is added."""
    score = SCORE + Entry("bias", i, j)
    term = total(j, m, Entry("allow", i, j) * exp(score - maximum_of(j, m, score, Entry("allow", i, j))))
    program, given = lowered(term, ((i, n),)), inputs(batch)
    rng = np.random.default_rng(present)
    full = {"allow": np.ones((2, 3)), "bias": np.zeros((2, 3))}
    if present & 1:
        full["allow"] = given["allow"] = rng.random((2, 3)) < 0.5
    if present & 2:
        full["bias"] = given["bias"] = rng.standard_normal((2, 3))
    (expected,) = Interpreter(arithmetic_for("float32", np.dtype(np.float64)), np.dtype(np.float64), SIZES, {**given, **full}).run(program)
    assert np.allclose(printed(program, given), expected.value)


def test_optional_inputs_that_would_change_the_shape_are_refused() -> None:
    """Left out, the value would have no axis that the mask runs along."""
    row = total(c, d, X)
    for term in (row + Entry("bias", i, j), Entry("allow", i, j) * row):
        with pytest.raises(PrinterError, match="would lack axes"):
            ArrayPrinter(lowered(term, IN_ORDER), "np", UNBATCHED, OPTIONAL).run()
    guarded = maximum_of(j, m, total(c, d, Y), Entry("allow", i, j))
    with pytest.raises(PrinterError, match="would lack axes"):
        ArrayPrinter(lowered(guarded, ((i, n),)), "np", UNBATCHED, OPTIONAL).run()


def test_what_has_no_text_is_refused() -> None:
    call = Program([Operation("call", (Axis("i", n),), (), ("softmax", (), ()))], [Ref(0, ("i",))])
    with pytest.raises(PrinterError, match="'call' has no source text"):
        ArrayPrinter(call, "np", UNBATCHED, OPTIONAL).run()
    with pytest.raises(PrinterError, match="has no source text"):
        ArrayPrinter(lowered(Op("delta", X, Y), ((i, n), (j, m), (c, d))), "np", UNBATCHED, OPTIONAL).run()
    s_i = Entry("s", i)
    for looked_up in (Entry("x", i, i * i), Entry("u", s_i, s_i), Entry("x", s_i, c), Entry("u", c, s_i)):
        with pytest.raises(PrinterError, match="more than the first axis"):
            ArrayPrinter(lowered(looked_up, ((i, n), (c, d))), "np", UNBATCHED, OPTIONAL).run()
    with pytest.raises(PrinterError, match="has no source text"):
        size_code(n - 1)


def test_only_what_is_proved_positive_goes_unguarded() -> None:
    assert proved_positive(1 + exp(X)) and proved_positive(total(c, d, exp(X))) and proved_positive(d * n)
    assert not proved_positive(X) and not proved_positive(total(c, d, X**2)) and not proved_positive(sqrt(X))
    assert set(sizes_in(total(c, d, X * n) / h)) == {h, d, n}


def test_lengths_as_code() -> None:
    assert [size_code(value).code for value in (Num(3), n, n * h, (n + 1) * h)] == ["3", "n", "n * h", "(n + 1) * h"]


def test_the_same_program_gives_the_same_text() -> None:
    program = lowered(SCORE, ACROSS)
    one, two = (ArrayPrinter(program, "np", UNBATCHED, OPTIONAL) for _ in range(2))
    assert one.run() == two.run() and one.lines == two.lines
    other = ArrayPrinter(program, "cp", UNBATCHED, OPTIONAL)
    other.run()
    assert [line.replace("cp.", "np.") for line in other.lines] == one.lines
