"""The same numbers in other memory layouts. Needs NumPy alone: reproducers carry the source of :func:`view_of`.

Guarantees: equal values, writable, in memory that nothing else uses; around the entries of a stepped or offset view
stands NaN, so a kernel that reads past its strides shows it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

VIEWS = ("stepped", "reversed", "transposed", "offset", "broadcast")


def view_of(array: npt.NDArray[Any], kind: str) -> npt.NDArray[Any]:
    """``array`` as a view that is not contiguous (where its shape allows one)."""
    if not array.ndim:
        return array.copy()
    # integers have no NaN; entry 0 is a valid index, so a wrong read shows in the result and not as an exception
    hole = 0 if array.dtype.kind in "biu" else np.nan
    if kind == "reversed":
        return array[..., ::-1].copy()[..., ::-1]
    if kind == "transposed":
        return np.asfortranarray(array).copy(order="F")
    if kind == "offset":
        wide = np.full(tuple(length + 3 for length in array.shape), hole, dtype=array.dtype)
        inside = wide[tuple(slice(1, length + 1) for length in array.shape)]
        inside[...] = array
        return inside
    if kind == "broadcast" and array.shape[0] and all(row.tobytes() == array[0].tobytes() for row in array):
        # stride 0 along the first axis: all rows are one
        row = np.array(array[0])
        return np.lib.stride_tricks.as_strided(row, array.shape, (0, *row.strides), writeable=True)
    wide = np.full((*array.shape[:-1], 2 * array.shape[-1]), hole, dtype=array.dtype)
    wide[..., ::2] = array
    return wide[..., ::2]
