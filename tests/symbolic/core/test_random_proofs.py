"""Random proofs: rules applied to what rules gave, over and over; every theorem on the way is true where its hypotheses hold.

What it does: starts from random instances of laws, definitions and assumptions, applies random rules to random theorems so far, mostly
where they fit, and evaluates each new theorem in random worlds. One rule alone may be sound by its looks and not together with another;
a step from truth to falsehood fails here, with the proof. Cannot see: long proofs towards a goal.
"""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction

import pytest
from generators import INDICES, JOINED, PAIRED, PROBE, REALS, SIZES
from hypothesis import settings
from law_instances import Instance

from kernelproof.symbolic.binding import alpha_equal, free_variables, positions, replace_at
from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.definitions import unfolding
from kernelproof.symbolic.core.laws import LAWS
from kernelproof.symbolic.core.logic import (
    assumption,
    cases,
    cut,
    generalisation,
    induction,
    instantiation,
    reflexivity,
    replacement,
    specialisation,
    symmetry,
    transitivity,
)
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import Every, Formula, equation, nonnegative, nonzero, positive, within
from kernelproof.symbolic.logs import replay
from kernelproof.symbolic.soundness.evaluator import World, permuting, turns
from kernelproof.symbolic.terms import ONE, ZERO, Entry, Fold, Lambda, Num, Op, Term, Var, delta, less

LARGEST = 120
STEPS = 1200
NAMES = [name for name, row in LAWS.items() if row.subject not in ("calculus", "trigonometry", "odd functions")]
#: calls of functions with one clause and with two, and the clause that fits
CALLS = (
    (PROBE.call({"t": REALS[0]}, INDICES[0]), 0), (PROBE.call({"n": SIZES[1], "x": Lambda(INDICES[:1], INDICES[1] + 1)}, INDICES[2]), 0),
    (PAIRED.call({}, 2 * INDICES[0]), 0), (PAIRED.call({}, 2 * INDICES[1] + 1), 1), (JOINED.call({}, INDICES[0]), 0),
    (JOINED.call({"n": SIZES[1]}, SIZES[1] + INDICES[1]), 1),
)


class Walk:
    """A pool of theorems that grows."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.pool = [self._start() for _ in range(30)]
        self.seen: Counter[str] = Counter()

    def _start(self) -> Theorem:
        dice = self.dice
        if not dice.randrange(6):
            call, which = dice.choice(CALLS)
            return unfolding((), call, which)
        if dice.randrange(3):
            return Instance(dice.choice(NAMES), dice.randrange(10**6)).theorem
        var, other = dice.choice(INDICES), dice.choice((*INDICES, *REALS))
        at = dice.choice((Entry("x", var), var, delta(var, other), less(var, other)))
        length = dice.choice((*SIZES, Num(2), Entry("x", other)))
        about = (equation(at, ONE), equation(at, other), positive(at), nonnegative(at), nonzero(at))
        return assumption((), dice.choice((within(var, length), *about)))

    def term(self) -> Term:
        """Any small term, or a part of a theorem."""
        dice = self.dice
        parts = [part for _, part in positions(dice.choice(self.pool).conclusion) if isinstance(part, Term) and small(part, 12)]
        return dice.choice((*parts, *INDICES, *REALS, ZERO, ONE))

    def step(self) -> Theorem:
        """A rule applied to theorems so far; ProofError where it does not fit."""
        dice = self.dice
        one, two = dice.choice(self.pool), dice.choice(self.pool)
        match dice.choice(("swap", "chain", "inside", "inside", "under", "put", "cut", "all", "at", "cases", "count", "sum", "law")):
            case "swap":
                return symmetry((one,))
            case "chain":
                return transitivity((one, two))
            case "inside":
                return self._inside(one, two)
            case "under":
                return self._under(one)
            case "put":
                return self._put(one)
            case "cut":
                return cut((two, one))
            case "all":
                return self._all(one)
            case "at":
                count = len(one.conclusion.over) if isinstance(one.conclusion, Every) else 1
                return specialisation((one,), tuple(self.term() for _ in range(count)))
            case "cases":
                return self._cases(one)
            case "count":
                return induction((one, two), SIZES[0], one.conclusion)
            case "sum":
                return arithmetic((one,), self.term() + one.left, self.term() + one.right, (ONE,))
        return self._start()

    def _inside(self, one: Theorem, two: Theorem) -> Theorem:
        """An equation used wherever its left side stands in another theorem."""
        places = [path for path, part in positions(one.conclusion) if isinstance(part, Term) and alpha_equal(part, two.left)]
        if not places:
            raise ProofError("nowhere")
        return replacement((one, two), self.dice.choice(places))

    def _under(self, given: Theorem) -> Theorem:
        """An equation used below a fold, whose range may be one of its hypotheses."""
        dice = self.dice
        ranges = [formula.terms for formula in given.hypotheses if formula.name == "in" and isinstance(formula.terms[0], Var)]
        var, length = dice.choice([*ranges, (dice.choice(INDICES), dice.choice(SIZES))])
        if not isinstance(var, Var) or var.kind != "real":
            raise ProofError("no index")
        fold = Fold(dice.choice(("sum", "max")), var, length, given.left, dice.choice((ONE, ONE, delta(var, INDICES[0]))))
        return replacement((reflexivity((), fold), given), (1, 2))

    def _put(self, given: Theorem) -> Theorem:
        dice = self.dice
        values: dict[Var, Term] = {dice.choice((*INDICES, *REALS)): self.term() for _ in range(2)}
        if dice.randrange(3) == 0:
            values[dice.choice(SIZES)] = dice.choice((ZERO, ONE, SIZES[0] + 1, SIZES[1], SIZES[0] - 1, self.term()))
        functions = {"x": Lambda((dice.choice(INDICES),), self.term())} if dice.randrange(2) else {}
        return instantiation((given,), values, functions)

    def _all(self, given: Theorem) -> Theorem:
        dice = self.dice
        over = []
        for var in dice.sample(INDICES, dice.choice((1, 1, 2))):
            known = [formula.terms[1] for formula in given.hypotheses if formula.name == "in" and formula.terms[0] is var]
            over.append((var, dice.choice([*known, *known, *SIZES])))
        return generalisation((given,), tuple(over))

    def _cases(self, given: Theorem) -> Theorem:
        """The same statement twice, with the cases of an indicator put in where it stands."""
        flags = [part for _, part in positions(given.conclusion) if isinstance(part, Op) and part.name in ("less", "delta")]
        flag = self.dice.choice([*flags, less(*INDICES[:2])])
        either = Instance("less_is_indicator", 0).theorem
        either = arithmetic((), flag * flag, flag * flag) if flag.name == "delta" else either
        others = [other for other in self.pool if alpha_equal(other.conclusion, given.conclusion)]
        return cases((either, given, self.dice.choice(others)))

    def grow(self) -> Theorem | None:
        """One more theorem, if the step fits and stays small."""
        try:
            made = self.step()
        except (ProofError, TypeError):
            self.seen["refused"] += 1
            return None
        if not all(small(formula, LARGEST) for formula in (*made.hypotheses, made.conclusion)) or len(made.hypotheses) > 6:
            return None
        self.pool.append(made)
        return made


def small(node: Term | Formula, most: int) -> bool:
    """Whether a node has few parts."""
    return sum(1 for _, _ in zip(positions(node), range(most + 1), strict=False)) <= most


def some_worlds(seed: int) -> list[World]:
    """Worlds for all names that the pool speaks of."""
    found = []
    for place in range(4):
        dice = random.Random(f"{seed} {place}")
        values = {var: Fraction(dice.choice((0, 1, 2, 3))) for var in SIZES} | {var: Fraction(dice.randint(-1, 2)) for var in INDICES}
        values |= {var: Fraction(dice.randint(-2, 3), dice.choice((1, 1, 2))) for var in REALS}
        world = World(values, {"turns": turns}, dice.randrange(10**6), (1, 1, 2))
        below = int(values[SIZES[0]])
        world.tensors["s"] = permuting(dice.sample(range(below), below))
        found.append(world)
    return found


def test_replacing_at_a_place_is_what_the_walk_checks() -> None:
    """The walk would see a wrong theorem: a term replaced by an unequal one is false somewhere."""
    theorem = Instance("sum_last", 1).theorem
    wrong = replace_at(theorem.conclusion, (1,), theorem.right + 1)
    assert not any(world.holds(wrong) for world in some_worlds(0))


@pytest.mark.parametrize("seed", range(settings.default.max_examples // 8))
def test_what_is_proved_on_a_random_walk_is_true(seed: int) -> None:
    walk, there = Walk(seed), some_worlds(seed)
    for number in range(STEPS):
        made = walk.grow()
        if made is None:
            continue
        known = set(there[0].variables)
        if not all(free_variables(formula) <= known for formula in (*made.hypotheses, made.conclusion)):
            continue
        for world in there:
            held = all(world.holds(formula) for formula in made.hypotheses)
            walk.seen["held" if held else "vacuous"] += 1
            assert not held or world.holds(made.conclusion), (made, world)
        if number % 40 == 0:
            replay(made)
    assert walk.seen["held"] >= 50, dict(walk.seen)
