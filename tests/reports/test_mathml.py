"""Equations on the page: presentational MathML of a known list, or plain text."""

from __future__ import annotations

import re

import pytest

from kernelproof.reports.mathml import equation_html
from kernelproof.reports.model import Equation


def drawn(mathml: str, text: str = "plain", latex: str = "l^2") -> str:
    return equation_html(Equation(text, latex, mathml))


def test_latex_is_the_tooltip_and_the_annotation() -> None:
    made = drawn("<mi>x</mi>", latex="a < b")
    assert made.startswith('<div class="equation" title="a &lt; b"><math aria-label="plain" display="block">')
    assert '<annotation encoding="application/x-tex">a &lt; b</annotation></semantics></math></div>' in made


@pytest.mark.parametrize(
    "mathml",
    [
        "<mrow><mi>x</mi><mo>+</mo></mrow>",
        "<mi>x</mi><mo>+</mo>",
        "<math><mi>x</mi><mo>+</mo></math>",
        '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block"><mi>x</mi><mo>+</mo></math>',
        '<m:math xmlns:m="http://www.w3.org/1998/Math/MathML"><m:mi>x</m:mi><m:mo>+</m:mo></m:math>',
    ],
)
def test_with_or_without_the_math_element(mathml: str) -> None:
    made = drawn(mathml)
    assert "<mi>x</mi><mo>+</mo>" in made
    assert made.count("<math") == 1
    assert "http" not in made


def test_entities_of_html_are_known() -> None:
    assert "<mo>∑</mo><mo>&lt;</mo><mo>≤</mo>" in drawn("<mo>&sum;</mo><mo>&lt;</mo><mo>&#x2264;</mo>")


def test_fences_of_sympy_become_a_row() -> None:
    made = drawn('<mfenced open="[" close="]" separators=";"><mi>i</mi><mi>j</mi></mfenced>')
    assert '<mo fence="true">[</mo><mi>i</mi><mo separator="true">;</mo><mi>j</mi><mo fence="true">]</mo>' in made


@pytest.mark.parametrize(
    "mathml",
    [
        "",
        "   ",
        "<mi>x",
        "<mi>\ud800</mi>",
        "<script>alert(1)</script>",
        "<mrow><mi>x</mi><img src='x' onerror='alert(1)'/></mrow>",
        "<mtext><a href='javascript:alert(1)'>x</a></mtext>",
        "<mi>&nosuchentity;</mi><",
        "<!DOCTYPE m [<!ENTITY e 'x'>]><mi>&e;</mi>",
        "<mi>" + "x" * 300_000 + "</mi>",
    ],
)
def test_anything_else_is_shown_as_text(mathml: str) -> None:
    assert drawn(mathml, text="a < b") == '<div class="equation" title="l^2"><code>a &lt; b</code></div>'


LONG = "x" * 41


def test_a_long_equation_may_break_between_its_terms() -> None:
    made = drawn(f"<mrow><mi>{LONG}</mi><mo>=</mo><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow></mrow>", latex="l^2")
    assert made.count("<annotation") == 1  # copied whole
    assert '<wbr><math displaystyle="true"><mo form="infix">=</mo><mi>a</mi></math>' in made
    assert made.endswith('<wbr><math displaystyle="true"><mo form="infix">+</mo><mi>b</mi></math></span></div>')


def test_a_script_stays_on_the_last_piece_of_its_base() -> None:
    call = f"<mrow><mi>f</mi><mo>(</mo><mrow><mi>{LONG}</mi><mo>,</mo><mi>y</mi></mrow><mo>)</mo></mrow>"
    made = drawn(f"<msub>{call}<mi>i</mi></msub>")
    assert f'<mi>f</mi><mo>(</mo><mi>{LONG}</mi><mo form="infix">,</mo>' in made
    assert "<msub><mrow><mi>y</mi><mo>)</mo></mrow><mi>i</mi></msub></math></span></div>" in made


@pytest.mark.parametrize(
    "whole",
    [
        f"<mrow><mo>(</mo><mfrac><mi>{LONG}</mi><mi>b</mi></mfrac><mo>+</mo><mi>c</mi><mo>)</mo></mrow>",
        f"<mrow><mo>λ</mo><mi>{LONG}</mi><mo>,</mo><mi>f</mi><mo>.</mo><mn>1</mn></mrow>",
        f"<mrow><mo>−</mo><mi>{LONG}</mi></mrow>",
        f"<msup><mi>e</mi><mrow><mi>{LONG}</mi><mo>+</mo><mi>c</mi></mrow></msup>",
    ],
)
def test_what_belongs_together_does_not_break(whole: str) -> None:
    assert "<wbr>" not in drawn(whole)


def test_breaking_loses_nothing() -> None:
    inner = f"<mrow><mi>{LONG}</mi><mo>,</mo><mrow><mi>a</mi><mo>&lt;</mo><mi>b</mi></mrow><mo>≤</mo><mn>1</mn></mrow>"
    words = re.sub("<annotation.*?</annotation>|<[^>]*>", "", drawn(f"<msup>{inner}<mn>2</mn></msup><mo>=</mo>{inner}"))
    assert words == f"{LONG},a&lt;b≤12={LONG},a&lt;b≤1"


def test_unknown_attributes_are_dropped() -> None:
    made = drawn('<mi mathvariant="bold" onclick="alert(1)" style="color:red" href="javascript:x">x</mi>')
    assert '<mi mathvariant="bold">x</mi>' in made
    assert "alert" not in made and "javascript" not in made and "style" not in made
