"""Wrong kernels of attention's variants: grouped heads, soft-cap, window, alignment, sinks, ALiBi. One fault each."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernelproof.properties.mutants import parts
from kernelproof.properties.mutants.parts import Wrong, attention

RIGHT = attention()
CAP = 2.0
WINDOW = 2
GROUPED: dict[str, object] = {"grouped_query": True}
CAPPED: dict[str, object] = {"softcap": CAP}
NEAR: dict[str, object] = {"window": WINDOW}
LAST: dict[str, object] = {"causal_alignment": "bottom_right"}
#: beside the definition, the properties that compare two calls
NO_LEAK = ("masked_tokens_do_not_matter", "weights_of_one_hot_values", "matches_definition")


def _tiled(q: Any, k: Any, v: Any) -> tuple[Any, Any, Any]:
    """Query head h reads key head h modulo their number."""
    group = q.shape[-3] // k.shape[-3]
    return q, *(np.concatenate([x] * group, axis=-3) for x in (k, v))


def _first_head(q: Any, k: Any, v: Any) -> tuple[Any, Any, Any]:
    return q, k[..., :1, :, :], v[..., :1, :, :]


def _capped(s: Any) -> Any:
    return s.dtype.type(CAP) * np.tanh(s / s.dtype.type(CAP))


def _capped_after_mask(s: Any, allow: Any) -> Any:
    """tanh(−∞) = −1: what is hidden gets the score −cap."""
    return parts.weights(_capped(np.where(allow, s, -np.inf)), np.True_)


def _capped_with_bias(s: Any, allow: Any) -> Any:
    return parts.weights(_capped(s), allow)


def _capped_before_scale(q: Any, k: Any, scale: Any) -> Any:
    return _capped(parts.scores(q, k, 1.0)) * q.dtype.type(scale)


def _window(width: int, behind: int = 0) -> parts.Part:
    """Keys 0 ≤ i − j < width; ``behind`` is how far a key may stand after the query."""

    def masks(mask: Any, causal: bool, n: int, m: int) -> tuple[Any, Any]:
        allow, bias = parts.masks(mask, causal, n, m)
        return allow & np.tri(n, m, behind, dtype=bool) & ~np.tri(n, m, -width, dtype=bool), bias

    return masks


def _window_when_causal(mask: Any, causal: bool, n: int, m: int) -> tuple[Any, Any]:
    return (_window(WINDOW) if causal else parts.masks)(mask, causal, n, m)


def _top_left(q: Any, k: Any, v: Any, **options: Any) -> Any:
    return RIGHT(q, k, v, **options)


def _without_sinks(q: Any, k: Any, v: Any, sinks: Any, **options: Any) -> Any:
    return RIGHT(q, k, v, **options)


def _biased(slopes: parts.Part, distance: parts.Part) -> parts.Kernel:
    def kernel(q: Any, k: Any, v: Any, *, causal: bool = False, mask: Any = None, scale: Any = None) -> Any:
        n, m = q.shape[-2], k.shape[-2]
        added = slopes(q.shape[-3])[:, None, None] * distance(np.arange(m)[None, :] - np.arange(n)[:, None])
        allow, bias = parts.masks(mask, causal, n, m)
        both = np.where(allow, bias + added, -np.inf).astype(np.float32)
        return RIGHT(q, k, v, mask=np.broadcast_to(both, (*q.shape[:-2], n, m)), scale=scale)

    return kernel


def _halving(heads: int) -> Any:
    """The slopes for eight heads, whatever their number."""
    return 2.0 ** -np.arange(1.0, heads + 1)


def _by_count(heads: int) -> Any:
    """As for a power of two of heads, whatever their number."""
    return 2.0 ** (-8 * np.arange(1.0, heads + 1) / heads)


WRONG = (
    Wrong("key heads tiled", "attention", "B17", attention(tensors=_tiled), variant=GROUPED),
    Wrong("all read the first key head", "attention", "B18", attention(tensors=_first_head), variant=GROUPED),
    Wrong("cap after the mask", "attention", "B24", attention(weights=_capped_after_mask), NO_LEAK, CAPPED),
    Wrong("bias capped too", "attention", "own", attention(weights=_capped_with_bias), variant=CAPPED),
    Wrong("cap before the scale", "attention", "own", attention(scores=_capped_before_scale), variant=CAPPED),
    Wrong("cap ignored", "attention", "own", attention(), variant=CAPPED),
    Wrong("window one too wide", "attention", "own", attention(masks=_window(WINDOW + 1)), NO_LEAK, NEAR),
    Wrong("window sees the next key", "attention", "own", attention(masks=_window(WINDOW, 1)), NO_LEAK, NEAR),
    Wrong("window only with causality", "attention", "own", attention(masks=_window_when_causal), NO_LEAK, NEAR),
    Wrong("causal top left", "attention", "B06", _top_left, ("later_tokens_do_not_matter", "decoding_agrees", "matches_definition"), LAST),
    Wrong("sinks ignored", "attention", "own", _without_sinks, variant={"sinks": True}),
    Wrong("slopes of eight heads", "attention", "own", _biased(_halving, lambda d: d), variant={"alibi": True}),
    Wrong("slopes as for a power of two", "attention", "own", _biased(_by_count, lambda d: d), variant={"alibi": True}, profile="standard"),
    Wrong("distance without sign", "attention", "own", _biased(_by_count, lambda d: -abs(d)), variant={"alibi": True}),
)
