"""TRUST.md lists every rule, law and axiom, and is up to date."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernelproof.symbolic.core.laws import LAWS
from kernelproof.symbolic.core.theorem import RULES
from kernelproof.symbolic.logs import steps
from kernelproof.symbolic.registry import derive, phases
from kernelproof.symbolic.trust import (
    BEGIN,
    END,
    axioms_of,
    derivations,
    derivations_and_gradients,
    main,
    markdown,
    rules_in_order,
    theorems_of,
    updated,
    uses,
)

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "TRUST.md"
HOW = "run: python -m kernelproof.symbolic.trust --update TRUST.md"


def test_the_document_is_up_to_date() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    assert document.count(BEGIN) == 1 == document.count(END)
    assert updated(document) == document, HOW


def test_every_rule_law_and_axiom_is_listed() -> None:
    tables = markdown()
    assert {rule.name for rule in rules_in_order()} == set(RULES)
    for rule in RULES.values():
        assert f"| `{rule.name}` |" in tables and rule.meaning.endswith(".")
        assert all(f"| {axiom} |" in tables for axiom in axioms_of(rule))
    for row in LAWS.values():
        assert f"| `{row.name}` |" in tables and f"**{row.subject}**" in tables
        assert row.axiom is None or f"| {row.axiom} |".replace("|tanh|", "\\|tanh\\|") in tables
    for owner in derivations_and_gradients():
        for found in owner.statements:
            assert all(found.id in uses().axioms[axiom] for axiom in found.theorem.axioms)
            assert not found.theorem.axioms or f"`{found.id}`" in tables
    assert len(list(derivations())) >= len(phases())


def test_what_a_theorem_rests_on_is_what_its_log_uses() -> None:
    """Axioms are those of the laws and rules in the log; and a law that is used is said to be."""
    for owner in (derive("softmax"), derive("layer_norm"), derive("rotary")):
        for _, theorem in theorems_of(owner):
            laws = {step.licence for step in steps(theorem) if step.rule == "law"}
            brought = {LAWS[name].axiom for name in laws} - {None}
            assert brought <= theorem.axioms <= brought | {axiom for rule in RULES.values() for axiom in axioms_of(rule)}
            assert all(owner.phase in uses().laws[name] for name in laws)


def test_rules_stand_in_reading_order() -> None:
    names = [rule.name for rule in rules_in_order()]
    assert names[0] == "reflexivity" and names[-1] == "definition"
    assert names.index("induction") < names.index("arithmetic") < names.index("law")


@pytest.mark.parametrize("word", ["proved", "checked", "instance", "sampled", "assumed"])
def test_the_words_are_defined(word: str) -> None:
    assert f"| **{word}** |" in DOCUMENT.read_text(encoding="utf-8")


def test_every_status_is_one_of_the_words() -> None:
    words = {"proved", "checked", "instance", "sampled", "assumed"}
    assert {found.status for owner in derivations_and_gradients() for found in owner.statements} <= words


def test_the_command_updates_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "TRUST.md"
    copy.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["trust", "--update", str(copy)])
    main()
    assert copy.read_text(encoding="utf-8") == f"before\n{BEGIN}\n\n{markdown()}\n\n{END}\nafter\n"
    monkeypatch.setattr("sys.argv", ["trust"])
    main()
    assert capsys.readouterr().out == f"{markdown()}\n"
