"""Source text from the recipe of a gradient: what the printer of forward kernels does, and what only gradients have.

What it does beyond ``printer``: products over several axes at once, and over all leading ones, as one product of two matrices; sums over
any axis where it stands, of products without making these; [a < b] as a comparison. Guarantees: as ``printer``; a value that is seen as
a matrix twice is arranged once. Cannot see: scatter-adds, which a schedule of their own writes.
"""

from __future__ import annotations

import re
from dataclasses import replace

from kernelproof.numeric.printer import ArrayPrinter
from kernelproof.numeric.program import Operation, Program, Ref
from kernelproof.numeric.source_code import TENSOR, Code, size_code

Names = tuple[str, ...]


class GradientPrinter(ArrayPrinter):
    """Prints a recipe. ``names`` says how inputs are called; with ``implicit`` leading axes may stand in front of all that is batched."""

    def __init__(
        self, program: Program, module: str, unbatched: frozenset[str], optional: frozenset[str], names: dict[str, str], implicit: bool
    ) -> None:
        super().__init__(program, module, unbatched, optional)
        self._names, self._implicit = names, implicit
        self.erf = "erf"  # the function that the text calls
        self._matrices: dict[str, str] = {}

    def _print_input(self, operation: Operation) -> Code:
        found = super()._print_input(operation)
        name = operation.detail[0]
        return Code(self._names.get(name, name), found.axes, found.depends, found.batched, found.atomic)

    def _ref(self, ref: Ref) -> Code:
        found = super()._ref(ref)
        return found if self._implicit else replace(found, batched=False)

    def run(self) -> list[Code]:
        """As the forward printer; lines whose value nothing reads are left out, such as a weight seen by heads that is used whole."""
        outputs = super().run()
        text = "\n".join(code.code for code in outputs)
        kept: list[str] = []
        for line in reversed(self.lines):
            name, _, code = line.partition(" = ")
            if re.search(rf"\b{name}\b", text):
                kept.append(line)
                text += f"\n{code.partition('  # ')[0]}"
        self.lines = kept[::-1]
        return outputs

    # -- maps -----------------------------------------------------------------------------------------------------------------

    def _print_map(self, operation: Operation) -> Code:
        if operation.detail[0] == "mul":
            for indicator, other in (operation.operands, operation.operands[::-1]):
                if self._is_comparison(indicator):
                    return self._chosen(operation, indicator, other)
        return super()._print_map(operation)

    def _is_comparison(self, ref: Ref) -> bool:
        return self.program.operations[ref.value].detail[:1] == ("less",)

    def _chosen(self, operation: Operation, indicator: Ref, other: Ref) -> Code:
        """[a < b]·c, as it stands: a choice between c and 0 takes ten times as long where a < b has no pattern."""
        shown, mask = self._ref(other), self._ref(indicator)
        batched = shown.batched or mask.batched
        parts = [self._aligned(part, operation.names, TENSOR, batched).operand for part in (mask, shown)]
        return Code(" * ".join(parts), operation.names, TENSOR, batched, atomic=False)

    def _elementary(self, operation: Operation, name: str, args: list[Code], depends: str) -> tuple[str, bool]:
        if name == "less":
            return f"{args[0].operand} < {args[1].operand}", False
        if name == "erf" and depends == TENSOR:
            self.uses_erf = True
            return f"{self.erf}({args[0].code})", True
        return super()._elementary(operation, name, args, depends)

    # -- sums -----------------------------------------------------------------------------------------------------------------

    def _print_fold(self, operation: Operation) -> Code:
        kind, reduced = operation.detail
        body = self._ref(operation.operands[0])
        left = tuple(name for name in body.axes if name not in reduced)
        if kind != "sum" or left != operation.names or not set(reduced) <= set(body.axes):
            return super()._print_fold(operation)
        factors = self._factors(operation.operands[0])
        if body.depends == TENSOR and (len(factors) > 1 or body.axes[-len(reduced) :] == reduced):
            letters = dict(zip(body.axes, "ijklmnopq", strict=False))
            lead = "..." if body.batched else ""
            sides = [(lead if part.batched else "") + "".join(letters[name] for name in part.axes) for part in factors]
            text = f"{','.join(sides)}->{lead}{''.join(letters[name] for name in left)}"
            code = f'{self.module}.einsum("{text}", {", ".join(part.code for part in factors)})'
            return Code(code, operation.names, TENSOR, body.batched)
        places = sorted(body.axes.index(name) - len(body.axes) for name in reduced)
        axis = str(places[0]) if len(places) == 1 else str(tuple(places))
        return Code(f"{self.module}.sum({body.code}, axis={axis})", operation.names, body.depends, body.batched)

    def _factors(self, ref: Ref) -> list[Code]:
        """What a sum runs over: the factors of a product that nothing else reads, or the value as it is."""
        operation, whole = self.program.operations[ref.value], [self._ref(ref)]
        names = dict(zip(operation.names, ref.axes, strict=True))
        factors = [self._ref(operand.renamed(names)) for operand in operation.operands]
        if self._uses[ref.value] > 1 or any(part.depends != TENSOR for part in factors):
            return whole
        if operation.detail[:1] == ("mul",) and not any(self._is_comparison(operand) for operand in operation.operands):
            return factors
        return factors * 2 if operation.detail[:2] == ("pow", 2) else whole

    # -- products -------------------------------------------------------------------------------------------------------------

    def _print_contract(self, operation: Operation) -> Code:
        (reduced,) = operation.detail
        left, right = (self._ref(ref) for ref in operation.operands)
        own = [tuple(name for name in part.axes if name not in other.axes) for part, other in ((left, right), (right, left))]
        if not all(own):
            # a vector and a matrix; a sum of products, for what comes from a mask may be one row for all
            names = (*operation.names, *reduced)
            parts = [self._aligned(part, names, TENSOR, left.batched or right.batched).operand for part in (left, right)]
            axis = tuple(range(-len(reduced), 0)) if len(reduced) > 1 else -1
            return Code(f"{self.module}.sum({' * '.join(parts)}, axis={axis})", operation.names, TENSOR, left.batched or right.batched)
        shared = set(left.axes) & set(right.axes) - set(reduced)
        plain = all(len(names) == 1 for names in (*own, reduced))
        if shared or plain or left.batched or right.batched:
            return super()._print_contract(operation)
        order = tuple(name for name in left.axes if name in reduced)
        a = self._matrix(operation.operands[0], own[0], order)
        b = self._matrix(operation.operands[1], order, own[1])
        code = f"{self.module}.matmul({a}, {b})"
        names = (*own[0], *own[1])
        if len(names) > 2 or len(own[0]) != 1 or len(own[1]) != 1:
            lengths = {axis.name: size_code(axis.size).code for axis in operation.axes}
            code = f"{code}.reshape(({', '.join(lengths[name] for name in names)}))"
        found = Code(code, names, TENSOR)
        return Code(self._aligned(found, operation.names, TENSOR, False).code, operation.names, TENSOR)

    def _matrix(self, ref: Ref, rows: Names, columns: Names) -> str:
        """A value with two groups of axes as a matrix, without a copy where its memory lies so."""
        operation, shown = self.program.operations[ref.value], self._ref(ref)
        sizes = {name: size_code(axis.size) for name, axis in zip(ref.axes, operation.axes, strict=True)}
        if operation.kind == "split":
            (place,) = operation.detail
            pair, whole = ref.axes[place : place + 2], self._ref(operation.operands[0])
            if len(ref.axes) == 3 and (pair in (rows, columns)):
                return whole.code if ref.axes == (*rows, *columns) else f"{self.module}.swapaxes({whole.code}, -1, -2)"
        natural = ref.axes in ((*rows, *columns), (*columns, *rows))
        # a copy is made with the leading axes first, in which form others may want it too
        turned = ref.axes == (*columns, *rows) or (not natural and ref.axes[0] == columns[0])
        first, second = (columns, rows) if turned else (rows, columns)
        arranged = self._aligned(shown, (*first, *second), TENSOR, False)
        code = arranged.code
        if len(first) != 1 or len(second) != 1:
            lengths = ([sizes[name] for name in names] for names in (first, second))
            shape = ", ".join(part[0].code if len(part) == 1 else " * ".join(size.operand for size in part) for part in lengths)
            code = f"{arranged.operand}.reshape(({shape}))"
            if not natural:
                code = self._arranged(code)
        return f"{self.module}.swapaxes({code}, -1, -2)" if turned else code

    def _arranged(self, code: str) -> str:
        """A copy in another order of axes, under a name."""
        if code not in self._matrices:
            self._matrices[code] = self._assigned("arranged", code)
        return self._matrices[code]
