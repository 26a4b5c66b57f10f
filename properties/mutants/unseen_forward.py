"""Forward kernels with exactly one fault each, over every phase of the contract, by someone who had not seen the suite.

They were written from the contract alone, without sight of the suite, and stand as they were written: the docstring of each says what
is wrong with it. Guarantees: none is right by the contract (the author compared each with a reference of his own). Cannot see: which
property convicts one; ``mutants.unseen`` records that after the fact.
"""

from __future__ import annotations

from typing import Any as A

import numpy as np
from scipy.special import erfc

from kernelproof.properties.mutants.unseen_parts import (
    _act,
    _attend,
    _cover,
    _ffn,
    _freq,
    _halves,
    _join,
    _mha,
    _norm,
    _probs,
    _product,
    _self,
    _sincos,
    _split,
    _tf32,
    _turn,
)

_STORE: dict[A, A] = {}

def embedding_ids_cast_to_int16(ids: A, table: A) -> A:
    """Ids are kept in 16 bits, so those of 32768 and above read another row."""
    return table[ids.astype(np.int16)]

def embedding_flat_index_in_the_type_of_ids(ids: A, table: A) -> A:
    """The flat index id*d is computed in the integer type of the ids and overflows for int8 and int16."""
    d = table.shape[1]
    return table.reshape(-1)[ids[..., None] * d + np.arange(d, dtype=ids.dtype)]

def embedding_rows_remembered_by_ids(ids: A, table: A) -> A:
    """Rows are remembered by the ids and the table's shape, so a changed table gives the old rows."""
    return _STORE.setdefault(("emb", ids.tobytes(), ids.shape, table.shape, table.dtype), table[ids]).copy()

def embedding_table_flattened_in_memory_order(ids: A, table: A) -> A:
    """ravel(order='K') follows memory, so a transposed table is read by columns."""
    return table.ravel(order="K").reshape(table.shape)[ids]

def embedding_flushes_denormals(ids: A, table: A) -> A:
    """Subnormal table entries come back as zero."""
    rows = table[ids]
    return np.where(np.abs(rows) < np.finfo(rows.dtype).tiny, 0, rows)

def positional_log_base_with_five_digits(n_positions: int, d_model: int, *, base: float = 10000.0, start: int = 0) -> A:
    """ln(10000) is written 9.2103, so the frequencies are off by up to 4e-5."""
    log = 9.2103 if base == 10000.0 else np.log(base)
    return _sincos(np.arange(start, start + n_positions), np.exp(-log * 2 * np.arange((d_model + 1) // 2) / max(d_model, 1)), d_model)

def positional_frequencies_remembered_without_base(n_positions: int, d_model: int, *, base: float = 10000.0, start: int = 0) -> A:
    """Frequencies are remembered by d only: a second call with another base gets the first one's."""
    return _sincos(np.arange(start, start + n_positions), _STORE.setdefault(("pos", d_model), _freq(d_model, base)), d_model)

def positional_start_rounded_to_the_tile(n_positions: int, d_model: int, *, base: float = 10000.0, start: int = 0) -> A:
    """With more than 128 rows, start is rounded down to a multiple of 8 for alignment."""
    start = start // 8 * 8 if n_positions > 128 else start
    return _sincos(np.arange(start, start + n_positions), _freq(d_model, base), d_model)

def softmax_epsilon_in_the_denominator(x: A) -> A:
    """1e-5 is added to the sum, so every row sums to a little less than one."""
    e = np.exp(x - x.max(-1, keepdims=True, initial=-np.inf))
    return e / (e.sum(-1, keepdims=True) + x.dtype.type(1e-5))

def softmax_exponents_clipped_at_minus_20(x: A) -> A:
    """Entries more than 20 below the maximum all get exp(-20)."""
    e = np.exp(np.maximum(x - x.max(-1, keepdims=True, initial=-np.inf), -20))
    return e / e.sum(-1, keepdims=True)

def softmax_one_maximum_for_the_whole_batch(x: A) -> A:
    """The maximum is of the whole array: rows that lie 110 below another underflow to 0/0."""
    e = np.exp(x - x.max(initial=-np.inf))
    return e / e.sum(-1, keepdims=True)

def softmax_old_torch_rule_for_the_axis(x: A) -> A:
    """The axis follows PyTorch's deprecated rule: axis 0 for 1 and 3 axes, else axis 1."""
    axis = 0 if x.ndim in (1, 3) else 1
    e = np.exp(x - x.max(axis, keepdims=True, initial=-np.inf))
    return e / e.sum(axis, keepdims=True)

def softmax_subtracts_in_place(x: A) -> A:
    """The maximum is subtracted in the caller's array."""
    x -= x.max(-1, keepdims=True, initial=-np.inf)
    return np.exp(x) / np.exp(x).sum(-1, keepdims=True)

def softmax_sum_forgets_tail_of_four(x: A) -> A:
    """For rows above 64 the sum runs over whole groups of four; the tail is left out of it."""
    e = np.exp(x - x.max(-1, keepdims=True, initial=-np.inf))
    return e / e[..., : x.shape[-1] // 4 * 4 if x.shape[-1] > 64 else None].sum(-1, keepdims=True)

def attention_mask_switches_causal_off(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """When a mask is given, causal is ignored."""
    return _attend(q, k, v, causal and mask is None, mask, scale)

def attention_bottom_right_clamped(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """The offset m - n is clamped at 0, wrong when there are more queries than keys."""
    return _probs(_cover(_product(q, k, scale), causal, mask, max(k.shape[-2] - q.shape[-2], 0))) @ v

def attention_zero_scale_means_default(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """`scale or default`: an explicit scale of 0 is replaced by 1/sqrt(d)."""
    return _attend(q, k, v, causal, mask, scale or None)

def attention_three_axis_mask_taken_as_batch(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """A mask (H, n, m) for q (B, H, n, d) is read as (B, 1, n, m)."""
    return _attend(q, k, v, causal, mask[:, None] if mask is not None and mask.ndim == 3 and q.ndim == 4 else mask, scale)

def attention_log2e_not_applied_to_mask(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """exp2 form: log2(e) is folded into the scale but the floating mask is added unscaled."""
    c = ((q.shape[-1] or 1) ** -0.5 if scale is None else scale) * 1.4426950408889634
    return _probs(_cover(_product(q, k, c), causal, mask) * q.dtype.type(0.6931471805599453)) @ v

def attention_log2e_with_five_digits(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """log2(e) is written 1.4427: logits are off by 3e-6 of themselves, seen only when they are large."""
    s = _cover(_product(q, k, scale), causal, mask) * q.dtype.type(1.4427)
    return _probs(s * q.dtype.type(0.6931471805599453)) @ v

def attention_single_key_ignores_mask(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """With one key the output is v at once, even where that key is masked."""
    return np.repeat(v, q.shape[-2], -2) if k.shape[-2] == 1 else _attend(q, k, v, causal, mask, scale)

def attention_weights_kept_in_half(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """The weights are rounded to float16 before they meet v."""
    return _probs(_cover(_product(q, k, scale), causal, mask)).astype(np.float16).astype(v.dtype) @ v

def attention_window_looks_both_ways(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """Without causal the window of 4 also reaches 3 keys ahead."""
    s = _cover(_product(q, k, scale), causal, mask)
    return _probs(np.where(np.abs(np.arange(s.shape[-2])[:, None] - np.arange(s.shape[-1])) < 4, s, -np.inf)) @ v

def attention_softcap_before_scale(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """The cap of 20 is applied to the raw products and the scale afterwards."""
    s = 20 * np.tanh(_product(q, k, 1.0) / 20) * q.dtype.type((q.shape[-1] or 1) ** -0.5 if scale is None else scale)
    return _probs(_cover(s, causal, mask)) @ v

def attention_softcap_with_rational_tanh(q: A, k: A, v: A, *, causal: A = False, mask: A = None, scale: A = None) -> A:
    """tanh is x(27+x^2)/(27+9x^2): fine for logits far below the cap of 30, wrong near it and unbounded above."""
    y = _product(q, k, scale) / 30
    return _probs(_cover(30 * y * (27 + y * y) / (27 + 9 * y * y), causal, mask)) @ v

def multi_head_attention_layout_guessed(x: A, w_q: A, w_k: A, w_v: A, w_o: A, *, n_heads: int, causal: A = False, mask: A = None) -> A:
    """The merge of heads is not transposed when the number of heads equals the number of tokens."""
    o = _attend(_split(x @ w_q, n_heads), _split(x @ w_k, n_heads), _split(x @ w_v, n_heads), causal, mask)
    return (o.reshape(x.shape) if o.shape[-3] == x.shape[-2] else _join(o)) @ w_o

def multi_head_attention_scale_shifted(x: A, w_q: A, w_k: A, w_v: A, w_o: A, *, n_heads: int, causal: A = False, mask: A = None) -> A:
    """The scale is the nearest power of two, right only for head widths 1, 4, 16, 64."""
    q, k, v = (_split(x @ w, n_heads) for w in (w_q, w_k, w_v))
    return _join(_attend(q, k, v, causal, mask, 2.0 ** -round(np.log2(max(q.shape[-1], 1)) / 2))) @ w_o

def multi_head_attention_odd_head_dropped(x: A, w_q: A, w_k: A, w_v: A, w_o: A, *, n_heads: int, causal: A = False, mask: A = None) -> A:
    """Heads go in pairs: with an odd number above one, the last one stays zero."""
    o = _attend(_split(x @ w_q, n_heads), _split(x @ w_k, n_heads), _split(x @ w_v, n_heads), causal, mask)
    o[..., n_heads // 2 * 2 or 1 :, :, :] = 0
    return _join(o) @ w_o

def multi_head_attention_weights_remembered(x: A, w_q: A, w_k: A, w_v: A, w_o: A, *, n_heads: int, causal: A = False, mask: A = None) -> A:
    """The concatenated weights are remembered by shape and type: the next call with other weights uses the old ones."""
    w = _STORE.setdefault(("mha", w_q.shape, w_q.dtype), np.stack([w_q, w_k, w_v]))
    return _mha(x, w[0], w[1], w[2], w_o, n_heads, causal, mask)

def feed_forward_bias_added_per_hidden_tile(x: A, w1: A, b1: A, w2: A, b2: A) -> A:
    """Hidden units go in tiles of 64 and b2 is added with each tile."""
    return sum((np.maximum(x @ w1[:, j : j + 64] + b1[j : j + 64], 0) @ w2[j : j + 64] + b2 for j in range(0, max(w1.shape[1], 1), 64)),
               np.zeros_like(x))

def feed_forward_relu_capped_at_six(x: A, w1: A, b1: A, w2: A, b2: A) -> A:
    """ReLU6 in place of ReLU: hidden values above 6 are cut."""
    return np.clip(x @ w1 + b1, 0, 6) @ w2 + b2

def feed_forward_tensor_cores_when_aligned(x: A, w1: A, b1: A, w2: A, b2: A) -> A:
    """When d and h are multiples of 16, products take TF32 inputs: relative error 5e-4."""
    r = _tf32 if w1.shape[0] % 16 == 0 == w1.shape[1] % 16 else (lambda a: a)
    return r(np.maximum(r(x) @ r(w1) + b1, 0)) @ r(w2) + b2

def feed_forward_gate_gets_the_bias_too(x: A, w1: A, b1: A, w_gate: A, w2: A, b2: A) -> A:
    """Gated: b1 is added to both branches."""
    return (_act(x @ w_gate + b1, "silu") * (x @ w1 + b1)) @ w2 + b2

def layer_norm_variance_by_difference_of_moments(x: A, gain: A, bias: A, *, eps: float = 1e-5) -> A:
    """var = E[x^2] - E[x]^2 in float32, clamped at 0: cancels when the mean is far from zero."""
    mean = x.mean(-1, keepdims=True)
    return (x - mean) / np.sqrt(np.maximum((x * x).mean(-1, keepdims=True) - mean * mean, 0) + eps) * gain + bias

def layer_norm_eps_added_to_deviation(x: A, gain: A, bias: A, *, eps: float = 1e-5) -> A:
    """eps is added to the standard deviation, not to the variance."""
    return (x - x.mean(-1, keepdims=True)) / (x.std(-1, keepdims=True) + eps) * gain + bias

def layer_norm_gain_along_tokens_when_square(x: A, gain: A, bias: A, *, eps: float = 1e-5) -> A:
    """When there are as many tokens as channels, gain is applied per token."""
    return _norm(x, gain[:, None] if x.ndim > 1 and x.shape[-2] == gain.size > 1 else gain, bias, eps)

def layer_norm_single_channel_passes_through(x: A, gain: A, bias: A, *, eps: float = 1e-5) -> A:
    """With d = 1 normalisation is skipped: x * gain + bias instead of bias."""
    return x * gain + bias if x.shape[-1] == 1 else _norm(x, gain, bias, eps)

def rms_norm_maximum_with_eps(x: A, gain: A, *, eps: float = 1e-5) -> A:
    """max(mean square, eps) instead of their sum."""
    return x / np.sqrt(np.maximum((x * x).mean(-1, keepdims=True), eps)) * gain

def rms_norm_divides_by_padded_width(x: A, gain: A, *, eps: float = 1e-5) -> A:
    """Widths above 128 are padded to a multiple of 8 and the mean divides by the padded width."""
    d = x.shape[-1]
    return x / np.sqrt((x * x).sum(-1, keepdims=True) / max(-(-d // 8) * 8 if d > 128 else d, 1) + eps) * gain

def rms_norm_returns_a_shared_buffer(x: A, gain: A, *, eps: float = 1e-5) -> A:
    """The result lies in a buffer kept per shape: the next call overwrites the answer already given."""
    out = _STORE.setdefault(("rms", x.shape, x.dtype), np.empty(x.shape, x.dtype))
    out[...] = x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * gain
    return out

def activation_gelu_identity_beyond_three(x: A) -> A:
    """gelu is taken as x above 3 and as 0 below -3."""
    return np.where(x > 3, x, np.where(x < -3, 0, _act(x, "gelu")))

def activation_gelu_short_root_two(x: A) -> A:
    """sqrt(2) is written 1.4142."""
    return 0.5 * x * erfc(-x / 1.4142)

def activation_gelu_tanh_short_coefficient(x: A) -> A:
    """The cubic coefficient is 0.0447 instead of 0.044715."""
    return x / (1 + np.exp(-2 * (2 / np.pi) ** 0.5 * (x + 0.0447 * x * x * x)))

def activation_silu_exp_over_one_plus_exp(x: A) -> A:
    """x e^x/(1+e^x): not a number for x above 89."""
    return x * (np.exp(x) / (1 + np.exp(x)))

def activation_silu_zero_below_minus_15(x: A) -> A:
    """silu returns 0 below -15."""
    return np.where(x < -15, 0, _act(x, "silu"))

def activation_relu_by_absolute_value(x: A) -> A:
    """(x + |x|)/2 overflows for x above half of the largest float."""
    return (x + np.abs(x)) / 2

def activation_relu_threshold_at_one_millionth(x: A) -> A:
    """Positive values up to 1e-6 become 0."""
    return np.where(x > 1e-6, x, 0)

def activation_relu_scalar_gets_an_axis(x: A) -> A:
    """An input without axes gives shape (1,)."""
    return np.maximum(np.atleast_1d(x), 0)

def activation_silu_in_memory_order(x: A) -> A:
    """The array is flattened in memory order and reshaped in C order: a transposed view comes out scrambled."""
    return _act(x.ravel(order="K"), "silu").reshape(x.shape)

def activation_gelu_through_float16_table(x: A) -> A:
    """The argument is rounded to float16 before a table look-up: relative error about 5e-4."""
    return x * (0.5 * erfc(-np.clip(x, -100, 100).astype(np.float16).astype(x.dtype) * 2 ** -0.5))

def rotary_single_token_uses_halves(x: A, *, base: float = 10000.0, start: int = 0) -> A:
    """Interleaved layout, but the path for a single token pairs channels by halves."""
    pairs = _halves(x.shape[-1]) if x.shape[-2] == 1 else (slice(0, None, 2), slice(1, None, 2))
    return _turn(x, np.arange(start, start + x.shape[-2]), base, pairs)

def rotary_table_remembered_without_start(x: A, *, base: float = 10000.0, start: int = 0) -> A:
    """Positions are remembered by length: a later call of equal length with another start rotates by the first one's."""
    return _turn(x, _STORE.setdefault(("rot", x.shape[-2]), np.arange(start, start + x.shape[-2])), base, _halves(x.shape[-1]))

def rotary_positions_wrap_at_4096(x: A, *, base: float = 10000.0, start: int = 0) -> A:
    """The table holds 4096 positions and is read modulo its length."""
    return _turn(x, np.arange(start, start + x.shape[-2]) % 4096, base, _halves(x.shape[-1]))

def encoder_block_second_norm_uses_first_bias(x: A, params: A, *, n_heads: int, causal: A = False, mask: A = None) -> A:
    """bias1 is used in both norms."""
    y = _norm(x + _self(x, params, n_heads, causal, mask), params["gain1"], params["bias1"])
    return _norm(y + _ffn(y, params), params["gain2"], params["bias1"])

def encoder_block_gelu_replaced_by_tanh_form(x: A, params: A, *, n_heads: int, causal: A = False, mask: A = None) -> A:
    """The exact gelu is asked for and the tanh form computed."""
    y = _norm(x + _self(x, params, n_heads, causal, mask), params["gain1"], params["bias1"])
    return _norm(y + _ffn(y, params, "gelu_tanh"), params["gain2"], params["bias2"])


#: kernel -> its variant, where that is not the default
VARIANTS: dict[str, dict[str, A]] = {"attention_bottom_right_clamped": {"causal_alignment": "bottom_right"},
    "attention_window_looks_both_ways": {"window": 4}, "attention_softcap_before_scale": {"softcap": 20.0},
    "attention_softcap_with_rational_tanh": {"softcap": 30.0}, "feed_forward_gate_gets_the_bias_too": {"gated": True},
    "activation_gelu_identity_beyond_three": {"activation": "gelu"}, "activation_gelu_short_root_two": {"activation": "gelu"},
    "activation_gelu_tanh_short_coefficient": {"activation": "gelu_tanh"}, "activation_silu_exp_over_one_plus_exp": {"activation": "silu"},
    "activation_silu_zero_below_minus_15": {"activation": "silu"}, "activation_relu_by_absolute_value": {"activation": "relu"},
    "activation_relu_threshold_at_one_millionth": {"activation": "relu"}, "activation_relu_scalar_gets_an_axis": {"activation": "relu"},
    "activation_silu_in_memory_order": {"activation": "silu"}, "activation_gelu_through_float16_table": {"activation": "gelu"},
    "rotary_single_token_uses_halves": {"layout": "interleaved"}, "encoder_block_gelu_replaced_by_tanh_form": {"activation": "gelu"},
}
