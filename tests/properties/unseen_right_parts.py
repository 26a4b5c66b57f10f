"""What the right kernels of ``unseen_right`` and ``unseen_right_more`` share, by the same author.
"""

from __future__ import annotations

import functools
from typing import Any as A

import numpy as np


def _wide(f: A, least: A) -> A:
    """Runs f on inputs widened to at least the given type and rounds the results to the type of the first floating input."""
    def up(a: A) -> A:
        if hasattr(a, "items"):
            return {k: up(b) for k, b in a.items()}
        return a.astype(np.promote_types(a.dtype, least)) if getattr(getattr(a, "dtype", None), "kind", "") in ("f", "V") else a
    def down(a: A, t: A) -> A:
        if isinstance(a, (tuple, dict)):
            return tuple(down(b, t) for b in a) if isinstance(a, tuple) else {k: down(b, t) for k, b in a.items()}
        return np.asarray(a).astype(t)
    @functools.wraps(f)
    def run(*args: A, **kw: A) -> A:
        return down(f(*map(up, args), **{k: up(a) for k, a in kw.items()}), (args[0] if args[0].dtype.kind in "fV" else args[1]).dtype)
    return run

def _c(q: A, scale: A) -> A:
    """The scale in the type of q."""
    return q.dtype.type((q.shape[-1] ** -0.5 if q.shape[-1] else 1.0) if scale is None else scale)

def _cover(s: A, causal: A, mask: A, shift: int = 0) -> A:
    """Adds a floating mask, then -inf where a key may not be seen."""
    s = s + mask if mask is not None and mask.dtype != bool else s
    s = np.where(mask, s, -np.inf) if mask is not None and mask.dtype == bool else s
    return np.where(np.tril(np.ones(s.shape[-2:], bool), shift), s, -np.inf) if causal else s

def _top(s: A) -> A:
    """Row maximum, 0 where nothing is seen."""
    t = s.max(-1, keepdims=True, initial=-np.inf)
    return np.where(t == -np.inf, 0, t)

def _over(a: A, t: A) -> A:
    """a / t, and 0 where t is 0."""
    return a / np.where(t == 0, 1, t)

def _probs(s: A) -> A:
    """Softmax; rows of -inf give zeros."""
    e = np.exp(s - _top(s))
    return _over(e, e.sum(-1, keepdims=True))

def _scores(q: A, k: A, causal: A, mask: A, scale: A, shift: int = 0) -> A:
    """Scaled and covered scores."""
    return _cover(q @ k.swapaxes(-1, -2) * _c(q, scale), causal, mask, shift)

def _split(x: A, h: int) -> A:
    """(..., n, d) to (..., h, n, d/h)."""
    return x.reshape(*x.shape[:-1], h, x.shape[-1] // h).swapaxes(-2, -3)

def _join(o: A) -> A:
    """(..., h, n, d/h) to (..., n, d)."""
    return o.swapaxes(-2, -3).reshape(*o.shape[:-3], o.shape[-2], o.shape[-3] * o.shape[-1])

def _mean(x: A) -> A:
    """Mean over the last axis, 0 for an empty one."""
    return x.sum(-1, keepdims=True) / max(x.shape[-1], 1)

def _norm(x: A, gain: A, bias: A, eps: float = 1e-5) -> A:
    """Layer norm."""
    return (x - _mean(x)) / np.sqrt(_mean((x - _mean(x)) ** 2) + eps) * gain + bias

def _rotate(x: A, sign: float = 1.0, start: int = 0, base: float = 10000.0) -> A:
    """Rotates channels i and i + d/2."""
    d = x.shape[-1]
    a = np.arange(start, start + x.shape[-2])[:, None] * float(base) ** (-np.arange(0, d, 2) / max(d, 1))
    c, s = np.cos(a).astype(x.dtype), (sign * np.sin(a)).astype(x.dtype)
    u, w = x[..., : d // 2], x[..., d // 2 :]
    return np.concatenate([u * c - w * s, w * c + u * s], -1)

def _outer(a: A, g: A) -> A:
    """Sum over all leading axes of a transposed times g."""
    return np.tensordot(a, g, (list(range(a.ndim - 1)),) * 2)

def _total(g: A) -> A:
    """Sum over all leading axes."""
    return g.sum(tuple(range(g.ndim - 1)))

def _back(q: A, k: A, v: A, g: A, p: A, c: A) -> A:
    """Gradients of q, k, v from the weights."""
    dp = g @ v.swapaxes(-1, -2)
    ds = p * (dp - (p * dp).sum(-1, keepdims=True))
    return c * (ds @ k), c * (ds.swapaxes(-1, -2) @ q), p.swapaxes(-1, -2) @ g

def _mha_back(x: A, w: A, g: A, h: int, causal: A, mask: A) -> A:
    """Gradients of multi-head attention."""
    q, k, v = (_split(x @ t, h) for t in w[:3])
    p = _probs(_scores(q, k, causal, mask, None))
    a, b, c = (_join(t) for t in _back(q, k, v, _split(g @ w[3].T, h), p, _c(q, None)))
    return a @ w[0].T + b @ w[1].T + c @ w[2].T, _outer(x, a), _outer(x, b), _outer(x, c), _outer(_join(p @ v), g)

def _norm_back(x: A, gain: A, g: A, eps: float = 1e-5) -> A:
    """Gradients of layer norm."""
    c, u = x - _mean(x), g * gain
    r = 1 / np.sqrt(_mean(c * c) + eps)
    return r * (u - _mean(u) - c * r * _mean(u * c * r)), _total(g * c * r), _total(g)
