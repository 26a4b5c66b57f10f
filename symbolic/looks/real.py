"""Unrolled terms in 50-digit arithmetic: the check of a counterexample before it is called one.

What it does: evaluates a tree at real values of its atoms. Guarantees: a claim counts as refuted only where it is wrong by more than
10⁻³⁰ relative to what it speaks of, and assumed claims as met only with that margin. Cannot see: differences below it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from mpmath.ctx_mp import MPContext

from kernelproof.symbolic.looks.nodes import Ground, NotSeen, atoms
from kernelproof.symbolic.looks.problem import Claim, Problem

MP = MPContext()
MP.dps = 50
MARGIN = MP.mpf(10) ** -30
TRIES = 40


def refutation(problem: Problem, seed: int, model: Mapping[Ground, Fraction] | None = None) -> str | None:
    """Values at which the assumed claims hold and a goal does not: those of the model first, then random ones. None: not found."""
    try:
        plain = problem.solved()
    except NotSeen:
        plain = problem
    points = [dict(model)] if model else []
    free = sorted({atom for claim in (*plain.assumed, *plain.goals) for part in claim.terms for atom in atoms(part)}, key=repr)
    rng = random.Random(f"refutation {seed}")
    points += [{atom: Fraction(rng.randint(-3000, 3000), 1000) for atom in free} for _ in range(TRIES)]
    for point in points:
        values = {atom: point.get(atom, Fraction(1)) for atom in free}
        numbers = Reals(values)
        if all(numbers.holds(claim) for claim in plain.assumed) and not all(numbers.holds(claim, True) for claim in plain.goals):
            return ", ".join(f"{atom!r} = {value}" for atom, value in list(values.items())[:8]) or "no values are needed"
    return None


class Reals:
    """Values of trees, given those of the atoms."""

    def __init__(self, values: Mapping[Ground, Fraction]) -> None:
        self._known: dict[Ground, Any] = {atom: MP.mpf(value.numerator) / value.denominator for atom, value in values.items()}

    def value(self, node: Ground) -> Any:
        """The value of a tree."""
        if node not in self._known:
            if node.op == "const":
                self._known[node] = MP.mpf(node.args[0].numerator) / node.args[0].denominator
            elif node.op == "if":
                condition, then, other = node.args
                self._known[node] = self.value(then if self.value(condition) else other)
            else:
                self._known[node] = FUNCTIONS[node.op](*map(self.value, node.args))
        return self._known[node]

    def holds(self, claim: Claim, generous: bool = False) -> bool:
        """Whether a claim holds with a margin; generously, whether it is not clearly wrong."""
        values = [self.value(part) for part in claim.terms]
        margin = MARGIN * (1 + max(map(abs, values)))
        slack = margin if generous else -margin
        match claim.name:
            case "eq":
                return bool(abs(values[0] - values[1]) <= margin)
            case "positive":
                return bool(values[0] > -slack)
            case "nonnegative":
                return bool(values[0] >= -slack)
            case "nonzero":
                return bool(generous or abs(values[0]) > margin)
        whole = abs(values[0] - MP.nint(values[0])) <= margin
        return bool(whole and (claim.name == "integer" or -margin <= values[0] <= values[1] - 1 + margin))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b, "mul": lambda a, b: a * b, "div": lambda a, b: a / b if b else MP.mpf(0), "pow": lambda a, b: a ** int(b),
    "exp": MP.exp, "log": lambda a: MP.log(a) if a > 0 else MP.mpf(0), "sqrt": lambda a: MP.sqrt(a) if a > 0 else MP.mpf(0),
    "sin": MP.sin, "cos": MP.cos, "tanh": MP.tanh, "erf": MP.erf, "max": max, "pi": lambda: +MP.pi,
    "delta": lambda a, b: MP.mpf(int(a == b)), "less": lambda a, b: MP.mpf(int(a < b)),
}
