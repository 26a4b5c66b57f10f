"""The properties that compare calls, over the variants of attention; which phase has which."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import kernelproof
from kernelproof.properties.beside_theorems import compared_calls
from kernelproof.properties.registry import properties_of
from kernelproof.properties.shapes import PHASES
from kernelproof.symbolic.registry import variants_of

sys.path.insert(0, str(Path(__file__).parent))

from compared import judge

VARIANTS = variants_of("attention")[1:]
OF_VARIANTS = {"weights_of_one_hot_values", "decoding_agrees", "paths_agree", "poison_stays"}


@pytest.fixture(autouse=True)
def toy_tolerance() -> None:
    """The derived bounds instead of the toy ones of this folder."""


def test_which_phase_has_which() -> None:
    names = {phase: {found.id.partition(".")[2] for found in compared_calls(phase, {})} for phase in PHASES}
    assert names["attention"] >= {"weights_of_one_hot_values", "decoding_agrees", "paths_agree", "poison_stays"}
    assert names["multi_head_attention"] >= {"decoding_agrees", "paths_agree", "poison_stays", "heads_independent"}
    assert names["encoder_block"] >= {"decoding_agrees", "paths_agree", "poison_stays"}
    assert names["embedding"] >= {"paths_agree", "ids_out_of_range"} and "poison_stays" not in names["embedding"]
    assert "paths_agree" in names["positional"] and "poison_stays" not in names["positional"]
    assert all(names[phase] >= {"paths_agree", "poison_stays"} for phase in ("softmax", "rotary", "activation", "layer_norm", "rms_norm"))
    own = {"weights_of_one_hot_values", "decoding_agrees", "heads_independent", "ids_out_of_range"}
    assert not own & (names["softmax"] | names["rotary"] | names["layer_norm"])


def test_they_are_properties_of_the_phase() -> None:
    known = [found.id for found in properties_of("attention")]
    assert {found.id for found in compared_calls("attention", {})} < set(known)
    assert all(found.kind == "harness" and found.theorem for found in compared_calls("attention", {}))


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: "-".join(f"{name}={value}" for name, value in variant.items()))
def test_generated_kernels_of_variants_pass(variant: dict[str, Any]) -> None:
    kernel = kernelproof.generate("attention", **variant)
    for name in OF_VARIANTS & {found.id.partition(".")[2] for found in compared_calls("attention", variant)}:
        verdict = judge(kernel, "attention", name, **variant)
        assert (name, verdict.verdict, verdict.message) == (name, "pass", "")
