"""Right kernels in the many styles that people use, by someone who had not seen the suite.

They were written from the contract alone, without sight of the suite, and stand as they were written: the docstring of each names the
style; one that says float64 is computed in that, all others in float32 at least. Cannot see: bounds; a style that loses digits which the
definition keeps may be convicted, see ``unseen_registry``.
"""

from __future__ import annotations

from typing import Any as A

import numpy as np
from scipy.special import erf, erfc, expit
from unseen_right_parts import (
    _back,
    _c,
    _cover,
    _join,
    _mean,
    _mha_back,
    _norm,
    _norm_back,
    _outer,
    _over,
    _probs,
    _rotate,
    _scores,
    _split,
    _top,
    _total,
)


def embedding_by_take(ids: A, table: A) -> A:
    """np.take along axis 0."""
    return np.take(table, ids, axis=0)

def embedding_by_one_hot(ids: A, table: A) -> A:
    """A one-hot matrix times the table."""
    return (np.arange(table.shape[0]) == ids[..., None]).astype(table.dtype) @ table

def positional_halves_concatenated(n_positions: int, d_model: int, *, base: float = 10000.0, start: int = 0) -> A:
    """Sines then cosines, with tensor2tensor's denominator."""
    h = d_model // 2
    a = np.arange(start, start + n_positions)[:, None] * np.exp(-np.log(float(base)) / max(h - 1, 1) * np.arange(h))
    return np.concatenate([np.sin(a), np.cos(a)], 1).astype(np.float32)

def softmax_exp2(x: A) -> A:
    """exp2 with log2(e) multiplied in after subtracting the maximum."""
    e = np.exp2((x - _top(x)) * x.dtype.type(1.4426950408889634))
    return e / e.sum(-1, keepdims=True)

def softmax_log_sum_exp(x: A) -> A:
    """exp(y - log(sum(exp(y)))) with y = x - max, in float64."""
    y = x - _top(x)
    return np.exp(y - np.log(np.exp(y).sum(-1, keepdims=True)))

def attention_einsum(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """einsum throughout."""
    return np.einsum("...nm,...me->...ne", _probs(_cover(np.einsum("...nd,...md->...nm", q, k) * _c(q, scale), causal, mask)), v)

def attention_late_normalisation(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """The division by the sum comes after the product with v."""
    s = _scores(q, k, causal, mask, scale)
    e = np.exp(s - _top(s))
    return _over(e @ v, e.sum(-1, keepdims=True))

def attention_root_of_scale_on_both(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """sqrt(|scale|) multiplies q and k, with its sign on q."""
    c = abs(_c(q, scale)) ** q.dtype.type(0.5)
    return _probs(_cover(q * (c * np.sign(_c(q, scale))) @ (k * c).swapaxes(-1, -2), causal, mask)) @ v

def attention_exp2(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """exp2 of (scores - maximum) * log2(e)."""
    s = _scores(q, k, causal, mask, scale)
    e = np.exp2((s - _top(s)) * s.dtype.type(1.4426950408889634))
    return _over(e, e.sum(-1, keepdims=True)) @ v

def attention_all_in_double(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """float64 inside, one rounding at the end."""
    return _probs(_scores(q, k, causal, mask, scale)) @ v

def attention_bottom_right(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """Triangle aligned at the last query and key."""
    return _probs(_scores(q, k, causal, mask, scale, k.shape[-2] - q.shape[-2])) @ v

def attention_window(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """Sliding window of 3 as a band of the scores."""
    far = np.arange(q.shape[-2])[:, None] - np.arange(k.shape[-2])
    return _probs(np.where((far >= 0) & (far < 3), _scores(q, k, causal, mask, scale), -np.inf)) @ v

def attention_softcap(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """Scale, then 30 tanh(s/30), then masks."""
    return _probs(_cover(30 * np.tanh(q @ k.swapaxes(-1, -2) * _c(q, scale) / 30), causal, mask)) @ v

def attention_sink_as_a_column(q: A, k: A, v: A, sinks: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """The sink is one more column of scores, cut off before the product with v."""
    s = _scores(q, k, causal, mask, scale)
    col = np.broadcast_to(sinks.reshape((sinks.size,) + (1,) * min(q.ndim - 1, 2)), (*s.shape[:-1], 1))
    return _probs(np.concatenate([s, col], -1))[..., :-1] @ v

def attention_rotary_halves(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """Queries and keys are rotated by halves, then plain attention."""
    return _probs(_scores(_rotate(q), _rotate(k), causal, mask, scale)) @ v

def attention_fully_masked_mean(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """Rows that see nothing give the mean of all values, as in JAX."""
    p = _probs(_scores(q, k, causal, mask, scale))
    return np.where(p.sum(-1, keepdims=True) > 0, p, p.dtype.type(1 / max(k.shape[-2], 1))) @ v

def multi_head_attention_fused(x: A, w_q: A, w_k: A, w_v: A, w_o: A, *, n_heads: int, causal: A = False, mask: A = None) -> A:
    """One product with [w_q w_k w_v], then split."""
    q, k, v = (_split(t, n_heads) for t in np.split(x @ np.concatenate([w_q, w_k, w_v], 1), 3, -1))
    return _join(_probs(_scores(q, k, causal, mask, None)) @ v) @ w_o

def feed_forward_gelu_by_erfc(x: A, w1: A, b1: A, w2: A, b2: A) -> A:
    """gelu as x erfc(-x/sqrt 2)/2."""
    z = x @ w1 + b1
    return z * erfc(z * -(0.5**0.5)) * 0.5 @ w2 + b2

def layer_norm_two_passes(x: A, gain: A, bias: A, *, eps: float = 1e-5) -> A:
    """Mean first, then variance; everything in float64."""
    return _norm(x, gain, bias, eps)

def layer_norm_reciprocal_root(x: A, gain: A, bias: A, *, eps: float = 1e-5) -> A:
    """1/sqrt first, then gain times it, then the centred row."""
    c = x - _mean(x)
    return c * (1 / np.sqrt(_mean(c * c) + eps) * gain) + bias

def rms_norm_einsum(x: A, gain: A, *, eps: float = 1e-5) -> A:
    """Sum of squares by einsum."""
    return x * (1 / np.sqrt(np.einsum("...d,...d->...", x, x)[..., None] / max(x.shape[-1], 1) + eps)) * gain

def rms_norm_sequential(x: A, gain: A, *, eps: float = 1e-5) -> A:
    """Sum of squares added one by one."""
    total = sum((x[..., j : j + 1] ** 2 for j in range(x.shape[-1])), np.zeros((*x.shape[:-1], 1), x.dtype))
    return x / np.sqrt(total / max(x.shape[-1], 1) + eps) * gain

def activation_relu_by_where(x: A) -> A:
    """np.where."""
    return np.where(x > 0, x, x.dtype.type(0))

def activation_gelu_by_erf_in_double(x: A) -> A:
    """x (1 + erf(x/sqrt 2))/2 right of 0 and erfc left of it, in float64."""
    return np.where(x > 0, 0.5 * x * (1 + erf(x * 0.5**0.5)), 0.5 * x * erfc(-x * 0.5**0.5))

def activation_silu_by_expit(x: A) -> A:
    """x times scipy's logistic function, in float64."""
    return x * expit(x)

def activation_silu_plain_fraction(x: A) -> A:
    """x / (1 + exp(-x))."""
    return x / (1 + np.exp(-x))

def activation_silu_by_tanh(x: A) -> A:
    """x (1 + tanh(x/2))/2 in float64."""
    return x * (0.5 * (1 + np.tanh(0.5 * x)))

def activation_silu_by_two_branches(x: A) -> A:
    """exp of a negative number only, one branch per sign."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, x / (1 + e), x * (e / (1 + e)))

def activation_gelu_tanh_as_logistic(x: A) -> A:
    """(1 + tanh u)/2 is the logistic function of 2u; in float64."""
    return x * expit(2 * (2 / np.pi) ** 0.5 * (x + 0.044715 * x * x * x))

def rotary_complex_numbers(x: A, *, base: float = 10000.0, start: int = 0) -> A:
    """Interleaved pairs as complex numbers, in float64."""
    d, p = x.shape[-1], np.arange(start, start + x.shape[-2])
    z = (x[..., 0::2] + 1j * x[..., 1::2]) * np.exp(1j * np.outer(p, float(base) ** (-np.arange(0, d, 2) / max(d, 1))))
    return np.stack([z.real, z.imag], -1).reshape(x.shape)

def rotary_rotate_half(x: A, *, base: float = 10000.0, start: int = 0) -> A:
    """x cos + rotate_half(x) sin with doubled tables."""
    d = x.shape[-1]
    a = np.outer(np.arange(start, start + x.shape[-2]), float(base) ** (-np.arange(0, d, 2) / max(d, 1)))
    c, s = (np.concatenate([t, t], 1).astype(x.dtype) for t in (np.cos(a), np.sin(a)))
    return x * c + np.concatenate([-x[..., d // 2 :], x[..., : d // 2]], -1) * s

def encoder_block_post(x: A, params: A, *, n_heads: int, causal: A = False, mask: A = None) -> A:
    """Post-norm with relu."""
    p = params
    q, k, v = (_split(x @ p[w], n_heads) for w in ("w_q", "w_k", "w_v"))
    y = _norm(x + _join(_probs(_scores(q, k, causal, mask, None)) @ v) @ p["w_o"], p["gain1"], p["bias1"])
    return _norm(y + (np.maximum(y @ p["w1"] + p["b1"], 0) @ p["w2"] + p["b2"]), p["gain2"], p["bias2"])

def softmax_vjp_jacobian(x: A, grad_out: A) -> A:
    """The full Jacobian diag(y) - y y^T times grad_out."""
    y = _probs(x)
    jac = y[..., :, None] * (np.eye(x.shape[-1], dtype=x.dtype) - y[..., None, :])
    return ((jac @ grad_out[..., None])[..., 0],)

def attention_vjp_textbook(q: A, k: A, v: A, grad_out: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """Weights, then the softmax rule, then two products."""
    return _back(q, k, v, grad_out, _probs(_scores(q, k, causal, mask, scale)), _c(q, scale))

def attention_vjp_softcap(q: A, k: A, v: A, grad_out: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """Soft-cap of 30 with its slope 1 - tanh^2, in float64."""
    t, c = np.tanh(q @ k.swapaxes(-1, -2) * _c(q, scale) / 30), _c(q, scale)
    p, dp = _probs(_cover(30 * t, causal, mask)), grad_out @ v.swapaxes(-1, -2)
    ds = p * (dp - (p * dp).sum(-1, keepdims=True)) * (1 - t * t)
    return c * (ds @ k), c * (ds.swapaxes(-1, -2) @ q), p.swapaxes(-1, -2) @ grad_out

def attention_vjp_grouped(q: A, k: A, v: A, grad_out: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """k, v repeated over the group, their gradients summed over it."""
    b, g = k.shape[-3], q.shape[-3] // k.shape[-3]
    r, t = np.repeat(k, g, -3), np.repeat(v, g, -3)
    dq, dk, dv = _back(q, r, t, grad_out, _probs(_scores(q, r, causal, mask, scale)), _c(q, scale))
    return dq, *(a.reshape(*a.shape[:-3], b, g, *a.shape[-2:]).sum(-3) for a in (dk, dv))

def multi_head_attention_vjp_textbook(x: A, w_q: A, w_k: A, w_v: A, w_o: A, grad_out: A, *, n_heads: int, causal: A = False,
                                      mask: A = None) -> A:
    """Reverse order of the forward pass, tensordot for the weights."""
    return _mha_back(x, (w_q, w_k, w_v, w_o), grad_out, n_heads, causal, mask)

def feed_forward_vjp_relu(x: A, w1: A, b1: A, w2: A, b2: A, grad_out: A) -> A:
    """Flattened tokens, matrix products."""
    n = int(np.prod(x.shape[:-1]))
    rows, back = x.reshape(n, x.shape[-1]), grad_out.reshape(n, x.shape[-1])
    z = rows @ w1 + b1
    g = np.where(z > 0, back @ w2.T, 0)
    return (g @ w1.T).reshape(x.shape), rows.T @ g, g.sum(0), np.maximum(z, 0).T @ back, back.sum(0)

def feed_forward_vjp_gelu(x: A, w1: A, b1: A, w2: A, b2: A, grad_out: A) -> A:
    """Exact gelu by erfc."""
    z = x @ w1 + b1
    cdf = 0.5 * erfc(-z * 0.5**0.5)
    g = (grad_out @ w2.T) * (cdf + z * np.exp(-0.5 * z * z) * (2 * np.pi) ** -0.5)
    return g @ w1.T, _outer(x, g), _total(g), _outer(z * cdf, grad_out), _total(grad_out)

def layer_norm_vjp_closed_form(x: A, gain: A, bias: A, grad_out: A, *, eps: float = 1e-5) -> A:
    """The closed form with two means."""
    return _norm_back(x, gain, grad_out, eps)

def rms_norm_vjp_closed_form(x: A, gain: A, grad_out: A, *, eps: float = 1e-5) -> A:
    """r (u - h mean(u h))."""
    r, u = 1 / np.sqrt(_mean(x * x) + eps), grad_out * gain
    return r * (u - x * r * _mean(u * x * r)), _total(grad_out * x * r)

def activation_vjp_relu(x: A, grad_out: A) -> A:
    """np.where on the sign."""
    return (np.where(x > 0, grad_out, 0),)

def activation_vjp_silu(x: A, grad_out: A) -> A:
    """s + x s (1 - s) with 1 - s as the logistic of -x."""
    return (grad_out * (expit(x) * (1 + x * expit(-x))),)

def rotary_vjp_backwards(x: A, grad_out: A, *, base: float = 10000.0, start: int = 0) -> A:
    """Rotation by the negative angle."""
    return (_rotate(grad_out, -1.0, start, base),)

def embedding_vjp_add_at(ids: A, table: A, grad_out: A) -> A:
    """np.add.at."""
    grad = np.zeros_like(table)
    np.add.at(grad, ids, grad_out)
    return (grad,)

def embedding_vjp_bincount(ids: A, table: A, grad_out: A) -> A:
    """One weighted bincount per channel, in float64."""
    flat, back = ids.reshape(ids.size).astype(np.int64), grad_out.reshape(ids.size, table.shape[1])
    cols = [np.bincount(flat, back[:, j], table.shape[0]) for j in range(table.shape[1])]
    return (np.stack(cols, 1) if cols else np.zeros(table.shape),)


#: kernel -> its variant, where that is not the default
VARIANTS: dict[str, dict[str, A]] = {"positional_halves_concatenated": {"layout": "halves", "denominator": "half_minus_one"},
    "attention_bottom_right": {"causal_alignment": "bottom_right"}, "attention_window": {"window": 3},
    "attention_softcap": {"softcap": 30.0}, "attention_sink_as_a_column": {"sinks": True}, "attention_rotary_halves": {"rotary": "halves"},
    "attention_fully_masked_mean": {"fully_masked": "mean"}, "feed_forward_gelu_by_erfc": {"activation": "gelu"},
    "activation_relu_by_where": {"activation": "relu"}, "activation_gelu_by_erf_in_double": {"activation": "gelu"},
    "activation_silu_by_expit": {"activation": "silu"}, "activation_silu_plain_fraction": {"activation": "silu"},
    "activation_silu_by_tanh": {"activation": "silu"}, "activation_silu_by_two_branches": {"activation": "silu"},
    "activation_gelu_tanh_as_logistic": {"activation": "gelu_tanh"}, "rotary_complex_numbers": {"layout": "interleaved"},
    "attention_vjp_softcap": {"softcap": 30.0}, "attention_vjp_grouped": {"grouped_query": True},
    "feed_forward_vjp_gelu": {"activation": "gelu"}, "activation_vjp_relu": {"activation": "relu"},
    "activation_vjp_silu": {"activation": "silu"},
}
