"""Layout boxes spelled out as text, LaTeX and presentational MathML."""

from __future__ import annotations

from html import escape

from kernelproof.symbolic.core.formulas import Formula
from kernelproof.symbolic.printing.layout import Box, lay_out, lay_out_formula
from kernelproof.symbolic.terms import Term

_GREEK = {
    "λ": r"\lambda", "δ": r"\delta", "σ": r"\sigma", "π": r"\pi", "μ": r"\mu", "ω": r"\omega", "ε": r"\varepsilon", "ℤ": r"\mathbb{Z}",
}
_SIGNS = {
    "−": "-", "·": r" \cdot ", "≠": r" \neq ", "≤": r" \le ", "<": " < ", "∈": r" \in ", ":=": " := ", "…": r" \dots ", "λ": r"\lambda ",
    "+": " + ", "=": " = ", ">": " > ", ",": ", ",
}
_FOLDS = {"sum": ("Σ", r"\sum", "∑"), "max": ("max", r"\max", "max")}


def _box(value: Term | Formula) -> Box:
    return lay_out_formula(value) if isinstance(value, Formula) else lay_out(value)


def text(value: Term | Formula) -> str:
    """One line of plain text."""
    return _text(_box(value))


def latex(value: Term | Formula) -> str:
    """LaTeX for a display equation."""
    return _latex(_box(value))


def mathml(value: Term | Formula) -> str:
    """A ``<math>`` element that browsers show without help."""
    inner = _mathml(_box(value))
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">{inner}</math>'


def _text(box: Box) -> str:
    parts = [_text(part) for part in box.parts]
    match box.kind:
        case "name" | "number":
            return box.text
        case "word":
            return box.text
        case "sign":
            return {",": ", ", "−": " − ", "·": "·", "λ": "λ", ".": ". ", "…": "…"}.get(box.text, f" {box.text} ")
        case "row":
            joined = "".join(
                f" {part} " if sub.kind == "word" and sub.text == "permutes" else part
                for sub, part in zip(box.parts, parts, strict=True)
            )
            return joined[1:] if joined.startswith(" − ") else joined
        case "fraction":
            top, bottom = (f"({part})" if " " in part or "/" in part or "Σ" in part else part for part in parts)
            return f"{top}/{bottom}"
        case "root":
            return f"√({parts[0]})"
        case "sub":
            return f"{parts[0]}[{parts[1]}]"
        case "sup":
            if parts[0] == "e":
                return f"exp({parts[1]})"
            return f"{parts[0]}^{parts[1]}"
        case "brackets":
            return f"({parts[0]})"
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
            return r"\operatorname{" + box.text.replace("_", r"\_") + "}"
        case "sign":
            return _SIGNS.get(box.text, box.text)
        case "row":
            return "".join(parts)
        case "fraction":
            return r"\frac{%s}{%s}" % tuple(parts)
        case "root":
            return r"\sqrt{%s}" % parts[0]
        case "sub":
            return r"{%s}_{%s}" % tuple(parts)
        case "sup":
            return r"{%s}^{%s}" % tuple(parts)
        case "brackets":
            return r"\left(%s\right)" % parts[0]
        case "fold":
            return r"%s_{%s} %s" % (_FOLDS[box.text][1], parts[0], parts[1])
    raise AssertionError(box.kind)


def _latex_name(name: str) -> str:
    stem = name.rstrip("'")
    primes = name[len(stem):]
    if stem in _GREEK:
        return _GREEK[stem] + primes
    if len(stem) == 1:
        return stem + primes
    return r"\mathit{" + stem.replace("_", r"\_") + "}" + primes


def _mathml(box: Box) -> str:
    parts = [_mathml(part) for part in box.parts]
    match box.kind:
        case "number":
            return f"<mn>{box.text}</mn>"
        case "name":
            return f"<mi>{escape(box.text.replace(chr(39), '′'))}</mi>"
        case "word":
            return f"<mi mathvariant=\"normal\">{escape(box.text)}</mi>"
        case "sign":
            return f"<mo>{escape(box.text)}</mo>"
        case "row":
            return f"<mrow>{''.join(parts)}</mrow>"
        case "fraction":
            return f"<mfrac>{parts[0]}{parts[1]}</mfrac>"
        case "root":
            return f"<msqrt>{parts[0]}</msqrt>"
        case "sub":
            return f"<msub>{parts[0]}{parts[1]}</msub>"
        case "sup":
            return f"<msup>{parts[0]}{parts[1]}</msup>"
        case "brackets":
            return f"<mrow><mo>(</mo>{parts[0]}<mo>)</mo></mrow>"
        case "fold":
            symbol = _FOLDS[box.text][2]
            return f"<mrow><munder><mo>{symbol}</mo>{parts[0]}</munder>{parts[1]}</mrow>"
    raise AssertionError(box.kind)
