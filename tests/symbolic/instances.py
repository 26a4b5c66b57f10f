"""Worlds in which the hypotheses of a phase's theorem hold, from what the statement says about its indices and tensors."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import product
from typing import Any

from evaluator import World
from generators import permuting

from kernelproof.symbolic.binding import children, free_variables
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.functions import Parameter
from kernelproof.symbolic.phase import Derivation, Extra
from kernelproof.symbolic.registry import derive, phases
from kernelproof.symbolic.terms import Node, Term, Var

#: positive, and such that angles and divisors are ordinary
POSITIVE = {"base": Fraction(7), "steps": Fraction(2), "eps": Fraction(1, 10)}
LARGEST = {"heads": 2, "f": 2}


def all_variants() -> Iterator[tuple[str, dict[str, object]]]:
    """Every phase with every combination of its options."""
    for name, phase in phases().items():
        options = list(phase.variants)
        for choice in product(*(phase.variants[option].choices for option in options)):
            yield name, dict(zip(options, choice, strict=True))


VARIANTS = [(derive(name, **variant), "-".join((name, *map(str, variant.values())))) for name, variant in all_variants()]


def size_variables(nodes: Iterable[Node]) -> set[Var]:
    """Sizes anywhere in some nodes, those passed to calls included."""
    found: set[Var] = set()
    for node in nodes:
        if isinstance(node, Var) and node.kind == "size":
            found.add(node)
        found |= size_variables(part for part, _ in children(node))
    return found


def world_for(
    derivation: Derivation, theorem: Theorem, over: tuple[tuple[Var, Term], ...], extras: tuple[Extra, ...], seed: int
) -> World | None:
    """Random sizes, indices in their ranges, tensors of their kinds; None where a hypothesis fails."""
    dice = random.Random(seed)
    formulas = (*theorem.hypotheses, theorem.conclusion)
    lengths = size_variables([*formulas, *(length for _, length in over)])
    lengths |= {parameter.var for parameter in derivation.definition.parameters if parameter.kind == "size"}
    world = World(seed=seed, denominators=(1, 2, 3))
    world.variables = {var: Fraction(min(dice.choice((0, 1, 2, 2, 3)), LARGEST.get(var.name, 3))) for var in sorted(lengths, key=repr)}
    free = set().union(*map(free_variables, formulas)) | {p.var for p in derivation.definition.parameters if not p.axes}
    for var in sorted(free - lengths, key=repr):
        world.variables[var] = POSITIVE.get(var.name, Fraction(dice.randint(-4, 4)))
    for var, length in over:
        if world.value(length) == 0:
            return None
        world.variables[var] = Fraction(dice.randrange(int(world.value(length))))
    for parameter in derivation.definition.parameters:
        _give(world, parameter, dice)
    for extra in extras:
        _give_extra(world, extra, dice)
    return world if all(world.holds(formula) for formula in theorem.hypotheses) else None


def _give(world: World, parameter: Parameter, dice: random.Random) -> None:
    if parameter.kind == "indicator":
        world.tensors[parameter.name] = _table(dice.randrange(10**6), (0, 1, 1))
    elif parameter.kind == "index":
        rows = next(var for var in world.variables if var.name == "vocab")
        world.tensors[parameter.name] = _table(dice.randrange(10**6), range(max(1, int(world.variables[rows]))))


def _give_extra(world: World, extra: Extra, dice: random.Random) -> None:
    if extra.kind == "positive":
        world.variables[Var(extra.name)] = Fraction(dice.randint(1, 6), 2)
    elif extra.kind in ("permutation", "index_map"):
        assert extra.bound is not None
        below = int(world.value(extra.bound))
        order = dice.sample(range(below), below)
        world.tensors[extra.name] = permuting(order) if extra.kind == "permutation" else _table(dice.randrange(10**6), range(max(1, below)))


def _table(seed: int, choices: Any) -> Any:
    """A tensor that takes one of some values at each of its indices."""

    def entry(*indices: Any) -> Fraction:
        return Fraction(random.Random(f"{seed} {indices}").choice(list(choices)))

    return entry


def worlds_for(
    derivation: Derivation, theorem: Theorem, over: tuple[tuple[Var, Term], ...], extras: tuple[Extra, ...], count: int
) -> list[World]:
    """Up to ``count`` worlds from sixty seeds."""
    found = []
    for seed in range(60):
        world = world_for(derivation, theorem, over, extras, seed)
        if world is not None:
            found.append(world)
        if len(found) == count:
            break
    return found
