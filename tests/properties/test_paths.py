"""All ways of asking for the same give the same; which ways there are, and that each one is tried."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kernelproof
from kernelproof.properties.capabilities import everything
from kernelproof.properties.model import Case, Inputs, MaskRecipe, Recipe, build
from kernelproof.properties.mutants import parts
from kernelproof.properties.path_rewrites import Rewrite, rewrites
from kernelproof.properties.shapes import PHASES, phase_shape
from kernelproof.properties.two_calls import spelled

sys.path.insert(0, str(Path(__file__).parent))

from compared import judge, reproduces, wrong

NAME = "paths_agree"
SIZES = {"n": 4, "d": 6, "m": 5, "e": 2, "h": 3, "heads": 2, "f": 3, "vocab": 5}


@pytest.fixture(autouse=True)
def toy_tolerance() -> None:
    """The derived bounds instead of the toy ones of this folder."""


@pytest.mark.parametrize("phase", PHASES)
def test_generated_kernels_pass(phase: str) -> None:
    assert judge(kernelproof.generate(phase), phase, NAME).verdict == "pass"


@pytest.mark.parametrize(
    ("phase", "name", "path", "right"),
    [
        ("attention", "a mask that is all True drops causality", "no mask, and a mask that is all True", parts.attention()),
        ("attention", "scale left out is one", "scale left out, and given as", parts.attention()),
        ("attention", "larger batches added in float16", "", parts.attention()),
        ("softmax", "float16 from three axes on", "axis", kernelproof.generate("softmax")),
        ("layer_norm", "another eps where it is left out", "eps left out, and given as 1e-05", parts.layer_norm()),
        ("rms_norm", "eps forgotten with a gain of ones", "gain and bias inside, and outside", parts.rms_norm()),
        ("feed_forward", "one token without the second bias", "", parts.feed_forward()),
        ("rotary", "starts at even positions only", "and the last rows of a call from 0", parts.rotary()),
    ],
)
def test_faults_are_named_by_the_path_and_reproduced(phase: str, name: str, path: str, right: Any) -> None:
    function = wrong(phase, name)
    found = judge(function, phase, NAME)
    assert found.verdict == "fail" and path in found.message, found.message
    assert reproduces(found, function)
    assert not reproduces(found, right)


def made(phase: str, batch: tuple[int, ...] = (), without: frozenset[str] = frozenset(), **options: object) -> tuple[Inputs, list[Rewrite]]:
    shape = phase_shape(phase)
    sizes = {**SIZES, **({"d": 6, "h": 3} if ("d", ("h", 2)) in shape.derived else {})}
    recipes = tuple((one.name, Recipe("ids" if one.below else "normal")) for one in shape.tensors)
    case = Case(phase, tuple(sizes.items()), batch, shape.lead, recipes, tuple(options.items()), seed=1)
    inputs = build(case)
    return inputs, list(rewrites(case, inputs, everything(shape) - without))


def names(phase: str, batch: tuple[int, ...] = (), without: frozenset[str] = frozenset(), **options: object) -> list[str]:
    return [found.name for found in made(phase, batch, without, **options)[1]]


MORE = "the inputs, and one more axis of length one"
HALVES, FLAT = "one batch, and two halves", "leading axes, and one axis for all"


def test_the_ways_of_each_phase() -> None:
    assert names("attention") == [
        "causal left out, and given as 0", "scale left out, and given as 0.408248", "no mask, and a mask that is all True",
        "no mask, and a mask of zeros", MORE, "all queries, and two halves",
    ]
    assert names("attention", (2, 3), causal=True, scale=0.5, mask=MaskRecipe("bool", "full")) == [
        "causal, and as a boolean mask", "causal, and as a mask of numbers", "a boolean mask, and as numbers",
        "scale=0.5, and queries times 0.5 with scale=1", HALVES, FLAT, MORE,
    ]
    assert names("multi_head_attention", causal=True, mask=MaskRecipe("float_bias")) == ["causal, and as a mask of numbers", MORE]
    assert names("softmax", (1, 3)) == [FLAT, MORE]
    assert names("layer_norm") == ["eps left out, and given as 1e-05", "gain and bias inside, and outside", HALVES, MORE]
    assert names("positional", start=7, base=2.0) == ["start=7, and the last rows of a call from 0"]
    assert names("rotary", start=8) == ["base left out, and given as 10000", MORE]
    assert names("embedding") == ["ids of type int64, and int32", HALVES, MORE]


def test_only_what_the_target_takes() -> None:
    assert "no mask, and a mask of zeros" not in names("attention", without=frozenset({"mask_float"}))
    plain = frozenset({"causal", "scale", "mask", "mask_bool", "mask_float"})
    assert names("attention", without=plain) == [MORE, "all queries, and two halves"]


@pytest.mark.parametrize("scale", [0.3, 0.0])
def test_a_scale_that_would_round_stays_where_it_is(scale: float) -> None:
    assert not any("queries times" in name for name in names("attention", scale=scale))


def in_double(value: Any) -> Any:
    return value.astype(np.float64) if getattr(value, "dtype", None) == np.float32 else value


@pytest.mark.parametrize(
    ("phase", "batch", "options"),
    [
        ("attention", (2, 3), {"causal": True, "scale": 0.125, "mask": MaskRecipe("float_mixed", "full")}),
        ("attention", (3,), {"mask": MaskRecipe("bool_row", "first")}),
        ("attention", (), {"mask": MaskRecipe("bool", "m")}),
        ("multi_head_attention", (2,), {"causal": True}),
        ("encoder_block", (3,), {}),
        *((phase, (2, 2), {}) for phase in ("softmax", "layer_norm", "rms_norm", "feed_forward", "activation", "embedding")),
        ("rotary", (2,), {"start": 7}),
        ("positional", (), {"start": 1}),
    ],
)
def test_every_way_is_equal_in_float64(phase: str, batch: tuple[int, ...], options: dict[str, object]) -> None:
    """To fifteen digits: no tolerance of ours is in this test."""
    inputs, found = made(phase, batch, **options)
    call = kernelproof.generate(phase, dtype="float64")

    def run(given: Inputs) -> Any:
        wide, told = ({name: in_double(value) for name, value in part.items()} for part in (given.tensors, given.options))
        names = {"target": call, **wide, **({"mask": told["mask"]} if "mask" in told else {})}
        return eval(spelled(phase_shape(phase), Inputs(wide, told), {}), names)

    whole = run(inputs)
    assert found
    for rewrite in found:
        joined = rewrite.join([run(part) for part in rewrite.calls])
        assert joined.shape == whole.shape, rewrite.name
        assert np.allclose(joined, whole, rtol=1e-13, atol=1e-14), rewrite.name
