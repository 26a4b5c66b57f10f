"""Random instances of a law, from its row of the table alone: terms for its variables, lambdas for its tensors, and a world.

What it does: draws terms and lambdas from a pool that what the law assumes of them chooses (equal arguments, whole turns, permutations,
functions of a real variable), puts them in by the rule ``law``, and then sets what the world leaves open so that a hypothesis may hold:
a permutation, the value of a derivative. Zero divisors, empty ranges, guards that exclude everything, negative radicands and
functions that are not smooth are in the pool. Guarantees: nothing; a hypothesis that fails is counted as such.
"""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

from generators import INDICES, REALS, SIZES

from kernelproof.symbolic.binding import free_variables, positions, substitute, tensors
from kernelproof.symbolic.core.laws import LAWS, Law, law
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.formulas import Every, Formula
from kernelproof.symbolic.soundness.evaluator import Number, World, permuting, turns
from kernelproof.symbolic.terms import ONE, PI, ZERO, Entry, Fold, Lambda, Num, Op, Term, Var, delta, exp, total

i, j, k = INDICES
#: never drawn by name: each derivative that a law assumes gets one, whose value the world finds
SLOPES = {name: Var(f"slope_{name}") for name in "uv"}
SMOOTH_OF_ONE = ("exp", "sin", "cos", "tanh", "erf", "neg")
ROUGH_OF_ONE = ("sqrt", "log")


class Instance:
    """A law with everything put in, and a world; ``hold`` says which of its hypotheses are true there."""

    def __init__(self, name: str, seed: int) -> None:
        self.dice = random.Random(f"{name} {seed}")
        self.row = LAWS[name]
        self.theorem = self._drawn()
        self.world = self._world(seed)
        self.hold = [self.world.holds(formula) for formula in self.theorem.hypotheses]

    @property
    def held(self) -> bool:
        """Whether the hypotheses are true."""
        return all(self.hold)

    def _drawn(self) -> Theorem:
        row, dice = self.row, self.dice
        formulas = (*row.hypotheses, row.conclusion)
        permuted = {str(formula.tensor) for formula in formulas if formula.name == "permutation"}
        values: dict[Var, Term] = {}
        for var in sorted(set().union(*map(free_variables, formulas)), key=repr):
            values[var] = self._size(bool(permuted)) if var.kind == "size" else self._real(var, row, values)
        for formula in row.hypotheses:
            if formula.name == "eq" and isinstance(formula.left, Var) and dice.randrange(2):
                values[formula.left] = substitute(formula.right, values)
        functions = {}
        for tensor, (count, smooth) in sorted(arities(row).items()):
            if tensor in permuted:
                functions[tensor] = Lambda((j,), Entry("s", j))
            elif tensor == "g" and count == 1 and smooth is None:
                functions[tensor] = Lambda((j,), Entry("slope_g", j))
            elif smooth:
                params = (Var("t"), *INDICES[: count - 1])
                functions[tensor] = Lambda(params, self._function(params, 2))
            else:
                params = tuple(dice.sample(INDICES, count))
                functions[tensor] = Lambda(params, self._body(params))
        return law((), row.name, values, functions)

    def _size(self, plain: bool) -> Term:
        return SIZES[0] if plain else self.dice.choice((*SIZES, *SIZES, ZERO, Num(2), SIZES[0] + 1, SIZES[0] * SIZES[1]))

    def _real(self, var: Var, row: Law, earlier: dict[Var, Term]) -> Term:
        """A slope, an index, what an assumed equation says, something near an earlier one, or anything."""
        dice = self.dice
        if var.name in SLOPES and any(is_derivative(formula) for formula in row.hypotheses):
            return SLOPES[var.name] if dice.randrange(6) else self._term(1)
        if any(formula.name == "in" and formula.terms[0] is var for formula in row.hypotheses) and dice.randrange(4):
            return dice.choice((ZERO, ONE, i, j, Num(2), SIZES[0] - 1))
        reals = [value for other, value in earlier.items() if other.kind == "real"]
        if reals and dice.randrange(2):
            other = dice.choice(reals)
            return dice.choice((other, other, other + 2 * PI * dice.randint(-2, 2), -other, other + 1, PI - other, other / (2 * PI)))
        if any(formula.name == "integer" for formula in row.hypotheses) and dice.randrange(2):
            return dice.choice((ZERO, ZERO, i, Num(3)))
        return self._term(2)

    def _term(self, depth: int) -> Term:
        """Any small term, roots of what may be negative and quotients by what may be zero among them."""
        dice = self.dice
        if depth == 0 or not dice.randrange(3):
            return dice.choice((*INDICES, *REALS, *SIZES, ZERO, ONE, Num(-2), Entry("x", i), Entry("x", j)))
        part = [self._term(depth - 1) for _ in range(2)]
        kind = dice.choice(("add", "sub", "mul", "div", "max", "less", "delta", "exp", "sqrt", "log", "neg", "sum", "square"))
        if kind == "sum":
            return total(dice.choice(INDICES), SIZES[1], part[0])
        if kind == "square":
            return part[0] * part[0]
        return Op(kind, *part[: 1 if kind in ("exp", "sqrt", "log", "neg") else 2])

    def _body(self, params: tuple[Var, ...]) -> Term:
        """The value of a tensor: random entries, constants (also 0, the guard that excludes everything), what speaks of the index."""
        dice = self.dice
        at = params[0]
        entry, other = Entry("x", at), self._term(1)
        return dice.choice((entry, entry, ZERO, ONE, at, at - 1, delta(at, 1), exp(at), other, entry * other))

    def _function(self, params: tuple[Var, ...], depth: int) -> Term:
        """A function of the first parameter, mostly smooth where it is tried."""
        dice, t = self.dice, params[0]
        if depth == 0:
            return dice.choice((t, t, t - 1, t * 2, ONE, Entry("x", params[-1]) if len(params) > 1 else REALS[0], Num(3)))
        parts = [self._function(params, depth - 1) for _ in range(2)]
        kind = dice.choice(("add", "sub", "mul", "div", "of one", "of one", "rough", "max", "less", "plain"))
        if kind == "plain":
            return parts[0]
        if kind in ("of one", "rough"):
            return Op(dice.choice(SMOOTH_OF_ONE if kind == "of one" else ROUGH_OF_ONE), parts[0] / 4 if depth == 2 else parts[0])
        return Op(kind, *parts)

    def _world(self, seed: int) -> World:
        dice = self.dice
        values: dict[Var, Number] = {var: Fraction(dice.choice((0, 1, 2, 3))) for var in SIZES}
        values |= {var: Fraction(dice.randint(-1, 2)) for var in INDICES}
        values |= {var: Fraction(dice.randint(-2, 3), dice.choice((1, 1, 2))) for var in REALS}
        values |= {var: Fraction(dice.randint(-2, 2)) for var in SLOPES.values()}
        world = World(values, {"turns": turns}, seed, (1, 1, 2))
        for formula in self.theorem.hypotheses:
            if formula.name == "permutation" and dice.randrange(5):
                below = int(world.value(formula.terms[0]))
                world.tensors[str(formula.tensor)] = permuting(dice.sample(range(below), below))
            if formula.name == "derivative" and formula.terms[2] in SLOPES.values():
                found = world.slope(formula.terms[0], world.value(formula.terms[1]))
                values[formula.terms[2]] = Fraction(7) if found is None else found
            if isinstance(formula, Every) and formula.body.name == "derivative":
                world.tensors["slope_g"] = _slopes(world, formula)
        return world


def _slopes(world: World, formula: Every) -> Any:
    """The derivatives that a formula assumes for all of a range, as a tensor."""
    function, point, _ = formula.body.terms
    ((var, _),) = formula.over

    def entry(index: Number) -> Number:
        at = World({**world.variables, var: index}, world.tensors, world.seed, world.denominators)
        found = at.slope(function, at.value(point))
        return Fraction(7) if found is None else found

    return entry


def is_derivative(formula: Formula) -> bool:
    """Whether a formula says a derivative, perhaps for all of a range."""
    return formula.name == "derivative" or (isinstance(formula, Every) and formula.body.name == "derivative")


def arities(row: Law) -> dict[str, tuple[int, bool | None]]:
    """The tensors that may be put in: number of indices, and whether they stand for functions (None: for values of derivatives)."""
    formulas = (*row.hypotheses, row.conclusion)
    found: dict[str, tuple[int, bool | None]] = {}
    calculus = is_derivative(row.conclusion) or any(map(is_derivative, row.hypotheses))
    for formula in formulas:
        for _, part in positions(formula):
            if isinstance(part, Entry) and part.tensor != "turns":
                found[part.tensor] = (len(part.indices), calculus)
    for formula in formulas:
        if isinstance(formula, Every) and formula.body.name == "derivative":
            for tensor in tensors(formula.body.terms[2]):
                found[tensor] = (found[tensor][0], None)
    return found | {str(formula.tensor): (1, False) for formula in formulas if formula.name == "permutation"}


#: what must be among the instances that held, for laws where it can be: a corner that was never tried proves nothing
CORNERS = {
    "an empty range": lambda made: any(made.world.value(part.size) == 0 for part in _parts(made, Fold) if not _bound(made, part.size)),
    "a zero divisor": lambda made: any(_is(made, part, "div", 1, lambda value: value == 0) for part in _parts(made, Op)),
    "a negative radicand": lambda made: any(_is(made, part, "sqrt", 0, lambda value: value < 0) for part in _parts(made, Op)),
    "a guard that excludes everything": lambda made: any(part.guard is ZERO for part in _parts(made, Fold)),
}


def _parts(made: Instance, kind: type) -> list[Any]:
    return [part for _, part in positions(made.theorem.conclusion) if isinstance(part, kind)]


def _bound(made: Instance, value: Term) -> bool:
    return not free_variables(value) <= set(made.world.variables)


def _is(made: Instance, part: Op, name: str, place: int, wanted: Any) -> bool:
    return part.name == name and not _bound(made, part.args[place]) and bool(wanted(made.world.value(part.args[place])))
