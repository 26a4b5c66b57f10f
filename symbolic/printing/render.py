"""Layout boxes spelled out as text, LaTeX and presentational MathML."""

from __future__ import annotations

import re
from html import escape

from kernelproof.symbolic.formulas import Formula
from kernelproof.symbolic.printing.layout import Box, lay_out, lay_out_formula, lay_out_start
from kernelproof.symbolic.terms import Term

_TEXT_SIGNS = {",": ", ", "·": "·", ".": ". ", ":": ": ", "[": "[", "]": "]", "|": "|"}
_LATEX_NAMES = {
    "δ": r"\delta", "σ": r"\sigma", "π": r"\pi", "μ": r"\mu", "ω": r"\omega", "ε": r"\varepsilon", "ℤ": r"\mathbb{Z}", "…": r"\dots",
}
_LATEX_SIGNS = {
    "−": " - ", "·": r" \cdot ", "≠": r" \neq ", "∈": r" \in ", ":=": " := ", "permutes": r" \text{ permutes } ",
    "≥": r" \geq ", ":": r":\, ", "[": "[", "]": "]", "|": r"\Big|", ",": ", ", ".": r".\, ",
}
_LATEX_PREFIXES = {"−": "-", "λ": r"\lambda ", "∀": r"\forall "}
_FOLDS = {"sum": ("Σ", r"\sum", "∑"), "max": ("max", r"\max", "max")}


def _box(value: Term | Formula) -> Box:
    return lay_out_formula(value) if isinstance(value, Formula) else lay_out(value)


def text(value: Term | Formula) -> str:
    """One line of plain text."""
    return _text(_box(value))


def latex(value: Term | Formula) -> str:
    """LaTeX for a display equation."""
    return _latex(_box(value))


def text_of_start(formula: Formula) -> str:
    """What a chain starts with, as text."""
    return _text(lay_out_start(formula))


def latex_of_start(formula: Formula) -> str:
    """What a chain starts with, in LaTeX."""
    return _latex(lay_out_start(formula))


def mathml(value: Term | Formula) -> str:
    """A ``<math>`` element that browsers show without help."""
    inner = _mathml(_box(value))
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">{inner}</math>'


def _text(box: Box) -> str:
    parts = [_text(part) for part in box.parts]
    match box.kind:
        case "name" | "number" | "word" | "prefix":
            return box.text
        case "sign":
            return _TEXT_SIGNS.get(box.text, f" {box.text} ")
        case "row":
            return "".join(parts)
        case "fraction":
            return f"{parts[0]}/{parts[1]}"
        case "root":
            return f"√({parts[0]})"
        case "exp":
            return f"exp({parts[0]})"
        case "sub":
            return f"{parts[0]}[{parts[1]}]"
        case "sup":
            return f"{parts[0]}^{parts[1]}"
        case "brackets" | "linear":
            return f"({parts[0]})"
        case "planar":
            return parts[0]
        case "set":
            return f"{{{parts[0]}}}"
        case "fold":
            return f"{_FOLDS[box.text][0]}_{{{parts[0]}}} {parts[1]}"
    raise AssertionError(box.kind)


def _latex(box: Box) -> str:
    parts = [_latex(part) for part in box.parts]
    match box.kind:
        case "number":
            return box.text
        case "name":
            return _latex_name(box.text)
        case "word":
            return rf"\operatorname{{{latex_text(box.text)}}}"
        case "sign":
            return _LATEX_SIGNS.get(box.text, f" {box.text} ")
        case "prefix":
            return _LATEX_PREFIXES[box.text]
        case "row" | "linear":
            return "".join(parts)
        case "fraction":
            return rf"\frac{{{parts[0]}}}{{{parts[1]}}}"
        case "root":
            return rf"\sqrt{{{parts[0]}}}"
        case "exp":
            return rf"\mathrm{{e}}^{{{parts[0]}}}"
        case "sub":
            return f"{{{parts[0]}}}_{{{parts[1]}}}"
        case "sup":
            return f"{{{parts[0]}}}^{{{parts[1]}}}"
        case "brackets" | "planar":
            return rf"\left({parts[0]}\right)"
        case "set":
            return rf"\{{{parts[0]}\}}"
        case "fold":
            return f"{_FOLDS[box.text][1]}_{{{parts[0]}}} {parts[1]}"
    raise AssertionError(box.kind)


def latex_text(words: str) -> str:
    """Words for LaTeX's text mode."""
    return re.sub(r"[_&%#$]", r"\\\g<0>", words)


def _latex_name(name: str) -> str:
    stem = name.rstrip("'")
    primes = name[len(stem):]
    if stem in _LATEX_NAMES:
        return _LATEX_NAMES[stem] + primes
    if len(stem) == 1:
        return stem + primes
    return rf"\mathit{{{latex_text(stem)}}}{primes}"


def _mathml(box: Box) -> str:
    parts = [_mathml(part) for part in box.parts]
    match box.kind:
        case "number":
            return f"<mn>{box.text}</mn>"
        case "name":
            return f"<mi>{escape(box.text.replace(chr(39), '′'))}</mi>"
        case "word":
            return f'<mi mathvariant="normal">{escape(box.text)}</mi>'
        case "sign" if box.text == "permutes":
            return "<mtext>\u00a0permutes\u00a0</mtext>"
        case "sign" | "prefix":
            return f"<mo>{escape(box.text)}</mo>"
        case "row" | "linear":
            return f"<mrow>{''.join(parts)}</mrow>"
        case "fraction":
            return f"<mfrac>{parts[0]}{parts[1]}</mfrac>"
        case "root":
            return f"<msqrt>{parts[0]}</msqrt>"
        case "exp":
            return f'<msup><mi mathvariant="normal">e</mi>{parts[0]}</msup>'
        case "sub":
            return f"<msub>{parts[0]}{parts[1]}</msub>"
        case "sup":
            return f"<msup>{parts[0]}{parts[1]}</msup>"
        case "brackets" | "planar":
            return f"<mrow><mo>(</mo>{parts[0]}<mo>)</mo></mrow>"
        case "set":
            return f"<mrow><mo>{{</mo>{parts[0]}<mo>}}</mo></mrow>"
        case "fold":
            return f"<mrow><munder><mo>{_FOLDS[box.text][2]}</mo>{parts[0]}</munder>{parts[1]}</mrow>"
    raise AssertionError(box.kind)
