"""More gradient kernels with exactly one fault each, by the author of ``unseen_gradients``.

They were written from the contract alone, without sight of the suite, and stand as they were written: the docstring of each says what
is wrong with it. Guarantees: none is right by the contract (the author compared each with a reference of his own). Cannot see: which
property convicts one; ``mutants.unseen`` records that after the fact.
"""

from __future__ import annotations

from typing import Any as A

import numpy as np

from kernelproof.properties.mutants.unseen_gradient_parts import _dscores, _grads, _ln, _outer, _probs, _softmax, _total, _turn


def softmax_vjp_diagonal_only(x: A, grad_out: A) -> A:
    """Only the diagonal of the Jacobian, y(1-y), is used."""
    y = _softmax(x)
    return (grad_out * y * (1 - y),)

def attention_vjp_sink_gradient_averaged(q: A, k: A, v: A, sinks: A, grad_out: A, *, causal: A = False, mask: A = None,
                                         scale: A = None) -> A:
    """The gradient of the sinks is the mean over the batch, not the sum."""
    dq, dk, dv, ds = _sink(q, k, v, sinks, grad_out, causal, mask, scale)
    return dq, dk, dv, ds / max(int(np.prod(q.shape[:-3])), 1)

def attention_vjp_sink_left_out_of_delta(q: A, k: A, v: A, sinks: A, grad_out: A, *, causal: A = False, mask: A = None,
                                         scale: A = None) -> A:
    """Delta is divided by the weight that the keys have together, as if the sink had none."""
    return _sink(q, k, v, sinks, grad_out, causal, mask, scale, True)

def _sink(q: A, k: A, v: A, sinks: A, g: A, causal: A, mask: A, scale: A, fault: bool = False) -> A:
    """Right without fault: gradients with one sink per head."""
    c = q.dtype.type((q.shape[-1] or 1) ** -0.5 if scale is None else scale)
    s = q @ k.swapaxes(-1, -2) * c
    s = s if mask is None or mask.dtype == bool else s + mask.astype(s.dtype)
    seen = (np.tril(np.ones(s.shape[-2:], bool)) if causal else True) & (mask if mask is not None and mask.dtype == bool else np.True_)
    col = np.broadcast_to(sinks.reshape((sinks.size,) + (1,) * min(q.ndim - 1, 2)), (*s.shape[:-1], 1))
    w = _softmax(np.concatenate([np.where(seen, s, -np.inf), col], -1))
    p, dp = w[..., :-1], g @ v.swapaxes(-1, -2)
    delta = (p * dp).sum(-1, keepdims=True)
    d2 = delta / np.where(p.sum(-1, keepdims=True) > 0, p.sum(-1, keepdims=True), 1) if fault else delta
    ds = p * (dp - d2)
    back = -(w[..., -1:] * delta).sum((-1, -2)).reshape(-1, sinks.size) if q.size and sinks.size else np.zeros((0, sinks.size), q.dtype)
    return c * (ds @ k), c * (ds.swapaxes(-1, -2) @ q), p.swapaxes(-1, -2) @ g, back.sum(0)

def attention_vjp_dq_not_turned_back(q: A, k: A, v: A, grad_out: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """Rotary by halves: dK is rotated back, dQ stays in the rotated frame."""
    a, b = _turn(q * _flip(q), 0, 1e4) * _flip(q), _turn(k * _flip(k), 0, 1e4) * _flip(k)
    dq, dk, dv = _grads(a, b, v, grad_out, *_probs(a, b, causal, mask, scale))
    return dq, _turn(dk, 0, 1e4), dv

def _flip(q: A) -> A:
    """Minus one on the second half of the channels: turns a backward rotation into a forward one."""
    return np.where(np.arange(q.shape[-1]) < q.shape[-1] // 2, 1, -1).astype(q.dtype)

def attention_vjp_keys_of_the_last_head_only(q: A, k: A, v: A, grad_out: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """Grouped queries: dK and dV are overwritten by each head of the group, so the last one remains."""
    g = q.shape[-3] // k.shape[-3]
    k, v = np.repeat(k, g, -3), np.repeat(v, g, -3)
    dq, dk, dv = _grads(q, k, v, grad_out, *_probs(q, k, causal, mask, scale))
    return dq, dk[..., g - 1 :: g, :, :], dv[..., g - 1 :: g, :, :]

def attention_vjp_zero_scale_means_default(q: A, k: A, v: A, grad_out: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """`scale or default` in the backward pass: an explicit scale of 0 becomes 1/sqrt(d)."""
    return _grads(q, k, v, grad_out, *_probs(q, k, causal, mask, scale or None))

def attention_vjp_large_scores_cut(q: A, k: A, v: A, grad_out: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """The gradient of the scores is clipped to [-1, 1] against explosions."""
    p, c = _probs(q, k, causal, mask, scale)
    ds = np.clip(_dscores(p, grad_out, v), -1, 1)
    return c * (ds @ k), c * (ds.swapaxes(-1, -2) @ q), p.swapaxes(-1, -2) @ grad_out

def feed_forward_vjp_gate_product_without_bias(x: A, w1: A, b1: A, w_gate: A, w2: A, b2: A, grad_out: A) -> A:
    """Gated: the gradient of the gate branch multiplies by x @ w1 without b1."""
    z, u = x @ w_gate, x @ w1 + b1
    s = 1 / (1 + np.exp(-z))
    g = grad_out @ w2.T
    gu, gz = g * (z * s), g * (x @ w1) * (s * (1 + z * (1 - s)))
    return gu @ w1.T + gz @ w_gate.T, _outer(x, gu), _total(gu), _outer(x, gz), _outer(z * s * u, grad_out), _total(grad_out)

def softmax_vjp_square_sums_columns(x: A, grad_out: A) -> A:
    """When rows and columns are equally many the inner product runs over the wrong axis."""
    y = _softmax(x)
    axis = -2 if x.ndim > 1 and x.shape[-1] == x.shape[-2] > 1 else -1
    return (y * (grad_out - (y * grad_out).sum(axis, keepdims=True)),)

def layer_norm_vjp_sample_variance(x: A, gain: A, bias: A, grad_out: A, *, eps: float = 1e-5) -> A:
    """For d above 16 the backward pass uses the variance with d - 1: a small relative error at large d."""
    d = x.shape[-1]
    c = x - x.mean(-1, keepdims=True)
    r = 1 / np.sqrt((c * c).sum(-1, keepdims=True) / max(d - (d > 16), 1) + eps)
    h, u = c * r, grad_out * gain
    return r * (u - u.mean(-1, keepdims=True) - h * (u * h).mean(-1, keepdims=True)), _total(grad_out * h), _total(grad_out)

def rms_norm_vjp_gain_gradient_of_the_first_rows(x: A, gain: A, grad_out: A, *, eps: float = 1e-5) -> A:
    """dgain is reduced over at most 512 rows; the rows beyond are lost."""
    n = int(np.prod(x.shape[:-1]))
    r = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + eps)
    h, u = x * r, grad_out * gain
    return r * (u - h * (u * h).mean(-1, keepdims=True)), (grad_out * h).reshape(n, x.shape[-1])[:512].sum(0)

def rotary_vjp_start_rounded_to_even(x: A, grad_out: A, *, base: float = 10000.0, start: int = 0) -> A:
    """The backward table begins at start rounded down to an even position."""
    return (_turn(grad_out, start // 2 * 2, base),)

def embedding_vjp_last_run_dropped(ids: A, table: A, grad_out: A) -> A:
    """Tokens are sorted by id and summed run by run; the last run is never flushed when there are several."""
    grad = np.zeros_like(table)
    np.add.at(grad, ids, grad_out)
    if np.unique(ids).size > 1:
        grad[ids.max()] = 0
    return (grad,)

def layer_norm_vjp_bias_gradient_carries_gain(x: A, gain: A, bias: A, grad_out: A, *, eps: float = 1e-5) -> A:
    """The bias gradient sums grad_out * gain."""
    dx, dg, db = _ln(x, gain, grad_out, eps)
    return dx, dg, db * gain

def layer_norm_vjp_gain_and_bias_swapped(x: A, gain: A, bias: A, grad_out: A, *, eps: float = 1e-5) -> A:
    """The tuple is (dx, dbias, dgain)."""
    dx, dg, db = _ln(x, gain, grad_out, eps)
    return dx, db, dg

def activation_vjp_relu_guided(x: A, grad_out: A) -> A:
    """Guided backpropagation: negative grad_out is cut as well."""
    return (np.maximum(grad_out, 0) * (x > 0),)


#: kernel -> its variant, where that is not the default
VARIANTS: dict[str, dict[str, A]] = {"attention_vjp_sink_gradient_averaged": {"sinks": True},
    "attention_vjp_sink_left_out_of_delta": {"sinks": True}, "attention_vjp_dq_not_turned_back": {"rotary": "halves"},
    "attention_vjp_keys_of_the_last_head_only": {"grouped_query": True}, "feed_forward_vjp_gate_product_without_bias": {"gated": True},
    "activation_vjp_relu_guided": {"activation": "relu"},
}
