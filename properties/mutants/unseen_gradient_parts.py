"""What the gradient kernels of ``unseen_gradients`` and ``unseen_gradients_more`` share. All of it is right, by the same author.

Cannot see: the suite; it was written from the contract alone.
"""

from __future__ import annotations

from typing import Any as A

import numpy as np
from scipy.special import erfc


def _probs(q: A, k: A, causal: A = False, mask: A = None, scale: A = None, shift: int = 0) -> A:
    """Right: attention weights and the scale."""
    c = q.dtype.type((q.shape[-1] ** -0.5 if q.shape[-1] else 1.0) if scale is None else scale)
    s = (q @ k.swapaxes(-1, -2)) * c
    s = s if mask is None or mask.dtype == bool else s + mask.astype(s.dtype)
    s = np.where(np.tril(np.ones(s.shape[-2:], bool), shift), s, -np.inf) if causal else s
    return _softmax(np.where(mask, s, -np.inf) if mask is not None and mask.dtype == bool else s), c

def _softmax(s: A) -> A:
    """Right: softmax of each row; a row of -inf gives zeros."""
    top = s.max(-1, keepdims=True, initial=-np.inf)
    e = np.exp(s - np.where(np.isfinite(top), top, 0))
    total = e.sum(-1, keepdims=True)
    return e / np.where(total > 0, total, 1)

def _dscores(p: A, g: A, v: A) -> A:
    """Right: gradient of the scores from the weights."""
    dp = g @ v.swapaxes(-1, -2)
    return p * (dp - (p * dp).sum(-1, keepdims=True))

def _grads(q: A, k: A, v: A, g: A, p: A, c: A) -> A:
    """Right: gradients of q, k, v."""
    ds = _dscores(p, g, v)
    return c * (ds @ k), c * (ds.swapaxes(-1, -2) @ q), p.swapaxes(-1, -2) @ g

def _split(x: A, h: int) -> A:
    """Right: (..., n, d) to (..., h, n, d/h)."""
    return x.reshape(*x.shape[:-1], h, x.shape[-1] // h).swapaxes(-2, -3)

def _join(o: A) -> A:
    """Right: (..., h, n, d/h) to (..., n, d)."""
    o = o.swapaxes(-2, -3)
    return o.reshape(*o.shape[:-2], o.shape[-2] * o.shape[-1])

def _outer(a: A, g: A) -> A:
    """Right: sum over all leading axes of a transposed times g."""
    return np.tensordot(a, g, (tuple(range(a.ndim - 1)),) * 2)

def _total(g: A) -> A:
    """Right: sum over all leading axes."""
    return g.sum(tuple(range(g.ndim - 1)))

def _mha(x: A, wq: A, wk: A, wv: A, wo: A, g: A, h: int, causal: A, mask: A) -> A:
    """Right: the heads' gradients (dq, dk, dv joined) and the joined output of the heads."""
    q, k, v = (_split(x @ w, h) for w in (wq, wk, wv))
    p, c = _probs(q, k, causal, mask)
    return [_join(t) for t in _grads(q, k, v, _split(g @ wo.T, h), p, c)], _join(p @ v)

def _mha_vjp(x: A, wq: A, wk: A, wv: A, wo: A, g: A, h: int, causal: A, mask: A) -> A:
    """Right: gradients of multi-head attention."""
    (a, b, c), o = _mha(x, wq, wk, wv, wo, g, h, causal, mask)
    return a @ wq.T + b @ wk.T + c @ wv.T, _outer(x, a), _outer(x, b), _outer(x, c), _outer(o, g)

def _gelu(x: A) -> A:
    """Right: gelu and its derivative."""
    c = 0.5 * erfc(-x * 2 ** -0.5)
    return x * c, c + x * np.exp(-x * x / 2) * (2 * np.pi) ** -0.5

def _tanh_slope(x: A, three: float = 3.0) -> A:
    """Right (three=3): derivative of the tanh form of gelu."""
    b = (2 / np.pi) ** 0.5
    t = np.tanh(b * (x + 0.044715 * x * x * x))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * b * (1 + three * 0.044715 * x * x)

def _ln(x: A, gain: A, g: A, eps: float = 1e-5) -> A:
    """Right: gradients of layer norm."""
    c = x - x.mean(-1, keepdims=True)
    r = 1 / np.sqrt((c * c).mean(-1, keepdims=True) + eps)
    h, u = c * r, g * gain
    return r * (u - u.mean(-1, keepdims=True) - h * (u * h).mean(-1, keepdims=True)), _total(g * h), _total(g)

def _norm(x: A, gain: A, bias: A) -> A:
    """Right: layer normalisation."""
    c = x - x.mean(-1, keepdims=True)
    return c / np.sqrt((c * c).mean(-1, keepdims=True) + 1e-5) * gain + bias

def _turn(g: A, start: int, base: float) -> A:
    """Right for base and start: rotates pairs (i, i + d/2) by minus the angle."""
    d = g.shape[-1]
    a = np.outer(np.arange(start, start + g.shape[-2]), float(base) ** (-2.0 * np.arange(d // 2) / max(d, 1)))
    c, s = np.cos(a).astype(g.dtype), np.sin(a).astype(g.dtype)
    return np.concatenate([g[..., : d // 2] * c + g[..., d // 2 :] * s, g[..., d // 2 :] * c - g[..., : d // 2] * s], -1)
