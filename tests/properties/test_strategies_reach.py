"""What the faults of kernels written without sight of the suite asked of the search: it is reached, and only where it is allowed."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kernelproof.properties.model import Case, build
from kernelproof.properties.telling import draw_telling
from kernelproof.properties.values import make_floats

sys.path.insert(0, str(Path(__file__).parent))

from test_strategies import reachable, setting, unreachable


def _ids_type(case: Case) -> str:
    return dict(case.recipes)["ids"].dtype


def test_narrow_ids_only_where_they_are_taken() -> None:
    able = setting("embedding")
    case = reachable(able, lambda case: _ids_type(case) == "int8" and case.size("vocab") > 128 and "int" in _ids_type(case))
    ids = build(case).tensors["ids"]
    assert ids.dtype == np.int8 and (ids >= 0).all()
    unable = replace(able, capabilities=able.capabilities - {"narrow_ids"})
    assert unreachable(unable, lambda case: _ids_type(case) in ("int8", "int16"))
    # a property that makes ids from others would leave the type
    assert unreachable(able, lambda case: _ids_type(case) in ("int8", "int16"), picks={"one": (1, 2)})


def test_more_rows_than_sixteen_bits_count_beside_short_axes() -> None:
    case = reachable(setting("embedding"), lambda case: case.size("vocab") > 32_768)
    assert case.size("d") <= 2 and case.size("n") <= 2
    assert unreachable(setting("embedding"), lambda case: case.size("vocab") > 40, maximum={"vocab": 40})


def test_a_scale_of_zero_only_where_it_is_taken() -> None:
    able = setting("attention")
    assert reachable(able, lambda case: dict(case.options).get("scale") == 0.0)
    unable = replace(able, capabilities=able.capabilities - {"zero_scale"})
    assert unreachable(unable, lambda case: dict(case.options).get("scale") == 0.0)


@pytest.mark.parametrize("phase", ["embedding", "layer_norm", "activation", "feed_forward"])
def test_one_row_by_itself(phase: str) -> None:
    case = reachable(setting(phase), lambda case: case.leading == ())
    assert build(case).tensors[case.shape.tensors[0].name].ndim == len(case.shape.tensors[0].axes) - 1


def test_long_axes_where_no_tensor_is_a_matrix_of_them() -> None:
    assert reachable(setting("softmax", "standard"), lambda case: case.size("n") == 257)
    assert reachable(setting("embedding", "standard"), lambda case: case.size("n") == 257)
    assert unreachable(setting("softmax", "quick"), lambda case: case.size("n") > 40)
    assert unreachable(setting("feed_forward", "standard"), lambda case: case.size("h") > 129)


def test_a_mask_without_the_first_batch_axis() -> None:
    def wanted(case: Case) -> bool:
        mask = build(case).options.get("mask")
        return isinstance(mask, np.ndarray) and mask.ndim == 3 and case.batch == (2, 3) and mask.shape[0] == 3

    assert reachable(setting("attention"), wanted)


def test_every_order_of_magnitude() -> None:
    x = np.abs(make_floats("binades", 1.0, (4000,), np.float32, 1, "x"))
    counts = np.histogram(np.log2(x), bins=27, range=(-20, 7))[0]
    assert counts.sum() == 4000 and counts.min() > 80


def test_a_function_of_one_number_is_tried_far_out() -> None:
    from hypothesis import find
    from hypothesis import strategies as st
    from test_strategies import SEARCH

    @st.composite
    def telling(draw: st.DrawFn, phase: str) -> dict[str, object]:
        return draw_telling(draw, setting(phase))

    def far(found: dict[str, object]) -> bool:
        recipes = found.get("recipes")
        return isinstance(recipes, dict) and any(recipe.style == "binades" for recipe in recipes.values())

    assert find(telling("activation"), far, settings=SEARCH)
