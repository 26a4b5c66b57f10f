"""The ground look: z3 on a theorem written out at small sizes, for all real values at once. *Instance*.

What it does: at sizes 2, 3, 4 and one mixture, with indices, permutations and masks drawn once each, it assumes the hypotheses and the
negated conclusion as formulas without quantifiers (:mod:`z3_terms`). Derivatives are differentiated first (:mod:`slope`).

Guarantees: ``pass`` is said only where z3 answers *unsatisfiable* for every goal at every size tried; the detail names them. ``unknown``
is never a pass. A model is checked in 50 digits (:mod:`real`) before it is called a counterexample; one that is not confirmed is
``unknown``, since exp and sin are known to z3 by their laws only, or ``not_applicable`` where erf or log stand for any function. Seeds
are fixed and the limit counts z3's steps, so that verdicts do not depend on the machine.

Cannot see: other sizes, permutations and masks. Sizes from the first one on that is too large to write out are not tried, and the
detail says so.
"""

from __future__ import annotations

import random
from fractions import Fraction
from functools import cache
from typing import Any

from kernelproof.symbolic.errors import InputError
from kernelproof.symbolic.looks.logarithms import opened
from kernelproof.symbolic.looks.model import Look
from kernelproof.symbolic.looks.nodes import Ground, NotSeen
from kernelproof.symbolic.looks.problem import Problem, problem
from kernelproof.symbolic.looks.real import refutation
from kernelproof.symbolic.looks.setting import Rejected, draw
from kernelproof.symbolic.looks.z3_terms import Translation
from kernelproof.symbolic.phase import Derivation, Statement

#: what all sizes are drawn from, one after another
SIZES = ((2,), (2, 3), (3,), (4,))
ATTEMPTS = 12
#: nodes of a problem that is still tried, steps of z3, and a limit in milliseconds in case a step is slow
LARGEST, STEPS, MILLISECONDS = 300, 500_000, 1000
UNCONFIRMED = "z3 has a model, which 50 digits do not confirm"


def look(derivation: Derivation, statement: Statement, seed: int = 0) -> Look:
    """One theorem at sizes 2, 3, 4 and a mixture."""
    z3 = solver_module()
    passed, left = list[str](), list[str]()
    reason = ""
    for lengths in SIZES:
        name = "/".join(map(str, lengths))
        try:
            found = _problem(derivation, statement, seed, lengths)
            if found.size() > LARGEST:
                left.append(f"from size {name} on not tried ({found.size()} nodes)")
                break
            verdict, detail = decide(z3, found, seed)
        except NotSeen as error:
            return Look(statement.id, "ground", "not_applicable", str(error))
        except Rejected as error:
            reason = str(error)
            continue
        if verdict in ("fail", "not_applicable"):
            return Look(statement.id, "ground", verdict, f"{detail} at {found.setting.shown()}")
        if verdict == "unknown":
            return Look(statement.id, "ground", "unknown", f"size {name}: {detail}; decided before: {', '.join(passed) or 'none'}")
        passed.append(name)
    if not passed:
        verdict = "unknown" if left else "not_applicable"
        return Look(statement.id, "ground", verdict, "; ".join(left) or f"no draw meets the hypotheses: {reason}")
    return Look(statement.id, "ground", "pass", "; ".join([f"z3: no counterexample at sizes {', '.join(passed)}", *left]))


@cache
def solver_module() -> Any:
    """The package z3."""
    try:
        import z3
    except ImportError:
        raise InputError("looking with z3: the package z3-solver is not installed; install it: pip install kernelproof[check]") from None
    return z3


def _problem(derivation: Derivation, statement: Statement, seed: int, lengths: tuple[int, ...]) -> Problem:
    """The statement at the first setting that meets its hypotheses about integers."""
    for attempt in range(ATTEMPTS):
        rng = random.Random(f"ground {seed} {statement.id} {lengths} {attempt}")
        try:
            found = problem(statement, draw(derivation, statement, rng, lengths))
            try:
                return found.solved()
            except NotSeen:
                return found  # z3 is given the equations that define nothing
        except Rejected as error:
            reason = str(error)
    raise Rejected(reason)


def decide(z3: Any, found: Problem, seed: int = 0) -> tuple[str, str]:
    """pass, fail, unknown or not_applicable of one problem."""
    first = _decided(z3, opened(found), found, seed)
    if first[0] != "unknown" or first[1] != UNCONFIRMED:
        return first
    return _decided(z3, opened(found, by_cases=True), found, seed)


def _decided(z3: Any, written: Problem, found: Problem, seed: int) -> tuple[str, str]:
    """The same of a problem as it is written for z3."""
    context = Translation(z3, written)
    assumed = [context.claim(claim) for claim in context.assumed]
    for goal in context.goals:
        if goal.decided():
            continue
        wanted = z3.simplify(context.claim(goal), som=True)
        solver = _solver(z3, STEPS)
        solver.add(*assumed, *context.facts, z3.Not(wanted))
        answer = solver.check()
        if answer == z3.unknown:
            return _refuted(found, seed) or ("unknown", f"z3 gives up ({solver.reason_unknown()})")
        if answer == z3.sat:
            refuted = _refuted(found, seed, _values(z3, solver.model(), context))
            if refuted is None and context.arbitrary:
                return "not_applicable", f"a model in which {' and '.join(sorted(context.arbitrary))} is another function"
            return refuted or ("unknown", UNCONFIRMED)
    if assumed:
        solver = _solver(z3, STEPS // 10)
        solver.add(*assumed, *context.facts)
        if solver.check() == z3.unsat:
            raise Rejected("the hypotheses contradict one another here")
    return "pass", ""


def _solver(z3: Any, steps: int) -> Any:
    solver = z3.Solver()
    for name, value in (("random_seed", 0), ("rlimit", steps), ("timeout", MILLISECONDS)):
        solver.set(name, value)
    return solver


def _refuted(found: Problem, seed: int, model: dict[Ground, Fraction] | None = None) -> tuple[str, str] | None:
    shown = refutation(found, seed, model)
    return None if shown is None else ("fail", f"counterexample: {shown}")


def _values(z3: Any, model: Any, context: Translation) -> dict[Ground, Fraction]:
    """The atoms in a model, roots of polynomials to 60 digits."""
    values = {}
    for atom, variable in context.variables.items():
        value = model.eval(variable, model_completion=True)
        plain = value.approx(60) if z3.is_algebraic_value(value) else value
        values[atom] = Fraction(plain.numerator_as_long(), plain.denominator_as_long())
    return values
