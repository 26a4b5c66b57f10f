"""From an array program back to a term: what the program says, written as index notation again.

Independent of the lowering: it reads operations only. Terms it gives are compared with the last line of a derivation up to bound
names, so whatever the lowering changed on the way shows.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from kernelproof.numeric.program import Operation, Program, Ref
from kernelproof.symbolic.terms import Entry, Fold, Num, Op, Term, Var

Places = Mapping[str, Term]


class Reader:
    """Reads one program. ``places`` give, for each axis of a value, the index it is taken at."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._fresh = itertools.count()

    def output(self, number: int, indices: tuple[Term, ...]) -> Term:
        """The term of an output, its indices in the order it is wanted in."""
        return self.use(self.program.outputs[number], dict(zip(self.program.frames[number], indices, strict=True)))

    def use(self, ref: Ref, places: Places) -> Term:
        """The term of a use of a value."""
        operation = self.program.operations[ref.value]
        own = {axis.name: places[name] for axis, name in zip(operation.axes, ref.axes, strict=True)}
        return self.value(operation, own)

    def value(self, operation: Operation, places: Places) -> Term:
        """The term of a value at these places."""
        made: Term = getattr(self, f"_{operation.kind}")(operation, places)
        return made

    def _input(self, operation: Operation, places: Places) -> Term:
        name = operation.detail[0]
        return Entry(name, *(places[axis.name] for axis in operation.axes)) if operation.axes else Var(name)

    def _number(self, operation: Operation, places: Places) -> Term:
        return Num(operation.detail[0])

    def _size(self, operation: Operation, places: Places) -> Term:
        return operation.detail[0]  # type: ignore[no-any-return]

    def _index(self, operation: Operation, places: Places) -> Term:
        return places[operation.axes[0].name]

    def _map(self, operation: Operation, places: Places) -> Term:
        args = [self.use(ref, places) for ref in operation.operands]
        name, *rest = operation.detail
        if name == "broadcast":
            return args[0]
        return Op(name, *args, *(Num(value) for value in rest))

    def _select(self, operation: Operation, places: Places) -> Term:
        return Op("mul", *(self.use(ref, places) for ref in operation.operands))

    def _lengths(self, operation: Operation) -> dict[str, Term]:
        return {
            name: axis.size
            for ref in operation.operands
            for name, axis in zip(ref.axes, self.program.operations[ref.value].axes, strict=True)
        }

    def _reduced(self, operation: Operation, names: tuple[str, ...], places: Places) -> tuple[dict[str, Term], list[tuple[Var, Term]]]:
        """Fresh indices for the axes that are folded, and their lengths."""
        lengths = self._lengths(operation)
        bound = {name: Var(f"_{next(self._fresh)}") for name in names}
        return {**places, **bound}, [(bound[name], lengths[name]) for name in names]

    def _fold(self, operation: Operation, places: Places) -> Term:
        kind, names = operation.detail
        inside, bound = self._reduced(operation, names, places)
        body, *guard = (self.use(ref, inside) for ref in operation.operands)
        for number, (var, length) in enumerate(reversed(bound)):
            body = Fold(kind, var, length, body, *(guard if not number else ()))
        return body

    def _contract(self, operation: Operation, places: Places) -> Term:
        (names,) = operation.detail
        inside, bound = self._reduced(operation, names, places)
        body: Term = Op("mul", *(self.use(ref, inside) for ref in operation.operands))
        for var, length in reversed(bound):
            body = Fold("sum", var, length, body)
        return body

    def _slice(self, operation: Operation, places: Places) -> Term:
        table = self.program.operations[operation.operands[0].value]
        at: dict[str, Term] = {}
        for own, axis, part in zip(table.axes, operation.axes, operation.detail, strict=True):
            index = places[axis.name]
            if part is not None:
                start, step, _ = part
                index = index if step == 1 else Num(step) * index
                if isinstance(start, Num):
                    index = index if start is Num(0) else index + start
                else:
                    index = start + index
            at[own.name] = index
        return self.value(table, at)

    def _split(self, operation: Operation, places: Places) -> Term:
        table, (place,) = self.program.operations[operation.operands[0].value], operation.detail
        outer, inner = operation.axes[place : place + 2]
        indices = [places[axis.name] for axis in operation.axes]
        indices[place : place + 2] = [places[outer.name] * inner.size + places[inner.name]]
        return self.value(table, {axis.name: index for axis, index in zip(table.axes, indices, strict=True)})

    def _gather(self, operation: Operation, places: Places) -> Term:
        table = self.program.operations[operation.operands[0].value]
        at = {
            axis.name: places[what] if kind == "axis" else self.use(operation.operands[what], places)
            for axis, (kind, what) in zip(table.axes, operation.detail, strict=True)
        }
        return self.value(table, at)
