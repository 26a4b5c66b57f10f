"""No look finds a counterexample to a theorem or a law, and each look sees at least as many as it did when this was written."""

from __future__ import annotations

from collections import Counter

import pytest
from claims import SOFTMAX, laws, theorems

from kernelproof.symbolic.looks.model import LOOKS, STATUSES, VERDICTS, Look

#: look -> fewest passes of theorems and of laws, and the largest share of "unknown"; the rest is not applicable
EXPECTED = {"ground": ((160, 78), 0.12), "modular": ((165, 56), 0.02)}


def looked(name: str) -> tuple[list[Look], list[Look]]:
    """All verdicts of one look."""
    return [LOOKS[name](*pair, 0) for pair in theorems()], [LOOKS[name](SOFTMAX, law, 0) for law in laws()]


@pytest.mark.parametrize("name", LOOKS)
def test_theorems_and_laws_never_fail_and_are_seen(name: str) -> None:
    passes, share = EXPECTED[name]
    for found, fewest in zip(looked(name), passes, strict=True):
        counts = Counter(look.verdict for look in found)
        print(name, dict(counts))
        assert [look for look in found if look.verdict == "fail"] == []
        assert counts["pass"] >= fewest and counts["unknown"] <= share * len(found), counts
        assert all(look.look == name and look.status == STATUSES[name] and look.verdict in VERDICTS and look.detail for look in found)


def test_a_sampled_look_is_not_called_an_instance() -> None:
    assert Look("t", "modular", "pass", "").status == "sampled" and Look("t", "ground", "pass", "").status == "instance"
