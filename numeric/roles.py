"""A precision applied to a program: which arithmetic each value is computed in, and what else rounds it.

What it does: between :class:`Precision`, which speaks of scores, weights and products, and the interpreter, which sees numbered
operations. Guarantees: without a precision nothing is added, and every value has the one arithmetic. Cannot see: roundings that no
field of a precision names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from kernelproof.numeric.approx import Approx
from kernelproof.numeric.precision import Format, Precision
from kernelproof.numeric.program import Program
from kernelproof.numeric.rounding import Arithmetic, Array
from kernelproof.numeric.staging import staging

_SUMS = ("scores", "row sums", "weighted sums", "products", "sums")


class Roles:
    """The roundings of one run. ``only`` names the stage whose roundings alone count; empty: all."""

    def __init__(self, on: Arithmetic, program: Program, shifts: Mapping[int, object], precision: Precision | None, only: str) -> None:
        self.staging = staging(program, shifts)
        self.precision, self.only, self._on = precision, only, on
        self._kinds = [operation.kind for operation in program.operations]
        # the reference's own roundings stay
        self._exact = replace(on, compute=replace(on.compute, unit=0.0, tiny=0.0))

    def arithmetic(self, number: int) -> Arithmetic:
        """What a value is computed in."""
        stage = self.staging.names[number]
        if self.only and stage != self.only:
            return self._exact
        if self.precision and stage in _SUMS and self._kinds[number] in ("fold", "contract"):
            return replace(self._on, compute=self.precision.format("accumulate"))
        return self._on

    def stored(self, number: int, found: Approx) -> Approx:
        """A value after it has been kept where the precision says."""
        kept = self._kept(number)
        if kept is None:
            return found
        error = found.error + _rounding(kept, self._on, found.value, found.error)
        return Approx(found.value, np.where(np.abs(found.value) + error > kept.largest, np.inf, error))

    def factor(self, number: int, value: Array, error: Array, of_product: bool) -> Array:
        """The error of a value that meets another in a product, or is summed: weights are kept, factors rounded to ``products``."""
        names = (["probability"] if number in self.staging.weights else []) + (["products"] if of_product else [])
        for kept in (self._format(name, "products" if name == "products" else "exponentials") for name in names):
            if kept is not None:
                error = error + _rounding(kept, self._on, value, error, self._stored_in(number))
                error = np.where(np.abs(value) + error > kept.largest, np.inf, error)
        return error

    def _stored_in(self, number: int) -> Format | None:
        """The format that a value is in for certain before it is rounded: an input in the output's."""
        return self.precision.format("output") if self.precision and self._kinds[number] == "input" else None

    def placed(self) -> float:
        """What a factor loses that a number was put on before it was rounded to ``products``, where as an input it loses nothing."""
        kept, given = self._format("products", "products"), self.precision.format("output") if self.precision else None
        return kept.unit if kept and given and given.unit >= kept.unit else 0.0

    def kept_weight(self) -> tuple[float, float]:
        """What keeping a weight loses where it meets the values: relatively, and absolutely below the smallest normal number."""
        formats = [kept for name in ("probability", "products") if (kept := self._format(name, "exponentials")) is not None]
        return sum(kept.unit for kept in formats), sum(kept.unit * kept.tiny for kept in formats) * self._on.rescaled

    def tile(self) -> int:
        """After how many keys an online softmax may rescale; 0 where nothing is assumed of one."""
        return self.precision.tile if self.precision else 0

    def from_logarithm(self) -> bool:
        """Whether weights may be taken from a log-sum-exp."""
        return self.precision is not None and self.precision.weights == "any"

    def _kept(self, number: int) -> Format | None:
        if number in self.staging.scores.values():
            return self._format("score", "scores")
        if number in self.staging.between:
            return self._format("intermediate", "storage")
        return None

    def _format(self, name: str, stage: str) -> Format | None:
        """The format of a field, unless it is as good as what is computed in, or another stage is looked at."""
        if self.precision is None:
            return None
        kept = self.precision.format(name)
        if (self.only and self.only not in (stage, "storage")) or kept.unit <= self._on.compute.unit:
            return None
        return kept


def _rounding(kept: Format, on: Arithmetic, value: Array, error: Array, given: Format | None = None) -> Array:
    """What a value loses that is kept in a format; digits, or range, that its own format ``given`` does not have, it cannot lose."""
    digits = 0.0 if given and given.unit >= kept.unit else kept.unit
    below = 0.0 if given and given.tiny * given.unit >= kept.tiny * kept.unit else kept.tiny * kept.unit
    found: Array = digits * (np.abs(value) + error) + below * on.rescaled
    return found
