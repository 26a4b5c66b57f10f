"""Instances: theorems evaluated at random concrete sizes and values in 50-digit arithmetic.

What it does: a direct evaluator of terms with mpmath, sharing nothing with the lowering, the interpreter or the other looks but the
draw of sizes and indices; a call of a defined function is evaluated by its definition. Each theorem is tried at several random
instances that meet its hypotheses: ranges, permutations and masks by construction, an equation by giving one side's entry the other
side's value, a derivative by a curve through a random point with that slope. Whatever was drawn, every hypothesis is evaluated then.

Guarantees: a pass means equal to 40 digits at the instances tried (derivatives: a central difference in 120 digits, step 10⁻³⁵), and is
called *instance*, never proof. Cannot see: theorems whose hypotheses are equations between larger terms (uniqueness): not applicable.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import mpmath

from kernelproof.numeric.evaluation import AGREEING, World, each_instance, holds, holds_at, sides, value_at
from kernelproof.symbolic.binding import free_variables, tensors
from kernelproof.symbolic.core.logic import RESERVED
from kernelproof.symbolic.formulas import Formula
from kernelproof.symbolic.looks.model import Look, all_statements
from kernelproof.symbolic.looks.setting import Rejected, draw, formulas_of, inner
from kernelproof.symbolic.phase import Derivation, Statement
from kernelproof.symbolic.terms import Entry, Var

#: digits, and digits where there are derivatives
DIGITS, MANY_DIGITS = 50, 120
INSTANCES, ATTEMPTS = 3, 60


class InstanceResult(Look):
    """The outcome for one theorem: pass, fail or not_applicable, and what was tried."""

    def __init__(self, theorem_id: str, verdict: str, detail: str) -> None:
        super().__init__(theorem_id, "instance", verdict, detail)


def check_derivation(derivation: Derivation, seed: int = 0) -> list[InstanceResult]:
    """Every theorem and every line of the derivation at random instances."""
    return [check_statement(derivation, statement, seed) for statement in all_statements(derivation)]


def check_statement(derivation: Derivation, statement: Statement, seed: int = 0) -> InstanceResult:
    """One theorem at :data:`INSTANCES` random instances."""
    reason = _unseen(statement)
    if reason:
        return InstanceResult(statement.id, "not_applicable", reason)
    hypotheses, conclusion = statement.theorem.hypotheses, statement.theorem.conclusion
    slopes = any(inner(formula).name == "derivative" for formula in formulas_of(statement))
    worst, done = mpmath.mpf(0), 0
    with mpmath.workdps(MANY_DIGITS if slopes else DIGITS):
        for attempt in range(ATTEMPTS):
            try:
                world = draw_world(derivation, statement, random.Random(f"{seed}/{statement.id}/{attempt}"), far=attempt % 3 == 2)
            except Rejected:
                continue
            if not all(holds(formula, world) for formula in hypotheses):
                continue
            for plain, bound in each_instance(conclusion, world, {}):
                off, shown = _misses(plain, world, bound)
                worst = max(worst, off)
                if off > mpmath.mpf(10) ** -AGREEING:
                    at = {**world.variables, **{var.name: number for var, number in bound.items()}}
                    return InstanceResult(statement.id, "fail", f"{shown} at {at}")
            done += 1
            if done == INSTANCES:
                break
    if not done:
        return InstanceResult(statement.id, "not_applicable", f"no instance of the hypotheses in {ATTEMPTS} draws")
    return InstanceResult(statement.id, "pass", f"{done} instances, worst relative difference {mpmath.nstr(worst, 2)}")


def _unseen(statement: Statement) -> str:
    """Why a theorem is not seen by random instances."""
    for formula in map(inner, statement.theorem.hypotheses):
        if formula.name == "eq" and not any(isinstance(side, (Entry, Var)) for side in formula.terms):
            return "hypotheses that are equations of larger terms cannot be drawn at random"
    if any(RESERVED & tensors(formula) for formula in formulas_of(statement)):
        return f"it speaks of {', '.join(sorted(RESERVED))}, which only an axiom knows"
    return "it concludes that a tensor is a permutation" if inner(statement.theorem.conclusion).name == "permutation" else ""


def _misses(formula: Formula, world: World, bound: Mapping[Var, Any]) -> tuple[Any, str]:
    """How far a conclusion is from true, relative to its size, and in words."""
    if formula.name in ("eq", "derivative"):
        left, right = sides(formula, world, bound)
        return abs(left - right) / (1 + abs(left)), f"left {mpmath.nstr(left, 15)}, right {mpmath.nstr(right, 15)}"
    number = value_at(formula.terms[0], world, bound)
    shown = f"{formula.name} of {mpmath.nstr(mpmath.mpf(number), 15)}"
    if formula.name in ("positive", "nonnegative") and not holds_at(formula, world, bound):
        return (-number / (1 + abs(number)) if number else mpmath.mpf(1)), shown
    return mpmath.mpf(0 if holds_at(formula, world, bound) else 1), shown


def draw_world(derivation: Derivation, statement: Statement, rng: random.Random, far: bool = False) -> World:
    """Sizes from 1 to 3, scalars, indices in their ranges, permutations and maps; ``far``: variables with assumed signs are large."""
    world = World(rng.randrange(2**32))
    setting = draw(derivation, statement, rng)
    world.tensors.update(setting.tables)
    world.variables.update({var.name: number for var, number in setting.values.items()})
    scalars = {parameter.name: False for parameter in derivation.definition.parameters if not parameter.axes and parameter.kind != "size"}
    scalars |= {extra.name: extra.kind == "real" for extra in statement.extras if not extra.axes}
    free = sorted(set().union(*map(free_variables, formulas_of(statement))), key=lambda var: var.name)
    scalars |= {var.name: True for var in free if var.name not in scalars}
    signed = {var.name for formula in statement.theorem.hypotheses if inner(formula).name in ("positive", "nonnegative")
              for var in free_variables(formula)}
    for name, both in scalars.items():
        if name not in world.variables:
            size = 1000 if far and name in signed else 1
            world.variables[name] = (rng.choice((-1, 1)) if both else 1) * mpmath.mpf(rng.randint(1, 3000)) / 1000 * size
    fixed = {var.name for var in setting.values}
    for formula in statement.theorem.hypotheses:
        for plain, bound in each_instance(formula, world, {}):
            _arrange(plain, world, bound, fixed)
    return world


def _arrange(formula: Formula, world: World, bound: Mapping[Var, Any], fixed: set[str]) -> None:
    """Make an assumed equation or derivative true, where an entry or a variable can be set."""
    if formula.name == "derivative":
        function, point, slope = formula.terms
        places = [place for place, index in enumerate(getattr(function.body, "indices", ())) if index is function.params[0]]
        if isinstance(function.body, Entry) and len(places) == 1:
            others = tuple(mpmath.mpf(value_at(index, world, bound)) for index in function.body.indices if index is not function.params[0])
            at = mpmath.mpf(value_at(point, world, bound)), value_at(slope, world, bound)
            world.curves.setdefault((function.body.tensor, places[0]), {})[others] = at
    elif formula.name == "eq":
        for one, other in ((formula.left, formula.right), (formula.right, formula.left)):
            if isinstance(one, Entry) and one.tensor not in world.tensors:
                key = (one.tensor, tuple(mpmath.mpf(value_at(index, world, bound)) for index in one.indices))
                world.entries[key] = value_at(other, world, bound)
                break
            if isinstance(one, Var) and one not in bound and one.name not in fixed and one.kind != "size":
                world.variables[one.name] = value_at(other, world, bound)
                break
    else:
        return
    world.known.clear()
