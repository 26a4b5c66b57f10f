"""Equal rows of a table that is never held in memory: one 64-bit digest a row, and the rows themselves where digests agree.

Guarantees: equal rows have equal digests, so none is missed; a pair is reported only after its rows have been compared, so none is
invented, however bad the digest. Zeros of both signs count as equal, NaNs by their bits.
Cannot see: a table that gives other rows when it is read again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from kernelproof.properties.values import Array


def plain(rows: Array) -> Array:
    """The rows in one piece of memory, with +0 for −0."""
    found: Array = np.ascontiguousarray(rows)
    size = found.dtype.itemsize
    if found.dtype.kind not in "fV" or size not in (2, 4, 8):
        return found
    # among the bits: in 16-bit formats that is many times faster than adding 0
    negative = found.view(f"u{size}") == 1 << 8 * size - 1
    if negative.any():
        found = found.copy()
        found.view(f"u{size}")[negative] = 0
    return found


def digests(rows: Array) -> Array:
    """A 64-bit digest of the bits of each :func:`plain` row of an (m, d) array, (m,)."""
    length = rows.shape[1] * rows.dtype.itemsize
    view = memoryview(rows.tobytes())
    text = b"".join(blake2b(view[at : at + length], digest_size=8).digest() for at in range(0, len(view), length))
    return np.frombuffer(text, dtype=np.uint64)


@dataclass(frozen=True)
class Repeats:
    """Positions whose digest stood at an earlier one: ``later`` ascending, ``earlier`` the first with the same digest."""

    earlier: Array
    later: Array
    _order: Array
    _starts: Array
    _places: Array

    def __len__(self) -> int:
        return len(self.later)

    def confirmed(self, same: Callable[[int, int], bool]) -> tuple[int, int] | None:
        """The first collision: the least q whose row is an earlier one's, with the least such p. ``same`` compares the rows."""
        for at, q in enumerate(self.later.tolist()):
            for p in self._before(at):
                if same(p, q):
                    return p, q
        return None

    def _before(self, at: int) -> Iterator[int]:
        yield from map(int, self._order[self._starts[at] : self._places[at]])


def repeats(keys: Array) -> Repeats:
    """The digests that occur more than once."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    fresh = np.ones(len(keys), dtype=bool)
    fresh[1:] = ordered[1:] != ordered[:-1]
    starts = np.maximum.accumulate(np.where(fresh, np.arange(len(keys)), 0))
    places = np.flatnonzero(~fresh)
    places = places[np.argsort(order[places])]
    return Repeats(order[starts[places]], order[places], order, starts[places], places)


def first_repeat(table: Array, digest: Callable[[Array], Array] = digests) -> tuple[int, int] | None:
    """The first collision of a table that is in memory.

    >>> first_repeat(np.array([[0.0, 1.0], [2.0, 3.0], [-0.0, 1.0]]))
    (0, 2)
    """
    rows = plain(table)
    if not rows.size:
        return (0, 1) if len(rows) > 1 else None

    def same(p: int, q: int) -> bool:
        return bool(rows[p].tobytes() == rows[q].tobytes())

    return repeats(digest(rows)).confirmed(same)


def told_apart(left: Any, right: Any) -> Array:
    """Which pairs of rows no rounding explains: an entry of the exact rows differs by more than both bounds allow, (m,)."""
    found: Array = (np.abs(left.value - right.value) > left.error + right.error).any(axis=1)
    return found
