"""Source text from an array program, for NumPy and libraries with NumPy's functions.

What it does: one assignment for each value that is used twice or costs something, the term it stands for as a comment; values used
once are written in place. Everything that depends on no tensor (angles, frequencies, constants) is computed in float64 or as a
Python number and rounded once where it meets a tensor, so float32 stays float32 and a table is as exact as its format.

Guarantees: x/0 = 0 as in the derivation: a divisor is left unguarded only where the core proves it positive. Same program, same
text. Refuses operations it does not know.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from kernelproof.numeric.program import Operation, Program, Ref
from kernelproof.symbolic.binding import children
from kernelproof.symbolic.core.equality import assumption, positivity
from kernelproof.symbolic.core.formulas import positive
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.printing.render import text
from kernelproof.symbolic.terms import Node, Num, Op, Term, Var

SCALAR, TABLE, TENSOR = "scalar", "table", "tensor"


@dataclass(frozen=True)
class Code:
    """A value as text: its axes, what it depends on, whether batch axes may stand in front, and how tightly the text binds."""

    code: str
    axes: tuple[str, ...]
    depends: str
    batched: bool = False
    atomic: bool = True

    @property
    def operand(self) -> str:
        return self.code if self.atomic else f"({self.code})"


class PrinterError(Exception):
    """An operation that has no source text. A fault of ours."""


class ArrayPrinter:
    """Prints a program. ``inputs`` says how each input is called in the source and which are batched; ``module`` is np or cp."""

    def __init__(self, program: Program, module: str, unbatched: frozenset[str], optional: frozenset[str]) -> None:
        self.program, self.module = program, module
        self._unbatched, self._optional = unbatched, optional
        self._uses = program.uses()
        self._code: dict[int, Code] = {}
        self._counts: dict[str, int] = {}
        self.lines: list[str] = []
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
        heavy = operation.kind in ("contract", "fold", "select") or (operation.kind == "map" and operation.detail[0] in ("exp", "sin", "cos"))
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
        name, kind = operation.detail
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
            return (f"{args[0].operand}**{operation.detail[1]}", False) if operation.detail[1] != 2 else self._square(args[0])
        if name == "pi":
            return "math.pi", True
        if name == "max":
            return (f"max({args[0].code}, {args[1].code})" if depends == SCALAR else f"{self.module}.maximum({args[0].code}, {args[1].code})"), True
        if name == "erf":
            self.uses_erf = self.uses_erf or depends != SCALAR
            return (f"math.erf({args[0].code})" if depends == SCALAR else f"erf({args[0].code})"), True
        if name in ("exp", "log", "sqrt", "sin", "cos", "tanh"):
            return f"{functions}.{name}({args[0].code})", True
        raise PrinterError(f"map {name!r} has no source text")

    def _square(self, arg: Code) -> tuple[str, bool]:
        if arg.code.isidentifier():
            return f"{arg.code} * {arg.code}", False
        return f"{arg.operand} ** 2" if arg.depends == SCALAR else f"{self.module}.square({arg.code})", arg.depends != SCALAR

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

    def _assigned(self, prefix: str, code: str, comment: str = "") -> str:
        """A new name for a piece of code."""
        self._counts[prefix] = self._counts.get(prefix, 0) + 1
        name = f"{prefix}{self._counts[prefix]}"
        self.lines.append(f"{name} = {code}{comment}")
        return name

    def _is_optional(self, ref: Ref) -> bool:
        operation = self.program.operations[ref.value]
        return operation.kind == "input" and operation.detail[0] in self._optional

    def _optional_sum(self, operation: Operation, operands: list[Code], batched: bool) -> Code:
        name = operands[1].code
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
        mask = self._aligned(guard[0], names, TENSOR, batched)
        hidden = f"{self.module}.max({self.module}.where({mask.code}, {shown.code}, -math.inf), axis={axis}, initial=-math.inf)"
        top = self._assigned("highest", f"{plain} if {guard[0].code} is None else {hidden}")
        return Code(f"{self.module}.where({top} == -math.inf, 0, {top})", operation.names, TENSOR, batched)

    def _print_contract(self, operation: Operation) -> Code:
        (reduced,) = operation.detail
        left, right = (self._ref(ref) for ref in operation.operands)
        both = [name for name in left.axes if name in right.axes and name not in reduced]
        own_left = [name for name in left.axes if name not in right.axes]
        own_right = [name for name in right.axes if name not in left.axes]
        merged = self._merged(operation.operands[1], reduced, own_right)
        if not both and merged is not None and len(own_left) == 1:
            return self._merged_product(operation, left, merged, reduced, own_left, own_right)
        if len(reduced) == 1 and len(own_left) == 1 and len(own_right) == 1:
            a = self._aligned(left, (*both, *own_left, *reduced), TENSOR, left.batched)
            b = self._aligned(right, (*both, *reduced, *own_right), TENSOR, right.batched)
            return Code(f"{self.module}.matmul({a.code}, {b.code})", operation.names, TENSOR, left.batched or right.batched)
        letters = {name: chr(97 + place) for place, name in enumerate(dict.fromkeys((*left.axes, *right.axes)))}
        sides = ["..." + "".join(letters[name] for name in axes) for axes in (left.axes, right.axes, operation.names)]
        code = f'{self.module}.einsum("{sides[0]},{sides[1]}->{sides[2]}", {left.code}, {right.code}, optimize=True)'
        return Code(code, operation.names, TENSOR, left.batched or right.batched)

    def _merged(self, ref: Ref, reduced: tuple[str, ...], own: list[str]) -> tuple[Code, bool] | None:
        """A split weight matrix used whole: its code, and whether the split axes are the reduced ones."""
        operation = self.program.operations[ref.value]
        if operation.kind != "split" or len(ref.axes) != 3:
            return None
        whole = self._ref(operation.operands[0])
        (place,) = operation.detail
        pair = ref.axes[place : place + 2]
        if place == 1 and list(pair) == own and ref.axes[:1] == reduced:
            return whole, False
        if place == 0 and pair == reduced and list(ref.axes[2:]) == own:
            return whole, True
        return None

    def _merged_product(
        self, operation: Operation, left: Code, merged: tuple[Code, bool], reduced: tuple[str, ...], own_left: list[str], own_right: list[str]
    ) -> Code:
        whole, joins = merged
        sizes = {axis.name: size_code(axis.size).code for axis in self.program.operations[operation.operands[1].value].axes}
        names = self.program.operations[operation.operands[1].value].names
        lengths = dict(zip(operation.operands[1].axes, (sizes[name] for name in names), strict=True))
        arranged = self._aligned(left, (*own_left, *reduced), TENSOR, left.batched)
        if joins:
            name = self._assigned("heads_last", arranged.code)
            joined = f"{name}.reshape({name}.shape[:-2] + ({lengths[reduced[0]]} * {lengths[reduced[1]]},))"
            return Code(f"{self.module}.matmul({joined}, {whole.code})", operation.names, TENSOR, left.batched)
        product = f"{self.module}.matmul({arranged.code}, {whole.code})"
        shape = f"{arranged.operand}.shape[:-1] + ({lengths[own_right[0]]}, {lengths[own_right[1]]})"
        return Code(f"{product}.reshape({shape})", operation.names, TENSOR, left.batched)

    # -- views ----------------------------------------------------------------------------------------------------------------

    def _print_slice(self, operation: Operation) -> Code:
        table = self._ref(operation.operands[0])
        picks = []
        for part, axis in zip(operation.detail, self.program.operations[operation.operands[0].value].axes, strict=True):
            whole = part is None or (part[0] is Num(0) and part[1] == 1 and part[2] is axis.size)
            picks.append(":" if whole or part is None else _slice(part))
        return Code(f"{table.operand}[..., {', '.join(picks)}]", operation.names, table.depends, table.batched)

    def _print_split(self, operation: Operation) -> Code:
        table = self._ref(operation.operands[0])
        (place,) = operation.detail
        lengths = ", ".join(size_code(axis.size).code for axis in operation.axes[place : place + 2])
        rank = len(operation.axes) - 1
        after = f" + {table.operand}.shape[-{rank - place - 1}:]" if place < rank - 1 else ""
        shape = f"{table.operand}.shape[:-{rank - place}] + ({lengths}){after}"
        return Code(f"{table.operand}.reshape({shape})", operation.names, table.depends, table.batched)

    def _print_gather(self, operation: Operation) -> Code:
        table, *indices = (self._ref(ref) for ref in operation.operands)
        kinds = [kind for kind, _ in operation.detail]
        if kinds[:1] != ["index"] or "index" in kinds[1:] or table.batched:
            raise PrinterError("a gather along more than the first axis of a table has no source text")
        return Code(f"{self.module}.take({table.code}, {indices[0].code}, axis=0)", operation.names, TENSOR, indices[0].batched)

    # -- alignment ------------------------------------------------------------------------------------------------------------

    def _aligned(self, value: Code, want: tuple[str, ...], depends: str, batched: bool) -> Code:
        """The value with axes in the wanted order and places for missing ones; tables are rounded where they meet tensors."""
        code, atomic = value.code, value.atomic
        if value.depends == SCALAR:
            return value
        if value.depends == TABLE and depends == TENSOR:
            code, atomic = f"{value.operand}.astype(work)", True
        have = [name for name in want if name in value.axes]
        current = list(value.axes)
        while current != have:
            place = next(at for at, name in enumerate(have) if current[at] != name)
            other = current.index(have[place])
            rank = len(current)
            code, atomic = f"{self.module}.swapaxes({code}, {place - rank}, {other - rank})", True
            current[place], current[other] = current[other], current[place]
        picks = [":" if name in have else "None" for name in want]
        if not value.batched:
            while picks and picks[0] == "None":
                picks.pop(0)
        if "None" in picks:
            shown = code if atomic else f"({code})"
            lead = "..., " if value.batched else ""
            code, atomic = f"{shown}[{lead}{', '.join(picks)}]", True
        return Code(code, want, value.depends, value.batched, atomic)


def _slice(part: tuple[Term, int, Term]) -> str:
    start, step, length = part
    first = "" if start is Num(0) else size_code(start).operand
    count = size_code(length).operand
    if step == 1:
        return f"{first}:{first} + {count}" if first else f":{count}"
    return f"{first}:{(first + ' + ') if first else ''}{step} * {count}:{step}"


def size_code(value: Term) -> Code:
    """A size as a Python expression of size names."""
    if isinstance(value, Num):
        return Code(str(value.value), (), SCALAR)
    if isinstance(value, Var):
        return Code(value.name, (), SCALAR)
    if isinstance(value, Op) and value.name in ("add", "mul"):
        left, right = (size_code(arg) for arg in value.args)
        return Code(f"{left.operand} {'+' if value.name == 'add' else '*'} {right.operand}", (), SCALAR, atomic=False)
    raise PrinterError(f"size {value!r} has no source text")


def proved_positive(value: Term) -> bool:
    """Whether the core proves the term positive, every length in it being positive (for a length of 0 nothing is divided)."""
    premises = [assumption((), positive(var)) for var in sizes_in(value)]
    try:
        positivity(premises, value)
    except ProofError:
        return False
    return True


def sizes_in(value: Node) -> list[Var]:
    """The sizes that occur in a term."""
    found = {value: None} if isinstance(value, Var) and value.kind == "size" else {}
    for part, _ in children(value):
        found.update(dict.fromkeys(sizes_in(part)))
    return list(found)
