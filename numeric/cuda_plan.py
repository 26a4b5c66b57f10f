"""The plan of a CUDA program: which kernel computes what, and when.

What it does: divides an array program into steps. A contraction is left to the matrix library, an applied function to kernels of its
own, and both start a new step; everything between two of these that shares a row is one kernel. A *row* kernel has a warp for each
row: its folds, the values computed from them and all that is written. What no fold of the same step touches is an *entries* kernel, a
thread for each entry. A value is written to memory only where one of them, a later step or the result needs it; otherwise it is
computed where it is used.

Guarantees: kernels of one step are independent, so they never wait for each other; a value read from memory was written in an
earlier step. A fold that is needed at other places than its own row is read one step later. Cannot see: speed. The costs of the
scheme: entries are computed again in each loop over a row (a softmax takes its exponential twice), rows are read once for each
level of folds, and every contraction reads and writes whole matrices.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from kernelproof.numeric.program import Axis, Operation, Program, Ref
from kernelproof.numeric.source_code import SCALAR, TABLE, TENSOR
from kernelproof.symbolic.binding import canonical

VIEWS = ("slice", "split")
#: computed from arrays in memory, to arrays in memory, by no kernel of the plan
OUTSIDE = ("contract", "applied")


@dataclass(frozen=True)
class Trait:
    """What must be known of a value: what it depends on, whether batch axes stand before its own, when it can be computed, and
    along which of its axes the folds of the same step run that it uses (None: it uses none)."""

    depends: str
    batched: bool
    step: int
    rows: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Store:
    """A value that a kernel writes: a result of the program (its number), or an array for later steps."""

    value: int
    output: int | None = None


@dataclass
class Kernel:
    """The work of one launch. ``rows`` are the axes that a warp has one entry of; an entries kernel has none."""

    kind: str
    step: int
    batched: bool
    rows: tuple[Axis, ...] = ()
    folds: list[int] = field(default_factory=list)
    stores: list[Store] = field(default_factory=list)


@dataclass(frozen=True)
class Plan:
    """Traits of all values that are needed, kernels in the order of their steps, and the values that lie in memory."""

    traits: dict[int, Trait]
    kernels: tuple[Kernel, ...]
    kept: frozenset[int]
    contracted: frozenset[int]

    @property
    def steps(self) -> range:
        return range(1 + max((trait.step for trait in self.traits.values()), default=0))


def plan(program: Program, unbatched: frozenset[str], convert: bool) -> Plan:
    """The plan of a program. ``convert`` says that results are stored in another format than the one computed in."""
    return _Planner(program, unbatched).plan(convert)


class _Planner:
    def __init__(self, program: Program, unbatched: frozenset[str]) -> None:
        self._operations, self._outputs = program.operations, program.outputs
        self._unbatched = unbatched
        self._live = list(program.live())
        self.traits: dict[int, Trait] = {}
        for number in self._live:
            self.traits[number] = self._trait(self._operations[number])
        self._kernels: dict[object, Kernel] = {}
        self._written: set[int] = set()

    def plan(self, convert: bool) -> Plan:
        contracted = {self._origin(ref) for number in self._live for ref in self._outside_operands(number)}
        self._written = {number for number in contracted if self._operations[number].kind not in ("input", *OUTSIDE)}
        stores = [Store(number) for number in sorted(self._written)]
        for place, ref in enumerate(self._outputs):
            if convert or self._operations[ref.value].kind not in OUTSIDE:
                stores.append(Store(ref.value, place))
        for store in stores:
            self._kernel(store.value).stores.append(store)
        for number in self._live:
            if self._operations[number].kind == "fold":
                self._kernel(number).folds.append(number)
        self._keep_folds()
        kernels = sorted(self._kernels.values(), key=lambda kernel: (kernel.step, kernel.kind, not kernel.batched))
        return Plan(self.traits, tuple(kernels), frozenset(self._written), frozenset(contracted))

    # -- traits ---------------------------------------------------------------------------------------------------------------

    def _trait(self, operation: Operation) -> Trait:
        if operation.kind == "input":
            if not operation.axes:
                return Trait(SCALAR, False, 0)
            return Trait(TENSOR, operation.detail[0] not in self._unbatched, 0)
        if operation.kind == "index":
            return Trait(TABLE, False, 0)
        operands = [self.traits[ref.value] for ref in operation.operands]
        depends = max((part.depends for part in operands), key=(SCALAR, TABLE, TENSOR).index, default=SCALAR)
        batched = any(part.batched for part in operands)
        step = max((part.step for part in operands), default=0)
        if operation.kind in OUTSIDE:
            return Trait(TENSOR, batched, step + 1)
        found = set(self._rows(operation, step))
        if len(found) > 1 or any(self._clashes(operation, rows, flag, batched) for rows, flag in found):
            step, found = step + 1, set()
        if operation.kind == "fold":
            return Trait(depends, batched, step, operation.names)
        return Trait(depends, batched, step, next(iter(found))[0] if found else None)

    def _rows(self, operation: Operation, step: int) -> Iterator[tuple[tuple[str, ...], bool]]:
        """For each operand of this step that uses folds of this step: their rows, along the axes of the operation."""
        for ref in operation.operands:
            trait = self.traits[ref.value]
            if trait.rows is not None and trait.step == step:
                along = dict(zip(self._operations[ref.value].names, ref.axes, strict=True))
                yield tuple(along[name] for name in trait.rows), trait.batched

    @staticmethod
    def _clashes(operation: Operation, rows: tuple[str, ...], flag: bool, batched: bool) -> bool:
        """Whether an operation needs folds of its step at other places than its own row."""
        if operation.kind == "fold":
            return rows != operation.names or flag != batched
        return operation.kind not in ("map", "select") or flag != batched

    # -- kernels --------------------------------------------------------------------------------------------------------------

    def _kernel(self, number: int) -> Kernel:
        """The kernel that computes a value."""
        trait, axes = self.traits[number], self._operations[number].axes
        rows = None if trait.rows is None else tuple(next(axis for axis in axes if axis.name == name) for name in trait.rows)
        key = (trait.step, trait.batched, None if rows is None else tuple(canonical(axis.size) for axis in rows))
        if key not in self._kernels:
            kind = "entries" if rows is None else "rows"
            self._kernels[key] = Kernel(kind, trait.step, trait.batched, rows or ())
        return self._kernels[key]

    def _keep_folds(self) -> None:
        """Folds that a later step reads are written by the kernel that computes them."""
        for kernel in list(self._kernels.values()):
            for number in (*kernel.folds, *(store.value for store in kernel.stores)):
                for found in sorted(self.sources(number, kernel.step)):
                    fold = self._operations[found].kind == "fold"
                    if fold and self.traits[found].step < kernel.step and found not in self._written:
                        self._written.add(found)
                        self._kernel(found).stores.append(Store(found))

    def sources(self, number: int, step: int) -> set[int]:
        """What a kernel of a step starts from to compute a value: arrays, and folds of its own rows."""
        return sources(self._operations, self.traits, frozenset(self._written), number, step)

    def _outside_operands(self, number: int) -> tuple[Ref, ...]:
        operation = self._operations[number]
        return operation.operands if operation.kind in OUTSIDE else ()

    def _origin(self, ref: Ref) -> int:
        """The value that a contraction sees through regular views."""
        number = ref.value
        while self._operations[number].kind in VIEWS:
            number = self._operations[number].operands[0].value
        return number


def in_memory(operation: Operation, trait: Trait, written: bool, step: int) -> bool:
    """Whether a kernel of a step finds the value in memory."""
    if operation.kind in ("input", *OUTSIDE):
        return True
    return trait.step < step and (written or operation.kind == "fold")


def sources(operations: list[Operation], traits: dict[int, Trait], kept: frozenset[int], number: int, step: int) -> set[int]:
    """Arrays and folds that the value needs in a kernel of this step; of a fold, what its body needs."""
    found: set[int] = set()

    def visit(value: int, top: bool) -> None:
        operation, trait = operations[value], traits[value]
        if trait.depends == SCALAR:
            return
        memory = in_memory(operation, trait, value in kept, step)
        if memory or (operation.kind == "fold" and not top):
            found.add(value)
            return
        for ref in operation.operands:
            visit(ref.value, False)

    visit(number, True)
    return found
