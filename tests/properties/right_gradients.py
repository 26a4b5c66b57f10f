"""Right gradient kernels in the styles that people write them in: none of them may be convicted.

The plain style of each phase is ``mutants/gradient_parts.py``; these compute the same by other means: from a log-sum-exp, with Δ from the
result, tile by tile, multiplied out, by one product of large matrices or token by token.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import erf

from kernelproof.properties.mutants import parts
from kernelproof.properties.mutants.gradient_block_parts import encoder_block_vjp, right_gradient
from kernelproof.properties.mutants.gradient_parts import (
    SLOPES,
    activation_vjp,
    attention_vjp,
    embedding_vjp,
    feed_forward_vjp,
    flat,
    in_dtype,
    layer_norm_vjp,
    multi_head_vjp,
    rms_norm_vjp,
    softmax_vjp,
    transposed,
    wide,
)
from kernelproof.properties.mutants.parts import Right
from kernelproof.symbolic.registry import phases


def _from_logarithm(s: Any, allow: Any) -> Any:
    """Weights as exp(S − lse), as a kernel has them that kept the log-sum-exp of each row alone."""
    top = np.where(allow, s, -np.inf).max(-1, keepdims=True, initial=-np.inf)
    top = np.where(np.isneginf(top), 0, top)
    total = np.where(allow, np.exp(np.where(allow, s - top, 0)), 0).sum(-1, keepdims=True)
    lse = top + np.log(np.where(total == 0, 1, total))
    return np.where(allow, np.exp(np.where(allow, s - lse, 0)), 0).astype(s.dtype)


def _from_output(p: Any, slope: Any, g: Any, out: Any) -> Any:
    """Δ = Σ grad_out·result, as in FlashAttention."""
    return (g * out).sum(-1, keepdims=True)


def _tiled(q: Any, k: Any, v: Any, grad_out: Any, *, causal: bool = False, mask: Any = None, scale: Any = None) -> Any:
    """Keys in blocks of eight: dq is added up, dk and dv are written block by block."""
    dtype, m = q.dtype, k.shape[-2]
    q, k, v, g = wide(q, k, v, grad_out)
    allow, bias = parts.masks(mask, causal, q.shape[-2], m)
    factor = q.dtype.type(parts.default_scale(q) if scale is None else scale)
    s = q @ transposed(k) * factor + bias.astype(q.dtype)
    p = _from_logarithm(s, np.broadcast_to(allow, s.shape))
    mean = _from_output(p, None, g, p @ v)
    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    for at in range(0, m, 8):
        block = np.s_[..., at : at + 8, :]
        weights = p[..., at : at + 8]
        ds = weights * (g @ transposed(v[block]) - mean)
        dq += ds @ k[block]
        dk[block] = transposed(ds) @ (q * factor)
        dv[block] = transposed(weights) @ g
    return in_dtype(dtype, dq * factor, dk, dv)


def _one_formula(row: Any, normal: Any, root: Any) -> Any:
    """(d·dx̂ − Σ dx̂ − x̂·Σ dx̂·x̂) / (d·root)."""
    d = row.dtype.type(row.shape[-1])
    return (d * row - row.sum(-1, keepdims=True) - normal * (row * normal).sum(-1, keepdims=True)) * (1 / (d * root))


def _by_one_product(ids: Any, g: Any, table: Any) -> Any:
    """One-hot rows times the gradient."""
    return (np.arange(len(table))[:, None] == ids).astype(g.dtype) @ g


def _sorted(ids: Any, g: Any, table: Any) -> Any:
    """Tokens sorted by id, each run summed at once."""
    out = np.zeros(table.shape, dtype=g.dtype)
    order = np.argsort(ids, kind="stable")
    for row, begin, count in zip(*np.unique(ids[order], return_index=True, return_counts=True), strict=True):
        out[row] = g[order[begin : begin + count]].sum(0)
    return out


def _token_by_token(x: Any, dz: Any) -> Any:
    """An outer product for each token, added up from the last."""
    out = np.zeros((x.shape[-1], dz.shape[-1]), dtype=x.dtype)
    for one, two in zip(x[::-1], dz[::-1], strict=True):
        out += np.outer(one, two)
    return out


def _gelu_in_double(z: Any) -> Any:
    y = z.astype(np.float64)
    return ((1 + erf(y / math.sqrt(2))) / 2 + y * np.exp(-y * y / 2) / math.sqrt(2 * math.pi)).astype(z.dtype)


def _silu_by_exp(z: Any) -> Any:
    with np.errstate(over="ignore"):
        s = 1 / (1 + np.exp(-z))
    return s + z * s * (1 - s)


PLAIN: tuple[tuple[str, dict[str, object]], ...] = (
    ("softmax", {}),
    ("attention", {}),
    ("multi_head_attention", {}),
    *(("activation", {"activation": name}) for name in SLOPES),
    *(("feed_forward", {"activation": name}) for name in SLOPES),
    ("layer_norm", {}),
    ("rms_norm", {}),
    ("embedding", {}),
    ("rotary", {"layout": "halves"}),
    ("rotary", {"layout": "interleaved"}),
    ("encoder_block", {"norm": "post"}),
    ("encoder_block", {"norm": "pre"}),
)
#: beside the plain ones, each option of a variant at least once, alone or with others
VARIANTS: tuple[tuple[str, dict[str, object]], ...] = (
    *(("attention", {name: value}) for name, value in (("fully_masked", "mean"), ("fully_masked", "nan"), ("alibi", True))),
    *(("attention", dict(variant)) for variant in phases()["attention"].samples if len(variant) > 1 or "rotary" in variant),
    ("feed_forward", {"activation": "silu", "gated": True}),
    ("encoder_block", {"norm": "pre", "activation": "silu", "gated": True}),
)
RIGHT_GRADIENTS: tuple[Right, ...] = (
    *(Right("plain", f"{phase}.vjp", right_gradient(phase, variant), variant) for phase, variant in VARIANTS),
    *(Right("plain", f"{phase}.vjp", right_gradient(phase, variant), dict(variant), wholly=True) for phase, variant in PLAIN),
    Right("multiplied out", "softmax.vjp", softmax_vjp(pull=lambda p, g: p * g - p * (p * g).sum(-1, keepdims=True))),
    Right(
        "by the Jacobian",
        "softmax.vjp",
        softmax_vjp(pull=lambda p, g: ((p[..., None] * (np.eye(p.shape[-1], dtype=p.dtype) - p[..., None, :])) @ g[..., None])[..., 0]),
    ),
    Right("weights from the log-sum-exp", "attention.vjp", attention_vjp(weights=_from_logarithm)),
    Right("delta from the result", "attention.vjp", attention_vjp(delta=_from_output)),
    Right("multiplied out", "attention.vjp", attention_vjp(score_slope=lambda p, slope, mean: p * slope - p * mean)),
    Right("tiled", "attention.vjp", _tiled),
    Right(
        "in double",
        "attention.vjp",
        lambda q, k, v, grad_out, **options: tuple(
            one.astype(q.dtype) for one in attention_vjp()(*(x.astype(np.float64) for x in (q, k, v, grad_out)), **options)
        ),
    ),
    Right("scale on the keys first", "attention.vjp", attention_vjp(to_queries=lambda ds, k, scale: ds @ (k * scale))),
    Right("heads tiled", "multi_head_attention.vjp", multi_head_vjp(attend=_tiled)),
    Right("one formula", "layer_norm.vjp", layer_norm_vjp(pull=_one_formula)),
    Right(
        "gain summed by a product",
        "layer_norm.vjp",
        layer_norm_vjp(
            to_gain=lambda g, h, x: np.einsum("nd,nd->d", flat(g), flat(h)),
            to_bias=lambda g, gain: np.ones(len(flat(g)), g.dtype) @ flat(g),
        ),
    ),
    Right(
        "in two terms",
        "rms_norm.vjp",
        rms_norm_vjp(
            pull=lambda row, h, root: row / root - h * ((row * h).sum(-1, keepdims=True) / (row.dtype.type(row.shape[-1]) * root))
        ),
    ),
    Right("in double", "activation.vjp", activation_vjp(_gelu_in_double), {"activation": "gelu"}),
    Right("by exp", "activation.vjp", activation_vjp(_silu_by_exp), {"activation": "silu"}),
    Right("token by token", "feed_forward.vjp", feed_forward_vjp("silu", to_weights=_token_by_token), {"activation": "silu"}),
    Right("one-hot product", "embedding.vjp", embedding_vjp(_by_one_product)),
    Right("sorted", "embedding.vjp", embedding_vjp(_sorted)),
    Right(
        "tiled inside",
        "encoder_block.vjp",
        encoder_block_vjp(attend=multi_head_vjp(attend=_tiled), pull_norm=layer_norm_vjp(pull=_one_formula)),
    ),
)
