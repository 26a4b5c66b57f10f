"""How far apart sinusoidal positions are: one pass over offsets, rows by rotation, and what a faithful kernel may be off by.

What it does: by the theorem ``positional.distance`` (``odd_distance`` for odd d) the distance of two positions in the paired columns
is a function of their offset, ‖PE[p] − PE[q]‖² = 2·Σ_i (1 − cos (p−q)·ω_i), so N positions are compared by N − 1 numbers. Sines and
cosines at all N positions come from two small tables, since PE[p+k] is PE[p] rotated (``positional.rotation_sine`` and ``_cosine``).

Guarantees: frequencies are taken from 60 digits and split, so that position times their high part is exact; the smallest distance is
the smallest over all offsets, and its stated error covers the rounding of the pass; a ceiling is at least the bound of
:func:`kernelproof.numeric.reference.reference` at every position up to its own.
Cannot see: positions that are no whole numbers, or from 2³¹ on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np

from kernelproof.numeric.approx import Approx
from kernelproof.numeric.formal import frequencies
from kernelproof.numeric.forms import free_shifts, program_of
from kernelproof.numeric.interpret import Interpreter
from kernelproof.numeric.reference import assemble, stored, wide
from kernelproof.numeric.rounding import Array, arithmetic_for
from kernelproof.symbolic.registry import derive

#: error of an entry that :class:`Turned` gives: two rounded tables, two products, a sum; rounded up
TURNED_ERROR = 8 * 2.0**-53
LARGEST_POSITION = 2**31
_REFINED = 4096
_ENTRIES = 2**18


@dataclass(frozen=True)
class Frequencies:
    """ω_i in two parts: a position below 2³¹ times ``high`` is exact in long double, ``low`` is the rest."""

    high: Array
    low: Array

    def circle(self, positions: Array) -> tuple[Array, Array]:
        """sin and cos of position·ω, long double, shapes (m, len(ω)); positions are whole numbers or halves of them."""
        places = positions.astype(np.longdouble)[:, None]
        turn, rest = places * self.high, places * self.low
        sine, cosine, small, near_one = np.sin(turn), np.cos(turn), np.sin(rest), np.cos(rest)
        return sine * near_one + cosine * small, cosine * near_one - sine * small


def split_frequencies(variant: Mapping[str, object], width: int, base: float) -> Frequencies:
    """ω_i = base^(−i/steps) for the ⌈d/2⌉ sines of a table of this width."""
    bits = np.finfo(np.longdouble).nmant + 1 - LARGEST_POSITION.bit_length()
    high, low = [], []
    with mpmath.workdps(60):
        slope = mpmath.log(mpmath.mpf(base)) / mpmath.mpf(frequencies(variant, width))
        for i in range((width + 1) // 2):
            omega = mpmath.exp(-i * slope)
            with mpmath.workprec(bits):
                kept = +omega
            high.append(np.longdouble(_as_wide(kept)))
            low.append(_as_wide(omega - kept))
    return Frequencies(np.array(high, dtype=np.longdouble), np.array(low, dtype=np.longdouble))


def _as_wide(value: Any) -> Any:
    """A number of many digits as a long double, through two doubles."""
    first = float(value)
    return np.longdouble(first) + np.longdouble(float(value - first))


class Turned:
    """sin and cos of (start + p)·ω for ``count`` positions in blocks: a coarse table turned by a fine one, both in float64."""

    def __init__(self, frequencies: Frequencies, count: int, start: int, block: int) -> None:
        self.count, self.block = count, block
        self.coarse = self._table(frequencies, start + np.arange(0, count, block))
        self.fine = self._table(frequencies, np.arange(min(block, count)))

    @staticmethod
    def _table(frequencies: Frequencies, positions: Array) -> tuple[Array, Array]:
        sines, cosines = (np.empty((len(positions), len(frequencies.high))) for _ in range(2))
        for part in _parts(len(positions), len(frequencies.high)):
            sines[part], cosines[part] = frequencies.circle(positions[part])
        return sines, cosines

    @property
    def blocks(self) -> int:
        return len(self.coarse[0])

    def rows(self, number: int) -> tuple[Array, Array]:
        """Sines and cosines of one block, each (rows, len(ω)), within :data:`TURNED_ERROR`."""
        length = min(self.block, self.count - number * self.block)
        (s, c), (t, e) = (part[number] for part in self.coarse), (part[:length] for part in self.fine)
        sines, cosines = t * c, e * c
        sines += e * s
        cosines -= t * s
        return sines, cosines

    def cosine_sums(self, pairs: int) -> Array:
        """Σ_{i<pairs} cos p·ω_i for all positions, by two products of the tables."""
        (s, c), (t, e) = (tuple(part[:, :pairs] for part in table) for table in (self.coarse, self.fine))
        sums: Array = (c @ e.T - s @ t.T).reshape(-1)[: self.count]
        return sums


@dataclass(frozen=True)
class Nearest:
    """The smallest distance over the offsets 1 … N − 1, an offset that has it, and a bound on the error of the number."""

    distance: float
    offset: int
    error: float


def nearest(frequencies: Frequencies, count: int, pairs: int, block: int) -> Nearest:
    """min over 1 ≤ k < count of √(2·Σ_{i<pairs} (1 − cos k·ω_i)); infinite for one position, 0 where no column is paired.

    The pass itself loses digits where the distance is small, so offsets that may have the minimum are done again as 4·Σ sin²(k·ω_i/2),
    which loses none.
    """
    if count < 2:
        return Nearest(math.inf, 0, 0.0)
    if not pairs:
        return Nearest(0.0, 1, 0.0)
    squares = 2 * (pairs - Turned(frequencies, count, 0, block).cosine_sums(pairs)[1:])
    lost = 2 * pairs * (2 * pairs + 12) * 2.0**-53
    maybe = np.flatnonzero(squares <= squares.min() + 2 * lost) + 1
    best, offset = np.longdouble(math.inf), 0
    for first in range(0, len(maybe), _REFINED):
        tried = maybe[first : first + _REFINED]
        half = frequencies.circle(tried / 2)[0][:, :pairs]
        exact = 4 * (half * half).sum(axis=1)
        at = int(np.argmin(exact))
        if exact[at] < best:
            best, offset = exact[at], int(tried[at])
    unit = float(np.finfo(np.longdouble).eps)
    distance = float(np.sqrt(best))
    # each sine within 4 units absolutely; the sum and the root relatively; the result is rounded to float64
    return Nearest(distance, offset, 8 * math.sqrt(pairs) * unit + distance * ((pairs + 16) * unit + 2.0**-52))


def entries_at(variant: Mapping[str, object], width: int, base: float, positions: Array, dtype: str) -> Approx:
    """Value and derived error bound of the rows of these positions, (m, d): ``reference`` for positions that need no order."""
    derivation = derive("positional", **variant)
    on = arithmetic_for(dtype, wide(dtype))
    places = positions.astype(wide(dtype))
    with np.errstate(over="ignore"):
        inexact = places.astype(np.float32).astype(places.dtype) != places
    sizes = {"n": 1, "sines": (width + 1) // 2, "cosines": width // 2}
    inputs: dict[str, Array | float] = {"base": base, "start": places, "steps": frequencies(derivation.variant, width)}
    errors = {"start": np.where(inexact, on.unit * np.abs(places), 0)}
    run = Interpreter(on, wide(dtype), sizes, inputs, errors, free_shifts())
    parts = run.run(program_of(derivation.definition.name))
    shape = (len(positions), width)
    value, error = (assemble(derivation, [getattr(part, name)[:, 0, :] for part in parts], shape) for name in ("value", "error"))
    return stored(on, Approx(value, error))


def ceilings(variant: Mapping[str, object], width: int, base: float, positions: Array, dtype: str) -> Array:
    """Bounds (m, d) that hold at every position from 0 up to the given one, whatever the value of the sine there.

    What is carried by the angle grows with the position; what a sine and its storage lose grows with its value, which is at most 1.
    """
    on = arithmetic_for(dtype, wide(dtype))
    own = 2 * on.ulps["sin"] * on.unit * (1 + on.store.unit) + (on.store.unit if on.store != on.compute else 0)
    found = np.empty((len(positions), width))
    for part in _parts(len(positions), width):
        bound = entries_at(variant, width, base, positions[part], dtype).error + own * on.slack()
        found[part] = bound.astype(np.float64) * (1 + 2.0**-50)
    return found


def _parts(rows: int, width: int) -> Iterator[slice]:
    """Rows in parts of some hundred thousand entries: what is computed on the way takes several times their memory."""
    step = max(_ENTRIES // max(width, 1), 1)
    yield from (slice(first, first + step) for first in range(0, rows, step))
