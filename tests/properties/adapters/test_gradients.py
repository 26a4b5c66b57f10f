"""A library's own gradient of a well-known function, as a gradient kernel of the contract."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from kernelproof.numeric.gradient_reference import GRAD_OUT, gradient_reference
from kernelproof.properties.adapters import recognise
from kernelproof.properties.adapters.gradients import gradient_of
from kernelproof.properties.shapes import phase_shape
from kernelproof.symbolic.errors import InputError

G = np.random.default_rng(5)


def normal(*shape: int) -> Any:
    return G.standard_normal(shape).astype(np.float32)


def within(phase: str, variant: dict[str, object], kernel: Any, tensors: dict[str, Any], **options: Any) -> None:
    expected = gradient_reference(phase, variant, tensors, options, "float32")
    found = kernel(*tensors.values(), **options)
    assert isinstance(found, tuple) and len(found) == len(expected)
    for (name, approx), mine in zip(expected.items(), found, strict=True):
        assert isinstance(mine, np.ndarray) and mine.dtype == np.float32
        assert (np.abs(mine - approx.value) <= approx.error).all(), name


def test_torch_attention_with_mask_and_a_row_without_keys() -> None:
    torch = pytest.importorskip("torch")
    found = recognise("sdpa", torch.nn.functional.scaled_dot_product_attention, "attention.vjp", {})
    assert "its gradient by torch.autograd.grad" in found.conventions[0] and found.library == "torch"
    assert list(inspect.signature(found.function).parameters) == ["q", "k", "v", GRAD_OUT, "causal", "mask", "scale"]
    mask = np.array([[True, False, True], [False, False, False]])
    tensors = {"q": normal(2, 2, 4), "k": normal(2, 3, 4), "v": normal(2, 3, 4), GRAD_OUT: normal(2, 2, 4)}
    within("attention", {}, found.function, tensors, mask=mask)
    within("attention", {}, found.function, tensors, causal=True, scale=0.25)


def test_torch_ids_get_no_gradient_and_norms_three() -> None:
    torch = pytest.importorskip("torch")
    embedding = recognise("embedding", torch.nn.functional.embedding, "embedding.vjp", {}).function
    within("embedding", {}, embedding, {"ids": np.array([1, 0, 1]), "table": normal(3, 2), GRAD_OUT: normal(3, 2)})
    norm = recognise("layer_norm", torch.nn.functional.layer_norm, "layer_norm.vjp", {}).function
    within("layer_norm", {}, norm, {"x": normal(2, 3, 5), "gain": normal(5), "bias": normal(5), GRAD_OUT: normal(2, 3, 5)}, eps=1e-3)


def test_what_a_result_does_not_depend_on_gets_zeros() -> None:
    torch = pytest.importorskip("torch")
    kernel = gradient_of(lambda x, gain, bias: x + 0 * gain, "torch", phase_shape("layer_norm.vjp"))
    *_, bias = kernel(*(torch.ones(3) for _ in range(4)))
    assert bias.shape == (3,) and not bias.any()


def test_jax() -> None:
    jax = pytest.importorskip("jax")
    softmax = recognise("softmax", jax.nn.softmax, "softmax.vjp", {}).function
    within("softmax", {}, softmax, {"x": normal(2, 5), GRAD_OUT: normal(2, 5)})
    take = recognise("take", jax.numpy.take, "embedding.vjp", {}).function
    within("embedding", {}, take, {"ids": np.array([1, 0, 1]), "table": normal(3, 2), GRAD_OUT: normal(3, 2)})
    with pytest.raises(InputError, match=r"no adapter for the gradient of jax\.nn\.dot_product_attention"):
        recognise("attention", jax.nn.dot_product_attention, "attention.vjp", {})


def test_another_phase_is_refused_by_its_own_name() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(InputError, match="is recognised as softmax, and the phase is 'attention'"):
        recognise("softmax", torch.nn.functional.softmax, "attention.vjp", {})
