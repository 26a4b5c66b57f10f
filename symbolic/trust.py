"""What the theorems rest on, as Markdown tables from the registry of rules: ``python -m kernelproof.symbolic.trust``.

Guarantees: every rule and every axiom is listed, with what uses it; ``TRUST.md`` holds this text between two markers, and a test fails
when it is out of date. Cannot see: assumptions that no rule names; ``TRUST.md`` lists those by hand.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import product
from pathlib import Path

from kernelproof.symbolic.core.theorem import RULES, Rule, Theorem, steps
from kernelproof.symbolic.phase import Derivation
from kernelproof.symbolic.registry import derive, phases

BEGIN, END = "<!-- begin: python -m kernelproof.symbolic.trust -->", "<!-- end -->"
#: files of the core in reading order
FILES = ("equality", "folds", "analysis", "definitions")


def derivations() -> Iterator[Derivation]:
    """Every phase with every variant."""
    for name, phase in phases().items():
        options = list(phase.variants)
        for choice in product(*(phase.variants[option].choices for option in options)):
            yield derive(name, **dict(zip(options, choice, strict=True)))


def rules_in_order() -> list[Rule]:
    """The rules, in the order in which they stand in the files."""
    return sorted(RULES.values(), key=lambda rule: (FILES.index(_file(rule)), rule.apply.__code__.co_firstlineno))


def axioms_of(rule: Rule) -> list[str]:
    """The axioms that a rule may bring in."""
    if rule.axiom is None:
        return []
    return [rule.axiom] if isinstance(rule.axiom, str) else list(rule.axiom.values())


def uses() -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Phases by rule, and theorems by axiom, over all variants; kernel forms count with their phase."""
    by_rule: dict[str, dict[str, None]] = {name: {} for name in RULES}
    by_axiom: dict[str, dict[str, None]] = {axiom: {} for rule in RULES.values() for axiom in axioms_of(rule)}
    for derivation in derivations():
        forms = [clausal.theorem for clausal in derivation.clauses]
        for rule in _rules_used([*forms, *(found.theorem for found in derivation.statements)]):
            by_rule[rule][derivation.phase] = None
        named = [(f"{derivation.phase} (kernel form)", form) for form in forms]
        named += [(found.id, found.theorem) for found in derivation.statements]
        for name, theorem in named:
            for axiom in theorem.axioms:
                by_axiom[axiom][name] = None
    return {key: list(value) for key, value in by_rule.items()}, {key: list(value) for key, value in by_axiom.items()}


@cache
def markdown() -> str:
    """The tables of rules and axioms."""
    by_rule, by_axiom = uses()
    lines = [f"### The {len(RULES)} rules", "", "| rule | premises | what it licenses | axiom | used by |", "| --- " * 5 + "|"]
    for rule in rules_in_order():
        premises = "any" if rule.premises is None else str(rule.premises)
        used = _listed(by_rule[rule.name], len(phases()), "every phase") or "nothing yet"
        lines.append(_row(f"`{rule.name}`", premises, rule.meaning, "; ".join(axioms_of(rule)) or "none", used))
    lines += ["", f"### The {len(by_axiom)} axioms", "", "| axiom | brought in by | theorems that rest on it |", "| --- " * 3 + "|"]
    for axiom in sorted(by_axiom):
        rules = ", ".join(f"`{rule.name}`" for rule in rules_in_order() if axiom in axioms_of(rule))
        lines.append(_row(axiom, rules, _listed(by_axiom[axiom]) or "none yet"))
    return "\n".join(lines)


def updated(document: str) -> str:
    """The document with the tables between the markers made anew."""
    return re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: f"{BEGIN}\n\n{markdown()}\n\n{END}", document, flags=re.DOTALL)


def _file(rule: Rule) -> str:
    return rule.apply.__module__.rpartition(".")[2]


def _rules_used(theorems: Iterable[Theorem]) -> list[str]:
    return list(dict.fromkeys(step.rule for theorem in theorems for step in steps(theorem)))


def _listed(names: list[str], all_of_them: int = 0, instead: str = "") -> str:
    return instead if all_of_them and len(names) == all_of_them else ", ".join(f"`{name}`" for name in names)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def main() -> None:
    """Print the tables, or bring a document up to date."""
    parser = argparse.ArgumentParser(prog="python -m kernelproof.symbolic.trust", description=main.__doc__)
    parser.add_argument("--update", metavar="FILE", type=Path, help="rewrite the tables between the markers of this file")
    chosen = parser.parse_args()
    if chosen.update is None:
        print(markdown())
    else:
        chosen.update.write_text(updated(chosen.update.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
