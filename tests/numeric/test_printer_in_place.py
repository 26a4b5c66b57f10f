"""The printer that overwrites: what it means is what the plain printer means, inputs and values still needed are kept."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from test_printer import OPTIONAL, SIZES, TERMS, UNBATCHED, X, d, i, inputs, lowered, printed

from kernelproof.numeric.forms import program_of
from kernelproof.numeric.printer_in_place import InPlacePrinter
from kernelproof.numeric.program import Program
from kernelproof.symbolic.phases.activation import DEFINITIONS as FORMS
from kernelproof.symbolic.phases.feed_forward import DEFINITIONS
from kernelproof.symbolic.terms import Entry, Term, Var, exp, size, total, variables

(c,) = variables("c")
OVER: tuple[tuple[Var, Term], ...] = ((i, size("n")), (c, d))
ONE = X + 1


def overwritten(program: Program, given: dict[str, Any], like: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """The result of the text in place, in an array that held nan, and the text."""
    printer = InPlacePrinter(program, "np", UNBATCHED, OPTIONAL)
    printer.run()
    names: dict[str, Any] = {"np": np, "math": math, "work": np.dtype(np.float64), **SIZES, **given, "out": np.full_like(like, math.nan)}
    names |= {name: np.ones(eval(length, dict(SIZES))) for name, length in printer.ones.items()}
    with np.errstate(all="ignore"):
        exec("\n".join(printer.lines), names)
    return names["out"], printer.lines


MORE: list[tuple[str, Term, tuple[tuple[Var, Term], ...]]] = [
    ("a value used again after its exponential", exp(ONE) * ONE + ONE, OVER),
    ("a value used again after a sum", ONE / total(c, d, X + 1) - exp(ONE), OVER),
    ("a sum of squares of a value still needed", ONE * total(c, d, (X + 1) ** 2), OVER),
    ("a cube of a value that dies", (ONE * Entry("g", c)) ** 3 * 2, OVER),
    ("the same operand twice", (X - 3) * (X - 3) - ((X - 2) + (X - 2)), OVER),
    ("two products, one of them reused", exp(-(X * X)) + X * X * exp(X * X), OVER),
]


@pytest.mark.parametrize("batch", [(), (2,)], ids=["alone", "batched"])
@pytest.mark.parametrize(("term", "over"), [case[1:] for case in TERMS + MORE], ids=[case[0] for case in TERMS + MORE])
def test_it_means_what_the_plain_text_means(term: Term, over: tuple[tuple[Var, Term], ...], batch: tuple[int, ...]) -> None:
    program, given = lowered(term, over), inputs(batch)
    before = {name: value.copy() for name, value in given.items() if isinstance(value, np.ndarray)}
    expected = printed(program, given)
    result, _ = overwritten(program, given, np.asarray(expected, dtype=np.float64))
    assert np.allclose(result, expected, rtol=1e-13, atol=1e-13, equal_nan=True)
    assert all(np.array_equal(given[name], value) for name, value in before.items())


def test_a_dying_value_is_overwritten_and_another_is_not() -> None:
    _, lines = overwritten(lowered(exp(ONE), OVER), inputs(()), np.empty((2, 4)))
    assert [line.partition("  #")[0] for line in lines] == ["np.add(x, 1.0, out=out)", "np.exp(out, out=out)"]
    _, lines = overwritten(lowered(exp(ONE) * ONE, OVER), inputs(()), np.empty((2, 4)))
    made = [line.partition("  #")[0] for line in lines]
    assert made == ["np.add(x, 1.0, out=out)", "power1 = np.exp(out)", "np.multiply(power1, out, out=out)"]


def test_a_product_does_not_write_where_it_reads() -> None:
    for definition in DEFINITIONS.values():
        printer = InPlacePrinter(program_of(definition.name), "np", frozenset({"w1", "b1", "w2", "b2"}), frozenset())
        printer.run()
        products = [re.search(r"np\.matmul\((.*), out=(\w+)\)", line) for line in printer.lines]
        found = [match.groups() for match in products if match]
        assert found and all(place not in read.split(", ") for read, place in found)
        # one array of hidden units, and one for what stands beside it
        assert sum(bool(re.match(r"\w+ = ", line)) for line in printer.lines) <= 3


def test_no_more_arrays_than_needed() -> None:
    for name, most in (("softmax", 0), ("layer_norm", 0), ("rms_norm", 0), (FORMS["relu"].name, 0), (FORMS["gelu"].name, 1)):
        printer = InPlacePrinter(program_of(name), "np", frozenset({"gain", "bias"}), frozenset())
        printer.run()
        new = [line for line in printer.lines if re.match(r"(value|power|product)\d* = ", line)]
        assert len(new) == most, printer.lines
        assert any("out=out" in line for line in printer.lines)
