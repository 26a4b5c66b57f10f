"""``torch.nn.functional`` in the contract's words. The arrays are tensors here; ``crossing.py`` brings them.

Guarantees: one call of the function a kernel, with nothing computed beside it but, in attention, the mask that stands for mask and
causal together, which PyTorch does not take at once. Cannot see: backends other than the one that PyTorch chooses.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from kernelproof.properties.adapters.known import Kernel, Known

Variant = Mapping[str, object]


def _softmax(function: Kernel, variant: Variant) -> Kernel:
    return lambda x: function(x, dim=-1)


def _attention(function: Kernel, variant: Variant) -> Kernel:
    def attention(q: Any, k: Any, v: Any, *, causal: bool = False, mask: Any = None, scale: float | None = None) -> Any:
        if mask is not None and mask.ndim == 1:
            mask = mask[None]
        if causal and mask is not None:
            torch = importlib.import_module("torch")
            below = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device).tril()
            mask, causal = (mask & below if mask.dtype is torch.bool else mask.masked_fill(~below, -torch.inf)), False
        return function(q, k, v, attn_mask=mask, is_causal=causal, scale=scale)

    return attention


def _layer_norm(function: Kernel, variant: Variant) -> Kernel:
    return lambda x, gain, bias, *, eps=1e-5: function(x, gain.shape, gain, bias, eps)


def _rms_norm(function: Kernel, variant: Variant) -> Kernel:
    return lambda x, gain, *, eps=1e-5: function(x, gain.shape, gain, eps)


def _embedding(function: Kernel, variant: Variant) -> Kernel:
    return lambda ids, table: function(ids, table)


def _gelu(function: Kernel, variant: Variant) -> Kernel:
    approximate = {"gelu": "none", "gelu_tanh": "tanh"}[str(variant["activation"])]
    return lambda x: function(x, approximate=approximate)


def _elementwise(function: Kernel, variant: Variant) -> Kernel:
    return lambda x: function(x)


def _at(name: str, *more: str) -> tuple[str, ...]:
    return (f"torch.nn.functional.{name}", *more)


TORCH = (
    Known(_at("softmax", "torch.softmax"), "softmax", _softmax, ("called with dim=-1",)),
    Known(
        _at("scaled_dot_product_attention"),
        "attention",
        _attention,
        (
            "masks: boolean True = may attend, floating ones are added (PyTorch's own meaning)",
            "causal: is_causal, first query with first key (top left)",
            "mask and causal together: PyTorch takes only one, so the adapter intersects them into attn_mask",
            "a mask of shape (m,) is given as (1, m)",
            "a row that may attend to nothing: zeros are expected (what PyTorch gives since 2.5)",
            "the backend is the one PyTorch chooses on the CPU",
        ),
    ),
    Known(_at("layer_norm"), "layer_norm", _layer_norm, ("normalized_shape is the last axis; eps 1e-5 unless given",)),
    Known(
        _at("rms_norm", "torch.rms_norm"), "rms_norm", _rms_norm,
        ("normalized_shape is the last axis", "eps is always given, 1e-5 by default: PyTorch's own default is the dtype's epsilon"),
    ),
    Known(_at("embedding"), "embedding", _embedding, ("no padding_idx, no max_norm",)),
    Known(
        _at("gelu"), "activation", _gelu, ("activation=gelu is approximate='none' (erf), gelu_tanh is approximate='tanh'",),
        choices={"activation": ("gelu", "gelu_tanh")},
    ),
    Known(_at("relu", "torch.relu"), "activation", _elementwise, ("not in place",), choices={"activation": ("relu",)}),
    Known(_at("silu"), "activation", _elementwise, ("not in place",), choices={"activation": ("silu",)}),
)
