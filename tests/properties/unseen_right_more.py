"""More right kernels, by the author of ``unseen_right``.

They were written from the contract alone, without sight of the suite, and stand as they were written: the docstring of each names the
style; one that says float64 is computed in that, all others in float32 at least. Cannot see: bounds; a style that loses digits which the
definition keeps may be convicted, see ``unseen_registry``.
"""

from __future__ import annotations

from typing import Any as A

import numpy as np
from scipy.special import expit
from unseen_right_parts import _c, _cover, _join, _mean, _mha_back, _norm, _norm_back, _outer, _over, _probs, _scores, _split, _top, _total


def embedding_token_by_token(ids: A, table: A) -> A:
    """A loop over tokens."""
    out = np.empty((*ids.shape, table.shape[1]), table.dtype)
    for at in np.ndindex(*ids.shape):
        out[at] = table[int(ids[at])]
    return out

def positional_outer_product(n_positions: int, d_model: int, *, base: float = 10000.0, start: int = 0) -> A:
    """Angles in float64, rounded to float32 at the end."""
    out = np.empty((n_positions, d_model))
    a = np.outer(np.arange(start, start + n_positions), float(base) ** (-np.arange(0, d_model, 2) / max(d_model, 1)))
    out[:, 0::2], out[:, 1::2] = np.sin(a), np.cos(a)[:, : d_model // 2]
    return out.astype(np.float32)

def positional_complex_recurrence(n_positions: int, d_model: int, *, base: float = 10000.0, start: int = 0) -> A:
    """Complex numbers multiplied by a fixed rotation from row to row, in float64."""
    w = np.exp(-np.log(float(base)) * np.arange(0, d_model, 2) / max(d_model, 1))
    z, step, out = np.exp(1j * start * w), np.exp(1j * w), np.empty((n_positions, d_model), np.float32)
    for i in range(n_positions):
        out[i, 0::2], out[i, 1::2], z = z.imag, z.real[: d_model // 2], z * step
    return out

def softmax_row_by_row(x: A) -> A:
    """Explicit loop over rows."""
    out = np.empty_like(x)
    for at in np.ndindex(*x.shape[:-1]) if x.size else ():
        e = np.exp(x[at] - x[at].max())
        out[at] = e / e.sum()
    return out

def softmax_online_tiles(x: A) -> A:
    """Running maximum and sum over tiles of 16, then one division."""
    top, total = np.full((*x.shape[:-1], 1), -np.inf, x.dtype), np.zeros((*x.shape[:-1], 1), x.dtype)
    for j in range(0, x.shape[-1], 16):
        new = np.maximum(top, x[..., j : j + 16].max(-1, keepdims=True))
        total, top = total * np.exp(top - new) + np.exp(x[..., j : j + 16] - new).sum(-1, keepdims=True), new
    return np.exp(x - top) / total

def softmax_kahan(x: A) -> A:
    """The denominator by Kahan's compensated sum."""
    e, total, lost = np.exp(x - _top(x)), np.zeros((*x.shape[:-1], 1), x.dtype), x.dtype.type(0)
    for j in range(x.shape[-1]):
        y = e[..., j : j + 1] - lost
        t = total + y
        lost, total = (t - total) - y, t
    return e / total

def attention_row_by_row(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """Textbook loop over every query."""
    out, n, m = np.zeros((*q.shape[:-1], v.shape[-1]), q.dtype), q.shape[-2], k.shape[-2]
    full = np.broadcast_to(True if mask is None else mask, (*q.shape[:-2], n, m))
    for at in np.ndindex(*q.shape[:-1]):
        s, seen = k[at[:-1]] @ q[at] * _c(q, scale), full[at] if full.dtype == bool else full[at] > -np.inf
        s = s if full.dtype == bool else s + full[at]
        seen = seen & (np.arange(m) <= at[-1]) if causal else seen
        if seen.any():
            e = np.exp(s[seen] - s[seen].max())
            out[at] = (e / e.sum()) @ v[at[:-1]][seen]
    return out

def attention_online_tiles(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """Online softmax over key tiles of 8 with rescaled output."""
    s = _scores(q, k, causal, mask, scale)
    top, total = np.full((*s.shape[:-1], 1), -np.inf, s.dtype), np.zeros((*s.shape[:-1], 1), s.dtype)
    out = np.zeros((*s.shape[:-1], v.shape[-1]), s.dtype)
    for j in range(0, k.shape[-2], 8):
        new = np.maximum(top, s[..., j : j + 8].max(-1, keepdims=True))
        safe = np.where(new == -np.inf, 0, new)
        e, a, top = np.exp(s[..., j : j + 8] - safe), np.exp(top - safe), new
        total, out = total * a + e.sum(-1, keepdims=True), out * a + e @ v[..., j : j + 8, :]
    return _over(out, total)

def attention_merge_of_two_halves(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """Keys are split in two; outputs are merged by their maxima and sums."""
    s, h = _scores(q, k, causal, mask, scale), k.shape[-2] // 2
    a, b = _top(s[..., :h]), _top(s[..., h:])
    e, f, t = np.exp(s[..., :h] - a), np.exp(s[..., h:] - b), _top(s)
    w, z = np.exp(np.minimum(a - t, 0)), np.exp(np.minimum(b - t, 0))
    return _over(e @ v[..., :h, :] * w + f @ v[..., h:, :] * z, e.sum(-1, keepdims=True) * w + f.sum(-1, keepdims=True) * z)

def attention_grouped_by_reshape(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """Query heads are reshaped to (kv heads, group) and k, v broadcast over the group."""
    b, h, m = k.shape[-3], q.shape[-3], k.shape[-2]
    s = q.reshape(*q.shape[:-3], b, h // b, *q.shape[-2:]) @ k[..., :, None, :, :].swapaxes(-1, -2) * _c(q, scale)
    p = _probs(_cover(s.reshape(*q.shape[:-1], m), causal, mask)).reshape(s.shape)
    return (p @ v[..., :, None, :, :]).reshape(*q.shape[:-1], v.shape[-1])

def attention_with_cache(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None, past_k: A = None,
                         past_v: A = None) -> A:
    """Past keys and values are put in front; causal is bottom-right then; gives (out, k, v) when there is a past."""
    if past_k is None:
        return _probs(_scores(q, k, causal, mask, scale)) @ v
    k, v = np.concatenate([past_k, k], -2), np.concatenate([past_v, v], -2)
    return _probs(_scores(q, k, causal, mask, scale, k.shape[-2] - q.shape[-2])) @ v, k, v

def multi_head_attention_head_by_head(x: A, w_q: A, w_k: A, w_v: A, w_o: A, *, n_heads: int, causal: A = False, mask: A = None) -> A:
    """A loop over heads that adds each head's part of the output product."""
    out, w = np.zeros_like(x), x.shape[-1] // n_heads
    for h in range(n_heads):
        c, m = slice(h * w, h * w + w), mask[..., h % mask.shape[-3], :, :] if mask is not None and mask.ndim > 2 else mask
        out += _probs(_scores(x @ w_q[:, c], x @ w_k[:, c], causal, m, None)) @ (x @ w_v[:, c]) @ w_o[c]
    return out

def feed_forward_token_tiles(x: A, w1: A, b1: A, w2: A, b2: A) -> A:
    """Tokens in tiles of 7."""
    n = int(np.prod(x.shape[:-1]))
    rows, out = x.reshape(n, x.shape[-1]), np.empty((n, x.shape[-1]), x.dtype)
    for i in range(0, n, 7):
        out[i : i + 7] = np.maximum(rows[i : i + 7] @ w1 + b1, 0) @ w2 + b2
    return out.reshape(x.shape)

def feed_forward_hidden_tiles(x: A, w1: A, b1: A, w2: A, b2: A) -> A:
    """Hidden units in tiles of 5, silu as x/(1+exp(-x))."""
    out = np.zeros_like(x) + b2
    for j in range(0, w1.shape[1], 5):
        z = x @ w1[:, j : j + 5] + b1[j : j + 5]
        out = out + z / (1 + np.exp(-z)) @ w2[j : j + 5]
    return out

def layer_norm_welford(x: A, gain: A, bias: A, *, eps: float = 1e-5) -> A:
    """Welford's running mean and variance."""
    mean, m2 = np.zeros((*x.shape[:-1], 1), x.dtype), np.zeros((*x.shape[:-1], 1), x.dtype)
    for j in range(x.shape[-1]):
        delta = x[..., j : j + 1] - mean
        mean = mean + delta / (j + 1)
        m2 = m2 + delta * (x[..., j : j + 1] - mean)
    return (x - mean) / np.sqrt(m2 / max(x.shape[-1], 1) + eps) * gain + bias

def encoder_block_pre_silu(x: A, params: A, *, n_heads: int, causal: A = False, mask: A = None) -> A:
    """Pre-norm with silu."""
    p, u = params, _norm(x, params["gain1"], params["bias1"])
    q, k, v = (_split(u @ p[w], n_heads) for w in ("w_q", "w_k", "w_v"))
    y = x + _join(_probs(_scores(q, k, causal, mask, None)) @ v) @ p["w_o"]
    z = _norm(y, p["gain2"], p["bias2"]) @ p["w1"] + p["b1"]
    return y + z * expit(z) @ p["w2"] + p["b2"]

def attention_vjp_tiles(q: A, k: A, v: A, grad_out: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """Flash style: Delta from the output, weights recomputed from maximum and sum, key tiles of 8."""
    s, c = _scores(q, k, causal, mask, scale), _c(q, scale)
    top, total = _top(s), np.exp(s - _top(s)).sum(-1, keepdims=True)
    delta = (grad_out * _over(np.exp(s - top) @ v, total)).sum(-1, keepdims=True)
    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    for j in range(0, k.shape[-2], 8):
        t = slice(j, j + 8)
        p = _over(np.exp(s[..., t] - top), total)
        ds = p * (grad_out @ v[..., t, :].swapaxes(-1, -2) - delta) * c
        dv[..., t, :], dk[..., t, :], dq = p.swapaxes(-1, -2) @ grad_out, ds.swapaxes(-1, -2) @ q, dq + ds @ k[..., t, :]
    return dq, dk, dv

def layer_norm_vjp_by_chain(x: A, gain: A, bias: A, grad_out: A, *, eps: float = 1e-5) -> A:
    """Step by step through variance and mean, in float64."""
    d, c, u = max(x.shape[-1], 1), x - _mean(x), grad_out * gain
    s = np.sqrt(_mean(c * c) + eps)
    dvar = (u * c).sum(-1, keepdims=True) * -0.5 / s**3
    dc = u / s + dvar * 2 * c / d
    return dc - dc.sum(-1, keepdims=True) / d, _total(grad_out * c / s), _total(grad_out)

def embedding_vjp_sorted_runs(ids: A, table: A, grad_out: A) -> A:
    """Tokens sorted by id, each run summed by reduceat."""
    flat, grad = ids.reshape(ids.size), np.zeros_like(table)
    order = np.argsort(flat, kind="stable")
    rows, first = np.unique(flat[order], return_index=True)
    if ids.size:
        grad[rows] = np.add.reduceat(grad_out.reshape(ids.size, table.shape[1])[order], first, 0)
    return (grad,)

def encoder_block_vjp_post(x: A, params: A, grad_out: A, *, n_heads: int, causal: A = False, mask: A = None) -> A:
    """Post-norm with relu, backwards step by step."""
    p, w = params, [params[t] for t in ("w_q", "w_k", "w_v", "w_o")]
    q, k, v = (_split(x @ t, n_heads) for t in w[:3])
    a = x + _join(_probs(_scores(q, k, causal, mask, None)) @ v) @ w[3]
    y = _norm(a, p["gain1"], p["bias1"])
    z = y @ p["w1"] + p["b1"]
    gb, dg2, db2 = _norm_back(y + np.maximum(z, 0) @ p["w2"] + p["b2"], p["gain2"], grad_out)
    gz = np.where(z > 0, gb @ p["w2"].T, 0)
    ga, dg1, db1 = _norm_back(a, p["gain1"], gb + gz @ p["w1"].T)
    r = _mha_back(x, w, ga, n_heads, causal, mask)
    return ga + r[0], {"w_q": r[1], "w_k": r[2], "w_v": r[3], "w_o": r[4], "w1": _outer(y, gz), "b1": _total(gz), "b2": _total(gb),
                       "w2": _outer(np.maximum(z, 0), gb), "gain1": dg1, "bias1": db1, "gain2": dg2, "bias2": db2}


#: kernel -> its variant, where that is not the default
VARIANTS: dict[str, dict[str, A]] = {"attention_grouped_by_reshape": {"grouped_query": True},
    "feed_forward_hidden_tiles": {"activation": "silu"}, "encoder_block_pre_silu": {"norm": "pre", "activation": "silu"},
}
