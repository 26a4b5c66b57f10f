"""Every phase with every variant, every gradient: it derives, every proof replays, every theorem is true at random instances.

Evaluated in exact and 60-digit arithmetic by the independent evaluator. *Instance*, not proof: the proof is the log that replays.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import pytest
from instances import OWNERS, VARIANTS, worlds_for

from kernelproof.symbolic.binding import alpha_equal
from kernelproof.symbolic.core.definitions import definition_of
from kernelproof.symbolic.formulas import equation
from kernelproof.symbolic.logs import replay
from kernelproof.symbolic.phase import EXTRA_KINDS, Derivation, Gradient
from kernelproof.symbolic.phases import positional
from kernelproof.symbolic.registry import derive, gradient, has_gradient, phases
from kernelproof.symbolic.soundness.evaluator import World
from kernelproof.symbolic.soundness.worlds import Setting, parameters_of, setting
from kernelproof.symbolic.terms import ZERO

INSTANCES = 3
each_variant = pytest.mark.parametrize("derivation", [one for one, _ in VARIANTS], ids=[name for _, name in VARIANTS])
each_owner = pytest.mark.parametrize("owner", [one for one, _ in OWNERS], ids=[name for _, name in OWNERS])


def test_all_phases_of_the_contract_are_there() -> None:
    assert list(phases()) == [
        "embedding", "positional", "rotary", "softmax", "attention", "multi_head_attention", "feed_forward", "activation",
        "layer_norm", "rms_norm", "encoder_block",
    ]
    assert len(VARIANTS) == 40


@each_owner
def test_every_proof_replays(owner: Derivation | Gradient) -> None:
    ids = [found.id for found in owner.statements]
    assert len(set(ids)) == len(ids) and all(name.startswith(owner.phase + ".") for name in ids)
    if isinstance(owner, Gradient) and owner.phase == "encoder_block" and owner.variant["activation"] != "relu":
        pytest.skip("the same long log with another activation; the second checker's tests read it")
    for found in owner.statements:
        again = replay(found.theorem)
        assert again.conclusion is found.theorem.conclusion and again.hypotheses == found.theorem.hypotheses
        assert found.status == "proved" and {extra.kind for extra in found.extras} <= {*EXTRA_KINDS, "indicator"}


@each_variant
def test_definitions_and_licences(derivation: Derivation) -> None:
    assert definition_of(derivation.definition.name) is derivation.definition
    known = {found.id for phase in phases() for found in derive(phase).statements}
    known |= {found.id for phase in phases() if has_gradient(phase) for found in gradient(phase).statements}
    assert set(derivation.licences) <= known


@each_variant
def test_the_lines_lead_from_the_definition_to_the_kernel_form(derivation: Derivation) -> None:
    definition = derivation.definition
    assert [clausal.clause for clausal in derivation.clauses] == list(definition.clauses)
    for clausal in derivation.clauses:
        for before, after in zip(clausal.lines, clausal.lines[1:], strict=False):
            assert alpha_equal(before.theorem.right, after.theorem.left)
        whole = replay(clausal.theorem)
        assert alpha_equal(whole.conclusion, equation(definition.call({}, *clausal.clause.pattern), clausal.kernel))


@each_owner
def test_theorems_hold_at_random_instances(owner: Derivation | Gradient) -> None:
    count = 1 if owner.phase == "encoder_block" else INSTANCES
    for found in owner.statements:
        worlds = worlds_for(setting(owner, found), count)
        assert worlds, f"{found.id}: no instance meets its hypotheses"
        for world in worlds:
            assert world.holds(found.theorem.conclusion), (found.id, world)


@each_variant
def test_kernel_forms_equal_their_definition_at_random_instances(derivation: Derivation) -> None:
    for clausal in derivation.clauses:
        worlds = worlds_for(Setting(clausal.theorem, parameters_of(derivation), clausal.clause.ranges), INSTANCES)
        assert len(worlds) == INSTANCES
        for world in worlds:
            assert world.holds(clausal.theorem.conclusion), world


def test_encodings_of_different_positions_differ() -> None:
    """What uniqueness says, the other way round, at a few positions."""
    encoding = positional.Encoding("interleaved")
    values = {positional.n: Fraction(9), positional.sines: Fraction(2), positional.cosines: Fraction(2)}
    values |= {positional.base: Fraction(10000), positional.steps: Fraction(2), positional.start: Fraction(-3)}
    world = World(values)
    pairs = [tuple(world.value(column) for column in encoding.at(ZERO + place, ZERO)) for place in range(9)]
    assert all(abs(one[0] - two[0]) + abs(one[1] - two[1]) > 0.01 for one, two in combinations(pairs, 2))
