"""False neighbours of theorems: one sign, factor, order of indices, bound or exponent changed; what 50 digits refute, looks must too."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest
from claims import neighbours

from kernelproof.numeric.instance import check_statement
from kernelproof.symbolic.looks.model import LOOKS, Look
from kernelproof.symbolic.phase import Derivation, Statement
from kernelproof.symbolic.registry import derive

PHASES = ("embedding", "positional", "rotary", "softmax", "feed_forward", "activation", "layer_norm", "rms_norm")


@cache
def refuted() -> list[tuple[Derivation, str, Statement]]:
    """Neighbours that are false at some instance in 50 digits."""
    found = []
    for phase in PHASES:
        derivation = derive(phase)
        for statement in derivation.statements:
            pairs = neighbours(statement)
            found += [(derivation, what, false) for what, false in pairs if check_statement(derivation, false).verdict == "fail"]
    return found


def test_there_are_enough_of_every_kind() -> None:
    kinds = Counter(what for _, what, _ in refuted())
    assert len(refuted()) >= 100 and min(kinds.values()) >= 2 and len(kinds) >= 8, kinds


@pytest.mark.parametrize("name", LOOKS)
def test_what_is_false_is_refuted(name: str) -> None:
    looks: list[Look] = [LOOKS[name](derivation, false, 0) for derivation, _, false in refuted()]
    counts = Counter(look.verdict for look in looks)
    print(name, dict(counts), [(look.theorem_id, look.verdict) for look in looks if look.verdict != "fail"])
    assert counts["fail"] >= 0.95 * (counts["fail"] + counts["pass"]), counts
    assert counts["fail"] >= 0.85 * len(looks), counts
