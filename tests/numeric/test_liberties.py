"""Kernels that nobody would call wrong, written in other orders than the program: all within the bound, and not by luck.

Each liberty is tried with inputs made to hurt (large cancelling terms, a bias far above the product), and once with the extra error
left out, when the same kernel breaks the bound.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numeric_cases import excess

from kernelproof.numeric.forms import free_shifts, kernel_form, program_of
from kernelproof.numeric.interpret import Approx, Interpreter
from kernelproof.numeric.liberties import Liberties, shifts_in
from kernelproof.numeric.lower import Lowering
from kernelproof.numeric.program import Axis, Operation, Program, Ref
from kernelproof.numeric.reference import reference
from kernelproof.numeric.rounding import arithmetic_for
from kernelproof.symbolic.binding import canonical
from kernelproof.symbolic.functions import Parameter
from kernelproof.symbolic.terms import Entry, Op, Term, exp, maximum_of, size, variables

F = np.float32
Array = np.ndarray[Any, np.dtype[Any]]
Case = tuple[str, dict[str, Any], dict[str, Any]]


def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """No liberties: the rules alone."""
    monkeypatch.setattr(Liberties, "widened", lambda self, number, operation, value, args, errors, error: error)


def worst(kernel: Callable[..., Array], cases: Callable[[np.random.Generator], Case], count: int) -> float:
    found = 0.0
    for seed in range(count):
        phase, tensors, options = cases(np.random.default_rng(seed))
        variant = {"activation": "relu"} if phase == "feed_forward" else {}
        expected: Approx = reference(phase, variant, tensors, options, "float32")
        result = kernel(**tensors, **options)
        assert result.dtype == F
        found = max(found, excess(result, expected.value, expected.error))
    return found


# -- a bias that the accumulation starts from ----------------------------------------------------------------------------------


def feed_forward_from_bias(x: Array, w1: Array, b1: Array, w2: Array, b2: Array) -> Array:
    def product(a: Array, b: Array, start: Array) -> Array:
        total = np.broadcast_to(start, (len(a), b.shape[1])).copy()
        for k in range(a.shape[1]):
            total = total + a[:, k : k + 1] * b[k]
        return total

    return product(np.maximum(product(x, w1, b1), F(0)), w2, b2)


def large_bias(rng: np.random.Generator) -> Case:
    d, h = 60, 2
    x, w1, w2 = (rng.random(shape).astype(F) * F(1.2) for shape in ((2, d), (d, h), (h, d)))
    return "feed_forward", {"x": x, "w1": w1, "b1": np.full(h, 3e6, F), "w2": w2, "b2": np.ones(d, F)}, {}


def test_a_product_may_start_from_its_bias(monkeypatch: pytest.MonkeyPatch) -> None:
    assert worst(feed_forward_from_bias, large_bias, 20) <= 1
    strict(monkeypatch)
    assert worst(feed_forward_from_bias, large_bias, 20) > 1


# -- factors and divisors on the terms -----------------------------------------------------------------------------------------


def softmax_of(scores: Array) -> Array:
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def scale_on_queries(q: Array, k: Array, v: Array, scale: float) -> Array:
    return softmax_of((q * F(scale)) @ k.T) @ v


def root_on_both(q: Array, k: Array, v: Array, scale: float) -> Array:
    root = np.sqrt(F(scale))
    return softmax_of((q * root) @ (k * root).T) @ v


def weights_by_reciprocal(q: Array, k: Array, v: Array, scale: float) -> Array:
    scores = F(scale) * (q @ k.T)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return (weights * (F(1) / weights.sum(-1, keepdims=True))) @ v


def cancelling_scores(rng: np.random.Generator) -> Case:
    """q·k is a small difference of large terms; v cancels as well."""
    q, k = (rng.standard_normal((3, 2)).astype(F) * F(200) for _ in "qk")
    k[:, 1] = -k[:, 0] * q[0, 0] / q[0, 1]
    v = rng.standard_normal((3, 2)).astype(F)
    return "attention", {"q": q, "k": k, "v": v}, {"scale": float(rng.choice([0.3, 0.7, 1.7]))}


@pytest.mark.parametrize("kernel", [scale_on_queries, root_on_both, weights_by_reciprocal])
def test_attention_in_other_orders(kernel: Callable[..., Array]) -> None:
    assert worst(kernel, cancelling_scores, 300) <= 1


UNIT = 2.0**-24 + 2.0**-53
C, I = Axis("c", size("d")), Axis("i", size("n"))
X, DOT = Operation("input", (I, C), detail=("x", "real")), Operation("contract", (I,), (Ref(0, ("i", "c")), Ref(1, ("c",))), (("c",),))


def after_a_sum(name: str, other: float, off: float = 0.0, first: bool = True) -> float:
    """The bound of (x·y) op other, for one x·y = 1·3 − 1·3 + 1 whose terms add up to 7."""
    vector, scalar = Operation("input", (C,), detail=("y", "real")), Operation("input", (), detail=("a", "real"))
    operands = (Ref(2, ("i",)), Ref(3, ()))
    last = Operation("map", (I,), operands if first else operands[::-1], (name,))
    program = Program([X, vector, DOT, scalar, last], [Ref(4, ("i",))])
    inputs = {"x": np.ones((1, 3)), "y": np.array([3.0, -3.0, 1.0]), "a": other}
    errors = {"a": np.asarray(off)}
    run = Interpreter(arithmetic_for("float32", np.dtype(np.float64)), np.dtype(np.float64), {"n": 1, "d": 3}, inputs, errors)
    return float(run.run(program)[0].error.item())


@pytest.mark.parametrize(
    ("name", "other", "off", "first", "extra"),
    [
        ("mul", -0.5, 0.0, True, 4 * UNIT * 7 * 0.5), ("mul", -0.5, 0.25, False, 4 * UNIT * 7 * 0.75),
        ("div", -0.5, 0.0, True, 2 * UNIT * 7 / 0.5), ("div", 0.5, 0.25, True, 2 * UNIT * 7 / 0.25), ("div", 0.5, 0.0, False, 0.0),
        ("add", -100.0, 0.0, True, UNIT * 7 + 4 * UNIT * 100), ("add", 0.0, 50.0, False, UNIT * 7 + 4 * UNIT * 50),
        ("div", 0.0, 0.0, True, 0.0), ("sub", 100.0, 0.0, True, 0.0), ("max", 100.0, 0.0, True, 0.0),
    ],
)
def test_what_each_liberty_adds(
    monkeypatch: pytest.MonkeyPatch, name: str, other: float, off: float, first: bool, extra: float
) -> None:
    """Four roundings of every term for a factor, two for a divisor, one more and the start's own for an accumulation."""
    free = after_a_sum(name, other, off, first)
    strict(monkeypatch)
    alone = after_a_sum(name, other, off, first)
    assert free - alone == pytest.approx(extra, rel=1e-5, abs=1e-13)
    assert (alone == 0) == (name == "max" or (name, other) == ("div", 0.0))


def test_a_divisor_that_may_be_zero_makes_nothing_better() -> None:
    assert np.isinf(after_a_sum("div", 0.5, 0.5))


# -- the shift -----------------------------------------------------------------------------------------------------------------


n, (j, k) = size("n"), variables("j k")


def lowered(term: Term) -> Program:
    """The program of a term over j, with one input x."""
    lowering = Lowering(kernel_form)
    scope, frame = lowering.scope((Parameter("x", (n,)),)), {j: lowering.axis("j", n)}
    lowering.program.outputs.append(lowering.lower(term, scope, frame))
    return lowering.program


def test_the_shift_of_softmax_is_free_and_nothing_else() -> None:
    """Only a maximum that shift invariance was instantiated with, and that is only subtracted below an exponential."""
    free = frozenset(canonical(term) for term in free_shifts())
    sizes = {"n": 3, "m": 4, "d": 2, "e": 2, "heads": 1, "f": 2, "h": 2}
    assert list(shifts_in(program_of("softmax"), free, sizes).values()) == [3]
    assert list(shifts_in(program_of("attention"), free, sizes).values()) == [4]
    assert list(shifts_in(program_of("multi_head_attention"), free, sizes).values()) == [3]
    assert not shifts_in(program_of("attention"), frozenset(), sizes)
    top = maximum_of(k, n, Entry("x", k))
    free |= {canonical(top)}
    for body in (Entry("x", j) + top, Entry("x", j) * top, top - Entry("x", j), Op("max", Entry("x", j), top)):
        assert not shifts_in(lowered(exp(body)), free, sizes)
    assert not shifts_in(lowered(Entry("x", j) - top), free, sizes)
    assert list(shifts_in(lowered(exp(Entry("x", j) - top)), free, sizes).values()) == [3]
    made = program_of("softmax")
    fold = next(number for number, operation in enumerate(made.operations) if operation.kind == "fold")
    shown = Program(made.operations, [*made.outputs, Ref(fold, made.operations[fold].names)])
    assert not shifts_in(shown, free, sizes)  # it is a result as well: its error matters


def softmax_with_own_shift(x: Array) -> Array:
    """Shifted by a maximum that is off, as of scores that another order gave."""
    weights = np.exp(x - np.nextafter(x.max(-1, keepdims=True), F(np.inf)) * F(1 + 1e-6))
    return weights / weights.sum(-1, keepdims=True)


def test_any_shift_near_the_maximum_will_do() -> None:
    def rows(rng: np.random.Generator) -> Case:
        return "softmax", {"x": (rng.standard_normal((2, 5)) * rng.choice([1, 30, 1000])).astype(F)}, {}

    assert worst(softmax_with_own_shift, rows, 100) <= 1


def test_what_underflows_under_another_shift_counts() -> None:
    """Weights relative to the own maximum of a target are larger than ours by less than their sum, 50 at most."""
    x = np.full((1, 50), -200.0)
    x[0, 0] = 0.0
    found = reference("softmax", {}, {"x": x}, {}, "float32")
    assert 99 * 2.0**-126 < found.error[0, 1] < 1e-30


def test_the_rounding_of_the_own_shift_counts() -> None:
    """A key whose score is exact, beside a maximum that may be off: its difference is rounded at the target's own shift."""
    on, double = arithmetic_for("float32", np.dtype(np.float64)), np.dtype(np.float64)
    x = np.array([[0.0, 1.0]])
    sure, unsure = (
        Interpreter(on, double, {"n": 2}, {"x": x}, {"x": np.array([[0.0, error]])}, free_shifts()).run(program_of("softmax"))[0].error
        for error in (0.0, 1e-3)
    )
    assert unsure[0, 1] > sure[0, 1]


# -- a denominator that overflows ------------------------------------------------------------------------------------------------


def test_a_quotient_by_what_overflows_is_known() -> None:
    x = np.array([-85.0, -88.0, -89.0, -200.0, -1e6, -1e30], F)
    found = reference("activation", {"activation": "silu"}, {"x": x}, {}, "float32")
    assert (found.error < 1e-30).all()
    with np.errstate(all="ignore"):
        assert excess(x / (F(1) + np.exp(-x)), found.value, found.error) <= 1
        assert excess(x * (F(1) / (F(1) + np.exp(-x))), found.value, found.error) <= 1
    assert excess(np.full(6, -1e-20, F), found.value, found.error) > 1


def test_a_floor_is_never_above_what_a_target_may_have() -> None:
    """exp of an argument that may be off by 0.1, and one more than it; nothing where the argument is unknown."""
    on = arithmetic_for("float32", np.dtype(np.float64))
    liberties, exponential = Liberties(on), Operation("map", (), (Ref(0, ()),), ("exp",))
    one, zero = np.ones(1), np.zeros(1)
    liberties.widened(1, exponential, np.exp(one), [one], [0.1 * one], zero)
    assert np.exp(0.9) * (1 - 1e-6) < liberties.floors[1] < np.exp(0.9) * (1 - 6 * 2.0**-24)
    for other, off, known in ((one, zero, True), (-one, zero, False), (one, 2 * one, False)):
        for operands in (((1, 2), (2, 1))):
            total = Operation("map", (), tuple(Ref(number, ()) for number in operands), ("add",))
            args, errors = ([np.exp(one), other], [one, off]) if operands == (1, 2) else ([other, np.exp(one)], [off, one])
            liberties.widened(3, total, args[0] + args[1], args, errors, zero)
            found = liberties.floors.pop(3)
            assert 2 < found < liberties.floors[1] if known else found == 0
    with np.errstate(all="ignore"):
        liberties.widened(4, exponential, np.exp(one), [one], [np.inf * one], zero)
    assert liberties.floors[4] <= 0
