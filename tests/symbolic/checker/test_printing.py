"""The texts of the small printer: brackets where they are needed, names that mean one thing, nothing longer than can be read."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
from handwriting import Ref, Sheet
from replays import documents, handmade_document, i, j, k, mirrored, n, t, x

from kernelproof.symbolic.checker import Statement, check, render, render_definition
from kernelproof.symbolic.formulas import Formula, derivative, equation, every, integer, nonzero, permutation, within
from kernelproof.symbolic.terms import PI, Entry, Fold, Lambda, Num, Op, delta, exp, total


def text(formula: Formula) -> str:
    """A formula as it is shown, without the note on sizes."""
    return render(Statement(frozenset(), mirrored(formula), frozenset())).removeprefix("⊢ ").partition("  [")[0]


@pytest.mark.parametrize(
    ("formula", "shown"),
    [
        (equation((i + j) + k, i + (j + k)), "i + j + k = i + (j + k)"),
        (equation((i - j) - k, i - (j - k)), "i - j - k = i - (j - k)"),
        (equation(i / (j * k), i / j * k), "i / (j * k) = i / j * k"),
        (equation(-(i * j), -i * j), "-(i * j) = -i * j"),
        (equation((-i) ** 2, -(i**2)), "(-i) ** 2 = -i ** 2"),
        (equation((i**2) ** 3, (i * j) ** 3), "(i ** 2) ** 3 = (i * j) ** 3"),
        (equation(Op("neg", 2), -2 * i), "-2 = (-2) * i"),
        (equation(i / 3, i * Num(Fraction(1, 3))), "i / 3 = i * (1/3)"),
        (equation(exp(i) * PI, delta(i, j)), "exp(i) * pi = delta(i, j)"),
        (equation(total(j, n, x(j) * i), total(k, n, x(k) * i)), "sum(j < n: x[j] * i) = sum(j < n: x[j] * i)"),
        (equation(total(i, n, total(j, n, Entry("f", i, j))), i), "sum(j < n: sum(k < n: f[j, k])) = i"),
        (equation(Fold("max", j, n, x(j), x(j)), 0), "max(i < n | x[i]: x[i]) = 0"),
        (every(((i, n), (j, n)), within(x(i), j)), "(every i < n, j < n: x[i] in j)"),
        (derivative(Lambda((t,), t * i), j, i), "derivative(k. k * i) at j = i"),
        (permutation("x", n), "x is permutation of n"), (integer(i), "i is integer"), (nonzero(i - j), "i - j != 0"),
    ],
)
def test_a_formula_has_this_text(formula: Formula, shown: str) -> None:
    assert text(formula) == shown


def test_different_statements_have_different_texts() -> None:
    texts: dict[str, Statement] = {}
    for document in documents().values():
        for statement in check(document).theorems.values():
            assert texts.setdefault(render(statement), statement) == statement
    assert len(texts) > 150


def test_definitions_are_shown_as_they_were_checked() -> None:
    shown = [render_definition(definition) for definition in check(handmade_document()).definitions.values()]
    assert shown[1] == (
        "checked_paired(n: size, x[n]): checked_paired(…)[2 * i] = x[i]  for i in n; checked_paired(…)[2 * j + 1] = -x[j]  for j in n"
    )


def test_names_that_could_mislead_stand_in_quotes() -> None:
    sheet = Sheet()
    sum_, pi, size, real = sheet.var("a + b"), sheet.var("pi"), sheet.var("n", "size"), sheet.var("n")
    added = sheet.op("add", sum_, sheet.op("add", pi, sheet.op("pi")))
    for term in (sum_, added, sheet.op("mul", real, size), sheet.entry("exp", sheet.num(1))):
        sheet.step("reflexivity", [Ref(term)], sheet.says("eq", term, term))
    document = {**sheet.document(), "theorems": {str(place): place for place in range(4)}}
    shown = [render(statement) for statement in check(json.dumps(document)).theorems.values()]
    assert shown == [
        '⊢ "a + b" = "a + b"', '⊢ "a + b" + ("pi" + pi) = "a + b" + ("pi" + pi)', "⊢ n * n:size = n * n:size  [sizes: n:size]",
        '⊢ "exp"[1] = "exp"[1]',
    ]
