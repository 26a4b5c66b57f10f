"""Every rule, fuzzed: where its premises are true and its hypotheses hold, what it concludes is true.

What it does: random premises and arguments for each rule (``rule_strategies.py``), evaluated by the independent evaluator in random
worlds. Worlds in which a hypothesis fails say nothing; the others are counted. Cannot see: the axioms' proofs; their instances only.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import product

import pytest
from evaluator import MP, World, real
from generators import worlds
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_strategies import RULE_STRATEGIES

from kernelproof.symbolic.core.equality import assumption, positivity
from kernelproof.symbolic.core.theorem import RULES, replay
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import equation, positive
from kernelproof.symbolic.terms import FOLDS, ONE, ZERO, Entry, Fold, Num, delta, exp, size, total, variables

CASES = [(name, place) for name, strategies in RULE_STRATEGIES.items() for place in range(len(strategies))]


def test_every_rule_is_fuzzed() -> None:
    assert set(RULE_STRATEGIES) == set(RULES)


def with_turns(world: World) -> World:
    """The world in which turns[a, b] is what its axiom says: the nearest whole number of turns between two angles."""
    world.tensors["turns"] = lambda one, two: Fraction(int(MP.nint((real(one) - real(two)) / (2 * MP.pi))))
    return world


@pytest.mark.parametrize(("name", "place"), CASES, ids=[f"{name}-{place}" for name, place in CASES])
def test_what_a_rule_concludes_is_true(name: str, place: int) -> None:
    strategy = RULE_STRATEGIES[name][place]
    seen: Counter[str] = Counter()

    @settings(max_examples=settings.default.max_examples // 2, deadline=None)
    @given(st.data(), st.lists(worlds(), min_size=3, max_size=3))
    def check(data: st.DataObject, there: list[World]) -> None:
        try:
            made = data.draw(strategy)
        except ProofError:
            seen["refused"] += 1
            return
        assert made.rule == name
        replay(made)
        for world in map(with_turns, there):
            if all(world.holds(formula) for formula in made.hypotheses):
                seen["held"] += 1
                assert world.holds(made.conclusion), (made, world)
            else:
                seen["vacuous"] += 1

    check()
    assert seen["held"] >= 10, f"{name}: {dict(seen)}: too few instances to mean anything"


def test_positivity_of_folds_exhaustively() -> None:
    """Σ x[j] from x[j] > 0 for another j, over an empty range, with a guard: all small folds, with all choices of premises."""
    i, j, a = variables("i j a")
    n, m = size("n"), size("m")
    seen: Counter[str] = Counter()
    there = [
        World({i: Fraction(1), j: Fraction(0), a: Fraction(value), n: Fraction(value), m: Fraction(2)}, seed=value) for value in range(4)
    ]
    parts, lengths = (Entry("x", i), exp(i), exp(j), a, exp(i) - 3), (n, m, Num(0), Num(2), n * m)
    for kind, var, part, length, guard in product(FOLDS, (i, j), parts, lengths, (ONE, delta(i, 1), ZERO)):
        value = Fold(kind, var, length, part, guard)
        for known in ((), (part,), (length,), (n, m), (part, length)):
            try:
                made = positivity([assumption((), positive(given)) for given in known], value)
            except ProofError:
                seen["refused"] += 1
                continue
            for world in there:
                held = all(world.holds(formula) for formula in made.hypotheses)
                seen["held" if held else "vacuous"] += 1
                assert not held or world.holds(made.conclusion), (made, world)
    assert seen["held"] > 100 and seen["refused"] > 1000, dict(seen)


def test_the_evaluator_refutes_a_wrong_rule() -> None:
    """Σ_{j < 2−2·i} Σ_{v < 2−2·j} δ(v, j) is not Σ_{j < 2−2·i} 1: the range of j was discharged as if its length spoke of j."""
    i, j, v = variables("i j v")
    inner = total(v, 2 - 2 * j, delta(v, j) * ONE)
    wrong = equation(Fold("sum", j, 2 - 2 * i, inner), Fold("sum", j, 2 - 2 * i, ONE))
    assert not World({i: Fraction(0)}).holds(wrong)
    assert World({i: Fraction(1)}).holds(wrong)
