"""Source text in which a value that nobody reads again is overwritten: for a block of rows, where every new array costs.

What it does beyond ``printer``: an elementary operation on arrays is a line of its own and writes into the array of an operand that dies
there, or into one that is free, the result first; a sum along the last axis is a product with ones, a sum of squares one ``einsum``.
Guarantees: only arrays that the text made itself are overwritten, and only after their last use; an input never is. A value that another
line may still see under another name (a slice, a part written in place) keeps its array to the end. Cannot see: other names that the
caller has for the arrays of the inputs; whether ``result`` is large enough.
"""

from __future__ import annotations

from collections import Counter

from kernelproof.numeric.printer import ArrayPrinter
from kernelproof.numeric.program import Operation, Program
from kernelproof.numeric.source_code import SCALAR, TABLE, TENSOR, Code, size_code
from kernelproof.symbolic.terms import Term

UFUNCS = {"add": "add", "sub": "subtract", "mul": "multiply", "div": "divide", "neg": "negative", "max": "maximum"}
#: lengths of the axes, and whether leading ones may stand in front
Form = tuple[tuple[Term, ...], bool]


class InPlacePrinter(ArrayPrinter):
    """Prints a program of one result, which is written to the array called ``result``.

    ``ones`` are the vectors of ones that the text reads: name and length, for the caller to make.
    """

    def __init__(self, program: Program, module: str, unbatched: frozenset[str], optional: frozenset[str], result: str = "out") -> None:
        super().__init__(program, module, unbatched, optional)
        self.result, self.ones = result, dict[str, str]()
        self.erf = "erf"  # the function that the text calls
        live = [program.operations[number] for number in program.live()]
        self._left = Counter(ref.value for operation in live for ref in operation.operands) + Counter(ref.value for ref in program.outputs)
        self._number = -1
        #: arrays that the text made: where each value lies, and which are free
        self._arrays: dict[int, str] = {}
        self._free: dict[Form, list[str]] = {}
        self._squares: dict[int, Operation] = {}

    def run(self) -> list[Code]:
        """As the forward printer; the last line writes the result."""
        (frame,) = self.program.frames
        batched = any(self._is_batched(operation) for operation in self.program.operations)
        (ref,) = self.program.outputs
        lengths = {name: axis.size for name, axis in zip(ref.axes, self.program.operations[ref.value].axes, strict=True)}
        if {*frame} <= {*lengths}:
            self._free[tuple(lengths[name] for name in frame), batched] = [self.result]
        (found,) = super().run()
        if found.code != self.result:
            self.lines.append(f"{self.result}[...] = {found.code}")
        return [Code(self.result, found.axes, found.depends, found.batched)]

    def _is_batched(self, operation: Operation) -> bool:
        return operation.kind == "input" and bool(operation.axes) and operation.detail[0] not in self._unbatched

    # -- which arrays are free ------------------------------------------------------------------------------------------------

    def _print(self, number: int) -> None:
        operation, self._number = self.program.operations[number], number
        if self._is_summed_square(number):
            self._squares[number] = operation
            self._code[number] = self._ref(operation.operands[0])
            return
        super()._print(number)
        read = [ref.value for ref in operation.operands]
        read = [self._squares[value].operands[0].value if value in self._squares else value for value in read]
        # text that stands within other text is read later, and a view is read whenever it is
        done = self._code[number].code.isidentifier() and (number in self._arrays or operation.kind in ("fold", "contract"))
        for value in read:
            self._left[value] -= 1 if done else 0
            if value in self._arrays and not self._left[value] and self._arrays[value] != self._arrays.get(number):
                self._release(value)

    def _release(self, value: int) -> None:
        found = self._code[value]
        form = tuple(axis.size for axis in self.program.operations[value].axes), found.batched
        self._free.setdefault(form, []).append(self._arrays.pop(value))

    def _is_summed_square(self, number: int) -> bool:
        """Whether a value is a square that only one sum along the last axis reads."""
        operation = self.program.operations[number]
        if operation.kind != "map" or operation.detail[:2] != ("pow", 2) or self._uses[number] != 1:
            return False
        users = [user for user in self.program.operations if any(ref.value == number for ref in user.operands)]
        return self._ref(operation.operands[0]).depends == TENSOR and len(users) == 1 and self._is_product(users[0])

    def _place(self, operation: Operation, batched: bool, aliased: bool) -> str | None:
        """An array that may take the value: of an operand that dies here, unless ``aliased`` forbids it, or a free one."""
        form, same = (tuple(axis.size for axis in operation.axes), batched), (operation.names, batched)
        counts = Counter(ref.value for ref in operation.operands)
        dying = [
            value
            for value, count in counts.items()
            if value in self._arrays and self._left[value] == count and (self._code[value].axes, self._code[value].batched) == same
            and all(ref.axes == operation.names for ref in operation.operands if ref.value == value)
        ]
        dying.sort(key=lambda value: self._arrays[value] != self.result)
        free = self._free.get(form, [])
        last = any(ref.value == self._number for ref in self.program.outputs)
        if aliased or (last and self.result in free):
            dying = []
        if dying:
            return self._arrays.pop(dying[0])
        return free.pop(free.index(self.result) if self.result in free else 0) if free else None

    def _written(self, operation: Operation, batched: bool, calls: list[str], plain: str, place: str | None) -> Code:
        """The lines that bring a value to its array: ``calls`` with ``{out}`` into the place, or ``plain`` to a new array."""
        comment = f"  # {self._meaning(operation)}" if operation.meaning is not None else ""
        if place is None:
            place = self._named(operation, Code(plain, operation.names, TENSOR, batched, atomic=False)).code
        else:
            self.lines += [call.replace("{out}", place) for call in calls[:-1]] + [calls[-1].replace("{out}", place) + comment]
        self._arrays[self._number] = place
        return Code(place, operation.names, TENSOR, batched)

    def _named(self, operation: Operation, found: Code) -> Code:
        return found if found.code.isidentifier() else super()._named(operation, found)

    # -- operations -----------------------------------------------------------------------------------------------------------

    def _print_map(self, operation: Operation) -> Code:
        name, operands = operation.detail[0], [self._ref(ref) for ref in operation.operands]
        depends = max((part.depends for part in operands), key=(SCALAR, TABLE, TENSOR).index, default=SCALAR)
        power = operation.detail[1] if name == "pow" else 0
        optional = name == "add" and self._is_optional(operation.operands[1])
        if depends != TENSOR or not operation.axes or optional or (name == "pow" and power not in (2, 3, 4)):
            return super()._print_map(operation)
        batched = any(part.batched for part in operands)
        args = [self._aligned(part, operation.names, depends, batched) for part in operands]
        if name == "div":
            args[1] = Code(self._divisor(operation, args[1]), args[1].axes, args[1].depends, args[1].batched)
        place = self._place(operation, batched, aliased=power > 2)
        if power > 2:
            base = args[0].code
            calls = [f"{self.module}.multiply({base}, {base}, out={{out}})"]
            calls += [f"{self.module}.multiply({{out}}, {base}, out={{out}})"] * (power - 2)
            return self._written(operation, batched, calls, " * ".join([base] * power), place)
        function = self.erf if name == "erf" else f"{self.module}.{'square' if power else UFUNCS.get(name, name)}"
        self.uses_erf = self.uses_erf or name == "erf"
        given = ", ".join(arg.code for arg in args)
        infix = {"add": "+", "sub": "-", "mul": "*", "div": "/"}.get(name)
        plain = f"{args[0].operand} {infix} {args[1].operand}" if infix else f"{function}({given})"
        return self._written(operation, batched, [f"{function}({given}, out={{out}})"], plain, place)

    def _product(self, function: str, arguments: str, operation: Operation) -> str:
        plain = super()._product(function, arguments, operation)
        batched = any(self._ref(ref).batched for ref in operation.operands)
        if not operation.axes:
            return plain
        place = self._place(operation, batched, aliased=True)
        return self._written(operation, batched, [f"{plain[:-1]}, out={{out}})"], plain, place).code

    def _is_product(self, operation: Operation) -> bool:
        """Whether a fold is a sum along one axis."""
        return operation.kind == "fold" and operation.detail[0] == "sum" and len(operation.detail[1]) == 1

    def _print_fold(self, operation: Operation) -> Code:
        (body, *_), (_, reduced) = operation.operands, operation.detail
        found, names = self._ref(body), (*operation.names, *reduced)
        if not self._is_product(operation) or found.depends != TENSOR or set(found.axes) != set(names):
            return self._named(operation, super()._print_fold(operation))
        shown = self._aligned(found, names, TENSOR, found.batched).code
        if body.value in self._squares:
            letters = "".join(chr(97 + place) for place in range(len(names)))
            code = f'{self.module}.einsum("...{letters},...{letters}->...{letters[:-1]}", {shown}, {shown})'
        else:
            code = f"{self.module}.matmul({shown}, {self._ones(operation, reduced[0])})"
        return self._named(operation, Code(code, operation.names, TENSOR, found.batched))

    def _ones(self, operation: Operation, name: str) -> str:
        """The vector of ones of the length of a reduced axis."""
        (ref, *_) = operation.operands
        axes = dict(zip(ref.axes, self.program.operations[ref.value].axes, strict=True))
        length = size_code(axes[name].size).code
        known = [vector for vector, size in self.ones.items() if size == length]
        vector = known[0] if known else f"ones{len(self.ones) + 1 if self.ones else ''}"
        self.ones[vector] = length
        return vector
