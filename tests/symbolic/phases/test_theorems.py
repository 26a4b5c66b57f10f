"""Every phase with every variant: it derives, every proof replays, and every theorem and kernel form is true at random instances.

Evaluated in exact and 60-digit arithmetic by the independent evaluator. *Instance*, not proof: the proof is the log that replays.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import pytest
from evaluator import World
from instances import VARIANTS, worlds_for

from kernelproof.symbolic.binding import alpha_equal
from kernelproof.symbolic.core.definitions import definition_of
from kernelproof.symbolic.core.theorem import replay
from kernelproof.symbolic.formulas import equation
from kernelproof.symbolic.phase import EXTRA_KINDS, Derivation
from kernelproof.symbolic.phases import positional
from kernelproof.symbolic.registry import derive, phases

#: theorems whose hypotheses are equations that no random instance meets, and why
NOT_APPLICABLE = {"positional.uniqueness": "its hypotheses equate two encodings, which only p = q does"}
INSTANCES = 3
each_variant = pytest.mark.parametrize("derivation", [one for one, _ in VARIANTS], ids=[name for _, name in VARIANTS])


def test_all_phases_of_the_contract_are_there() -> None:
    assert list(phases()) == [
        "embedding", "positional", "rotary", "softmax", "attention", "multi_head_attention", "feed_forward", "activation",
        "layer_norm", "rms_norm", "encoder_block",
    ]
    assert len(VARIANTS) == 28


@each_variant
def test_every_proof_replays(derivation: Derivation) -> None:
    assert definition_of(derivation.definition.name) is derivation.definition
    ids = [found.id for found in derivation.statements]
    assert len(set(ids)) == len(ids) and all(name.startswith(derivation.phase + ".") for name in ids)
    assert set(derivation.licences) <= {found.id for phase in phases() for found in derive(phase).statements}
    for found in derivation.statements:
        again = replay(found.theorem)
        assert again.conclusion is found.theorem.conclusion and again.hypotheses == found.theorem.hypotheses
        assert found.status == "proved" and {extra.kind for extra in found.extras} <= set(EXTRA_KINDS)


@each_variant
def test_the_lines_lead_from_the_definition_to_the_kernel_form(derivation: Derivation) -> None:
    definition = derivation.definition
    assert [clausal.clause for clausal in derivation.clauses] == list(definition.clauses)
    for clausal in derivation.clauses:
        for before, after in zip(clausal.lines, clausal.lines[1:], strict=False):
            assert alpha_equal(before.theorem.right, after.theorem.left)
        whole = replay(clausal.theorem)
        assert alpha_equal(whole.conclusion, equation(definition.call({}, *clausal.clause.pattern), clausal.kernel))


@each_variant
def test_theorems_hold_at_random_instances(derivation: Derivation) -> None:
    tried, not_applicable = 0, []
    for found in derivation.statements:
        if found.id in NOT_APPLICABLE:
            not_applicable.append(found.id)
            continue
        worlds = worlds_for(derivation, found.theorem, found.over, found.extras, INSTANCES)
        assert len(worlds) == INSTANCES, f"{found.id}: no instance meets its hypotheses"
        for world in worlds:
            tried += 1
            assert world.holds(found.theorem.conclusion), (found.id, world)
    assert tried == INSTANCES * (len(derivation.statements) - len(not_applicable)) > 0
    assert len(not_applicable) == (1 if derivation.phase == "positional" else 0)


@each_variant
def test_kernel_forms_equal_their_definition_at_random_instances(derivation: Derivation) -> None:
    for clausal in derivation.clauses:
        worlds = worlds_for(derivation, clausal.theorem, clausal.clause.ranges, (), INSTANCES)
        assert len(worlds) == INSTANCES
        for world in worlds:
            assert world.holds(clausal.theorem.conclusion), world


def test_encodings_of_different_positions_differ() -> None:
    """What uniqueness says, the other way round, at a few positions."""
    encoding = positional.Encoding("interleaved")
    values = {positional.n: Fraction(9), positional.sines: Fraction(2), positional.cosines: Fraction(2)}
    values |= {positional.base: Fraction(10000), positional.steps: Fraction(2), positional.start: Fraction(-3)}
    world = World(values)
    pairs = [tuple(world.value(column) for column in encoding.at(positional.ZERO + place, positional.ZERO)) for place in range(9)]
    assert all(abs(one[0] - two[0]) + abs(one[1] - two[1]) > 0.01 for one, two in combinations(pairs, 2))
