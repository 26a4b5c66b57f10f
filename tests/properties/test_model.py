"""Cases build the same arrays every time and survive a trip through JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from kernelproof.properties.model import Case, Extra, Inputs, MaskRecipe, Recipe, build, case_from, dtype_named
from kernelproof.symbolic.errors import InputError

NORMAL = Recipe("normal")
CASE = Case(
    phase="attention",
    sizes=(("n", 3), ("d", 4), ("m", 5), ("e", 2)),
    batch=(2,),
    recipes=(("q", NORMAL), ("k", Recipe("large", 300.0)), ("v", NORMAL)),
    options=(("causal", True), ("mask", MaskRecipe("float_inf", "full")), ("scale", 0.5)),
    extras=(
        Extra("u", "real", ("d",), batched=False),
        Extra("z", "real"),
        Extra("a", "positive", (), Recipe("positive")),
        Extra("s", "permutation", ("m",)),
        Extra("r", "index_map", ("n", 7)),
        Extra("t", "offset", recipe=Recipe("constant", 9)),
    ),
    picks=(("slice", 1),),
    seed=11,
)


def test_shapes_options_and_extras() -> None:
    inputs = build(CASE)
    assert {name: array.shape for name, array in inputs.tensors.items()} == {
        "q": (2, 3, 4),
        "k": (2, 5, 4),
        "v": (2, 5, 2),
    }
    assert {array.dtype.name for array in inputs.tensors.values()} == {"float32"}
    assert inputs.options["causal"] is True
    assert inputs.options["scale"] == 0.5
    assert inputs.options["mask"].shape == (2, 3, 5)  # type: ignore[attr-defined]
    extras = inputs.extras
    assert extras["u"].shape == (4,)
    assert extras["z"].shape == (2,)
    assert (extras["a"] > 0).all()
    assert sorted(extras["s"]) == list(range(5))
    assert extras["r"].shape == (3,)
    assert extras["r"].max() < 7
    assert extras["t"] == 9


def bits(inputs: Inputs) -> list[bytes]:
    arrays = {**inputs.tensors, **inputs.options, **inputs.extras}
    return [value.tobytes() for value in arrays.values() if isinstance(value, np.ndarray)]


def test_equal_cases_build_equal_bits() -> None:
    assert bits(build(CASE)) == bits(build(replace(CASE)))
    assert bits(build(CASE)) != bits(build(replace(CASE, seed=12)))


def test_building_twice_shares_no_memory() -> None:
    assert not np.shares_memory(build(CASE).tensors["q"], build(CASE).tensors["q"])


def test_changing_one_recipe_leaves_the_other_tensors_alone() -> None:
    other = replace(CASE, recipes=(("q", Recipe("ones")), *CASE.recipes[1:]))
    assert build(other).tensors["k"].tobytes() == build(CASE).tensors["k"].tobytes()


def test_round_trip_through_json() -> None:
    again = case_from(json.loads(json.dumps(CASE.describe())))
    assert again == CASE
    assert bits(build(again)) == bits(build(CASE))


def test_copy_is_deep() -> None:
    inputs = build(CASE)
    copy = inputs.copy()
    copy.tensors["q"][...] = 0
    copy.options["mask"][...] = 0  # type: ignore[index]
    assert bits(inputs) == bits(build(CASE))


def test_sizes_become_options() -> None:
    case = Case("positional", (("n", 3), ("d", 5)), options=(("start", 7),))
    assert build(case).options == {"n_positions": 3, "d_model": 5, "start": 7}
    assert build(case).tensors == {}


def test_lead_axes_stand_between_batch_and_row() -> None:
    recipes = (("x", NORMAL), ("gain", NORMAL), ("bias", NORMAL))
    inputs = build(Case("layer_norm", (("d", 4), ("n", 3)), batch=(2,), lead=("n",), recipes=recipes))
    assert inputs.tensors["x"].shape == (2, 3, 4)
    assert inputs.tensors["gain"].shape == (4,)


def test_unknown_dtype_names_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"float8.*float16, bfloat16, float32, float64"):
        dtype_named("float8")


def test_bfloat16_needs_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ml_dtypes", None)
    with pytest.raises(InputError, match="pip install ml_dtypes"):
        dtype_named("bfloat16")
