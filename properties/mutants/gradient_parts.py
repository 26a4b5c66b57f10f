"""Right gradient kernels assembled from parts, so that a wrong one differs from them in one part and in nothing else.

As ``parts.py``: the contract's signature with ``grad_out`` after the inputs, a tuple of gradients in the inputs' dtype, axes of length 0
taken, a row that may attend to nothing gets and passes on zeros, accumulation in float32 for 16-bit types.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import erf, expit

from kernelproof.properties.mutants import parts
from kernelproof.properties.mutants.parts import ACTIVATIONS, Kernel, Part, default_scale, join, split, wide


def transposed(x: Any) -> Any:
    return np.swapaxes(x, -1, -2)


def rows(x: Any) -> tuple[int, ...]:
    """All axes but the last."""
    return tuple(range(x.ndim - 1))


def flat(x: Any) -> Any:
    """All tokens in one axis."""
    return x.reshape((math.prod(x.shape[:-1]), x.shape[-1]))


def in_dtype(dtype: Any, *found: Any) -> tuple[Any, ...]:
    return tuple(np.asarray(one).astype(dtype) for one in found)


# -- softmax and attention ----------------------------------------------------------------------------------------------------------------


def probabilities(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def centred(p: Any, g: Any) -> Any:
    return p * (g - (p * g).sum(-1, keepdims=True))


def softmax_vjp(*, weights: Part = probabilities, pull: Part = centred) -> Kernel:
    """``pull`` gets the weights and the gradient of the result."""

    def kernel(x: Any, grad_out: Any) -> Any:
        if not x.shape[-1]:
            return (x.copy(),)
        y, g = wide(x, grad_out)
        return in_dtype(x.dtype, pull(weights(y), g))

    return kernel


def delta(p: Any, slope: Any, g: Any, out: Any) -> Any:
    return (p * slope).sum(-1, keepdims=True)


def attention_vjp(
    *,
    default: Part = default_scale,
    masks: Part = parts.masks,
    weights: Part = parts.weights,
    kept: Part = lambda p: p,
    delta: Part = delta,
    score_slope: Part = lambda p, slope, mean: p * (slope - mean),
    to_queries: Part = lambda ds, k, scale: ds @ k * scale,
    to_keys: Part = lambda ds, q, scale: transposed(ds) @ q * scale,
    to_values: Part = lambda p, g: transposed(p) @ g,
    given: Part = lambda dq, dk, dv: (dq, dk, dv),
) -> Kernel:
    """``kept`` sees the weights, ``delta`` weights, their gradient, the result's gradient and the result; ``given`` the gradients."""

    def kernel(q: Any, k: Any, v: Any, grad_out: Any, *, causal: bool = False, mask: Any = None, scale: Any = None) -> Any:
        dtype = q.dtype
        q, k, v, g = wide(q, k, v, grad_out)
        allow, bias = masks(mask, causal, q.shape[-2], k.shape[-2])
        factor = q.dtype.type(default(q) if scale is None else scale)
        s = q @ transposed(k) * factor + bias.astype(q.dtype)
        p = kept(weights(s, np.broadcast_to(allow, s.shape)))
        slope = g @ transposed(v)
        ds = score_slope(p, slope, delta(p, slope, g, p @ v))
        return in_dtype(dtype, *given(to_queries(ds, k, factor), to_keys(ds, q, factor), to_values(p, g)))

    return kernel


def multi_head_vjp(
    *,
    attend: Kernel | None = None,
    split: Part = split,
    join: Part = join,
    to_tokens: Part = lambda dq, dk, dv, w_q, w_k, w_v: dq @ w_q.T + dk @ w_k.T + dv @ w_v.T,
    to_weights: Part = lambda x, d: flat(x).T @ flat(d),
    out_weights: Part = lambda a, g, x: flat(a).T @ flat(g),
    given: Part = lambda *found: found,
) -> Kernel:
    """``attend`` is a gradient kernel of attention; ``out_weights`` gets the joined heads, the result's gradient and the tokens."""
    pull, forward = attend or attention_vjp(), parts.attention()

    def kernel(
        x: Any, w_q: Any, w_k: Any, w_v: Any, w_o: Any, grad_out: Any, *, n_heads: int, causal: bool = False, mask: Any = None
    ) -> Any:
        dtype = x.dtype
        x, w_q, w_k, w_v, w_o, g = wide(x, w_q, w_k, w_v, w_o, grad_out)
        if mask is not None and mask.ndim > 2:
            mask = mask[..., None, :, :]
        q, k, v = (split(x @ w, n_heads) for w in (w_q, w_k, w_v))
        a = join(forward(q, k, v, causal=causal, mask=mask))
        dq, dk, dv = (join(one) for one in pull(q, k, v, split(g @ w_o.T, n_heads), causal=causal, mask=mask))
        found = (to_tokens(dq, dk, dv, w_q, w_k, w_v), *(to_weights(x, one) for one in (dq, dk, dv)), out_weights(a, g, x))
        return in_dtype(dtype, *given(*found))

    return kernel


# -- activations and the feed-forward -----------------------------------------------------------------------------------------------------


def _gelu_tanh_slope(z: Any) -> Any:
    root = z.dtype.type(math.sqrt(2 / math.pi))
    t = np.tanh(root * (z + z.dtype.type(0.044715) * z * z * z))
    return (1 + t) / 2 + z * (1 - t * t) * root * (1 + z.dtype.type(3 * 0.044715) * z * z) / 2


def _silu_slope(z: Any) -> Any:
    s = expit(z)
    return s * (1 + z * (1 - s))


SLOPES: dict[str, Part] = {
    "relu": lambda z: (z > 0).astype(z.dtype),
    "gelu": lambda z: (1 + erf(z * z.dtype.type(math.sqrt(0.5)))) / 2 + z * np.exp(-z * z / 2) * z.dtype.type(1 / math.sqrt(2 * math.pi)),
    "gelu_tanh": _gelu_tanh_slope,
    "silu": _silu_slope,
}


def activation_vjp(slope: Part, pull: Part = lambda s, g, x: s * g) -> Kernel:
    """``pull`` gets the slope, the result's gradient and the input."""

    def kernel(x: Any, grad_out: Any) -> Any:
        y, g = wide(x, grad_out)
        return in_dtype(x.dtype, pull(slope(y), g, y))

    return kernel


def feed_forward_vjp(
    name: str = "relu",
    *,
    slope: Part | None = None,
    hidden: Part = lambda x, w1, b1: x @ w1 + b1,
    through: Part = lambda da, s: da * s,
    to_tokens: Part = lambda dz, w1, da: dz @ w1.T,
    to_weights: Part = lambda x, dz: x.T @ dz,
    narrow: Part = lambda a, g, z: a.T @ g,
    to_bias: Part = lambda d, da, before: d.sum(0),
    given: Part = lambda *found: found,
) -> Kernel:
    """Tokens are one axis in all parts; ``to_bias`` gets what is summed, da, and the shape that grad_out was handed over in."""
    act, own = ACTIVATIONS[name], slope or SLOPES[name]

    def kernel(x: Any, w1: Any, b1: Any, w2: Any, b2: Any, grad_out: Any) -> Any:
        dtype, shape = x.dtype, x.shape
        x, w1, b1, w2, g = wide(x, w1, b1, w2, grad_out)
        x, g = flat(x), flat(g)
        z = hidden(x, w1, b1)
        da = g @ w2.T
        dz = through(da, own(z))
        found = (
            to_tokens(dz, w1, da).reshape(shape), to_weights(x, dz), to_bias(dz, da, shape), narrow(act(z), g, z), to_bias(g, None, shape),
        )
        return in_dtype(dtype, *given(*found))

    return kernel


# -- norms --------------------------------------------------------------------------------------------------------------------------------


def projected(row: Any, normal: Any, root: Any) -> Any:
    """The gradient of the row from that of the normalised row."""
    return (row - row.mean(-1, keepdims=True) - normal * (row * normal).mean(-1, keepdims=True)) / root


def layer_norm_vjp(
    *,
    variance: Part = lambda y, x: (y * y).mean(-1, keepdims=True),
    root: Part = lambda s, eps: np.sqrt(s + eps),
    row: Part = lambda g, gain: g * gain,
    pull: Part = projected,
    to_gain: Part = lambda g, normal, x: (g * normal).sum(rows(g)),
    to_bias: Part = lambda g, gain: g.sum(rows(g)),
    given: Part = lambda *found: found,
) -> Kernel:
    def kernel(x: Any, gain: Any, bias: Any, grad_out: Any, *, eps: float = 1e-5) -> Any:
        dtype = x.dtype
        if not x.shape[-1]:
            return x.copy(), gain.copy(), bias.copy()
        x, gain, g = wide(x, gain, grad_out)
        y = x - x.mean(-1, keepdims=True)
        divisor = root(variance(y, x), x.dtype.type(eps))
        normal = y / divisor
        return in_dtype(dtype, *given(pull(row(g, gain), normal, divisor), to_gain(g, normal, x), to_bias(g, gain)))

    return kernel


def rms_norm_vjp(
    *,
    row: Part = lambda g, gain: g * gain,
    pull: Part = lambda row, normal, root: (row - normal * (row * normal).mean(-1, keepdims=True)) / root,
    to_gain: Part = lambda g, normal, x: (g * normal).sum(rows(g)),
    root: Part = lambda s, eps: np.sqrt(s + eps),
) -> Kernel:
    def kernel(x: Any, gain: Any, grad_out: Any, *, eps: float = 1e-5) -> Any:
        dtype = x.dtype
        if not x.shape[-1]:
            return x.copy(), gain.copy()
        x, gain, g = wide(x, gain, grad_out)
        divisor = root((x * x).mean(-1, keepdims=True), x.dtype.type(eps))
        normal = x / divisor
        return in_dtype(dtype, pull(row(g, gain), normal, divisor), to_gain(g, normal, x))

    return kernel


# -- tables -------------------------------------------------------------------------------------------------------------------------------


def scattered(ids: Any, g: Any, table: Any) -> Any:
    out = np.zeros(table.shape, dtype=g.dtype)
    np.add.at(out, ids, g)
    return out


def embedding_vjp(scatter: Part = scattered) -> Kernel:
    """``scatter`` gets the ids and the rows of the gradient, one axis of tokens each."""

    def kernel(ids: Any, table: Any, grad_out: Any) -> Any:
        (g,) = wide(grad_out)
        return in_dtype(table.dtype, scatter(ids.reshape(-1), flat(g), table))

    return kernel


def rotary_vjp(
    *, angles: Part = parts.angles, pairs: Part = parts.halves, merge: Part = lambda a, b: np.concatenate([a, b], -1), sign: float = -1.0
) -> Kernel:
    """The rotation by the negative angle."""

    def kernel(x: Any, grad_out: Any, *, base: float = 10000.0, start: int = 0) -> Any:
        (g,) = wide(grad_out)
        turned = sign * angles(g.shape[-2], g.shape[-1], base, start)
        one, two = pairs(g)
        c, s = np.cos(turned).astype(g.dtype), np.sin(turned).astype(g.dtype)
        return in_dtype(x.dtype, merge(one * c - two * s, one * s + two * c))

    return kernel


def interleaved(x: Any) -> tuple[Any, Any]:
    return x[..., 0::2], x[..., 1::2]


def woven(a: Any, b: Any) -> Any:
    return np.stack([a, b], -1).reshape(*a.shape[:-1], 2 * a.shape[-1])
