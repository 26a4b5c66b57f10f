"""Wrong attention kernels: scale, mask, softmax and shape, one fault each."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernelproof.properties.mutants import parts
from kernelproof.properties.mutants.parts import Wrong, attention

RIGHT = attention()


def _exponentials(s: Any, allow: Any) -> Any:
    return np.where(allow, np.exp(s), 0)


def _no_maximum(s: Any, allow: Any) -> Any:
    e = _exponentials(s, allow)
    total = e.sum(-1, keepdims=True)
    return e / np.where(total == 0, 1, total)


def sentinel(s: Any, allow: Any) -> Any:
    return parts.weights(s + np.where(allow, 0, -1e4).astype(s.dtype), np.True_)


def _lowest_twice(mask: Any, causal: bool, n: int, m: int) -> tuple[Any, Any]:
    """Causality and mask each add the lowest number: together they overflow to −inf."""
    lowest = np.finfo(np.float32).min
    by_mask, bias = parts.masks(mask, False, n, m)
    with np.errstate(over="ignore"):
        hidden = np.where(by_mask, 0, lowest) + np.where(parts.lower(n, m) | (not causal), 0, lowest).astype(np.float32)
        return np.True_, bias + hidden.astype(np.float32)


def _nan_row(s: Any, allow: Any) -> Any:
    w = parts.weights(s, allow)
    return np.where(allow.any(-1, keepdims=True), w, np.nan)


def _masked_afterwards(s: Any, allow: Any) -> Any:
    return parts.weights(s, np.True_) * allow


def _scores_times_mask(s: Any, allow: Any) -> Any:
    return parts.weights(s * allow, np.True_)


def inverted(mask: Any, causal: bool, n: int, m: int) -> tuple[Any, Any]:
    return parts.masks(~mask if mask is not None and mask.dtype == bool else mask, causal, n, m)


def _along_queries(mask: Any, causal: bool, n: int, m: int) -> tuple[Any, Any]:
    """A square mask, or one for keys, read along the queries."""
    if mask is not None and n == m:
        mask = np.swapaxes(mask, -1, -2) if mask.ndim > 1 else np.broadcast_to(mask[:, None], (n, m))
    return parts.masks(mask, causal, n, m)


def triangle(shift: int) -> parts.Part:
    def masks(mask: Any, causal: bool, n: int, m: int) -> tuple[Any, Any]:
        allow, bias = parts.masks(mask, False, n, m)
        return (allow & np.tri(n, m, shift, dtype=bool) if causal else allow), bias

    return masks


def _bottom_right(mask: Any, causal: bool, n: int, m: int) -> Any:
    return triangle(m - n)(mask, causal, n, m)


def causal_ignored(mask: Any, causal: bool, n: int, m: int) -> tuple[Any, Any]:
    return parts.masks(mask, False, n, m)


def _causal_or_mask(mask: Any, causal: bool, n: int, m: int) -> tuple[Any, Any]:
    return parts.masks(mask, causal and mask is None, n, m)


def _bias_dropped(mask: Any, causal: bool, n: int, m: int) -> tuple[Any, Any]:
    allow, bias = parts.masks(mask, causal, n, m)
    return allow, np.zeros_like(bias)


def _padded(q: Any, k: Any, v: Any) -> tuple[Any, Any, Any]:
    """Keys and values filled with zeros up to a whole block; nobody masks them."""
    more = -k.shape[-2] % 16
    return q, *(np.concatenate([x, np.zeros((*x.shape[:-2], more, x.shape[-1]), x.dtype)], -2) for x in (k, v))


def _padding_kept(q: Any, k: Any, v: Any, *, causal: bool = False, mask: Any = None, scale: Any = None) -> Any:
    more = -k.shape[-2] % 16
    if mask is not None:
        open_end = np.ones if mask.dtype == bool else np.zeros
        mask = np.concatenate([mask, open_end((*mask.shape[:-1], more), mask.dtype)], -1)
    _, k, v = _padded(q, k, v)
    return RIGHT(q, k, v, causal=causal, mask=mask, scale=scale)


def _implicit_zero(s: Any, allow: Any) -> Any:
    """One more logit of 0 in every row."""
    room = np.concatenate([s, np.zeros((*s.shape[:-1], 1), s.dtype)], -1)
    return parts.weights(room, np.concatenate([allow, np.ones((*s.shape[:-1], 1), bool)], -1))[..., :-1]


def _dropout(s: Any, allow: Any) -> Any:
    w = parts.weights(s, allow)
    return w * (np.random.default_rng().random(w.shape) > 0.1) / w.dtype.type(0.9)


def _mean(s: Any, allow: Any) -> Any:
    return allow / np.maximum(allow.sum(-1, keepdims=True), 1).astype(s.dtype)


def _first_of_batch(q: Any, k: Any, v: Any) -> tuple[Any, Any, Any]:
    return q, (np.broadcast_to(k[:1], k.shape) if k.ndim > 2 else k), v


def _flat_mask(q: Any, k: Any, v: Any, *, causal: bool = False, mask: Any = None, scale: Any = None) -> Any:
    """A mask with axes of length one read as if it had all."""
    if mask is not None and mask.ndim > 2:
        mask = np.resize(mask, (*q.shape[:-1], k.shape[-2]))
    return RIGHT(q, k, v, causal=causal, mask=mask, scale=scale)


def _fast_path(q: Any, k: Any, v: Any, *, causal: bool = False, mask: Any = None, scale: Any = None) -> Any:
    """Without batch axes another path is taken, which forgets the mask."""
    return RIGHT(q, k, v, causal=causal, mask=mask if q.ndim > 2 else None, scale=scale)


def _width_of_queries(q: Any, k: Any, v: Any, **options: Any) -> Any:
    return RIGHT(q, k, v, **options)[..., : q.shape[-1]]


def _tiles_without_rescaling(s: Any, allow: Any) -> Any:
    """Online softmax over blocks of eight keys that keeps the maximum of the first block for all."""
    shown = np.where(allow, s, -np.inf)
    top = shown[..., :8].max(-1, keepdims=True, initial=-np.inf)
    e = np.where(allow, np.exp(s - np.where(np.isneginf(top), 0, top)), 0)
    total = e.sum(-1, keepdims=True)
    return e / np.where(total == 0, 1, total)


def _empty_first_tile(s: Any, allow: Any) -> Any:
    """Online softmax over blocks of four keys: a block that allows nothing gives exp(−inf + inf)."""
    shown = np.where(allow, s, -np.inf)
    top = np.full((*s.shape[:-1], 1), -np.inf, s.dtype)
    e = np.zeros_like(s)
    for start in range(0, s.shape[-1], 4):
        block = (..., slice(start, start + 4))
        new = np.maximum(top, shown[block].max(-1, keepdims=True, initial=-np.inf))
        e = e * np.exp(top - new)
        e[block], top = np.exp(shown[block] - new), new
    total = e.sum(-1, keepdims=True)
    return e / np.where(total == 0, 1, total)


def _half_sums(w: Any, v: Any) -> Any:
    return (w.astype(np.float16) @ v.astype(np.float16)).astype(v.dtype)


def _scores_of(width: int) -> parts.Part:
    return lambda q, k, scale: parts.scores(q[..., :width], k[..., :width], scale)


def _scale_argument_ignored(q: Any, k: Any, scale: Any) -> Any:
    return parts.scores(q, k, parts.default_scale(q))


def _scaled_twice(q: Any, k: Any, scale: Any) -> Any:
    return parts.scores(q, k, scale * scale)


def _sixteen_keys(w: Any, v: Any) -> Any:
    return w[..., :16] @ v[..., :16, :]


def _causal_in_blocks(mask: Any, causal: bool, n: int, m: int) -> tuple[Any, Any]:
    """Causal only within blocks of sixteen queries: the mask starts anew."""
    allow, bias = parts.masks(mask, False, n, m)
    return (allow & (np.arange(m)[None, :] % 16 <= np.arange(n)[:, None] % 16) if causal else allow), bias


#: beside the definition, the properties that compare two calls
NO_LEAK = ("later_tokens_do_not_matter", "masked_tokens_do_not_matter", "matches_definition")

WRONG = (
    Wrong("no maximum subtracted", "attention", "B01", attention(weights=_no_maximum), ("finite", "key_shift")),
    Wrong("unscaled", "attention", "B03", attention(default=lambda q: 1.0)),
    Wrong("scale of width four", "attention", "B04", attention(default=lambda q: 0.5)),
    Wrong(
        "scale of the heads' width",
        "attention",
        "B02",
        attention(default=lambda q: parts.default_scale(q) / max(1, q.ndim - 1) ** 0.5),
    ),
    Wrong("scale argument ignored", "attention", "own", attention(scores=_scale_argument_ignored)),
    Wrong("scaled twice", "attention", "own", attention(scores=_scaled_twice)),
    Wrong(
        "softmax over the queries",
        "attention",
        "B05",
        attention(weights=lambda s, a: parts.weights(s, a, -2)),
        ("row_sum_one",),
    ),
    Wrong("causal bottom right", "attention", "B06", attention(masks=_bottom_right), NO_LEAK),
    Wrong("causal sees the next key", "attention", "B07", attention(masks=triangle(1)), NO_LEAK),
    Wrong("causal hides the own key", "attention", "B07", attention(masks=triangle(-1))),
    Wrong("causal ignored", "attention", "own", attention(masks=causal_ignored), NO_LEAK),
    Wrong("causal ignored beside a mask", "attention", "own", attention(masks=_causal_or_mask), NO_LEAK),
    Wrong("causal anew in every block", "attention", "own", attention(masks=_causal_in_blocks), NO_LEAK),
    Wrong("mask inverted", "attention", "B08", attention(masks=inverted), NO_LEAK),
    Wrong("mask multiplied into scores", "attention", "B09", attention(weights=_scores_times_mask), NO_LEAK),
    Wrong(
        "mask after the softmax",
        "attention",
        "B10",
        attention(weights=_masked_afterwards),
        ("row_sum_one", "matches_definition"),
    ),
    Wrong("finite sentinel", "attention", "B11", attention(weights=sentinel), NO_LEAK),
    Wrong("fully masked row is NaN", "attention", "B12", attention(weights=_nan_row), ("finite", "matches_definition")),
    Wrong("mask along the queries", "attention", "B13", attention(masks=_along_queries), NO_LEAK),
    Wrong("padding keys not masked", "attention", "B14", _padding_kept, ("row_sum_one", "key_shift")),
    Wrong("sixteen channels only", "attention", "B15", attention(scores=_scores_of(16))),
    Wrong("sixty-four channels only", "attention", "B15", attention(scores=_scores_of(64)), profile="standard"),
    Wrong(
        "output as wide as the queries",
        "attention",
        "B16",
        _width_of_queries,
        ("shape_and_dtype", "matches_definition"),
    ),
    Wrong(
        "keys of the first slice for all",
        "attention",
        "B18",
        attention(tensors=_first_of_batch),
        ("batch_independent",),
    ),
    Wrong("mean of the values", "attention", "B19", attention(weights=_mean)),
    Wrong("zeros", "attention", "B20", attention(mix=lambda w, v: 0 * (w @ v)), ("row_sum_one",)),
    Wrong("implicit zero logit", "attention", "B21", attention(weights=_implicit_zero), ("row_sum_one", "key_shift")),
    Wrong("dropout at inference", "attention", "B23", attention(weights=_dropout), ("deterministic", "row_sum_one")),
    Wrong("mask read as if whole", "attention", "B26", _flat_mask, ("mask_forms_agree", "masked_tokens_do_not_matter")),
    Wrong("another path without batch", "attention", "B28", _fast_path, ("batch_independent", "matches_definition")),
    Wrong("two sentinels overflow", "attention", "B31", attention(masks=_lowest_twice)),
    Wrong("bias of the mask dropped", "attention", "own", attention(masks=_bias_dropped)),
    Wrong(
        "tiles keep the first maximum", "attention", "own", attention(weights=_tiles_without_rescaling), ("finite", "key_shift"),
        profile="standard",
    ),
    Wrong(
        "empty first tile is NaN",
        "attention",
        "own",
        attention(weights=_empty_first_tile),
        ("finite", "matches_definition"),
    ),
    Wrong(
        "queries and keys exchanged",
        "attention",
        "own",
        attention(tensors=lambda q, k, v: (k, q, v) if q.shape == k.shape else (q, k, v)),
    ),
    Wrong("sixteen keys only", "attention", "own", attention(mix=_sixteen_keys)),
    Wrong("sums in float16", "attention", "own", attention(mix=_half_sums)),
)
