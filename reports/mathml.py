"""Equations as MathML that a browser draws without a script, with the LaTeX beside it for copying.

Guarantees: only elements and attributes of the lists below reach the page, whatever the input holds; what is not
well-formed MathML is shown as the equation's plain text. A long equation may break between its terms, since browsers do
not break MathML themselves.
Cannot see: whether MathML, LaTeX and text say the same; they come from one printer.
"""

from __future__ import annotations

import html
import re
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from kernelproof.reports.markup import Child, Markup, join, tag
from kernelproof.reports.model import Equation

_ELEMENTS = frozenset(
    {
        *("math", "mrow", "mi", "mn", "mo", "ms", "mtext", "mspace", "mstyle", "mpadded", "mphantom", "merror"),
        *("mfrac", "msqrt", "mroot", "msub", "msup", "msubsup", "munder", "mover", "munderover"),
        *("mmultiscripts", "mprescripts", "none", "mtable", "mtr", "mtd"),
    }
)
_ATTRIBUTES = frozenset(
    {
        *("accent", "accentunder", "dir", "displaystyle", "mathvariant", "scriptlevel", "linethickness"),
        *("fence", "form", "largeop", "movablelimits", "separator", "stretchy", "symmetric", "minsize", "maxsize"),
        *("depth", "height", "width", "lspace", "rspace", "voffset", "columnalign", "columnspan", "rowspan"),
    }
)
_ENTITY = re.compile(r"&(?!(?:lt|gt|amp|quot|apos);)([A-Za-z][A-Za-z0-9]*);")
_LONGEST = 200_000
_LONG = 40  # characters; shorter ones fit in a line
_BREAK_BEFORE = frozenset("=≠≤≥<>≈⊢⇒⇔∈+−-")
_BREAK_AFTER = frozenset({",", ";"})
_TALL = frozenset({"mfrac", "munder", "mover", "munderover", "mtable"})  # within them brackets grow, so stay with them


class _NotMathMLError(ValueError):
    """Something that is not on the lists."""


def equation_html(equation: Equation, display: bool = True) -> Markup:
    """``equation`` as a block of its own, or within a line."""
    name, kind = ("div", "equation") if display else ("span", "inline-equation")
    try:
        pieces = _pieces(equation)
    except (ElementTree.ParseError, ValueError):  # a lone surrogate gives a plain ValueError
        pieces = []
    if not pieces:
        content = tag("code", equation.text or equation.latex)
    elif len(pieces) == 1:
        content = _math(equation, pieces[0], display="block" if display else "inline")
    else:
        style = "true" if display else None
        rest = [(tag("wbr"), tag("math", piece, displaystyle=style)) for piece in pieces[1:]]
        content = tag("span", _math(equation, pieces[0], displaystyle=style), rest, class_="breakable")
    return tag(name, content, class_=kind, title=equation.latex or equation.text or None)


def _math(equation: Equation, content: Markup, **attributes: str | None) -> Markup:
    # the annotation is not drawn, but copied and read aloud; it is always the whole equation
    annotation = tag("annotation", equation.latex or equation.text, encoding="application/x-tex")
    whole = tag("semantics", tag("mrow", content), annotation)
    return tag("math", whole, aria_label=equation.text or None, **attributes)


def _pieces(equation: Equation) -> list[Markup]:
    """The drawn equation, in pieces between which a line may end."""
    source = equation.mathml.strip()
    if not source or len(source) > _LONGEST:
        return []
    # names such as &sum; are HTML's, not XML's
    source = _ENTITY.sub(lambda found: html.escape(html.unescape(found.group())), source)
    root = ElementTree.fromstring(f"<mrow>{source}</mrow>")  # several elements, or one <math>
    if len(root) == 1 and _name(root[0]) == "math":
        root = root[0]
        root.tag = "mrow"
    if len("".join(root.itertext())) <= _LONG:
        return [join(_children(root))]
    return [piece for piece in _flow(root) if piece]


def _flow(node: Element) -> list[Markup]:
    """``node`` in pieces; put together without breaks they are ``node``."""
    name = _name(node)
    if name in ("msub", "msup") and len(node) == 2 and _name(node[0]) == "mrow":
        *before, last = _flow(node[0])  # the script hangs on the end of its base, so on the last piece
        return [*before, tag(name, tag("mrow", last), _element(node[1]))]
    if name != "mrow" or not _may_break(node):
        return [_element(node)]
    pieces: list[list[Child]] = [[node.text]]
    for place, child in enumerate(node):
        sign = (child.text or "").strip() if _name(child) == "mo" else ""
        if sign in _BREAK_BEFORE and place:
            pieces.append([_infix(child)])
        elif sign in _BREAK_AFTER:
            pieces[-1].append(_infix(child))
            pieces.append([])
        else:
            first, *rest = _flow(child)
            pieces[-1].append(first)
            pieces += [[piece] for piece in rest]
        pieces[-1].append(child.tail)
    return [join(piece) for piece in pieces]


def _may_break(row: Element) -> bool:
    signs = [(child.text or "").strip() for child in row if _name(child) == "mo"]
    if signs[:1] == ["λ"] and _name(row[0]) == "mo":  # the variables of a function are not a list
        return False
    return "(" not in signs or not any(_name(below) in _TALL for below in row.iter())


def _infix(sign: Element) -> Markup:
    # at the end of a piece the browser would take it for a prefix or postfix, and space it so
    return _element(Element(sign.tag, {**sign.attrib, "form": "infix"}), sign.text)


def _element(node: Element, text: str | None = None) -> Markup:
    name = _name(node)
    if name == "mfenced":
        return _fenced(node)
    if name not in _ELEMENTS:
        raise _NotMathMLError(name)
    attributes = {key: value for key, value in node.attrib.items() if key in _ATTRIBUTES}
    return tag(name, text, _children(node), **attributes)


def _children(node: Element) -> list[Child]:
    parts: list[Child] = [node.text]
    for child in node:
        parts += [_element(child), child.tail]
    return parts


def _fenced(node: Element) -> Markup:
    """``<mfenced>``, which SymPy writes and browsers no longer know, as a row."""
    separators = node.get("separators", ",").strip()
    parts: list[Child] = [tag("mo", node.get("open", "("), fence="true")]
    for place, child in enumerate(node):
        if place and separators:
            parts.append(tag("mo", separators[min(place, len(separators)) - 1], separator="true"))
        parts.append(_element(child))
    return tag("mrow", parts, tag("mo", node.get("close", ")"), fence="true"))


def _name(node: Element) -> str:
    return str(node.tag).rpartition("}")[2]
