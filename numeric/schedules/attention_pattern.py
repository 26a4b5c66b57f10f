"""Attention inside an array program: where it is, and which values are its queries, keys, values, masks and sinks.

What it does: sees a quotient of a weighted sum by the sum of the same weights, which are exponentials of scores less a shift, selected by
``allow``; walks from the scores back to the product of queries and keys. Several products that are added count as one over all their
channels. Guarantees: values inside are used nowhere else, keys are the last axis of every score, and a pattern that is not recognised for
certain is None. Cannot see: scores with tensors in them other than that product and ``bias``.
"""

from __future__ import annotations

from dataclasses import dataclass

from kernelproof.numeric.program import Operation, Program, Ref

#: functions of a score alone, entry by entry
ALONE = ("tanh", "exp", "log", "sqrt", "sin", "cos", "neg")


@dataclass(frozen=True)
class Pattern:
    """The numbers and uses of an attention's parts; each use is along the axes of the operation named beside it.

    ``number`` is the value that it gives; ``products`` are the operations that multiply queries by keys, ``scales`` factors of all of them,
    ``steps`` the operations from there to the score in order; ``inside`` are values that are nowhere else.
    """

    number: int
    inside: frozenset[int]
    products: tuple[int, ...]
    scales: tuple[Ref, ...]
    steps: tuple[int, ...]
    allow: Ref
    select: int
    bias: Ref | None
    add: int
    values: Ref
    weighted: int
    quotient: int
    sink: Ref | None
    shift: int
    mean: bool


def attention_in(program: Program) -> Pattern | None:
    """The one attention of a program, or None where there is none or more than one."""
    search = _Search(program)
    found = [made for made in attentions_in(program) if search.closed(made)]
    return found[0] if len(found) == 1 else None


def attentions_in(program: Program) -> list[Pattern]:
    """All attentions of a program, those too whose weights are used elsewhere, as by a gradient."""
    search = _Search(program)
    return [made for number in range(len(program.operations)) if (made := search.at(number)) is not None]


class _Search:
    """One walk back from a quotient."""

    def __init__(self, program: Program) -> None:
        self.operations, self.program = program.operations, program

    def _is(self, number: int, kind: str, name: object = None) -> Operation | None:
        operation = self.operations[number]
        return operation if operation.kind == kind and (name is None or operation.detail[0] == name) else None

    def at(self, number: int) -> Pattern | None:
        """The pattern that ends in this quotient."""
        quotient = self._is(number, "map", "div")
        if quotient is None:
            return None
        top, bottom = quotient.operands
        weighted = self._is(top.value, "contract")
        total, sunk = self._denominator(bottom.value)
        if weighted is None or total is None or top.axes != quotient.names:
            return None
        weights, values = weighted.operands
        select = self._is(weights.value, "select")
        fold = self.operations[total]
        one_sum = fold.operands[0].value == weights.value and fold.operands[0].axes[-1:] == fold.detail[1]
        if select is None or not one_sum or weighted.detail[0] != weights.axes[-1:] or weighted.names[:-1] != weights.axes[:-1]:
            return None
        power = self._is(select.operands[1].value, "map", "exp")
        exponent = power and self._is(power.operands[0].value, "map", "sub")
        if power is None or exponent is None or select.operands[1].axes != select.names:
            return None
        score, shift = exponent.operands
        shifting = self._shift(shift.value, score.value, select.operands[0].value)
        if shifting is None or shift.axes != exponent.names[:-1]:
            return None
        walked = self._score(score.value)
        if walked is None:
            return None
        products, scales, steps, bias, add = walked
        sink = shifting[1]
        if (sink is None) != (sunk is None):
            return None
        inside = {number, top.value, total, bottom.value, weights.value, select.operands[1].value, power.operands[0].value, score.value}
        inside |= {*shifting[0], *products, *steps, *(sunk or ())} | ({add} if add >= 0 else set())
        inside |= self._between(score.value, products)
        last, mean, inside = self._with_mean(number, inside, select.operands[0].value, values.value)
        return Pattern(
            last, frozenset(inside), products, scales, steps, select.operands[0], weights.value, bias, add, values, top.value, number, sink,
            shift.value, mean,
        )

    def _denominator(self, number: int) -> tuple[int | None, tuple[int, ...] | None]:
        """(the sum of weights, what belongs to a sink)."""
        if self._is(number, "fold", "sum"):
            return number, None
        both = self._is(number, "map", "add")
        if both is None:
            return None, None
        total, extra = (ref.value for ref in both.operands)
        power = self._is(extra, "map", "exp")
        if self._is(total, "fold", "sum") is None or power is None or self._is(power.operands[0].value, "map", "sub") is None:
            return None, None
        return total, (extra, power.operands[0].value)

    def _shift(self, number: int, score: int, allow: int) -> tuple[set[int], Ref | None] | None:
        """The values that make the shift, and the sink: the largest allowed score, or the larger one of it and a sink."""
        joined, sink = self._is(number, "map", "max"), None
        fold = self._is(number, "fold", "max")
        if joined is not None:
            first, sink = joined.operands
            fold = self._is(first.value, "fold", "max")
        if fold is None or [ref.value for ref in fold.operands] != [score, allow]:
            return None
        return {number, number if joined is None else joined.operands[0].value}, sink

    def _score(self, number: int) -> tuple[tuple[int, ...], tuple[Ref, ...], tuple[int, ...], Ref | None, int] | None:
        """(products, scales, steps, bias, the operation that adds it) of a score."""
        bias, add, steps, frame = None, -1, list[int](), self.operations[number].names
        operation = self._is(number, "map", "add")
        if operation is not None and self._is_input(operation.operands[1], "bias"):
            bias, add, number = operation.operands[1], number, operation.operands[0].value
        while (products := self._products(number)) is None:
            operation = self._is(number, "map")
            tile = [ref for ref in operation.operands if ref.axes == frame] if operation is not None else []
            if operation is None or len(tile) != 1 or any(ref.axes for ref in operation.operands if ref not in tile):
                return None
            name, first = operation.detail[0], operation.operands[0] is tile[0]
            if name not in ALONE and not (name in ("mul", "add") or (name in ("div", "sub") and first)):
                return None
            steps.insert(0, number)
            number = tile[0].value
        scales = list[Ref]()
        while steps and self._is(steps[0], "map", "mul"):
            scales += [ref for ref in self.operations[steps.pop(0)].operands if not ref.axes]
        return products, tuple(scales), tuple(steps), bias, add

    def _products(self, number: int) -> tuple[int, ...] | None:
        """A product of queries and keys over one axis of channels, or a sum of such."""
        operation = self.operations[number]
        if operation.kind == "contract":
            left, right = operation.operands
            key, channel = operation.names[-1:], operation.detail[0]
            fits = len(channel) == 1 and not {*key} & {*left.axes} and {*key, *channel} <= {*right.axes}
            return (number,) if fits and {*operation.names[-2:-1], *channel} <= {*left.axes} else None
        if self._is(number, "map", "add") is None or any(ref.axes != operation.names for ref in operation.operands):
            return None
        parts = [self._products(ref.value) for ref in operation.operands]
        return None if parts[0] is None or parts[1] is None else (*parts[0], *parts[1])

    def _between(self, number: int, products: tuple[int, ...]) -> set[int]:
        """The values from a score back to its products."""
        if number in products:
            return {number}
        found = {number}
        for ref in self.operations[number].operands:
            if ref.axes == self.operations[number].names and not self._is_input(ref, "bias"):
                found |= self._between(ref.value, products)
        return found

    def _is_input(self, ref: Ref, name: str) -> bool:
        operation = self.operations[ref.value]
        if operation.kind == "split":
            return self._is_input(operation.operands[0], name)
        return operation.kind == "input" and operation.detail[0] == name

    def _with_mean(self, number: int, inside: set[int], allow: int, values: int) -> tuple[int, bool, set[int]]:
        """With the mean of all values where a row may attend to nothing: + (1 − C/C)·Σ v/m, C the number of allowed keys."""
        for last, operation in enumerate(self.operations):
            if operation.kind == "map" and operation.detail[0] == "add" and operation.operands[0].value == number:
                product = self._is(operation.operands[1].value, "map", "mul")
                none, mean = (self.operations[ref.value] for ref in product.operands) if product else (operation, operation)
                ratio = self._is(none.operands[1].value, "map", "div") if none.detail[:1] == ("sub",) else None
                of = self.operations[mean.operands[0].value] if mean.detail[:1] == ("div",) else operation
                counted = ratio is not None and ratio.operands[0].value == ratio.operands[1].value
                count = self.operations[ratio.operands[0].value] if ratio is not None and counted else operation
                folded = [ref.value for ref in (*count.operands, *of.operands)]
                if product and ratio and count.kind == of.kind == "fold" and folded == [allow, values]:
                    more = {last, *(ref.value for one in (operation, product, none, ratio) for ref in one.operands), mean.operands[0].value}
                    kept = {at for at in more if self.operations[at].kind in ("map", "fold")}
                    return last, True, inside | kept
        return number, False, inside

    def closed(self, made: Pattern) -> bool:
        """Whether nothing outside uses what is inside, but for the result."""
        hidden = made.inside - {made.number}
        users = [number for number, operation in enumerate(self.operations) if any(ref.value in hidden for ref in operation.operands)]
        return {*users} <= made.inside and not hidden & {ref.value for ref in self.program.outputs}
