"""The way back from a statement to a call: what was left alone comes back as it was, what was changed is said explicitly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernelproof.numeric.formal import formal
from kernelproof.numeric.interpret import Approx
from kernelproof.numeric.reference import wide
from kernelproof.properties.capabilities import everything
from kernelproof.properties.model import Case, Inputs, MaskRecipe, Recipe, Setting, build
from kernelproof.properties.presentation import Shown, present
from kernelproof.properties.profiles import PROFILES
from kernelproof.properties.shapes import phase_shape
from kernelproof.properties.strategies import draw_case
from kernelproof.symbolic.registry import derive, phases

SIZES = {"n": 5, "d": 3, "m": 5, "e": 2}
NORMAL = Recipe("normal")


def setting_of(phase: str, dtype: str = "float32") -> Setting:
    variant = derive(phase).variant
    return Setting(phase, variant, dtype, everything(phase_shape(phase, variant)), PROFILES["quick"])


def shown_with(case: Case, changed: Mapping[str, Any] | None = None) -> tuple[Shown, Inputs, dict[str, Any]]:
    """The call for the formal arguments of a case, some of them replaced."""
    inputs = build(case)
    given = formal(case.phase, dict(case.variant), inputs.tensors, inputs.options)
    arguments = {}
    for name, value in {**given.inputs, **(changed or {})}.items():
        array = np.asarray(value).astype(wide(case.dtype))
        arguments[name] = Approx(array, np.zeros_like(array))
    shown = present(case, setting_of(case.phase, case.dtype), arguments, given.sizes, inputs, given.inputs)
    return shown, inputs, dict(given.inputs)


def attention_case(dtype: str = "float32", batch: tuple[int, ...] = (), **options: object) -> Case:
    recipes = tuple((name, NORMAL) for name in "qkv")
    return Case("attention", tuple(SIZES.items()), batch=batch, recipes=recipes, options=tuple(options.items()), dtype=dtype)


PERMUTATION = np.array([3, 1, 4, 0, 2])


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
@pytest.mark.parametrize("phase", list(phases()))
@settings(max_examples=15, database=None, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_a_statement_left_alone_comes_back_as_it_was(phase: str, dtype: str, data: st.DataObject) -> None:
    case = data.draw(st.composite(lambda draw: draw_case(draw, setting_of(phase, dtype)))())
    shown, inputs, plain = shown_with(case)
    assert set(shown.options) == set(inputs.options)
    assert all(shown.options[name] is inputs.options[name] or shown.options[name] == inputs.options[name] for name in shown.options)
    again = formal(phase, dict(case.variant), shown.tensors, shown.options)
    for name, value in plain.items():
        assert np.array_equal(np.asarray(again.inputs[name]), np.asarray(value)), name
    assert all(not error.any() for error in shown.errors.values())


def test_a_permuted_triangle_becomes_an_explicit_mask() -> None:
    case = attention_case(causal=True)
    allow = np.tri(5, 5, dtype=bool)[PERMUTATION][:, PERMUTATION]
    shown, _, _ = shown_with(case, {"allow": allow})
    assert "causal" not in shown.options
    assert shown.options["mask"].dtype == bool
    assert np.array_equal(shown.options["mask"], allow)


def test_a_permuted_boolean_mask_stays_boolean() -> None:
    case = attention_case(mask=MaskRecipe("bool"))
    allow = np.asarray(build(case).options["mask"])[:, PERMUTATION]
    shown, _, _ = shown_with(case, {"allow": allow})
    assert np.array_equal(shown.options["mask"], allow)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_permuted_bias_becomes_a_floating_mask_of_the_dtype(dtype: str) -> None:
    case = attention_case(dtype, mask=MaskRecipe("float_mixed"), causal=True)
    _, _, plain = shown_with(case)
    allow, bias = plain["allow"][:, PERMUTATION], plain["bias"][:, PERMUTATION]
    shown, _, _ = shown_with(case, {"allow": allow, "bias": bias})
    mask = shown.options["mask"]
    assert "causal" not in shown.options
    assert mask.dtype == dtype
    assert np.array_equal(np.isneginf(mask), ~allow)
    assert np.array_equal(mask[allow].astype(np.float64), bias[allow])


def test_a_mask_that_forbids_nothing_any_more_is_left_out() -> None:
    shown, _, _ = shown_with(attention_case(causal=True, mask=MaskRecipe("bool")), {"allow": np.ones((5, 5), dtype=bool)})
    assert set(shown.options) <= {"scale"}


@pytest.mark.parametrize(
    ("phase", "sizes", "tensors", "name", "value"),
    [
        ("positional", {"n": 3, "d": 4}, (), "start", 7),
        ("positional", {"n": 3, "d": 4}, (), "base", 100.0),
        ("rotary", {"n": 3, "h": 2, "d": 4}, ("x",), "start", 7),
        ("layer_norm", {"n": 3, "d": 4}, ("x", "gain", "bias"), "eps", 4e-5),
        ("rms_norm", {"n": 3, "d": 4}, ("x", "gain"), "eps", 4e-5),
        ("attention", SIZES, ("q", "k", "v"), "scale", 0.25),
    ],
)
def test_a_changed_scalar_is_passed_and_others_are_not(
    phase: str, sizes: dict[str, int], tensors: tuple[str, ...], name: str, value: float
) -> None:
    variant = tuple(sorted(derive(phase).variant.items()))
    lead = phase_shape(phase).lead
    case = Case(phase, tuple(sizes.items()), lead=lead, recipes=tuple((tensor, NORMAL) for tensor in tensors), variant=variant)
    shown, inputs, _ = shown_with(case, {name: value})
    assert shown.options == {**inputs.options, name: value}
    assert type(shown.options[name]) is (int if name == "start" else float)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_rounding_of_an_argument_is_in_its_error(dtype: str) -> None:
    case = attention_case(dtype)
    moved = np.asarray(build(case).tensors["k"], dtype=np.float64) + 1 / 3
    shown, _, _ = shown_with(case, {"k": moved})
    off = np.abs(shown.tensors["k"].astype(np.float64) - moved)
    assert shown.tensors["k"].dtype == dtype
    assert off.any()
    assert (off <= shown.errors["k"]).all()
    assert (shown.errors["k"] <= np.finfo(dtype).eps * np.abs(moved)).all()
    assert not shown.errors["q"].any()


def test_what_leaves_the_range_of_the_dtype_has_no_bound() -> None:
    case = attention_case("float16")
    far = np.asarray(build(case).tensors["k"], dtype=np.float64) + 1e6
    shown, _, _ = shown_with(case, {"k": far})
    assert np.isinf(shown.tensors["k"]).all()
    assert np.isinf(shown.errors["k"]).all()


def test_all_tensors_of_a_call_have_the_same_leading_axes() -> None:
    """A statement may speak of one v for all entries of the batch; the contract's call may not."""
    shown, _, _ = shown_with(attention_case(batch=(2, 3)), {"v": np.ones((5, 2))})
    assert [shown.tensors[name].shape[:-2] for name in "qkv"] == [(2, 3)] * 3
    assert shown.tensors["v"].flags.writeable
