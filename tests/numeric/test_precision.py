"""Precisions: what is assumed by default, how changes are written, and that coarser never means a smaller bound."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kernelproof.numeric.forms import program_of
from kernelproof.numeric.precision import (
    FORMATS,
    KEPT,
    assumed_precision,
    assuming,
    assuming_library,
    default_precision,
    read_precision,
)
from kernelproof.numeric.reference import reference
from kernelproof.numeric.roles import Roles
from kernelproof.numeric.rounding import arithmetic_of
from kernelproof.symbolic.errors import InputError


def _attention(dtype: str = "float32") -> Any:
    rng = np.random.default_rng(0)
    q, k, v = (rng.normal(size=(rows, 8)).astype(dtype) for rows in (3, 6, 6))
    return "attention", {}, {"q": q, "k": k, "v": v}, {}, dtype


def test_sixteen_bits_are_storage_by_default() -> None:
    half, single = default_precision("float16"), default_precision("float32")
    assert (half.compute, half.accumulate, half.score, half.probability, half.output) == (
        "float32",
        "float32",
        "float32",
        "float16",
        "float16",
    )
    assert {getattr(single, name) for name in (*KEPT, "compute", "output")} == {"float32"}
    assert arithmetic_of(half, np.dtype(np.float64)).store.name == "float16"


def test_changes_are_read_and_written() -> None:
    text = "score=bfloat16,tile=64,exp=8"
    made = read_precision(text, "float32")
    assert (made.score, made.tile, made.functions["exp"], made.functions["log"]) == ("bfloat16", 64, 8.0, 4.0)
    assert made.changes() == text and read_precision(made.changes(), "float32") == made
    assert default_precision("float32").changes() == "" and read_precision(" ", "float64") == default_precision("float64")
    assert "score bfloat16" in str(made) and "tiles of 64 keys" in str(made) and "exp 8" in str(made)
    assert read_precision("exp=8,exp=9", "float32").functions["exp"] == 9


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("colour=red", "reading precision 'colour=red': expected NAME=VALUE with NAME one of compute, accumulate,"),
        ("score", "reading precision score=: expected one of float8_e4m3, tfloat32"),
        ("score=int8", "reading precision score=int8: expected one of float8_e4m3, tfloat32, float16, bfloat16, float32, float64"),
        ("exp=many", "reading precision exp=many: expected a number of units in the last place from 0 up"),
        ("exp=inf", "reading precision exp=inf: expected a number of units"),
        ("tile=-1", "reading precision tile=-1: expected a whole number from 0 up"),
        ("ulps=mine", "reading precision ulps=mine: expected one of any"),
        ("subnormals=lost", "reading precision subnormals=lost: expected one of kept, flushed"),
    ],
)
def test_what_cannot_be_read_is_said(text: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        read_precision(text, "float32")
    assert str(caught.value).startswith(told)


def test_what_is_assumed_can_be_changed_for_a_while() -> None:
    plain = reference(*_attention()).error
    with assuming("exp=30"):
        assert assumed_precision("float32").functions["exp"] == 30
        wide = reference(*_attention()).error
    assert (wide > plain).all() and (reference(*_attention()).error == plain).all()
    with pytest.raises(InputError), assuming("exp=-1"):
        pass


@pytest.mark.parametrize("formats", [("float32", "tfloat32", "bfloat16"), ("float32", "float16", "float8_e4m3")], ids=str)
@pytest.mark.parametrize("name", [*KEPT, "compute"])
def test_a_coarser_field_never_makes_a_smaller_bound(name: str, formats: tuple[str, ...]) -> None:
    before = np.zeros(())
    for kept in formats:
        bound = reference(*_attention(), precision=read_precision(f"{name}={kept}", "float32")).error
        assert (bound >= before).all(), kept
        before = bound
    # intermediate has nothing to speak of in a single attention
    assert name == "intermediate" or (before > 50 * reference(*_attention()).error).all()


def test_an_input_loses_nothing_in_its_own_format() -> None:
    """Factors of products are rounded: a weight loses digits, an input only what its own format has and the other has not."""
    program, value, nothing = program_of("attention"), np.full(3, 0.75), np.zeros(3)
    given = [number for number, operation in enumerate(program.operations) if operation.kind == "input"]
    made = [number for number, operation in enumerate(program.operations) if operation.kind == "map"]

    def lost(output: str, products: str, number: int) -> float:
        precision = read_precision(f"products={products}", output)
        roles = Roles(arithmetic_of(precision, np.dtype(np.float64)), program, {}, precision, "")
        return float(roles.factor(number, value, nothing, of_product=True).max())

    for output in ("float16", "bfloat16"):
        assert lost(output, output, given[0]) == 0 and lost(output, output, made[0]) >= FORMATS[output].unit * 0.75
    assert lost("float16", "bfloat16", given[0]) >= 2.0**-8 * 0.75 and lost("float32", "float16", given[0]) >= 2.0**-11 * 0.75
    # float16 has all digits of bfloat16, not its small numbers
    assert 0 < lost("bfloat16", "float16", given[0]) <= 2.0**-24 < lost("bfloat16", "float16", made[0])


def test_intermediates_are_what_lies_between_products() -> None:
    rng = np.random.default_rng(1)
    given = {
        name: rng.normal(size=shape).astype(np.float32)
        for name, shape in (("x", (3, 4)), ("w1", (4, 8)), ("b1", (8,)), ("w2", (8, 4)), ("b2", (4,)))
    }
    hidden = np.maximum(given["x"] @ given["w1"] + given["b1"], 0).astype(np.float16).astype(np.float32)
    observed = hidden @ given["w2"] + given["b2"]
    plain, kept = (
        reference("feed_forward", {"activation": "relu"}, given, {}, "float32", precision=read_precision(text, "float32"))
        for text in ("", "intermediate=float16")
    )
    error = np.abs(observed - plain.value)
    assert (error > plain.error).any() and (error <= kept.error).all()


def test_no_online_softmax_or_larger_tiles_make_a_smaller_bound() -> None:
    call = _attention()
    call[2]["k"] = np.sort(call[2]["k"], axis=0)
    any_tile, large, none = (reference(*call, precision=read_precision(f"tile={tile}", "float32")).error for tile in (1, 3, 0))
    assert (any_tile > large).any() and (large >= none).all() and (large > none).any()


def _relu(x: np.ndarray, precision: str, dtype: str = "float32") -> Any:
    return reference("activation", {"activation": "relu"}, {"x": x}, {}, dtype, precision=read_precision(precision, dtype))


def test_subnormal_inputs_may_be_read_as_zero_where_it_is_said() -> None:
    """The least normal number and zero keep their bound; what is below may be lost, and no more than it is."""
    tiny = np.float32(2.0**-126)
    x = np.array([1e-44, -1e-40, tiny, np.nextafter(tiny, np.float32(0)), 0, 1], np.float32)
    lost = _relu(x, "subnormals=flushed").error
    assert (lost >= np.where(np.abs(x) < tiny, np.abs(x.astype(np.float64)), 0)).all()
    assert (lost[[2, 4, 5]] == _relu(x, "").error[[2, 4, 5]]).all() and not _relu(x, "").error.any()
    assert not _relu(np.array([1e-310]), "subnormals=flushed", "float64").error.any(), "double is not flushed"
    assert "subnormal inputs read as zero" in str(read_precision("subnormals=flushed", "bfloat16"))
    assert "subnormal" not in str(read_precision("subnormals=flushed", "float64"))


def test_what_is_read_as_zero_is_carried_on() -> None:
    """A subnormal factor of a huge one: the product is an ordinary number, and may be missing."""
    tensors = {"x": np.full((1, 1), 1e-39, np.float32), "w1": np.full((1, 1), 1e38, np.float32), "b1": np.zeros(1, np.float32)}
    tensors |= {"w2": np.ones((1, 1), np.float32), "b2": np.zeros(1, np.float32)}
    kept, flushed = (
        reference("feed_forward", {"activation": "relu"}, tensors, {}, "float32", precision=read_precision(text, "float32"))
        for text in ("", "subnormals=flushed")
    )
    assert kept.error[0, 0] < 1e-6 < 0.1 <= flushed.error[0, 0] and abs(kept.value[0, 0] - 0.1) < 1e-6


def test_what_is_assumed_of_cupy_gives_way_to_what_is_said() -> None:
    with assuming_library(("cupy",)):
        assert assumed_precision("float32").flushes and assumed_precision("float32").ulps == "cupy"
    with assuming("subnormals=kept"), assuming_library(("cupy",)):
        assert not assumed_precision("float32").flushes


def test_a_factor_that_a_scale_is_put_on_loses_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel may round scale·q to 16 bits, where q itself loses nothing: one u of each score's terms, through a difference of weights."""
    q, k = np.full((1, 32), 1.0), np.stack([np.full(32, 1 / 64), np.zeros(32)])
    tensors = {name: part.astype(np.float16) for name, part in {"q": q, "k": k, "v": np.array([[1.0], [-1.0]])}.items()}
    precision = read_precision("products=float16,probability=float32,intermediate=float32", "float16")
    found = reference("attention", {}, tensors, {}, "float16", precision=precision).error
    monkeypatch.setattr(Roles, "placed", lambda self: 0.0)
    without = reference("attention", {}, tensors, {}, "float16", precision=precision).error
    score = 0.5 / np.sqrt(32)
    assert (found >= without + 0.9 * 2.0**-11 * score / 2).all()


def test_values_are_rounded_to_products_too() -> None:
    """Weights of scores 0: what is lost of the values alone is u·mean|v|, beside as much of the weights."""
    tensors = {"q": np.zeros((1, 4)), "k": np.zeros((8, 4)), "v": np.resize([1.0, -1.0], (8, 1))}
    tensors = {name: part.astype(np.float32) for name, part in tensors.items()}
    plain, coarse = (
        reference("attention", {}, tensors, {}, "float32", precision=read_precision(f"weights=normalised,{text}", "float32")).error
        for text in ("probability=bfloat16", "products=bfloat16")
    )
    assert (coarse >= plain + 2.0**-8 * 0.99).all()
