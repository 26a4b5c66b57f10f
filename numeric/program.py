"""The array program: SSA operations over named axes.

What it does: holds what a kernel computes, between the terms above and the source texts below. Every value has an ordered tuple of
axes; an operand names, for each axis of the value it refers to, the axis of the operation it runs along. Leading batch axes are
implicit everywhere. Guarantees: an operation only refers to earlier ones; nothing is recomputed (equal terms are one value).

=============  ====================================================================================================
kind           meaning; ``detail``
=============  ====================================================================================================
``input``      a parameter; (name, kind)
``number``     a rational; (fraction,)
``size``       a length as a number; (term,)
``index``      the position along the one axis
``map``        an elementary operation, entry by entry; (name, …)
``select``     the second operand where the first, an indicator, is not zero; else 0
``fold``       sum or maximum over axes; (kind, reduced axes); a second operand is the guard
``contract``   sum over axes of a product of two; (reduced axes,)
``slice``      a regular part of a value; per axis of the operand (start, step, length) or None
``split``      an axis of a value seen as two; (place,)
``gather``     entries picked by computed indices; per axis of the table ("axis", name) or ("index", operand number)
``call``       the kernel under test; (function, names of the arguments, sizes)
``either``     the first operand; the others are right forms of the same value (gradient programs)
``stored``     the operand, which a forward pass may have rounded to its storage format (gradient programs)
``applied``    one result of a function of the file, applied to arrays in memory; (:class:`Applied`, place)
=============  ====================================================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from kernelproof.symbolic.terms import Term

KINDS = (
    "input", "number", "size", "index", "map", "select", "fold", "contract", "slice", "split", "gather", "call", "either", "stored",
    "applied",
)


@dataclass(frozen=True)
class Axis:
    """A named axis and its symbolic length."""

    name: str
    size: Term


@dataclass(frozen=True)
class Ref:
    """A use of a value: its number, and the axes of the user along which it runs."""

    value: int
    axes: tuple[str, ...]

    def renamed(self, names: dict[str, str]) -> Ref:
        """The same use along other axes."""
        return Ref(self.value, tuple(names.get(axis, axis) for axis in self.axes))


@dataclass(frozen=True)
class Operation:
    """One value. ``meaning`` is the term it stands for, for comments."""

    kind: str
    axes: tuple[Axis, ...]
    operands: tuple[Ref, ...] = ()
    detail: tuple[Any, ...] = ()
    meaning: Term | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(axis.name for axis in self.axes)


@dataclass(frozen=True)
class Applied:
    """A function of a kernel file that is applied to arrays, with kernels of its own.

    ``frames`` are the orders of axes that it wants its operands in; ``scalars`` and ``given`` (names of the source) stand behind them;
    ``results`` are the names that its results get.
    """

    function: str
    frames: tuple[tuple[str, ...], ...]
    scalars: tuple[Ref, ...]
    given: tuple[str, ...]
    results: tuple[str, ...]


@dataclass
class Program:
    """Operations in order, and the values that are the result, each with the order of axes it is wanted in."""

    operations: list[Operation] = field(default_factory=list)
    outputs: list[Ref] = field(default_factory=list)
    frames: list[tuple[str, ...]] = field(default_factory=list)

    def add(self, operation: Operation) -> Ref:
        """Append an operation; the use of its value along its own axes."""
        self.operations.append(operation)
        return Ref(len(self.operations) - 1, operation.names)

    def uses(self) -> dict[int, int]:
        """How often each value is used, the result included."""
        counts = dict.fromkeys(range(len(self.operations)), 0)
        for ref in (*(ref for operation in self.operations for ref in operation.operands), *self.outputs):
            counts[ref.value] += 1
        return counts

    def live(self) -> Iterator[int]:
        """Numbers of the values that the result needs, in order."""
        needed = {ref.value for ref in self.outputs}
        for number in range(len(self.operations) - 1, -1, -1):
            if number in needed:
                needed |= {ref.value for ref in self.operations[number].operands}
        yield from sorted(needed)
