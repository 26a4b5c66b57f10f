"""One small report by hand, with everything in it that a report can hold."""

from __future__ import annotations

import numpy as np
import pytest

from kernelproof.reports.figures import attention_image, encoding_image
from kernelproof.reports.model import (
    ArrayShape,
    Equation,
    PhaseSection,
    PropertyRow,
    Report,
    SourceFile,
    Step,
    TheoremEntry,
)

NASTY = '<script>alert("1")</script> & `x` | $y$ ]](javascript:0)'


def softmax_equation(shifted: bool = False) -> Equation:
    shift_text, shift_latex, shift_mathml = ("", "", "")
    if shifted:
        shift_text, shift_latex = " - m", " - m"
        shift_mathml = "<mo>−</mo><mi>m</mi>"

    def power(index: str) -> str:
        exponent = f"<mrow><msub><mi>x</mi><mi>{index}</mi></msub>{shift_mathml}</mrow>"
        return f"<msup><mi>e</mi>{exponent}</msup>"

    total = (
        f"<munderover><mo>∑</mo><mrow><mi>j</mi><mo>=</mo><mn>0</mn></mrow><mrow><mi>n</mi><mo>−</mo><mn>1</mn></mrow>"
        f"</munderover>{power('j')}"
    )
    return Equation(
        f"softmax(x)[i] = exp(x[i]{shift_text}) / Σ_(j<n) exp(x[j]{shift_text})",
        r"\operatorname{softmax}(x)_i = "
        rf"\frac{{e^{{x_i{shift_latex}}}}}{{\sum_{{j=0}}^{{n-1}} e^{{x_j{shift_latex}}}}}",
        '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block"><msub><mrow><mi>softmax</mi><mo>(</mo>'
        f"<mi>x</mi><mo>)</mo></mrow><mi>i</mi></msub><mo>=</mo><mfrac>{power('i')}<mrow>{total}</mrow></mfrac></math>",
    )


@pytest.fixture
def nasty() -> str:
    """Text that would be markup, mathematics or a table's end where it is not escaped."""
    return NASTY


@pytest.fixture(scope="session")  # frozen, and its figures take time
def report() -> Report:
    """A failing phase with everything, and one whose every text is :func:`nasty`."""
    small = Equation("n > 0", "n > 0", "<mi>n</mi><mo>&gt;</mo><mn>0</mn>")
    equal_one = Equation(
        "Σ_(i<n) softmax(x)[i] = 1",
        r"\sum_{i=0}^{n-1} \operatorname{softmax}(x)_i = 1",
        "<mrow><munder><mo>&sum;</mo><mi>i</mi></munder><mi>s</mi><mfenced><mi>x</mi><mi>i</mi></mfenced><mo>=</mo><mn>1</mn></mrow>",
    )
    softmax = PhaseSection(
        phase="softmax",
        title="Softmax",
        summary="Scores become weights that are positive and add up to one.",
        definitions=(softmax_equation(),),
        steps=(
            Step("Unfold the definition", softmax_equation(), "unfold", (), "proved"),
            Step("Shift by the maximum", softmax_equation(shifted=True), "rewrite", (small,), "proved"),
        ),
        theorems=(
            TheoremEntry("softmax.row_sum_one", "Sum is one", equal_one, (small,), ("exp_positive",), "proved", 12),
            TheoremEntry("softmax.shift", "Shift invariance", softmax_equation(shifted=True), (), (), "instance", 1),
        ),
        licences=("softmax.shift", "elsewhere.unknown"),
        properties=(
            PropertyRow("softmax.row_sum_one", "softmax.row_sum_one", "pass", 1200, 0.031, 0.84, "numpy"),
            PropertyRow("softmax.shift", "softmax.shift", "fail", 14, 3.2e7, 12.5, "numpy"),
            PropertyRow("softmax.masked", "softmax.shift", "not_applicable", 0, None, 0.0, "cupy"),
            PropertyRow("softmax.wide", "", "inconclusive", 10, float("inf"), 0.1, "cupy"),
        ),
        counterexamples=("x = [710.0]\nobserved nan, expected 1.0\n\n```python\nassert f(x) == 1\n```",),
        shapes=(ArrayShape("scores", (4, 32, 32), "float32", "a row per token"), ArrayShape("eps", (), "float32", "")),
        figures=(attention_image(np.eye(2), ["the", NASTY], 0),),
        sources=(SourceFile("softmax_numpy.py", "python", 'def f(x):\n    return "<b>"  # </pre>\n', "NumPy kernel"),),
    )
    positional = PhaseSection(
        phase="positional",
        title="Positional encoding " + NASTY,
        summary=NASTY,
        theorems=(TheoremEntry("softmax.shift", NASTY, Equation(NASTY, "", NASTY), (), (NASTY,), "assumed", 0),),
        counterexamples=(NASTY,),
        shapes=(ArrayShape(NASTY, (1,), NASTY, NASTY),),
        figures=(encoding_image(np.zeros((2, 3)), "Encoding"),),
        sources=(SourceFile("positional.cu", "cuda", "__global__ void f(float* x) { x[0] = 1.0f; }  // " + NASTY, ""),),
    )
    return Report(
        title="Kernelproof report",
        subtitle="README.md, 512 tokens",
        overview=(("text", "README.md"), ("first token", NASTY)),
        sections=(softmax, positional),
        reproduction="kernelproof run README.md -o out --seed 0",
        versions=(("numpy", "2.10"), ("kernelproof", "0.1.0")),
        notes=("The first 512 of 9,000 tokens were used.", NASTY),
    )
