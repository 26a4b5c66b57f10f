"""Theorems as programs: both sides agree within their bounds on random inputs, and a kernel that is off by 10⁻³ does not pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numeric_cases import ALL, name_of

from kernelproof.numeric.forms import free_shifts, program_of
from kernelproof.numeric.interpret import Approx, Handler, Interpreter, size_value
from kernelproof.numeric.rounding import arithmetic_for
from kernelproof.numeric.statements import is_testable, statement_program
from kernelproof.symbolic.phase import Derivation, Statement
from kernelproof.symbolic.registry import derive, phases

Array = np.ndarray[Any, np.dtype[Any]]
DOUBLE = np.dtype(np.float64)
ON = arithmetic_for("float32", DOUBLE)


def kernel(off: float = 0.0, seed: int = 0) -> Handler:
    """The reference itself as the kernel under test, its results off by a random relative error."""

    def call(function: str, arguments: Mapping[str, Approx], sizes: Mapping[str, int]) -> Approx:
        inputs = {name: found.value for name, found in arguments.items()}
        errors = {name: found.error for name, found in arguments.items()}
        program = program_of(function)
        parts = Interpreter(ON, DOUBLE, sizes, inputs, errors, free_shifts()).run(program)
        value, error = (_together(function, [getattr(part, name) for part in parts]) for name in ("value", "error"))
        noise = np.random.default_rng(seed).uniform(-off, off, value.shape) if off else np.zeros(value.shape)
        return Approx(value * (1 + noise), error)

    return call


def _together(function: str, parts: list[Array]) -> Array:
    """The clauses of a definition by cases: columns that alternate, or one part after the other."""
    if len(parts) == 1:
        return parts[0]
    if not function.endswith("interleaved"):
        return np.concatenate(parts, axis=-1)
    out = np.zeros((*parts[0].shape[:-1], parts[0].shape[-1] + parts[1].shape[-1]))
    out[..., 0::2], out[..., 1::2] = parts
    return out


def world(derivation: Derivation, statement: Statement, seed: int) -> tuple[dict[str, int], dict[str, Any]]:
    """Random sizes, inputs and extras; sizes that the statement identifies are equal."""
    rng = np.random.default_rng(seed)
    definition = derivation.definition
    sizes = {parameter.name: int(rng.integers(1, 5)) for parameter in definition.parameters if parameter.kind == "size"}
    sizes.setdefault("h", int(rng.integers(1, 4)))
    if "sines" in sizes:
        sizes["cosines"] = sizes["sines"] - int(rng.integers(2)) or 1
    for name, length in statement_program(definition.name, statement.id).equal:
        sizes[name] = size_value(length, sizes)
    inputs: dict[str, Any] = {}
    for parameter in definition.parameters:
        shape = tuple(size_value(length, sizes) for length in parameter.axes)
        if parameter.kind == "indicator":
            inputs[parameter.name] = rng.integers(0, 2, shape)
        elif parameter.kind == "index":
            inputs[parameter.name] = rng.integers(0, sizes["vocab"], shape)
        elif parameter.kind != "size":
            scalars = {"base": 10000.0, "start": 3.0, "eps": 0.25, "steps": 2.0, "scale": 0.5}
            inputs[parameter.name] = rng.standard_normal(shape) if parameter.axes else scalars[parameter.name]
    for extra in statement.extras:
        shape = tuple(size_value(length, sizes) for length in extra.axes)
        bound = size_value(extra.bound, sizes) if extra.bound is not None else 0
        inputs[extra.name] = {
            "permutation": lambda bound=bound: rng.permutation(bound),
            "index_map": lambda shape=shape, bound=bound: rng.integers(0, bound, shape),
            "positive": lambda: 0.75, "offset": lambda: 5.0,
        }.get(extra.kind, lambda shape=shape: rng.standard_normal(shape))()
    return sizes, inputs


def sides(derivation: Derivation, statement: Statement, seed: int, call: Handler) -> tuple[Approx, Approx, Array]:
    """Left, right, and where the hypotheses hold."""
    sizes, inputs = world(derivation, statement, seed)
    program = statement_program(derivation.definition.name, statement.id)
    left, right = Interpreter(ON, DOUBLE, sizes, inputs, None, free_shifts(), call).run(program.equation)
    held = np.ones((), dtype=bool)
    for part in Interpreter(ON, DOUBLE, sizes, inputs, None, free_shifts()).run(program.conditions):
        held = held & (part.value > part.error)
    return left, right, held


def worst(derivation: Derivation, statement: Statement, seed: int, call: Handler) -> float:
    """The largest difference over the sum of the bounds, where the hypotheses hold and the bounds are finite."""
    left, right, held = sides(derivation, statement, seed, call)
    difference, bound, known = np.broadcast_arrays(np.abs(left.value - right.value), left.error + right.error, held)
    known = known & np.isfinite(bound)
    ratio = np.where(difference <= bound, 0, np.where(bound > 0, difference / np.where(bound > 0, bound, 1), np.inf))
    return float(ratio[known].max(initial=0))


TESTABLE = [
    (phase, variant, statement.id) for phase, variant in ALL for statement in derive(phase, **variant).statements if is_testable(statement)
]


@pytest.mark.parametrize(("phase", "variant", "name"), TESTABLE, ids=name_of)
def test_both_sides_agree(phase: str, variant: dict[str, object], name: str) -> None:
    derivation = derive(phase, **variant)
    statement, said = derivation.statement(name), 0
    for seed in range(8):
        assert worst(derivation, statement, seed, kernel()) <= 1, seed
        left, right, held = sides(derivation, statement, seed, kernel())
        said += int((np.isfinite(left.error + right.error) & held).sum())
    assert said > 0


@pytest.mark.parametrize(("phase", "variant"), ALL, ids=name_of)
def test_an_error_of_a_thousandth_is_noticed(phase: str, variant: dict[str, object]) -> None:
    derivation = derive(phase, **variant)
    noticed = [
        statement.id
        for statement in derivation.statements
        if is_testable(statement) and any(worst(derivation, statement, seed, kernel(1e-3, seed)) > 1 for seed in range(8))
    ]
    assert noticed


def test_only_equations_without_equations_as_hypotheses_are_testable() -> None:
    """What is no equation under such hypotheses says why it is not tried on kernels; everything else is tried, or says so too."""
    for phase in phases():
        for statement in derive(phase).statements:
            theorem = statement.theorem
            names = {formula.name for formula in theorem.hypotheses}
            can_be = theorem.conclusion.name == "eq" and names <= {"in", "positive", "permutation"}
            assert is_testable(statement) == (can_be and not statement.untested), statement.id
            assert can_be or statement.untested, f"{statement.id} is left out without a reason"
    tried = {statement.id for phase in phases() for statement in derive(phase).statements if is_testable(statement)}
    assert {"softmax.log_odds", "attention.key_shift", "layer_norm.negative_scale", "feed_forward.permutation_equivariance"} <= tried
    assert not {"positional.uniqueness", "attention.causality", "softmax.positive"} & tried


def test_where_a_hypothesis_fails_nothing_is_said() -> None:
    """Row sum one speaks of rows that may attend to some key; scores far below exp's range do not make it fail."""
    derivation = derive("attention")
    program = statement_program("attention", "attention.row_sum_one")
    allow = np.array([[0, 0], [1, 0]])
    column = np.ones((2, 1))
    inputs = {"q": column, "k": -1e4 * column, "v": column, "scale": 1.0, "allow": allow, "bias": np.zeros((2, 2))}
    sizes = {"n": 2, "m": 2, "d": 1, "e": 1}
    (held,) = Interpreter(ON, DOUBLE, sizes, inputs).run(program.conditions)
    assert (held.value > held.error).reshape(-1).tolist() == [False, True]
    assert derivation.statement("attention.row_sum_one").theorem.hypotheses


def test_self_attention_makes_two_sizes_one() -> None:
    equal = dict(statement_program("attention", "attention.permutation_equivariance").equal)
    assert set(equal) == {"m"} and equal["m"].name == "n"  # type: ignore[attr-defined]
    assert not statement_program("attention", "attention.key_permutation").equal
