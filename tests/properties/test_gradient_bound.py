"""Reference and bound of gradients for a caller's own inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kernelproof.properties.gradient_bound import gradient_bound
from kernelproof.properties.mutants.gradient_block_parts import NAMES, right_gradient
from kernelproof.symbolic.errors import InputError

G = np.random.default_rng(3)


def normal(*shape: int) -> Any:
    return G.standard_normal(shape).astype(np.float32)


def test_a_right_kernel_is_within_and_a_wrong_one_is_not() -> None:
    inputs = {"q": normal(2, 3, 4), "k": normal(2, 5, 4), "v": normal(2, 5, 6), "grad_out": normal(2, 3, 6)}
    references, bounds = gradient_bound("attention", {**inputs, "causal": True})
    found = right_gradient("attention", {})(*inputs.values(), causal=True)
    for mine, reference, bound in zip(found, references, bounds, strict=True):
        assert (np.abs(mine - reference) <= bound).all()
        assert not (np.abs(mine * np.float32(1.01) - reference) <= bound).all()


def test_a_mapping_comes_as_one() -> None:
    shapes = dict.fromkeys(NAMES[:4], (4, 4)) | {"w1": (4, 6), "b1": (6,), "w2": (6, 4)} | dict.fromkeys(NAMES[7:], (4,))
    params = {name: normal(*shapes[name]) for name in NAMES}
    inputs = {"x": normal(3, 4), "params": params, "grad_out": normal(3, 4), "n_heads": 2}
    (dx, found), (_, bounds) = gradient_bound("encoder_block", inputs)
    assert dx.shape == (3, 4) and {name: array.shape for name, array in found.items()} == shapes
    assert all(np.isfinite(bounds[name]).all() for name in NAMES)


@pytest.mark.parametrize(
    ("phase", "inputs", "told"),
    [
        ("softmax", {"x": normal(3)}, "lacks grad_out"),
        ("softmax", {"x": normal(3), "grad_out": normal(4)}, "n would be 3 and 4"),
        ("softmax", {"x": normal(2, 3), "grad_out": normal(3)}, "expected (2, 3), that of the result"),
        ("positional", {"n_positions": 2, "d_model": 2, "grad_out": normal(2, 2)}, "no differentiable input"),
    ],
)
def test_what_cannot_be_bounded(phase: str, inputs: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as raised:
        gradient_bound(phase, inputs)
    assert told in str(raised.value)
