"""What a look at a theorem says, and which looks there are.

What it does: a :class:`Look` is the outcome of one way of looking at one theorem; :data:`LOOKS` holds those of this layer by name. The
third, ``instance`` (random sizes and values, 50 digits), is :mod:`kernelproof.numeric.instance`.

Guarantees: a look is never called a proof. Its status is ``instance`` (decided at some fixed sizes) or ``sampled`` (random values), and
a look that does not reach a theorem says ``not_applicable`` or ``unknown``: neither is a pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kernelproof.symbolic.phase import Derivation, Statement

#: look -> the status word that a report gives what it finds
STATUSES = {"instance": "instance", "ground": "instance", "modular": "sampled"}
VERDICTS = ("pass", "fail", "not_applicable", "unknown")


@dataclass(frozen=True)
class Look:
    """The outcome of one look at one theorem, and what was tried.

    ``fail``: a counterexample was found. ``not_applicable``: this kind of look cannot see such a theorem. ``unknown``: it could, but has
    not decided (a timeout, too large, or a difference that may come from the model only).
    """

    theorem_id: str
    look: str
    verdict: str
    detail: str

    @property
    def status(self) -> str:
        """``instance`` or ``sampled``."""
        return STATUSES[self.look]


def ground(derivation: Derivation, statement: Statement, seed: int = 0) -> Look:
    """z3 on instances of small sizes, all real values at once."""
    from kernelproof.symbolic.looks.ground import look

    return look(derivation, statement, seed)


def modular(derivation: Derivation, statement: Statement, seed: int = 0) -> Look:
    """Exact evaluation modulo primes, exp a random homomorphism."""
    from kernelproof.symbolic.looks.modular import look

    return look(derivation, statement, seed)


#: the looks of this layer
LOOKS: dict[str, Callable[[Derivation, Statement, int], Look]] = {"ground": ground, "modular": modular}


def all_statements(derivation: Derivation) -> list[Statement]:
    """The theorems of a derivation, then the lines of its kernel form, ``phase.kernel_form[clause].lineN``."""
    found = list(derivation.statements)
    for number, clausal in enumerate(derivation.clauses):
        for place, line in enumerate(clausal.lines, 1):
            name = f"{derivation.phase}.kernel_form[{number}].line{place}"
            found.append(Statement(name, line.title, line.theorem, clausal.clause.ranges))
    return found
