"""Wrong kernels of further variants: sinks, what a fully masked row gives, gated feed-forward. One fault each."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernelproof.properties.mutants import parts
from kernelproof.properties.mutants.parts import Wrong, attention

SUNK: dict[str, object] = {"sinks": True}
MEAN: dict[str, object] = {"fully_masked": "mean"}
GATED: dict[str, object] = {"activation": "silu", "gated": True}


def _with_sinks(*, seen: parts.Part = lambda sinks, shift: sinks, first: bool = False, shifted: bool = True) -> parts.Kernel:
    """Attention with a sink; ``seen`` is the logit that is used, ``first`` gives its weight to the first key."""

    def kernel(q: Any, k: Any, v: Any, sinks: Any, *, causal: bool = False, mask: Any = None, scale: Any = None) -> Any:
        kept = v.dtype
        q, k, v, sinks = parts.wide(q, k, v, sinks)
        allow, bias = parts.masks(mask, causal, q.shape[-2], k.shape[-2])
        factor = parts.default_scale(q) if scale is None else scale
        s = parts.scores(q, k, factor) + bias.astype(q.dtype)
        allow, sink = np.broadcast_to(allow, s.shape), seen(sinks, factor)[:, None, None].astype(q.dtype)
        top = np.maximum(np.where(allow, s, -np.inf).max(-1, keepdims=True, initial=-np.inf), sink)
        e = np.where(allow, np.exp(np.where(allow, s - top, 0)), 0)
        own = np.exp(sink - top) if shifted else np.exp(np.minimum(sink, 80)) + 0 * top
        w = e / (e.sum(-1, keepdims=True) + own)
        if first and w.shape[-1]:
            w[..., :1] += (own / (e.sum(-1, keepdims=True) + own)) * allow[..., :1]
        return (w @ v).astype(kept)

    return kernel


def _of_first_head(sinks: Any, scale: float) -> Any:
    return np.broadcast_to(sinks[:1], sinks.shape)


def _sum_of_values(s: Any, allow: Any) -> Any:
    """Every key with weight one where none is allowed."""
    w = parts.weights(s, allow)
    return np.where(allow.any(-1, keepdims=True), w, w.dtype.type(1))


def _gated(unit: parts.Part) -> parts.Kernel:
    """Feed-forward with ``unit`` of the gate, the widened tokens without their bias, and the bias."""

    def kernel(x: Any, w1: Any, b1: Any, w_gate: Any, w2: Any, b2: Any) -> Any:
        kept = x.dtype
        x, w1, b1, w_gate, w2, b2 = parts.wide(x, w1, b1, w_gate, w2, b2)
        return (unit(x @ w_gate, x @ w1, b1) @ w2 + b2).astype(kept)

    return kernel


_silu = parts.ACTIVATIONS["silu"]
WRONG = (
    Wrong("sink in the numerator", "attention", "own", _with_sinks(first=True), variant=SUNK),
    Wrong("one sink for all heads", "attention", "own", _with_sinks(seen=_of_first_head), variant=SUNK),
    Wrong("sink scaled like a score", "attention", "own", _with_sinks(seen=lambda sinks, scale: sinks * scale), variant=SUNK),
    Wrong("sink not shifted", "attention", "own", _with_sinks(shifted=False), variant=SUNK),
    Wrong("zeros for the mean", "attention", "own", attention(), variant=MEAN),
    Wrong("sum for the mean", "attention", "own", attention(weights=_sum_of_values), variant=MEAN),
    Wrong("gate not activated", "feed_forward", "own", _gated(lambda gate, wide, b1: gate * (wide + b1)), variant=GATED),
    Wrong("other branch activated", "feed_forward", "own", _gated(lambda gate, wide, b1: gate * _silu(wide + b1)), variant=GATED),
    Wrong("bias on the gate", "feed_forward", "own", _gated(lambda gate, wide, b1: _silu(gate + b1) * wide), variant=GATED),
    Wrong("gate added", "feed_forward", "own", _gated(lambda gate, wide, b1: _silu(gate) + wide + b1), variant=GATED),
)
