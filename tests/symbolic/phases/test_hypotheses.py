"""What each theorem assumes and which axioms it rests on, spelled out in ``hypotheses.txt``: one that is silently added fails here.

After a change that is meant: ``python tests/symbolic/phases/test_hypotheses.py --update``, and read the difference.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.phase import Derivation
from kernelproof.symbolic.printing.render import text
from kernelproof.symbolic.trust import derivations, derivations_and_gradients

DOCUMENT = Path(__file__).with_name("hypotheses.txt")
HOW = "read the difference; if it is meant: python tests/symbolic/phases/test_hypotheses.py --update"


def spelled_out(theorem: Theorem) -> str:
    """Hypotheses and axioms of a theorem, a line each."""
    lines = [*(f"    assumes {text(formula)}" for formula in theorem.hypotheses), *(f"    axiom {name}" for name in sorted(theorem.axioms))]
    return "\n".join(lines or ["    nothing"])


def document() -> str:
    """Every theorem of every phase and gradient; a variant is named where it differs from the one before."""
    seen: dict[str, str] = {}
    blocks = []
    for owner in derivations_and_gradients():
        variant = ", ".join(f"{key}={value}" for key, value in owner.variant.items())
        for found in owner.statements:
            said = spelled_out(found.theorem)
            if seen.get(found.id) != said:
                blocks.append(f"{found.id}{f' ({variant})' if variant else ''}\n{said}")
            seen[found.id] = said
    return "\n".join(blocks) + "\n"


def test_hypotheses_and_axioms_are_the_expected_ones() -> None:
    expected, now = DOCUMENT.read_text(encoding="utf-8").splitlines(), document().splitlines()
    changed = [f"- {line}" for line in expected if line not in now] + [f"+ {line}" for line in now if line not in expected]
    assert expected == now, "\n".join([HOW, *changed])


@pytest.mark.parametrize("derivation", list(derivations()), ids=lambda one: "-".join((one.phase, *map(str, one.variant.values()))))
def test_kernel_forms_assume_their_ranges_only(derivation: Derivation) -> None:
    """A kernel form holds for all values of the inputs, where the indices, and the ids of an embedding, are in range."""
    for clausal in derivation.clauses:
        allowed = {f"{var.name} ∈ {{0, …, {text(length)} − 1}}" for var, length in clausal.clause.ranges} | {"ids[t] ∈ {0, …, vocab − 1}"}
        assert {text(formula) for formula in clausal.theorem.hypotheses} <= allowed


if __name__ == "__main__" and sys.argv[1:] == ["--update"]:
    DOCUMENT.write_text(document(), encoding="utf-8")
