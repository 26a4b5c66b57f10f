"""Lowering of named intermediates: every stage of a gradient becomes one value, however often it is called.

What it does: a call of a stage is lowered once for equal arguments and read at its indices like a tensor; what its arguments run along
beside their own axes (a head, a row) stays an axis of the value. A stage that has other right forms becomes an ``either``, one operand
a form; a call of a phase becomes a ``stored``, for a backward pass may read what the forward pass wrote.
Guarantees: the first operand of an ``either`` is the stage's own form, the others are right sides of theorems (``stage_forms``).
Cannot see: stages that are defined by cases; they are lowered at the top only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from kernelproof.numeric.lower import Frame, Kernels, Lowering, LoweringError, Scope
from kernelproof.numeric.lower_entries import Bound
from kernelproof.numeric.program import Axis, Operation, Program, Ref
from kernelproof.symbolic.binding import canonical
from kernelproof.symbolic.core.definitions import definition_of
from kernelproof.symbolic.functions import Definition
from kernelproof.symbolic.terms import Call, Term, Var

#: other forms of the body of a stage, of the same value
Forms = Callable[[str], tuple[Term, ...]]
#: the name of the axis that the leading axes together become
BATCH = "batch"
LEADING = Var("leading", "size")


class SharingProgram(Program):
    """A program in which an operation that is there already, whatever its axes are called, is not added again."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[object, int] = {}

    def add(self, operation: Operation) -> Ref:
        """The use of the value along the operation's own axes."""
        key = _key(operation)
        if key in self._known:
            return Ref(self._known[key], operation.names)
        made = super().add(operation)
        self._known[key] = made.value
        return made


def _key(operation: Operation) -> object:
    """What an operation computes, with places for the names of axes."""
    place = {name: number for number, name in enumerate(operation.names)}
    for ref in operation.operands:
        for name in ref.axes:
            place.setdefault(name, len(place))

    def told(part: object) -> object:
        if isinstance(part, Term):
            return canonical(part)
        if isinstance(part, tuple):
            return tuple(told(one) for one in part)
        return ("axis", place[part]) if isinstance(part, str) and part in place else part

    return (
        operation.kind, tuple(canonical(axis.size) for axis in operation.axes), told(operation.detail),
        tuple((ref.value, tuple(place[name] for name in ref.axes)) for ref in operation.operands),
    )


class StageLowering(Lowering):
    """Lowers calls once. ``kernels`` gives a function's form, ``others`` its further forms, ``phases`` are whole phases."""

    def __init__(self, kernels: Kernels, others: Forms, phases: frozenset[str], opaque: frozenset[str] = frozenset()) -> None:
        super().__init__(kernels, opaque)
        self.program = SharingProgram()
        self._others, self._phases = others, phases
        self._stages: dict[object, tuple[Bound, tuple[str, ...]]] = {}

    def _call(self, value: Call, scope: Scope, frame: Frame) -> Ref:
        if value.function in self._opaque:
            return super()._call(value, scope, frame)
        definition = definition_of(value.function)
        given = dict(value.arguments)
        sizes = {one.var: scope.size(given[one.name].body) for one in definition.parameters if one.kind == "size"}
        inner = Scope({}, {}, sizes)
        for parameter in definition.parameters:
            if parameter.kind != "size":
                self._argument(parameter, given[parameter.name], scope, frame, inner)
        key, outer = self._signature(definition, inner)
        if key not in self._stages:
            self._stages[key] = self._stage(definition, inner, outer), outer
        bound, before = self._stages[key]
        used = {index.name for index in frame.values()} & set(outer) & {
            frame[index].name for index in value.indices if isinstance(index, Var) and index in frame
        }
        if used:
            raise LoweringError(f"{value.function!r} at an index that its arguments depend on")
        here = replace(bound, ref=bound.ref.renamed(dict(zip(before, outer, strict=True))))
        return self._entry(here, value.indices, scope, frame, value)

    def _signature(self, definition: Definition, inner: Scope) -> tuple[object, tuple[str, ...]]:
        """What decides the value of a call, and the axes that its arguments have beside their own."""
        outer: dict[str, int] = {}
        parts: list[object] = [definition.name]
        for parameter in definition.parameters:
            if parameter.kind == "size":
                parts.append(canonical(inner.sizes[parameter.var]))
                continue
            bound = inner.tensors[parameter.name] if parameter.axes else Bound(inner.scalars[parameter.var], ())
            places = tuple(
                ("own", bound.params.index(axis)) if axis in bound.params else ("outer", outer.setdefault(axis, len(outer)))
                for axis in bound.ref.axes
            )
            parts.append((parameter.name, bound.ref.value, places))
        return tuple(parts), tuple(outer)

    def _stage(self, definition: Definition, inner: Scope, outer: tuple[str, ...]) -> Bound:
        clause = definition.clauses[0]
        if len(definition.clauses) != 1 or not all(isinstance(part, Var) for part in clause.pattern):
            raise LoweringError(f"the stage {definition.name!r}, which is defined by cases")
        frame: Frame = {var: self.axis(var.name, inner.size(length)) for var, length in clause.ranges}
        _, own = self._kernels(definition.name, 0)
        forms = [self._whole(self.lower(form, inner, frame), frame) for form in (own, *self._others(definition.name))]
        found = forms[0]
        if len(forms) > 1:
            found = self._as_one("either", tuple(forms))
        elif definition.name in self._phases:
            found = self._as_one("stored", (found,))
        return Bound(found, tuple(frame[var].name for var in clause.pattern if isinstance(var, Var)))

    def _whole(self, ref: Ref, frame: Frame) -> Ref:
        missing = tuple(axis for axis in frame.values() if axis.name not in ref.axes)
        return self._broadcast(ref, missing, frame) if missing else ref

    def _as_one(self, kind: str, operands: tuple[Ref, ...]) -> Ref:
        sizes = self._sizes(operands)
        axes = tuple(Axis(name, sizes[name]) for name in operands[0].axes)
        meaning = self.program.operations[operands[0].value].meaning
        return self.program.add(Operation(kind, axes, operands, (), meaning))


# -- leading axes -------------------------------------------------------------------------------------------------------------------------


def with_leading_axis(program: Program, single: frozenset[str], totals: tuple[bool, ...]) -> Program:
    """The program with its leading axes as one axis of its own: ``single`` inputs lack it, outputs marked in ``totals`` are summed over it.

    A sum that is such an output takes the axis into itself, so that a bound covers one sum over everything, in any order.
    """
    made = Program()
    number: dict[int, int] = {}
    led: set[int] = set()
    for old, operation in enumerate(program.operations):
        moved = _led(operation, led, single)
        if moved.names[:1] == (BATCH,):
            led.add(old)
        number[old] = len(made.operations)
        made.add(replace(moved, operands=tuple(replace(ref, value=number[ref.value]) for ref in moved.operands)))
    for ref, frame, summed in zip(program.outputs, program.frames, totals, strict=True):
        here = replace(_seen(ref, led), value=number[ref.value])
        if not summed:
            made.outputs.append(here)
            made.frames.append((BATCH, *frame))
            continue
        made.outputs.append(_total(made, here) if ref.value in led else here)
        made.frames.append(frame)
    return made


def _seen(ref: Ref, led: set[int]) -> Ref:
    return Ref(ref.value, (BATCH, *ref.axes)) if ref.value in led else ref


def _led(operation: Operation, led: set[int], single: frozenset[str]) -> Operation:
    """The operation along the leading axis too, where an operand is."""
    operands = tuple(_seen(ref, led) for ref in operation.operands)
    axis = (Axis(BATCH, LEADING),)
    if operation.kind == "input":
        has = bool(operation.axes) and operation.detail[0] not in single
        return replace(operation, axes=(*axis, *operation.axes)) if has else operation
    if not any(ref.value in led for ref in operation.operands):
        return operation
    detail = operation.detail
    first = operation.operands[0].value in led
    if operation.kind == "slice":
        detail = (None, *detail)
    elif operation.kind == "split":
        detail = (detail[0] + 1,)
    elif operation.kind == "gather" and first:
        detail = (("axis", BATCH), *detail)
    return replace(operation, axes=(*axis, *operation.axes), operands=operands, detail=detail)


def _total(program: Program, ref: Ref) -> Ref:
    """A value summed over the leading axis: a sum takes the axis into itself, of anything else one is made."""
    own = program.operations[ref.value]
    names: Mapping[str, str] = dict(zip(own.names, ref.axes, strict=True))
    if own.kind == "contract":
        made = replace(own, axes=own.axes[1:], detail=((*own.detail[0], BATCH),))
    elif own.kind == "fold" and own.detail[0] == "sum":
        made = replace(own, axes=own.axes[1:], detail=("sum", (*own.detail[1], BATCH)))
    else:
        made = Operation("fold", own.axes[1:], (Ref(ref.value, own.names),), ("sum", (BATCH,)), own.meaning)
    return program.add(made).renamed(dict(names))
