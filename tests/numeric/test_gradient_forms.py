"""Gradient programs: what is shared, which forms stand side by side, how leading axes become one."""

from __future__ import annotations

from collections import Counter

import pytest

from kernelproof.numeric.gradient_forms import gradient_program, other_forms, stage_form
from kernelproof.numeric.gradient_interpret import weights_in
from kernelproof.numeric.lower_stages import BATCH, SharingProgram
from kernelproof.numeric.program import Axis, Operation, Ref
from kernelproof.symbolic.gradients.attention import DELTA, DS
from kernelproof.symbolic.phases.attention import WEIGHTS
from kernelproof.symbolic.phases.attention_options import VARIANTS
from kernelproof.symbolic.registry import gradient
from kernelproof.symbolic.terms import Num, size

N = size("n")


def kinds(phase: str, variant: dict[str, object]) -> Counter[str]:
    program = gradient_program(phase, variant).program
    return Counter(program.operations[number].kind for number in program.live())


def test_attention_computes_its_weights_once() -> None:
    found = kinds("attention", {})
    # scores, dP, dq, dk, dv, and the result for the other form of Δ
    assert found["contract"] == 6
    # Δ and dS have two forms each; only a result may have been stored
    assert (found["either"], found["stored"]) == (2, 1)
    assert len(weights_in(gradient_program("attention", {}).program)) == 1


def test_a_block_is_no_longer_than_its_parts_together() -> None:
    parts = sum(kinds(phase, {})["contract"] for phase in ("multi_head_attention", "feed_forward"))
    # the forward feed-forward is a stage of its own for the second norm
    assert parts <= kinds("encoder_block", {})["contract"] <= parts + 4


@pytest.mark.parametrize(
    ("phase", "variant"), [("encoder_block", {"norm": "pre"}), ("layer_norm", {}), ("feed_forward", {"activation": "silu"})]
)
def test_outputs_are_the_results_in_the_contracts_order(phase: str, variant: dict[str, object]) -> None:
    made = gradient_program(phase, variant)
    assert set(made.inputs) == set(gradient(phase, **variant).results)
    assert len(made.program.outputs) == sum(made.clauses) == len(made.inputs)


def test_every_variant_computes_its_weights_once() -> None:
    """With a sink its weight beside; the gradients in the order of the arguments, pairs of channels as two outputs."""
    for variant in VARIANTS:
        made = gradient_program("attention", variant)
        assert len(weights_in(made.program)) == (2 if variant.get("sinks") else 1), variant
        assert made.inputs == ("q", "k", "v", *(("sinks",) if variant.get("sinks") else ()))
        assert made.clauses[:3] == ((2, 2, 1) if variant.get("rotary") else (1, 1, 1))
        assert made.leading == bool(variant.get("sinks"))
        own = 4 if variant.get("grouped_query") else 3 if {"sinks", "alibi"} & set(variant) else 2
        assert len(made.program.frames[0]) == own + made.leading


def test_the_slope_of_a_cap_has_its_two_forms() -> None:
    """From the hyperbolic tangent, and from the capped score."""
    assert kinds("attention", {"softcap": 2.0})["either"] == kinds("attention", {})["either"] + 1


def test_weights_are_summed_over_the_leading_axes_in_the_sum_itself() -> None:
    made = gradient_program("multi_head_attention", {})
    for name, ref, frame in zip(made.inputs, made.program.outputs, made.program.frames, strict=True):
        operation = made.program.operations[ref.value]
        assert (BATCH in frame) == (name == "x")
        if name != "x":
            assert operation.kind == "contract" and BATCH in operation.detail[0] and BATCH not in operation.names


def test_a_sum_is_made_where_there_is_none() -> None:
    made = gradient_program("layer_norm", {})
    bias = made.program.operations[made.program.outputs[made.inputs.index("bias")].value]
    assert (bias.kind, bias.detail) == ("fold", ("sum", (BATCH,)))


def test_forms_are_theorems_about_their_stage() -> None:
    assert len(other_forms(DELTA.name)) == len(other_forms(DS.name)) == 1
    assert other_forms("attention_dq") == ()
    _, weights = stage_form(WEIGHTS.name, 0)
    assert weights is not WEIGHTS.clauses[0].body, "the weights are lowered with a shift, or they overflow"


def test_equal_operations_under_other_names_of_axes_are_one_value() -> None:
    program = SharingProgram()
    x = program.add(Operation("input", (Axis("i", N),), detail=("x", "real")))
    one = program.add(Operation("map", (Axis("i", N),), (x,), ("exp",)))
    two = program.add(Operation("map", (Axis("j", N),), (x.renamed({"i": "j"}),), ("exp",)))
    other = program.add(Operation("map", (Axis("j", Num(3)),), (x.renamed({"i": "j"}),), ("exp",)))
    assert two == Ref(one.value, ("j",)) and other.value != one.value
    assert len(program.operations) == 3
