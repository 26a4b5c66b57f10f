"""Right kernels in the styles that people write them in: none of them may be convicted.

A style may round more often or in another order than the generated kernel; what it may not do is to lose digits that the definition
keeps. Masks, dtypes and empty axes as in the contract, from ``kernel_parts``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import kernel_parts as parts
import numpy as np
import scipy.special
from kernel_parts import Kernel, attention, elementwise, encoder_block, feed_forward, layer_norm, multi_head, positional, rms_norm, rotary, softmax


@dataclass(frozen=True)
class Right:
    """A right kernel; ``standard`` asks for the longer profile as well."""

    style: str
    phase: str
    function: Kernel
    variant: dict[str, object] = field(default_factory=dict)
    standard: bool = False


# -- softmax ----------------------------------------------------------------------------------------------------------------------------


def _textbook(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _reciprocal(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e * (1 / e.sum(-1, keepdims=True))


def _in_sequence(x: Any) -> Any:
    """One sum, added from the left."""
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.cumsum(-1)[..., -1:]


def _online(x: Any) -> Any:
    """Blocks of eight, rescaled as the maximum grows."""
    top, total = np.full((*x.shape[:-1], 1), -np.inf, x.dtype), np.zeros((*x.shape[:-1], 1), x.dtype)
    for at in range(0, x.shape[-1], 8):
        block = x[..., at : at + 8]
        new = np.maximum(top, block.max(-1, keepdims=True))
        total = total * np.exp(top - new) + np.exp(block - new).sum(-1, keepdims=True)
        top = new
    return np.exp(x - top) / total


# -- attention --------------------------------------------------------------------------------------------------------------------------


def _late(q: Any, k: Any, v: Any, *, causal: bool = False, mask: Any = None, scale: Any = None) -> Any:
    """One division at the end, after the product with the values."""
    kept = v.dtype
    q, k, v = parts.wide(q, k, v)
    allow, bias = parts.masks(mask, causal, q.shape[-2], k.shape[-2])
    s = parts.scores(q, k, parts.default_scale(q) if scale is None else scale) + bias.astype(q.dtype)
    top = np.where(allow, s, -np.inf).max(-1, keepdims=True, initial=-np.inf)
    e = np.where(allow, np.exp(np.where(allow, s - np.where(np.isneginf(top), 0, top), 0)), 0)
    total = e.sum(-1, keepdims=True)
    return (e @ v / np.where(total == 0, 1, total)).astype(kept)


def _flash(q: Any, k: Any, v: Any, *, causal: bool = False, mask: Any = None, scale: Any = None) -> Any:
    """Online softmax over tiles of eight keys; a tile may allow nothing."""
    kept = v.dtype
    q, k, v = parts.wide(q, k, v)
    n, m = q.shape[-2], k.shape[-2]
    allow, bias = parts.masks(mask, causal, n, m)
    s = parts.scores(q, k, parts.default_scale(q) if scale is None else scale) + bias.astype(q.dtype)
    s = np.where(allow, s, -np.inf)
    top, total = np.full((*s.shape[:-1], 1), -np.inf, s.dtype), np.zeros((*s.shape[:-1], 1), s.dtype)
    out = np.zeros((*s.shape[:-1], v.shape[-1]), s.dtype)
    for at in range(0, m, 8):
        tile = s[..., at : at + 8]
        new = np.maximum(top, tile.max(-1, keepdims=True))
        safe = np.where(np.isneginf(new), 0, new)
        kept_share, e = np.exp(top - safe), np.exp(tile - safe)
        total = total * kept_share + e.sum(-1, keepdims=True)
        out = out * kept_share + e @ v[..., at : at + 8, :]
        top = new
    return (out / np.where(total == 0, 1, total)).astype(kept)


def _by_rows(q: Any, k: Any, v: Any, *, causal: bool = False, mask: Any = None, scale: Any = None) -> Any:
    """Row by row, over the allowed keys only."""
    scale = parts.default_scale(q) if scale is None else scale
    n, m = q.shape[-2], k.shape[-2]
    allow, bias = parts.masks(mask, causal, n, m)
    lead = q.shape[:-2]
    allow, bias = np.broadcast_to(allow, (*lead, n, m)), np.broadcast_to(bias, (*lead, n, m))
    out = np.zeros((*lead, n, v.shape[-1]), np.result_type(v.dtype, np.float32))
    for at in np.ndindex(*lead, n):
        seen = allow[at]
        if seen.any():
            row, keys, values = parts.wide(q[at], k[at[:-1]][seen], v[at[:-1]][seen])
            out[at] = _textbook(keys @ row * row.dtype.type(scale) + bias[at][seen].astype(row.dtype)) @ values
    return out.astype(v.dtype)


def _einsum_scores(q: Any, k: Any, scale: Any) -> Any:
    return np.einsum("...id,...jd->...ij", q * q.dtype.type(scale), k)


def _both_scaled(q: Any, k: Any, scale: Any) -> Any:
    root = q.dtype.type(math.sqrt(scale))
    return (q * root) @ np.swapaxes(k * root, -1, -2)


def _added_infinity(s: Any, allow: Any) -> Any:
    """The mask as −inf added to the scores, rows that allow nothing cleared afterwards."""
    s = s + np.where(allow, 0, -np.inf).astype(s.dtype)
    e = np.exp(s - s.max(-1, keepdims=True, initial=-np.inf))
    return np.nan_to_num(e / e.sum(-1, keepdims=True), nan=0.0)


def _in_double(kernel: Kernel) -> Kernel:
    """All arithmetic in float64, rounded once."""

    def widened(*arrays: Any, **options: Any) -> Any:
        def wide(value: Any) -> Any:
            if isinstance(value, dict):
                return {name: wide(part) for name, part in value.items()}
            return value.astype(np.float64) if value.dtype.kind == "f" else value

        return kernel(*map(wide, arrays), **options).astype(arrays[-1].dtype if not isinstance(arrays[-1], dict) else arrays[0].dtype)

    return widened


def _attention_in_double(q: Any, k: Any, v: Any, *, causal: bool = False, mask: Any = None, scale: Any = None) -> Any:
    return _in_double(attention())(q, k, v, causal=causal, mask=mask, scale=scale)


# -- heads, blocks ----------------------------------------------------------------------------------------------------------------------


def _fused(x: Any, w_q: Any, w_k: Any, w_v: Any) -> Any:
    return np.split(x @ np.concatenate([w_q, w_k, w_v], 1), 3, axis=-1)


def _head_by_head(x: Any, w_q: Any, w_k: Any, w_v: Any, w_o: Any, *, n_heads: int, causal: bool = False, mask: Any = None) -> Any:
    """Each head by itself, the projections of all added up."""
    kept, f = x.dtype, x.shape[-1] // n_heads
    x, w_q, w_k, w_v, w_o = parts.wide(x, w_q, w_k, w_v, w_o)
    out = np.zeros_like(x)
    for head in range(n_heads):
        columns = slice(head * f, head * f + f)
        part = attention()(x @ w_q[:, columns], x @ w_k[:, columns], x @ w_v[:, columns], causal=causal, mask=mask)
        out = out + part @ w_o[columns]
    return out.astype(kept)


def _einsum_projections(x: Any, w_q: Any, w_k: Any, w_v: Any) -> Any:
    return tuple(np.einsum("...na,ab->...nb", x, w) for w in (w_q, w_k, w_v))


def _two_halves(y: Any, w: Any, b: Any) -> Any:
    """The hidden units in two blocks."""
    half = y.shape[-1] // 2
    return (y[..., :half] @ w[:half] + b) + y[..., half:] @ w[half:]


# -- norms ------------------------------------------------------------------------------------------------------------------------------


def _by_numpy(x: Any, gain: Any, bias: Any, *, eps: float = 1e-5) -> Any:
    if not x.shape[-1]:
        return x.copy()
    wide, g, b = parts.wide(x, gain, bias)
    centred = wide - np.mean(wide, -1, keepdims=True)
    return (centred * (1 / np.sqrt(np.var(wide, -1, keepdims=True) + wide.dtype.type(eps))) * g + b).astype(x.dtype)


def _layer_norm_in_double(x: Any, gain: Any, bias: Any, *, eps: float = 1e-5) -> Any:
    return _in_double(layer_norm())(x, gain, bias, eps=eps)


def _welford(x: Any, gain: Any, bias: Any, *, eps: float = 1e-5) -> Any:
    """Mean and variance in one pass, updated entry by entry."""
    wide, g, b = parts.wide(x, gain, bias)
    mean, moment = np.zeros(x.shape[:-1], wide.dtype), np.zeros(x.shape[:-1], wide.dtype)
    for count in range(x.shape[-1]):
        step = wide[..., count] - mean
        mean = mean + step / wide.dtype.type(count + 1)
        moment = moment + step * (wide[..., count] - mean)
    root = np.sqrt(moment / max(1, x.shape[-1]) + wide.dtype.type(eps))
    return ((wide - mean[..., None]) / root[..., None] * g + b).astype(x.dtype)


def _by_norm(x: Any, gain: Any, *, eps: float = 1e-5) -> Any:
    if not x.shape[-1]:
        return x.copy()
    wide, g = parts.wide(x, gain)
    return (wide * g / np.sqrt(np.vecdot(wide, wide)[..., None] / wide.dtype.type(x.shape[-1]) + wide.dtype.type(eps))).astype(x.dtype)


# -- tables -----------------------------------------------------------------------------------------------------------------------------


def _exponential_recipe(dtype: Any) -> parts.Part:
    """Frequencies as exp(−2i·log(base)/d), angles in ``dtype``."""

    def angles(n: int, width: int, base: float, start: int) -> Any:
        pairs = np.arange(0, width, 2).astype(dtype)
        frequencies = np.exp(pairs * dtype(-math.log(base) / max(width, 1)))
        return (start + np.arange(n)).astype(dtype)[:, None] * frequencies

    return angles


def _power_recipe(dtype: Any) -> parts.Part:
    """Positions divided by base^(2i/d), in ``dtype``."""

    def angles(n: int, width: int, base: float, start: int) -> Any:
        exponents = np.arange(0, width, 2).astype(dtype) / dtype(max(width, 1))
        return (start + np.arange(n)).astype(dtype)[:, None] / dtype(base) ** exponents

    return angles


def _complex_turn(x: Any, *, base: float = 10000.0, start: int = 0) -> Any:
    """Pairs as complex numbers, multiplied by a unit."""
    (wide,) = parts.wide(x)
    one, two = parts.halves(wide)
    turned = (one + 1j * two) * np.exp(1j * parts.angles(x.shape[-2], x.shape[-1], base, start))
    return np.concatenate([turned.real, turned.imag], -1).astype(x.dtype)


def _rotate_half(x: Any, *, base: float = 10000.0, start: int = 0) -> Any:
    """x·cos + rotate_half(x)·sin, as in many models."""
    (wide,) = parts.wide(x)
    angle = np.tile(parts.angles(x.shape[-2], x.shape[-1], base, start), 2)
    one, two = parts.halves(wide)
    turned = wide * np.cos(angle).astype(wide.dtype) + np.concatenate([-two, one], -1) * np.sin(angle).astype(wide.dtype)
    return turned.astype(x.dtype)


def _one_hot(ids: Any, table: Any) -> Any:
    return (ids[..., None] == np.arange(len(table))).astype(table.dtype) @ table


def _joined(sines: Any, cosines: Any, d: int) -> Any:
    return np.concatenate([sines, cosines], 1)


def _pairs(x: Any) -> tuple[Any, Any]:
    return x[..., 0::2], x[..., 1::2]


def _woven(a: Any, b: Any) -> Any:
    return np.stack([a, b], -1).reshape(*a.shape[:-1], 2 * a.shape[-1])


def _encoder_in_double(x: Any, params: Any, *, n_heads: int, causal: bool = False, mask: Any = None) -> Any:
    return _in_double(encoder_block())(x, params, n_heads=n_heads, causal=causal, mask=mask)


ACTIVATIONS = {
    "relu": {"maximum": parts.ACTIVATIONS["relu"], "where": lambda x: np.where(x > 0, x, x.dtype.type(0))},
    "gelu": {
        "erf": parts.ACTIVATIONS["gelu"],
        "normal distribution": lambda x: x * scipy.special.ndtr(x).astype(x.dtype),
        "complementary": lambda x: x * scipy.special.erfc(-x * x.dtype.type(math.sqrt(0.5))) * x.dtype.type(0.5),
    },
    "gelu_tanh": {
        "tanh": parts.ACTIVATIONS["gelu_tanh"],
        "power": lambda x: x.dtype.type(0.5) * x * (1 + np.tanh(x.dtype.type(math.sqrt(2 / math.pi)) * (x + x.dtype.type(0.044715) * x**3))),
    },
    "silu": {
        "expit": parts.ACTIVATIONS["silu"],
        "quotient": lambda x: x / (1 + np.exp(-x)),
        "two branches": lambda x: np.where(x >= 0, x / (1 + np.exp(-abs(x))), x * np.exp(-abs(x)) / (1 + np.exp(-abs(x)))),
    },
}

RIGHT = (
    Right("take", "embedding", lambda ids, table: np.take(table, ids, axis=0)),
    Right("one-hot product", "embedding", _one_hot),
    *(
        Right(f"{name} recipe in {dtype.__name__}", "positional", positional(angles=recipe(dtype)))
        for name, recipe in (("exponential", _exponential_recipe), ("power", _power_recipe))
        for dtype in (np.float32, np.float64)
    ),
    Right("result in float64", "positional", positional(dtype=np.float64), standard=True),
    Right("halves", "positional", positional(layout=_joined), {"layout": "halves"}),
    Right("complex turn", "rotary", _complex_turn),
    Right("rotate half", "rotary", _rotate_half, standard=True),
    Right("angles in float32", "rotary", rotary(angles=_power_recipe(np.float32))),
    Right("interleaved", "rotary", rotary(pairs=_pairs, merge=_woven), {"layout": "interleaved"}),
    Right("textbook", "softmax", softmax(_textbook), standard=True),
    Right("reciprocal", "softmax", softmax(_reciprocal)),
    Right("summed in sequence", "softmax", softmax(_in_sequence)),
    Right("online", "softmax", softmax(_online)),
    Right("scipy", "softmax", softmax(lambda x: scipy.special.softmax(x, axis=-1))),
    Right("early division", "attention", attention()),
    Right("late division", "attention", _late),
    Right("tiles", "attention", _flash, standard=True),
    Right("row by row", "attention", _by_rows),
    Right("einsum", "attention", attention(scores=_einsum_scores)),
    Right("scale on both sides", "attention", attention(scores=_both_scaled)),
    Right("mask added as infinity", "attention", attention(weights=_added_infinity)),
    Right("float64 inside", "attention", _attention_in_double),
    Right("fused projection", "multi_head_attention", multi_head(project=_fused)),
    Right("head by head", "multi_head_attention", _head_by_head),
    Right("einsum, tiles", "multi_head_attention", multi_head(project=_einsum_projections, attend=_flash)),
    *(
        Right(style, "activation", elementwise(function), {"activation": name})
        for name, styles in ACTIVATIONS.items()
        for style, function in styles.items()
    ),
    *(Right(name, "feed_forward", feed_forward(act=parts.ACTIVATIONS[name]), {"activation": name}) for name in parts.ACTIVATIONS),
    Right("two blocks of hidden units", "feed_forward", feed_forward(second=_two_halves), standard=True),
    Right("two passes", "layer_norm", layer_norm(), standard=True),
    Right("mean and var", "layer_norm", _by_numpy),
    Right("Welford", "layer_norm", _welford),
    Right("float64 inside", "layer_norm", _layer_norm_in_double),
    Right("mean square", "rms_norm", rms_norm()),
    Right("norm", "rms_norm", _by_norm),
    Right("post-norm", "encoder_block", encoder_block()),
    Right("float64 inside", "encoder_block", _encoder_in_double),
    Right("pre-norm", "encoder_block", encoder_block(order=parts.pre_norm), {"norm": "pre"}),
)
