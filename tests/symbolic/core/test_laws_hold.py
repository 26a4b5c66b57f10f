"""Every law of the table, tried at random instances made from its row alone: where its hypotheses hold, its conclusion does.

*Instance*, not proof: a law is assumed. A law with fewer than ten instances in which its hypotheses hold fails, and so does a table
that no instance leads into a corner of (an empty range, a zero divisor, a negative radicand, a guard that excludes everything).
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import chain

import pytest
from hypothesis import settings
from law_instances import CORNERS, Instance

from kernelproof.symbolic.core.laws import LAWS
from kernelproof.symbolic.formulas import derivative, equation, integer, nonnegative, positive
from kernelproof.symbolic.logs import replay
from kernelproof.symbolic.soundness.evaluator import World
from kernelproof.symbolic.terms import ONE, ZERO, Lambda, Num, Op, less, sqrt, total, variables

TRIES = settings.default.max_examples
t, a, j = variables("t a j")


@cache
def instances(name: str) -> list[Instance]:
    """Random instances of a law."""
    return [Instance(name, seed) for seed in range(TRIES)]


def held(name: str) -> list[Instance]:
    """The instances of a law in which its hypotheses hold."""
    return [made for made in instances(name) if made.held]


@pytest.mark.parametrize("name", list(LAWS))
def test_what_a_law_says_is_true(name: str) -> None:
    for made in held(name):
        assert made.world.holds(made.theorem.conclusion), (made.theorem, made.world)
    assert len(held(name)) >= 10, f"{name}: {len(held(name))} of {TRIES} instances held"
    again = replay(held(name)[0].theorem)
    assert again.conclusion is held(name)[0].theorem.conclusion


def test_the_corners_were_reached() -> None:
    reached = Counter(corner for name in LAWS for made in held(name) for corner, there in CORNERS.items() if there(made))
    assert all(reached[corner] >= 10 for corner in CORNERS), reached


@pytest.mark.parametrize("name", [name for name, row in LAWS.items() if row.hypotheses])
def test_every_hypothesis_of_a_law_is_needed(name: str) -> None:
    """Where only that one fails, some instance refutes the law: so the instances would also have seen a law that lacks one."""
    for place in range(len(LAWS[name].hypotheses)):
        wanted = [other != place for other in range(len(LAWS[name].hypotheses))]
        more = (Instance(name, TRIES + seed) for seed in range(300))
        without = (made for made in chain(instances(name), more) if made.hold == wanted)
        assert any(not made.world.holds(made.theorem.conclusion) for made in without), f"{name}: hypothesis {place} is not needed"


SMOOTH = Lambda((t,), t * t)
KINK, JUMP, POLE, ROOT = (Lambda((t,), body) for body in (Op("max", ZERO, t), less(0, t), 1 / t, sqrt(t)))


def test_the_evaluator_knows_where_there_is_no_derivative() -> None:
    """A kink, a jump, a pole and a vertical tangent: nothing is the derivative there."""
    world = World()
    assert world.holds(derivative(SMOOTH, 3, 6)) and not world.holds(derivative(SMOOTH, 3, 5))
    for function in (KINK, JUMP, POLE, ROOT):
        assert not any(world.holds(derivative(function, 0, value)) for value in (ZERO, ONE, ONE / 2, Num(10) ** 30))
        assert world.slope(function, world.value(ZERO)) is None and world.slope(function, world.value(ONE)) is not None


def test_the_evaluator_refutes_wrong_laws() -> None:
    """Laws that are nearly right: an empty sum that is positive, a root of a product, a derivative through a kink."""
    world = World()
    assert not world.holds(positive(total(j, 0, 1))) and world.holds(nonnegative(total(j, 0, 1)))
    assert not world.holds(equation(sqrt(Num(-1) * Num(-1)), sqrt(Num(-1)) * sqrt(Num(-1))))
    assert not world.holds(equation(less(0, 0), 1)) and not world.holds(integer(ONE / 2))
