"""The interpreter: what each operation means, and that sums, maxima, selections and products carry sound errors."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numeric_cases import Calls, excess, kernel_of, variants_of

from kernelproof.numeric.approx import align
from kernelproof.numeric.formal import formal
from kernelproof.numeric.forms import free_shifts, program_of
from kernelproof.numeric.interpret import Approx, Interpreter
from kernelproof.numeric.program import Axis, Operation, Program, Ref
from kernelproof.numeric.rounding import FORMATS, Arithmetic, arithmetic_for
from kernelproof.symbolic.terms import Num, size

F32 = arithmetic_for("float32", np.dtype(np.float64))
DOUBLE = np.dtype(np.float64)
N, M, D = size("n"), size("m"), size("d")
I, J, C, K = Axis("i", N), Axis("j", M), Axis("c", D), Axis("k", Num(2))


def given_input(name: str, *axes: Axis, kind: str = "real") -> Operation:
    return Operation("input", axes, detail=(name, kind))


def program(*operations: Operation) -> Program:
    """The operations in order; the last one is the result."""
    made = Program(list(operations))
    made.outputs.append(Ref(len(operations) - 1, operations[-1].names))
    return made


def run(made: Program, errors: dict[str, Any] | None = None, sizes: dict[str, int] | None = None, **inputs: Any) -> Approx:
    lengths = {"n": 3, "m": 4, "d": 5, **(sizes or {})}
    (found,) = Interpreter(F32, DOUBLE, lengths, inputs, errors).run(made)
    return found


def test_align_permutes_and_fills() -> None:
    x = np.arange(24).reshape(2, 3, 4)
    assert align(x, ("i", "j"), ("j", "k", "i")).shape == (2, 4, 1, 3)
    assert (align(x, ("i", "j"), ("j", "k", "i"))[:, :, 0, :] == x.swapaxes(1, 2)).all()
    assert align(x, ("b", "i", "j"), ("b", "i", "j")) is not None and align(x, ("b", "i", "j"), ("i", "b", "j")).shape == (3, 2, 4)


def test_inputs_that_broadcast_are_filled_in_before_they_are_summed() -> None:
    """A mask of shape (n, 1) has m entries in a row, not one."""
    fold = Operation("fold", (I,), (Ref(0, ("i", "j")),), ("sum", ("j",)))
    found = run(program(given_input("a", I, J), fold), a=np.ones((3, 1)))
    assert found.value.tolist() == [4.0, 4.0, 4.0]


def test_numbers_sizes_and_indices() -> None:
    third, half = (program(Operation("number", (), detail=(Fraction(1, part),))) for part in (3, 2))
    assert run(third).value == 1 / 3 and run(third).error > 0 and run(half).error == 0
    assert run(program(Operation("size", (), detail=(N * M,)))).value == 12
    assert run(program(Operation("index", (J,)))).value.tolist() == [0, 1, 2, 3]
    long = run(program(Operation("index", (J,))), sizes={"m": 2**24 + 3})
    assert long.error[:-2].max() == 0 and long.error[-2] > 0  # 2²⁴ + 1 is no float32


@pytest.mark.parametrize(("name", "value", "exact"), [("scale", -0.5, False), ("eps", 1e-5, False), ("base", 10000.0, True)])
def test_scalars_are_rounded_where_the_format_cannot_hold_them(name: str, value: float, exact: bool) -> None:
    found = run(program(given_input(name)), **{name: value})
    assert found.value == value and (found.error == 0 if exact else found.error > 5 * 2.0**-24 * abs(value))


def test_slices_splits_and_gathers() -> None:
    x = np.arange(2 * 12.0).reshape(2, 12)
    whole = given_input("x", Axis("a", Num(12)))
    part = Operation("slice", (J,), (Ref(0, ("a",)),), ((Num(1), 2, M),))
    assert (run(program(whole, part), x=x).value == x[:, 1:9:2]).all()
    none = Operation("slice", (J,), (Ref(0, ("a",)),), ((Num(1), 2, M),))
    assert run(program(whole, none), sizes={"m": 0}, x=x).value.shape == (2, 0)
    pair = Operation("split", (I, J), (Ref(0, ("a",)),), (0,))
    assert (run(program(whole, pair), x=x).value == x.reshape(2, 3, 4)).all()
    table, index = given_input("x", Axis("a", Num(12)), C), given_input("s", J)
    picked = Operation("gather", (J, C), (Ref(0, ("a", "c")), Ref(1, ("j",))), (("index", 1), ("axis", "c")))
    rows, at = np.arange(60.0).reshape(12, 5), np.array([3, 3, 0, 11])
    assert (run(program(table, index, picked), x=rows, s=at).value == rows[at]).all()


def test_a_selection_hides_what_is_not_allowed_whatever_it_is() -> None:
    """Masked scores may be as unknown as they like."""
    select = Operation("select", (I, J), (Ref(0, ("i", "j")), Ref(1, ("i", "j"))))
    allow = np.array([[1, 0, 1, 0]] * 3)
    made = program(given_input("allow", I, J, kind="indicator"), given_input("x", I, J), select)
    found = run(made, {"x": np.where(allow, 0.25, np.inf)}, allow=allow, x=np.full((3, 4), 7.0))
    assert found.value.tolist() == [[7, 0, 7, 0]] * 3
    assert (found.error[:, ::2] >= 0.25).all() and (found.error[:, 1::2] == 0).all()


def test_a_guarded_maximum_looks_at_allowed_entries_only() -> None:
    fold = Operation("fold", (I,), (Ref(1, ("i", "j")), Ref(0, ("i", "j"))), ("max", ("j",)))
    allow = np.array([[0, 1, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1]])
    x, error = np.array([[9.0, -5, -7, 9]] * 3), np.array([[1.0, 0.1, 0.2, 3]] * 3)
    found = run(program(given_input("allow", I, J, kind="indicator"), given_input("x", I, J), fold), {"x": error}, allow=allow, x=x)
    assert found.value.tolist() == [-5.0, 0.0, 9.0]
    assert np.allclose(found.error, [0.2, 0.0, 3.0])
    bare = Operation("fold", (I,), (Ref(0, ("i", "j")),), ("max", ("j",)))
    assert run(program(given_input("x", I, J), bare), sizes={"m": 0}, x=np.zeros((3, 0))).value.tolist() == [0, 0, 0]


def test_a_value_beyond_the_format_is_unknown() -> None:
    double = Operation("map", (J,), (Ref(0, ("j",)), Ref(0, ("j",))), ("add",))
    found = run(program(given_input("x", J), double), x=np.array([1.0, 3e38, -3e38, np.nan]))
    assert np.isfinite(found.error).tolist() == [True, False, False, False]
    assert np.isfinite(found.value).all()


def test_a_sum_that_overflows_on_its_way_is_unknown() -> None:
    """3·10³⁸ + 3·10³⁸ − 3·10³⁸ fits into float32 at the end, and not in every order."""
    fold = Operation("fold", (), (Ref(0, ("j",)),), ("sum", ("j",)))
    assert np.isinf(run(program(given_input("x", J), fold), x=np.array([3e38, 3e38, -3e38, 0])).error)
    assert np.isfinite(run(program(given_input("x", J), fold), x=np.array([3e37, 3e37, -3e37, 0])).error)
    product = Operation("contract", (), (Ref(0, ("j",)), Ref(1, ("j",))), (("j",),))
    made = program(given_input("x", J), given_input("y", J), product)
    assert np.isinf(run(made, x=np.array([3e38, 3e38, -3e38, 0]), y=np.ones(4)).error)


def test_without_a_kernel_a_call_is_refused() -> None:
    call = Operation("call", (J,), (), ("softmax", (), ()))
    with pytest.raises(ValueError, match="calls 'softmax', and no kernel was handed in"):
        run(program(call))


# -- sums and products against simulated arithmetic ------------------------------------------------------------------------------


def orders(terms: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """float32 sums over the last axis in several orders: left to right, back, shuffled, in pairs, in blocks."""

    def left_to_right(x: np.ndarray) -> np.ndarray:
        total = np.zeros(x.shape[:-1], dtype=np.float32)
        for j in range(x.shape[-1]):
            total = total + x[..., j]
        return total

    def in_pairs(x: np.ndarray) -> np.ndarray:
        while x.shape[-1] > 1:
            odd = x[..., -1:] if x.shape[-1] % 2 else x[..., :0]
            x = np.concatenate([x[..., : x.shape[-1] // 2 * 2 : 2] + x[..., 1::2], odd], axis=-1)
        return x[..., 0] if x.shape[-1] else np.zeros(x.shape[:-1], dtype=np.float32)

    shuffled = terms[..., rng.permutation(terms.shape[-1])]
    return [left_to_right(terms), left_to_right(terms[..., ::-1]), left_to_right(shuffled), in_pairs(terms), np.sum(terms, axis=-1)]


def numbers(rng: np.random.Generator, style: str, shape: tuple[int, ...]) -> np.ndarray:
    x = rng.standard_normal(shape)
    if style == "cancelling" and shape[-1] > 1:
        x[..., -1] = -x[..., :-1].sum(axis=-1)
    if style == "scales":
        x = x * 10.0 ** rng.uniform(-12, 12, shape)
    if style == "alike":
        x = np.full(shape, 1 / 3)
    if style == "tiny":
        x = x * 2.0**-130
    return x.astype(np.float32)


examples = given(
    seed=st.integers(0, 2**32 - 1), length=st.sampled_from((0, 1, 2, 3, 7, 33)),
    style=st.sampled_from(("plain", "cancelling", "scales", "alike", "tiny")), spread=st.sampled_from((0.0, 1e-6, 0.1)),
)


@examples
def test_sums_in_every_order(seed: int, length: int, style: str, spread: float) -> None:
    rng = np.random.default_rng(seed)
    x = numbers(rng, style, (2, 3, length))
    meant = x * (1 + spread * rng.choice([-1.0, 0.0, 1.0], x.shape))
    fold = Operation("fold", (I,), (Ref(0, ("i", "j")),), ("sum", ("j",)))
    found = run(program(given_input("x", I, J), fold), {"x": np.abs(x - meant)}, {"m": length}, x=meant)
    for total in orders(x, rng):
        assert total.dtype == np.float32
        assert excess(total, found.value, found.error) <= 1
        assert excess(np.where(np.abs(total) < 2.0**-126, 0, total), found.value, found.error) <= 1


@examples
def test_contractions_in_every_order_with_batches_that_broadcast(seed: int, length: int, style: str, spread: float) -> None:
    """x has batch axes (2, 1), y has (3,): the result has (2, 3); products may be fused with the sums or not."""
    rng = np.random.default_rng(seed)
    x, y = numbers(rng, style, (2, 1, 3, length)), numbers(rng, style, (3, 4, length))
    x_meant, y_meant = (part * (1 + spread * rng.choice([-1.0, 0.0, 1.0], part.shape)) for part in (x, y))
    product = Operation("contract", (I, J), (Ref(0, ("i", "c")), Ref(1, ("j", "c"))), (("c",),))
    made = program(given_input("x", I, C), given_input("y", J, C), product)
    errors = {"x": np.abs(x - x_meant), "y": np.abs(y - y_meant)}
    found = run(made, errors, {"d": length}, x=x_meant, y=y_meant)
    assert found.value.shape == (2, 3, 3, 4)
    products = x[..., :, None, :] * y[..., None, :, :]
    fused = np.zeros(products.shape[:-1], dtype=np.float32)
    for c in range(length):
        step = x[..., :, None, c].astype(np.longdouble) * y[..., None, :, c] + fused
        fused = step.astype(np.float32)
    for total in (*orders(products, rng), fused, np.matmul(x, np.swapaxes(y, -1, -2))):
        assert excess(total, found.value, found.error) <= 1


def test_bounds_of_sums_are_reached_by_a_tenth() -> None:
    """Equal terms, one after the other: the roundings of a long sum all go the same way."""
    fold = Operation("fold", (), (Ref(0, ("j",)),), ("sum", ("j",)))
    worst = 0.0
    for length in (2, 3, 5, 9, 17, 4096):
        for value in (1 / 3, 1.1, 2 / 3):
            x = np.full(length, np.float32(value))
            found = run(program(given_input("x", J), fold), sizes={"m": length}, x=x)
            total = np.float32(0)
            for entry in x:
                total = total + entry
            worst = max(worst, excess(np.asarray(total), found.value, found.error))
    assert 0.1 < worst <= 1


NAMES = {"softmax": "x", "activation": "x", "attention": "q k v", "layer_norm": "x gain bias", "feed_forward": "x w1 b1 w2 b2"}


@pytest.mark.parametrize("phase", sorted(NAMES))
def test_a_reference_as_narrow_as_the_target(phase: str) -> None:
    """Where long double is double: float64 kernels against a float64 reference, and both against long double."""
    kernel, variant = kernel_of(phase, {}, "float64"), variants_of(phase)[0]
    on, made = Arithmetic(FORMATS["float64"], FORMATS["float64"], 2.0**-53), program_of(kernel.derivation.definition.name)
    for seed in range(10):
        arguments, options = Calls(seed, "float64").of(phase, variant)
        call = formal(phase, variant, dict(zip(NAMES[phase].split(), arguments, strict=True)), options)
        (found,) = Interpreter(on, DOUBLE, call.sizes, call.inputs, None, free_shifts()).run(made)
        exact, _ = kernel.error_bound(*arguments, **options)
        value, error = found.value.reshape(call.shape), found.error.reshape(call.shape)
        assert excess(kernel(*arguments, **options), value, error) <= 1
        assert excess(exact, value.astype(np.longdouble), error.astype(np.longdouble)) <= 1
