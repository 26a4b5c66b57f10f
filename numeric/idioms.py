"""Idioms in a program, and their sharper bounds: where ``fused`` applies.

What it does: sees a quotient of a weighted sum by the sum of the same weights, and a sum of squared deviations from the mean of the same
row, and hands their parts to :mod:`numeric.fused`; and counts, for every softmax, how often an online kernel rescales.

Guarantees: a pattern that is not recognised for certain keeps the plain bound. Cannot see: the same function written otherwise.
"""

from __future__ import annotations

from math import prod

import numpy as np

from kernelproof.numeric.approx import Approx, align
from kernelproof.numeric.fused import Weighted, rescalings, spread, weighted_mean
from kernelproof.numeric.program import Operation, Program, Ref
from kernelproof.numeric.roles import Roles
from kernelproof.numeric.rounding import Arithmetic, Array

#: further roundings of a term of the weighted sum: its product, and a divisor put on every weight
PLACED = 3.0
#: unit roundoffs that exponentials of logarithms lose beside what the logarithms do
FROM_LOGARITHM = 8.0


class Idioms:
    """What is known of the idioms of one run."""

    def __init__(self, program: Program, roles: Roles) -> None:
        self.operations, self.roles, self._staging = program.operations, roles, roles.staging
        self._rises: dict[int, int] = {}
        #: values that are a deviation from a mean times something
        self._centred: set[int] = set()

    def note_shift(self, number: int, scores: Approx, keep: Array | np.bool_) -> None:
        """The scores that a maximum is taken of: how often it may grow on the way."""
        shape = np.broadcast_shapes(scores.value.shape, scores.error.shape, np.shape(keep))
        value, error, kept = (np.broadcast_to(part, shape) for part in (scores.value, scores.error, np.asarray(keep)))
        self._rises[number] = rescalings(value, error, kept, self.roles.tile())

    def note_joined(self, number: int, maxima: list[int]) -> None:
        """A shift that is the larger one of a maximum and a sink, which may come last."""
        self._rises[number] = max(self._rises.get(of, 0) for of in maxima) + (1 if self.roles.tile() else 0)

    def _rise(self, exponential: int) -> int:
        exponent = self.operations[self._staging.exponents[exponential]]
        return self._rises.get(exponent.operands[1].value, 0)

    def rescaled(self, on: Arithmetic, number: int, value: Array, error: Array) -> Array:
        """The error of a softmax's exponential with the exponentials that an online kernel multiplies it by."""
        if number not in self._staging.exponents:
            return error
        more = np.expm1(self._rise(number) * np.log1p(2 * on.ulps["exp"] * on.unit))
        return error + more * (value + error)  # type: ignore[no-any-return]

    def is_online_weight(self, number: int) -> bool:
        """Whether a value is a softmax's weight that an online kernel may hold relative to an earlier maximum."""
        return number in self._staging.weights and self.roles.tile() > 0

    def distributed(self, on: Arithmetic, number: int, operation: Operation, value: Array, args: list[Array], error: Array) -> Array:
        """(x − μ)·f + b may be computed as x·f + (b − μ·f): what μ and b round then, each on its own."""
        name, used = operation.detail[0], [ref.value for ref in operation.operands]
        if name == "sub" and self._is_deviation(operation):
            self._centred.add(number)
            return error + on.unit * (np.abs(value) + 3 * np.abs(args[1]))  # type: ignore[no-any-return]
        if name in ("mul", "div") and used[0] in self._centred:
            self._centred.add(number)
        if name == "add" and (used[0] in self._centred) != (used[1] in self._centred):
            return error + 2 * on.unit * np.abs(args[1] if used[0] in self._centred else args[0])
        return error

    def from_logarithm(self, on: Arithmetic, operation: Operation, value: Array, error: Array, values: dict[int, Approx]) -> Array:
        """A quotient by a softmax's sum with what weights exp(s − lse), or parts merged by their log-sum-exp, lose: what lse = m + log L
        rounds is common to the row, and nothing divides it out.
        """
        if operation.kind != "map" or operation.detail[0] != "div" or not self.roles.from_logarithm():
            return error
        bottom = operation.operands[1]
        whole, _ = self._denominator(bottom)
        if whole is None:
            return error
        fold = self.operations[whole.value]
        shift = self._along(fold.operands[0].value, 1, values)
        shift = align(np.abs(shift), fold.operands[0].axes, (*fold.names, *fold.detail[1]))[..., 0]
        shift = align(shift, whole.axes, operation.names)
        total = align(values[bottom.value].value, bottom.axes, operation.names)
        logarithm = np.abs(np.log(np.where(total > 0, total, 1)))
        lost = on.unit * (2 * shift + 2 * (1 + 2 * on.ulps["log"]) * logarithm + FROM_LOGARITHM)
        return error + (np.abs(value) + np.where(np.isfinite(error), error, 0)) * np.expm1(lost)  # type: ignore[no-any-return]

    def extra_roundings(self, operation: Operation) -> int:
        """What rescaling adds to the roundings of a sum of weights."""
        rises = [self._rise(self._staging.weights[ref.value]) for ref in operation.operands if ref.value in self._staging.weights]
        return max(rises, default=0)

    def bound(self, on: Arithmetic, number: int, operation: Operation, found: Approx, values: dict[int, Approx]) -> Array | None:
        """The idiom's bound of a value, or None where there is no idiom."""
        if operation.kind == "map" and operation.detail[0] == "div":
            return self._weighted_mean(on, operation, found, values)
        if operation.kind == "fold" and operation.detail[0] == "sum":
            return self._spread(on, operation, found, values)
        return None

    # -- a softmax that meets its values -------------------------------------------------------------------------------------------

    def _weighted_mean(self, on: Arithmetic, operation: Operation, found: Approx, values: dict[int, Approx]) -> Array | None:
        top, bottom = operation.operands
        product, (whole, extra) = self.operations[top.value], self._denominator(bottom)
        if product.kind != "contract" or whole is None or len(product.detail[0]) != 1 or top.axes != operation.names:
            return None
        seen = [ref for ref in product.operands if ref.value in self._staging.weights]
        other = [ref for ref in product.operands if ref.value not in self._staging.weights]
        if len(seen) != 1 or len(other) != 1 or self.operations[whole.value].operands[0].value != seen[0].value:
            return None
        (key,), names = product.detail[0], dict(zip(product.names, top.axes, strict=True))
        weight, value = (ref.renamed(names) for ref in (seen[0], other[0]))
        own = [name for name in operation.names if name not in weight.axes]
        if not self._same_rows(weight, whole, key) or len(own) != 1 or own[0] not in value.axes:
            return None
        rows = tuple(name for name in operation.names if name != own[0])
        sums = (self.roles.arithmetic(top.value), self.roles.arithmetic(whole.value))
        parts = self._parts(sums, weight, value, extra, (*rows, key), (*rows, own[0], key), values)
        back = (*rows, own[0])
        return align(weighted_mean(on, parts, align(found.value, operation.names, back)), back, operation.names)

    def _denominator(self, bottom: Ref) -> tuple[Ref | None, Ref | None]:
        """(the sum of weights, a weight that has no value): a plain sum, or one with something added."""
        operation = self.operations[bottom.value]
        if bottom.value in self._staging.row_sums:
            return bottom, None
        if operation.kind == "map" and operation.detail[0] == "add":
            names = dict(zip(operation.names, bottom.axes, strict=True))
            first, second = (ref.renamed(names) for ref in operation.operands)
            for whole, extra in ((first, second), (second, first)):
                if whole.value in self._staging.row_sums and extra.value in self._staging.weights:
                    return whole, extra
        return None, None

    def _same_rows(self, weight: Ref, whole: Ref, key: str) -> bool:
        """Whether the sum runs over the keys of the same rows."""
        fold = self.operations[whole.value]
        if len(fold.detail[1]) != 1:
            return False
        names = {**dict(zip(fold.names, whole.axes, strict=True)), fold.detail[1][0]: key}
        return fold.operands[0].renamed(names).axes == weight.axes

    def _parts(
        self,
        sums: tuple[Arithmetic, Arithmetic],
        weight: Ref,
        value: Ref,
        extra: Ref | None,
        flat: tuple[str, ...],
        full: tuple[str, ...],
        values: dict[int, Approx],
    ) -> Weighted:
        kept, flushed = self.roles.kept_weight()
        own = values[value.value]
        met = Approx(own.value, self.roles.factor(value.value, own.value, own.error, of_product=True)).aligned(value.axes, full)
        weights = values[weight.value].aligned(weight.axes, flat)
        keys, rise = weights.value.shape[-1], self._rise(self._staging.weights[weight.value])
        shape = np.broadcast_shapes(met.value.shape, (1,) * met.value.ndim)
        lead = np.broadcast_shapes(weights.value.shape[:-1], met.value.shape[:-2])
        wide = (*lead, keys)
        beside = Approx(np.zeros(()), np.zeros(())) if extra is None else values[extra.value].aligned(extra.axes, flat[:-1])
        return Weighted(
            weights=np.broadcast_to(weights.value, wide),
            errors=np.broadcast_to(weights.error, wide),
            shared=np.broadcast_to(align(self._shared(weight.value, values), weight.axes, flat), wide),
            values=np.broadcast_to(met.value, shape),
            value_errors=np.broadcast_to(met.error, shape),
            top=sums[0].gamma(keys - 1 + PLACED + rise),
            bottom=sums[1].gamma(keys - 1 + rise),
            kept=kept,
            flushed=flushed,
            extra=beside.value,
            extra_error=beside.error,
        )

    def _along(self, weight: int, place: int, values: dict[int, Approx], error: bool = False) -> Array:
        """The score (0) or the shift (1) in the exponent of a weight, or its error, along the weight's axes."""
        exponential = self._staging.weights[weight]
        exponent = self.operations[self._staging.exponents[exponential]]
        part = exponent.operands[place]
        # exponent, exponential and selection run along the same axes in the same order, up to names
        names = dict(zip(exponent.names, self.operations[exponential].operands[0].axes, strict=True))
        wanted = values[part.value].error if error else values[part.value].value
        found = align(wanted, part.renamed(names).axes, self.operations[exponential].names)
        if weight != exponential:
            ref = self.operations[weight].operands[1]
            found = align(found, ref.axes, self.operations[weight].names)
        return found

    def _shared(self, weight: int, values: dict[int, Approx]) -> Array:
        """The weights' error by their scores' errors alone, along the weights' axes."""
        error, found = self._along(weight, 0, values, error=True), values[weight]
        shared: Array = np.minimum(
            np.abs(found.value) * np.expm1(np.broadcast_to(error, np.broadcast_shapes(error.shape, found.value.shape))), found.error
        )
        return shared

    # -- variance ------------------------------------------------------------------------------------------------------------------

    def _spread(self, on: Arithmetic, operation: Operation, found: Approx, values: dict[int, Approx]) -> Array | None:
        reduced, body = operation.detail[1], operation.operands[0]
        power = self.operations[body.value]
        if power.kind != "map" or power.detail != ("pow", 2) or len(reduced) != 1:
            return None
        deviation = self.operations[power.operands[0].value]
        if not self._is_deviation(deviation):
            return None
        entry, mean = deviation.operands
        frame = (*operation.names, *reduced)
        d, x, m = (
            self._seen(number, values, frame, body, power, deviation, ref)
            for number, ref in ((power.operands[0].value, None), (entry.value, entry), (mean.value, mean))
        )
        shape = np.broadcast_shapes(d.value.shape, x.value.shape)
        count = prod(shape[-1:])
        if not count:
            return None
        carried = np.broadcast_to(x.error, shape)
        rounding = np.maximum(m.error[..., 0] - carried.sum(axis=-1) / count, 0)
        squares = (np.abs(np.broadcast_to(x.value, shape)) ** 2).sum(axis=-1)
        return spread(on, np.broadcast_to(d.value, shape), carried, rounding, (-1,), count, squares)

    def _is_deviation(self, operation: Operation) -> bool:
        """Whether a value is an entry less the mean of its row."""
        if operation.kind != "map" or operation.detail[0] != "sub":
            return False
        entry, mean = operation.operands
        quotient = self.operations[mean.value]
        if quotient.kind != "map" or quotient.detail[0] != "div":
            return False
        total, length = (self.operations[ref.value] for ref in quotient.operands)
        plain = total.kind == "fold" and total.detail[0] == "sum" and length.kind == "size" and total.operands[0].value == entry.value
        return plain and len(total.detail[1]) == 1 and self._is_mean_of(entry, mean, operation)

    def _is_mean_of(self, entry: Ref, mean: Ref, deviation: Operation) -> bool:
        """Whether the mean runs over the one axis of the entries that it does not have itself, and over all of it."""
        quotient = self.operations[mean.value]
        total, length = (self.operations[ref.value] for ref in quotient.operands)
        own = [name for name in deviation.names if name not in mean.axes]
        if len(own) != 1:
            return False
        outer = quotient.operands[0].renamed(dict(zip(quotient.names, mean.axes, strict=True)))
        names = {**dict(zip(total.names, outer.axes, strict=True)), total.detail[1][0]: own[0]}
        place = total.operands[0].axes.index(total.detail[1][0])
        return total.operands[0].renamed(names).axes == entry.axes and self.operations[entry.value].axes[place].size == length.detail[0]

    def _seen(
        self,
        number: int,
        values: dict[int, Approx],
        frame: tuple[str, ...],
        body: Ref,
        power: Operation,
        deviation: Operation,
        ref: Ref | None,
    ) -> Approx:
        """A part of the deviation along the axes of the sum."""
        names = dict(zip(power.names, body.axes, strict=True))
        outer = power.operands[0].renamed(names)
        if ref is None:
            return values[number].aligned(outer.axes, frame)
        inner = ref.renamed(dict(zip(deviation.names, outer.axes, strict=True)))
        return values[number].aligned(inner.axes, frame)
