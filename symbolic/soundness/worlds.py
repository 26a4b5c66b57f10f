"""Worlds in which the hypotheses of a theorem of a phase or gradient hold, from what its statement says of its indices and tensors."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Any

from kernelproof.symbolic.binding import children, free_variables
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.formulas import Every, Formula
from kernelproof.symbolic.functions import Parameter
from kernelproof.symbolic.phase import Derivation, Extra, Gradient, Statement
from kernelproof.symbolic.registry import derive
from kernelproof.symbolic.soundness.evaluator import Tensor, World, permuting
from kernelproof.symbolic.terms import Entry, Node, Term, Var

#: positive, and such that angles and divisors are ordinary
POSITIVE = {"base": Fraction(7), "steps": Fraction(2), "eps": Fraction(1, 10)}
LARGEST = {"heads": 2, "f": 2}


@dataclass(frozen=True)
class Setting:
    """What a theorem is about: parameters of its phase, ranges of its free indices, extra tensors."""

    theorem: Theorem
    parameters: tuple[Parameter, ...]
    over: tuple[tuple[Var, Term], ...] = ()
    extras: tuple[Extra, ...] = ()


def setting(owner: Derivation | Gradient, statement: Statement) -> Setting:
    """The setting of a statement of a phase or of its gradient."""
    return Setting(statement.theorem, parameters_of(owner), statement.over, statement.extras)


def parameters_of(owner: Derivation | Gradient) -> tuple[Parameter, ...]:
    """Parameters of the phase."""
    derivation = owner if isinstance(owner, Derivation) else derive(owner.phase, **owner.variant)
    return derivation.definition.parameters


def size_variables(nodes: Iterable[Node]) -> set[Var]:
    """Sizes anywhere in some nodes, those passed to calls included."""
    found: set[Var] = set()
    for node in nodes:
        if isinstance(node, Var) and node.kind == "size":
            found.add(node)
        found |= size_variables(part for part, _ in children(node))
    return found


def world_for(about: Setting, seed: int, largest: int = 3, but: Formula | None = None) -> World | None:
    """Random sizes, indices in their ranges, tensors of their kinds; None where a hypothesis fails.

    In one world of four, indices of equal ranges are equal. With ``but``, that hypothesis fails and all others hold.
    """
    dice = random.Random(seed)
    formulas = (*about.theorem.hypotheses, about.theorem.conclusion)
    lengths = size_variables([*formulas, *(length for _, length in about.over)])
    lengths |= {parameter.var for parameter in about.parameters if parameter.kind == "size"}
    world = World(seed=seed, denominators=(1, 2, 3))
    for var in sorted(lengths, key=repr):
        world.variables[var] = Fraction(min(dice.choice((0, 1, 2, 2, 3)), LARGEST.get(var.name, 3), largest))
    scalars = {p.var for p in about.parameters if not p.axes}
    for var in sorted(scalars.union(*map(free_variables, formulas)) - lengths, key=repr):
        world.variables[var] = POSITIVE.get(var.name, Fraction(dice.randint(-4, 4)))
    placed: dict[Term, Fraction] = {}
    assumed = [tuple(given.terms) for given in about.theorem.hypotheses if given.name == "in" and isinstance(given.terms[0], Var)]
    for var, length in dict([*assumed, *about.over]).items():
        below = int(world.value(length))
        if below == 0 and but is None:
            return None
        index = Fraction(dice.randrange(max(1, below)))
        world.variables[var] = placed.setdefault(length, index) if seed % 4 == 3 else index
    for parameter in about.parameters:
        _give(world, parameter, dice)
    for extra in about.extras:
        _give_extra(world, extra, dice)
    for formula in about.theorem.hypotheses:
        if isinstance(formula, Every) and formula.body.name == "eq" and isinstance(formula.body.left, Entry):
            _define(world, formula, formula.body.left)
    if but is not None:
        _break(world, but, dice)
    return world if all(world.holds(formula) != (formula is but) for formula in about.theorem.hypotheses) else None


def _define(world: World, formula: Every, entry: Entry) -> None:
    """The entries of a tensor that a hypothesis equates to something, for all of some ranges."""
    table: dict[tuple[Fraction, ...], Any] = {}
    names = [var for var, _ in formula.over]
    for at in product(*(range(int(world.value(length))) for _, length in formula.over)):
        values = {**world.variables, **dict(zip(names, map(Fraction, at), strict=True))}
        there = World(values, world.tensors, world.seed, world.denominators)
        table[tuple(there.value(index) for index in entry.indices)] = there.value(formula.body.right)
    free = World({}, {}, world.seed, world.denominators)
    world.tensors[entry.tensor] = lambda *indices: table[indices] if indices in table else free.entry(entry.tensor, indices)


def _break(world: World, formula: Formula, dice: random.Random) -> None:
    """The world with what a hypothesis speaks of set so that it fails, if that is easy."""
    value = formula.terms[0] if formula.terms else None
    if formula.name == "permutation":
        world.tensors[str(formula.tensor)] = _table(dice.randrange(10**6), range(max(1, int(world.value(formula.terms[0])))))
    elif formula.name == "in":
        outside = dice.choice((Fraction(-1), world.value(formula.terms[1]), Fraction(1, 2)))
        if isinstance(value, Var):
            world.variables[value] = outside
        elif isinstance(value, Entry):
            world.tensors[value.tensor] = lambda *_: outside
    elif isinstance(value, Var):
        world.variables[value] = Fraction(0 if value.kind == "size" else dice.choice((0, -1, -2)), dice.choice((1, 3)))


def _give(world: World, parameter: Parameter, dice: random.Random) -> None:
    if parameter.kind == "indicator":
        world.tensors[parameter.name] = _table(dice.randrange(10**6), (0, 1, 1))
    elif parameter.kind == "index":
        rows = next(var for var in world.variables if var.name == "vocab")
        world.tensors[parameter.name] = _table(dice.randrange(10**6), range(max(1, int(world.variables[rows]))))


def _give_extra(world: World, extra: Extra, dice: random.Random) -> None:
    if extra.kind == "positive":
        world.variables[Var(extra.name)] = Fraction(dice.randint(1, 6), 2)
    elif extra.kind == "indicator":
        world.tensors[extra.name] = _table(dice.randrange(10**6), (0, 1, 1))
    elif extra.kind in ("permutation", "index_map"):
        assert extra.bound is not None
        below = int(world.value(extra.bound))
        order = dice.sample(range(below), below)
        world.tensors[extra.name] = permuting(order) if extra.kind == "permutation" else _table(dice.randrange(10**6), range(max(1, below)))


def _table(seed: int, choices: Iterable[int]) -> Tensor:
    """A tensor that takes one of some values at each of its indices."""
    values = list(choices)

    def entry(*indices: Any) -> Fraction:
        return Fraction(random.Random(f"{seed} {indices}").choice(values))

    return entry


def worlds(about: Setting, seeds: Iterable[int] = range(60), largest: int = 3, but: Formula | None = None) -> Iterator[World]:
    """The worlds of some seeds in which the hypotheses hold."""
    for seed in seeds:
        world = world_for(about, seed, largest, but)
        if world is not None:
            yield world
