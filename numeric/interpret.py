"""The interpreter: runs an array program in a wide format and carries, beside each value, a bound on the error of *any* faithful
floating-point execution of it.

What it does: one walk over the program gives the reference and the tolerance. Values are float64 for 16- and 32-bit targets and
long double for float64 ones; the reference's own rounding is inside the bound. A maximum that is only a shift (shift invariance
was instantiated with it) carries no error: the theorem says any shift will do.

Guarantees: a value that would overflow the target's format, or whose bound cannot be given, has the bound infinity; callers must
call that inconclusive. Cannot see: the order of operations of the target; the bound covers all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from kernelproof.numeric import rounding
from kernelproof.numeric.program import Axis, Operation, Program, Ref
from kernelproof.numeric.rounding import Arithmetic, Array
from kernelproof.symbolic.binding import canonical
from kernelproof.symbolic.terms import Num, Op, Term, Var


@dataclass(frozen=True)
class Approx:
    """A value and a bound on its absolute error, entry by entry."""

    value: Array
    error: Array


#: a scale is rounded, perhaps computed from a root, perhaps put on both factors
SCALAR_ROUNDINGS = 6.0
#: the kernel under test: (function, arguments by name, sizes by name) -> its result and the bound on its error
Handler = Callable[[str, Mapping[str, Approx], Mapping[str, int]], Approx]


def size_value(size: Term, sizes: Mapping[str, int]) -> int:
    """The number a symbolic size stands for."""
    if isinstance(size, Num):
        return int(size.value)
    if isinstance(size, Var):
        return sizes[size.name]
    if isinstance(size, Op) and size.name in ("add", "mul"):
        left, right = (size_value(arg, sizes) for arg in size.args)
        return left + right if size.name == "add" else left * right
    raise ValueError(f"{size!r} is not a size")


def align(array: Array, have: tuple[str, ...], want: tuple[str, ...]) -> Array:
    """The array with its trailing axes ``have`` brought to the order ``want``, missing ones of length 1."""
    lead = array.ndim - len(have)
    kept = [name for name in want if name in have]
    moved = array.transpose((*range(lead), *(lead + have.index(name) for name in kept)))
    picks = tuple(slice(None) if name in have else None for name in want)
    return moved[(Ellipsis, *picks)]


class Interpreter:
    """Runs programs for given sizes and inputs. ``inputs`` are arrays with their batch axes first, in any real format."""

    def __init__(
        self,
        on: Arithmetic,
        dtype: np.dtype[Any],
        sizes: Mapping[str, int],
        inputs: Mapping[str, Array | float],
        errors: Mapping[str, Array] | None = None,
        free_shifts: frozenset[Term] = frozenset(),
        handler: Handler | None = None,
    ) -> None:
        self.on, self.dtype, self.sizes = on, dtype, dict(sizes)
        self._inputs, self._errors = inputs, errors or {}
        self._free = frozenset(canonical(term) for term in free_shifts)
        self._handler = handler

    def run(self, program: Program) -> list[Approx]:
        """Values and bounds of the outputs, along the axes they are wanted in."""
        values: dict[int, Approx] = {}
        with np.errstate(all="ignore"):
            for number in program.live():
                values[number] = self._guarded(self._one(program.operations[number], program, values))
        wanted = program.frames or [ref.axes for ref in program.outputs]
        return [
            Approx(*(align(part, ref.axes, frame) for part in (values[ref.value].value, values[ref.value].error)))
            for ref, frame in zip(program.outputs, wanted, strict=True)
        ]

    def _guarded(self, found: Approx) -> Approx:
        """Beyond the target's range, or where nothing is known, the bound is infinite."""
        value, error = found.value, found.error
        bad = ~np.isfinite(value) | np.isnan(error) | (np.abs(value) + error > self.on.compute.largest)
        if bad.any():
            error = np.where(bad, np.inf, error)
            value = np.where(np.isfinite(value), value, 0)
        return Approx(value, error)

    def _operands(self, operation: Operation, values: dict[int, Approx], names: tuple[str, ...]) -> list[Approx]:
        return [
            Approx(align(values[ref.value].value, ref.axes, names), align(values[ref.value].error, ref.axes, names))
            for ref in operation.operands
        ]

    def _one(self, operation: Operation, program: Program, values: dict[int, Approx]) -> Approx:
        match operation.kind:
            case "input":
                return self._input(operation.detail[0])
            case "number":
                return self._number(operation.detail[0].numerator / self.dtype.type(operation.detail[0].denominator))
            case "size":
                return self._known(np.asarray(size_value(operation.detail[0], self.sizes), dtype=self.dtype))
            case "index":
                return self._known(np.arange(self._length(operation.axes[0]), dtype=self.dtype))
            case "map":
                return self._map(operation, values)
            case "select":
                indicator, chosen = self._operands(operation, values, operation.names)
                keep = indicator.value != 0
                return Approx(np.where(keep, chosen.value, 0), np.where(keep, chosen.error, 0))
            case "fold":
                return self._fold(operation, program, values)
            case "contract":
                return self._contract(operation, values)
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
        return Approx(value, np.zeros_like(value))

    def _input(self, name: str) -> Approx:
        value = np.asarray(self._inputs[name]).astype(self.dtype)
        error = self._errors.get(name)
        if error is None and value.ndim == 0 and (name == "scale" or not _exact(float(value))):
            error = SCALAR_ROUNDINGS * self.on.unit * np.abs(value)
        return Approx(value, np.zeros_like(value) if error is None else np.broadcast_to(error, value.shape).astype(self.dtype))

    def _number(self, value: Any) -> Approx:
        array = np.asarray(value, dtype=self.dtype)
        return Approx(array, np.zeros_like(array) if _exact(float(array)) else self.on.unit * np.abs(array))

    def _map(self, operation: Operation, values: dict[int, Approx]) -> Approx:
        operands = self._operands(operation, values, operation.names)
        args, errors = [part.value for part in operands], [part.error for part in operands]
        name = operation.detail[0]
        if name == "pow":
            exponent = operation.detail[1]
            value = args[0] ** exponent
            return Approx(value, rounding.power(self.on, value, args[0], errors[0], exponent))
        if name == "broadcast":
            shape = tuple(self._length(axis) for axis in operation.axes)
            lead = args[0].shape[: args[0].ndim - len(shape)]
            return Approx(*(np.broadcast_to(part, lead + shape) for part in (args[0], errors[0])))
        value = _VALUES[name](*args) if name != "pi" else np.asarray(np.pi, dtype=self.dtype)
        return Approx(value, rounding.RULES[name](self.on, value, args, errors))

    def _fold(self, operation: Operation, program: Program, values: dict[int, Approx]) -> Approx:
        kind, reduced = operation.detail
        names = (*operation.names, *reduced)
        body, *guard = self._operands(operation, values, names)
        axes = tuple(range(-len(reduced), 0))
        sizes = {name: axis.size for ref in operation.operands for name, axis in _axes(program, ref)}
        count = prod(size_value(sizes[name], self.sizes) for name in reduced)
        if kind == "sum":
            shape = np.broadcast_shapes(body.value.shape, body.error.shape)
            value, error = (np.broadcast_to(part, shape) for part in (body.value, body.error))
            magnitude = (np.abs(value) + error).sum(axis=axes)
            return Approx(value.sum(axis=axes), error.sum(axis=axes) + self.on.gamma(max(count - 1, 0)) * magnitude)
        keep = guard[0].value != 0 if guard else np.True_
        shown = np.where(keep, body.value, -np.inf).max(axis=axes, initial=-np.inf)
        value = np.where(np.isneginf(shown), 0, shown)
        if operation.meaning is not None and canonical(operation.meaning) in self._free:
            return self._known(value)
        return Approx(value, np.where(keep, body.error, 0).max(axis=axes, initial=0))

    def _contract(self, operation: Operation, values: dict[int, Approx]) -> Approx:
        (reduced,) = operation.detail
        left, right = (values[ref.value] for ref in operation.operands)
        letters = {name: chr(97 + place) for place, name in enumerate({n: 0 for ref in operation.operands for n in ref.axes})}
        subscripts = ["..." + "".join(letters[name] for name in ref.axes) for ref in operation.operands]
        text = f"{','.join(subscripts)}->...{''.join(letters[name] for name in operation.names)}"

        def product(a: Array, b: Array) -> Array:
            return np.einsum(text, a, b, optimize=True)  # type: ignore[no-any-return]

        count = prod(left.value.shape[left.value.ndim - len(operation.operands[0].axes) + operation.operands[0].axes.index(name)] for name in reduced)
        a, b = np.abs(left.value), np.abs(right.value)
        reach = product(a + left.error, b + right.error)
        carried = product(a, right.error) + product(left.error, b + right.error)
        return Approx(product(left.value, right.value), carried + self.on.gamma(count) * reach + count * self.on.compute.tiny)

    def _slices(self, operation: Operation) -> tuple[slice, ...]:
        found = []
        for part in operation.detail:
            if part is None:
                found.append(slice(None))
                continue
            start, step, length = size_value(part[0], self.sizes), part[1], size_value(part[2], self.sizes)
            found.append(slice(start, start + step * length if length else start, step))
        return tuple(found)

    def _view(self, operation: Operation, values: dict[int, Approx], picks: tuple[slice, ...]) -> Approx:
        table = values[operation.operands[0].value]
        return Approx(*(part[(Ellipsis, *picks)] for part in (table.value, table.error)))

    def _split(self, operation: Operation, values: dict[int, Approx]) -> Approx:
        table = values[operation.operands[0].value]
        lengths = tuple(self._length(axis) for axis in operation.axes)
        lead = table.value.shape[: table.value.ndim - (len(lengths) - 1)]
        return Approx(*(part.reshape(lead + lengths) for part in (table.value, table.error)))

    def _gather(self, operation: Operation, values: dict[int, Approx]) -> Approx:
        table = values[operation.operands[0].value]
        picks = []
        for kind, what in operation.detail:
            if kind == "index":
                ref = operation.operands[what]
                picks.append(align(values[ref.value].value, ref.axes, operation.names).astype(np.int64))
                continue
            place = operation.names.index(what)
            positions = np.arange(self._length(operation.axes[place]))
            picks.append(positions.reshape(tuple(-1 if at == place else 1 for at in range(len(operation.names)))))
        return Approx(*(part[(Ellipsis, *picks)] for part in (table.value, table.error)))

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


def _axes(program: Program, ref: Ref) -> list[tuple[str, Axis]]:
    return list(zip(ref.axes, program.operations[ref.value].axes, strict=True))


def _erf(value: Array) -> Array:
    if value.dtype == np.float64:
        from scipy.special import erf

        return erf(value)  # type: ignore[no-any-return]
    import mpmath

    with mpmath.workprec(80):
        flat = [mpmath.erf(mpmath.mpf(np.format_float_positional(entry, unique=True))) for entry in value.ravel()]
        return np.array([np.longdouble(mpmath.nstr(entry, 25)) for entry in flat], dtype=value.dtype).reshape(value.shape)


def _quotient(a: Array, b: Array) -> Array:
    return np.where(b == 0, 0, a / np.where(b == 0, 1, b))


_VALUES: dict[str, Callable[..., Array]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": _quotient, "neg": np.negative, "exp": np.exp,
    "log": lambda a: np.where(a > 0, np.log(np.where(a > 0, a, 1)), 0), "sqrt": lambda a: np.sqrt(np.maximum(a, 0)),
    "sin": np.sin, "cos": np.cos, "tanh": np.tanh, "erf": _erf, "max": np.maximum, "delta": lambda a, b: (a == b).astype(a.dtype),
}
