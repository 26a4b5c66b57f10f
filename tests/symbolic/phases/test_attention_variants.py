"""Variants of attention: which definition each has, which theorems it claims and which not, and that a head's theorem is every head's."""

from __future__ import annotations

import pytest

from kernelproof.symbolic.logs import replay
from kernelproof.symbolic.phases.attention import DEFINITION, derivation
from kernelproof.symbolic.phases.attention_forms import FORMS, Form
from kernelproof.symbolic.phases.attention_heads import Heads
from kernelproof.symbolic.printing.render import text
from kernelproof.symbolic.registry import derive, phase, variants_of

PERMUTED = {"attention.permutation_equivariance", "attention.key_permutation"}


def ids(**variant: object) -> set[str]:
    return {found.id for found in derive("attention", **variant).statements}


def test_values_of_arguments_keep_the_definition_and_forms_have_their_own() -> None:
    for variant in ({"window": 3}, {"causal_alignment": "bottom_right"}, {"fully_masked": "nan"}, {}):
        assert derive("attention", **variant).definition is DEFINITION
    names = {
        "attention_softcap": {"softcap": 30}, "headed_attention_sinks": {"sinks": True}, "headed_attention": {"alibi": True},
        "grouped_query_attention_softcap_sinks": {"softcap": 1.5, "sinks": True, "grouped_query": True, "window": 2},
        "attention_softcap_mean": {"softcap": 2, "fully_masked": "mean"}, "grouped_query_attention": {"grouped_query": True, "alibi": True},
    }
    assert {derive("attention", **variant).definition.name for variant in names.values()} == set(names)
    assert all(derive("attention", **variant).definition.name == name for name, variant in names.items())


def test_what_does_not_hold_or_cannot_be_asked_is_not_claimed() -> None:
    plain = ids()
    assert {*PERMUTED, *(f"attention.{name}" for name in ("fully_masked", "row_sum_one", "key_shift", "sinks", "alibi"))} <= plain
    assert ids(window=3) == plain - PERMUTED and ids(fully_masked="nan") == plain - {"attention.fully_masked"}
    assert ids(causal_alignment="bottom_right") == plain
    assert not ids(alibi=True) & {*PERMUTED, "attention.fully_masked"} and "attention.alibi" in ids(alibi=True)
    capped = ids(softcap=2)
    assert "attention.key_shift" not in capped and {"attention.capped_above", "attention.capped_below", *PERMUTED} <= capped
    assert "attention.row_sum_one" not in ids(sinks=True) and "attention.sinks" in ids(sinks=True)
    turned = {f"attention.{name}" for name in ("row_sum_one", "score_shift", "linearity", "power_of_two")}
    assert ids(rotary="halves") == turned | {"attention.rotary", "attention.rotary_start"} and ids(rotary="interleaved") == turned
    assert ids(fully_masked="mean") == {f"attention.{name}" for name in ("row_sum_one", "fully_masked_mean", "power_of_two")}
    for variant in variants_of("attention")[1:]:
        definition = derive("attention", **variant).definition
        if definition is not DEFINITION:
            assert ids(**variant) <= {*plain, "attention.fully_masked_mean"}


def test_the_score_of_a_form() -> None:
    by_name = {form.name: text(form.definition.clauses[0].body) for form in FORMS}
    assert "exp(cap·tanh((scale·Σ_{c < d} q[i, c]·k[j, c])/cap) + bias[i, j])" in by_name["attention_softcap"]
    assert by_name["attention_sinks"].endswith("+ exp(sink))·v[j, f]")
    assert "tanh" not in by_name["attention_sinks"] and "exp(sink)" not in by_name["attention_softcap"]


def test_rotary_positions_turn_both_channels_of_a_pair() -> None:
    said = text(Form(turned="interleaved").definition.clauses[0].body)
    assert "q[i, 2·c]·cos((past + i)·exp((−c/h)·log(base))) − q[i, 2·c + 1]·sin((past + i)·exp((−c/h)·log(base)))" in said
    assert "k[j, 2·c]·sin(j·exp((−c/h)·log(base))) + k[j, 2·c + 1]·cos(j·exp((−c/h)·log(base)))" in said


def test_shift_invariance_with_a_sink_moves_the_sink_too() -> None:
    found = text(derivation(Form(sink=True)).statement("attention.score_shift").theorem.conclusion)
    assert "+ exp(sink + z))" in found
    assert text(derivation(Form(sink=True)).free_shifts[0]).startswith("max(max_{l < m, allow[i, l] ≠ 0}")


@pytest.mark.parametrize("grouped", [True, False])
def test_a_theorem_about_one_head_is_said_of_all(grouped: bool) -> None:
    kind = Heads(Form(sink=True), grouped)
    core = derivation(kind.form).statement("attention.linearity")
    found = kind.statement(core)
    head = "kv·group + member" if grouped else "hd"
    shared = "kv" if grouped else "hd"
    said = text(kind.definition.clauses[0].body)
    assert all(part in said for part in (f"q[{head}, i, c]", f"k[{shared}, j, c]", f"sink := sinks[{head}]", f"allow[{head}, i, j]"))
    assert found.over[: len(kind.over)] == kind.over and found.over[len(kind.over) :] == core.over
    again = replay(found.theorem)
    assert again.conclusion is found.theorem.conclusion and again.conclusion.left.function == kind.name


def test_every_definition_of_the_table_derives_under_its_own_name() -> None:
    functions = phase("attention").functions
    assert {made().definition.name for made in functions.values()} == set(functions) and len(functions) == 3 * len(FORMS)
