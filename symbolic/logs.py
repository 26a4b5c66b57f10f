"""Logs of theorems: their steps, how many there are, and the replay of all of them through the rules.

Guarantees: a replay makes the same statement from the same hypotheses and axioms, or raises. Cannot see: a fault of the rules
themselves, which it runs again; for that, :mod:`kernelproof.symbolic.checker`.
"""

from __future__ import annotations

from kernelproof.symbolic.binding import alpha_equal, canonical
from kernelproof.symbolic.core.theorem import Theorem, apply_rule
from kernelproof.symbolic.errors import ProofError


def steps(theorem: Theorem) -> list[Theorem]:
    """The log, premises before what they support, each theorem once."""
    done: dict[int, Theorem] = {}
    stack = [theorem]
    while stack:
        waiting = [premise for premise in stack[-1].premises if id(premise) not in done]
        if waiting:
            stack.extend(reversed(waiting))
        else:
            current = stack.pop()
            done.setdefault(id(current), current)
    return list(done.values())


def size(theorem: Theorem) -> int:
    """Number of rule applications in the log, shared ones counted once."""
    return len(steps(theorem))


def replay(theorem: Theorem) -> Theorem:
    """Make the theorem again from its log; raises ProofError where a step does not hold or gives another statement."""
    again: dict[int, Theorem] = {}
    for step in steps(theorem):
        new = apply_rule(step.rule, tuple(again[id(premise)] for premise in step.premises), step.arguments)
        old, now = (set(map(canonical, side.hypotheses)) for side in (step, new))
        if not alpha_equal(new.conclusion, step.conclusion) or old != now or new.axioms != step.axioms:
            raise ProofError(f"replaying rule {step.rule!r} gives another theorem than the log says")
        again[id(step)] = new
    return again[id(theorem)]
