"""Every rule, fuzzed: where its premises are true and its hypotheses hold, what it concludes is true.

What it does: random premises and arguments for each rule (``rule_strategies.py``), evaluated by the independent evaluator in random
worlds. Worlds in which a hypothesis fails say nothing; the others are counted. Cannot see: the laws; ``test_laws_hold.py`` tries those.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest
from generators import worlds
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_strategies import RULE_STRATEGIES

from kernelproof.symbolic.core.theorem import RULES
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import equation
from kernelproof.symbolic.logs import replay
from kernelproof.symbolic.soundness.evaluator import World, turns
from kernelproof.symbolic.terms import ONE, Fold, delta, total, variables

CASES = [(name, place) for name, strategies in RULE_STRATEGIES.items() for place in range(len(strategies))]


def test_every_rule_is_fuzzed() -> None:
    assert set(RULE_STRATEGIES) == set(RULES) and len(RULES) == 14


@pytest.mark.parametrize(("name", "place"), CASES, ids=[f"{name}-{place}" for name, place in CASES])
def test_what_a_rule_concludes_is_true(name: str, place: int) -> None:
    strategy = RULE_STRATEGIES[name][place]
    seen: Counter[str] = Counter()

    @settings(deadline=None)
    @given(st.data(), st.lists(worlds(), min_size=3, max_size=3))
    def check(data: st.DataObject, there: list[World]) -> None:
        try:
            made = data.draw(strategy)
        except ProofError:
            seen["refused"] += 1
            return
        assert made.rule == name
        replay(made)
        for world in there:
            world.tensors["turns"] = turns
            if all(world.holds(formula) for formula in made.hypotheses):
                seen["held"] += 1
                assert world.holds(made.conclusion), (made, world)
            else:
                seen["vacuous"] += 1

    check()
    assert seen["held"] >= 10, f"{name}: {dict(seen)}: too few instances to mean anything"


def test_the_evaluator_refutes_a_wrong_rule() -> None:
    """Σ_{j < 2−2·i} Σ_{v < 2−2·j} δ(v, j) is not Σ_{j < 2−2·i} 1: the range of j was discharged as if its length spoke of j."""
    i, j, v = variables("i j v")
    inner = total(v, 2 - 2 * j, delta(v, j) * ONE)
    wrong = equation(Fold("sum", j, 2 - 2 * i, inner), Fold("sum", j, 2 - 2 * i, ONE))
    assert not World({i: Fraction(0)}).holds(wrong)
    assert World({i: Fraction(1)}).holds(wrong)
