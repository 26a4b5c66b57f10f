"""Phases and variants by name, and the one line a user reads when a name or value is wrong."""

from __future__ import annotations

import pytest

from kernelproof.symbolic.errors import InputError
from kernelproof.symbolic.registry import PLANNED, check_variant, derive, parse_variant, phase, phases

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
        ("attention", ["softcap=30"], "variant softcap=30 of attention: not built yet in this version; leave it out"),
        ("encoder_block", ["gated=yes"], "variant gated=yes of encoder_block: not built yet in this version; leave it out"),
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


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(InputError) as raised:
        derive("softmax").render("pdf")
    assert str(raised.value) == "format 'pdf': expected one of text, markdown, latex, json"


def test_what_is_planned_is_not_there_yet() -> None:
    for name, planned in PLANNED.items():
        assert not set(planned) & set(phase(name).variants)


def test_a_phase_says_what_it_is() -> None:
    for name, found in phases().items():
        assert found.name == name and found.title and found.summary and found.signature.startswith("f(")
        assert set(found.theorem_titles) == {statement.id for statement in derive(name).statements}
        assert derive(name).statement(next(iter(found.theorem_titles))).title
