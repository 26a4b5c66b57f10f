"""Matrix products for sums of products over named axes: what einsum gives, for axes in any order, batch axes, lengths 0 and 1."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelproof.numeric.contraction import Contraction

LENGTHS = {"i": 2, "j": 3, "k": 4, "l": 1, "m": 0}
SETTINGS = st.tuples(*(st.permutations(list(LENGTHS)) for _ in range(3)), *(st.sets(st.sampled_from(list(LENGTHS))) for _ in range(3)))


@given(SETTINGS, st.sampled_from([(), (5,), (1, 5)]), st.sampled_from([(), (5,), (2, 1)]), st.sampled_from([np.float64, np.longdouble]))
def test_what_einsum_gives(drawn: tuple[list[str], ...], lead: tuple[int, ...], other: tuple[int, ...], dtype: type) -> None:
    first, second, third, on_left, on_right, summed = drawn
    left, right = (tuple(name for name in order if name in chosen) for order, chosen in ((first, on_left), (second, on_right)))
    names = tuple(name for name in third if name in (*left, *right) and name not in summed)
    of = Contraction(left, right, tuple(summed), names)
    rng = np.random.default_rng(len(left) + 7 * len(right))
    a, b = (
        rng.integers(-9, 9, (*front, *(LENGTHS[name] for name in axes))).astype(dtype) for front, axes in ((lead, left), (other, right))
    )
    letters = dict(zip(LENGTHS, "ijklm", strict=True))
    text = ["..." + "".join(letters[name] for name in axes) for axes in (left, right, names)]
    expected = np.einsum(f"{text[0]},{text[1]}->{text[2]}", a, b)
    # whole numbers: exact in any order
    found = of.product(a, b)
    assert found.dtype == dtype and np.array_equal(found, expected)
    sums = of.product(a, np.ones_like(b)) + of.product(np.ones_like(a), b)
    assert np.array_equal(np.broadcast_to(of.sums(a, b), expected.shape), sums)


def test_a_length_of_one_in_one_factor_alone_broadcasts() -> None:
    of = Contraction(("i", "k"), ("k", "j"), ("k",), ("i", "j"))
    assert of.product(np.ones((2, 1)), np.ones((3, 4))).tolist() == [[3.0] * 4] * 2
    with pytest.raises(ValueError, match="does not match"):
        of.product(np.ones((2, 5)), np.ones((3, 4)))
