"""Theorems looked at again: the second checker's replay, and three looks that share nothing with it.

What it does: writes the proofs of a derivation or gradient as JSON, has :mod:`kernelproof.symbolic.checker` replay them from that text
alone, and evaluates every theorem at random sizes in 50 digits and modulo primes; ``full`` adds z3 on small sizes. Guarantees: each row
says which look it is, and :data:`KINDS` what such a look is worth; a look that does not reach a theorem says ``not_applicable`` or
``unknown``, never ``pass``. Cannot see: what all of them cannot; each says so in its own module.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from kernelproof.numeric.instance import check_statement
from kernelproof.symbolic.checker import CheckError, check, render
from kernelproof.symbolic.functions import Definition, Parameter
from kernelproof.symbolic.looks.model import LOOKS, Look, all_statements
from kernelproof.symbolic.phase import Derivation, Gradient, Statement
from kernelproof.symbolic.printing.derivation import named_theorems
from kernelproof.symbolic.serialise import proofs

#: look -> what it is worth
KINDS = {
    "replay": "checked: every step replayed from its JSON alone by the second checker, which shares no code with the core",
    "instance": "instance: random concrete sizes, 50-digit arithmetic",
    "modular": "sampled: random concrete sizes, exact modulo primes, exp a random homomorphism",
    "ground": "instance: sizes 2, 3 and 4, all real values at once, decided by z3",
}
Looking = Callable[[Derivation, Statement, int], Look]


@dataclass(frozen=True)
class Row:
    """What one look says of one theorem."""

    theorem: str
    look: str
    verdict: str
    detail: str


def recheck(source: Derivation | Gradient, full: bool = False, seed: int = 0) -> list[Row]:
    """Every theorem and every line, looked at in every way; ``full`` includes z3."""
    rows = replayed(source)
    derivation = as_derivation(source)
    statements = statements_of(source)
    looks: dict[str, Looking] = {"instance": check_statement, "modular": LOOKS["modular"]}
    if full:
        looks["ground"] = LOOKS["ground"]
    for name, look in looks.items():
        for statement in statements:
            found = look(derivation, statement, seed)
            rows.append(Row(statement.id, name, found.verdict, found.detail))
    return rows


def replayed(source: Derivation | Gradient) -> list[Row]:
    """The second checker's verdict on every theorem, from the JSON text of the proofs."""
    theorems = named_theorems(source)
    text = json.dumps(proofs(theorems), ensure_ascii=False)
    try:
        report = check(text)
    except CheckError as error:
        return [Row(name, "replay", "fail", str(error)) for name in theorems]
    return [Row(name, "replay", "pass", render(report.theorems[name])) for name in theorems]


def as_derivation(source: Derivation | Gradient) -> Derivation:
    """What the looks read: the parameters of all that is spoken of."""
    if isinstance(source, Derivation):
        return source
    parameters: dict[str, Parameter] = {}
    for definition in source.definitions:
        for parameter in definition.parameters:
            parameters.setdefault(parameter.name, parameter)
    last = source.definitions[-1]
    whole = Definition(f"{source.phase}_gradient", tuple(parameters.values()), last.clauses, result=last.result)
    return Derivation(source.phase, source.title, source.variant, whole, (), source.statements, ())


def statements_of(source: Derivation | Gradient) -> list[Statement]:
    """Theorems and lines, with what is needed to instantiate them."""
    if isinstance(source, Derivation):
        return all_statements(source)
    known = {extra.name: extra for statement in source.statements for extra in statement.extras}
    lines = [
        Statement(f"{source.phase}.gradient.line{place}", line.title, line.theorem, (), tuple(known.values()))
        for place, line in enumerate(source.lines, 1)
    ]
    return [*source.statements, *lines]
