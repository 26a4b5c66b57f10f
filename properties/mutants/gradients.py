"""Wrong gradient kernels, one fault each: attention and softmax."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernelproof.properties.mutants import parts
from kernelproof.properties.mutants.gradient_parts import (
    attention_vjp,
    softmax_vjp,
    transposed,
)
from kernelproof.properties.mutants.parts import Kernel, Wrong


def _attention(id: str, reference: str, function: Kernel, *names: str) -> Wrong:
    return Wrong(id, "attention.vjp", reference, function, names or ("matches_definition",))


def _in_half(x: Any) -> Any:
    return x.astype(np.float16).astype(x.dtype)


def _nan_rows(s: Any, allow: Any) -> Any:
    """Softmax of hidden scores as it stands: a row that allows nothing is NaN."""
    hidden = np.where(allow, s, -np.inf)
    e = np.exp(hidden - hidden.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _mean_rows(s: Any, allow: Any) -> Any:
    """A row that allows nothing attends to everything alike."""
    p = parts.weights(s, allow)
    return np.where(allow.any(-1, keepdims=True), p, 1 / max(1, s.shape[-1])).astype(s.dtype)


def _only_hiding(mask: Any, causal: bool, n: int, m: int) -> Any:
    allow, bias = parts.masks(mask, causal, n, m)
    return allow, np.zeros_like(bias)


def _bottom_right(mask: Any, causal: bool, n: int, m: int) -> Any:
    allow, bias = parts.masks(mask, False, n, m)
    return (allow & np.tri(n, m, m - n, dtype=bool) if causal else allow), bias


def _whole_blocks(right: Any) -> Any:
    """Rows beyond the last whole block of 16 are left at zero, where there is a whole one."""
    out, n = right.copy(), right.shape[-2]
    if n > 16:
        out[..., n - n % 16 :, :] = 0
    return out


def _reusing() -> Kernel:
    """The gradient of the queries lies in a buffer that the next call of the same shape writes again."""
    right = attention_vjp()
    buffers: dict[Any, Any] = {}

    def kernel(q: Any, k: Any, v: Any, grad_out: Any, **options: Any) -> Any:
        dq, dk, dv = right(q, k, v, grad_out, **options)
        kept = buffers.setdefault((dq.shape, dq.dtype.str), np.empty_like(dq))
        kept[...] = dq
        return kept, dk, dv

    return kernel


def _stale() -> Kernel:
    """The weights of the first call of a shape are kept for all."""
    seen: dict[Any, Any] = {}
    return attention_vjp(kept=lambda p: seen.setdefault(p.shape, p))


def _scaling(q: Any, k: Any, v: Any, grad_out: Any, *, causal: bool = False, mask: Any = None, scale: Any = None) -> Any:
    """Scales the queries where they lie."""
    factor = q.dtype.type(parts.default_scale(q) if scale is None else scale)
    q *= factor
    dq, dk, dv = attention_vjp()(q, k, v, grad_out, causal=causal, mask=mask, scale=1.0)
    return (dq * factor).astype(q.dtype), dk, dv


def _first_of_batch(dq: Any, dk: Any, dv: Any) -> Any:
    """All of a batch get the keys' gradient of its first entry."""
    return dq, (np.broadcast_to(dk[:1], dk.shape) if dk.ndim > 2 else dk), dv


def _other_head(dq: Any, dk: Any, dv: Any) -> Any:
    return (dq, dk[::-1], dv[::-1]) if dk.ndim > 2 else (dq, dk, dv)


def _unshifted(s: Any, allow: Any) -> Any:
    e = np.where(allow, np.exp(s), 0)
    total = e.sum(-1, keepdims=True)
    return e / np.where(total == 0, 1, total)


def _no_default(q: Any) -> float:
    return 1.0


ATTENTION = (
    _attention("delta left out", "B32", attention_vjp(score_slope=lambda p, slope, mean: p * slope), "keys_sum", "matches_definition"),
    _attention("scale missing in dq", "B33", attention_vjp(to_queries=lambda ds, k, scale: ds @ k), "queries_and_keys"),
    _attention("scale missing in dk", "own", attention_vjp(to_keys=lambda ds, q, scale: transposed(ds) @ q), "queries_and_keys"),
    _attention(
        "scale missing in both",
        "own",
        attention_vjp(to_queries=lambda ds, k, scale: ds @ k, to_keys=lambda ds, q, scale: transposed(ds) @ q),
    ),
    _attention("scale twice in dq", "own", attention_vjp(to_queries=lambda ds, k, scale: ds @ k * scale**2), "queries_and_keys"),
    _attention("unscaled throughout", "own", attention_vjp(default=_no_default)),
    _attention("dk and dv in another head's place", "B34", attention_vjp(given=_other_head), "batch_independent"),
    _attention("dk of the first batch entry for all", "own", attention_vjp(given=_first_of_batch), "batch_independent"),
    _attention("NaN through a masked row", "B35", attention_vjp(weights=_nan_rows), "finite"),
    _attention("a masked row attends to all", "own", attention_vjp(weights=_mean_rows), "forbidden_gets_nothing"),
    _attention(
        "causality forgotten going back",
        "own",
        attention_vjp(masks=lambda mask, causal, n, m: parts.masks(mask, False, n, m)),
        "earlier_results_do_not_matter",
    ),
    _attention(
        "mask forgotten going back",
        "own",
        attention_vjp(masks=lambda mask, causal, n, m: parts.masks(None, causal, n, m)),
        "forbidden_gets_nothing",
    ),
    _attention("floating mask only hides", "own", attention_vjp(masks=_only_hiding)),
    _attention("causal bottom right", "B06", attention_vjp(masks=_bottom_right), "earlier_results_do_not_matter", "matches_definition"),
    _attention("delta a mean", "own", attention_vjp(delta=lambda p, s, g, o: (p * s).mean(-1, keepdims=True)), "keys_sum"),
    _attention("delta over queries", "own", attention_vjp(delta=lambda p, s, g, o: (p * s).sum(-2, keepdims=True)), "keys_sum"),
    _attention("delta of unweighted slopes", "own", attention_vjp(delta=lambda p, s, g, o: s.mean(-1, keepdims=True)), "keys_sum"),
    _attention("diagonal of the Jacobian alone", "own", attention_vjp(score_slope=lambda p, s, d: p * (1 - p) * s), "keys_sum"),
    _attention("sign of dS", "own", attention_vjp(score_slope=lambda p, s, d: p * (d - s))),
    _attention(
        "dq and dk exchanged where they fit", "own", attention_vjp(given=lambda a, b, c: (b, a, c) if a.shape == b.shape else (a, b, c))
    ),
    _attention(
        "dS not transposed where it fits",
        "own",
        attention_vjp(to_keys=lambda ds, q, scale: (ds if ds.shape[-1] == ds.shape[-2] else transposed(ds)) @ q * scale),
        "matches_definition",
    ),
    _attention(
        "P not transposed where it fits",
        "own",
        attention_vjp(to_values=lambda p, g: (p if p.shape[-1] == p.shape[-2] else transposed(p)) @ g),
        "values_and_output",
        "matches_definition",
    ),
    _attention(
        "dv from the scores' slope",
        "own",
        attention_vjp(to_values=lambda p, g: transposed(p - p.mean(-1, keepdims=True)) @ g),
        "values_sum",
    ),
    _attention("weights in float16", "own", attention_vjp(kept=_in_half), "values_sum", "matches_definition"),
    _attention("delta in float16", "own", attention_vjp(delta=lambda p, s, g, o: _in_half((p * s).sum(-1, keepdims=True)))),
    _attention("last block of keys unwritten", "own", attention_vjp(given=lambda a, b, c: (a, _whole_blocks(b), c))),
    _attention("last block of queries unwritten", "own", attention_vjp(given=lambda a, b, c: (_whole_blocks(a), b, c))),
    _attention("no maximum subtracted", "B01", attention_vjp(weights=_unshifted), "finite"),
    _attention("buffer of dq reused", "own", _reusing(), "deterministic"),
    _attention("weights of an earlier call", "own", _stale(), "other_data_of_the_same_shape"),
    _attention("queries scaled in place", "own", _scaling, "inputs_unchanged"),
    _attention("dv not given", "own", attention_vjp(given=lambda dq, dk, dv: (dq, dk)), "shape_and_dtype"),
)


def _softmax(id: str, reference: str, function: Kernel, *names: str) -> Wrong:
    return Wrong(id, "softmax.vjp", reference, function, names or ("matches_definition",))


def _unshifted_rows(x: Any) -> Any:
    e = np.exp(x)
    return e / e.sum(-1, keepdims=True)


def _mutating(x: Any, grad_out: Any) -> Any:
    grad_out -= grad_out.mean(-1, keepdims=True) if grad_out.shape[-1] else 0
    return softmax_vjp()(x, grad_out)


SOFTMAX = (
    _softmax("not centred", "B32", softmax_vjp(pull=lambda p, g: p * g), "gradient_sum"),
    _softmax("centred by the plain mean", "own", softmax_vjp(pull=lambda p, g: p * (g - g.mean(-1, keepdims=True))), "gradient_sum"),
    _softmax("diagonal alone", "own", softmax_vjp(pull=lambda p, g: p * (1 - p) * g), "gradient_sum"),
    _softmax("outer weight missing", "own", softmax_vjp(pull=lambda p, g: g - (p * g).sum(-1, keepdims=True)), "gradient_sum"),
    _softmax("that of the logarithm", "own", softmax_vjp(pull=lambda p, g: g - p * g.sum(-1, keepdims=True)), "matches_definition"),
    _softmax("sum over everything", "own", softmax_vjp(pull=lambda p, g: p * (g - (p * g).sum())), "batch_independent"),
    _softmax("sign", "own", softmax_vjp(pull=lambda p, g: p * ((p * g).sum(-1, keepdims=True) - g))),
    _softmax("no maximum subtracted", "B01", softmax_vjp(weights=_unshifted_rows), "finite"),
    _softmax("mean of the gradient in float16", "own", softmax_vjp(pull=lambda p, g: p * (g - _in_half((p * g).sum(-1, keepdims=True))))),
    _softmax(
        "gradient clipped",
        "own",
        softmax_vjp(pull=lambda p, g: p * (np.clip(g, -1, 1) - (p * np.clip(g, -1, 1)).sum(-1, keepdims=True))),
        "linear_in_grad_out",
    ),
    _softmax("gradient centred in place", "own", _mutating, "inputs_unchanged"),
)

WRONG = (*ATTENTION, *SOFTMAX)
