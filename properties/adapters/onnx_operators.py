"""ONNX operators in the contract's words, as nodes that ONNX Runtime runs. The arrays are NumPy's.

Guarantees: one node a kernel. Attributes that are the contract's options (axis, epsilon, is_causal, scale) are set by the call; what
the file says otherwise (softcap, an approximation) is honoured or refused. Cannot see: strides, as ONNX Runtime copies views.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kernelproof.properties.adapters.known import Kernel
from kernelproof.properties.adapters.onnx_node import OnnxNode
from kernelproof.properties.values import Array
from kernelproof.symbolic.errors import InputError

Variant = Mapping[str, object]
COPIED = frozenset({"layouts"})
#: attributes of attention that ask for more than the contract's attention, with the value that does not
PLAIN_ATTENTION = {"softcap": 0.0, "qk_matmul_output_mode": 0}


@dataclass(frozen=True)
class Operator:
    """How a node is called; ``choices`` are the values of a variant that the node, with its attributes, computes."""

    phase: str
    bind: Callable[[OnnxNode], Kernel]
    conventions: tuple[str, ...]
    choices: Callable[[OnnxNode], dict[str, tuple[object, ...]]] = field(default=lambda node: {})
    without: frozenset[str] = COPIED


def _last_axis(node: OnnxNode, default: int) -> None:
    axis, rank = node.attributes.get("axis", default), node.rank(0)
    if axis != -1 and (rank is None or axis != rank - 1):
        raise InputError(
            f"reading the target {node.path!r}: {node.operator} with axis={axis} on an input of {rank or 'unknown'} axes; expected the last"
        )


def _softmax(node: OnnxNode) -> Kernel:
    _last_axis(node, -1 if node.opset >= 13 else 1)
    return lambda x: node.run([x], axis=-1)


def _layer_norm(node: OnnxNode) -> Kernel:
    _last_axis(node, -1)
    return lambda x, gain, bias, *, eps=1e-5: node.run([x, gain, bias], axis=-1, epsilon=float(eps))


def _rms_norm(node: OnnxNode) -> Kernel:
    _last_axis(node, -1)
    return lambda x, gain, *, eps=1e-5: node.run([x, gain], axis=-1, epsilon=float(eps))


def _gather(node: OnnxNode) -> Kernel:
    if node.attributes.get("axis", 0) != 0:
        raise InputError(f"reading the target {node.path!r}: Gather with axis={node.attributes['axis']}; expected 0, rows of a table")
    return lambda ids, table: node.run([table, ids])


def _elementwise(node: OnnxNode) -> Kernel:
    return lambda x: node.run([x])


def _gelu_form(node: OnnxNode) -> dict[str, tuple[object, ...]]:
    return {"activation": ("gelu_tanh" if node.attributes.get("approximate", "none") == "tanh" else "gelu",)}


def _only(value: str) -> Callable[[OnnxNode], dict[str, tuple[object, ...]]]:
    return lambda node: {"activation": (value,)}


def _silu_form(node: OnnxNode) -> dict[str, tuple[object, ...]]:
    default = 1.702 if node.node.op_type == "QuickGelu" else 1.0
    alpha = node.attributes.get("alpha", default)
    if alpha != 1.0:
        raise InputError(f"reading the target {node.path!r}: {node.operator} with alpha={alpha}; only alpha=1, which is silu, is a variant")
    return {"activation": ("silu",)}


def _attention(node: OnnxNode) -> Kernel:
    for name, plain in PLAIN_ATTENTION.items():
        if node.attributes.get(name, plain) != plain:
            raise InputError(
                f"reading the target {node.path!r}: Attention with {name}={node.attributes[name]}; expected {plain}"
            )
    if any(node.node.input[4:]):
        raise InputError(f"reading the target {node.path!r}: Attention with past keys and values; expected q, k, v and a mask at most")

    def attention(
        q: Array, k: Array, v: Array, *, causal: bool = False, mask: Array | None = None, scale: float | None = None
    ) -> Array:
        lead, n, m = q.shape[:-2], q.shape[-2], k.shape[-2]
        slices = math.prod(lead)
        moved: list[Array | None] = [x.reshape((slices, 1, *x.shape[-2:])) for x in (q, k, v)]
        if mask is not None:
            moved.append(np.broadcast_to(mask, (*lead, n, m)).reshape((slices, 1, n, m)))
        out = node.run(moved, is_causal=int(causal), scale=scale, q_num_heads=None, kv_num_heads=None)
        return out.reshape((*lead, n, v.shape[-1]))

    return attention


def _multi_head(node: OnnxNode) -> Kernel:
    if any(node.node.input[3:5]) or any(node.node.input[6:]):
        raise InputError(f"reading the target {node.path!r}: MultiHeadAttention with a bias, a padding mask or past keys; expected none")

    def attention(
        q: Array, k: Array, v: Array, *, causal: bool = False, mask: Array | None = None, scale: float | None = None
    ) -> Array:
        lead, n, m = q.shape[:-2], q.shape[-2], k.shape[-2]
        slices = math.prod(lead)
        moved: list[Array | None] = [x.reshape((slices, *x.shape[-2:])) for x in (q, k, v)]
        if mask is not None:
            added = np.where(mask, np.zeros((), q.dtype), np.array(-np.inf, q.dtype)) if mask.dtype == bool else mask
            moved += [None, None, np.broadcast_to(added, (*lead, n, m)).reshape((slices, 1, n, m))]
        out = node.run(moved, num_heads=1, unidirectional=int(causal), scale=scale)
        return _judged_rows(out.reshape((*lead, n, v.shape[-1])), causal, mask, (*lead, n, m))

    return attention


def _judged_rows(out: Array, causal: bool, mask: Array | None, shape: tuple[int, ...]) -> Array:
    """The result with zeros in the rows that may attend to nothing."""
    allow: Any = np.tri(*shape[-2:], dtype=np.bool_) if causal else np.ones(shape[-2:], dtype=np.bool_)
    if mask is not None:
        allow = allow & np.broadcast_to(mask if mask.dtype == bool else ~np.isneginf(mask), shape)
    return np.where(allow.any(axis=-1)[..., None], out, np.zeros((), out.dtype))


NORM = ("over the last axis; gain is the node's scale; epsilon is set to eps, 1e-5 by default, whatever the file says",)
MASKS = (
    "layout: (..., n, d) is given as (batch, 1, n, d), one head for each leading index, whatever the number of heads in the file",
    "is_causal and scale are set by the call; causal aligns the first query with the first key",
    "masks: boolean True = may attend, floating ones are added (ONNX's own meaning)",
    "a row that may attend to nothing: zeros are expected (what ONNX Runtime gives)",
    "axes of length 0 are left out: ONNX Runtime refuses them",
)
CONTRIB = (
    "layout: (..., n, d) is given as (batch, n, d) with num_heads=1, whatever the file says",
    "unidirectional is set to causal, whose first query sees the first key; floating masks are attention_bias,"
    " boolean ones become 0 and −inf",
    "a row that may attend to nothing is not judged: the adapter writes zeros there",
)
#: by operator, with the domain before it where that is not ONNX's own
OPERATORS: dict[str, Operator] = {
    "Softmax": Operator("softmax", _softmax, ("called with axis=-1",)),
    "LayerNormalization": Operator("layer_norm", _layer_norm, NORM),
    "RMSNormalization": Operator("rms_norm", _rms_norm, NORM),
    "SimplifiedLayerNormalization": Operator("rms_norm", _rms_norm, NORM),
    "Gather": Operator("embedding", _gather, ("axis 0 of the table",)),
    "Relu": Operator("activation", _elementwise, ("elementwise",), _only("relu")),
    "Gelu": Operator("activation", _elementwise, ("its attribute approximate tells: none is gelu, tanh is gelu_tanh",), _gelu_form),
    "com.microsoft.Gelu": Operator("activation", _elementwise, ("exact, by erf",), _only("gelu")),
    "com.microsoft.FastGelu": Operator("activation", _elementwise, ("by tanh, without its optional bias",), _only("gelu_tanh")),
    "com.microsoft.QuickGelu": Operator("activation", _elementwise, ("alpha=1 is silu",), _silu_form),
    "Swish": Operator("activation", _elementwise, ("alpha=1 is silu",), _silu_form),
    "Attention": Operator("attention", _attention, MASKS, without=COPIED | {"no_rows"}),
    "com.microsoft.MultiHeadAttention": Operator("attention", _multi_head, CONTRIB),
}
