"""Lowering of tensor entries: plain axes, regular parts, axes seen as two, and gathers.

What it does: reads the indices of an entry ``x[i, h + j, 2·k, a·f + b, s[i]]`` and finds the cheapest view that has them. Guarantees:
a start is a natural number or a size, a step a positive integer; everything else is a gather by computed indices, so nothing is
rounded or wrapped in silence. Cannot see: whether an index stays within the tensor; the theorems' premises say so.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

from kernelproof.numeric.program import Axis, Operation, Program, Ref
from kernelproof.symbolic.binding import alpha_equal, substitute
from kernelproof.symbolic.terms import Num, Op, Term, Var, is_natural, is_size


class LoweringError(Exception):
    """A term that the lowering does not know. A fault of ours, not of the user."""


@dataclass(frozen=True)
class Bound:
    """What a tensor of a definition stands for: a value whose ``params`` axes are the tensor's own, in order."""

    ref: Ref
    params: tuple[str, ...]
    kind: str = "real"


@dataclass
class Scope:
    """Names of one definition: tensors and scalars bound to values, sizes to terms."""

    tensors: dict[str, Bound]
    scalars: dict[Var, Ref]
    sizes: dict[Var, Term]
    memo: dict[object, tuple[Ref, tuple[str, ...]]] = field(default_factory=dict)

    def size(self, value: Term) -> Term:
        """A size in terms of the outermost sizes."""
        return substitute(value, self.sizes)


Frame = dict[Var, Axis]


class Entries:
    """The part of the lowering that deals with entries; terms inside indices are lowered by the whole."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._numbers = itertools.count()
        self._order: dict[str, int] = {}

    def lower(self, value: Term, scope: Scope, frame: Frame) -> Ref:
        """The value of a term."""
        raise NotImplementedError

    def axis(self, hint: str, size: Term) -> Axis:
        """A new axis."""
        number = next(self._numbers)
        name = f"{hint}{number}"
        self._order[name] = number
        return Axis(name, size)

    def _entry(self, bound: Bound, indices: tuple[Term, ...], scope: Scope, frame: Frame, meaning: Term) -> Ref:
        """An entry of a bound tensor: plain axes, regular parts, split axes, or a gather."""
        sizes = {axis.name: axis.size for axis in self.program.operations[bound.ref.value].axes}
        own = dict(zip(bound.ref.axes, sizes.values(), strict=True))
        plain: dict[str, str] = {}
        views: list[tuple[str, Term]] = []
        for param, index in zip(bound.params, indices, strict=True):
            if isinstance(index, Var) and index in frame and alpha_equal(frame[index].size, own[param]):
                plain[param] = frame[index].name
            else:
                views.append((param, index))
        used = list(plain.values())
        if not views and len(set(used)) == len(used):
            return bound.ref.renamed(plain)
        return self._view(bound, dict(zip(bound.params, indices, strict=True)), own, scope, frame, meaning)

    def _view(
        self, bound: Bound, indices: dict[str, Term], own: dict[str, Term], scope: Scope, frame: Frame, meaning: Term
    ) -> Ref:
        table = bound.ref
        regular = {param: self._regular(index, scope, frame) for param, index in indices.items()}
        if all(found is not None for found in regular.values()):
            detail: list[tuple[Term, int, Term] | None] = []
            axes: list[Axis] = []
            for param in table.axes:
                if param not in indices:
                    detail.append(None)
                    axes.append(Axis(param, own[param]))
                    continue
                start, step, axis = regular[param]  # type: ignore[misc]
                detail.append((start, step, axis.size))
                axes.append(axis)
            if len({axis.name for axis in axes}) == len(axes):
                return self.program.add(Operation("slice", tuple(axes), (table,), tuple(detail), meaning))
        splits = {param: self._split(index, own[param], scope, frame) for param, index in indices.items()}
        found = [param for param, pair in splits.items() if pair is not None]
        plain_others = all(
            isinstance(index, Var) and index in frame and alpha_equal(frame[index].size, own[param])
            for param, index in indices.items() if param not in found
        )
        if len(found) == 1 and plain_others:
            axes = []
            for param in table.axes:
                if param in found:
                    axes.extend(splits[param] or ())
                elif param in indices:
                    axes.append(frame[indices[param]])  # type: ignore[index]
                else:
                    axes.append(Axis(param, own[param]))
            place = table.axes.index(found[0])
            return self.program.add(Operation("split", tuple(axes), (table,), (place,), meaning))
        return self._gather(table, indices, own, scope, frame, meaning)

    def _regular(self, index: Term, scope: Scope, frame: Frame) -> tuple[Term, int, Axis] | None:
        """start + step·i along an axis: (start, step, the axis of i)."""
        start: Term = Num(0)
        step, inner = 1, index
        if isinstance(inner, Op) and inner.name == "add":
            left, right = inner.args
            if is_natural(right):
                start, inner = right, left
            elif is_size(scope.size(left)):
                start, inner = scope.size(left), right
        if isinstance(inner, Op) and inner.name == "mul" and isinstance(inner.args[0], Num):
            factor = inner.args[0].value
            if factor.denominator != 1 or factor <= 0:
                return None
            step, inner = int(factor), inner.args[1]
        if isinstance(inner, Var) and inner in frame:
            return start, step, frame[inner]
        return None

    def _split(self, index: Term, length: Term, scope: Scope, frame: Frame) -> tuple[Axis, Axis] | None:
        """outer·f + inner along an axis of length (outer length)·f: the axes of outer and inner."""
        if not (isinstance(index, Op) and index.name == "add" and isinstance(index.args[0], Op) and index.args[0].name == "mul"):
            return None
        outer, width = index.args[0].args
        inner = index.args[1]
        if isinstance(outer, Var) and isinstance(inner, Var) and outer in frame and inner in frame:
            fits = alpha_equal(scope.size(width), frame[inner].size) and alpha_equal(frame[outer].size * scope.size(width), length)
            return (frame[outer], frame[inner]) if fits else None
        return None

    def _gather(
        self, table: Ref, indices: dict[str, Term], own: dict[str, Term], scope: Scope, frame: Frame, meaning: Term
    ) -> Ref:
        operands: list[Ref] = [table]
        detail: list[tuple[str, object]] = []
        sizes: dict[str, Term] = {}
        for param in table.axes:
            if param not in indices:
                detail.append(("axis", param))
                sizes[param] = own[param]
                continue
            index = indices[param]
            if isinstance(index, Var) and index in frame and alpha_equal(frame[index].size, own[param]):
                detail.append(("axis", frame[index].name))
                sizes[frame[index].name] = frame[index].size
                continue
            operands.append(self.lower(index, scope, frame))
            detail.append(("index", len(operands) - 1))
            sizes.update(self._sizes(operands[-1:]))
        axes = tuple(Axis(name, sizes[name]) for name in self._ordered(sizes))
        return self.program.add(Operation("gather", axes, tuple(operands), tuple(detail), meaning))

    def _is_indicator(self, ref: Ref) -> bool:
        operation = self.program.operations[ref.value]
        if operation.kind in ("slice", "gather", "split"):
            return self._is_indicator(operation.operands[0])
        return operation.kind == "input" and operation.detail[1] == "indicator"

    def _sizes(self, refs: tuple[Ref, ...] | list[Ref]) -> dict[str, Term]:
        sizes: dict[str, Term] = {}
        for ref in refs:
            for name, axis in zip(ref.axes, self.program.operations[ref.value].axes, strict=True):
                sizes[name] = axis.size
        return sizes

    def _ordered(self, names: Mapping[str, object]) -> list[str]:
        return sorted(names, key=lambda name: self._order[name])
