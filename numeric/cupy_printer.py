"""The lines of a generated CuPy kernel: products by the array printer, everything between them by launches of CUDA kernels.

What it does: goes through the steps of the plan. Contractions, views and scalars are printed as the NumPy file prints them; the
kernels of a step are printed as CUDA text, and as one launch each that names sizes, scalars, arrays and results in the order of
the parameters; a function that has kernels of its own is called once for all its results. Guarantees: text and launch are made
from one object, so they cannot disagree. Cannot see: the helper that launches (``cupy_launch``).
"""

from __future__ import annotations

from collections.abc import Iterable

from kernelproof.numeric.cuda_columns import ColumnsPrinter, is_columnar
from kernelproof.numeric.cuda_kernel import KernelPrinter, KernelText, Written
from kernelproof.numeric.cuda_plan import OUTSIDE, Kernel, Store, plan
from kernelproof.numeric.cuda_types import TYPES
from kernelproof.numeric.cuda_values import Source, Values
from kernelproof.numeric.printer import ArrayPrinter
from kernelproof.numeric.program import Applied, Axis, Operation, Program, Ref
from kernelproof.numeric.signatures import Signature
from kernelproof.numeric.source_code import SCALAR, TENSOR, Code, size_code

NAMES = {"fold": "folded", "select": "chosen", "gather": "picked"}


class CupyPrinter(ArrayPrinter):
    """Prints a program of a phase. ``destinations`` are views of ``out`` that take the results, where it is made of several."""

    def __init__(self, phase: str, program: Program, signature: Signature, dtype: str, destinations: tuple[str, ...] = ()) -> None:
        super().__init__(program, "cp", signature.unbatched, signature.optional)
        self._prepare(phase, signature, dtype, destinations)

    def _prepare(self, phase: str, signature: Signature, dtype: str, destinations: tuple[str, ...]) -> None:
        """What the printer and the gradient's have in common: types, plan, and places for what is made."""
        self.types = TYPES[dtype]
        self.plan = plan(self.program, signature.unbatched, self.types.converts)
        self.kernels: list[KernelText] = []
        self.helpers: set[tuple[str, str]] = set()
        self._phase, self._destinations = phase, destinations
        self._results: dict[int, Code] = {}
        self._applied: dict[Applied, tuple[str, ...]] = {}

    @property
    def widened(self) -> tuple[str, ...]:
        """The inputs that contractions read: these are brought to the format computed in."""
        found = [self.program.operations[number] for number in sorted(self.plan.contracted)]
        return tuple(operation.detail[0] for operation in found if operation.kind == "input")

    def run(self) -> list[Code]:
        """Print all steps; the outputs as code."""
        for step in self.plan.steps:
            for number in self.program.live():
                if self.program.operations[number].kind in OUTSIDE and self.plan.traits[number].step == step:
                    self._print(number)
            for kernel in self.plan.kernels:
                if kernel.step == step:
                    self._launch(kernel)
        return [self._results.get(place) or self._ref(ref) for place, ref in enumerate(self.program.outputs)]

    def _ref(self, ref: Ref) -> Code:
        if ref.value not in self._code:
            self._print(ref.value)
        return super()._ref(ref)

    def _print_applied(self, operation: Operation) -> Code:
        """One result of a function of the file, whose call is printed with the first of them."""
        applied, place = operation.detail
        operands = [self._ref(ref) for ref in operation.operands]
        batched = any(part.batched for part in operands)
        if applied not in self._applied:
            given = [self._aligned(part, frame, TENSOR, batched).code for part, frame in zip(operands, applied.frames, strict=True)]
            given += [*(self._ref(ref).code for ref in applied.scalars), *applied.given]
            names = tuple(self._next(name) for name in applied.results)
            self.lines.append(f"{', '.join(names)} = {applied.function}({', '.join(given)})")
            self._applied[applied] = names
        return Code(self._applied[applied][place], operation.names, TENSOR, batched)

    def _next(self, prefix: str) -> str:
        """A new name."""
        self._counts[prefix] = self._counts.get(prefix, 0) + 1
        return f"{prefix}{self._counts[prefix]}"

    # -- launches -------------------------------------------------------------------------------------------------------------

    def _launch(self, kernel: Kernel) -> None:
        columnar = is_columnar(self.program.operations, self.plan, kernel)
        kind = "columns" if columnar else kernel.kind
        same = sum(found.name.startswith(f"{self._phase}_{kind}") for found in self.kernels)
        name = f"{self._phase}_{kind}{same + 1 if same else ''}"
        source = Source(self._scalar, self._guarded_divisor, self._input_type, self._optional)
        values = Values(self.program, self.plan, kernel, self.types, source)
        names = {store: self._result_name(store) for store in kernel.stores}
        found = (ColumnsPrinter if columnar else KernelPrinter)(name, values, names).run()
        self.kernels.append(found)
        self.helpers |= values.helpers
        made = [written for written in found.written if self._destination(written.store) is None]
        left = f"{_tuple(written.name for written in made)} = " if made else ""
        self.lines += [
            f"{left}_launch(",
            f'    "{name}", {self._count(found)}, {_tuple(found.sizes)},',
            f"    {_tuple(f'cp.{_numpy(type_)}({code})' for code, type_ in found.numbers)},",
            f"    {_tuple(self._operand(tensor.value) for tensor in found.tensors)},",
            f"    {_tuple(self._made(written) for written in found.written)},",
            ")",
        ]
        for written in found.written:
            code = Code(written.name, tuple(axis.name for axis in written.places), TENSOR, kernel.batched)
            if written.store.output is None:
                self._code[written.store.value] = code
            else:
                self._results[written.store.output] = code

    def _result_name(self, store: Store) -> str:
        if store.output is not None:
            return "out" if len(self.program.outputs) == 1 else f"out{store.output}"
        operation = self.program.operations[store.value]
        prefix = NAMES.get(operation.kind, "value")
        if operation.kind == "fold":
            prefix = {"sum": "total", "max": "top"}[operation.detail[0]]
        return self._next(prefix)

    def _destination(self, store: Store) -> str | None:
        return (self._destinations[store.output] or None) if self._destinations and store.output is not None else None

    def _made(self, written: Written) -> str:
        """A result of a launch: the view it fills or None, its shape and its type."""
        kind = "work" if written.store.output is None else "STORED"
        return f"({self._destination(written.store)}, {_shape(written.places)}, {kind})"

    def _operand(self, number: int) -> str:
        """An array of a launch: its code, its own shape, and whether batch axes stand in front."""
        operation = self.program.operations[number]
        return f"({self._scalar(number)}, {_shape(operation.axes)}, {self.plan.traits[number].batched})"

    @staticmethod
    def _count(found: KernelText) -> str:
        """How many rows or entries there are for each entry of the batch."""
        products = list(dict.fromkeys(" * ".join(size_code(axis.size).operand for axis in axes) or "1" for axes in found.counts))
        return products[0] if len(products) == 1 else f"max({', '.join(products)})"

    # -- what a kernel asks -----------------------------------------------------------------------------------------------------

    def _scalar(self, number: int) -> str:
        """The Python code of a scalar or of an array in memory."""
        operation = self.program.operations[number]
        return self._ref(Ref(number, operation.names)).code

    def _guarded_divisor(self, operation: Operation) -> str:
        """A scalar divisor, guarded as the array printer guards it."""
        divisor = self._ref(operation.operands[1])
        assert divisor.depends == SCALAR
        code = self._divisor(operation, divisor)
        return code[1:-1] if code.endswith(" or math.inf)") else code

    def _input_type(self, operation: Operation) -> str:
        name, kind = operation.detail
        if kind in ("indicator", "index"):
            return "bool" if kind == "indicator" else "long long"
        computed = name in self._optional or name in self.widened  # a mask is made by the prologue, in the format computed in
        return self.types.real if computed else self.types.stored


def _numpy(type_: str) -> str:
    return "float32" if type_ == "float" else "float64"


def _shape(axes: tuple[Axis, ...]) -> str:
    return _tuple(size_code(axis.size).code for axis in axes)


def _tuple(parts: Iterable[str]) -> str:
    """A tuple of pieces of code."""
    found = list(parts)
    return f"({', '.join(found)}{',' if len(found) == 1 else ''})"
