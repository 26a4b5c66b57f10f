"""PyTorch on a workload, on the CPU: its fused functions where it has them, autograd for gradients.

A gradient is timed as forward and backward together, as our gradient kernels compute what they need of the forward anew. Guarantees:
tensors share the memory of the inputs and are made before timing; forward calls run in inference mode, as a user who wants no gradient
would run them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kernelproof.reports.speed.rivals import Builder, Rival
from kernelproof.reports.speed.workloads import Inputs, Workload


def _torch() -> Any:
    import torch

    return torch


def _tensors(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return _torch().from_numpy(value)
    if isinstance(value, Mapping):
        return {name: _tensors(part) for name, part in value.items()}
    return value


def _arrays(found: Any) -> Any:
    return tuple(_arrays(part) for part in found) if isinstance(found, (tuple, list)) else found.detach().numpy()


def _forward(what: str, function: Callable[[Workload, dict[str, Any]], Any]) -> Builder:
    def build(workload: Workload, inputs: Inputs) -> Rival:
        torch = _torch()
        tensors = {name: _tensors(value) for name, value in inputs.named.items()}

        def call() -> Any:
            with torch.inference_mode():
                return function(workload, tensors)

        return Rival(what, call, _arrays)

    return build


def _gradient(what: str, function: Callable[[Workload, dict[str, Any]], Any]) -> Builder:
    """Forward and backward of what ``function`` computes, in all inputs."""

    def build(workload: Workload, inputs: Inputs) -> Rival:
        torch = _torch()
        tensors = {name: _tensors(value) for name, value in inputs.named.items()}
        grad_out = tensors.pop("grad_out")
        leaves = [tensor.requires_grad_() for tensor in tensors.values()]

        def call() -> Any:
            return torch.autograd.grad(function(workload, tensors), leaves, grad_out)

        return Rival(f"{what}, forward and backward by autograd", call, _arrays)

    return build


def _attention(workload: Workload, t: dict[str, Any]) -> Any:
    # with a batch axis of one: without it PyTorch takes a slower way
    found = _torch().nn.functional.scaled_dot_product_attention(t["q"][None], t["k"][None], t["v"][None], is_causal=workload.causal)
    return found[0]


def _multi_head_attention(workload: Workload, t: dict[str, Any]) -> Any:
    n, d = t["x"].shape
    heads = int(str(workload.options["n_heads"]))

    def split(y: Any) -> Any:
        return y.view(1, n, heads, d // heads).transpose(1, 2)

    q, k, v = (split(t["x"] @ t[name]) for name in ("w_q", "w_k", "w_v"))
    found = _torch().nn.functional.scaled_dot_product_attention(q, k, v, is_causal=workload.causal)
    return found.transpose(1, 2).reshape(n, d) @ t["w_o"]


def _feed_forward(workload: Workload, t: dict[str, Any]) -> Any:
    functional = _torch().nn.functional
    activation = functional.gelu if workload.variant.get("activation") == "gelu" else functional.relu
    # the contract's weights are applied as x @ w, those of a linear layer as x @ wᵀ
    return functional.linear(activation(functional.linear(t["x"], t["w1"].T, t["b1"])), t["w2"].T, t["b2"])


def _layer_norm(workload: Workload, t: dict[str, Any]) -> Any:
    return _torch().nn.functional.layer_norm(t["x"], t["gain"].shape, t["gain"], t["bias"], 1e-5)


def _encoder_block(workload: Workload, t: dict[str, Any]) -> Any:
    norm = _torch().nn.functional.layer_norm
    p = t["params"]
    x = norm(t["x"] + _multi_head_attention(workload, {"x": t["x"], **p}), p["gain1"].shape, p["gain1"], p["bias1"], 1e-5)
    return norm(x + _feed_forward(workload, {"x": x, **p}), p["gain2"].shape, p["gain2"], p["bias2"], 1e-5)


def _positional(workload: Workload, t: dict[str, Any]) -> Any:
    torch = _torch()
    n, d = t["n_positions"], t["d_model"]
    position = torch.arange(n, dtype=torch.float32)[:, None]
    rate = torch.exp(torch.arange(0, d, 2, dtype=torch.float32) * (-np.log(10000.0) / d))
    table = torch.empty(n, d)
    table[:, 0::2] = torch.sin(position * rate)
    table[:, 1::2] = torch.cos(position * rate)
    return table


def _rotary(workload: Workload, t: dict[str, Any]) -> Any:
    torch = _torch()
    n, d = t["x"].shape[-2:]
    rate = 10000.0 ** (-torch.arange(0, d, 2, dtype=torch.float32) / d)
    angle = torch.arange(n, dtype=torch.float32)[:, None] * rate
    cos, sin = torch.cos(angle), torch.sin(angle)
    left, right = t["x"][..., : d // 2], t["x"][..., d // 2 :]
    return torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1)


def _embedding_gradient(workload: Workload, t: dict[str, Any]) -> Any:
    return (_torch().zeros_like(t["table"]).index_add_(0, t["ids"], t["grad_out"]),)


BUILDERS: Mapping[str, Builder] = {
    "attention": _forward("scaled_dot_product_attention", _attention),
    "attention.vjp": _gradient("scaled_dot_product_attention", _attention),
    "multi_head_attention": _forward("products and scaled_dot_product_attention", _multi_head_attention),
    "feed_forward": _forward("linear, activation, linear", _feed_forward),
    "feed_forward.vjp": _gradient("linear, activation, linear", _feed_forward),
    "layer_norm": _forward("layer_norm", _layer_norm),
    "layer_norm.vjp": _gradient("layer_norm", _layer_norm),
    "rms_norm": _forward("rms_norm", lambda _, t: _torch().nn.functional.rms_norm(t["x"], t["gain"].shape, t["gain"], 1e-5)),
    "softmax": _forward("softmax", lambda _, t: _torch().softmax(t["x"], dim=-1)),
    "activation": _forward("gelu", lambda _, t: _torch().nn.functional.gelu(t["x"])),
    "positional": _forward("the textbook table in tensors", _positional),
    "rotary": _forward("the textbook rotation in tensors", _rotary),
    "embedding": _forward("embedding", lambda _, t: _torch().nn.functional.embedding(t["ids"], t["table"])),
    "embedding.vjp": _forward("index_add_", _embedding_gradient),
    "encoder_block": _forward("products, scaled_dot_product_attention, linear, layer_norm", _encoder_block),
}
