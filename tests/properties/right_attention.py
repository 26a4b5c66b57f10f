"""Right attention kernels, single and in heads, in the styles that people write them in."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kernelproof.properties.mutants import parts
from kernelproof.properties.mutants.parts import Right, attention, multi_head

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


def _softmax(s: Any) -> Any:
    e = np.exp(s - s.max())
    return e / e.sum()


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
            out[at] = _softmax(keys @ row * row.dtype.type(scale) + bias[at][seen].astype(row.dtype)) @ values
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


def _powers_of_two(s: Any, allow: Any) -> Any:
    """exp(s) = 2^(s·log2 e), as on GPUs."""
    s = s * s.dtype.type(math.log2(math.e))
    top = np.where(allow, s, -np.inf).max(-1, keepdims=True, initial=-np.inf)
    e = np.where(allow, np.exp2(np.where(allow, s - np.where(np.isneginf(top), 0, top), 0)), 0)
    total = e.sum(-1, keepdims=True)
    return e / np.where(total == 0, 1, total)


def _attention_in_double(q: Any, k: Any, v: Any, *, causal: bool = False, mask: Any = None, scale: Any = None) -> Any:
    """All arithmetic in float64, rounded once."""
    wide = (array.astype(np.float64) for array in (q, k, v))
    return attention()(*wide, causal=causal, mask=mask, scale=scale).astype(v.dtype)


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


RIGHT = (
    Right("early division", "attention", attention()),
    Right("late division", "attention", _late),
    Right("tiles", "attention", _flash, wholly=True, standard=True),
    Right("row by row", "attention", _by_rows, wholly=True),
    Right("einsum", "attention", attention(scores=_einsum_scores)),
    Right("scale on both sides", "attention", attention(scores=_both_scaled)),
    Right("powers of two", "attention", attention(weights=_powers_of_two)),
    Right("mask added as infinity", "attention", attention(weights=_added_infinity)),
    Right("float64 inside", "attention", _attention_in_double),
    Right("fused projection", "multi_head_attention", multi_head(project=_fused)),
    Right("head by head", "multi_head_attention", _head_by_head, wholly=True),
    Right("einsum, tiles", "multi_head_attention", multi_head(project=_einsum_projections, attend=_flash)),
)
