"""What a faithful kernel may do otherwise than the program says: the error that each such liberty adds.

What it does: the rules of ``rounding`` bound one operation in the order of the program. Kernels that nobody would call wrong

- put a factor or a divisor of a sum on its terms one by one: the scale on the queries, or its root on queries and keys; the weights
  of a softmax divided before they meet the values; a mean as a sum of quotients;
- start the accumulation of a product from what is added to it: a bias, a residual;
- shift a softmax by the maximum that they computed themselves, not by the exact one, and take powers of two of the exponents;
- let a denominator 1 + exp(z) overflow, for a quotient by infinity is zero.

Guarantees: with the extra errors the bound holds for these as well. Cannot see: other forms of the same function, such as weights
rescaled tile by tile (one more exponential and product a tile), or a variance in one pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kernelproof.numeric.approx import align, size_value
from kernelproof.numeric.program import Operation, Program
from kernelproof.numeric.rounding import Arithmetic, Array
from kernelproof.symbolic.binding import canonical
from kernelproof.symbolic.terms import Term

#: roundings of a term by a factor that is put on it: one on each side, and two for what the factor itself has lost
PLACED_FACTOR = 4.0
#: roundings of an exponent beyond its own: log2(e) put on it, for a power of two
EXPONENT = 2.0
#: roundings of a term by a divisor that is put on it: its reciprocal, and the product
PLACED_DIVISOR = 2.0


@dataclass(frozen=True)
class Reach:
    """Of a sum: the sum of the absolute terms, errors included, and how many roundings a term passes through."""

    total: Array
    roundings: int
    of_products: bool
    #: what the terms' factors may lose where a factor that is put on them makes them underflow
    flushed: Array | float = 0.0


class Liberties:
    """The extra errors of one run. Sums, shifts and floors are kept by the number of their value."""

    def __init__(self, on: Arithmetic, placed: float = 0.0) -> None:
        """``placed`` is what a term of a sum of products loses that a factor is put on before its own factors are rounded."""
        self.on, self._placed = on, placed
        self.reaches: dict[int, Reach] = {}
        #: errors of the maxima that are only shifts
        self.shifts: dict[int, Array] = {}
        #: what a value that may overflow upwards is at least, even where it does
        self.floors: dict[int, Array] = {}

    def widened(
        self, number: int, operation: Operation, value: Array, args: list[Array], errors: list[Array], error: Array
    ) -> Array:
        """The error of an elementary operation with its liberties; args and errors lie along the axes of the operation."""
        match operation.detail[0]:
            case "mul":
                return self._factor(operation, args, errors, error)
            case "div":
                return self._divisor(operation, value, args, errors, error)
            case "add":
                self._floor_of_sum(number, operation, args, errors)
                return self._start(number, operation, args, errors, error)
            case "sub" if operation.operands[1].value in self.shifts:
                ref = operation.operands[1]
                own = self.on.unit * align(self.shifts[ref.value], ref.axes, operation.names)
                return error + own + EXPONENT * self.on.unit * (np.abs(value) + error)
            case "exp":
                self._floor_of_exponential(number, args[0], errors[0])
        return error

    # -- sums -----------------------------------------------------------------------------------------------------------------

    def _reach(self, operation: Operation, place: int) -> Reach | None:
        ref = operation.operands[place]
        found = self.reaches.get(ref.value)
        if found is None:
            return None
        flushed = found.flushed if isinstance(found.flushed, float) else align(found.flushed, ref.axes, operation.names)
        return Reach(align(found.total, ref.axes, operation.names), found.roundings, found.of_products, flushed)

    def _factor(self, operation: Operation, args: list[Array], errors: list[Array], error: Array) -> Array:
        for place, other in ((0, 1), (1, 0)):
            reach = self._reach(operation, place)
            if reach is not None:
                lost = PLACED_FACTOR * self.on.unit + (self._placed if reach.of_products else 0.0)
                error = error + lost * reach.total * (np.abs(args[other]) + errors[other]) + reach.flushed
        return error

    def _divisor(self, operation: Operation, value: Array, args: list[Array], errors: list[Array], error: Array) -> Array:
        reach = self._reach(operation, 0)
        if reach is not None:
            room = np.abs(args[1]) - errors[1]
            lost = PLACED_DIVISOR * self.on.unit + (self._placed if reach.of_products else 0.0)
            placed = lost * reach.total / np.where(room > 0, room, 1) + reach.flushed
            certain_zero = (args[1] == 0) & (errors[1] == 0)
            error = error + np.where(certain_zero, 0, np.where(room > 0, placed, np.inf))
        if operation.operands[1].value in self.floors:
            ref = operation.operands[1]
            floor = align(self.floors[ref.value], ref.axes, operation.names)
            most = (np.abs(args[0]) + errors[0]) / np.where(floor > 0, floor, 1) * (1 + 4 * self.on.unit)
            error = np.fmin(error, np.where(floor > 0, np.abs(value) + most + self.on.tiny, np.inf))
        return error

    def _joined(self, number: int, both: list[Reach], error: Array) -> Array:
        """Two sums of products added: their terms may be summed as one."""
        count = sum(reach.roundings for reach in both) + 1
        self.reaches[number] = Reach(both[0].total + both[1].total, count, True, both[0].flushed + both[1].flushed)
        return error + sum((self.on.gamma(count) - self.on.gamma(reach.roundings)) * reach.total for reach in both)

    def _start(self, number: int, operation: Operation, args: list[Array], errors: list[Array], error: Array) -> Array:
        both = [reach for reach in (self._reach(operation, 0), self._reach(operation, 1)) if reach is not None and reach.of_products]
        if len(both) == 2:
            return self._joined(number, both, error)
        for place, other in ((0, 1), (1, 0)):
            reach = self._reach(operation, place)
            if reach is not None and reach.of_products:
                before, more = self.on.gamma(reach.roundings), self.on.gamma(reach.roundings + 1)
                own = 0.0 if np.isinf(before) else more - before
                error = error + own * reach.total + more * (np.abs(args[other]) + errors[other])
        return error

    # -- floors ---------------------------------------------------------------------------------------------------------------

    def _floor_of_exponential(self, number: int, argument: Array, error: Array) -> None:
        """Zero or less says nothing, as where the error is infinite."""
        self.floors[number] = np.exp(argument - error) * (1 - 8 * self.on.unit) - self.on.tiny

    def _floor_of_sum(self, number: int, operation: Operation, args: list[Array], errors: list[Array]) -> None:
        """With something that is not negative added."""
        for place, other in ((0, 1), (1, 0)):
            ref = operation.operands[place]
            if ref.value in self.floors:
                floor = align(self.floors[ref.value], ref.axes, operation.names) * (1 - 2 * self.on.unit)
                self.floors[number] = np.where(args[other] >= errors[other], floor, 0)


def shifts_in(program: Program, free: frozenset[Term], sizes: Mapping[str, int]) -> dict[int, int]:
    """The maxima of a program that are only shifts, each with the number of entries it runs over.

    A maximum is one if shift invariance was instantiated with it (``free``) and all that is done with it is to subtract it below
    an exponential.
    """
    found: dict[int, int] = {}
    for number, operation in enumerate(program.operations):
        if operation.meaning is not None and canonical(operation.meaning) in free and _only_subtracted(program, number):
            # the larger one of a maximum and a sink is a maximum over one entry more
            sinks = operation.kind == "map"
            fold = program.operations[operation.operands[0].value] if sinks else operation
            (reduced,) = fold.detail[1]
            lengths = {
                name: axis.size
                for ref in fold.operands
                for name, axis in zip(ref.axes, program.operations[ref.value].axes, strict=True)
            }
            found[number] = size_value(lengths[reduced], sizes) + sinks
    return found


def _only_subtracted(program: Program, number: int) -> bool:
    differences = {user for user, operation in enumerate(program.operations) if any(ref.value == number for ref in operation.operands)}
    for user in differences:
        operation = program.operations[user]
        if operation.detail[:1] != ("sub",) or operation.operands[0].value == number:
            return False
    users = [operation for operation in program.operations if any(ref.value in differences for ref in operation.operands)]
    wanted = {ref.value for ref in program.outputs}
    return not wanted & {number, *differences} and all(operation.detail[:1] == ("exp",) for operation in users)
