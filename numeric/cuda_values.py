"""Values of an array program as expressions of CUDA C++, inside one kernel.

What it does: computes any value at any place (an index expression for each of its axes) from what lies in memory, from the folds
of the row, and from scalars that are handed in. Every operation is one ``const`` local with the term it stands for as a comment;
the same value at the same place is computed once in a scope. What depends on no tensor is computed in double and rounded once
where it meets a tensor. An absent optional tensor reads as what changes nothing: 0 added, everything allowed.

Guarantees: x/0 = 0 exactly where the array printer guards it. Refuses operations it does not know.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from kernelproof.numeric.cuda_plan import Kernel, Plan, in_memory
from kernelproof.numeric.cuda_types import FUNCTIONS, Types, literal
from kernelproof.numeric.program import Operation, Program, Ref
from kernelproof.numeric.source_code import SCALAR, TABLE, PrinterError, proved_positive, size_code, sizes_in
from kernelproof.symbolic.printing.render import text
from kernelproof.symbolic.terms import Num, Op, Term

PREFIXES = {"exp": "power", "sin": "sine", "cos": "cosine", "sqrt": "root"}


@dataclass(frozen=True)
class Place:
    """An index expression; ``inner`` where it changes within a row."""

    code: str
    inner: bool = True

    @property
    def operand(self) -> str:
        return self.code if self.code.isidentifier() or self.code.isdigit() else f"({self.code})"


@dataclass(frozen=True)
class Local:
    """A value in C: its expression and its C type."""

    code: str
    type: str


@dataclass
class Scope:
    """Lines of a block, and the values that they hold."""

    lines: list[str] = field(default_factory=list)
    known: dict[tuple[int, tuple[str, ...]], Local] = field(default_factory=dict)


@dataclass(frozen=True)
class Tensor:
    """An array that the kernel is handed: its name in C, the value, and how it is stored."""

    name: str
    value: int
    type: str
    batched: bool
    optional: bool = False


@dataclass(frozen=True)
class Source:
    """What the surrounding Python knows of the program: code of a value, of a guarded divisor, the C type of an input, and which
    inputs may be absent."""

    code: Callable[[int], str]
    divisor: Callable[[Operation], str]
    input_type: Callable[[Operation], str]
    optional: frozenset[str]


class Values:
    """Computes values inside one kernel; collects what it must be handed."""

    def __init__(self, program: Program, plan: Plan, kernel: Kernel, types: Types, source: Source) -> None:
        self.operations, self.plan, self.kernel, self.types, self.source = program.operations, plan, kernel, types, source
        self.outer = Scope()
        self.inner = self.outer
        self.registers: dict[int, tuple[tuple[str, ...], str]] = {}
        self.tensors: dict[int, Tensor] = {}
        self.numbers: dict[tuple[str, str], tuple[str, str]] = {}
        self.sizes: dict[str, None] = {}
        self.helpers: set[tuple[str, str]] = set()
        self.functions: set[str] = set()
        self._counts: dict[str, int] = {}

    def name(self, prefix: str) -> str:
        """A new name; the underscore keeps it apart from the names that the array printer gives."""
        self._counts[prefix] = self._counts.get(prefix, 0) + 1
        return f"{prefix}_{self._counts[prefix]}"

    def size(self, value: Term) -> str:
        """A size as a C expression; its names become parameters."""
        self.sizes.update(dict.fromkeys(var.name for var in sizes_in(value)))
        return size_code(value).operand

    def type_of(self, number: int) -> str:
        """The C type in which a value is computed."""
        operation = self.operations[number]
        if operation.kind == "input":
            kind = operation.detail[1]
            return {"indicator": "bool", "index": "long long"}.get(kind, self.types.real)
        if operation.kind in ("slice", "split", "gather"):
            return self.type_of(operation.operands[0].value)
        return "double" if self.plan.traits[number].depends == TABLE else self.types.real

    # -- values ---------------------------------------------------------------------------------------------------------------

    def value(self, number: int, places: tuple[Place, ...], wanted: str) -> str:
        """The value at a place, as an expression of the wanted C type that binds tightly."""
        operation = self.operations[number]
        if operation.kind == "number":
            return literal(operation.detail[0], wanted)
        if self.plan.traits[number].depends == SCALAR:
            return self._number(self.source.code(number), wanted, operation)
        found = self._local(number, places)
        return found.code if found.type == wanted else f"({wanted}){found.code}"

    def ref(self, ref: Ref, along: dict[str, Place], wanted: str) -> str:
        """An operand, its axes being at the places given by name."""
        return self.value(ref.value, tuple(along[name] for name in ref.axes), wanted)

    def _local(self, number: int, places: tuple[Place, ...]) -> Local:
        key = (number, tuple(place.code for place in places))
        if number in self.registers and self.registers[number][0] == key[1]:
            return Local(self.registers[number][1], self.type_of(number))
        scope = self.inner if any(place.inner for place in places) else self.outer
        if key not in scope.known:
            scope.known[key] = self._computed(number, places, scope)
        return scope.known[key]

    def _computed(self, number: int, places: tuple[Place, ...], scope: Scope) -> Local:
        operation, trait = self.operations[number], self.plan.traits[number]
        if in_memory(operation, trait, number in self.plan.kept, self.kernel.step):
            return self._named(operation, "value", Local(self._loaded(number, places), self.type_of(number)), scope, False)
        along = dict(zip(operation.names, places, strict=True))
        if operation.kind == "index":
            return Local(f"(double){places[0].operand}", "double")
        if operation.kind == "map":
            return self._map(number, operation, along, scope)
        if operation.kind == "select":
            indicator = self.ref(operation.operands[0], along, "bool")
            chosen = self.ref(operation.operands[1], along, self.types.real)
            code = f"{indicator} ? {chosen} : {literal(Num(0).value, self.types.real)}"
            return self._named(operation, "chosen", Local(code, self.types.real), scope)
        if operation.kind in ("slice", "split", "gather"):
            return self._local(operation.operands[0].value, getattr(self, f"_{operation.kind}_places")(operation, places, along))
        raise PrinterError(f"operation {operation.kind!r} has no CUDA text at this place")

    def _named(self, operation: Operation, prefix: str, found: Local, scope: Scope, explained: bool = True) -> Local:
        name = self.name(prefix)
        comment = f"  // {meaning(operation)}" if explained and operation.meaning is not None else ""
        scope.lines.append(f"const {found.type} {name} = {found.code};{comment}")
        return Local(name, found.type)

    # -- maps -----------------------------------------------------------------------------------------------------------------

    def _map(self, number: int, operation: Operation, along: dict[str, Place], scope: Scope) -> Local:
        real, name = self.type_of(number), operation.detail[0]
        if name == "div":
            code = f"{self.ref(operation.operands[0], along, real)} / {self._divisor(operation, along, real)}"
        else:
            code = self._elementary(name, [self.ref(ref, along, real) for ref in operation.operands], real, operation)
        return self._named(operation, PREFIXES.get(name, "value"), Local(code, real), scope)

    def _elementary(self, name: str, args: list[str], real: str, operation: Operation) -> str:
        infix = {"add": "+", "sub": "-", "mul": "*"}
        if name in infix:
            return f"{args[0]} {infix[name]} {args[1]}"
        if name == "neg":
            return f"-{args[0]}"
        if name == "broadcast":
            return args[0]
        if name == "less":
            return f"{args[0]} < {args[1]} ? {literal(Num(1).value, real)} : {literal(Num(0).value, real)}"
        if name == "max":
            self.helpers.add(("kp_max", real))
            return f"kp_max({args[0]}, {args[1]})"
        if name == "pow" and 1 <= operation.detail[1] <= 8:
            return " * ".join([args[0]] * operation.detail[1])
        if name in FUNCTIONS[real]:
            self.functions.add(FUNCTIONS[real][name])
            return f"{FUNCTIONS[real][name]}({args[0]})"
        raise PrinterError(f"map {operation.detail!r} has no CUDA text")

    def _divisor(self, operation: Operation, along: dict[str, Place], real: str) -> str:
        """The divisor of a quotient, guarded unless the core proves it positive."""
        ref, meant = operation.operands[1], operation.meaning
        divisor = self.operations[ref.value]
        if self.plan.traits[ref.value].depends == SCALAR:
            if divisor.kind == "number" and divisor.detail[0] != 0:
                return literal(divisor.detail[0], real)
            return self._number(self.source.divisor(operation), real, divisor, ", or infinite where that is 0")
        code = self.ref(ref, along, real)
        if isinstance(meant, Op) and proved_positive(meant.args[1]):
            return code
        self.helpers.add(("kp_divisor", real))
        return f"kp_divisor({code})"

    def _number(self, code: str, wanted: str, operation: Operation, guard: str = "") -> str:
        """A scalar that the caller computes in double and hands in rounded to the C type."""
        if (code, wanted) not in self.numbers:
            shown = meaning(operation) + guard
            taken = {name for name, _ in self.numbers.values()}
            name = code if code.isidentifier() and code not in taken else self.name("number")
            self.numbers[code, wanted] = (name, shown if shown != name else "")
        return self.numbers[code, wanted][0]

    # -- memory ---------------------------------------------------------------------------------------------------------------

    def tensor(self, number: int) -> Tensor:
        """The array that holds a value."""
        if number not in self.tensors:
            operation, trait = self.operations[number], self.plan.traits[number]
            code = self.source.code(number)
            name = code if code.isidentifier() else self.name("array")
            optional = operation.kind == "input" and operation.detail[0] in self.source.optional
            type_ = self.source.input_type(operation) if operation.kind == "input" else self.types.real
            self.tensors[number] = Tensor(name, number, type_, trait.batched, optional)
        return self.tensors[number]

    def element(self, name: str, batched: bool, places: tuple[Place, ...]) -> str:
        """An entry of an array: every axis has its own stride."""
        terms = [f"lead{at} * {name}_lead{at}" for at in range(3)] if batched else []
        terms += [f"{place.operand} * {name}_by{at}" for at, place in enumerate(places)]
        return f"{name}[{' + '.join(terms) or '0'}]"

    def _loaded(self, number: int, places: tuple[Place, ...]) -> str:
        tensor = self.tensor(number)
        code = self.element(tensor.name, tensor.batched, places)
        if tensor.type == self.types.stored and self.types.converts:
            code = f"{self.types.widen}({code})"
        if not tensor.optional:
            return code
        if tensor.type == "bool":
            return f"{tensor.name} == nullptr || {code}"
        return f"{tensor.name} == nullptr ? {literal(Num(0).value, self.type_of(number))} : {code}"

    # -- views ----------------------------------------------------------------------------------------------------------------

    def _slice_places(self, operation: Operation, places: tuple[Place, ...], along: dict[str, Place]) -> tuple[Place, ...]:
        found = []
        for part, place in zip(operation.detail, places, strict=True):
            if part is None or (part[0] is Num(0) and part[1] == 1):
                found.append(place)
                continue
            start, step, _ = part
            code = place.operand if step == 1 else f"{step} * {place.operand}"
            found.append(Place(code if start is Num(0) else f"{self.size(start)} + {code}", place.inner))
        return tuple(found)

    def _split_places(self, operation: Operation, places: tuple[Place, ...], along: dict[str, Place]) -> tuple[Place, ...]:
        (at,) = operation.detail
        outer, inner = places[at : at + 2]
        joined = f"{outer.operand} * {self.size(operation.axes[at + 1].size)} + {inner.operand}"
        return (*places[:at], Place(joined, outer.inner or inner.inner), *places[at + 2 :])

    def _gather_places(self, operation: Operation, places: tuple[Place, ...], along: dict[str, Place]) -> tuple[Place, ...]:
        found = []
        for kind, what in operation.detail:
            if kind == "axis":
                found.append(along[what])
                continue
            ref = operation.operands[what]
            inner = any(along[name].inner for name in ref.axes)
            found.append(Place(self.ref(ref, along, "long long"), inner))
        return tuple(found)


def meaning(operation: Operation) -> str:
    """The term that a value stands for, on one line of bearable length."""
    if operation.kind == "size":
        return text(operation.detail[0])
    if operation.meaning is None:
        return str(operation.detail[0]) if operation.detail else operation.kind
    shown = text(operation.meaning)
    return shown if len(shown) <= 80 else shown[:77] + "…"
