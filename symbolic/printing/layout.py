"""From terms and formulas to a layout: what stands beside, above and below what, before any syntax.

What it does: decides brackets, fractions, roots, superscripts and how folds and calls are written, once; the three renderers only
spell boxes out. Guarantees: nothing is reordered or simplified. Cannot see: widths of lines.
"""

from __future__ import annotations

from dataclasses import dataclass

from kernelproof.symbolic.core.formulas import Formula
from kernelproof.symbolic.terms import Call, Entry, Fold, Lambda, Num, Op, Term, Var


@dataclass(frozen=True)
class Box:
    """A piece of layout: kind is name, number, sign, word, row, fraction, root, sub, sup, brackets, fold."""

    kind: str
    text: str = ""
    parts: tuple[Box, ...] = ()


def row(*parts: Box) -> Box:
    """Boxes side by side."""
    return Box("row", parts=parts)


def sign(text: str) -> Box:
    """An operator or delimiter."""
    return Box("sign", text)


def word(text: str) -> Box:
    """An upright name."""
    return Box("word", text)


def brackets(inner: Box) -> Box:
    """A box in round brackets."""
    return Box("brackets", parts=(inner,))


#: binding strength: a part is bracketed where its own strength is below what its place asks
SUM, PRODUCT, UNARY, POWER, ATOM = range(5)


def lay_out(value: Term) -> Box:
    """The layout of a term."""
    return _term(value)[0]


def _at_least(value: Term, strength: int) -> Box:
    box, own = _term(value)
    return box if own >= strength else brackets(box)


def _term(value: Term) -> tuple[Box, int]:
    if isinstance(value, Num):
        return _number(value)
    if isinstance(value, Var):
        return Box("name", value.name), ATOM
    if isinstance(value, Entry):
        return Box("sub", parts=(Box("name", value.tensor), _comma(value.indices))), ATOM
    if isinstance(value, Fold):
        return _fold(value), PRODUCT
    if isinstance(value, Call):
        return _call(value), ATOM
    assert isinstance(value, Op)
    return _operation(value)


def _number(value: Num) -> tuple[Box, int]:
    if value.value.denominator == 1:
        return Box("number", str(value.value)), ATOM if value.value >= 0 else UNARY
    top, bottom = (Box("number", str(part)) for part in (value.value.numerator, value.value.denominator))
    return Box("fraction", parts=(top, bottom)), ATOM


def _operation(value: Op) -> tuple[Box, int]:
    args = value.args
    match value.name:
        case "add":
            return row(_at_least(args[0], SUM), sign("+"), _at_least(args[1], PRODUCT)), SUM
        case "sub":
            return row(_at_least(args[0], SUM), sign("−"), _at_least(args[1], PRODUCT)), SUM
        case "mul":
            return row(_factor(args[0], last=False), sign("·"), _factor(args[1], last=True)), PRODUCT
        case "div":
            return Box("fraction", parts=(lay_out(args[0]), lay_out(args[1]))), PRODUCT
        case "neg":
            return row(sign("−"), _at_least(args[0], PRODUCT)), UNARY
        case "pow":
            return Box("sup", parts=(_at_least(args[0], ATOM), lay_out(args[1]))), POWER
        case "sqrt":
            return Box("root", parts=(lay_out(args[0]),)), ATOM
        case "exp":
            return Box("sup", parts=(Box("name", "e"), lay_out(args[0]))), POWER
        case "delta":
            return Box("sub", parts=(Box("name", "δ"), _comma(args))), ATOM
        case "pi":
            return Box("name", "π"), ATOM
    return row(word(value.name), brackets(row(*_separated([lay_out(arg) for arg in args])))), ATOM


def _factor(value: Term, last: bool) -> Box:
    """A factor; a sum sign is bracketed unless it ends the product."""
    if isinstance(value, Fold) and not last:
        return brackets(lay_out(value))
    return _at_least(value, PRODUCT)


def _fold(value: Fold) -> Box:
    low: Box = row(Box("name", value.var.name), sign("<"), lay_out(value.size))
    if not (isinstance(value.guard, Num) and value.guard.value == 1):
        low = row(low, sign(","), lay_out(value.guard), sign("≠"), Box("number", "0"))
    return Box("fold", value.kind, (low, _at_least(value.body, PRODUCT)))


def _call(value: Call) -> Box:
    """Arguments passed under their own name are left out, sizes too: they are what the reader expects."""
    shown = []
    for name, given in value.arguments:
        if not _is_itself(name, given):
            shown.append(row(Box("name", name), sign(":="), _lambda(given)))
    head: Box = word(value.function)
    if shown:
        head = row(head, brackets(row(*_separated(shown))))
    return Box("sub", parts=(head, _comma(value.indices)))


def _is_itself(name: str, given: Lambda) -> bool:
    body = given.body
    if isinstance(body, Var):
        return body.name == name
    return isinstance(body, Entry) and body.tensor == name and body.indices == given.params


def _lambda(value: Lambda) -> Box:
    if not value.params:
        return lay_out(value.body)
    return row(sign("λ"), *_separated([Box("name", param.name) for param in value.params]), sign("."), lay_out(value.body))


def _comma(values: tuple[Term, ...]) -> Box:
    return row(*_separated([lay_out(value) for value in values]))


def _separated(boxes: list[Box]) -> list[Box]:
    spread = [part for box in boxes for part in (box, sign(","))]
    return spread[:-1]


def lay_out_formula(formula: Formula) -> Box:
    """The layout of a formula."""
    terms = [lay_out(part) for part in formula.terms]
    match formula.name:
        case "eq":
            return row(terms[0], sign("="), terms[1])
        case "positive":
            return row(terms[0], sign(">"), Box("number", "0"))
        case "nonzero":
            return row(terms[0], sign("≠"), Box("number", "0"))
        case "in":
            return row(Box("number", "0"), sign("≤"), terms[0], sign("<"), terms[1])
        case "integer":
            return row(terms[0], sign("∈"), Box("name", "ℤ"))
    return row(Box("name", formula.tensor or ""), word("permutes"), Box("number", "0"), sign("…"), terms[0], sign("−"), Box("number", "1"))
