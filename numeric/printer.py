"""Source text from an array program, for NumPy and libraries with NumPy's functions.

What it does: one assignment for each value that is used twice or costs something, the term it stands for as a comment; values used
once are written in place. Everything that depends on no tensor (angles, frequencies, constants) is computed in float64 or as a
Python number and rounded once where it meets a tensor, so float32 stays float32 and a table is as exact as its format.

Guarantees: x/0 = 0 as in the derivation: a divisor is left unguarded only where the core proves it positive. Same program, same
text. Refuses operations it does not know, and optional inputs that would change the shape of a value. Cannot see: tables that are
equal but for their length (the frequencies of sines and of cosines are computed twice); that roots and logarithms have no negative
operand, which the checks of ``signatures`` see to.
"""

from __future__ import annotations

from fractions import Fraction

from kernelproof.numeric.printer_products import ProductPrinter
from kernelproof.numeric.program import Operation, Program, Ref
from kernelproof.numeric.source_code import SCALAR, TABLE, TENSOR, Code, PrinterError, proved_positive, size_code, sizes_in, slice_code
from kernelproof.symbolic.printing.render import text
from kernelproof.symbolic.terms import Num, Op

__all__ = ["SCALAR", "TABLE", "TENSOR", "ArrayPrinter", "Code", "PrinterError", "proved_positive", "size_code", "sizes_in"]
HEAVY = ("exp", "sin", "cos")


class ArrayPrinter(ProductPrinter):
    """Prints a program. ``inputs`` says how each input is called in the source and which are batched; ``module`` is np or cp."""

    def __init__(self, program: Program, module: str, unbatched: frozenset[str], optional: frozenset[str]) -> None:
        super().__init__(program, module)
        self._unbatched, self._optional = unbatched, optional
        self._uses = program.uses()
        self._code: dict[int, Code] = {}
        self.uses_erf = False

    def run(self) -> list[Code]:
        """Print every needed value; the outputs as code."""
        for number in self.program.live():
            self._print(number)
        found = [self._ref(ref) for ref in self.program.outputs]
        wanted = self.program.frames or [code.axes for code in found]
        return [self._aligned(code, frame, code.depends, code.batched) for code, frame in zip(found, wanted, strict=True)]

    # -- one value ------------------------------------------------------------------------------------------------------------

    def _print(self, number: int) -> None:
        operation = self.program.operations[number]
        handler = getattr(self, f"_print_{operation.kind}", None)
        if handler is None:
            raise PrinterError(f"operation {operation.kind!r} has no source text")
        found: Code = handler(operation)
        heavy = operation.kind in ("contract", "fold", "select") or (operation.kind == "map" and operation.detail[0] in HEAVY)
        if found.depends == SCALAR or operation.kind in ("input", "slice", "split"):
            heavy = False
        if not found.axes and not found.batched and self._uses[number] < 2:
            heavy = False
        if heavy or (self._uses[number] > 1 and not found.code.isidentifier() and operation.kind not in ("number", "size")):
            found = self._named(operation, found)
        self._code[number] = found

    def _named(self, operation: Operation, found: Code) -> Code:
        prefix = {"contract": "product", "fold": "reduced", "select": "chosen", "index": "position"}.get(operation.kind, "value")
        if operation.kind == "fold":
            prefix = {"sum": "total", "max": "top"}[operation.detail[0]]
        elif operation.kind == "map" and operation.detail[0] in ("exp", "sin", "cos", "sqrt"):
            prefix = {"exp": "power", "sin": "sine", "cos": "cosine", "sqrt": "root"}[operation.detail[0]]
        comment = f"  # {self._meaning(operation)}" if operation.meaning is not None else ""
        name = self._assigned(prefix, found.code, comment)
        return Code(name, found.axes, found.depends, found.batched)

    @staticmethod
    def _meaning(operation: Operation) -> str:
        assert operation.meaning is not None
        shown = text(operation.meaning)
        return shown if len(shown) <= 80 else shown[:77] + "…"

    def _ref(self, ref: Ref) -> Code:
        found = self._code[ref.value]
        return Code(found.code, ref.axes, found.depends, found.batched, found.atomic)

    # -- leaves ---------------------------------------------------------------------------------------------------------------

    def _print_input(self, operation: Operation) -> Code:
        name = operation.detail[0]
        if not operation.axes:
            return Code(name, (), SCALAR)
        return Code(name, operation.names, TENSOR, name not in self._unbatched)

    def _print_number(self, operation: Operation) -> Code:
        value: Fraction = operation.detail[0]
        if value.denominator == 1:
            return Code(f"{value.numerator}.0", (), SCALAR, atomic=value >= 0)
        if (value.denominator & (value.denominator - 1)) == 0 and value.denominator <= 1024:
            return Code(repr(float(value)), (), SCALAR, atomic=value >= 0)
        return Code(f"({value.numerator} / {value.denominator})", (), SCALAR)

    def _print_size(self, operation: Operation) -> Code:
        return size_code(operation.detail[0])

    def _print_index(self, operation: Operation) -> Code:
        length = size_code(operation.axes[0].size).code
        return Code(f"{self.module}.arange({length}, dtype={self.module}.float64)", operation.names, TABLE)

    # -- maps -----------------------------------------------------------------------------------------------------------------

    def _print_map(self, operation: Operation) -> Code:
        operands = [self._ref(ref) for ref in operation.operands]
        depends = max((part.depends for part in operands), key=(SCALAR, TABLE, TENSOR).index, default=SCALAR)
        batched = any(part.batched for part in operands)
        name = operation.detail[0]
        if name == "add" and self._is_optional(operation.operands[1]):
            return self._optional_sum(operation, operands, batched)
        args = [self._aligned(part, operation.names, depends, batched) for part in operands]
        code, atomic = self._elementary(operation, name, args, depends)
        return Code(code, operation.names, depends, batched, atomic)

    def _elementary(self, operation: Operation, name: str, args: list[Code], depends: str) -> tuple[str, bool]:
        functions = "math" if depends == SCALAR else self.module
        infix = {"add": "+", "sub": "-", "mul": "*"}
        if name in infix:
            return f"{args[0].operand} {infix[name]} {args[1].operand}", False
        if name == "div":
            return f"{args[0].operand} / {self._divisor(operation, args[1])}", False
        if name == "neg":
            return f"-{args[0].operand}", False
        if name == "pow":
            return self._power(args[0], operation.detail[1])
        if name == "pi":
            return "math.pi", True
        if name == "max":
            function = "max" if depends == SCALAR else f"{self.module}.maximum"
            return f"{function}({args[0].code}, {args[1].code})", True
        if name == "erf":
            self.uses_erf = self.uses_erf or depends != SCALAR
            return (f"math.erf({args[0].code})" if depends == SCALAR else f"erf({args[0].code})"), True
        if name in ("exp", "log", "sqrt", "sin", "cos", "tanh"):
            return f"{functions}.{name}({args[0].code})", True
        raise PrinterError(f"map {name!r} has no source text")

    def _power(self, arg: Code, exponent: int) -> tuple[str, bool]:
        """By multiplications: they are faster than ``pow``, and their rounding is known."""
        if arg.depends == SCALAR or exponent not in (2, 3, 4):
            return f"{arg.operand}**{exponent}", False
        if exponent == 2 and not arg.code.isidentifier():
            return f"{self.module}.square({arg.code})", True
        name = arg.code if arg.code.isidentifier() else self._assigned("base", arg.code)
        return " * ".join([name] * exponent), False

    def _divisor(self, operation: Operation, divisor: Code) -> str:
        """x/0 = 0, for it is how the derivation reads; without a guard where the divisor is proved positive."""
        meaning = operation.meaning
        if divisor.depends == SCALAR:
            constant = isinstance(meaning, Op) and not sizes_in(meaning.args[1]) and proved_positive(meaning.args[1])
            return divisor.operand if constant else f"({divisor.code} or math.inf)"
        if isinstance(meaning, Op) and proved_positive(meaning.args[1]):
            return divisor.operand
        name = self._assigned("divisor", divisor.code)
        return f"{self.module}.where({name} == 0, math.inf, {name})"

    def _is_optional(self, ref: Ref) -> bool:
        operation = self.program.operations[ref.value]
        if operation.kind == "split":
            return self._is_optional(operation.operands[0])
        return operation.kind == "input" and operation.detail[0] in self._optional

    def _optional_sum(self, operation: Operation, operands: list[Code], batched: bool) -> Code:
        name = operands[1].code
        _require_all(operands[0], operation.names)
        plain = self._aligned(operands[0], operation.names, TENSOR, batched)
        other = self._aligned(operands[1], operation.names, TENSOR, batched)
        code = f"{plain.code} if {name} is None else {plain.operand} + {other.operand}"
        return Code(code, operation.names, TENSOR, batched, atomic=False)

    def _print_select(self, operation: Operation) -> Code:
        indicator, value = (self._ref(ref) for ref in operation.operands)
        shown = self._aligned(value, operation.names, TENSOR, True)
        mask = self._aligned(indicator, operation.names, TENSOR, True)
        if not self._is_optional(operation.operands[0]):
            return Code(f"{self.module}.where({mask.code}, {shown.code}, 0)", operation.names, TENSOR, True)
        _require_all(value, operation.names)
        code = f"{shown.code} if {indicator.code} is None else {self.module}.where({mask.code}, {shown.code}, 0)"
        return Code(code, operation.names, TENSOR, True, atomic=False)

    # -- folds ----------------------------------------------------------------------------------------------------------------

    def _print_fold(self, operation: Operation) -> Code:
        kind, reduced = operation.detail
        names = (*operation.names, *reduced)
        body, *guard = (self._ref(ref) for ref in operation.operands)
        batched = any(part.batched for part in (body, *guard))
        shown = self._aligned(body, names, body.depends, batched)
        axis = "-1" if len(reduced) == 1 else str(tuple(range(-len(reduced), 0)))
        if kind == "sum":
            return Code(f"{self.module}.sum({shown.code}, axis={axis})", operation.names, body.depends, batched)
        plain = f"{self.module}.max({shown.code}, axis={axis}, initial=-math.inf)"
        if not guard:
            return Code(plain, operation.names, body.depends, batched)
        _require_all(body, names)
        mask = self._aligned(guard[0], names, TENSOR, batched)
        hidden = f"{self.module}.max({self.module}.where({mask.code}, {shown.code}, -math.inf), axis={axis}, initial=-math.inf)"
        chosen = f"{plain} if {guard[0].code} is None else {hidden}" if self._is_optional(operation.operands[1]) else hidden
        top = self._assigned("highest", chosen)
        return Code(f"{self.module}.where({top} == -math.inf, 0, {top})", operation.names, TENSOR, batched)

    # -- views ----------------------------------------------------------------------------------------------------------------

    def _print_slice(self, operation: Operation) -> Code:
        table = self._ref(operation.operands[0])
        picks = []
        for part, axis in zip(operation.detail, self.program.operations[operation.operands[0].value].axes, strict=True):
            whole = part is None or (part[0] is Num(0) and part[1] == 1 and part[2] is axis.size)
            picks.append(":" if whole or part is None else slice_code(part))
        return Code(f"{table.operand}[..., {', '.join(picks)}]", operation.names, table.depends, table.batched)

    def _print_split(self, operation: Operation) -> Code:
        table = self._ref(operation.operands[0])
        (place,) = operation.detail
        lengths = ", ".join(size_code(axis.size).code for axis in operation.axes[place : place + 2])
        rank = len(operation.axes) - 1
        after = f" + {table.operand}.shape[-{rank - place - 1}:]" if place < rank - 1 else ""
        shape = f"{table.operand}.shape[:-{rank - place}] + ({lengths}){after}"
        if self._is_optional(operation.operands[0]):
            code = f"None if {table.code} is None else {table.operand}.reshape({shape})"
            return Code(self._assigned("parts", code), operation.names, table.depends, table.batched)
        return Code(f"{table.operand}.reshape({shape})", operation.names, table.depends, table.batched)

    def _print_gather(self, operation: Operation) -> Code:
        table, *indices = (self._ref(ref) for ref in operation.operands)
        kinds = [kind for kind, _ in operation.detail]
        if kinds[:1] != ["index"] or "index" in kinds[1:] or table.batched:
            raise PrinterError("a gather along more than the first axis of a table has no source text")
        return Code(f"{self.module}.take({table.code}, {indices[0].code}, axis=0)", operation.names, TENSOR, indices[0].batched)


def _require_all(value: Code, names: tuple[str, ...]) -> None:
    """A value that is used alone where an optional input is left out must have all axes itself."""
    if set(names) - set(value.axes):
        raise PrinterError(f"without the optional input, {value.code!r} would lack axes of {names}")
