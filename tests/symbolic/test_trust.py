"""TRUST.md lists every rule and axiom and is up to date."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kernelproof.symbolic.core.theorem import RULES
from kernelproof.symbolic.registry import derive, phases
from kernelproof.symbolic.trust import BEGIN, END, axioms_of, derivations, markdown, rules_in_order, updated

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "TRUST.md"
HOW = "run: python -m kernelproof.symbolic.trust --update TRUST.md"


def test_the_document_is_up_to_date() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    assert document.count(BEGIN) == 1 == document.count(END)
    assert updated(document) == document, HOW


def test_every_rule_and_axiom_is_listed() -> None:
    tables = markdown()
    assert {rule.name for rule in rules_in_order()} == set(RULES)
    for rule in RULES.values():
        assert f"| `{rule.name}` |" in tables and rule.meaning.endswith(".")
        assert all(f"| {axiom} |" in tables for axiom in axioms_of(rule))
    for derivation in derivations():
        for found in derivation.statements:
            assert all(f"| {axiom} |" in tables for axiom in found.theorem.axioms)
            assert not found.theorem.axioms or f"`{found.id}`" in tables
    assert len(list(derivations())) >= len(phases())


def test_rules_stand_in_reading_order() -> None:
    names = [rule.name for rule in rules_in_order()]
    assert names[0] == "reflexivity" and names[-1] == "definition"
    assert names.index("sum_of_sums") < names.index("sine_of_sum")


@pytest.mark.parametrize("word", ["proved", "checked", "instance", "sampled", "assumed"])
def test_the_words_are_defined(word: str) -> None:
    assert f"| **{word}** |" in DOCUMENT.read_text(encoding="utf-8")


def test_every_status_is_one_of_the_words() -> None:
    words = {"proved", "checked", "instance", "sampled", "assumed"}
    assert {found.status for phase in phases() for found in derive(phase).statements} <= words


def test_the_command_updates_a_file(tmp_path: Path) -> None:
    copy = tmp_path / "TRUST.md"
    copy.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "kernelproof.symbolic.trust", "--update", str(copy)], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}, timeout=120, check=False,
    )
    assert run.returncode == 0, run.stderr
    assert copy.read_text(encoding="utf-8") == f"before\n{BEGIN}\n\n{markdown()}\n\n{END}\nafter\n"
