"""The lines of a generated CuPy gradient kernel: the recipe of a gradient, printed as ``cupy_printer`` prints a forward program.

What it does: products are those of the NumPy gradient's printer (over several axes, and over all leading ones, as one product of two
matrices); everything between them is launches of CUDA kernels, sums over leading axes as rows of the axes that stay, 32 neighbouring ones
a block (``cuda_columns``). Guarantees: nothing is added up by atomic operations, so the same arrays give the same bits wherever the matrix
library does. Cannot see: speed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from kernelproof.numeric.cuda_kernel import KernelText
from kernelproof.numeric.cupy_printer import CupyPrinter
from kernelproof.numeric.gradient_printer import GradientPrinter
from kernelproof.numeric.program import Operation, Program
from kernelproof.numeric.signatures import Signature
from kernelproof.numeric.source_code import Code

#: arrays of a kernel, more than which need more registers for strides: of these 3 blocks of rows or 6 of entries fit a multiprocessor
ARRAYS, REGISTERS = 5, {32: 168, 1: 80}
ASSIGNMENT = re.compile(r"(\w+) = .*[^(]$")


class CupyGradientPrinter(CupyPrinter, GradientPrinter):
    """Prints a recipe. ``names`` says how inputs are called; with ``implicit`` leading axes may stand in front of all that is batched.

    ``destinations`` take the results, "" for one that is an array of its own.
    """

    def __init__(
        self,
        function: str,
        program: Program,
        signature: Signature,
        dtype: str,
        names: Mapping[str, str],
        *,
        implicit: bool = False,
        destinations: tuple[str, ...] = (),
    ) -> None:
        GradientPrinter.__init__(self, program, "cp", signature.unbatched, signature.optional, dict(names), implicit)
        self._arrays, self._called = frozenset(signature.arrays), dict(names)
        self._prepare(function, signature, dtype, destinations)

    @property
    def widened(self) -> tuple[str, ...]:
        """As for a forward kernel, by the names in the source."""
        return tuple(self._called.get(name, name) for name in super().widened)

    def run(self) -> list[Code]:
        """The outputs in the axes that they are wanted in; a line whose value nothing reads is left out."""
        found = []
        for code, ref, frame in zip(super().run(), self.program.outputs, self.program.frames, strict=True):
            shown = replace(code, axes=ref.axes, batched=code.batched and self._implicit)
            found.append(self._aligned(shown, frame, shown.depends, shown.batched))
        text, kept = "\n".join(code.code for code in found), list[str]()
        for line in reversed(self.lines):
            made = ASSIGNMENT.fullmatch(line.partition("  # ")[0])
            if made is None or re.search(rf"\b{made[1]}\b", text):
                kept.append(line)
                text += f"\n{line.partition(' = ')[2] if made else line}"
        self.lines = kept[::-1]
        self.kernels = [_with_room(kernel) for kernel in self.kernels]
        return found

    def _input_type(self, operation: Operation) -> str:
        """Only what the caller hands over is stored in the format of the file; masks and biases are made in the one computed in."""
        name, kind = operation.detail
        own = self._called.get(name, name)
        if kind in ("indicator", "index") or (own in self._arrays and own not in self.widened):
            return super()._input_type(operation)
        return self.types.real


def _with_room(kernel: KernelText) -> KernelText:
    """The kernel with the registers that its arrays need."""
    if len(kernel.tensors) + len(kernel.written) <= ARRAYS or kernel.launch["lanes"] not in REGISTERS:
        return kernel
    return replace(kernel, launch={**kernel.launch, "registers": REGISTERS[kernel.launch["lanes"]]})
