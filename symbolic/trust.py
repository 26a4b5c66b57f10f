"""What the theorems rest on, as Markdown tables from the registries of rules and laws: ``python -m kernelproof.symbolic.trust``.

Guarantees: every rule, every law and every axiom is listed, with what uses it; ``TRUST.md`` holds this text between two markers, and a
test fails when it is out of date. Cannot see: assumptions that no rule or law names; ``TRUST.md`` lists those by hand.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from kernelproof.symbolic.core.laws import LAWS
from kernelproof.symbolic.core.theorem import RULES, Rule, Theorem
from kernelproof.symbolic.phase import Derivation, Gradient
from kernelproof.symbolic.printing.render import text
from kernelproof.symbolic.registry import derive, gradient, has_gradient, phases, variants_of

BEGIN, END = "<!-- begin: python -m kernelproof.symbolic.trust -->", "<!-- end -->"
#: files of the core in reading order
FILES = ("logic", "algebra", "laws", "definitions")


def variants() -> Iterator[tuple[str, dict[str, object]]]:
    """Every phase with every choice of its variants, and its samples of options of open range."""
    yield from ((name, variant) for name in phases() for variant in variants_of(name))


def derivations() -> Iterator[Derivation]:
    """Every phase with every variant; of those that only set values of arguments, whose definition and theorems are another's, none."""
    known: set[str] = set()
    for name, variant in variants():
        made = derive(name, **variant)
        if made.definition.name not in known or not set(variant) & set(phases()[name].opened):
            yield made
        known.add(made.definition.name)


def gradients() -> Iterator[Gradient]:
    """Every gradient with every variant."""
    for name, variant in variants():
        if has_gradient(name):
            yield gradient(name, **variant)


def derivations_and_gradients() -> Iterator[Derivation | Gradient]:
    """Both, with every variant."""
    yield from derivations()
    yield from gradients()


def theorems_of(owner: Derivation | Gradient) -> Iterator[tuple[str, Theorem]]:
    """Statements, kernel forms or lines of a gradient, by the name under which a reader finds them."""
    if isinstance(owner, Derivation):
        yield from ((f"{owner.phase} (kernel form)", clausal.theorem) for clausal in owner.clauses)
    else:
        yield from ((f"{owner.phase} (gradient)", theorem) for theorem in (owner.along_curves, *(line.theorem for line in owner.lines)))
    yield from ((found.id, found.theorem) for found in owner.statements)


def rules_in_order() -> list[Rule]:
    """The rules, in the order in which they stand in the files."""
    return sorted(RULES.values(), key=lambda rule: (FILES.index(_file(rule)), rule.apply.__code__.co_firstlineno))


def axioms_of(rule: Rule) -> list[str]:
    """The axioms that a rule may bring in by itself; those of laws are said in the table of laws."""
    return list(rule.axiom.values()) if isinstance(rule.axiom, Mapping) else []


@dataclass
class Uses:
    """What uses what, over all variants: phases by rule and by law, theorems by axiom, in the order in which they are met."""

    rules: dict[str, dict[str, None]] = field(default_factory=lambda: {name: {} for name in RULES})
    laws: dict[str, dict[str, None]] = field(default_factory=lambda: {name: {} for name in LAWS})
    axioms: dict[str, dict[str, None]] = field(default_factory=dict)


@cache
def uses() -> Uses:
    """The uses in derivations and gradients; a theorem inside another one's proof is looked at once for each phase."""
    found = Uses()
    for axiom in [*(row.axiom for row in LAWS.values()), *(axiom for rule in RULES.values() for axiom in axioms_of(rule))]:
        if axiom is not None:
            found.axioms.setdefault(axiom, {})
    seen: set[tuple[str, int]] = set()
    for owner in derivations_and_gradients():
        for name, theorem in theorems_of(owner):
            for axiom in theorem.axioms:
                found.axioms[axiom][name] = None
            for step in _unseen(theorem, owner.phase, seen):
                found.rules[step.rule][owner.phase] = None
                if step.rule == "law":
                    found.laws[step.licence][owner.phase] = None
    return found


def _unseen(theorem: Theorem, phase: str, seen: set[tuple[str, int]]) -> Iterator[Theorem]:
    """The steps of a proof that were not seen for this phase."""
    stack = [theorem]
    while stack:
        step = stack.pop()
        if (phase, id(step)) not in seen:
            seen.add((phase, id(step)))
            stack.extend(step.premises)
            yield step


@cache
def markdown() -> str:
    """The tables of rules, laws and axioms."""
    found = uses()
    lines = [f"### The {len(RULES)} rules", "", "| rule | premises | what it licenses | axiom | used by |", "| --- " * 5 + "|"]
    for rule in rules_in_order():
        premises = "any" if rule.premises is None else str(rule.premises)
        axiom = "; ".join(axioms_of(rule)) or ("that of the law" if rule.name == "law" else "none")
        lines.append(_row(f"`{rule.name}`", premises, rule.meaning, axiom, _phases(found.rules[rule.name])))
    lines += ["", f"### The {len(LAWS)} laws"]
    for subject in dict.fromkeys(row.subject for row in LAWS.values()):
        lines += ["", f"**{subject}**", "", "| law | statement | axiom | used by |", "| --- " * 4 + "|"]
        for row in LAWS.values():
            if row.subject == subject:
                lines.append(_row(f"`{row.name}`", _sequent(row.name), row.axiom or "none", _phases(found.laws[row.name])))
    lines += ["", f"### The {len(found.axioms)} axioms", "", "| axiom | brought in by | theorems that rest on it |", "| --- " * 3 + "|"]
    for axiom in sorted(found.axioms):
        rules = [rule.name for rule in rules_in_order() if axiom in axioms_of(rule)]
        sources = ", ".join(f"`{name}`" for name in [*rules, *(row.name for row in LAWS.values() if row.axiom == axiom)])
        lines.append(_row(axiom, sources, ", ".join(f"`{name}`" for name in found.axioms[axiom]) or "none yet"))
    return "\n".join(lines)


def updated(document: str) -> str:
    """The document with the tables between the markers made anew."""
    return re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: f"{BEGIN}\n\n{markdown()}\n\n{END}", document, flags=re.DOTALL)


def _file(rule: Rule) -> str:
    return rule.apply.__module__.rpartition(".")[2]


def _sequent(name: str) -> str:
    """A law as text: hypotheses ⊢ conclusion."""
    row = LAWS[name]
    assumed = ", ".join(text(formula) for formula in row.hypotheses)
    return f"{assumed} ⊢ {text(row.conclusion)}" if assumed else text(row.conclusion)


def _phases(names: Mapping[str, None]) -> str:
    return "every phase" if len(names) == len(phases()) else ", ".join(f"`{name}`" for name in names) or "nothing yet"


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
