"""Pieces of source text: what the printers build with.

What it does: a value as text with its axes; lengths as Python expressions; what the core proves positive. Guarantees: the text of a
length names sizes only.
"""

from __future__ import annotations

from dataclasses import dataclass

from kernelproof.symbolic.binding import children
from kernelproof.symbolic.core.logic import assumption
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import positive
from kernelproof.symbolic.tactics.signs import positivity
from kernelproof.symbolic.terms import Node, Num, Op, Term, Var

SCALAR, TABLE, TENSOR = "scalar", "table", "tensor"


@dataclass(frozen=True)
class Code:
    """A value as text: its axes, what it depends on, whether batch axes may stand in front, and how tightly the text binds."""

    code: str
    axes: tuple[str, ...]
    depends: str
    batched: bool = False
    atomic: bool = True

    @property
    def operand(self) -> str:
        return self.code if self.atomic else f"({self.code})"


class PrinterError(Exception):
    """An operation that has no source text. A fault of ours."""


def slice_code(part: tuple[Term, int, Term]) -> str:
    start, step, length = part
    first = "" if start is Num(0) else size_code(start).operand
    count = size_code(length).operand
    if step == 1:
        return f"{first}:{first} + {count}" if first else f":{count}"
    return f"{first}:{(first + ' + ') if first else ''}{step} * {count}:{step}"


def size_code(value: Term) -> Code:
    """A size as a Python expression of size names."""
    if isinstance(value, Num):
        return Code(str(value.value), (), SCALAR)
    if isinstance(value, Var):
        return Code(value.name, (), SCALAR)
    if isinstance(value, Op) and value.name in ("add", "mul"):
        left, right = (size_code(arg) for arg in value.args)
        return Code(f"{left.operand} {'+' if value.name == 'add' else '*'} {right.operand}", (), SCALAR, atomic=False)
    raise PrinterError(f"size {value!r} has no source text")


def proved_positive(value: Term) -> bool:
    """Whether the core proves the term positive, every length in it being positive (for a length of 0 nothing is divided)."""
    premises = [assumption((), positive(var)) for var in sizes_in(value)]
    try:
        positivity(value, *premises)
    except ProofError:
        return False
    return True


def sizes_in(value: Node) -> list[Var]:
    """The sizes that occur in a term."""
    found = {value: None} if isinstance(value, Var) and value.kind == "size" else {}
    for part, _ in children(value):
        found.update(dict.fromkeys(sizes_in(part)))
    return list(found)
