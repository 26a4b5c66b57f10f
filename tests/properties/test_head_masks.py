"""Where heads are an axis of the scores, a mask may be one for each head: it is drawn, serves every slice, and each head has its own."""

from __future__ import annotations

import numpy as np
import pytest

from kernelproof.properties.harness import slice_of_mask
from kernelproof.properties.masks import HEAD_MASK, MASK_SHAPES
from kernelproof.properties.model import Case, MaskRecipe, Recipe, build
from kernelproof.properties.shapes import phase_shape


def case(**variant: object) -> Case:
    sizes = (("heads", 2), ("group", 3), ("query_heads", 6), ("n", 3), ("m", 4), ("d", 2), ("e", 1))
    recipes = tuple((tensor.name, Recipe("normal")) for tensor in phase_shape("attention", variant).tensors)
    options = (("mask", MaskRecipe("bool", HEAD_MASK)),)
    return Case("attention", sizes, (5,), recipes=recipes, options=options, variant=tuple(sorted(variant.items())), seed=1)


@pytest.mark.parametrize(("variant", "heads"), [({"grouped_query": True}, 6), ({"sinks": True}, 2), ({"alibi": True}, 2)])
def test_a_mask_of_heads_has_one_for_each_query_head(variant: dict[str, object], heads: int) -> None:
    mask = np.asarray(build(case(**variant)).options["mask"])
    assert mask.shape == (heads, 3, 4) and len({one.tobytes() for one in mask}) > 1
    assert slice_of_mask(mask, (5,), (2,), 3) is mask
    whole = np.broadcast_to(mask, (5, heads, 3, 4))
    assert slice_of_mask(whole, (5,), (2,), 3).shape == (heads, 3, 4)


def test_only_scores_with_heads_have_such_masks() -> None:
    assert phase_shape("attention", {"grouped_query": True}).head_axes == ("query_heads",)
    assert phase_shape("attention").head_axes == () == phase_shape("multi_head_attention").head_axes and HEAD_MASK not in MASK_SHAPES
