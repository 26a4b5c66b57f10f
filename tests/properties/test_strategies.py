"""What is drawn: allowed where it should be, reached where it must be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample
from hypothesis.strategies import DrawFn, SearchStrategy

from kernelproof.properties.capabilities import ASSUMED, everything
from kernelproof.properties.model import Case, MaskRecipe, Recipe, Setting, build
from kernelproof.properties.profiles import PROFILES
from kernelproof.properties.shapes import PHASES, phase_shape
from kernelproof.properties.strategies import draw_case, draw_extra
from kernelproof.properties.values import STYLES

SEARCH = settings(
    max_examples=3000, database=None, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


def setting(phase: str, profile: str = "quick", dtype: str = "float32", **variant: object) -> Setting:
    return Setting(phase, variant, dtype, everything(phase_shape(phase, variant)), PROFILES[profile])


def cases(chosen: Setting, **arguments: Any) -> SearchStrategy[Case]:
    @st.composite
    def strategy(draw: DrawFn) -> Case:
        return draw_case(draw, chosen, **arguments)

    return strategy()


def reachable(chosen: Setting, wanted: Callable[[Case], bool], **arguments: Any) -> Case:
    return find(cases(chosen, **arguments), wanted, settings=SEARCH)


def unreachable(chosen: Setting, wanted: Callable[[Case], bool], **arguments: Any) -> bool:
    try:
        find(cases(chosen, **arguments), wanted, settings=settings(SEARCH, max_examples=300))
    except NoSuchExample:
        return True
    return False


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("phase", PHASES)
def test_every_case_builds_finite_inputs_of_the_right_shapes(phase: str, dtype: str) -> None:
    chosen = setting(phase, "standard", dtype)

    @settings(max_examples=30, database=None, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(cases(chosen))
    def check(case: Case) -> None:
        inputs = build(case)
        for tensor in case.shape.tensors:
            array = inputs.tensors[tensor.name]
            assert array.shape == case.lengths(tensor.axes)
            assert np.isfinite(array).all()
            assert array.dtype == dtype or tensor.role == "ids"
        assert {*inputs.options} <= {*case.shape.options, *dict(case.shape.size_options)}
        for name, parts in case.shape.derived:
            assert case.size(name) == np.prod([part if isinstance(part, int) else case.size(part) for part in parts])

    check()


@pytest.mark.parametrize("variant", [{"grouped_query": True}, {"sinks": True}, {"grouped_query": True, "sinks": True}])
def test_variants_that_change_the_signature_build(variant: dict[str, object]) -> None:
    case = reachable(setting("attention", **variant), lambda case: len(case.options) == 3)
    assert build(case).tensors["q"].ndim == len(case.batch) + 3


def test_simplest_case_is_small() -> None:
    assert dict(reachable(setting("attention"), lambda case: True).sizes) == {"n": 1, "d": 1, "m": 1, "e": 1}


def test_sizes_reach_forty_and_both_sides_of_blocks() -> None:
    assert reachable(setting("softmax"), lambda case: case.size("n") == 40)
    assert unreachable(setting("softmax"), lambda case: case.size("n") > 40)
    for size in (63, 64, 65, 129):
        assert reachable(setting("softmax", "standard"), lambda case, size=size: case.size("n") == size)
    large = {"n", "m", "d", "e"}
    assert unreachable(
        setting("attention", "standard"), lambda case: sum(case.size(name) > 40 for name in large) > 1
    ), "two large axes make an example slow"


def test_empty_reductions_need_the_capability() -> None:
    able = setting("attention")
    unable = replace(able, capabilities=able.capabilities - {"empty"})
    for axis in ("m", "d"):
        assert reachable(able, lambda case, axis=axis: case.size(axis) == 0)
        assert unreachable(unable, lambda case, axis=axis: case.size(axis) == 0)
    assert reachable(unable, lambda case: case.size("n") == 0)
    assert reachable(unable, lambda case: case.batch == (0,))
    nothing = replace(able, capabilities=frozenset())
    assert unreachable(nothing, lambda case: case.size("n") == 0 or 0 in case.batch)


def test_keys_that_equal_queries_are_reduced_too() -> None:
    unable = replace(setting("attention"), capabilities=ASSUMED)
    assert unreachable(unable, lambda case: case.size("n") == 0, fixed={"m": "n"})
    assert unreachable(unable, lambda case: case.size("n") != case.size("m"), fixed={"m": "n"})


def test_value_width_is_tied_where_it_is_not_supported() -> None:
    assert reachable(setting("attention"), lambda case: case.size("e") != case.size("d"))
    tied = replace(setting("attention"), capabilities=frozenset({"no_rows"}))
    assert unreachable(tied, lambda case: case.size("e") != case.size("d"))


def test_limits_and_fixed_sizes() -> None:
    chosen = setting("attention", "standard")
    within = {"minimum": {"n": 3}, "maximum": {"n": 5}, "fixed": {"d": 2, "e": "m"}, "more_sizes": ["extra"]}
    assert unreachable(
        chosen,
        lambda case: not 3 <= case.size("n") <= 5 or case.size("d") != 2 or case.size("e") != case.size("m"),
        **within,
    )
    assert reachable(chosen, lambda case: case.size("extra") > 3, **within)


def test_options_only_where_supported() -> None:
    plain = replace(setting("attention"), capabilities=ASSUMED)
    assert unreachable(plain, lambda case: bool(case.options))
    everything_at_once = {"causal", "mask", "scale"}
    assert reachable(setting("attention"), lambda case: {name for name, _ in case.options} == everything_at_once)
    assert reachable(setting("attention"), lambda case: not case.options)
    assert unreachable(setting("attention"), lambda case: "causal" in dict(case.options), without=["causal"])
    forced = reachable(setting("attention"), lambda case: True, options={"scale": 7.0})
    assert dict(forced.options)["scale"] == 7.0


def test_kinds_of_mask_only_where_supported() -> None:
    able = setting("attention")
    only_bool = replace(able, capabilities=able.capabilities - {"mask_float"})

    def kind(case: Case) -> str:
        mask = dict(case.options).get("mask")
        return mask.kind if isinstance(mask, MaskRecipe) else ""

    assert unreachable(only_bool, lambda case: kind(case).startswith("float"))
    assert reachable(only_bool, lambda case: kind(case) == "bool_row")
    assert reachable(able, lambda case: kind(case) == "float_mixed")


def test_masks_of_heads_have_no_batch_axes() -> None:
    def shape(case: Case) -> str:
        mask = dict(case.options).get("mask")
        return mask.shape if isinstance(mask, MaskRecipe) else ""

    assert unreachable(setting("multi_head_attention"), lambda case: shape(case) in ("full", "first"))
    assert reachable(setting("attention"), lambda case: shape(case) == "full")


@pytest.mark.parametrize("style", STYLES)
def test_every_style_is_reached(style: str) -> None:
    assert reachable(setting("softmax"), lambda case: dict(case.recipes)["x"].style == style)


def test_logits_reach_a_hundred_thousand() -> None:
    def far(case: Case) -> bool:
        x = build(case).tensors["x"]
        return bool(x.size and np.abs(x).max() > 9e4)

    assert reachable(setting("softmax"), far)
    assert reachable(setting("softmax"), far, tame=True)


def test_tame_weights_stay_moderate() -> None:
    def large(case: Case) -> bool:
        return any(np.abs(array).max(initial=0) > 200 for array in build(case).tensors.values())

    assert unreachable(setting("feed_forward"), large, tame=True)


def test_affine_parameters_are_not_at_their_defaults() -> None:
    def at_default(case: Case) -> bool:
        gain, bias = build(case).tensors["gain"], build(case).tensors["bias"]
        return case.size("d") > 2 and bool((gain == 1).all() and (bias == 0).all())

    assert unreachable(setting("layer_norm"), at_default)


def test_overrides() -> None:
    case = reachable(
        setting("attention"), lambda case: True, recipes={"v": Recipe("identity")}, fixed={"e": "m"}, batch=()
    )
    v = build(case).tensors["v"]
    assert np.array_equal(v, np.eye(len(v)))


def test_extras_are_built_and_index_maps_have_a_target() -> None:
    extras = (("s", "permutation", ("n",)), ("r", "index_map", ("m", "n")), ("u", "real", ("d",)), ("t", "offset", ()))
    assert unreachable(setting("attention"), lambda case: case.size("n") == 0, extras=extras)
    case = reachable(setting("attention"), lambda case: case.size("n") > 3 and case.size("m") > 3, extras=extras)
    made = build(case).extras
    assert sorted(made["s"]) == list(range(case.size("n")))
    assert made["r"].shape == (case.size("m"),)
    assert made["u"].shape == (*case.batch, case.size("d"))


def test_extras_of_unknown_kind_or_size_are_our_own_fault() -> None:
    with pytest.raises(ValueError, match="matrix"):
        draw_extra(lambda strategy: 0, "matrix", {}, name="a")  # type: ignore[arg-type, return-value]
    with pytest.raises(ValueError, match="'z'"):
        draw_extra(lambda strategy: 0, "real", {"n": 1}, name="a", axes=("z",))  # type: ignore[arg-type, return-value]


def test_heads_and_their_width_are_not_both_large() -> None:
    chosen = setting("multi_head_attention", "standard")
    assert unreachable(chosen, lambda case: case.size("d") > 2 * 129)
    assert unreachable(chosen, lambda case: case.size("f") < 60 and case.size("d") > 96)
    assert reachable(chosen, lambda case: case.size("f") == 129)
    assert reachable(chosen, lambda case: case.size("heads") > 4 and case.size("f") > 8)
