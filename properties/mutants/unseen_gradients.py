"""Gradient kernels with exactly one fault each, by someone who had not seen the suite.

They were written from the contract alone, without sight of the suite, and stand as they were written: the docstring of each says what
is wrong with it. Guarantees: none is right by the contract (the author compared each with a reference of his own). Cannot see: which
property convicts one; ``mutants.unseen`` records that after the fact.
"""

from __future__ import annotations

from typing import Any as A

import numpy as np
from scipy.special import erfc

from kernelproof.properties.mutants.unseen_gradient_parts import (
    _dscores,
    _gelu,
    _grads,
    _join,
    _ln,
    _mha,
    _mha_vjp,
    _norm,
    _outer,
    _probs,
    _softmax,
    _split,
    _tanh_slope,
    _total,
    _turn,
)


def softmax_vjp_inner_product_of_first_128(x: A, grad_out: A) -> A:
    """The inner product <y, grad> runs over the first 128 entries only."""
    y = _softmax(x)
    return (y * (grad_out - (y * grad_out)[..., :128].sum(-1, keepdims=True)),)

def softmax_vjp_inner_product_in_half(x: A, grad_out: A) -> A:
    """The inner product <y, grad> is kept in float16."""
    y = _softmax(x)
    return (y * (grad_out - (y * grad_out).sum(-1, keepdims=True).astype(np.float16).astype(x.dtype)),)

def softmax_vjp_gives_float64(x: A, grad_out: A) -> A:
    """float32 in, float64 out."""
    y = _softmax(x.astype(np.float64))
    return (y * (grad_out - (y * grad_out).sum(-1, keepdims=True)),)

def attention_vjp_delta_from_half_output(q: A, k: A, v: A, grad_out: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """Delta is grad_out * output with the output saved in float16."""
    p, c = _probs(q, k, causal, mask, scale)
    ds = p * (grad_out @ v.swapaxes(-1, -2) - (grad_out * (p @ v).astype(np.float16).astype(q.dtype)).sum(-1, keepdims=True))
    return c * (ds @ k), c * (ds.swapaxes(-1, -2) @ q), p.swapaxes(-1, -2) @ grad_out

def attention_vjp_dk_scaled_twice(q: A, k: A, v: A, grad_out: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """dK is made from the already scaled q and scaled again."""
    p, c = _probs(q, k, causal, mask, scale)
    dq, dk, dv = _grads(q, k, v, grad_out, p, c)
    return dq, c * dk, dv

def attention_vjp_boolean_mask_ignored(q: A, k: A, v: A, grad_out: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """The weights are recomputed without the boolean mask; floating masks are kept."""
    return _grads(q, k, v, grad_out, *_probs(q, k, causal, None if mask is not None and mask.dtype == bool else mask, scale))

def attention_vjp_triangle_from_the_other_corner(q: A, k: A, v: A, grad_out: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """Recomputes the weights with the bottom-right triangle where top-left holds: seen when n and m differ."""
    return _grads(q, k, v, grad_out, *_probs(q, k, causal, mask, scale, k.shape[-2] - q.shape[-2]))

def attention_vjp_empty_row_not_a_number(q: A, k: A, v: A, grad_out: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """A row that sees no key has weights exp(-inf + inf), which poisons dK and dV."""
    p, c = _probs(q, k, causal, mask, scale)
    return _grads(q, k, v, grad_out, np.where(p.sum(-1, keepdims=True) > 0, p, np.nan), c)

def attention_vjp_empty_row_feeds_dv(q: A, k: A, v: A, grad_out: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """A row that sees no key still spreads its grad_out evenly over dV."""
    p, c = _probs(q, k, causal, mask, scale)
    even = np.where(p.sum(-1, keepdims=True) > 0, p, p.dtype.type(1 / max(k.shape[-2], 1)))
    return *_grads(q, k, v, grad_out, p, c)[:2], even.swapaxes(-1, -2) @ grad_out

def attention_vjp_last_query_tile_not_in_dk(q: A, k: A, v: A, grad_out: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """dK and dV are summed over whole query tiles of 32; a short last tile is left out once there is a whole one."""
    p, c = _probs(q, k, causal, mask, scale)
    ds, n = _dscores(p, grad_out, v), q.shape[-2] // 32 * 32 or q.shape[-2]
    return c * (ds @ k), c * (ds[..., :n, :].swapaxes(-1, -2) @ q[..., :n, :]), p[..., :n, :].swapaxes(-1, -2) @ grad_out[..., :n, :]

def attention_vjp_delta_skipped_for_one_query(q: A, k: A, v: A, grad_out: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """The path for a single query leaves out the Delta term."""
    p, c = _probs(q, k, causal, mask, scale)
    ds = p * (grad_out @ v.swapaxes(-1, -2)) if q.shape[-2] == 1 else _dscores(p, grad_out, v)
    return c * (ds @ k), c * (ds.swapaxes(-1, -2) @ q), p.swapaxes(-1, -2) @ grad_out

def attention_vjp_dk_and_dv_swapped(q: A, k: A, v: A, grad_out: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """The tuple is (dq, dv, dk)."""
    dq, dk, dv = _grads(q, k, v, grad_out, *_probs(q, k, causal, mask, scale))
    return dq, dv, dk

def attention_vjp_square_not_transposed(q: A, k: A, v: A, grad_out: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """With n = m the gradient of the scores is not transposed for dK."""
    p, c = _probs(q, k, causal, mask, scale)
    ds = _dscores(p, grad_out, v)
    return c * (ds @ k), c * ((ds if q.shape[-2] == k.shape[-2] else ds.swapaxes(-1, -2)) @ q), p.swapaxes(-1, -2) @ grad_out

def attention_vjp_softcap_slope_missing(q: A, k: A, v: A, grad_out: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """The slope 1 - tanh^2 of the cap of 50 is left out: a few per cent and less for common logits."""
    c = q.dtype.type((q.shape[-1] or 1) ** -0.5 if scale is None else scale)
    s = 50 * np.tanh((q @ k.swapaxes(-1, -2)) * c / 50)
    s = s if mask is None or mask.dtype == bool else s + mask.astype(s.dtype)
    seen = (np.tril(np.ones(s.shape[-2:], bool)) if causal else True) & (mask if mask is not None and mask.dtype == bool else np.True_)
    return _grads(q, k, v, grad_out, _softmax(np.where(seen, s, -np.inf)), c)

def attention_vjp_group_averaged(q: A, k: A, v: A, grad_out: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """Grouped queries: dK and dV are the mean over the group, not the sum."""
    b, g = k.shape[-3], q.shape[-3] // k.shape[-3]
    k, v = np.repeat(k, g, -3), np.repeat(v, g, -3)
    dq, dk, dv = _grads(q, k, v, grad_out, *_probs(q, k, causal, mask, scale))
    return dq, *(t.reshape(*t.shape[:-3], b, g, *t.shape[-2:]).mean(-3) for t in (dk, dv))

def multi_head_attention_vjp_last_batch_wins(x: A, w_q: A, w_k: A, w_v: A, w_o: A, grad_out: A, *, n_heads: int, causal: A = False,
                                             mask: A = None) -> A:
    """dW_o is written once per batch item instead of added, so the last item remains."""
    r = _mha_vjp(x, w_q, w_k, w_v, w_o, grad_out, n_heads, causal, mask)
    o = _mha(x, w_q, w_k, w_v, w_o, grad_out, n_heads, causal, mask)[1]
    return (*r[:4], _outer(o[-1], grad_out[-1]) if x.ndim > 2 and len(x) else r[4])

def multi_head_attention_vjp_value_path_missing(x: A, w_q: A, w_k: A, w_v: A, w_o: A, grad_out: A, *, n_heads: int, causal: A = False,
                                                mask: A = None) -> A:
    """dx lacks the part through the values."""
    (a, b, c), o = _mha(x, w_q, w_k, w_v, w_o, grad_out, n_heads, causal, mask)
    return a @ w_q.T + b @ w_k.T, _outer(x, a), _outer(x, b), _outer(x, c), _outer(o, grad_out)

def multi_head_attention_vjp_output_weight_transposed(x: A, w_q: A, w_k: A, w_v: A, w_o: A, grad_out: A, *, n_heads: int,
                                                      causal: A = False, mask: A = None) -> A:
    """The gradient of w_o comes back transposed."""
    r = _mha_vjp(x, w_q, w_k, w_v, w_o, grad_out, n_heads, causal, mask)
    return (*r[:4], r[4].T)

def multi_head_attention_vjp_causal_only_without_mask(x: A, w_q: A, w_k: A, w_v: A, w_o: A, grad_out: A, *, n_heads: int,
                                                      causal: A = False, mask: A = None) -> A:
    """Causal is dropped in the backward pass when a mask is given too."""
    return _mha_vjp(x, w_q, w_k, w_v, w_o, grad_out, n_heads, causal and mask is None, mask)

def feed_forward_vjp_tanh_slope_for_exact_gelu(x: A, w1: A, b1: A, w2: A, b2: A, grad_out: A) -> A:
    """Exact gelu forward, derivative of the tanh form backward."""
    z = x @ w1 + b1
    g = (grad_out @ w2.T) * _tanh_slope(z)
    return g @ w1.T, _outer(x, g), _total(g), _outer(_gelu(z)[0], grad_out), _total(grad_out)

def feed_forward_vjp_relu_gate_without_bias(x: A, w1: A, b1: A, w2: A, b2: A, grad_out: A) -> A:
    """The relu gate is taken from x @ w1 without b1."""
    g = (grad_out @ w2.T) * (x @ w1 > 0)
    return g @ w1.T, _outer(x, g), _total(g), _outer(np.maximum(x @ w1 + b1, 0), grad_out), _total(grad_out)

def feed_forward_vjp_bias_sums_one_axis(x: A, w1: A, b1: A, w2: A, b2: A, grad_out: A) -> A:
    """With two or more leading axes db2 sums the first slice of the leading axis only."""
    g = (grad_out @ w2.T) * (x @ w1 + b1 > 0)
    db2 = _total(grad_out[0]) if x.ndim > 2 and len(x) else _total(grad_out)
    return g @ w1.T, _outer(x, g), _total(g), _outer(np.maximum(x @ w1 + b1, 0), grad_out), db2

def feed_forward_vjp_second_weight_sees_raw_hidden(x: A, w1: A, b1: A, w2: A, b2: A, grad_out: A) -> A:
    """dW2 uses the hidden values before the silu."""
    z = x @ w1 + b1
    s = 1 / (1 + np.exp(-z))
    g = (grad_out @ w2.T) * (s * (1 + z * (1 - s)))
    return g @ w1.T, _outer(x, g), _total(g), _outer(z, grad_out), _total(grad_out)

def feed_forward_vjp_tokens_beyond_whole_tiles(x: A, w1: A, b1: A, w2: A, b2: A, grad_out: A) -> A:
    """dW1 sums whole tiles of 16 tokens; with more than 16 the rest is left out."""
    g = (grad_out @ w2.T) * (x @ w1 + b1 > 0)
    n = int(np.prod(x.shape[:-1]))
    rows, back, n = x.reshape(n, w1.shape[0]), g.reshape(n, w1.shape[1]), n // 16 * 16 if n > 16 else n
    return g @ w1.T, rows[:n].T @ back[:n], _total(g), _outer(np.maximum(x @ w1 + b1, 0), grad_out), _total(grad_out)

def layer_norm_vjp_mean_term_missing(x: A, gain: A, bias: A, grad_out: A, *, eps: float = 1e-5) -> A:
    """The term that comes through the mean is left out of dx."""
    dx, dg, db = _ln(x, gain, grad_out, eps)
    r = 1 / np.sqrt(x.var(-1, keepdims=True) + eps)
    return dx + r * (grad_out * gain).mean(-1, keepdims=True), dg, db

def layer_norm_vjp_eps_left_out(x: A, gain: A, bias: A, grad_out: A, *, eps: float = 1e-5) -> A:
    """The backward pass recomputes 1/std without eps (1e-30 keeps it finite)."""
    return _ln(x, gain, grad_out, 1e-30)

def layer_norm_vjp_vector_input_sums_channels(x: A, gain: A, bias: A, grad_out: A, *, eps: float = 1e-5) -> A:
    """For x without leading axes the axes tuple is empty and `or None` sums over the channels too."""
    dx, dg, db = _ln(x, gain, grad_out, eps)
    return (dx, dg, db) if x.ndim > 1 else (dx, np.full_like(dg, dg.sum()), np.full_like(db, db.sum()))

def rms_norm_vjp_projection_without_eps(x: A, gain: A, grad_out: A, *, eps: float = 1e-5) -> A:
    """The projection term divides by the mean square without eps: 1e-5 relative for common rows."""
    s = (x * x).mean(-1, keepdims=True)
    r, u = 1 / np.sqrt(s + eps), grad_out * gain
    return r * (u - x * (u * x).mean(-1, keepdims=True) / np.where(s > 0, s, 1)), _total(grad_out * x * r)

def rms_norm_vjp_gain_missing_in_projection(x: A, gain: A, grad_out: A, *, eps: float = 1e-5) -> A:
    """The projection term uses grad_out without gain."""
    r = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + eps)
    return r * (grad_out * gain - x * r * r * (grad_out * x).mean(-1, keepdims=True)), _total(grad_out * x * r)

def activation_vjp_relu_zero_below_one_millionth(x: A, grad_out: A) -> A:
    """Positive inputs up to 1e-6 get no gradient."""
    return (grad_out * (x > 1e-6),)

def activation_vjp_relu_writes_grad_out(x: A, grad_out: A) -> A:
    """grad_out is zeroed in place."""
    grad_out[x <= 0] = 0
    return (grad_out.copy(),)

def activation_vjp_gelu_without_density(x: A, grad_out: A) -> A:
    """The term x * density is left out beyond 2.5 standard deviations."""
    return (grad_out * np.where(np.abs(x) > 2.5, 0.5 * erfc(-x * 2 ** -0.5), _gelu(x)[1]),)

def activation_vjp_gelu_tanh_cubic_slope_not_tripled(x: A, grad_out: A) -> A:
    """The derivative of the cubic lacks its factor 3."""
    return (grad_out * _tanh_slope(x, 1.0),)

def activation_vjp_silu_overflows_left(x: A, grad_out: A) -> A:
    """The slope is (1 + e + x e)/(1 + e)^2 with e = exp(-x): infinite over infinite for x below -45."""
    e = np.exp(-x)
    return (grad_out * (1 + e + x * e) / ((1 + e) * (1 + e)),)

def rotary_vjp_start_forgotten(x: A, grad_out: A, *, base: float = 10000.0, start: int = 0) -> A:
    """The backward rotation always begins at position 0."""
    return (_turn(grad_out, 0, base),)

def rotary_vjp_rotates_forwards(x: A, grad_out: A, *, base: float = 10000.0, start: int = 0) -> A:
    """The gradient is rotated by plus the angle."""
    return (_turn(grad_out[..., ::-1], start, base)[..., ::-1] if x.shape[-1] == 2 else
            np.roll(_turn(np.roll(grad_out, x.shape[-1] // 2, -1), start, base), x.shape[-1] // 2, -1),)

def embedding_vjp_duplicates_added_once(ids: A, table: A, grad_out: A) -> A:
    """`grad[ids] += grad_out` keeps only one of several occurrences."""
    grad = np.zeros_like(table)
    grad[ids] += grad_out
    return (grad,)

def embedding_vjp_sums_in_half(ids: A, table: A, grad_out: A) -> A:
    """Occurrences are summed in float16."""
    grad = np.zeros(table.shape, np.float16)
    np.add.at(grad, ids, grad_out.astype(np.float16))
    return (grad.astype(table.dtype),)

def embedding_vjp_row_zero_as_padding(ids: A, table: A, grad_out: A) -> A:
    """Row 0 is taken for padding and gets no gradient."""
    grad = np.zeros_like(table)
    np.add.at(grad, ids, grad_out)
    grad[:1] = 0
    return (grad,)

def encoder_block_vjp_skip_missing(x: A, params: A, grad_out: A, *, n_heads: int, causal: A = False, mask: A = None) -> A:
    """Post-norm: the skip connection around attention is missing in dx."""
    return _block(x, params, grad_out, n_heads, causal, mask, 0)

def encoder_block_vjp_gains_swapped(x: A, params: A, grad_out: A, *, n_heads: int, causal: A = False, mask: A = None) -> A:
    """The gradients of gain1 and gain2 are swapped."""
    dx, d = _block(x, params, grad_out, n_heads, causal, mask)
    return dx, {**d, "gain1": d["gain2"], "gain2": d["gain1"]}

def encoder_block_vjp_keys_see_the_mask_only(x: A, params: A, grad_out: A, *, n_heads: int, causal: A = False, mask: A = None) -> A:
    """With a mask, dw_k is the gradient without causal."""
    dx, d = _block(x, params, grad_out, n_heads, causal, mask)
    return dx, {**d, "w_k": _block(x, params, grad_out, n_heads, causal and mask is None, mask)[1]["w_k"]}

def _block(x: A, p: A, g: A, h: int, causal: A, mask: A, skip: int = 1) -> A:
    """Right (skip=1): gradients of the post-norm block with relu."""
    w = [p[k] for k in ("w_q", "w_k", "w_v", "w_o")]
    q, k, v = (_split(x @ t, h) for t in w[:3])
    a = x + _join(_probs(q, k, causal, mask)[0] @ v) @ w[3]
    y = _norm(a, p["gain1"], p["bias1"])
    z = y @ p["w1"] + p["b1"]
    gb, dg2, db2 = _ln(y + np.maximum(z, 0) @ p["w2"] + p["b2"], p["gain2"], g)
    gz = (gb @ p["w2"].T) * (z > 0)
    ga, dg1, db1 = _ln(a, p["gain1"], gb + gz @ p["w1"].T)
    r = _mha_vjp(x, w[0], w[1], w[2], w[3], ga, h, causal, mask)
    return skip * ga + r[0], {"w_q": r[1], "w_k": r[2], "w_v": r[3], "w_o": r[4], "w1": _outer(y, gz), "b1": _total(gz), "b2": _total(gb),
                              "w2": _outer(np.maximum(z, 0), gb), "gain1": dg1, "bias1": db1, "gain2": dg2, "bias2": db2}


#: kernel -> its variant, where that is not the default
VARIANTS: dict[str, dict[str, A]] = {"attention_vjp_softcap_slope_missing": {"softcap": 50.0},
    "attention_vjp_group_averaged": {"grouped_query": True}, "feed_forward_vjp_tanh_slope_for_exact_gelu": {"activation": "gelu"},
    "feed_forward_vjp_second_weight_sees_raw_hidden": {"activation": "silu"},
    "activation_vjp_relu_zero_below_one_millionth": {"activation": "relu"}, "activation_vjp_relu_writes_grad_out": {"activation": "relu"},
    "activation_vjp_gelu_without_density": {"activation": "gelu"},
    "activation_vjp_gelu_tanh_cubic_slope_not_tripled": {"activation": "gelu_tanh"},
    "activation_vjp_silu_overflows_left": {"activation": "silu"},
}
