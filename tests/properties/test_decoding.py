"""One token at a time against all at once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kernelproof
from kernelproof.properties.call import Call
from kernelproof.properties.decoding import decoding_properties
from kernelproof.properties.model import Case, Finding, MaskRecipe, Recipe
from kernelproof.properties.mutants import parts

sys.path.insert(0, str(Path(__file__).parent))

from compared import judge, of, reproduces, setting_of, wrong

NAME = "decoding_agrees"
RIGHT = {"attention": parts.attention(), "multi_head_attention": parts.multi_head(), "encoder_block": parts.encoder_block()}


@pytest.fixture(autouse=True)
def toy_tolerance() -> None:
    """The derived bounds instead of the toy ones of this folder."""


@pytest.mark.parametrize("phase", RIGHT)
def test_generated_and_right_kernels_pass(phase: str) -> None:
    assert judge(kernelproof.generate(phase), phase, NAME).verdict == "pass"
    assert judge(RIGHT[phase], phase, NAME, seed=1).verdict == "pass"


@pytest.mark.parametrize(
    ("phase", "name"),
    [
        ("attention", "one query loses the newest key"),
        ("attention", "scale grows with the length"),
        ("multi_head_attention", "causality after the softmax"),
        ("multi_head_attention", "scale grows with the length"),
    ],
)
def test_faults_are_convicted_and_reproduced(phase: str, name: str) -> None:
    function = wrong(phase, name)
    found = judge(function, phase, NAME)
    assert found.verdict == "fail" and "than the whole call" in found.message
    assert reproduces(found, function)
    assert not reproduces(found, RIGHT[phase])


def checked(way: str, row: int, mask: MaskRecipe | None, sizes: dict[str, int], seen: list[Any]) -> Finding:
    def kernel(q: Any, k: Any, v: Any, *, causal: bool = False, mask: Any = None, scale: Any = None) -> Any:
        seen.append((q.shape[-2], k.shape[-2], causal, None if mask is None else mask.shape))
        return parts.attention()(q, k, v, causal=causal, mask=mask, scale=scale)

    options: dict[str, object] = {"causal": True} | ({} if mask is None else {"mask": mask})
    case = Case(
        "attention", tuple(sizes.items()), batch=(2,), recipes=tuple((name, Recipe("normal")) for name in "qkv"),
        options=tuple(options.items()), picks=(("row", row), ("way", way)),
    )
    return of("attention", NAME).check(Call(kernel, case.shape), case, setting_of("attention"))


@pytest.mark.parametrize(("shape", "cut"), [("nm", (1, 3)), ("m", (3,)), ("1m", (1, 3)), ("full", (2, 1, 3))])
def test_a_step_has_one_query_and_the_keys_so_far(shape: str, cut: tuple[int, ...]) -> None:
    seen: list[Any] = []
    assert checked("step", 2, MaskRecipe("bool", shape), {"n": 4, "d": 3, "m": 5, "e": 2}, seen).ok
    assert seen == [(4, 5, True, {"nm": (4, 5), "m": (5,), "1m": (1, 5), "full": (2, 4, 5)}[shape]), (1, 3, False, cut)]


def test_a_prefix_is_causal_and_shorter_and_keys_may_run_out() -> None:
    seen: list[Any] = []
    assert checked("prefix", 3, MaskRecipe("float_mixed"), {"n": 5, "d": 3, "m": 2, "e": 2}, seen).ok
    assert seen == [(5, 2, True, (5, 2)), (4, 2, True, (4, 2))]


def test_other_conventions_of_causality() -> None:
    assert not decoding_properties("softmax", {})
    assert len(decoding_properties("attention", {"causal_alignment": "bottom_right"})) == 1


def test_a_wrong_shape_is_left_to_its_own_property() -> None:
    case = Case(
        "attention", (("n", 2), ("d", 2), ("m", 2), ("e", 2)), recipes=tuple((name, Recipe("normal")) for name in "qkv"),
        options=(("causal", True),), picks=(("row", 1), ("way", "step")),
    )
    finding = of("attention", NAME).check(Call(lambda q, k, v, **_: np.zeros(3, v.dtype), case.shape), case, setting_of("attention"))
    assert finding.ok and finding.vacuous
