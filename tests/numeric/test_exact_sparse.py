"""The substitute's sparse matrices against SciPy's."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy.sparse import csr_array

from kernelproof.numeric.exact_array import exact
from kernelproof.numeric.exact_sparse import SparseRows

DATA, COLUMNS, STARTS = np.array([1.5, -2.0, 0.25, 3.0], np.float32), np.array([2, 0, 2, 2]), np.array([0, 1, 1, 4])
DENSE = np.arange(12, dtype=np.float32).reshape(4, 3) / 4


def test_a_product_and_a_transposed_product_are_scipys() -> None:
    """An empty row, and two entries in one place that add up."""
    theirs, ours = csr_array((DATA, COLUMNS, STARTS), shape=(3, 4)), SparseRows((DATA, COLUMNS, STARTS), shape=(3, 4))
    for one, other, dense in ((ours, theirs, DENSE), (ours.T, theirs.T, DENSE[:3])):
        found = one @ exact(dense)
        assert str(found.dtype) == "float32" and found.shape == (other @ dense).shape
        assert [float(value) for value in found.values.ravel()] == (other @ dense).ravel().tolist()
        assert all(isinstance(value, mpmath.mpf) for value in found.values.ravel())


@pytest.mark.parametrize(
    ("columns", "starts"), [(COLUMNS + 2, STARTS), (COLUMNS - 1, STARTS), (COLUMNS, STARTS[:3]), (COLUMNS, STARTS[::-1])], ids=str
)
def test_what_does_not_fit_is_refused(columns: np.ndarray, starts: np.ndarray) -> None:  # type: ignore[type-arg]
    with pytest.raises(ValueError, match=r"row starts|column indices"):
        SparseRows((DATA, columns, starts), shape=(3, 4))


def test_shapes_and_types_that_do_not_multiply() -> None:
    ours = SparseRows((DATA, COLUMNS, STARTS), shape=(3, 4))
    with pytest.raises(ValueError, match="a product of"):
        ours @ exact(DENSE[:3])
    with pytest.raises(TypeError, match="expected floating"):
        SparseRows((np.ones(4, np.int64), COLUMNS, STARTS), shape=(3, 4)) @ exact(np.ones((4, 1), np.int64))
