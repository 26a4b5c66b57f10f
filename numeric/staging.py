"""Which part of a computation each value of a program belongs to: its stage, and what a kernel may keep it in.

What it does: reads off the graph where a softmax's scores, exponentials, weights and sums are, and what lies between two products, so
that a precision can speak of them and a failure can name the part whose rounding was exceeded.

Guarantees: every value has one of :data:`STAGES`. A softmax is seen where a maximum is only subtracted below an exponential
(``liberties.shifts_in``). Cannot see: a softmax written without a shift; its parts are plain sums and functions then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from kernelproof.numeric.program import Operation, Program

FUNCTIONS = ("exp", "log", "sqrt", "sin", "cos", "tanh", "erf", "pow")
STAGES = (
    "constants",
    "scores",
    "exponents",
    "exponentials",
    "row sums",
    "weighted sums",
    "division by row sums",
    "products",
    "sums",
    *FUNCTIONS,
    "elementwise",
    "storage",
)


@dataclass
class Staging:
    """Numbers of values by what they are.

    ``scores`` maps an exponent to the score that a shift is subtracted from, ``exponents`` an exponential to its exponent. ``weights``
    maps exponentials, and selections from them, to the exponential. ``between`` are values between two products, ``factors`` those that
    meet in a product.
    """

    names: dict[int, str] = field(default_factory=dict)
    scores: dict[int, int] = field(default_factory=dict)
    exponents: dict[int, int] = field(default_factory=dict)
    weights: dict[int, int] = field(default_factory=dict)
    row_sums: set[int] = field(default_factory=set)
    between: set[int] = field(default_factory=set)
    factors: set[int] = field(default_factory=set)


def staging(program: Program, shifts: Mapping[int, object]) -> Staging:
    """The stages of a program in which the maxima ``shifts`` are only shifts."""
    found, operations = Staging(), program.operations
    for number, operation in enumerate(operations):
        used = [ref.value for ref in operation.operands]
        match operation.kind, operation.detail[:1]:
            case "map", ("sub",) if used[1] in shifts:
                found.scores[number] = used[0]
            case "map", ("exp",) if used[0] in found.scores:
                found.exponents[number] = used[0]
                found.weights[number] = number
            case "select", _ if used[1] in found.weights:
                found.weights[number] = found.weights[used[1]]
            case "fold", ("sum",) if used[0] in found.weights:
                found.row_sums.add(number)
        found.names[number] = _stage(operation, used, number, shifts, found)
    for value in _before_scores(operations, found.scores.values()):
        if found.names[value] in ("products", "elementwise", "tanh"):
            found.names[value] = "scores"
    _mark_between(program, found)
    return found


def _stage(operation: Operation, used: list[int], number: int, shifts: Mapping[int, object], found: Staging) -> str:
    kind, name = operation.kind, operation.detail[0] if operation.detail else ""
    if kind in ("input", "number", "size", "index", "slice", "split", "gather", "call"):
        return "constants"
    if number in found.scores or number in shifts:
        return "exponents"
    if number in found.weights:
        return "exponentials"
    if number in found.row_sums:
        return "row sums"
    if kind == "contract":
        return "weighted sums" if any(value in found.weights for value in used) else "products"
    if kind == "fold":
        return "sums"
    if name == "div" and _is_row_sum(used[1], found):
        return "division by row sums"
    return name if name in FUNCTIONS else "elementwise"


def _is_row_sum(value: int, found: Staging) -> bool:
    """A sum of weights; the sum with a sink's weight is judged as its parts."""
    return value in found.row_sums


def _before_scores(operations: list[Operation], scores: Iterable[int]) -> Iterator[int]:
    """The scores and what they are made from, back to the product."""
    waiting, seen = list(scores), set()
    while waiting:
        value = waiting.pop()
        if value in seen:
            continue
        seen.add(value)
        yield value
        operation = operations[value]
        if operation.kind in ("map", "select"):
            waiting += [ref.value for ref in operation.operands]


def _mark_between(program: Program, found: Staging) -> None:
    """Results of products, sums that they enter, and what meets in a product: what a kernel may write out and read again."""
    wanted = {ref.value for ref in program.outputs}
    for number, operation in enumerate(program.operations):
        used = [ref.value for ref in operation.operands]
        if operation.kind == "contract":
            found.factors |= {value for value in used if found.names[value] != "constants" and value not in found.weights}
        product = operation.kind == "contract" and found.names[number] == "products"
        summed = operation.detail[:1] in (("add",), ("sub",)) and any(value in found.between for value in used)
        divided = found.names[number] == "division by row sums"
        if (product or summed or divided) and number not in wanted and found.names[number] != "scores":
            found.between.add(number)
    found.between |= found.factors - wanted - {value for value in found.factors if found.names[value] == "scores"}
