"""Right kernels of the variants of attention and of the gated feed-forward, in styles other than the generated ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kernelproof.properties.mutants import parts
from kernelproof.properties.mutants.parts import Kernel, Right


def _slopes(heads: int) -> list[float]:
    """As the paper's own code has them: a ratio and its powers, and every other slope of twice as many heads."""
    if math.log2(heads).is_integer():
        start = 2.0 ** -(2.0 ** -(math.log2(heads) - 3))
        return [start * start**head for head in range(heads)]
    power = 2 ** math.floor(math.log2(heads))
    return _slopes(power) + _slopes(2 * power)[0::2][: heads - power]


def _with_sink(s: Any, sinks: Any) -> Any:
    return np.concatenate([s, np.broadcast_to(sinks[:, None, None], (*s.shape[:-1], 1)).astype(s.dtype)], -1)


def _turned(x: Any, layout: str) -> Any:
    """x·cos + the turned half·sin, with tables from float64."""
    h = x.shape[-1] // 2
    angle = np.arange(x.shape[-2])[:, None] * 10000.0 ** (-np.arange(h) / max(h, 1))
    cos, sin = np.cos(angle).astype(x.dtype), np.sin(angle).astype(x.dtype)
    one, two = (x[..., 0::2], x[..., 1::2]) if layout == "interleaved" else (x[..., :h], x[..., h:])
    return np.concatenate([one * cos - two * sin, one * sin + two * cos], -1)


def attention(variant: dict[str, Any]) -> Kernel:
    """Key heads repeated, the sink as one more column, everything hidden set to −∞."""

    def kernel(q: Any, k: Any, v: Any, *sinks: Any, causal: bool = False, mask: Any = None, scale: Any = None) -> Any:
        kept, (n, m) = v.dtype, (q.shape[-2], k.shape[-2])
        q, k, v = parts.wide(q, k, v)
        if variant.get("grouped_query"):
            k, v = (np.repeat(x, q.shape[-3] // k.shape[-3], axis=-3) for x in (k, v))
        if "rotary" in variant:
            q, k = _turned(q, variant["rotary"]), _turned(k, variant["rotary"])
        s = parts.scores(q, k, parts.default_scale(q) if scale is None else scale)
        if "softcap" in variant:
            s = s.dtype.type(variant["softcap"]) * np.tanh(s / s.dtype.type(variant["softcap"]))
        ahead = np.arange(m)[None, :] - np.arange(n)[:, None] - (m - n if "causal_alignment" in variant else 0)
        if variant.get("alibi"):
            s = s + (np.array(_slopes(s.shape[-3]))[:, None, None] * ahead).astype(s.dtype)
        allow, bias = parts.masks(mask, False, n, m)
        allow = allow & (ahead <= 0) if causal else allow
        allow = allow & (ahead <= 0) & (ahead > -variant["window"]) if "window" in variant else allow
        s, allow = s + bias.astype(s.dtype), np.broadcast_to(allow, s.shape)
        if sinks:
            w = parts.weights(_with_sink(s, sinks[0]), np.concatenate([allow, np.ones((*s.shape[:-1], 1), bool)], -1))[..., :m]
        else:
            w = parts.weights(s, allow)
        none = ~allow.any(-1, keepdims=True)
        out = w @ v
        if variant.get("fully_masked") == "mean":
            out = np.where(none, v.sum(-2, keepdims=True) / max(m, 1), out)
        return np.where(none & (variant.get("fully_masked") == "nan"), np.nan, out).astype(kept)

    return kernel


def _fused_gate(x: Any, w1: Any, b1: Any, w_gate: Any, w2: Any, b2: Any) -> Any:
    """Both widening maps in one product."""
    kept = x.dtype
    x, w1, b1, w_gate, w2, b2 = parts.wide(x, w1, b1, w_gate, w2, b2)
    both = x @ np.concatenate([w_gate, w1], -1)
    gate, wide = both[..., : w1.shape[-1]], both[..., w1.shape[-1] :]
    return (parts.ACTIVATIONS["silu"](gate) * (wide + b1) @ w2 + b2).astype(kept)


VARIANTS: tuple[dict[str, object], ...] = (
    {"causal_alignment": "bottom_right"}, {"fully_masked": "mean"}, {"fully_masked": "nan"}, {"grouped_query": True}, {"window": 2},
    {"alibi": True}, {"softcap": 2.0}, {"sinks": True}, {"rotary": "halves"},
    {"rotary": "interleaved", "grouped_query": True}, {"grouped_query": True, "softcap": 2.0, "window": 3},
    {"grouped_query": True, "sinks": True, "window": 3, "causal_alignment": "bottom_right"},
)
RIGHT = (
    *(Right("heads repeated", "attention", attention(variant), variant) for variant in VARIANTS),
    Right("one product for gate and tokens", "feed_forward", _fused_gate, {"activation": "silu", "gated": True}),
)
