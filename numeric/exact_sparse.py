"""Sparse matrices of the substitute for SciPy: by rows, transposed, and times a matrix.

What it does: ``csr_array((data, indices, indptr), shape=…)`` with ``.T`` and ``@``, on exact numbers. Guarantees: an index outside the
shape, or row starts that do not fit, are a ValueError, as in SciPy. Cannot see: the order in which entries of a row are added.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernelproof.numeric.exact_array import ExactArray, exact, reals, type_of


class SparseRows:
    """Row i has the entries ``data[indptr[i]:indptr[i + 1]]`` in the columns ``indices[…]``; others are zero, equal places add up."""

    __array_ufunc__ = None

    def __init__(self, parts: tuple[Any, Any, Any], shape: tuple[int, int]) -> None:
        data, indices, indptr = (exact(part) for part in parts)
        rows, columns = shape
        starts = [int(start) for start in indptr.values.tolist()]
        if len(starts) != rows + 1 or starts[:1] != [0] or sorted(starts) != starts or starts[-1] > min(data.size, indices.size):
            raise ValueError(f"row starts {starts} for {rows} rows and {data.size} entries")
        places = [int(place) for place in indices.values.tolist()]
        if any(not 0 <= place < columns for place in places):
            raise ValueError(f"column indices {places}; expected 0 <= index < {columns}")
        self.shape, self.dtype = (rows, columns), data.dtype
        #: (row, column, value)
        self.entries = [
            (row, places[at], data.values[at]) for row in range(rows) for at in range(starts[row], starts[row + 1])
        ]

    @property
    def T(self) -> SparseRows:
        """Rows as columns."""
        made = object.__new__(SparseRows)
        made.shape, made.dtype = self.shape[::-1], self.dtype
        made.entries = [(column, row, value) for row, column, value in self.entries]
        return made

    def __matmul__(self, other: Any) -> ExactArray:
        dense = exact(other)
        if dense.ndim != 2 or dense.shape[0] != self.shape[1]:
            raise ValueError(f"a product of {self.shape} and {dense.shape}")
        kind = type_of(ExactArray(np.zeros(1, dtype=object), self.dtype), dense)
        if not kind.floating:
            raise TypeError(f"a sparse product of {kind}; expected floating numbers")
        found = np.empty((self.shape[0], dense.shape[1]), dtype=object)
        found[...] = 0
        for row, column, value in self.entries:
            found[row] = found[row] + value * dense.values[column]
        return ExactArray(reals(found), kind)
