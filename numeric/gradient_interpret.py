"""The interpreter for gradient programs: forms side by side, kept results, kinks, weights from a log-sum-exp.

What it does beyond ``interpret``: an ``either`` has the value of its first form and the larger bound of all; a ``stored`` may have been
rounded to the storage format when the forward pass wrote it; [a < b] is unknown where rounding can turn it, and at a = b, where the slope
of a kink is a convention; a softmax weight may be computed as exp(S − lse) from a rounded log-sum-exp.
Guarantees: as ``interpret``, for each of these recipes, with intermediates and factors kept in what the precision says. Cannot see:
roundings that no field of a precision names.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from kernelproof.numeric.approx import Approx, align
from kernelproof.numeric.interpret import Interpreter
from kernelproof.numeric.program import Operation, Program, Ref
from kernelproof.numeric.rounding import Array


class GradientInterpreter(Interpreter):
    """Runs programs of ``gradient_forms``."""

    def run(self, program: Program) -> list[Approx]:
        """Values and bounds of the outputs."""
        self._weights = weights_in(program)
        return super().run(program)

    def _one(self, number: int, operation: Operation, values: dict[int, Approx]) -> Approx:
        if operation.kind == "either":
            forms = self._operands(operation, values, operation.names)
            return replace(forms[0], error=_largest([form.error + np.abs(form.value - forms[0].value) for form in forms]))
        if operation.kind == "stored":
            (kept,) = self._operands(operation, values, operation.names)
            if self.on.store == self.on.compute:
                return kept
            lost = self.on.store.unit * (np.abs(kept.value) + kept.error) + self.on.store.tiny * self.on.store.unit
            return replace(kept, error=kept.error + lost)
        if operation.kind == "map" and operation.detail[0] == "less":
            left, right = self._operands(operation, values, operation.names)
            unknown = np.abs(left.value - right.value) <= left.error + right.error
            return Approx((left.value < right.value).astype(self.dtype), unknown.astype(self.dtype))
        found = super()._one(number, operation, values)
        weight = self._weights.get(number)
        return found if weight is None else replace(found, error=found.error + self._from_logarithm(operation, found, values, weight))

    def _from_logarithm(self, operation: Operation, found: Approx, values: dict[int, Approx], weight: Weight) -> Array:
        """What exp(S − (z + log L)) may lose beside exp(S − z)/L: the roundings of log L, of the sum, and of the difference."""
        sizes, shift, exponent = (
            align(values[ref.value].value, ref.axes, operation.names) for ref in (operation.operands[1], weight.shift, weight.exponent)
        )
        logarithm = np.log(np.where(sizes > 0, sizes, 1))
        of_total = np.abs(logarithm) * (1 + 2 * self._on.ulps["log"])
        lost = self._on.unit * (of_total + np.abs(shift) + np.abs(exponent - logarithm))
        some = found.value > 0
        return np.where(some, (found.value + found.error) * np.expm1(np.where(some, lost, 0)), 0)


@dataclass(frozen=True)
class Weight:
    """A softmax weight: the shift z and the exponent S − z, along the axes of the quotient."""

    shift: Ref
    exponent: Ref


def _largest(errors: list[Array]) -> Array:
    found = errors[0]
    for error in errors[1:]:
        found = np.maximum(found, error)
    return found


def weights_in(program: Program) -> dict[int, Weight]:
    """The quotients exp(S − z) / Σ exp(S − z) of a program, perhaps with an indicator before each exponential; with a sink,
    exp(S − z) / (Σ exp(S − z) + exp(sink − z)) and exp(sink − z) over the same."""
    found = {}
    for number, operation in enumerate(program.operations):
        if operation.kind != "map" or operation.detail[0] != "div":
            continue
        top, whole = operation.operands
        under, exponent = program.operations[whole.value], _exponent(program, top)
        summands = under.operands if under.kind == "map" and under.detail[0] == "add" else (whole,)
        numbers = {summand.value for summand in summands}
        for summand in summands:
            part = program.operations[summand.value]
            if part.kind == "fold" and part.detail[0] == "sum":
                numbers.add(part.operands[0].value)
        if exponent is not None and top.value in numbers and _sums_weights(program, summands):
            found[number] = Weight(_operand(program, exponent, 1), exponent)
    return found


def _sums_weights(program: Program, summands: tuple[Ref, ...]) -> bool:
    """Whether these are a sum of weights, or one and the weight of a sink."""
    first = program.operations[summands[0].value]
    sums = first.kind == "fold" and first.detail[0] == "sum" and _exponent(program, first.operands[0]) is not None
    return sums and all(_exponent(program, other) is not None for other in summands[1:])


def _exponent(program: Program, ref: Ref) -> Ref | None:
    """S − z of a value exp(S − z), perhaps with an indicator before it."""
    if program.operations[ref.value].kind == "select":
        ref = _operand(program, ref, 1)
    if program.operations[ref.value].detail[:1] != ("exp",):
        return None
    exponent = _operand(program, ref, 0)
    return exponent if program.operations[exponent.value].detail[:1] == ("sub",) else None


def _operand(program: Program, ref: Ref, place: int) -> Ref:
    """An operand of the value that is used here, along the axes of this use."""
    operation = program.operations[ref.value]
    return operation.operands[place].renamed(dict(zip(operation.names, ref.axes, strict=True)))
