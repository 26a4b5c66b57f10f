"""One recipe out of a gradient program: of forms side by side the cheapest, sums of products as products of matrices.

What it does: of an ``either`` it takes the operand with which the whole program costs least, in elementary steps at nominal lengths; a
``stored`` is its operand; a sum of a sum of products becomes a sum of contractions (a sum of terms is the sum of the sums). Guarantees:
the program that is left has no kind that the printer of forward kernels does not know, and ``licences`` names the theorems whose forms
were taken. Cannot see: actual lengths; the choice is the same for all of them, so that the text is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from math import prod

from kernelproof.numeric.gradient_forms import GradientProgram, weights_from_shift
from kernelproof.numeric.lower_stages import SharingProgram
from kernelproof.numeric.program import Axis, Operation, Program, Ref
from kernelproof.symbolic.binding import canonical
from kernelproof.symbolic.gradients.attention import DELTA
from kernelproof.symbolic.terms import Num, Op, Term, Var

#: lengths for comparing costs: many tokens, narrow heads
NOMINAL = {"n": 1000, "m": 1000, "vocab": 10000, "d": 256, "h": 1000, "e": 64, "f": 64, "heads": 8, "group": 4, "leading": 4}


@dataclass(frozen=True)
class Recipe:
    """The program to print, and the theorems whose forms it has."""

    program: Program
    licences: tuple[str, ...]


def recipe(made: GradientProgram) -> Recipe:
    """The recipe of a gradient."""
    choices = {number: 0 for number, operation in enumerate(made.program.operations) if operation.kind == "either"}
    for number in choices:
        forms = range(len(made.program.operations[number].operands))
        choices[number] = min(forms, key=lambda form: cost(resolved(made.program, {**choices, number: form})))
    found = []
    for number, operation in enumerate(made.program.operations):
        if operation.meaning is not None:
            term = canonical(operation.meaning)
            if term == _weights() or (term == _delta() and choices.get(number)):
                found.append("attention.recomputed_weights" if term == _weights() else "attention.delta_by_output")
    return Recipe(resolved(made.program, choices), tuple(dict.fromkeys(found)))


@cache
def _weights() -> Term:
    return canonical(weights_from_shift().right)


@cache
def _delta() -> Term:
    return canonical(DELTA.clauses[0].body)


# -- one program ------------------------------------------------------------------------------------------------------------------


def resolved(program: Program, choices: dict[int, int]) -> Program:
    """The program with these forms taken, what is not needed left out."""
    made = SharingProgram()
    uses: dict[int, Ref] = {}
    order = _live(program, choices)

    def seen(ref: Ref) -> Ref:
        names = dict(zip(program.operations[ref.value].names, ref.axes, strict=True))
        return uses[ref.value].renamed(names)

    for number in order:
        operation = program.operations[number]
        if operation.kind in ("either", "stored"):
            uses[number] = seen(operation.operands[choices.get(number, 0)])
            continue
        moved = replace(operation, operands=tuple(seen(ref) for ref in operation.operands))
        spread = _spread(made, moved) if moved.kind == "fold" and moved.detail[0] == "sum" else None
        uses[number] = made.add(moved) if spread is None else spread
    made.outputs = [seen(ref) for ref in program.outputs]
    made.frames = list(program.frames)
    return _pruned(made)


def _live(program: Program, choices: dict[int, int]) -> list[int]:
    needed = {ref.value for ref in program.outputs}
    for number in range(len(program.operations) - 1, -1, -1):
        if number in needed:
            operation = program.operations[number]
            taken = operation.operands if operation.kind != "either" else (operation.operands[choices[number]],)
            needed |= {ref.value for ref in taken}
    return sorted(needed)


def _pruned(program: Program) -> Program:
    """Without what spreading has left unused."""
    made, number = Program(), dict[int, int]()
    for old in program.live():
        operation = program.operations[old]
        number[old] = len(made.operations)
        made.add(replace(operation, operands=tuple(replace(ref, value=number[ref.value]) for ref in operation.operands)))
    made.outputs = [replace(ref, value=number[ref.value]) for ref in program.outputs]
    made.frames = list(program.frames)
    return made


def _spread(program: Program, fold: Operation) -> Ref | None:
    """Σ (a·b ± c·d) as Σ a·b ± Σ c·d, where each is a product of matrices; else nothing."""
    (body,), reduced = fold.operands, fold.detail[1]
    sizes = {axis.name: axis for axis in fold.axes}
    terms = _terms(program, body)
    if any(not _is_product(program, term, fold.names, reduced) for term in terms):
        return None
    return _summed(program, body, fold, reduced, sizes)


def _terms(program: Program, ref: Ref) -> Iterator[Ref]:
    operation = program.operations[ref.value]
    if operation.detail[:1] in (("add",), ("sub",)):
        for operand in _operands(program, ref):
            yield from _terms(program, operand)
    else:
        yield ref


def _operands(program: Program, ref: Ref) -> tuple[Ref, ...]:
    """The operands of the value that is used here, along the axes of this use."""
    operation = program.operations[ref.value]
    names = dict(zip(operation.names, ref.axes, strict=True))
    return tuple(operand.renamed(names) for operand in operation.operands)


def _is_product(program: Program, ref: Ref, kept: tuple[str, ...], reduced: tuple[str, ...]) -> bool:
    """Whether the sum of a term is a contraction: both factors have all axes summed over, and each one that the other lacks."""
    if program.operations[ref.value].detail[:1] != ("mul",):
        return False
    left, right = (set(operand.axes) for operand in _operands(program, ref))
    return set(reduced) <= left & right and bool(left - right) and bool(right - left) and left | right == {*kept, *reduced}


def _summed(program: Program, ref: Ref, fold: Operation, reduced: tuple[str, ...], sizes: dict[str, Axis]) -> Ref:
    operation = program.operations[ref.value]
    if operation.detail[0] == "mul":
        left, right = _operands(program, ref)
        both = [name for name in left.axes if name in right.axes and name not in reduced]
        own = [name for part, other in ((left, right), (right, left)) for name in part.axes if name not in other.axes]
        axes = tuple(sizes[name] for name in (*both, *own))
        return program.add(Operation("contract", axes, (left, right), (reduced,), operation.meaning))
    parts = tuple(_summed(program, operand, fold, reduced, sizes) for operand in _operands(program, ref))
    return program.add(Operation("map", fold.axes, parts, operation.detail, operation.meaning))


# -- cost ---------------------------------------------------------------------------------------------------------------------------


def cost(program: Program) -> float:
    """Elementary steps at nominal lengths."""
    total = 0.0
    for operation in program.operations:
        lengths = {axis.name: _length(axis.size) for axis in operation.axes}
        for ref in operation.operands:
            lengths |= {name: _length(axis.size) for name, axis in zip(ref.axes, program.operations[ref.value].axes, strict=True)}
        if operation.kind in ("map", "select", "fold", "contract", "gather"):
            total += prod(lengths.values())
    return total


def _length(size: Term) -> int:
    if isinstance(size, Num):
        return int(size.value)
    if isinstance(size, Var):
        return NOMINAL[size.name]
    assert isinstance(size, Op)
    one, other = (_length(part) for part in size.args)
    return one * other if size.name == "mul" else one + other
