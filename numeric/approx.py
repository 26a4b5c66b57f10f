"""Values with error bounds, and how they lie: named axes at the end, batch axes in front.

Guarantees: :func:`align` never copies and never guesses: it permutes the named axes and puts length 1 where one is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kernelproof.numeric.rounding import Array
from kernelproof.symbolic.terms import Num, Op, Term, Var


@dataclass(frozen=True)
class Approx:
    """A value and a bound on its absolute error, entry by entry."""

    value: Array
    error: Array

    def aligned(self, have: tuple[str, ...], want: tuple[str, ...]) -> Approx:
        """Both parts brought to other axes."""
        return Approx(align(self.value, have, want), align(self.error, have, want))


def align(array: Array, have: tuple[str, ...], want: tuple[str, ...]) -> Array:
    """The array with its trailing axes ``have`` brought to the order ``want``, missing ones of length 1."""
    lead = array.ndim - len(have)
    kept = [name for name in want if name in have]
    moved = array.transpose((*range(lead), *(lead + have.index(name) for name in kept)))
    picks = tuple(slice(None) if name in have else None for name in want)
    return moved[(Ellipsis, *picks)]


def size_value(size: Term, sizes: Mapping[str, int]) -> int:
    """The number a symbolic size stands for."""
    if isinstance(size, Num):
        return int(size.value)
    if isinstance(size, Var):
        return sizes[size.name]
    if isinstance(size, Op) and size.name in ("add", "mul"):
        left, right = (size_value(arg, sizes) for arg in size.args)
        return left + right if size.name == "add" else left * right
    raise ValueError(f"{size!r} is not a size")
