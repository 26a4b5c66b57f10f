"""Gradient kernels of attention's variants and of gated feed-forwards: right ones from parts, and wrong ones that differ in one of them.

Written from the contract: key heads repeated and their gradients summed back, the sink as one more column, turned channels turned back.
Guarantees: the right ones are within the bounds of the derived gradients (tests). Cannot see: speed; scores are kept whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kernelproof.properties.mutants import parts
from kernelproof.properties.mutants.gradient_block_parts import encoder_block_vjp
from kernelproof.properties.mutants.gradient_parts import SLOPES, flat, in_dtype, transposed
from kernelproof.properties.mutants.parts import ACTIVATIONS, Kernel, Part, Wrong, default_scale, wide

SWIGLU: dict[str, object] = {"activation": "silu", "gated": True}
#: parameters of a gated block
GATED_NAMES = ("w_q", "w_k", "w_v", "w_o", "w1", "b1", "w_gate", "w2", "b2", "gain1", "bias1", "gain2", "bias2")


def ahead(n: int, m: int, variant: Mapping[str, Any]) -> Any:
    """How far key j stands after query i."""
    return np.arange(m)[None, :] - np.arange(n)[:, None] - (m - n if variant.get("causal_alignment") == "bottom_right" else 0)


def slopes(heads: int) -> list[float]:
    """The paper's slopes of ALiBi: those of a power of two of heads, then every other one of twice as many."""
    power = 1 << (heads.bit_length() - 1) if heads else 0
    first = [2.0 ** (-8.0 * (head + 1) / power) for head in range(power)]
    return first + [2.0 ** (-4.0 * (2 * head + 1) / power) for head in range(heads - power)]


def turned(x: Any, layout: str, sign: int = 1) -> Any:
    """Pairs of channels turned by their position's angles, or back."""
    h = x.shape[-1] // 2
    angle = sign * np.arange(x.shape[-2])[:, None] * 10000.0 ** (-np.arange(h) / max(h, 1))
    cos, sin = np.cos(angle).astype(x.dtype), np.sin(angle).astype(x.dtype)
    one, two = (np.s_[..., 0::2], np.s_[..., 1::2]) if layout == "interleaved" else (np.s_[..., :h], np.s_[..., h:])
    out = np.empty_like(x)
    out[one], out[two] = x[one] * cos - x[two] * sin, x[one] * sin + x[two] * cos
    return out


def shares(allow: Any, m: int, g: Any) -> Any:
    """What each value gets of the gradient of rows that may attend to nothing, where these give the mean."""
    none = ~allow.any(-1, keepdims=True)
    return (none * g).sum(-2, keepdims=True) / max(m, 1)


def seen(mask: Any, causal: bool, n: int, m: int, variant: Mapping[str, Any]) -> tuple[Any, Any]:
    """(allow, bias) of the call and of alignment and window."""
    far = ahead(n, m, variant)
    allow, bias = parts.masks(mask, False, n, m)
    allow = allow & (far <= 0) if causal else allow
    return (allow & (far <= 0) & (far > -variant["window"]) if "window" in variant else allow), bias


def variant_vjp(
    variant: Mapping[str, Any], *, masks: Part = seen, distances: Part = ahead, cap_slope: Part = lambda t: 1 - t * t, share: Part = shares,
    sink: Part = lambda weight, delta: -(weight * delta).sum(-2), back: Part = turned,
) -> Kernel:
    """``cap_slope`` gets the hyperbolic tangent, ``sink`` the sink's weights and Δ, ``back`` turns a gradient back."""
    layout = variant.get("rotary")

    def kernel(q: Any, k: Any, v: Any, *rest: Any, causal: bool = False, mask: Any = None, scale: Any = None) -> Any:
        dtype, (n, m), kv_shape = q.dtype, (q.shape[-2], k.shape[-2]), k.shape[:-2]
        q, k, v, g = wide(q, k, v, rest[-1])
        group = q.shape[-3] // max(k.shape[-3], 1) if variant.get("grouped_query") else 1
        k, v = (np.repeat(x, group, axis=-3) if group > 1 else x for x in (k, v))
        if layout:
            q, k = turned(q, layout), turned(k, layout)
        factor = q.dtype.type(default_scale(q) if scale is None else scale)
        s, tanh = q @ transposed(k) * factor, None
        if "softcap" in variant:
            tanh = np.tanh(s / s.dtype.type(variant["softcap"]))
            s = s.dtype.type(variant["softcap"]) * tanh
        if variant.get("alibi"):
            s = s + (np.reshape(slopes(s.shape[-3]), (-1, 1, 1)) * distances(n, m, variant)).astype(s.dtype)
        allow, bias = masks(mask, causal, n, m, variant)
        s, allow = s + bias.astype(s.dtype), np.broadcast_to(allow, s.shape)
        weight = np.zeros((*s.shape[:-1], 1), dtype=s.dtype)
        if len(rest) > 1:
            column = np.broadcast_to(wide(rest[0])[0][:, None, None], weight.shape)
            whole = parts.weights(np.concatenate([s, column], -1), np.concatenate([allow, np.ones(weight.shape, bool)], -1))
            p, weight = whole[..., :m], whole[..., m:]
        else:
            p = parts.weights(s, allow)
        slope = g @ transposed(v)
        delta = (p * slope).sum(-1, keepdims=True)
        ds = p * (slope - delta)
        dr = ds if tanh is None else ds * cap_slope(tanh)
        dq, dk, dv = dr @ k * factor, transposed(dr) @ q * factor, transposed(p) @ g
        if variant.get("fully_masked") == "mean":
            dv = dv + share(allow, m, g)
        if layout:
            dq, dk = back(dq, layout, -1), back(dk, layout, -1)
        if group > 1:
            dk, dv = (x.reshape((*kv_shape, group, *x.shape[-2:])).sum(-3) for x in (dk, dv))
        found: tuple[Any, ...] = (dq, dk, dv)
        if len(rest) > 1:
            of_sinks = sink(weight, delta)[..., 0]
            found += (of_sinks.sum(tuple(range(of_sinks.ndim - 1))),)
        return in_dtype(dtype, *found)

    return kernel


def gated_vjp(
    name: str = "silu", *, to_gate: Part = lambda da, z, slope: da * z * slope, to_z: Part = lambda da, a: da * a,
    to_tokens: Part = lambda dz, dy, w1, w_gate: dz @ w1.T + dy @ w_gate.T,
) -> Kernel:
    """The gated feed-forward: y = x·w_gate, z = x·w1 + b1, a = act(y)·z."""
    act, own = ACTIVATIONS[name], SLOPES[name]

    def kernel(x: Any, w1: Any, b1: Any, w_gate: Any, w2: Any, b2: Any, grad_out: Any) -> Any:
        dtype, shape = x.dtype, x.shape
        x, w1, b1, w_gate, w2, g = wide(x, w1, b1, w_gate, w2, grad_out)
        x, g = flat(x), flat(g)
        y, z, da = x @ w_gate, x @ w1 + b1, g @ w2.T
        dz, dy = to_z(da, act(y)), to_gate(da, z, own(y))
        dx = to_tokens(dz, dy, w1, w_gate).reshape(shape)
        return in_dtype(dtype, dx, x.T @ dz, dz.sum(0), x.T @ dy, (act(y) * z).T @ g, g.sum(0))

    return kernel


def gated_block_vjp(norm: str, name: str = "silu") -> Kernel:
    """The block with a gated feed-forward."""

    def forward(x: Any, w1: Any, b1: Any, w_gate: Any, w2: Any, b2: Any) -> Any:
        return ACTIVATIONS[name](x @ w_gate) * (x @ w1 + b1) @ w2 + b2

    return encoder_block_vjp(norm, feed=gated_vjp(name), forward=forward, names=GATED_NAMES)


def _top_left(mask: Any, causal: bool, n: int, m: int, variant: Mapping[str, Any]) -> Any:
    return seen(mask, causal, n, m, {})


def _wider(mask: Any, causal: bool, n: int, m: int, variant: Mapping[str, Any]) -> Any:
    return seen(mask, causal, n, m, {**variant, "window": variant["window"] + 1})


def _attention(id: str, variant: dict[str, object], **changed: Part) -> Wrong:
    return Wrong(id, "attention.vjp", "own", variant_vjp(variant, **changed), variant=variant)


WRONG = (
    _attention("causal top left in the backward pass", {"causal_alignment": "bottom_right"}, masks=_top_left),
    _attention("window one wider in the backward pass", {"window": 2}, masks=_wider),
    _attention("bias of distances ignored in the backward pass", {"alibi": True}, distances=lambda n, m, variant: np.zeros((n, m))),
    _attention("slope of the cap without its square", {"softcap": 2.0}, cap_slope=lambda t: 1 - np.abs(t)),
    _attention("mean passes nothing on", {"fully_masked": "mean"}, share=lambda allow, m, g: np.zeros_like(g[..., :1, :])),
    _attention("sink pulled up", {"sinks": True}, sink=lambda weight, delta: (weight * delta).sum(-2)),
    _attention("sink without its weight", {"sinks": True}, sink=lambda weight, delta: -delta.sum(-2)),
    _attention("turned forward again", {"rotary": "interleaved"}, back=lambda x, layout, sign: turned(x, layout)),
    _attention("not turned back", {"rotary": "halves"}, back=lambda x, layout, sign: x),
    Wrong("gate's slope without the other branch", "feed_forward.vjp", "own", gated_vjp(to_gate=lambda da, z, s: da * s), variant=SWIGLU),
    Wrong("gate not in the other branch", "feed_forward.vjp", "own", gated_vjp(to_z=lambda da, a: da), variant=SWIGLU),
    Wrong(
        "tokens without the gate", "feed_forward.vjp", "own", gated_vjp(to_tokens=lambda dz, dy, w1, w_gate: dz @ w1.T), variant=SWIGLU,
    ),
)
