"""More forward kernels with exactly one fault each, by the author of ``unseen_forward``.

They were written from the contract alone, without sight of the suite, and stand as they were written: the docstring of each says what
is wrong with it. Guarantees: none is right by the contract (the author compared each with a reference of his own). Cannot see: which
property convicts one; ``mutants.unseen`` records that after the fact.
"""

from __future__ import annotations

from typing import Any as A

import numpy as np

from kernelproof.properties.mutants.unseen_parts import (
    _attend,
    _cover,
    _ffn,
    _freq,
    _halves,
    _norm,
    _probs,
    _product,
    _self,
    _sincos,
    _tf32,
    _turn,
)


def embedding_last_lone_token_dropped(ids: A, table: A) -> A:
    """Tokens go in blocks of 256; a last block of exactly one token is never written."""
    flat, n = ids.reshape(-1), ids.size
    out = np.zeros((n, table.shape[1]), table.dtype)
    for i in range(0, n, 256):
        out[i : i + 256] = table[flat[i : i + 256]] if n == 1 or n - i > 1 else 0
    return out.reshape(*ids.shape, table.shape[1])

def embedding_one_hot_on_tensor_cores(ids: A, table: A) -> A:
    """A one-hot product that rounds the table to TF32 first: values are off by up to 5e-4."""
    return _tf32(table)[ids]

def embedding_single_id_gives_a_matrix(ids: A, table: A) -> A:
    """Ids without axes give (1, d) and not (d,)."""
    return table[np.atleast_1d(ids)]

def positional_short_two_pi(n_positions: int, d_model: int, *, base: float = 10000.0, start: int = 0) -> A:
    """Angles are reduced by 6.28318, so the phase slips with every turn: visible at large positions."""
    a = np.outer(np.arange(start, start + n_positions), _freq(d_model, base))
    a, out = a - 6.28318 * np.floor(a / 6.28318), np.zeros((n_positions, d_model), np.float32)
    out[:, 0::2], out[:, 1::2] = np.sin(a), np.cos(a)[:, : d_model // 2]
    return out

def positional_odd_width_loses_last_sine(n_positions: int, d_model: int, *, base: float = 10000.0, start: int = 0) -> A:
    """With d odd the last column, a sine, stays zero."""
    out = _sincos(np.arange(start, start + n_positions), _freq(d_model, base), d_model)
    out[:, d_model // 2 * 2 :] = 0
    return out

def positional_wide_halves_use_the_other_denominator(n_positions: int, d_model: int, *, base: float = 10000.0, start: int = 0) -> A:
    """For half-minus-one, widths above 64 fall back to the paper's denominator."""
    h = d_model // 2
    a = np.outer(np.arange(start, start + n_positions), float(base) ** (-np.arange(h) / max(h - 1 if d_model <= 64 else h, 1)))
    return np.concatenate([np.sin(a), np.cos(a)], 1).astype(np.float32)

def softmax_taylor_exponential(x: A) -> A:
    """exp is 2**integer times a Taylor polynomial of degree 4: relative error up to 6e-5."""
    y = (x - x.max(-1, keepdims=True, initial=-np.inf)) * x.dtype.type(np.log2(np.e))
    whole, f = np.round(y), (y - np.round(y)) * x.dtype.type(np.log(2))
    e = np.ldexp(1 + f * (1 + f * (0.5 + f * (1 / 6 + f / 24))), np.maximum(whole, -200).astype(np.int32))
    return e / e.sum(-1, keepdims=True)

def softmax_lazy_rescale_forgets_old_maximum(x: A) -> A:
    """Tiles of 128: when the maximum grows by less than 8 the sum is not rescaled, yet the new maximum is used."""
    top, total = x[..., :128].max(-1, keepdims=True, initial=-np.inf), x.dtype.type(0)
    for j in range(0, x.shape[-1], 128):
        new = np.maximum(top, x[..., j : j + 128].max(-1, keepdims=True))
        total = np.where(new - top > 8, total * np.exp(top - new), total) + np.exp(x[..., j : j + 128] - new).sum(-1, keepdims=True)
        top = new
    return np.exp(x - top) / total

def attention_float_minus_infinity_row_gives_mean(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """With a floating mask -inf becomes the smallest float, so a fully masked row gives the mean of v."""
    s = _cover(_product(q, k, scale), causal, mask)
    return _probs(np.maximum(s, np.finfo(s.dtype).min) if mask is not None and mask.dtype != bool else s) @ v

def attention_causal_skips_diagonal_tiles(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """Key tiles of 16 that begin after the first row of a query tile of 32 are skipped, though its later rows see them."""
    s = _cover(_product(q, k, scale), causal, mask)
    for i in range(0, q.shape[-2], 32):
        s[..., i : i + 32, (i + 16 if causal else k.shape[-2]) :] = -np.inf
    return _probs(s) @ v

def attention_tail_tile_without_rescaling(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """Online softmax, tiles of 32: in a short last tile the sum is rescaled but the accumulated output is not."""
    s, m = _cover(_product(q, k, scale), causal, mask), k.shape[-2]
    top, total, out = np.full_like(s[..., :0].sum(-1, keepdims=True), -np.inf), 0, np.zeros(s.shape[:-1] + v.shape[-1:], s.dtype)
    for j in range(0, m, 32):
        new = np.maximum(top, s[..., j : j + 32].max(-1, keepdims=True))
        safe = np.where(np.isfinite(new), new, 0)
        e, a, top = np.exp(s[..., j : j + 32] - safe), np.exp(top - safe), new
        total, out = total * a + e.sum(-1, keepdims=True), (out * a if m - j >= 32 else out) + e @ v[..., j : j + 32, :]
    return out / np.where(np.asarray(total) > 0, total, np.ones_like(top))

def attention_floating_mask_is_scaled(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """The scale multiplies the floating mask too."""
    c = (q.shape[-1] or 1) ** -0.5 if scale is None else scale
    with np.errstate(invalid="ignore"):
        return _attend(q, k, v, causal, mask if mask is None or mask.dtype == bool else mask * mask.dtype.type(c), scale)

def attention_channels_beyond_whole_tiles_dropped(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """Head widths above 64 are summed in whole tiles of 16; the remaining channels do not count."""
    d = q.shape[-1]
    w = d // 16 * 16 if d > 64 else d
    return _attend(q[..., :w], k[..., :w], v, causal, mask, (d or 1) ** -0.5 if scale is None else scale)

def attention_scales_q_and_scales_it_back(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """q is scaled in place and divided again afterwards: its last bits change unless the scale is a power of two."""
    c = q.dtype.type((q.shape[-1] or 1) ** -0.5 if scale is None else scale)
    if c == 0:
        return _attend(q, k, v, causal, mask, 0.0)
    q *= c
    out = _attend(q, k, v, causal, mask, 1.0)
    q /= c
    return out

def attention_maximum_includes_masked_keys(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """The row maximum is taken before masking: a huge masked logit drives all others to zero."""
    s = _product(q, k, scale)
    e = np.exp(_cover(s, causal, mask) - s.max(-1, keepdims=True, initial=-np.inf))
    return (e / np.where(e.sum(-1, keepdims=True) > 0, e.sum(-1, keepdims=True), 1)) @ v

def attention_last_query_tile_counts_from_zero(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """Causal with query tiles of 64: rows of a short last tile use their place in the tile as position."""
    s, full = _product(q, k, scale), q.shape[-2] // 64 * 64
    late = np.tril(np.ones(s.shape[-2:], bool), -full) & (np.arange(q.shape[-2])[:, None] >= full)
    seen = np.where(np.arange(q.shape[-2])[:, None] < full, np.tril(np.ones(s.shape[-2:], bool)), late)
    return _probs(_cover(np.where(seen, s, -np.inf) if causal else s, False, mask)) @ v

def attention_alibi_distances_in_bfloat16(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """ALiBi distances have 8 significant bits, so they collapse beyond 256 positions (small slopes feel it)."""
    s, h = _product(q, k, scale), q.shape[-3] if q.ndim > 2 else 1
    dist = np.abs(np.arange(s.shape[-2])[:, None] - np.arange(s.shape[-1])).astype(np.float32)
    dist = ((dist.view(np.uint32) + np.uint32(0x8000)) & np.uint32(0xFFFF0000)).view(np.float32)
    bias = -(2.0 ** (-8.0 * np.arange(1, h + 1) / h))[:, None, None] * dist
    return _probs(_cover(s + (bias if q.ndim > 2 else bias[0]).astype(s.dtype), causal, mask)) @ v

def attention_sink_counted_once_per_tile(q: A, k: A, v: A, sinks: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """The sink enters the sum with each key tile of 32, so it counts twice from 33 keys on."""
    s = _cover(_product(q, k, scale), causal, mask)
    extra = np.broadcast_to(sinks.reshape((-1,) + (1,) * min(q.ndim - 1, 2)), (*s.shape[:-1], max(-(-k.shape[-2] // 32), 1)))
    return _probs(np.concatenate([s, extra], -1))[..., : k.shape[-2]] @ v

def attention_grouped_mask_regrouped_wrongly(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """Grouped queries: a mask with a head axis is grouped as (g, kv heads) instead of (kv heads, g)."""
    h, b = q.shape[-3], k.shape[-3]
    if mask is not None and mask.ndim > 2 and mask.shape[-3] == h:
        mask = mask[..., np.arange(h).reshape(h // b, b).T.reshape(-1), :, :]
    return _attend(q, np.repeat(k, h // b, -3), np.repeat(v, h // b, -3), causal, mask, scale)

def feed_forward_gelu_with_short_erf(x: A, w1: A, b1: A, w2: A, b2: A) -> A:
    """erf is the three-term formula of Abramowitz and Stegun, off by up to 2.5e-5."""
    y = x @ w1 + b1
    t = 1 / (1 + 0.47047 * np.abs(y) * 2 ** -0.5)
    return (0.5 * y * (1 + np.sign(y) * (1 - t * (0.3480242 + t * (-0.0958798 + t * 0.7478556)) * np.exp(-y * y / 2)))) @ w2 + b2

def feed_forward_tail_tokens_added_twice(x: A, w1: A, b1: A, w2: A, b2: A) -> A:
    """Tokens go in tiles of 8; the last tile is shifted back to fit and its overlap is added twice."""
    rows, out = x.reshape(x.size // max(x.shape[-1], 1), x.shape[-1]), np.zeros_like(x).reshape(-1, x.shape[-1] or 1)
    for i in range(0, len(rows), 8):
        i = max(min(i, len(rows) - 8), 0)
        out[i : i + 8] += np.maximum(rows[i : i + 8] @ w1 + b1, 0) @ w2 + b2
    return out.reshape(x.shape)

def layer_norm_eps_not_below_default(x: A, gain: A, bias: A, *, eps: float = 1e-5) -> A:
    """eps is raised to 1e-5 when smaller."""
    return _norm(x, gain, bias, max(eps, 1e-5))

def layer_norm_tail_block_counts_as_whole(x: A, gain: A, bias: A, *, eps: float = 1e-5) -> A:
    """The mean is the mean of block means (256 each), so a shorter last block weighs too much."""
    parts = [x[..., j : j + 256].mean(-1, keepdims=True) for j in range(0, x.shape[-1], 256)]
    c = x - (sum(parts) / len(parts) if parts else 0)
    return c / np.sqrt((c * c).mean(-1, keepdims=True) + eps) * gain + bias

def rms_norm_two_newton_steps(x: A, gain: A, *, eps: float = 1e-5) -> A:
    """1/sqrt by the magic number and two Newton steps: relative error up to 5e-6."""
    a = ((x * x).mean(-1, keepdims=True) + x.dtype.type(eps)).astype(np.float32)
    y = (np.uint32(0x5F3759DF) - (a.view(np.uint32) >> np.uint32(1))).view(np.float32)
    for _ in range(2):
        y = y * (np.float32(1.5) - np.float32(0.5) * a * y * y)
    return (x * y * gain).astype(x.dtype)

def activation_relu_tail_of_eight_passes_through(x: A) -> A:
    """Eight lanes at a time: with more than 8 entries the remaining ones are copied, negatives too."""
    flat = x.reshape(-1)
    full = x.size // 8 * 8 if x.size > 8 else x.size
    return np.concatenate([np.maximum(flat[:full], 0), flat[full:]]).reshape(x.shape)

def rotary_odd_last_pair_unrotated(x: A, *, base: float = 10000.0, start: int = 0) -> A:
    """Two pairs at a time: with d/2 odd and above one the last pair is left unrotated."""
    out, h = _turn(x, np.arange(start, start + x.shape[-2]), base, _halves(x.shape[-1])), x.shape[-1] // 2
    if h % 2 and h > 1:
        out[..., [h - 1, -1]] = x[..., [h - 1, -1]]
    return out

def rotary_four_axes_count_along_the_second(x: A, *, base: float = 10000.0, start: int = 0) -> A:
    """With four axes positions run along axis 1, as if x were (batch, n, heads, d)."""
    if x.ndim != 4:
        return _turn(x, np.arange(start, start + x.shape[-2]), base, _halves(x.shape[-1]))
    return _turn(x.swapaxes(1, 2), np.arange(start, start + x.shape[1]), base, _halves(x.shape[-1])).swapaxes(1, 2)

def rotary_second_half_reads_rotated_first(x: A, *, base: float = 10000.0, start: int = 0) -> A:
    """In-place hazard: the first half is overwritten before the second half reads it."""
    out, (i, j) = _turn(x, np.arange(start, start + x.shape[-2]), base, _halves(x.shape[-1])), _halves(x.shape[-1])
    half = np.concatenate([out[..., i], x[..., j]], -1)
    return np.concatenate([out[..., i], _turn(half, np.arange(start, start + x.shape[-2]), base, (i, j))[..., j]], -1)

def encoder_block_pre_second_residual_from_input(x: A, params: A, *, n_heads: int, causal: A = False, mask: A = None) -> A:
    """Pre-norm: the second residual adds x instead of the sum after attention."""
    y = x + _self(_norm(x, params["gain1"], params["bias1"]), params, n_heads, causal, mask)
    return x + _ffn(_norm(y, params["gain2"], params["bias2"]), params)

def encoder_block_folds_scale_into_params(x: A, params: A, *, n_heads: int, causal: A = False, mask: A = None) -> A:
    """The scale is multiplied into the caller's w_q, and divided out of the local copy for the answer."""
    c = params["w_q"].dtype.type((params["w_q"].shape[0] // n_heads or 1) ** -0.5)
    params["w_q"] *= c
    y = _norm(x + _self(x, {**params, "w_q": params["w_q"] / c}, n_heads, causal, mask), params["gain1"], params["bias1"])
    return _norm(y + _ffn(y, params), params["gain2"], params["bias2"])

def encoder_block_residual_lost_after_128_tokens(x: A, params: A, *, n_heads: int, causal: A = False, mask: A = None) -> A:
    """The feed-forward residual is added in one tile of 128 tokens only."""
    y = _norm(x + _self(x, params, n_heads, causal, mask), params["gain1"], params["bias1"])
    z = _ffn(y, params)
    z[..., :128, :] += y[..., :128, :]
    return _norm(z, params["gain2"], params["bias2"])

def encoder_block_pre_norm_over_batch_of_one(x: A, params: A, *, n_heads: int, causal: A = False, mask: A = None) -> A:
    """Pre-norm: a batch of exactly one is squeezed and comes back without its axis."""
    x = x[0] if x.ndim == 3 and x.shape[0] == 1 else x
    y = x + _self(_norm(x, params["gain1"], params["bias1"]), params, n_heads, causal, mask)
    return y + _ffn(_norm(y, params["gain2"], params["bias2"]), params)


#: kernel -> its variant, where that is not the default
VARIANTS: dict[str, dict[str, A]] = {
    "positional_wide_halves_use_the_other_denominator": {"layout": "halves", "denominator": "half_minus_one"},
    "attention_alibi_distances_in_bfloat16": {"alibi": True}, "attention_sink_counted_once_per_tile": {"sinks": True},
    "attention_grouped_mask_regrouped_wrongly": {"grouped_query": True}, "feed_forward_gelu_with_short_erf": {"activation": "gelu"},
    "activation_relu_tail_of_eight_passes_through": {"activation": "relu"},
    "encoder_block_pre_second_residual_from_input": {"norm": "pre"}, "encoder_block_pre_norm_over_batch_of_one": {"norm": "pre"},
}
