"""What stands around the attention of a block of a Transformer: each token alone, in blocks of tokens.

What it does: cuts a program at its attention. What leads to queries, keys and values (a norm, the projections) is computed in blocks of
tokens, each head's rows side by side as the tiles read them; what follows (the output projection, residuals, norms, feed-forward) in blocks
too, in place (``printer_in_place``). Guarantees: what is cut here holds one row for each token, and no sum or position runs over tokens, so
a block needs its own rows alone; any other program is refused. Beyond inputs and result there are keys, values and what attention gives,
and for each thread what a block needs: queries lie where the result is written after them. A block does not know how many threads there
are. Licence: ``feed_forward.position_wise``, with the tokens of a block as the map; norms, residuals and projections are defined of one
token. Cannot see: an ``x`` whose leading axes are no single axis in memory; that is copied.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from kernelproof.numeric.printer_in_place import InPlacePrinter
from kernelproof.numeric.program import Operation, Program, Ref
from kernelproof.numeric.schedules.attention_pattern import Pattern, attention_in
from kernelproof.numeric.schedules.rows import ROWS
from kernelproof.numeric.signatures import Signature
from kernelproof.numeric.source_code import TENSOR, Code, size_code
from kernelproof.symbolic.terms import Term

#: kinds of operations of which a row of the result needs that row of the operands
ALONE = ("input", "number", "size", "map", "fold", "contract", "split")
BLOCK = ROWS["feed_forward"]
CONSTANT = f"ROW_BLOCK = 0  # tokens of a block outside attention: {BLOCK.comment}"
PARTS = ("queries", "keys", "values")


@dataclass(frozen=True)
class Cut:
    """Three programs of one: to queries, keys and values (``heads`` are their numbers); attention; from there to the result."""

    before: Program
    heads: tuple[int, ...]
    middle: Program
    pattern: Pattern
    after: Program


def cut(program: Program, pattern: Pattern, signature: Signature) -> Cut | None:
    """A program cut at its attention, or None where what stands around it is not of each token alone."""
    if len(pattern.products) != 1 or len(program.outputs) != 1:
        return None
    product, attended = program.operations[pattern.products[0]], program.operations[pattern.number]
    numbers = (*(ref.value for ref in product.operands), pattern.values.value)
    tokens, heads = attended.axes[-2].size, attended.axes[0].size
    found = [program.operations[number] for number in numbers]
    if len(attended.axes) != 3 or any([axis.size for axis in one.axes[:2]] != [tokens, heads] or len(one.axes) != 3 for one in found):
        return None
    refs = [Ref(number, one.names) for number, one in zip(numbers, found, strict=True)]
    before = Program(program.operations, refs, [ref.axes for ref in refs])
    by_head = {number: (name, (1, 0, 2)) for number, name in zip(numbers, PARTS, strict=True)}
    row, head, channel = (attended.names[place] for place in (1, 0, 2))
    middle = _given(Program(program.operations, [Ref(pattern.number, attended.names)], [(row, head, channel)]), by_head)
    after = _given(program, {pattern.number: ("attended", (1, 0, 2))})
    inside = attention_in(middle)
    if inside is None or len({*numbers}) < 3 or not all(_each_alone(part, tokens, signature) for part in (before, after)):
        return None
    return Cut(before, numbers, middle, inside, after)


def _given(program: Program, values: Mapping[int, tuple[str, tuple[int, ...]]]) -> Program:
    """The program with some values as inputs: each by its name, with its axes in another order."""

    def used(ref: Ref) -> Ref:
        return replace(ref, axes=tuple(ref.axes[place] for place in values[ref.value][1])) if ref.value in values else ref

    operations = [replace(operation, operands=tuple(map(used, operation.operands))) for operation in program.operations]
    for number, (name, order) in values.items():
        axes = program.operations[number].axes
        operations[number] = Operation("input", tuple(axes[place] for place in order), (), (name, "real"))
    return Program(operations, list(program.outputs), list(program.frames))


def _each_alone(program: Program, tokens: Term, signature: Signature) -> bool:
    """Whether every value has at most one axis of tokens, no operation moves along it, and ``x`` alone brings it in."""
    for number in program.live():
        operation = program.operations[number]
        along = [axis.name for axis in operation.axes if axis.size is tokens]
        read = [name for ref in operation.operands for name in _along(program, ref, tokens)]
        if operation.kind not in ALONE or len(along) > 1 or {*read} - {*along}:
            return False
        if operation.kind == "input" and operation.axes:
            known = operation.detail[0] in ("x", "attended")
            if bool(along) != known or operation.detail[0] in signature.optional:
                return False
    return True


def _along(program: Program, ref: Ref, tokens: Term) -> Iterator[str]:
    """The axes of a use that run over tokens."""
    for name, axis in zip(ref.axes, program.operations[ref.value].axes, strict=True):
        if axis.size is tokens:
            yield name


@dataclass(frozen=True)
class Text:
    """The lines before and after the call of attention, and whether they call ``_erf``."""

    before: tuple[str, ...]
    after: tuple[str, ...]
    uses_erf: bool


def text_of(made: Cut, signature: Signature, attended: str) -> Text:
    """The lines around attention; ``attended`` is the code of what it gives, heads last but one."""
    first = HeadsPrinter(made.before, signature, made.heads)
    first.run()
    last = InPlacePrinter(made.after, "np", signature.unbatched, signature.optional)
    for printer in (first, last):
        printer.erf = "_erf"
    last.run()
    heads, width = (size_code(axis.size).code for axis in made.before.operations[made.heads[0]].axes[1:])
    before = [
        "rows, lead = math.prod(x.shape[:-1]), x.shape[:-2]", f"size, whole = ROW_BLOCK or {BLOCK.size}, x.reshape((rows, d))",
        *(f"{name} = np.ones({length}, dtype=work)" for name, length in (first.ones | last.ones).items()),
        f"by_head = np.empty((3, {heads}, rows, {width}), dtype=work)  # queries, keys, values",
        "",
        "def project(number):",
        "    part = slice(number * size, (number + 1) * size)",
        "    x = whole[part]",
        *(f"    {line}" for line in first.lines),
        "",
        "_each(-(-rows // size), project)",
        f"seen = np.swapaxes(by_head.reshape((3, {heads}, math.prod(lead), n, {width})), 1, 2)",
        f"{', '.join(PARTS)} = (seen[number].reshape((*lead, {heads}, n, {width})) for number in range(3))",
    ]
    after = [
        f"joined = {attended}.reshape((rows, {heads}, {width}))",
        "result = by_head[0].reshape((rows, d))  # no query is read any more",
        "",
        "def complete(number):",
        "    part = slice(number * size, (number + 1) * size)",
        "    x, attended, out = whole[part], joined[part], result[part]",
        *(f"    {line}" for line in last.lines),
        "",
        "_each(-(-rows // size), complete)",
        "out = result.reshape(x.shape)",
    ]
    return Text(tuple(before), tuple(after), first.uses_erf or last.uses_erf)


class HeadsPrinter(InPlacePrinter):
    """Prints what leads to queries, keys and values, and writes each to its part of ``by_head``, a head's rows side by side."""

    def __init__(self, program: Program, signature: Signature, heads: tuple[int, ...]) -> None:
        super().__init__(program, "np", signature.unbatched, signature.optional)
        self._heads = heads

    def run(self) -> list[Code]:
        """The lines alone: there is no result."""
        self.lines.append("room = np.empty(x.shape, dtype=work)  # one projection")
        for number in self.program.live():
            self._print(number)
            if number in self._heads:
                row, head, channel = self.program.operations[number].names
                ref = Ref(number, (row, head, channel))
                found = self._aligned(self._ref(ref), (head, row, channel), TENSOR, True)
                self.lines.append(f"by_head[{self._heads.index(number)}, :, part] = {found.code}")
        return []

    def _named(self, operation: Operation, found: Code) -> Code:
        return found if self._number in self._heads else super()._named(operation, found)

    def _split_product(self, operation: Operation, left: Code, right: str, columns: str) -> str:
        """A projection, seen by heads."""
        if self._number not in self._heads:
            return super()._split_product(operation, left, right, columns)
        self.lines.append(f"np.matmul({left.code}, {right}, out=room)  # {self._meaning(operation)}")
        return f"room.reshape((len(room), {columns}))"
