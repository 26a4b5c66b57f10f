"""What stands beside a slice or a head does not reach it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kernelproof
from kernelproof.properties.mutants import parts
from kernelproof.properties.neighbours import neighbour_properties
from kernelproof.properties.shapes import PHASES

sys.path.insert(0, str(Path(__file__).parent))

from compared import judge, reproduces, wrong

POISON, HEADS = "poison_stays", "heads_independent"


@pytest.fixture(autouse=True)
def toy_tolerance() -> None:
    """The derived bounds instead of the toy ones of this folder."""


@pytest.mark.parametrize("phase", [phase for phase in PHASES if phase not in ("embedding", "positional")])
def test_generated_kernels_keep_poison_where_it_is(phase: str) -> None:
    assert judge(kernelproof.generate(phase), phase, POISON).verdict == "pass"


def test_heads_of_generated_and_right_kernels_stand_alone() -> None:
    for kernel in (kernelproof.generate("multi_head_attention"), parts.multi_head()):
        found = judge(kernel, "multi_head_attention", HEADS)
        assert found.verdict == "pass" and found.examples > 5


@pytest.mark.parametrize(
    ("phase", "name", "subject", "told", "right"),
    [
        ("layer_norm", "neighbours added times zero", POISON, "in the other slices", parts.layer_norm()),
        ("attention", "values of neighbours added times zero", POISON, "in the other slices", parts.attention()),
        ("softmax", "maximum of all rows taken off first", POISON, "in the other slices", kernelproof.generate("softmax")),
        ("multi_head_attention", "keys of the next head", HEADS, "with the weights of the other heads", parts.multi_head()),
        ("multi_head_attention", "one maximum for all heads", HEADS, "with the weights of the other heads", parts.multi_head()),
    ],
)
def test_faults_are_convicted_and_reproduced(phase: str, name: str, subject: str, told: str, right: Any) -> None:
    function = wrong(phase, name)
    found = judge(function, phase, subject)
    assert found.verdict == "fail" and told in found.message
    assert reproduces(found, function)
    assert not reproduces(found, right)


def test_nan_in_a_masked_value_of_the_slice_itself_is_no_verdict() -> None:
    """The generated kernel lets it through, and passes all the same."""
    q, v = np.ones((1, 2), np.float32), np.array([[1, 1], [np.nan, 1]], np.float32)
    out = kernelproof.generate("attention")(q, np.ones((2, 2), np.float32), v, mask=np.array([True, False]))
    assert np.isnan(out[0, 0])


def test_only_phases_with_slices_or_heads_have_them() -> None:
    assert not neighbour_properties("embedding", {}) and not neighbour_properties("positional", {})
    found = neighbour_properties("multi_head_attention", {})
    assert [subject.id for subject in found] == [f"multi_head_attention.{name}" for name in (POISON, HEADS)]
