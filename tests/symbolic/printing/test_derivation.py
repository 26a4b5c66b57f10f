"""The four forms of every derivation: they hold definition, lines, theorems and hypotheses, and are well formed."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest
from instances import VARIANTS

from kernelproof.symbolic.phase import Derivation
from kernelproof.symbolic.printing.derivation import definition_equations, principal_rules, variant_text
from kernelproof.symbolic.printing.render import latex, mathml, text
from kernelproof.symbolic.registry import derive

each_variant = pytest.mark.parametrize("derivation", [one for one, _ in VARIANTS], ids=[name for _, name in VARIANTS])


@each_variant
def test_text_shows_definition_lines_and_theorems(derivation: Derivation) -> None:
    shown = derivation.render("text")
    for formula in definition_equations(derivation):
        assert text(formula) in shown
    for clausal in derivation.clauses:
        for line in clausal.lines:
            assert text(line.theorem.right) in shown and line.title in shown
    for found in derivation.statements:
        assert found.id in shown and text(found.theorem.conclusion) in shown
        assert all(text(formula) in shown for formula in found.theorem.hypotheses)
    assert derivation.fingerprint() in shown and shown.splitlines()[0].startswith(derivation.title)
    assert variant_text(derivation) in shown and "+ −" not in shown


@each_variant
def test_markdown_and_latex_show_the_same(derivation: Derivation) -> None:
    markdown, typeset = derivation.render("markdown"), derivation.render("latex")
    assert markdown.startswith("# ") and markdown.count("$$") % 2 == 0
    assert typeset.count("\\begin{align*}") == len(derivation.clauses) == typeset.count("\\end{align*}")
    for found in derivation.statements:
        assert latex(found.theorem.conclusion) in markdown and latex(found.theorem.conclusion) in typeset
        assert f"`{found.id}`" in markdown
    for shown in (markdown, typeset):
        assert shown.count("{") - shown.count("\\{") == shown.count("}") - shown.count("\\}")
        assert shown.count("\\left") == shown.count("\\right")


@each_variant
def test_json_holds_every_log(derivation: Derivation) -> None:
    data = json.loads(derivation.render("json"))
    assert data["phase"] == derivation.phase and data["variant"] == dict(derivation.variant)
    assert [found["id"] for found in data["theorems"]] == [found.id for found in derivation.statements]
    assert all(found["id"] in data["proofs"]["theorems"] and found["status"] == "proved" for found in data["theorems"])
    assert [len(lines) for lines in data["lines"]] == [len(clausal.lines) for clausal in derivation.clauses]
    assert all(line["name"] in data["proofs"]["theorems"] for lines in data["lines"] for line in lines)
    assert data["fingerprint"] == derivation.fingerprint()


@each_variant
def test_mathml_is_well_formed(derivation: Derivation) -> None:
    formulas = [*definition_equations(derivation), *(found.theorem.conclusion for found in derivation.statements)]
    formulas += [formula for found in derivation.statements for formula in found.theorem.hypotheses]
    formulas += [line.theorem.conclusion for clausal in derivation.clauses for line in clausal.lines]
    for formula in formulas:
        root = ElementTree.fromstring(mathml(formula))
        assert all(element.tag.startswith("{http://www.w3.org/1998/Math/MathML}") for element in root.iter())
        for name, count in (("mfrac", 2), ("msup", 2), ("msub", 2), ("munder", 2)):
            assert all(len(element) == count for element in root.iter(f"{{http://www.w3.org/1998/Math/MathML}}{name}"))


def test_the_stable_softmax_reads_as_in_a_book() -> None:
    (clausal,) = derive("softmax").clauses
    assert text(clausal.kernel) == "exp(x[j] − max_{k < n} x[k])/(Σ_{k < n} exp(x[k] − max_{k < n} x[k]))"
    assert principal_rules(clausal.lines[1].theorem) == ["definition"]
