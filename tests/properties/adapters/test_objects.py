"""Targets that are no functions: what they stand for, and what cannot be used."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kernelproof.properties.adapters import recognise
from kernelproof.properties.adapters.objects import instance_of
from kernelproof.properties.targets import memory_target
from kernelproof.properties.verify import checked_variant
from kernelproof.symbolic.errors import InputError


class Identity:
    def __call__(self, x: Any) -> Any:
        return x


class Needy:
    def __init__(self, width: int) -> None:
        self.width = width


class NotCallable:
    pass


def test_a_class_without_arguments_is_an_instance_of_it() -> None:
    assert isinstance(instance_of("m:Identity", Identity), Identity)
    target = memory_target(Identity, phase="softmax", variant={})
    assert target.call({"x": np.ones(3)}, {}).tolist() == [1, 1, 1]
    for kind, told in ((Needy, "missing 1 required positional argument"), (NotCallable, "cannot be called")):
        with pytest.raises(InputError, match=told) as caught:
            instance_of("m:it", kind)
        assert "\n" not in str(caught.value)


def test_partial_application_keeps_the_contracts_signature() -> None:
    def scaled(factor: float, x: Any) -> Any:
        return factor * x

    target = memory_target(functools.partial(scaled, 3.0), phase="softmax", variant={})
    assert target.call({"x": np.ones(2)}, {}).tolist() == [3, 3]


X = np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4)
GAIN, BIAS = np.arange(1, 5, dtype=np.float32), np.full(4, 0.5, np.float32)


def layer_norm(x: Any) -> Any:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * GAIN + BIAS


@pytest.fixture(scope="module")
def kernels() -> dict[str, Any]:
    torch = pytest.importorskip("torch")

    class Norm(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(9))
            self.beta = torch.nn.Parameter(torch.zeros(9))
            self.drop = torch.nn.Dropout(0.5)

        def forward(self, x: Any, eps: float = 1e-5) -> Any:
            centred = x - x.mean(-1, keepdim=True)
            return self.drop(centred / torch.sqrt((centred**2).mean(-1, keepdim=True) + eps) * self.weight + self.beta)

    class Linear(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.inner = torch.nn.Linear(4, 4)

        def forward(self, x: Any) -> Any:
            return self.inner(x)

    class Twice(torch.autograd.Function):  # type: ignore[misc, name-defined]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return 2 * x

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return 3 * grad

    nn = torch.nn
    return {
        "Norm": Norm, "norm": Norm(), "Linear": Linear, "Twice": Twice, "apply": Twice.apply, "LayerNorm": nn.LayerNorm,
        "layer7": nn.LayerNorm(7), "Softmax": nn.Softmax, "softmax": nn.Softmax(dim=-1), "dim0": nn.Softmax(dim=0),
        "GELU": nn.GELU, "tanh": nn.GELU("tanh"), "MHA": nn.MultiheadAttention, "partial": functools.partial(torch.softmax, dim=-1),
    }


@pytest.mark.parametrize("name", ["Norm", "norm", "LayerNorm", "layer7"])
def test_parameters_are_the_phases_inputs_of_any_width(kernels: dict[str, Any], name: str) -> None:
    found = recognise(name, kernels[name], "layer_norm", {})
    assert np.abs(found.function(X, GAIN, BIAS) - layer_norm(X)).max() < 1e-5
    assert np.abs(found.function(X, GAIN, BIAS, eps=10.0)).max() < np.abs(layer_norm(X)).max()
    assert any("weight" in told for told in found.conventions)


@pytest.mark.parametrize("name", ["Softmax", "softmax", "partial"])
def test_softmax_as_class_instance_and_partial(kernels: dict[str, Any], name: str) -> None:
    found = recognise(name, kernels[name], "softmax", {})
    assert np.abs(found.function(X).sum(-1) - 1).max() < 1e-6


@pytest.mark.parametrize("name", ["Twice", "apply"])
def test_an_autograd_function_is_applied(kernels: dict[str, Any], name: str) -> None:
    found = recognise(name, kernels[name], "softmax", {})
    assert found.function(X).tolist() == (2 * X).tolist()
    (gradient,) = recognise(name, kernels[name], "softmax.vjp", {}).function(X, np.ones_like(X))
    assert (gradient == 3).all(), "its own backward pass, whatever that computes"


def test_multi_head_attention_takes_masks_in_the_contracts_sense(kernels: dict[str, Any]) -> None:
    kernel: Callable[..., Any] = recognise("MHA", kernels["MHA"], "multi_head_attention", {}).function
    generator = np.random.default_rng(0)
    x, w = generator.standard_normal((2, 3, 4)).astype(np.float32), [generator.standard_normal((4, 4)).astype(np.float32) for _ in range(4)]
    mask = np.tril(np.ones((3, 3), bool))
    masked = kernel(x, *w, n_heads=2, mask=mask)
    added = kernel(x, *w, n_heads=2, mask=np.where(mask, 0, -np.inf).astype(np.float32))
    causal = kernel(x, *w, n_heads=2, causal=True)
    assert np.abs(masked - causal).max() < 1e-5 and np.abs(added - causal).max() < 1e-5
    assert np.abs(masked - kernel(x, *w, n_heads=2)).max() > 0.1
    none = kernel(x, *w, n_heads=2, mask=np.zeros((3, 3), bool))
    assert (none == 0).all()


@pytest.mark.parametrize(
    ("name", "phase", "variant", "told"),
    [
        ("Linear", "softmax", {}, "the parameters of the module are inner.weight, inner.bias"),
        ("dim0", "softmax", {}, "dim=0; expected -1"),
        ("LayerNorm", "softmax", {}, "recognised as layer_norm"),
        ("tanh", "activation", {"activation": "gelu"}, "give --variant activation=gelu_tanh"),
        ("GELU", "activation", {"activation": "silu"}, "does not compute activation=silu"),
    ],
)
def test_what_is_no_kernel_of_the_phase_is_said_in_one_line(
    kernels: dict[str, Any], name: str, phase: str, variant: dict[str, object], told: str
) -> None:
    with pytest.raises(InputError) as caught:
        recognise(name, kernels[name], phase, checked_variant(phase, variant))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
