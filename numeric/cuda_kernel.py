"""The text of one CUDA kernel.

What it does: an entries kernel runs a thread for each entry, one loop for each shape that is written. A row kernel runs a warp for
each row: level by level, a loop over the entries of the row for the folds that can be computed now and for what can be written
now; lanes take every 32nd entry and join their folds by shuffles. Both stride over the grid, so any grid computes everything.

Guarantees: any length of a row, 0 included; lanes of a warp never part at a shuffle, for all have the same row; indices are 64 bits
wide; every array has its own strides, with three batch axes, so that broadcasting is a stride of zero. Cannot see: how the batch
axes of the arrays were merged into three; the Python that launches does that. Costs: a running number is taken apart by 64-bit
divisions, once for each row or entry, and arrays are read entry by entry, never as vectors.
"""

from __future__ import annotations

from dataclasses import dataclass

from kernelproof.numeric.cuda_plan import Store, sources
from kernelproof.numeric.cuda_types import literal
from kernelproof.numeric.cuda_values import Place, Scope, Tensor, Values, meaning
from kernelproof.numeric.program import Axis
from kernelproof.numeric.source_code import PrinterError
from kernelproof.symbolic.binding import canonical
from kernelproof.symbolic.terms import Num, Term

BLOCK, LANES = 128, 32
#: registers that a thread may use: 4 blocks of rows or 8 of entries then fit a multiprocessor of 65536 registers
REGISTERS = {"rows": 128, "entries": 64}
#: bytes of local memory that CUDA's own argument reduction of sin and cos takes in double
TRIGONOMETRY = 40


@dataclass(frozen=True)
class Written:
    """An array that a kernel writes."""

    name: str
    type: str
    store: Store
    places: tuple[Axis, ...]


@dataclass(frozen=True)
class KernelText:
    """A kernel as text, with all that its launch needs: parameters in order, and how many threads of what kind."""

    name: str
    text: str
    sizes: tuple[str, ...]
    numbers: tuple[tuple[str, str], ...]
    tensors: tuple[Tensor, ...]
    written: tuple[Written, ...]
    counts: tuple[tuple[Axis, ...], ...]
    launch: dict[str, int]


class KernelPrinter:
    """Prints one kernel."""

    def __init__(self, name: str, values: Values, results: dict[Store, str]) -> None:
        self.name, self.values, self.kernel, self.types = name, values, values.kernel, values.types
        self._results = results
        self._written: dict[Store, Written] = {}

    def run(self) -> KernelText:
        body, counts = self._rows() if self.kernel.kind == "rows" else self._entries()
        values = self.values
        launch = {
            "block": BLOCK, "lanes": LANES if self.kernel.kind == "rows" else 1, "shared": 0,
            "registers": REGISTERS[self.kernel.kind], "local": TRIGONOMETRY if values.functions & {"sin", "cos"} else 0,
        }
        names = [(name, code, type_) for (code, type_), (name, _) in values.numbers.items()]
        text = "\n".join((*self._head(), "{", *(f"    {line}" for line in body), "}"))
        return KernelText(
            self.name, text, tuple(sorted(values.sizes)), tuple((code, type_) for _, code, type_ in names),
            tuple(values.tensors.values()), tuple(self._written[store] for store in self.kernel.stores), counts, launch,
        )

    # -- parameters -----------------------------------------------------------------------------------------------------------

    def _head(self) -> list[str]:
        values, lines = self.values, []
        if self.kernel.batched:
            lines.append("const long long lead0_size, const long long lead1_size, const long long lead2_size")
        if values.sizes:
            lines.append(", ".join(f"const long long {name}" for name in sorted(values.sizes)))
        notes = []
        for (_, type_), (name, shown) in values.numbers.items():
            lines.append(f"const {type_} {name}")
            notes += [f"// {name} = {shown}"] if shown else []
        for tensor in values.tensors.values():
            axes = len(values.operations[tensor.value].axes)
            lines.append(f"const {tensor.type}* __restrict__ {tensor.name}{self._strides(tensor.name, tensor.batched, axes)}")
        for store in self.kernel.stores:
            written = self._written[store]
            strides = self._strides(written.name, self.kernel.batched, len(written.places))
            lines.append(f"{written.type}* __restrict__ {written.name}{strides}")
        shown = "; ".join(f"{written.name}: {meaning(values.operations[store.value])}" for store, written in self._written.items())
        return [
            f"// {self._what()}; {shown}", *notes, f'extern "C" __global__ void {self.name}(',
            *(f"    {line}{',' if at < len(lines) - 1 else ')'}" for at, line in enumerate(lines)),
        ]

    def _what(self) -> str:
        """What a thread or a warp is for."""
        return "one warp for each row" if self.kernel.kind == "rows" else "one thread for each entry"

    @staticmethod
    def _strides(name: str, batched: bool, axes: int) -> str:
        names = [f"{name}_lead{at}" for at in range(3)] if batched else []
        names += [f"{name}_by{at}" for at in range(axes)]
        return "".join(f", const long long {stride}" for stride in names)

    # -- loops ----------------------------------------------------------------------------------------------------------------

    def _entries(self) -> tuple[list[str], tuple[tuple[Axis, ...], ...]]:
        lines = [
            "const long long first = (long long)blockIdx.x * blockDim.x + threadIdx.x;",
            "const long long stride = (long long)gridDim.x * blockDim.x;",
        ]
        spaces: dict[object, list[Store]] = {}
        for store in self.kernel.stores:
            spaces.setdefault(self._sizes(self._axes(store.value)), []).append(store)
        counts = []
        for stores in spaces.values():
            axes = self._axes(stores[0].value)
            counts.append(axes)
            scope = Scope()
            self.values.outer = self.values.inner = scope
            decoded = self._decoded("entry", axes, self.kernel.batched)
            places = tuple(Place(axis.name) for axis in axes)
            for store in stores:
                scope.lines.append(self._stored(store, places))
            lines.append(f"for (long long entry = first; entry < {self._product(axes, self.kernel.batched)}; entry += stride) {{")
            lines += [*(f"    {line}" for line in (*decoded, *scope.lines)), "}"]
        return lines, tuple(counts)

    def _rows(self) -> tuple[list[str], tuple[tuple[Axis, ...], ...]]:
        values, rows = self.values, self.kernel.rows
        values.outer, depths = Scope(), self._depths()
        body = values.outer.lines
        row = tuple(Place(axis.name, inner=False) for axis in rows)
        for depth in range(1 + max(depths.values())):
            folds = [number for number in self.kernel.folds if depths[number] == depth]
            stores = [store for store in self.kernel.stores if depths[store] == depth]
            for members in self._loops(folds, stores):
                body += self._loop(members, row)
            for store in stores:
                if not self._columns(store):
                    code = self._stored(store, row)
                    body += ["if (lane == 0) {", f"    {code}", "}"]
        decoded = self._decoded("row", rows, self.kernel.batched)
        return [
            "const int lane = threadIdx.x % 32;",
            "const long long first = (long long)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;",
            "const long long stride = (long long)gridDim.x * (blockDim.x / 32);",
            f"for (long long row = first; row < {self._product(rows, self.kernel.batched)}; row += stride) {{",
            *(f"    {line}" for line in (*decoded, *body)), "}",
        ], (rows,)

    def _loops(self, folds: list[int], stores: list[Store]) -> list[list[int | Store]]:
        """Folds and stores of one level, by the shape of what they run over."""
        found: dict[object, list[int | Store]] = {}
        members: list[int | Store] = [*folds, *(store for store in stores if self._columns(store))]
        for member in members:
            found.setdefault(self._sizes(self._columns(member)), []).append(member)
        return list(found.values())

    def _loop(self, members: list[int | Store], row: tuple[Place, ...]) -> list[str]:
        """One loop over the entries of a row: what is folded and what is written at this level."""
        values, columns = self.values, self._columns(members[0])
        values.inner = Scope()
        column = tuple(Place(axis.name) for axis in columns)
        before, after = [], []
        for member in members:
            if isinstance(member, Store):
                axes = self._axes(member.value)
                kept = {axis.name: place for axis, place in zip(self._columns(member), column, strict=True)}
                kept.update(zip(self.values.plan.traits[member.value].rows or (), row, strict=True))
                values.inner.lines.append(self._stored(member, tuple(kept[axis.name] for axis in axes)))
                continue
            start, end = self._fold(member, row, column)
            before.append(start)
            after.append(end)
        size = self._product(columns, False)
        index = columns[0].name if len(columns) == 1 else "column"
        decoded = [] if len(columns) == 1 else self._decoded("column", columns, False)
        return [
            *before, f"for (long long {index} = lane; {index} < {size}; {index} += 32) {{",
            *(f"    {line}" for line in (*decoded, *values.inner.lines)), "}", *after,
        ]

    def _fold(self, number: int, row: tuple[Place, ...], column: tuple[Place, ...]) -> tuple[str, str]:
        """Adds a fold to the loop; the lines that start and end it."""
        values, operation = self.values, self.values.operations[number]
        kind, reduced = operation.detail
        real = values.type_of(number)
        along = dict(zip((*operation.names, *reduced), (*row, *column), strict=True))
        name = values.name({"sum": "total", "max": "top"}[kind])
        body = values.ref(operation.operands[0], along, real)
        comment = f"  // {meaning(operation)}" if operation.meaning is not None else ""
        if kind == "sum":
            values.helpers.add(("kp_warp_sum", real))
            values.inner.lines.append(f"{name} += {body};{comment}")
            start, end = literal(Num(0).value, real), f"{name} = kp_warp_sum({name});"
        else:
            values.helpers |= {("kp_warp_max", real), ("kp_infinity", real)}
            line = f"{name} = kp_max({name}, {body});{comment}"
            end = f"{name} = kp_warp_max({name});"
            if len(operation.operands) > 1:
                line = f"if ({values.ref(operation.operands[1], along, 'bool')}) {line}"
                end += f" if ({name} == -kp_infinity({real}())) {name} = {literal(Num(0).value, real)};"
            values.inner.lines.append(line)
            start = f"-kp_infinity({real}())"
        values.registers[number] = tuple(place.code for place in row), name
        return f"{real} {name} = {start};", end

    # -- small things ---------------------------------------------------------------------------------------------------------

    def _stored(self, store: Store, places: tuple[Place, ...]) -> str:
        """The statement that writes an entry."""
        values, types = self.values, self.types
        computed = values.type_of(store.value)
        result = store.output is not None
        name = self._results[store]
        self._written[store] = Written(name, types.stored if result else types.real, store, self._axes(store.value))
        if result and types.converts:
            exact = "double" if computed == "double" else types.real
            code = values.value(store.value, places, exact)
            code = f"{types.narrow_double if exact == 'double' else types.narrow}({code})"
        else:
            code = values.value(store.value, places, types.real)
        return f"{values.element(name, self.kernel.batched, places)} = {code};"

    def _axes(self, number: int) -> tuple[Axis, ...]:
        return self.values.operations[number].axes

    def _columns(self, member: int | Store) -> tuple[Axis, ...]:
        """The axes that a loop over a row runs along: those reduced, or those of an array that are not the row's."""
        operations, traits = self.values.operations, self.values.plan.traits
        if isinstance(member, Store):
            rows = traits[member.value].rows or ()
            return tuple(axis for axis in self._axes(member.value) if axis.name not in rows)
        operation, lengths = operations[member], {}
        for ref in operation.operands:
            for name, axis in zip(ref.axes, operations[ref.value].axes, strict=True):
                lengths[name] = axis.size
        return tuple(Axis(name, lengths[name]) for name in operation.detail[1])

    def _depths(self) -> dict[int | Store, int]:
        """How many folds of this kernel stand in a row before a fold or a store can be computed."""
        found: dict[int | Store, int] = {}

        def level(number: int) -> int:
            values = self.values
            needed = sources(values.operations, values.plan.traits, values.plan.kept, number, self.kernel.step)
            return 1 + max((found[part] for part in needed if part in self.kernel.folds), default=-1)

        for number in self.kernel.folds:
            found[number] = level(number)
        for store in self.kernel.stores:
            found[store] = found[store.value] + 1 if store.value in self.kernel.folds else level(store.value)
        return found

    @staticmethod
    def _sizes(axes: tuple[Axis, ...]) -> tuple[Term, ...]:
        return tuple(canonical(axis.size) for axis in axes)

    def _product(self, axes: tuple[Axis, ...], batched: bool) -> str:
        """How many entries there are along axes, batch axes included."""
        factors = [f"lead{at}_size" for at in range(3)] if batched else []
        return " * ".join((*factors, *(self.values.size(axis.size) for axis in axes))) or "1"

    def _decoded(self, name: str, axes: tuple[Axis, ...], batched: bool) -> list[str]:
        """The index along each axis from a running number, the last axis fastest."""
        pairs = [(f"lead{at}", f"lead{at}_size") for at in range(3)] if batched else []
        for axis in axes:
            pairs.append((axis.name, self.values.size(axis.size)))
        if not pairs:
            return []
        if len({pair for pair, _ in pairs}) != len(pairs):
            raise PrinterError(f"axes {pairs} of kernel {self.name!r} have one name twice")
        lines, rest = [], name
        for place in range(len(pairs) - 1, 0, -1):
            index, size = pairs[place]
            lines.append(f"const long long {index} = {rest} % {size};")
            following = f"{name}_{place}" if place > 1 else pairs[0][0]
            lines.append(f"const long long {following} = {rest} / {size};")
            rest = following
        return lines or [f"const long long {pairs[0][0]} = {name};"]
