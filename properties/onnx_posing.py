"""A node case of ONNX in the contract's words: which phase, which variant, which arrays and options, which outputs it has.

What it does: data to data, without ONNX. Layouts are moved (heads out of a 3-d width, the normalised axes into one), past keys and values
stand before the new ones. Who may see whom is said by the contract's own variants where it has them (causal with either alignment,
windows to the left, grouped heads); lengths, windows to the right, an offset that is neither alignment's and a mask shorter than the keys
become a mask.
Guarantees: the numbers that a kernel computes with are the case's own; nothing is rounded or computed here. Cannot see: an output that
kernels do not have (``LEFT_OUT``); arithmetic that a case asks for (``softmax_precision``) beyond what the kernel's own is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kernelproof.properties.values import Array

#: formal names of inputs and outputs, by position
INPUTS = {
    "Attention": ("Q", "K", "V", "attn_mask", "past_key", "past_value", "nonpad_kv_seqlen"),
    "LayerNormalization": ("X", "Scale", "B"),
    "RMSNormalization": ("X", "Scale"),
    "Softmax": ("X",),
    "Gelu": ("X",),
}
OUTPUTS = {
    "Attention": ("Y", "present_key", "present_value", "qk_matmul_output"),
    "LayerNormalization": ("Y", "Mean", "InvStdDev"),
    "RMSNormalization": ("Y",),
    "Softmax": ("Y",),
    "Gelu": ("Y",),
}
OPERATORS = tuple(INPUTS)
#: outputs that no kernel of the contract has
LEFT_OUT = frozenset({"qk_matmul_output", "Mean", "InvStdDev"})
#: ONNX's numbers of the types that a softmax may be asked to be computed in, and the types in which that is how kernels do it
PRECISIONS = {1: ("float16", "bfloat16", "float32"), 11: ("float64",)}


@dataclass(frozen=True, eq=False)
class NodeCase:
    """One case: a node's operator and attributes, inputs and outputs by formal name, and the tolerances that come with it."""

    name: str
    operator: str
    opset: int
    attributes: Mapping[str, Any]
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    rtol: float
    atol: float


@dataclass(frozen=True, eq=False)
class Posed:
    """A call of the contract, and how its result becomes the node's outputs. ``given`` are outputs that are no computation."""

    phase: str
    dtype: str
    tensors: dict[str, Array]
    variant: dict[str, object] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    back: Callable[[Array], Array] = lambda out: out
    given: dict[str, Array] = field(default_factory=dict)


class NotApplicable(Exception):
    """The case asks for what kernels of the contract do not do; the text is the reason."""


def pose(case: NodeCase) -> Posed:
    """The case as a call of a kernel. Raises :class:`NotApplicable`."""
    return _POSERS[case.operator](case)


# -- attention ----------------------------------------------------------------------------------------------------------------------


def _attention(case: NodeCase) -> Posed:
    attributes, inputs = case.attributes, case.inputs
    dtype = inputs["Q"].dtype.name
    precision = attributes.get("softmax_precision")
    if precision is not None and dtype not in PRECISIONS.get(precision, ()):
        raise NotApplicable("softmax_precision")
    q, k, v = (_heads(inputs[name], attributes.get(count)) for name, count in zip("QKV", COUNTS, strict=True))
    past = 0
    if "past_key" in inputs:
        past = inputs["past_key"].shape[-2]
        k, v = (np.concatenate([inputs[name], new], axis=-2) for name, new in (("past_key", k), ("past_value", v)))
    scores = (*q.shape[:-1], k.shape[-2])
    variant, options = _places(case, scores, past)
    if k.shape[1] != q.shape[1]:
        variant["grouped_query"] = True
    if attributes.get("softcap", 0.0):
        variant["softcap"] = float(attributes["softcap"])
    if "scale" in attributes:
        options["scale"] = float(attributes["scale"])
    three = inputs["Q"].ndim == 3

    def back(out: Array) -> Array:
        return out.swapaxes(1, 2).reshape(out.shape[0], out.shape[2], -1) if three else out

    return Posed("attention", dtype, {"q": q, "k": k, "v": v}, variant, options, back, {"present_key": k, "present_value": v})


COUNTS = ("q_num_heads", "kv_num_heads", "kv_num_heads")


def _heads(x: Array, count: int | None) -> Array:
    """(batch, heads, n, d), also from (batch, n, heads·d)."""
    if x.ndim == 4:
        return x
    assert count is not None
    return x.reshape(*x.shape[:-1], count, x.shape[-1] // count).swapaxes(1, 2)


def _places(case: NodeCase, scores: tuple[int, ...], past: int) -> tuple[dict[str, object], dict[str, Any]]:
    """Variant and options that say who may see whom: in the contract's words where it has them, else as a mask."""
    causal = bool(case.attributes.get("is_causal", 0))
    left, right = (int(case.attributes.get(f"{side}_window_size", -1)) for side in ("left", "right"))
    given = _long_enough(case.inputs.get("attn_mask"), scores[-1])
    aligned = {0: "top_left", scores[-1] - scores[-2]: "bottom_right"}.get(past)
    if "nonpad_kv_seqlen" in case.inputs or right >= 0 or (left >= 0 and not causal) or (causal and aligned is None):
        return {}, {"mask": _hidden(given, _seen(case, scores, past, causal, (left, right)), scores)}
    variant: dict[str, object] = {"causal_alignment": aligned} if causal and past else {}
    if left >= 0:
        variant["window"] = left + 1
    options: dict[str, Any] = {"causal": True} if causal else {}
    return variant, options if given is None else {**options, "mask": given}


def _long_enough(mask: Array | None, keys: int) -> Array | None:
    """A mask shorter than the keys hides what it does not speak of."""
    if mask is None or mask.shape[-1] in (1, keys):
        return mask
    hidden = np.full((*mask.shape[:-1], keys - mask.shape[-1]), False if mask.dtype == bool else -np.inf, dtype=mask.dtype)
    return np.concatenate([mask, hidden], axis=-1)


def _hidden(mask: Array | None, seen: Array, scores: tuple[int, ...]) -> Array:
    """The mask with what is not seen hidden too."""
    wide = np.broadcast_to(np.True_ if mask is None else mask, scores)
    return np.asarray(wide & seen if wide.dtype == bool else np.where(seen, wide, np.asarray(-np.inf, wide.dtype)))


def _seen(case: NodeCase, scores: tuple[int, ...], past: int, causal: bool, window: tuple[int, int]) -> Array:
    """Which keys each query may see by its place, (batch or 1, 1, n, m): causality, windows, and how many keys are filled."""
    batch, _, n, m = scores
    filled, offset = np.full((1, 1, 1, 1), m), np.full((1, 1, 1, 1), past)
    if "nonpad_kv_seqlen" in case.inputs:
        filled = case.inputs["nonpad_kv_seqlen"].reshape(batch, 1, 1, 1)
        offset = filled - n
    place, key = np.arange(n)[:, None] + offset, np.arange(m)[None, :]
    seen = key < filled
    if causal:
        seen = seen & (key <= place)
    left, right = window
    if left >= 0:
        seen = seen & (key >= place - left)
    if right >= 0:
        seen = seen & (key <= place + right)
    return np.asarray(seen)


# -- rows ---------------------------------------------------------------------------------------------------------------------------


def _norm(phase: str) -> Callable[[NodeCase], Posed]:
    def posed(case: NodeCase) -> Posed:
        x, scale = case.inputs["X"], case.inputs["Scale"]
        axis = int(case.attributes.get("axis", -1)) % x.ndim
        width = math.prod(x.shape[axis:])
        flat = x.reshape(*x.shape[:axis], width)
        tensors = {"x": flat, "gain": np.broadcast_to(scale, x.shape[axis:]).reshape(width)}
        if phase == "layer_norm":
            tensors["bias"] = np.broadcast_to(case.inputs.get("B", np.zeros((), x.dtype)), x.shape[axis:]).reshape(width)
        options = {"eps": float(case.attributes.get("epsilon", 1e-5))}
        return Posed(phase, x.dtype.name, tensors, options=options, back=lambda out: out.reshape(x.shape))

    return posed


def _softmax(case: NodeCase) -> Posed:
    x, axis = case.inputs["X"], int(case.attributes.get("axis", -1))
    return Posed("softmax", x.dtype.name, {"x": np.moveaxis(x, axis, -1)}, back=lambda out: np.moveaxis(out, -1, axis))


def _gelu(case: NodeCase) -> Posed:
    x = case.inputs["X"]
    form = "gelu_tanh" if case.attributes.get("approximate", "none") == "tanh" else "gelu"
    return Posed("activation", x.dtype.name, {"x": x}, {"activation": form})


_POSERS: dict[str, Callable[[NodeCase], Posed]] = {
    "Attention": _attention,
    "LayerNormalization": _norm("layer_norm"),
    "RMSNormalization": _norm("rms_norm"),
    "Softmax": _softmax,
    "Gelu": _gelu,
}
