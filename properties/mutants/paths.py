"""Wrong kernels that show where calls are compared: weights, decoding, paths, neighbours, ids out of range. One fault each."""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np

from kernelproof.properties.mutants import parts
from kernelproof.properties.mutants.parts import Wrong, attention, feed_forward, layer_norm, multi_head, rms_norm, rotary, softmax

RIGHT = attention()
WEIGHTS, DECODING, PATHS = ("weights_of_one_hot_values",), ("decoding_agrees",), ("paths_agree",)
POISON, HEADS, RANGE = ("poison_stays",), ("heads_independent",), ("ids_out_of_range",)

# -- weights --------------------------------------------------------------------------------------------------------------------------


def _short_total(s: Any, allow: Any) -> Any:
    """The divisor of a row cut to sixteen bits."""
    w = parts.weights(s, allow)
    total = np.where(allow, np.exp(np.where(allow, s - _top(s, allow), 0)), 0).sum(-1, keepdims=True)
    cut = total.astype(np.float32).view(np.int32) & ~np.int32(255)
    short = cut.view(np.float32).astype(s.dtype)
    return w * np.where(short > 0, total / np.where(short > 0, short, 1), 1)


def _top(s: Any, allow: Any) -> Any:
    top = np.where(allow, s, -np.inf).max(-1, keepdims=True, initial=-np.inf)
    return np.where(np.isneginf(top), 0, top)


def _trace_of_hidden(s: Any, allow: Any) -> Any:
    """What is hidden keeps a weight of 10⁻³⁰."""
    return parts.weights(s, allow) + np.where(allow, 0, 1e-30).astype(s.dtype)


def _below_zero(s: Any, allow: Any) -> Any:
    """An exponential that ends below zero: weights that should be next to nothing are −10⁻³⁰."""
    w = parts.weights(s, allow)
    return np.where(allow & (w < 1e-12), s.dtype.type(-1e-30), w)


def _maximum_from_zero(s: Any, allow: Any) -> Any:
    """The search for the maximum starts at zero: scores far below it all underflow."""
    top = np.where(allow, s, 0).max(-1, keepdims=True, initial=0)
    e = np.where(allow, np.exp(np.where(allow, s - top, 0)), 0)
    total = e.sum(-1, keepdims=True)
    return e / np.where(total == 0, 1, total)


# -- decoding -------------------------------------------------------------------------------------------------------------------------


def _newest_lost(q: Any, k: Any, v: Any, *, causal: bool = False, mask: Any = None, scale: Any = None) -> Any:
    """The path for one query reads the cache before the newest key is in it."""
    seen = k.shape[-2] - (q.shape[-2] == 1 and k.shape[-2] > 1)
    return RIGHT(q, k[..., :seen, :], v[..., :seen, :], causal=causal, mask=None if mask is None else mask[..., :seen], scale=scale)


def _after_softmax(s: Any, allow: Any) -> Any:
    return parts.weights(s, np.True_) * allow


def _length_in_scale(q: Any, k: Any, scale: Any) -> Any:
    """Long sequences get another scale."""
    return parts.scores(q, k, scale * (1 if q.shape[-2] < 4 else 1 + np.log2(q.shape[-2]) / 64))


# -- paths ----------------------------------------------------------------------------------------------------------------------------


def _all_true(q: Any, k: Any, v: Any, *, causal: bool = False, mask: Any = None, scale: Any = None) -> Any:
    """A mask that is all True is dropped, and causality with it."""
    if mask is not None and mask.dtype == bool and mask.all():
        return RIGHT(q, k, v, scale=scale)
    return RIGHT(q, k, v, causal=causal, mask=mask, scale=scale)


def _falsy_scale(q: Any, k: Any, v: Any, *, causal: bool = False, mask: Any = None, scale: Any = 1.0) -> Any:
    """Left out, the scale is one."""
    return RIGHT(q, k, v, causal=causal, mask=mask, scale=scale)


def _half_for_batches(w: Any, v: Any) -> Any:
    """Batches of three and more are split, and the parts are added in float16."""
    if w.ndim < 3 or w.shape[0] < 3:
        return w @ v
    half = w.shape[-1] // 2
    return ((w[..., :half] @ v[..., :half, :]).astype(np.float16) + (w[..., half:] @ v[..., half:, :]).astype(np.float16)).astype(v.dtype)


def _by_rank(x: Any) -> Any:
    """From three axes on, the exponentials are kept in float16."""
    e = np.exp(x - x.max(-1, keepdims=True))
    e = e.astype(np.float16).astype(x.dtype) if x.ndim > 2 else e
    return e / e.sum(-1, keepdims=True)


def _another_eps(x: Any, gain: Any, bias: Any, *, eps: float = 1e-3) -> Any:
    return layer_norm()(x, gain, bias, eps=eps)


def _gain_where_one(x: Any, gain: Any, *, eps: float = 1e-5) -> Any:
    """A gain of ones is taken for none, and the root with it."""
    return rms_norm(root=(lambda s, e: np.sqrt(s)) if (gain == 1).all() else (lambda s, e: np.sqrt(s + e)))(x, gain, eps=eps)


def _one_token(x: Any, w1: Any, b1: Any, w2: Any, b2: Any) -> Any:
    """The path for a vector forgets the second bias."""
    return feed_forward()(x, w1, b1, w2, b2 if x.ndim > 1 and x.shape[0] > 1 else np.zeros_like(b2))


def _even_starts(n: int, width: int, base: float, start: int) -> Any:
    return parts.angles(n, width, base, start - start % 2)


# -- neighbours -----------------------------------------------------------------------------------------------------------------------


def _flushed(x: Any) -> Any:
    """A buffer of the neighbours is added with the factor zero."""
    return x + x.dtype.type(0) * x[::-1] if x.ndim > 1 else x


def _norm_of_flushed(x: Any, gain: Any, bias: Any, *, eps: float = 1e-5) -> Any:
    return layer_norm()(_flushed(x), gain, bias, eps=eps)


def _shifted_by_all(x: Any) -> Any:
    """The largest entry of all rows is taken off before that of the row is."""
    y = x - x.max(initial=-np.inf)
    e = np.exp(y - y.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _others_in_tensors(q: Any, k: Any, v: Any) -> tuple[Any, Any, Any]:
    return q, k, _flushed(v) if v.ndim > 2 else v


def _keys_of_next_head(q: Any, k: Any, v: Any) -> tuple[Any, Any, Any]:
    return q, np.roll(k, 1, axis=-3), v


def _one_maximum(s: Any, allow: Any) -> Any:
    """One shift for all heads; what is far below it is lost."""
    top = np.where(allow, s, -np.inf).max((-1, -3), keepdims=True, initial=-np.inf)
    e = np.where(allow, np.exp(np.where(allow, s - np.where(np.isneginf(top), 0, top), 0)), 0)
    e = np.where(e < 1e-4, 0, e)
    total = e.sum(-1, keepdims=True)
    return e / np.where(total == 0, 1, total)


# -- ids out of range -----------------------------------------------------------------------------------------------------------------

_CALLS = count()


def _inside(ids: Any, table: Any) -> Any:
    return (ids >= 0) & (ids < len(table))


def _whatever_was_there(ids: Any, table: Any) -> Any:
    """Out of range is read what lies there, another thing each time."""
    fine = _inside(ids, table)
    found = table[np.where(fine, ids, 0)]
    return np.where(fine[..., None], found, table.dtype.type(next(_CALLS)))


def _all_lost(ids: Any, table: Any) -> Any:
    """One bad id, and nothing is written."""
    return table[ids] if _inside(ids, table).all() else np.zeros((*ids.shape, table.shape[1]), table.dtype)


def _clamped_in_place(ids: Any, table: Any) -> Any:
    np.clip(ids, 0, len(table) - 1, out=ids)
    return table[ids]


WRONG = (
    Wrong("divisor cut to sixteen bits", "attention", "own", attention(weights=_short_total), WEIGHTS),
    Wrong("hidden keys keep a trace", "attention", "own", attention(weights=_trace_of_hidden), WEIGHTS),
    Wrong("smallest weights below zero", "attention", "own", attention(weights=_below_zero), WEIGHTS),
    Wrong("maximum from zero on", "attention", "own", attention(weights=_maximum_from_zero), WEIGHTS),
    Wrong("one query loses the newest key", "attention", "own", _newest_lost, DECODING),
    Wrong("scale grows with the length", "attention", "own", attention(scores=_length_in_scale), DECODING),
    Wrong("causality after the softmax", "multi_head_attention", "B10", multi_head(attend=attention(weights=_after_softmax)), DECODING),
    Wrong("scale grows with the length", "multi_head_attention", "own", multi_head(attend=attention(scores=_length_in_scale)), DECODING),
    Wrong("a mask that is all True drops causality", "attention", "own", _all_true, PATHS),
    Wrong("scale left out is one", "attention", "B03", _falsy_scale, PATHS),
    Wrong("larger batches added in float16", "attention", "B29", attention(mix=_half_for_batches), PATHS),
    Wrong("float16 from three axes on", "softmax", "own", softmax(_by_rank), PATHS),
    Wrong("another eps where it is left out", "layer_norm", "own", _another_eps, PATHS),
    Wrong("eps forgotten with a gain of ones", "rms_norm", "own", _gain_where_one, PATHS),
    Wrong("one token without the second bias", "feed_forward", "B28", _one_token, PATHS),
    Wrong("starts at even positions only", "rotary", "B47", rotary(angles=_even_starts), PATHS),
    Wrong("neighbours added times zero", "layer_norm", "own", _norm_of_flushed, POISON),
    Wrong("values of neighbours added times zero", "attention", "own", attention(tensors=_others_in_tensors), POISON),
    Wrong("maximum of all rows taken off first", "softmax", "own", softmax(_shifted_by_all), POISON),
    Wrong("keys of the next head", "multi_head_attention", "own", multi_head(per_head=_keys_of_next_head), HEADS),
    Wrong("one maximum for all heads", "multi_head_attention", "own", multi_head(attend=attention(weights=_one_maximum)), HEADS),
    Wrong("out of range is what was there", "embedding", "B38", _whatever_was_there, RANGE),
    Wrong("one bad id loses all rows", "embedding", "own", _all_lost, RANGE),
    Wrong("ids clamped in place", "embedding", "own", _clamped_in_place, RANGE),
)
