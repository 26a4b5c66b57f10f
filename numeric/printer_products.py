"""The text of contractions, and of bringing values to the axes of their use.

What it does: a contraction is one matrix product where both sides can be brought to its form: batch axes in front, one axis summed.
A weight matrix whose heads are seen as two axes is used whole, and the product is seen as two axes instead. Everything else is an
einsum. Guarantees: a table is rounded to the working type once.
"""

from __future__ import annotations

from kernelproof.numeric.program import Operation, Program, Ref
from kernelproof.numeric.source_code import SCALAR, TABLE, TENSOR, Code, size_code


class ProductPrinter:
    """The lines written so far, and the contractions among them."""

    def __init__(self, program: Program, module: str) -> None:
        self.program, self.module = program, module
        self.lines: list[str] = []
        self._counts: dict[str, int] = {}
        self._casts: dict[str, str] = {}

    def _ref(self, ref: Ref) -> Code:
        """The text of a use of a value."""
        raise NotImplementedError

    def _assigned(self, prefix: str, code: str, comment: str = "") -> str:
        """A new name for a piece of code."""
        self._counts[prefix] = self._counts.get(prefix, 0) + 1
        name = f"{prefix}{self._counts[prefix]}"
        self.lines.append(f"{name} = {code}{comment}")
        return name

    def _print_contract(self, operation: Operation) -> Code:
        (reduced,) = operation.detail
        left, right = (self._ref(ref) for ref in operation.operands)
        both = [name for name in left.axes if name in right.axes and name not in reduced]
        own_left = [name for name in left.axes if name not in right.axes]
        own_right = [name for name in right.axes if name not in left.axes]
        merged = self._merged(operation.operands[1], reduced, own_right)
        if not both and merged is not None and len(own_left) == 1:
            return self._merged_product(operation, left, merged, reduced, own_left, own_right)
        if len(reduced) == 1 and len(own_right) == 1 and (len(own_left) == 1 or (both and own_left)):
            # of several axes that only the left side has, all but the last are stacks of matrices that share the right one
            a = self._aligned(left, (*both, *own_left, *reduced), TENSOR, left.batched)
            b = self._aligned(right, (*both, *own_left[:-1], *reduced, *own_right), TENSOR, right.batched)
            return Code(self._product("matmul", f"{a.code}, {b.code}", operation), operation.names, TENSOR, left.batched or right.batched)
        letters = {name: chr(97 + place) for place, name in enumerate(dict.fromkeys((*left.axes, *right.axes)))}
        sides = ["..." + "".join(letters[name] for name in axes) for axes in (left.axes, right.axes, operation.names)]
        arguments = f'"{sides[0]},{sides[1]}->{sides[2]}", {left.code}, {right.code}, optimize=True'
        return Code(self._product("einsum", arguments, operation), operation.names, TENSOR, left.batched or right.batched)

    def _product(self, function: str, arguments: str, _: Operation) -> str:
        """The call that makes a contraction."""
        return f"{self.module}.{function}({arguments})"

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
        self,
        operation: Operation,
        left: Code,
        merged: tuple[Code, bool],
        reduced: tuple[str, ...],
        own_left: list[str],
        own_right: list[str],
    ) -> Code:
        whole, joins = merged
        sizes = {axis.name: size_code(axis.size).code for axis in self.program.operations[operation.operands[1].value].axes}
        names = self.program.operations[operation.operands[1].value].names
        lengths = dict(zip(operation.operands[1].axes, (sizes[name] for name in names), strict=True))
        arranged = self._aligned(left, (*own_left, *reduced), TENSOR, left.batched)
        if joins:
            name = arranged.code if arranged.code.isidentifier() else self._assigned("heads_last", arranged.code)
            joined = f"{name}.reshape({name}.shape[:-2] + ({lengths[reduced[0]]} * {lengths[reduced[1]]},))"
            return Code(self._product("matmul", f"{joined}, {whole.code}", operation), operation.names, TENSOR, left.batched)
        columns = ", ".join(lengths[name] for name in own_right)
        return Code(self._split_product(operation, arranged, whole.code, columns), operation.names, TENSOR, left.batched)

    def _split_product(self, _: Operation, left: Code, right: str, columns: str) -> str:
        """The code of a product of two matrices whose columns are seen as two axes of these lengths."""
        return f"{self.module}.matmul({left.code}, {right}).reshape({left.operand}.shape[:-1] + ({columns}))"

    def _aligned(self, value: Code, want: tuple[str, ...], depends: str, batched: bool) -> Code:
        """The value with axes in the wanted order and places for missing ones; tables are rounded where they meet tensors."""
        code, atomic = value.code, value.atomic
        if value.depends == SCALAR:
            return value
        if value.depends == TABLE and depends == TENSOR:
            code, atomic = self._rounded(value), True
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

    def _rounded(self, table: Code) -> str:
        """A table in the working type, under a name of its own if it has one."""
        if not table.code.isidentifier():
            return f"{table.operand}.astype(work)"
        if table.code not in self._casts:
            self._casts[table.code] = self._assigned("table", f"{table.code}.astype(work)")
        return self._casts[table.code]
