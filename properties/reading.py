"""Reading the rows of a positional kernel in blocks, so that the whole table is never in memory.

Guarantees: a block is contiguous, has the shape asked for and the format under test; whatever is wrong with the numbers asked for is
an :class:`InputError` before anything is read, a wrong shape or an exception of the target a ``TargetRaised``.
Cannot see: whether the blocks are slices of the table that one call would give (``start`` is a property of its own). A target that
takes no ``start`` gives its whole table at once, in the memory that takes.
"""

from __future__ import annotations

import importlib
import math
import sys
import time
from dataclasses import dataclass, field

import numpy as np

from kernelproof.numeric.separation import LARGEST_POSITION
from kernelproof.properties.call import TargetRaised
from kernelproof.properties.collisions import plain
from kernelproof.properties.model import DTYPES, Inputs, dtype_named
from kernelproof.properties.targets import Target
from kernelproof.properties.values import Array
from kernelproof.symbolic.errors import InputError


@dataclass
class Rows:
    """The rows 0 … count − 1 of a target, ``block`` at a time, in ``dtype``.

    ``shown`` says if they are converted to it, ``seconds`` is the target's own time.
    """

    target: Target
    count: int
    width: int
    base: float
    start: int
    size: int
    dtype: str = ""
    shown: str = ""
    seconds: float = 0.0
    _whole: Array | None = field(default=None, repr=False)

    def block(self, number: int) -> Array:
        """Rows number·size … of the table, (rows, width)."""
        first = number * self.size
        length = min(self.size, self.count - first)
        if "start" in self.target.capabilities:
            table = self._call(length, self.start + first)
        else:
            if self._whole is None:
                self._whole = self._call(self.count, 0)
            table = self._whole[first : first + length]
        found: Array = np.ascontiguousarray(table, dtype=dtype_named(self.dtype) if self.dtype else None)
        return found

    def row(self, position: int) -> Array:
        """One row, read with its block, with +0 for −0."""
        number, place = divmod(position, self.size)
        found: Array = plain(self.block(number)[place : place + 1])[0]
        return found

    def _call(self, length: int, start: int) -> Array:
        options: dict[str, object] = {"n_positions": length, "d_model": self.width}
        options |= {name: value for name, value in (("base", self.base), ("start", start)) if name in self.target.capabilities}
        inputs = Inputs({}, options)
        began = time.perf_counter()
        table = self.target.call.raw(inputs)
        self.seconds += time.perf_counter() - began
        if table.shape != (length, self.width):
            raise TargetRaised(f"returned shape {list(table.shape)}, expected {[length, self.width]}, for {options}", inputs)
        return table


def read_positions(target: Target, count: int, width: int, dtype: str | None, base: float, start: int, size: int) -> Rows:
    """The rows to read, after checking that they can be asked for; without ``dtype``, the format of the table itself."""
    what = f"checking {count} positions of width {width}"
    if count < 1 or width < 1:
        raise InputError(f"{what}: expected at least one position and one column; give larger numbers")
    if start < 0 or start + count > LARGEST_POSITION:
        raise InputError(f"{what} from {start} on: expected positions from 0 up to {LARGEST_POSITION}; give smaller ones")
    if not (base > 0 and math.isfinite(base)):
        raise InputError(f"{what}: base {base} is not a positive finite number; give one, such as 10000")
    if width % 2 and target.variant["layout"] == "halves":
        raise InputError(f"{what}: the layout halves has as many sines as cosines; give an even width")
    for name, value, usual in (("start", start, 0), ("base", base, 10000.0)):
        if value != usual and name not in target.capabilities:
            raise InputError(f"{what} with {name} {value}: the target {target.name!r} takes no {name!r}; leave it at {usual}")
    if dtype is not None:
        dtype_named(dtype)
    rows = Rows(target, count, width, base, start, size)
    own = rows.block(0).dtype.name
    if dtype is None and own not in DTYPES:
        raise InputError(f"{what}: the table is {own}; give one of {', '.join(DTYPES)} as dtype, and it is converted")
    rows.dtype = dtype or own
    rows.shown = rows.dtype if rows.dtype == own else f"{rows.dtype} (converted from {own})"
    return rows


def peak_memory() -> float | None:
    """The most memory that this process has held so far, in MiB; None where the system does not tell."""
    try:
        resource = importlib.import_module("resource")
    except ImportError:  # Windows
        return None
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / unit
