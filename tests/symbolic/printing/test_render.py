"""Golden texts: brackets, precedence, folds, fractions; and that different trees are written differently."""

from __future__ import annotations

from fractions import Fraction
from xml.etree import ElementTree

import pytest
from generators import ANALYTIC, RATIONAL, formulas, terms
from hypothesis import given, settings

from kernelproof.symbolic.binding import positions
from kernelproof.symbolic.formulas import (
    Formula,
    derivative,
    equation,
    every,
    integer,
    nonnegative,
    nonzero,
    permutation,
    positive,
    within,
)
from kernelproof.symbolic.phases import attention, softmax
from kernelproof.symbolic.printing.render import latex, latex_text, mathml, text
from kernelproof.symbolic.terms import (
    PI,
    Entry,
    Lambda,
    Num,
    Op,
    Term,
    Var,
    delta,
    exp,
    less,
    log,
    maximum_of,
    size,
    sqrt,
    total,
    variables,
)

a, b, c, i, j, k = variables("a b c i j k")
e = size("e")
n, m = size("n"), size("m")
x = Entry("x", j)
row = total(j, n, x)
HALF = Num(Fraction(1, 2))

TEXTS = [
    (a - (b - c), "a − (b − c)"),
    (a - b - c, "a − b − c"),
    (a - (b + c), "a − (b + c)"),
    (a + (b + c), "a + (b + c)"),
    ((a + b) * c, "(a + b)·c"),
    (a * (b + c), "a·(b + c)"),
    (a * (b * c), "a·(b·c)"),
    (a * b * c, "a·b·c"),
    (-(a + b), "−(a + b)"),
    (-a + b, "−a + b"),
    (a + -b, "a + (−b)"),
    (a - -b, "a − (−b)"),
    (-a * b, "(−a)·b"),
    (-(a * b), "−a·b"),
    (a * -b, "a·(−b)"),
    ((-a) ** 2, "(−a)^2"),
    (-(a**2), "−a^2"),
    (a**2, "a^2"),
    ((a**2) ** 3, "(a^2)^3"),
    ((a + b) ** 2, "(a + b)^2"),
    ((a * b) ** 2, "(a·b)^2"),
    ((a / b) ** 2, "(a/b)^2"),
    (HALF**2, "(1/2)^2"),
    (exp(a) ** 2, "exp(a)^2"),
    (e**2, "e^2"),
    (a / b, "a/b"),
    (a / (b * c), "a/(b·c)"),
    (a * b / c, "a·b/c"),
    (a * (b / c), "a·(b/c)"),
    (a / b * c, "a/b·c"),
    (a / (b / c), "a/(b/c)"),
    ((a + b) / (a - b), "(a + b)/(a − b)"),
    (-a / b, "(−a)/b"),
    (-(a / b), "−a/b"),
    (exp(a) / row, "exp(a)/(Σ_{j < n} x[j])"),
    (exp(a) / exp(b), "exp(a)/exp(b)"),
    (a / sqrt(b + 1), "a/√(b + 1)"),
    (a / x**2, "a/x[j]^2"),
    (HALF * a, "1/2·a"),
    (a * HALF, "a·(1/2)"),
    (Num(-2) * a, "(-2)·a"),
    (a - Num(-2), "a − (-2)"),
    (row + a, "(Σ_{j < n} x[j]) + a"),
    (a + row, "a + Σ_{j < n} x[j]"),
    (a + row + b, "a + (Σ_{j < n} x[j]) + b"),
    (a + row * b, "a + (Σ_{j < n} x[j])·b"),
    (a * row - b, "a·(Σ_{j < n} x[j]) − b"),
    (a * row, "a·Σ_{j < n} x[j]"),
    (row * a, "(Σ_{j < n} x[j])·a"),
    (-row, "−Σ_{j < n} x[j]"),
    (-row + a, "−(Σ_{j < n} x[j]) + a"),
    (row / n, "(Σ_{j < n} x[j])/n"),
    (a * row / n, "(a·Σ_{j < n} x[j])/n"),
    (row**2, "(Σ_{j < n} x[j])^2"),
    (total(j, n, x + a), "Σ_{j < n} (x[j] + a)"),
    (total(j, n, x * a), "Σ_{j < n} x[j]·a"),
    (total(j, n, x / a), "Σ_{j < n} x[j]/a"),
    (total(j, n, -x), "Σ_{j < n} (−x[j])"),
    (total(j, n, total(k, m, x)), "Σ_{j < n} Σ_{k < m} x[j]"),
    (total(j, n, total(k, m, x) * a), "Σ_{j < n} (Σ_{k < m} x[j])·a"),
    (total(j, n + m, x), "Σ_{j < n + m} x[j]"),
    (a - maximum_of(j, n, x), "a − max_{j < n} x[j]"),
    (maximum_of(j, n, x, Entry("allow", i, j)), "max_{j < n, allow[i, j] ≠ 0} x[j]"),
    (exp(row + a), "exp((Σ_{j < n} x[j]) + a)"),
    (Op("max", Num(0), a + b), "max(0, a + b)"),
    (log(a) * Op("sin", -b), "log(a)·sin(−b)"),
    (delta(i, a + 1), "δ[i, a + 1]"),
    (Entry("x", 2 * i + 1), "x[2·i + 1]"),
    (2 * PI, "2·π"),
    (less(a, b), "[a < b]"),
    (less(a + b, 0) ** 2, "[a + b < 0]^2"),
    (less(a, b) * x, "[a < b]·x[j]"),
    (softmax.DEFINITION.call({}, j), "softmax[j]"),
    (softmax.DEFINITION.call({"x": Lambda((j,), x + c)}, j), "softmax(x := λj. x[j] + c)[j]"),
    (softmax.DEFINITION.call({"n": n + m}, j) + 1, "softmax(n := n + m)[j] + 1"),
    (attention.DEFINITION.call({"v": Lambda((j, i), Num(1))}, i, j), "attention(v := λj, i. 1)[i, j]"),
    (softmax.DEFINITION.call({"x": Lambda((j,), Var("x"))}, j), "softmax(x := λj. x)[j]"),
]
FORMULAS = [
    (equation(a, b + 1), "a = b + 1"),
    (positive(row), "Σ_{j < n} x[j] > 0"),
    (nonzero(a - b), "a − b ≠ 0"),
    (within(i, n), "i ∈ {0, …, n − 1}"),
    (within(i, n + m), "i ∈ {0, …, n + m − 1}"),
    (integer(a), "a ∈ ℤ"),
    (permutation("s", n), "s permutes {0, …, n − 1}"),
    (nonnegative(a - b), "a − b ≥ 0"),
    (derivative(Lambda((k,), Entry("x", k) * a), 0, a + b), "d/dk(x[k]·a)|[k = 0] = a + b"),
    (derivative(Lambda((k,), total(j, n, x * k)), b, row), "d/dk(Σ_{j < n} x[j]·k)|[k = b] = Σ_{j < n} x[j]"),
    (every(((j, n),), positive(x)), "∀j < n: x[j] > 0"),
    (every(((j, n), (i, m)), equation(Entry("f", j, i), a)), "∀j < n, i < m: f[j, i] = a"),
    (every(((j, n + m),), derivative(Lambda((k,), Entry("x", k, j)), 0, Entry("u", j))), "∀j < n + m: d/dk(x[k, j])|[k = 0] = u[j]"),
]
LATEX = [
    (a - (b - c), r"a - \left(b - c\right)"),
    ((a + b) * c, r"\left(a + b\right) \cdot c"),
    (-(a + b), r"-\left(a + b\right)"),
    ((-a) ** 2, r"{\left(-a\right)}^{2}"),
    ((a / b) ** 2, r"{\left(\frac{a}{b}\right)}^{2}"),
    (exp(a) ** 2, r"{\left(\mathrm{e}^{a}\right)}^{2}"),
    (exp(a) / row, r"\frac{\mathrm{e}^{a}}{\sum_{j < n} {x}_{j}}"),
    ((a + b) / c, r"\frac{a + b}{c}"),
    (a * (b / c), r"a \cdot \frac{b}{c}"),
    (a * (b * c), r"a \cdot \left(b \cdot c\right)"),
    (row + a, r"\left(\sum_{j < n} {x}_{j}\right) + a"),
    (sqrt(a + b), r"\sqrt{a + b}"),
    (maximum_of(j, n, x, Entry("allow", i, j)), r"\max_{j < n, {\mathit{allow}}_{i, j} \neq 0} {x}_{j}"),
    (Entry("w_q", Var("i'"), PI), r"{\mathit{w\_q}}_{i', \pi}"),
    (softmax.DEFINITION.call({"x": Lambda((j,), x)}, j), r"{\operatorname{softmax}}_{j}"),
    (within(i, n), r"i \in \{0, \dots, n - 1\}"),
    (permutation("s", n), r"s \text{ permutes } \{0, \dots, n - 1\}"),
    (less(a + b, 0) ** 2, r"{[a + b < 0]}^{2}"),
    (nonnegative(a - b), r"a - b \geq 0"),
    (derivative(Lambda((k,), Entry("x", k) * a), 0, a + b), r"\frac{d}{dk}\left({x}_{k} \cdot a\right){\Big|}_{k = 0} = a + b"),
    (every(((j, n), (i, m)), equation(Entry("f", j, i), a)), r"\forall j < n, i < m:\, {f}_{j, i} = a"),
]
MATHML = [
    (a - (b - c), "<mrow><mi>a</mi><mo>−</mo><mrow><mo>(</mo><mrow><mi>b</mi><mo>−</mo><mi>c</mi></mrow><mo>)</mo></mrow></mrow>"),
    (exp(a) / b, '<mfrac><msup><mi mathvariant="normal">e</mi><mi>a</mi></msup><mi>b</mi></mfrac>'),
    ((-a) ** 2, "<msup><mrow><mo>(</mo><mrow><mo>−</mo><mi>a</mi></mrow><mo>)</mo></mrow><mn>2</mn></msup>"),
    (within(i, n), "<mrow><mi>i</mi><mo>∈</mo><mrow><mo>{</mo><mrow><mn>0</mn><mo>,</mo><mi>…</mi><mo>,</mo>"
     "<mrow><mi>n</mi><mo>−</mo><mn>1</mn></mrow></mrow><mo>}</mo></mrow></mrow>"),
    (nonnegative(a), "<mrow><mi>a</mi><mo>≥</mo><mn>0</mn></mrow>"),
    (less(a, b), "<mrow><mo>[</mo><mi>a</mi><mo>&lt;</mo><mi>b</mi><mo>]</mo></mrow>"),
    (every(((j, n),), positive(a)), "<mrow><mo>∀</mo><mrow><mi>j</mi><mo>&lt;</mo><mi>n</mi></mrow><mo>:</mo>"
     "<mrow><mi>a</mi><mo>&gt;</mo><mn>0</mn></mrow></mrow>"),
    (derivative(Lambda((k,), k), a, 1), "<mrow><mrow><mfrac><mi>d</mi><mrow><mi>d</mi><mi>k</mi></mrow></mfrac><mrow><mo>(</mo><mi>k</mi>"
     "<mo>)</mo></mrow><msub><mo>|</mo><mrow><mi>k</mi><mo>=</mo><mi>a</mi></mrow></msub></mrow><mo>=</mo><mn>1</mn></mrow>"),
]


@pytest.mark.parametrize(("value", "expected"), TEXTS + FORMULAS, ids=[expected for _, expected in TEXTS + FORMULAS])
def test_text(value: Term | Formula, expected: str) -> None:
    assert text(value) == expected


@pytest.mark.parametrize(("value", "expected"), LATEX, ids=[text(value) for value, _ in LATEX])
def test_latex(value: Term | Formula, expected: str) -> None:
    assert latex(value) == expected


@pytest.mark.parametrize(("value", "expected"), MATHML, ids=[text(value) for value, _ in MATHML])
def test_mathml(value: Term | Formula, expected: str) -> None:
    assert mathml(value) == f'<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">{expected}</math>'


@given(terms(3, RATIONAL + ANALYTIC))
def test_every_term_renders(value: Term) -> None:
    root = ElementTree.fromstring(mathml(value))
    assert root.tag.endswith("math")
    assert latex(value).count("{") == latex(value).count("}")
    assert latex(value).count(r"\left(") == latex(value).count(r"\right)")
    assert text(value).count("(") == text(value).count(")") and "\n" not in text(value)


@given(formulas(2))
def test_every_formula_renders(said: Formula) -> None:
    assert ElementTree.fromstring(mathml(said)).tag.endswith("math")
    assert latex(said).count(r"\left(") == latex(said).count(r"\right)") and text(said).count("(") == text(said).count(")")


@settings(max_examples=settings.default.max_examples // 2)
@given(terms(2), terms(2))
def test_different_trees_are_written_differently(one: Term, two: Term) -> None:
    """Random trees and their regroupings: where the brackets would not show it, the text would be the same twice."""
    if any(isinstance(part, Num) and part.value < 0 for value in (one, two) for _, part in positions(value)):
        return
    trees = {
        one, two, one + two, one - two, one * two, one / two, two + one, two - one, two * one, two / one, -one, -two, one**2, two**2,
        (one + two) * one, one + two * one, (one * two) ** 2, one * two**2, -(one * two), -one * two, one * -two, one - (two - one),
        one - two - one, one / (two / one), one / two / one, one * (two / one), one * two / one, (one / two) ** 2, one / two**2,
        exp(one) * two, exp(one * two), exp(one) ** 2, exp(one**2), total(j, n, one) + two, total(j, n, one + two),
        total(j, n, one) * two, total(j, n, one * two), total(j, n, one) / two, total(j, n, one / two), -total(j, n, one),
        total(j, n, -one), total(j, n, one) ** 2, total(j, n, one**2), one * total(j, n, two) + one, one * total(j, n, two + one),
    }
    for render in (text, latex, mathml):
        assert len({render(tree) for tree in trees}) == len(trees)


def test_words_in_latex() -> None:
    assert latex_text("unfold gelu_tanh & 5 %") == r"unfold gelu\_tanh \& 5 \%"
