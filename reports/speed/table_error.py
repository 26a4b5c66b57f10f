"""The error of a position table against sines and cosines of angles in extended precision."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelproof.reports.speed import textbook

FAR = 10**7
_BLOCK = 512


def largest_error(table: NDArray[Any], start: int) -> float:
    """The largest error of a table whose first row is position ``start``, sines in even columns and cosines in odd ones."""
    n, d = table.shape
    rate = np.longdouble(10000) ** (-np.arange(0, d, 2).astype(np.longdouble) / d)
    worst = 0.0
    for first in range(0, n, _BLOCK):
        rows = table[first : first + _BLOCK].astype(np.float64)
        # an angle is right to 10⁷ · 2⁻⁶⁴, where long double is wider than double; its sine in double is then right to 10⁻¹²
        angle = (np.arange(start + first, start + first + len(rows)).astype(np.longdouble)[:, None] * rate) % (2 * _PI)
        for offset, exact in ((0, np.sin), (1, np.cos)):
            known = exact(angle.astype(np.float64))[:, : rows[:, offset::2].shape[1]]
            worst = max(worst, float(np.abs(rows[:, offset::2] - known).max(initial=0)))
    return worst


_PI = np.longdouble("3.14159265358979323846264338327950288")


def textbook_error(n: int, d: int) -> float:
    """The same of the textbook's table."""
    return largest_error(textbook.positional(n, d), 0)
