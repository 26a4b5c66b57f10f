"""Instances: theorems evaluated at random concrete sizes and values in 50-digit arithmetic.

What it does: a direct evaluator of terms with mpmath, sharing nothing with the lowering or the interpreter; a call of a defined
function is evaluated by its definition. Each theorem is tried at several random instances that meet its hypotheses.
Guarantees: a pass means equal to 40 digits at the instances tried, and is called *instance*, never proof. Cannot see: theorems whose
hypotheses are equations (uniqueness): not applicable.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import mpmath

from kernelproof.symbolic.binding import free_variables
from kernelproof.symbolic.core.definitions import definition_of, instance
from kernelproof.symbolic.core.formulas import Formula
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.phase import Derivation, Statement
from kernelproof.symbolic.terms import Call, Entry, Fold, Num, Op, Term, Var

DIGITS, AGREEING = 50, 40
INSTANCES, ATTEMPTS = 3, 60


@dataclass(frozen=True)
class InstanceResult:
    """The outcome for one theorem: pass, fail or not_applicable, and what was tried."""

    theorem_id: str
    verdict: str
    detail: str


@dataclass
class World:
    """Concrete values: variables by name, tensors as functions of indices (random but fixed where not given)."""

    seed: int
    variables: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Callable[..., Any]] = field(default_factory=dict)
    known: dict[object, Any] = field(default_factory=dict)

    def entry(self, tensor: str, indices: tuple[Any, ...]) -> Any:
        """An entry: given, or a number that depends on seed, name and indices only."""
        if tensor in self.tensors:
            return self.tensors[tensor](*(int(index) for index in indices))
        key = ",".join(mpmath.nstr(index, 30) for index in indices)
        return mpmath.mpf(random.Random(f"{self.seed}/{tensor}/{key}").randint(-3000, 3000)) / 1000


def check_derivation(derivation: Derivation, seed: int = 0) -> list[InstanceResult]:
    """Every theorem and every line of the derivation at random instances."""
    results = [check_statement(derivation, statement, seed) for statement in derivation.statements]
    for number, clausal in enumerate(derivation.clauses):
        for place, line in enumerate(clausal.lines, 1):
            name = f"{derivation.phase}.kernel_form[{number}].line{place}"
            found = Statement(name, line.title, line.theorem, clausal.clause.ranges)
            results.append(check_statement(derivation, found, seed))
    return results


def check_statement(derivation: Derivation, statement: Statement, seed: int = 0) -> InstanceResult:
    """One theorem at :data:`INSTANCES` random instances."""
    if statement.theorem.conclusion.name != "eq" or any(f.name == "eq" for f in statement.theorem.hypotheses):
        return InstanceResult(statement.id, "not_applicable", "hypotheses that are equations cannot be drawn at random")
    worst, done = mpmath.mpf(0), 0
    with mpmath.workdps(DIGITS):
        for attempt in range(ATTEMPTS):
            world = draw_world(derivation, statement, random.Random(f"{seed}/{statement.id}/{attempt}"))
            if not all(holds(formula, world) for formula in statement.theorem.hypotheses):
                continue
            left, right = (value(side, world) for side in (statement.theorem.left, statement.theorem.right))
            off = abs(left - right) / (1 + abs(left))
            worst = max(worst, off)
            if off > mpmath.mpf(10) ** -AGREEING:
                shown = f"left {mpmath.nstr(left, 15)}, right {mpmath.nstr(right, 15)} at {world.variables}"
                return InstanceResult(statement.id, "fail", shown)
            done += 1
            if done == INSTANCES:
                break
    if not done:
        return InstanceResult(statement.id, "not_applicable", f"no instance of the hypotheses in {ATTEMPTS} draws")
    return InstanceResult(statement.id, "pass", f"{done} instances, worst relative difference {mpmath.nstr(worst, 2)}")


def draw_world(derivation: Derivation, statement: Statement, rng: random.Random) -> World:
    """Sizes from 1 to 3, scalars, indices in their ranges, permutations and maps."""
    world = World(rng.randrange(2**32))
    for parameter in derivation.definition.parameters:
        if parameter.kind == "size":
            world.variables[parameter.name] = rng.randint(1, 3)
        elif not parameter.axes:
            world.variables[parameter.name] = mpmath.mpf(rng.randint(1, 4000)) / 1000
    world.variables.setdefault("h", rng.randint(1, 3))
    if "sines" in world.variables:
        world.variables["cosines"] = world.variables["sines"] - rng.randint(0, 1) or 1
    for parameter in derivation.definition.parameters:
        if parameter.kind == "indicator":
            world.tensors[parameter.name] = _table(rng, lambda: rng.randint(0, 1))
        elif parameter.kind == "index":
            world.tensors[parameter.name] = _table(rng, lambda: rng.randrange(world.variables["vocab"]))
    for extra in statement.extras:
        if extra.kind in ("permutation", "index_map") and extra.bound is not None:
            count = int(value(extra.bound, world))
            image = list(range(count)) if extra.kind == "permutation" else [rng.randrange(count) for _ in range(count)]
            rng.shuffle(image)
            world.tensors[extra.name] = lambda index, image=image: image[index]
        elif not extra.axes:
            sign = rng.choice((-1, 1)) if extra.kind == "real" else 1
            world.variables[extra.name] = sign * mpmath.mpf(rng.randint(1, 3000)) / 1000
    for var, length in statement.over:
        world.variables[var.name] = rng.randrange(int(value(length, world)))
    return world


def _table(rng: random.Random, make: Callable[[], int]) -> Callable[..., int]:
    known: dict[tuple[int, ...], int] = {}

    def entry(*indices: int) -> int:
        return known.setdefault(indices, make())

    return entry


def value(term: Term, world: World) -> Any:
    """The value of a term, division by zero being zero."""
    return _value(term, world, {})


def _value(term: Term, world: World, bound: Mapping[Var, Any]) -> Any:
    """Each term once for each value of its free indices: unfolded definitions share most of their parts."""
    if isinstance(term, (Num, Var)):
        return _fresh_value(term, world, bound)
    key = (term, tuple((var, bound[var]) for var in sorted(free_variables(term), key=lambda var: var.name) if var in bound))
    if key not in world.known:
        world.known[key] = _fresh_value(term, world, bound)
    return world.known[key]


def _fresh_value(term: Term, world: World, bound: Mapping[Var, Any]) -> Any:
    if isinstance(term, Num):
        return mpmath.mpf(term.value.numerator) / term.value.denominator
    if isinstance(term, Var):
        if term in bound:
            return bound[term]
        if term.name not in world.variables:
            raise KeyError(f"variable {term.name!r} was not drawn")
        return world.variables[term.name]
    if isinstance(term, Entry):
        return world.entry(term.tensor, tuple(mpmath.mpf(_value(index, world, bound)) for index in term.indices))
    if isinstance(term, Fold):
        return _fold(term, world, bound)
    if isinstance(term, Call):
        return _value(_body(term, world, bound), world, bound)
    assert isinstance(term, Op)
    args = [_value(arg, world, bound) for arg in term.args]
    return _FUNCTIONS[term.name](*args)


def _fold(term: Fold, world: World, bound: Mapping[Var, Any]) -> Any:
    found = []
    for index in range(int(_value(term.size, world, bound))):
        inner = {**bound, term.var: index}
        if _value(term.guard, world, inner) != 0:
            found.append(_value(term.body, world, inner))
    if term.kind == "sum":
        return mpmath.fsum(found)
    return max(found, default=mpmath.mpf(0))


def _body(term: Call, world: World, bound: Mapping[Var, Any]) -> Term:
    """The body of the clause whose pattern the indices have and whose ranges they meet."""
    for which in range(len(definition_of(term.function).clauses)):
        try:
            hypotheses, body = instance(term, which)
        except ProofError:
            continue
        if all(_holds(formula, world, bound) for formula in hypotheses):
            return body
    raise ProofError(f"no clause of {term.function} fits")


def holds(formula: Formula, world: World) -> bool:
    """Whether a hypothesis holds in a world; permutations hold by construction."""
    return _holds(formula, world, {})


def _holds(formula: Formula, world: World, bound: Mapping[Var, Any]) -> bool:
    values = [_value(part, world, bound) for part in formula.terms]
    match formula.name:
        case "positive":
            return bool(values[0] > 0)
        case "nonzero":
            return bool(values[0] != 0)
        case "in":
            return bool(values[0] == int(values[0]) and 0 <= values[0] < values[1])
        case "integer":
            return bool(values[0] == int(values[0]))
    return formula.name == "permutation"


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "neg": lambda a: -a,
    "div": lambda a, b: mpmath.mpf(a) / b if b else mpmath.mpf(0), "pow": lambda a, b: mpmath.mpf(a) ** int(b),
    "exp": mpmath.exp, "log": lambda a: mpmath.log(a) if a > 0 else mpmath.mpf(0),
    "sqrt": lambda a: mpmath.sqrt(a) if a > 0 else mpmath.mpf(0), "sin": mpmath.sin, "cos": mpmath.cos, "tanh": mpmath.tanh,
    "erf": mpmath.erf, "max": max, "delta": lambda a, b: 1 if a == b else 0, "pi": lambda: +mpmath.pi,
}
