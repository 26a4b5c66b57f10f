"""From terms and formulas to a layout: what stands beside, above and below what, before any syntax.

What it does: decides brackets, fractions, roots, superscripts and how folds and calls are written, once; the three renderers only
spell boxes out. Guarantees: nothing is reordered or simplified, and brackets keep different trees apart: every part that binds less
tightly than its place asks stands in brackets, and so does a fold that anything follows, since Σ reaches to the end of its product.
(The number −2 looks like the negation of 2, the number 1/2 like 1 divided by 2.) Brackets that only one line needs (a sum above or
below a fraction) or only a page needs (an exponential as the base of a power) are marked so. Cannot see: widths of lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from kernelproof.symbolic.formulas import Every, Formula
from kernelproof.symbolic.terms import ONE, Call, Entry, Fold, Lambda, Num, Op, Term, Var


@dataclass(frozen=True)
class Box:
    """A piece of layout.

    ``kind`` is name, number, sign, prefix, word, row, fraction, root, exp, sub, sup, set, fold, or a kind of bracket: brackets,
    linear (only where all stands in one line) or planar (only where there are superscripts).
    """

    kind: str
    text: str = ""
    parts: tuple[Box, ...] = ()


def row(*parts: Box) -> Box:
    """Boxes side by side."""
    return Box("row", parts=parts)


def sign(text: str) -> Box:
    """An operator or delimiter between things."""
    return Box("sign", text)


def word(text: str) -> Box:
    """An upright name."""
    return Box("word", text)


def bracketed(inner: Box, kind: str = "brackets") -> Box:
    """A box in round brackets."""
    return Box(kind, parts=(inner,))


#: binding strength: a part is bracketed where its own strength is below what its place asks
SUM, PRODUCT, FRACTION, POWER, ATOM = range(5)


def lay_out(value: Term) -> Box:
    """The layout of a term that stands alone or between delimiters."""
    return _term(value, True)[0]


def _at_least(value: Term, strength: int, last: bool, kind: str = "brackets") -> Box:
    """The layout of a part; ``last`` says that nothing follows it before the next closing delimiter."""
    box, own = _term(value, last)
    return box if own >= strength else bracketed(lay_out(value), kind)


@cache
def _term(value: Term, last: bool) -> tuple[Box, int]:
    match value:
        case Num():
            return _number(value)
        case Var():
            return Box("name", value.name), ATOM
        case Entry():
            return Box("sub", parts=(Box("name", value.tensor), _listed(value.indices))), ATOM
        case Fold():
            return (_fold(value), PRODUCT) if last else (bracketed(_fold(value)), ATOM)
        case Call():
            return _call(value), ATOM
        case Op():
            return _operation(value, last)
    raise TypeError(f"{value!r} has no layout")


def _number(value: Num) -> tuple[Box, int]:
    top, bottom = (Box("number", str(part)) for part in (value.value.numerator, value.value.denominator))
    box, strength = (top, ATOM) if value.value.denominator == 1 else (Box("fraction", parts=(top, bottom)), FRACTION)
    return box, strength if value.value >= 0 else SUM


def _operation(value: Op, last: bool) -> tuple[Box, int]:
    args = value.args
    match value.name:
        case "add" | "sub":
            operator = sign("+" if value.name == "add" else "−")
            return row(_at_least(args[0], SUM, False), operator, _at_least(args[1], PRODUCT, last)), SUM
        case "neg":
            return row(Box("prefix", "−"), _at_least(args[0], PRODUCT, last)), SUM
        case "mul":
            return row(_at_least(args[0], PRODUCT, False), sign("·"), _second_factor(args[1], last)), PRODUCT
        case "div":
            return Box("fraction", parts=(_numerator(args[0]), _at_least(args[1], POWER, True, "linear"))), FRACTION
        case "pow":
            kind = "planar" if isinstance(args[0], Op) and args[0].name == "exp" else "brackets"
            return Box("sup", parts=(_at_least(args[0], ATOM, False, kind), lay_out(args[1]))), POWER
        case "exp":
            return Box("exp", parts=(lay_out(args[0]),)), POWER
        case "sqrt":
            return Box("root", parts=(lay_out(args[0]),)), ATOM
        case "delta":
            return Box("sub", parts=(Box("name", "δ"), _listed(args))), ATOM
        case "pi":
            return Box("name", "π"), ATOM
        case "less":
            return row(sign("["), lay_out(args[0]), sign("<"), lay_out(args[1]), sign("]")), ATOM
    return row(word(value.name), bracketed(_listed(args))), ATOM


def _second_factor(value: Term, last: bool) -> Box:
    """A product and, in one line, a fraction stand in brackets: a·b/c is (a·b)/c. A fold may end the product."""
    if isinstance(value, Fold):
        return _at_least(value, PRODUCT, last)
    box, strength = _term(value, last)
    if strength == FRACTION:
        return bracketed(box, "linear")
    return box if strength > FRACTION else bracketed(lay_out(value))


def _numerator(value: Term) -> Box:
    """In one line a/b·c/d is ((a/b)·c)/d, so products need no brackets; a sum does, and a fold would swallow the fraction."""
    box, strength = _term(value, True)
    return box if strength >= PRODUCT and not _ends_in_fold(value) else bracketed(box, "linear")


def _ends_in_fold(value: Term) -> bool:
    if isinstance(value, Op) and value.name in ("add", "sub", "mul", "neg"):
        return _ends_in_fold(value.args[-1])
    return isinstance(value, Fold)


def _fold(value: Fold) -> Box:
    low: Box = row(Box("name", value.var.name), sign("<"), lay_out(value.size))
    if value.guard is not ONE:
        low = row(low, sign(","), lay_out(value.guard), sign("≠"), Box("number", "0"))
    return Box("fold", value.kind, (low, _at_least(value.body, PRODUCT, True)))


def _call(value: Call) -> Box:
    """Arguments passed under their own name are left out, sizes too: they are what the reader expects."""
    shown = [
        row(Box("name", name), sign(":="), _lambda(given)) for name, given in value.arguments if not _is_itself(name, given)
    ]
    head: Box = word(value.function)
    if shown:
        head = row(head, bracketed(row(*_separated(shown))))
    return Box("sub", parts=(head, _listed(value.indices))) if value.indices else head


def _is_itself(name: str, given: Lambda) -> bool:
    body = given.body
    if not given.params:
        return isinstance(body, Var) and body.name == name
    return isinstance(body, Entry) and body.tensor == name and body.indices == given.params


def _lambda(value: Lambda) -> Box:
    if not value.params:
        return lay_out(value.body)
    params = _separated([Box("name", param.name) for param in value.params])
    return row(Box("prefix", "λ"), *params, sign("."), lay_out(value.body))


def _listed(values: tuple[Term, ...]) -> Box:
    return row(*_separated([lay_out(value) for value in values]))


def _separated(boxes: list[Box]) -> list[Box]:
    spread = [part for box in boxes for part in (box, sign(","))]
    return spread[:-1]


def lay_out_formula(formula: Formula) -> Box:
    """The layout of a formula."""
    if isinstance(formula, Every):
        ranges = [row(Box("name", var.name), sign("<"), lay_out(length)) for var, length in formula.over]
        return row(Box("prefix", "∀"), *_separated(ranges), sign(":"), lay_out_formula(formula.body))
    if formula.name == "derivative":
        return row(_operator(*formula.terms[:2]), sign("="), lay_out(formula.terms[2]))
    terms = [lay_out(part) for part in formula.terms]
    match formula.name:
        case "eq":
            return row(terms[0], sign("="), terms[1])
        case "positive":
            return row(terms[0], sign(">"), Box("number", "0"))
        case "nonnegative":
            return row(terms[0], sign("≥"), Box("number", "0"))
        case "nonzero":
            return row(terms[0], sign("≠"), Box("number", "0"))
        case "in":
            return row(terms[0], sign("∈"), _below(formula.terms[1]))
        case "integer":
            return row(terms[0], sign("∈"), Box("name", "ℤ"))
        case "permutation":
            return row(Box("name", formula.tensor or ""), sign("permutes"), _below(formula.terms[0]))
    raise TypeError(f"{formula!r} has no layout")


def lay_out_start(formula: Formula) -> Box:
    """What a chain of equal terms starts with: the left side of an equation, or d/dt body at a point."""
    return _operator(*formula.terms[:2]) if formula.name == "derivative" else lay_out(formula.left)


def _operator(function: Lambda, point: Term) -> Box:
    """d/dt body at t = p."""
    (var,) = function.params
    at = Box("sub", parts=(sign("|"), row(Box("name", var.name), sign("="), lay_out(point))))
    operator = Box("fraction", parts=(Box("name", "d"), row(Box("name", "d"), Box("name", var.name))))
    return row(operator, bracketed(lay_out(function.body)), at)


def _below(length: Term) -> Box:
    """{0, …, n − 1}."""
    last = row(_at_least(length, SUM, False), sign("−"), Box("number", "1"))
    return Box("set", parts=(row(*_separated([Box("number", "0"), Box("name", "…"), last])),))
