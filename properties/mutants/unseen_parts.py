"""What the forward kernels of ``unseen_forward`` and ``unseen_forward_more`` share. All of it is right, by the same author.

Cannot see: the suite; it was written from the contract alone.
"""

from __future__ import annotations

from typing import Any as A

import numpy as np
from scipy.special import erfc


def _allow(n: int, m: int, causal: A, mask: A, shift: int = 0) -> A:
    """Right: which keys each query may see."""
    a = np.tril(np.ones((n, m), bool), shift) if causal else np.ones((n, m), bool)
    return a & mask if mask is not None and mask.dtype == bool else a

def _product(q: A, k: A, scale: A) -> A:
    """Right: scaled products of queries and keys."""
    return (q @ k.swapaxes(-1, -2)) * q.dtype.type((q.shape[-1] ** -0.5 if q.shape[-1] else 1.0) if scale is None else scale)

def _cover(s: A, causal: A, mask: A, shift: int = 0) -> A:
    """Right: adds a floating mask, then puts -inf where a key may not be seen."""
    s = s if mask is None or mask.dtype == bool else s + mask.astype(s.dtype)
    return np.where(_allow(s.shape[-2], s.shape[-1], causal, mask, shift), s, -np.inf)

def _probs(s: A) -> A:
    """Right: softmax of each row; a row of -inf gives zeros."""
    top = s.max(-1, keepdims=True, initial=-np.inf)
    e = np.exp(s - np.where(np.isfinite(top), top, 0))
    total = e.sum(-1, keepdims=True)
    return e / np.where(total > 0, total, 1)

def _attend(q: A, k: A, v: A, causal: A = False, mask: A = None, scale: A = None) -> A:
    """Right: attention."""
    return _probs(_cover(_product(q, k, scale), causal, mask)) @ v

def _split(x: A, h: int) -> A:
    """Right: (..., n, d) to (..., h, n, d/h)."""
    return x.reshape(*x.shape[:-1], h, x.shape[-1] // h).swapaxes(-2, -3)

def _join(o: A) -> A:
    """Right: (..., h, n, d/h) to (..., n, d)."""
    o = o.swapaxes(-2, -3)
    return o.reshape(*o.shape[:-2], o.shape[-2] * o.shape[-1])

def _mha(x: A, wq: A, wk: A, wv: A, wo: A, h: int, causal: A, mask: A) -> A:
    """Right: multi-head attention."""
    return _join(_attend(_split(x @ wq, h), _split(x @ wk, h), _split(x @ wv, h), causal, mask)) @ wo

def _act(x: A, kind: str) -> A:
    """Right: activations."""
    if kind == "relu":
        return np.maximum(x, 0)
    if kind == "silu":
        return x / (1 + np.exp(-x))
    return 0.5 * x * erfc(-x * 2 ** -0.5) if kind == "gelu" else x / (1 + np.exp(-2 * (2 / np.pi) ** 0.5 * (x + 0.044715 * x * x * x)))

def _norm(x: A, gain: A, bias: A, eps: float = 1e-5) -> A:
    """Right: layer normalisation."""
    c = x - x.mean(-1, keepdims=True)
    return c / np.sqrt((c * c).mean(-1, keepdims=True) + eps) * gain + bias

def _tf32(x: A) -> A:
    """Rounds float32 to ten bits of fraction, as tensor cores do."""
    return ((x.view(np.uint32) + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.float32) if x.dtype == np.float32 else x

def _sincos(pos: A, w: A, d: int) -> A:
    """Right: sin in even and cos in odd columns."""
    a, out = np.outer(pos, w), np.zeros((len(pos), d), np.float32)
    out[:, 0::2], out[:, 1::2] = np.sin(a), np.cos(a)[:, : d // 2]
    return out

def _freq(d: int, base: float) -> A:
    """Right: frequencies of the paper."""
    return float(base) ** (-2.0 * np.arange((d + 1) // 2) / max(d, 1))

def _turn(x: A, pos: A, base: float, pairs: A) -> A:
    """Right: rotates the pairs of channels (first, second) by angle position * frequency."""
    a = np.outer(pos, float(base) ** (-2.0 * np.arange(x.shape[-1] // 2) / max(x.shape[-1], 1)))
    c, s, out, (i, j) = np.cos(a).astype(x.dtype), np.sin(a).astype(x.dtype), x.copy(), pairs
    out[..., i], out[..., j] = x[..., i] * c - x[..., j] * s, x[..., i] * s + x[..., j] * c
    return out

def _halves(d: int) -> A:
    """Right: channel i goes with i + d/2."""
    return slice(0, d // 2), slice(d // 2, d)

def _ffn(x: A, p: A, kind: str = "relu") -> A:
    """Right: feed-forward."""
    return _act(x @ p["w1"] + p["b1"], kind) @ p["w2"] + p["b2"]

def _self(x: A, p: A, h: int, causal: A, mask: A) -> A:
    """Right: self-attention of the block."""
    return _mha(x, p["w_q"], p["w_k"], p["w_v"], p["w_o"], h, causal, mask)
