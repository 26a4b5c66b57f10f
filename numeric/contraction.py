"""Sums of products over named axes as one matrix product: what ``einsum`` gives, without its looking for a way each time.

What it does: the axes of two factors are brought to (shared, own, summed) and (shared, summed, own), and multiplied; batch axes stand in
front and are broadcast. Guarantees: the same sums of the same products as ``einsum``, in whatever order the matrix product takes them;
axes that do not fit this form, or have length 1 in one factor alone, are left to ``einsum``.
"""

from __future__ import annotations

from math import prod

import numpy as np

from kernelproof.numeric.rounding import Array

Names = tuple[str, ...]


class Contraction:
    """Two factors with these axes, summed over ``reduced``, into the axes ``names``."""

    def __init__(self, left: Names, right: Names, reduced: Names, names: Names) -> None:
        self._left, self._right = left, right
        letters = {name: chr(97 + place) for place, name in enumerate(dict.fromkeys((*left, *right)))}
        factors, result = ("".join(letters[name] for name in axes) for axes in (left, right)), "".join(letters[name] for name in names)
        self._text = f"{','.join('...' + factor for factor in factors)}->...{result}"
        self._both = [name for name in left if name in right]
        self._summed = [name for name in self._both if name in reduced]
        shared = [name for name in self._both if name not in reduced]
        self._own = [name for name in left if name not in right], [name for name in right if name not in left]
        order = [*shared, *self._own[0], *self._own[1]]
        self._plain = len(set(left)) == len(left) and len(set(right)) == len(right) and sorted(order) == sorted(names)
        if self._plain:
            self._turns = (
                [left.index(name) for name in (*shared, *self._own[0], *self._summed)],
                [right.index(name) for name in (*shared, *self._summed, *self._own[1])],
            )
            self._back = [order.index(name) for name in names]
            self._shared = len(shared)

    def product(self, a: Array, b: Array) -> Array:
        """Σ a·b."""
        if not self._plain or any(self._length(a, self._left, name) != self._length(b, self._right, name) for name in self._both):
            return np.einsum(self._text, a, b, optimize=True)  # type: ignore[no-any-return]
        first, second = _turned(a, self._turns[0]), _turned(b, self._turns[1])
        summed, own = len(self._summed), (len(self._own[0]), len(self._own[1]))
        split = first.ndim - own[0] - summed, second.ndim - summed - own[1]
        rows, columns = first.shape[split[0] : first.ndim - summed], second.shape[split[1] + summed :]
        keys = prod(second.shape[split[1] : split[1] + summed])
        matrices = (*first.shape[: split[0]], prod(rows), keys), (*second.shape[: split[1]], keys, prod(columns))
        found = first.reshape(matrices[0]) @ second.reshape(matrices[1])
        return _turned(found.reshape((*found.shape[:-2], *rows, *columns)), self._back)

    def sums(self, a: Array, b: Array) -> Array:
        """Σ a·1 + Σ 1·b, which broadcasts to the shape of the product."""
        if not self._plain:
            return self.product(a, np.ones_like(b)) + self.product(np.ones_like(a), b)
        count = len(self._summed)
        turned = _turned(a, self._turns[0])
        first = turned.sum(axis=tuple(range(turned.ndim - count, turned.ndim)))
        turned = _turned(b, self._turns[1])
        place = turned.ndim - len(self._own[1])
        second = turned.sum(axis=tuple(range(place - count, place)))
        place = second.ndim - len(self._own[1])
        second = second.reshape((*second.shape[:place], *(1 for _ in self._own[0]), *second.shape[place:]))
        return _turned(first.reshape((*first.shape, *(1 for _ in self._own[1]))) + second, self._back)

    @staticmethod
    def _length(array: Array, axes: Names, name: str) -> int:
        length: int = array.shape[array.ndim - len(axes) + axes.index(name)]
        return length


def _turned(array: Array, order: list[int]) -> Array:
    """The last axes in another order."""
    lead = array.ndim - len(order)
    return array.transpose((*range(lead), *(lead + place for place in order)))
