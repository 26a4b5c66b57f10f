"""Phases and variants by name, and the one line a user reads when a name or value is wrong."""

from __future__ import annotations

import pytest

from kernelproof.symbolic.errors import InputError
from kernelproof.symbolic.registry import PLANNED, check_variant, derive, gradient, parse_variant, phase, phases, variants_of
from kernelproof.symbolic.registry import kernel_form_of as form_of

VARIANTS = {
    "positional": {"layout": "interleaved", "denominator": "paper"},
    "rotary": {"layout": "halves"},
    "feed_forward": {"activation": "relu"},
    "activation": {"activation": "relu"},
    "encoder_block": {"norm": "post", "activation": "relu"},
}


def test_defaults_are_filled_in() -> None:
    for name in phases():
        assert check_variant(name, {}) == VARIANTS.get(name, {})
        assert dict(derive(name).variant) == VARIANTS.get(name, {})
    assert check_variant("encoder_block", {"norm": "pre"}) == {"norm": "pre", "activation": "relu"}
    assert parse_variant("positional", ["layout=halves", "denominator=half_minus_one"])["layout"] == "halves"


def test_a_derivation_is_made_once() -> None:
    assert derive("positional", layout="halves") is derive("positional", denominator="paper", layout="halves")
    assert derive("positional", layout="halves") is not derive("positional")


@pytest.mark.parametrize(
    ("name", "pairs", "text"),
    [
        ("feed_forward", ["activation=swish"], "variant activation=swish of feed_forward: expected activation to be one of relu, gelu"),
        ("feed_forward", ["act=relu"], "variant act=relu of feed_forward: there is no variant 'act'; expected one of activation"),
        ("softmax", ["axis=0"], "variant axis=0 of softmax: there is no variant 'axis'; this phase has no variants"),
        ("rotary", ["layout"], "variant 'layout' of rotary: expected NAME=VALUE, for example activation=gelu"),
        ("rotary", ["=halves"], "variant '=halves' of rotary: expected NAME=VALUE"),
        ("rotary", ["layout=halves", "layout=interleaved"], "variant 'layout=interleaved' of rotary: layout is given twice; give it once"),
        ("rotary", ["layout="], "variant layout= of rotary: expected layout to be one of halves, interleaved"),
        ("multi_head_attention", ["softcap=30"], "variant softcap=30 of multi_head_attention: not built yet in this version; leave it out"),
        ("encoder_block", ["gated=yes"], "variant gated=yes of encoder_block: expected gated to be true or false"),
        ("attention", ["softcap=0"], "variant softcap=0 of attention: expected softcap to be a finite positive number, or none"),
        ("attention", ["softcap=inf"], "variant softcap=inf of attention: expected softcap to be a finite positive number, or none"),
        ("attention", ["window=0"], "variant window=0 of attention: expected window to be a whole number from 1 up, or none"),
        ("attention", ["window=2.5"], "variant window=2.5 of attention: expected window to be a whole number from 1 up, or none"),
        ("attention", ["causal_alignment=left"], "variant causal_alignment=left of attention: expected causal_alignment to be one of"),
        ("attention", ["fully_masked=nan", "sinks=true"], "variant fully_masked=nan and sinks=True of attention: not built together"),
    ],
)
def test_a_bad_variant_is_named(name: str, pairs: list[str], text: str) -> None:
    with pytest.raises(InputError) as raised:
        parse_variant(name, pairs)
    assert str(raised.value).startswith(text) and "\n" not in str(raised.value)


def test_an_unknown_phase_is_named() -> None:
    for unknown in ("softmaxx", "", "Softmax"):
        with pytest.raises(InputError) as raised:
            derive(unknown)
        expected = f"phase {unknown!r}: there is no such phase; expected one of {', '.join(phases())}"
        assert str(raised.value) == expected


def test_a_value_of_another_type_is_refused() -> None:
    with pytest.raises(InputError, match="expected layout to be one of"):
        derive("rotary", layout=1)
    for bad in ({"window": True}, {"window": 2.0}, {"softcap": True}, {"softcap": float("nan")}, {"sinks": 1}, {"sinks": None}):
        with pytest.raises(InputError, match=r"variant .* of attention: expected"):
            check_variant("attention", bad)


def test_options_of_open_range_are_named_where_they_are_not_the_default() -> None:
    default = {"causal_alignment": "top_left", "window": None, "alibi": False, "fully_masked": "zeros"}
    assert check_variant("attention", default) == {} == parse_variant("attention", ["window=none", "sinks=false"])
    typed = parse_variant("attention", ["window=3", "softcap=1e1", "grouped_query=true"])
    assert typed == {"window": 3, "softcap": 10.0, "grouped_query": True} and isinstance(typed["window"], int)
    assert check_variant("feed_forward", {"gated": True}) == {"activation": "silu", "gated": True}
    assert check_variant("feed_forward", {"gated": "true", "activation": "relu"}) == {"activation": "relu", "gated": True}


def test_samples_are_variants_and_name_each_option() -> None:
    for name, found in phases().items():
        made = variants_of(name)
        assert len({tuple(sorted(variant.items(), key=str)) for variant in made}) == len(made)
        assert all(option.more for option in found.opened.values()) and not any(option.more for option in found.variants.values())
        assert set(found.opened) == {key for sample in found.samples for key in sample if key in found.opened}


def test_every_variant_has_a_gradient_of_its_own_inputs() -> None:
    """What only sets arguments (a window) has the theorem of the plain definition; a sink and a gate have gradients of their own."""
    assert gradient("attention", window=3).along_curves is gradient("attention").along_curves
    assert list(gradient("attention", sinks=True).results) == ["q", "k", "v", "sinks"]
    assert list(gradient("feed_forward", gated=True).results) == ["x", "w1", "b1", "w_gate", "w2", "b2"]
    assert "w_gate" in gradient("encoder_block", gated=True).results and "w_gate" not in gradient("encoder_block").results


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(InputError) as raised:
        derive("softmax").render("pdf")
    assert str(raised.value) == "format 'pdf': expected one of text, markdown, latex, json"


def test_what_is_planned_is_not_there_yet() -> None:
    for name, planned in PLANNED.items():
        assert not set(planned) & {*phase(name).variants, *phase(name).opened}


def test_a_phase_says_what_it_is() -> None:
    for name, found in phases().items():
        assert found.name == name and found.title and found.summary and found.signature.startswith("f(")
        assert set(found.theorem_titles) == {statement.id for statement in derive(name).statements}
        assert derive(name).statement(next(iter(found.theorem_titles))).title


def test_definitions_are_known_by_name_before_anything_is_derived() -> None:
    for name, found in phases().items():
        known = {**found.definitions, **found.functions}
        for variant in variants_of(name):
            assert form_of(name, **variant).definition.name in known
        for function, variant in found.definitions.items():
            assert form_of(name, **variant).definition.name == function
