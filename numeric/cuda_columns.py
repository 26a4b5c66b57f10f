"""The text of one CUDA kernel that sums along leading axes, where neighbouring rows of its kind lie side by side in memory.

What it does: as a row kernel of ``cuda_kernel``, for sums alone; but a block has 32 neighbouring rows, one for each lane of its warps, and
each of its warps takes every so many entries of all 32. So a warp reads neighbouring entries, where lanes along the sum would read entries
that are a whole row of memory apart. Warps join their sums through shared memory by halves. Guarantees: the order of a sum is that of the
shape alone; what is not summed so in all arrays of a kernel stays a row kernel. Cannot see: speed; where rows are few, few blocks work.
"""

from __future__ import annotations

from dataclasses import replace

from kernelproof.numeric.cuda_kernel import LANES, KernelPrinter, KernelText
from kernelproof.numeric.cuda_plan import Kernel, Plan, sources
from kernelproof.numeric.cuda_values import Place, Scope
from kernelproof.numeric.program import Axis, Operation
from kernelproof.symbolic.binding import canonical

#: warps of a block, by whether a kernel has more arrays than ARRAYS, whose strides take registers: 65536 are enough for one block or more
ARRAYS, LINES, REGISTERS = 5, (16, 8), (128, 168)


def is_columnar(operations: list[Operation], plan: Plan, kernel: Kernel) -> bool:
    """Whether a kernel writes sums alone, and all matrices that differ from row to row have entries of neighbouring rows side by side."""
    written = [store.value for store in kernel.stores]
    if kernel.kind != "rows" or kernel.batched or not kernel.rows or not set(written) <= set(kernel.folds):
        return False
    own, matrices = canonical(kernel.rows[-1].size), list[tuple[Axis, ...]]()
    for number in kernel.folds:
        kind, reduced = operations[number].detail
        lengths = {name: axis.size for ref in operations[number].operands for name, axis in _along(operations, ref.value, ref.axes)}
        found = sources(operations, plan.traits, plan.kept, number, kernel.step)
        inner = any(part in kernel.folds for part in found)  # a fold that another one of the row is needed for
        if kind != "sum" or inner or any(canonical(lengths[name]) == own for name in reduced):
            return False
        matrices += [operations[part].axes for part in found if len(operations[part].axes) > 1]
    read = [sizes for axes in matrices if own in (sizes := [canonical(axis.size) for axis in axes])]  # others are alike for all rows
    return bool(read) and all(sizes[-1] == own for sizes in read)


def _along(operations: list[Operation], value: int, names: tuple[str, ...]) -> zip[tuple[str, Axis]]:
    return zip(names, operations[value].axes, strict=True)


class ColumnsPrinter(KernelPrinter):
    """Prints one such kernel."""

    def run(self) -> KernelText:
        found = super().run()
        many = len(found.tensors) + len(found.written) > ARRAYS
        lines = LINES[many]
        launch = {**found.launch, "block": LANES * lines, "lanes": lines, "registers": REGISTERS[many]}
        bounds = f'extern "C" __global__ void __launch_bounds__({LANES * lines}, 1) {self.name}('
        text = found.text.replace("LINES", str(lines)).replace(f'extern "C" __global__ void {self.name}(', bounds)
        return replace(found, text=text, launch=launch)

    def _what(self) -> str:
        return "one lane of LINES warps for each row"

    def _rows(self) -> tuple[list[str], tuple[tuple[Axis, ...], ...]]:
        values, rows = self.values, self.kernel.rows
        values.outer = Scope()
        row, count = tuple(Place(axis.name, inner=False) for axis in rows), self._product(rows, False)
        (real,) = {values.type_of(number) for number in self.kernel.folds}
        body, before, after = values.outer.lines, list[str](), list[str]()
        for members in self._loops(list(self.kernel.folds), []):
            made, size = self._loop(members, row), len(members)
            before, after = [*before, *made[:size]], [*after, *made[-size:]]
            head, *rest = made[size:-size]
            body += [head.replace("= lane;", "= line;").replace(f"+= {LANES})", "+= LINES)"), *rest]
        values.helpers.discard(("kp_warp_sum", real))
        values.helpers.add(("kp_lines_sum", real))
        decoded = self._decoded("row", rows, False)
        stores = [self._stored(store, row) for store in self.kernel.stores]
        return [
            f"__shared__ {real} sums[{LANES} * LINES];",
            f"const int lane = threadIdx.x % {LANES}, line = threadIdx.x / {LANES};",
            f"for (long long tile = blockIdx.x; tile * {LANES} < {count}; tile += gridDim.x) {{",
            f"    const long long row = tile * {LANES} + lane;",
            *(f"    {line}" for line in before),
            f"    if (row < {count}) {{", *(f"        {line}" for line in (*decoded, *body)), "    }",
            *(f"    {line.replace('kp_warp_sum(', 'kp_lines_sum(sums, ')}" for line in after),
            f"    if (line == 0 && row < {count}) {{", *(f"        {line}" for line in (*decoded, *stores)), "    }",
            "}",
        ], (rows,)
