"""The interpreter: runs an array program in a wide format and carries, beside each value, a bound on the error of *any* faithful
floating-point execution of it.

What it does: one walk over the program gives the reference and the tolerance. Values are float64 for 16- and 32-bit targets and
long double for float64 ones (which some platforms have no wider than double); the reference's own rounding is inside the bound.
A maximum that is only a shift (shift invariance was instantiated with it) is exact here: the theorem says any shift
will do. What a target's own, rounded maximum may cost beside that is added by ``liberties``.

Guarantees: the bound covers every order of the operations of a sum, and the liberties of ``liberties``. A value that would overflow
the target's format, also on the way of a sum, or whose bound cannot be given, has the bound infinity; callers must call that
inconclusive. Cannot see: another formula for the same function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from kernelproof.numeric import rounding
from kernelproof.numeric.approx import Approx, align, size_value
from kernelproof.numeric.contraction import Contraction
from kernelproof.numeric.elementary import VALUES, pi
from kernelproof.numeric.idioms import Idioms
from kernelproof.numeric.liberties import Liberties, Reach, shifts_in
from kernelproof.numeric.precision import Precision
from kernelproof.numeric.program import Axis, Operation, Program
from kernelproof.numeric.roles import Roles
from kernelproof.numeric.rounding import Arithmetic, Array
from kernelproof.symbolic.binding import canonical
from kernelproof.symbolic.terms import Term

__all__ = ["SCALAR_ROUNDINGS", "Approx", "Handler", "Interpreter", "align", "size_value"]
#: a scale is rounded, perhaps computed from a root, perhaps put on both factors
SCALAR_ROUNDINGS = 6.0
#: the kernel under test: (function, arguments by name, sizes by name) -> its result and the bound on its error
Handler = Callable[[str, Mapping[str, Approx], Mapping[str, int]], Approx]


class Interpreter:
    """Runs programs for given sizes and inputs. ``inputs`` are arrays with their batch axes first, in any real format.

    ``precision`` says more than ``on`` about what lies between inputs and result; without one all is kept in ``on.compute``. With
    ``only``, the name of a stage of :mod:`numeric.staging`, the rounding of that stage alone is counted, which splits a bound into terms.
    """

    def __init__(
        self,
        on: Arithmetic,
        dtype: np.dtype[Any],
        sizes: Mapping[str, int],
        inputs: Mapping[str, Array | float],
        errors: Mapping[str, Array] | None = None,
        free_shifts: frozenset[Term] = frozenset(),
        handler: Handler | None = None,
        precision: Precision | None = None,
        only: str = "",
    ) -> None:
        self.on, self.dtype, self.sizes, self.precision, self.only = on, dtype, dict(sizes), precision, only
        self._inputs, self._errors = inputs, errors or {}
        self._free = frozenset(canonical(term) for term in free_shifts)
        self._handler = handler

    def run(self, program: Program) -> list[Approx]:
        """Values and bounds of the outputs, along the axes they are wanted in."""
        values: dict[int, Approx] = {}
        roles, liberties = self._begin(program)
        with np.errstate(all="ignore"):
            for number in program.live():
                self._on = liberties.on = roles.arithmetic(number)
                found = self._sharpened(number, program.operations[number], self._one(number, program.operations[number], values), values)
                values[number] = roles.stored(number, self._guarded(found))
        wanted = program.frames or [ref.axes for ref in program.outputs]
        return [values[ref.value].aligned(ref.axes, frame) for ref, frame in zip(program.outputs, wanted, strict=True)]

    def _begin(self, program: Program) -> tuple[Roles, Liberties]:
        """What is kept through one run. Weights relative to another shift are larger by at most their sum, the length of a row."""
        self._shifts = shifts_in(program, self._free, self.sizes)
        self._lengths = {
            name: axis.size
            for ref in (ref for operation in program.operations for ref in operation.operands)
            for name, axis in zip(ref.axes, program.operations[ref.value].axes, strict=True)
        }
        self._on = replace(self.on, rescaled=2.0 * max((1, *self._shifts.values())))
        self._roles = Roles(self._on, program, self._shifts, self.precision, self.only)
        self._liberties = Liberties(self._on, self._roles.placed())
        self._idioms = Idioms(program, self._roles)
        return self._roles, self._liberties

    def _guarded(self, found: Approx) -> Approx:
        """Beyond the target's range, or where nothing is known, the bound is infinite; what its own computation lost is put back."""
        value, error = found.value, found.error * self.on.slack()
        # false where a value is not finite or an error no number, too
        known = np.abs(value) + error <= self._on.compute.largest
        if not np.logical_and.reduce(known, axis=None):
            error = np.where(known, error, np.inf)
            value = np.where(np.isfinite(value), value, 0)
        return Approx(value, error)

    def _operands(self, operation: Operation, values: dict[int, Approx], names: tuple[str, ...]) -> list[Approx]:
        return [values[ref.value].aligned(ref.axes, names) for ref in operation.operands]

    def _one(self, number: int, operation: Operation, values: dict[int, Approx]) -> Approx:
        match operation.kind:
            case "input":
                return self._input(operation)
            case "number":
                return self._number(operation.detail[0].numerator / self.dtype.type(operation.detail[0].denominator))
            case "size":
                return self._known(np.asarray(size_value(operation.detail[0], self.sizes), dtype=self.dtype))
            case "index":
                return self._known(np.arange(self._length(operation.axes[0]), dtype=self.dtype))
            case "map":
                return self._map(number, operation, values)
            case "select":
                indicator, chosen = self._operands(operation, values, operation.names)
                keep = indicator.value != 0
                return Approx(np.where(keep, chosen.value, 0), np.where(keep, chosen.error, 0))
            case "fold":
                return self._fold(number, operation, values)
            case "contract":
                return self._contract(number, operation, values)
            case "slice":
                return self._view(operation, values, self._slices(operation))
            case "split":
                return self._split(operation, values)
            case "gather":
                return self._gather(operation, values)
            case "call":
                return self._call(operation, values)
        raise AssertionError(operation.kind)

    def _length(self, axis: Axis) -> int:
        return size_value(axis.size, self.sizes)

    def _known(self, value: Array) -> Approx:
        """A count or a position: exact, unless it has more digits than the target."""
        with np.errstate(over="ignore"):
            exact = value.astype(np.float32).astype(value.dtype) == value
        return Approx(value, np.where(exact, 0, self._on.unit * np.abs(value)))

    def _input(self, operation: Operation) -> Approx:
        """An input; axes that it only broadcasts along are filled in, for folds run over them."""
        name = operation.detail[0]
        value = np.asarray(self._inputs[name]).astype(self.dtype)
        lead = value.shape[: value.ndim - len(operation.axes)]
        shape = lead + tuple(self._length(axis) for axis in operation.axes)
        error = self._errors.get(name)
        if error is None and not operation.axes and (name == "scale" or not _exact(float(value))):
            error = SCALAR_ROUNDINGS * self._on.unit * np.abs(value)
        error = np.zeros_like(value) if error is None else np.broadcast_to(error, value.shape).astype(self.dtype)
        if self.on.flushes:
            error = error + np.where(np.abs(value) < self.on.compute.tiny, np.abs(value), 0)
        return Approx(np.broadcast_to(value, shape), np.broadcast_to(error, shape))

    def _number(self, value: Any) -> Approx:
        array = np.asarray(value, dtype=self.dtype)
        return Approx(array, np.zeros_like(array) if _exact(float(array)) else self._on.unit * np.abs(array))

    def _map(self, number: int, operation: Operation, values: dict[int, Approx]) -> Approx:
        operands = self._operands(operation, values, operation.names)
        args, errors = [part.value for part in operands], [part.error for part in operands]
        name = operation.detail[0]
        if name == "pow":
            exponent = operation.detail[1]
            value = args[0] ** exponent
            return Approx(value, rounding.power(self._on, value, args[0], errors[0], exponent))
        if name == "broadcast":
            shape = tuple(self._length(axis) for axis in operation.axes)
            lead = args[0].shape[: args[0].ndim - len(shape)]
            return Approx(*(np.broadcast_to(part, lead + shape) for part in (args[0], errors[0])))
        value = VALUES[name](*args) if name != "pi" else np.asarray(pi(self.dtype))
        error = rounding.RULES[name](self._on, value, args, errors)
        if number in self._shifts:
            self._liberties.shifts[number] = error
            self._idioms.note_joined(number, [ref.value for ref in operation.operands])
            return Approx(value, np.zeros_like(error))
        error = self._idioms.rescaled(self._on, number, value, error)
        error = self._idioms.distributed(self._on, number, operation, value, args, error)
        return Approx(value, self._liberties.widened(number, operation, value, args, errors, error))

    def _fold(self, number: int, operation: Operation, values: dict[int, Approx]) -> Approx:
        kind, reduced = operation.detail
        body, *guard = self._operands(operation, values, (*operation.names, *reduced))
        axes = tuple(range(-len(reduced), 0))
        if kind == "sum":
            shape = np.broadcast_shapes(body.value.shape, body.error.shape)
            value, error = (np.broadcast_to(part, shape) for part in (body.value, body.error))
            error = self._roles.factor(operation.operands[0].value, value, error, of_product=False)
            reach = (np.abs(value) + error).sum(axis=axes)
            roundings = self._count(reduced) - 1 + self._idioms.extra_roundings(operation)
            return self._summed(number, value.sum(axis=axes), error.sum(axis=axes), reach, roundings)
        keep = guard[0].value != 0 if guard else np.True_
        shown = np.where(keep, body.value, -np.inf).max(axis=axes, initial=-np.inf)
        value = np.where(np.isneginf(shown), 0, shown)
        error = np.where(keep, body.error, 0).max(axis=axes, initial=0)
        self._idioms.note_shift(number, body, keep)
        if number in self._shifts:
            self._liberties.shifts[number] = error
            return Approx(value, np.zeros_like(value))
        return Approx(value, error)

    def _count(self, reduced: tuple[str, ...]) -> int:
        return prod(size_value(self._lengths[name], self.sizes) for name in reduced)

    def _summed(
        self,
        number: int,
        value: Array,
        carried: Array,
        reach: Array,
        roundings: int,
        flushed: Array | None = None,
        largest: Array | None = None,
    ) -> Approx:
        """A sum of terms that pass through so many roundings; of products where ``flushed`` says what their factors may lose. Partial
        sums stay below the reach, or below ``largest``, and overflow where that does.
        """
        roundings = max(roundings, 0)
        reach = reach * self.on.slack(roundings)
        self._liberties.reaches[number] = Reach(reach, roundings, flushed is not None, 0.0 if flushed is None else flushed)
        lost = np.where(reach > 0, 2 * (roundings + 1) * self._on.tiny, 0)
        error = carried * self.on.slack(roundings) + self._on.gamma(roundings) * reach + lost
        most = reach if largest is None else np.maximum(reach, largest)
        return Approx(value, np.where(most > self._on.compute.largest, np.inf, error))

    def _contract(self, number: int, operation: Operation, values: dict[int, Approx]) -> Approx:
        (reduced,) = operation.detail
        left, right = (self._factor(ref.value, values) for ref in operation.operands)
        axes = [ref.axes for ref in operation.operands]
        of = Contraction(axes[0], axes[1], reduced, operation.names)
        product = of.product
        a, b = np.abs(left.value), np.abs(right.value)
        reach = product(a + left.error, b + right.error)
        carried = product(a, right.error) + product(left.error, b + right.error)
        roundings = self._count(reduced) + self._idioms.extra_roundings(operation)
        flushed = self._on.tiny * of.sums(a, b)
        # on the way of an online softmax a weight may still be one
        early = [self._idioms.is_online_weight(ref.value) for ref in operation.operands]
        largest = product(np.ones_like(a) if early[0] else a, np.ones_like(b) if early[1] else b) if any(early) else None
        return self._summed(number, product(left.value, right.value), carried, reach, roundings, flushed, largest)

    def _factor(self, number: int, values: dict[int, Approx]) -> Approx:
        """A factor of a product, as it is read there."""
        found = values[number]
        return Approx(found.value, self._roles.factor(number, found.value, found.error, of_product=True))

    def _sharpened(self, number: int, operation: Operation, found: Approx, values: dict[int, Approx]) -> Approx:
        """The bound of an idiom where it is the smaller one."""
        sharper = self._idioms.bound(self._on, number, operation, found, values)
        error = found.error if sharper is None else np.where(np.isfinite(found.error), np.fmin(found.error, sharper), found.error)
        return Approx(found.value, self._idioms.from_logarithm(self._on, operation, found.value, error, values))

    def _slices(self, operation: Operation) -> tuple[slice, ...]:
        found = []
        for part in operation.detail:
            if part is None:
                found.append(slice(None))
                continue
            start, step, length = size_value(part[0], self.sizes), part[1], size_value(part[2], self.sizes)
            found.append(slice(start, start + step * length if length else start, step))
        return tuple(found)

    def _view(self, operation: Operation, values: dict[int, Approx], picks: tuple[Any, ...]) -> Approx:
        table = values[operation.operands[0].value]
        where: tuple[Any, ...] = (Ellipsis, *picks)
        return Approx(table.value[where], table.error[where])

    def _split(self, operation: Operation, values: dict[int, Approx]) -> Approx:
        table = values[operation.operands[0].value]
        lengths = tuple(self._length(axis) for axis in operation.axes)
        lead = table.value.shape[: table.value.ndim - (len(lengths) - 1)]
        return Approx(*(part.reshape(lead + lengths) for part in (table.value, table.error)))

    def _gather(self, operation: Operation, values: dict[int, Approx]) -> Approx:
        table = values[operation.operands[0].value]
        picks: list[Array] = []
        for kind, what in operation.detail:
            if kind == "index":
                ref = operation.operands[what]
                picks.append(align(values[ref.value].value, ref.axes, operation.names).astype(np.int64))
                continue
            place = operation.names.index(what)
            positions = np.arange(self._length(operation.axes[place]))
            picks.append(positions.reshape(tuple(-1 if at == place else 1 for at in range(len(operation.names)))))
        where: tuple[Any, ...] = (Ellipsis, *picks)
        return Approx(table.value[where], table.error[where])

    def _call(self, operation: Operation, values: dict[int, Approx]) -> Approx:
        function, names, sizes = operation.detail
        if self._handler is None:
            raise ValueError(f"the program calls {function!r}, and no kernel was handed in")
        arguments = {}
        for name, ref in zip(names, operation.operands, strict=True):
            order = tuple(str(place) for place in range(len(ref.axes)))
            found = values[ref.value]
            arguments[name] = Approx(align(found.value, ref.axes, order), align(found.error, ref.axes, order))
        return self._handler(function, arguments, {name: size_value(size, self.sizes) for name, size in sizes})


def _exact(value: float) -> bool:
    """Whether a number is the same in every format that kernels compute in."""
    with np.errstate(over="ignore"):
        return float(np.float32(value)) == value
