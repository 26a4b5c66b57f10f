"""Right kernels assembled from parts, so that a wrong one differs from them in one part and in nothing else.

Each factory takes its parts by keyword and returns a kernel in the contract's signature: dtype kept, axes of length 0 taken, masks
boolean or floating, a row that may attend to nothing gives zeros. Accumulation is in float32 for 16-bit types.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import erf, expit

Kernel = Callable[..., Any]
Part = Callable[..., Any]


@dataclass(frozen=True)
class Wrong:
    """A kernel with one fault. ``reference`` is a row of the catalogue of real bugs, ``own``, or ``unseen`` for one by someone who had not
    seen the suite; ``names`` are properties expected to name it, none for any of its phase; ``profile`` the smallest one that can see it;
    ``seen_by`` one that was found to convict it, to be tried first.
    """

    id: str
    phase: str
    reference: str
    function: Kernel
    names: tuple[str, ...] = ("matches_definition",)
    variant: dict[str, object] = field(default_factory=dict)
    profile: str = "quick"
    seen_by: str = ""


@dataclass(frozen=True)
class Right:
    """A right kernel. ``wholly`` tries all properties on it, not only those that depend on the style; ``standard`` the longer search;
    ``dtypes`` are the formats in which it is right: one that computes in 16 bits where its inputs have 16 is not.
    """

    style: str
    phase: str
    function: Kernel
    variant: dict[str, object] = field(default_factory=dict)
    wholly: bool = False
    standard: bool = False
    dtypes: tuple[str, ...] = ("float32", "float64", "float16", "bfloat16")


def wide(*arrays: Any) -> tuple[Any, ...]:
    """The arrays in the type that is computed in."""
    work = np.result_type(*(array.dtype for array in arrays), np.float32)
    return tuple(array.astype(work) for array in arrays)


# -- attention ----------------------------------------------------------------------------------------------------------------------


def default_scale(q: Any, heads: int = 1) -> float:
    return 1 / math.sqrt(q.shape[-1]) if q.shape[-1] else 1.0


def lower(n: int, m: int) -> Any:
    return np.tri(n, m, dtype=bool)


def masks(mask: Any, causal: bool, n: int, m: int) -> tuple[Any, Any]:
    """What may be attended to, and what is added to the scores."""
    allow, bias = np.ones((n, m), dtype=bool), np.zeros((n, m), dtype=np.float32)
    if mask is not None and mask.dtype == bool:
        allow = allow & mask
    elif mask is not None:
        hidden = np.isneginf(mask)
        allow, bias = allow & ~hidden, bias + np.where(hidden, 0, mask)
    return (allow & lower(n, m) if causal else allow), bias


def scores(q: Any, k: Any, scale: Any) -> Any:
    return q @ np.swapaxes(k, -1, -2) * q.dtype.type(scale)


def weights(s: Any, allow: Any, axis: int = -1) -> Any:
    top = np.where(allow, s, -np.inf).max(axis, keepdims=True, initial=-np.inf)
    e = np.where(allow, np.exp(np.where(allow, s - np.where(np.isneginf(top), 0, top), 0)), 0)
    total = e.sum(axis, keepdims=True)
    return e / np.where(total == 0, 1, total)


def attention(
    *,
    default: Part = default_scale,
    masks: Part = masks,
    scores: Part = scores,
    weights: Part = weights,
    tensors: Part = lambda q, k, v: (q, k, v),
    mix: Part = np.matmul,
) -> Kernel:
    """``tensors`` sees q, k, v first; ``weights`` gets scores with the bias added; ``mix`` gets weights and values."""

    def kernel(q: Any, k: Any, v: Any, *, causal: bool = False, mask: Any = None, scale: Any = None) -> Any:
        kept = v.dtype
        q, k, v = tensors(*wide(q, k, v))
        allow, bias = masks(mask, causal, q.shape[-2], k.shape[-2])
        s = scores(q, k, default(q) if scale is None else scale) + bias.astype(q.dtype)
        return np.asarray(mix(weights(s, np.broadcast_to(allow, s.shape)), v)).astype(kept)

    return kernel


# -- heads and blocks -----------------------------------------------------------------------------------------------------------------


def split(x: Any, heads: int) -> Any:
    return np.swapaxes(x.reshape(*x.shape[:-1], heads, x.shape[-1] // heads), -2, -3)


def join(x: Any) -> Any:
    heads, n, f = x.shape[-3:]
    return np.swapaxes(x, -2, -3).reshape(*x.shape[:-3], n, heads * f)


def project(x: Any, w_q: Any, w_k: Any, w_v: Any) -> tuple[Any, Any, Any]:
    return x @ w_q, x @ w_k, x @ w_v


def multi_head(
    *,
    project: Part = project,
    split: Part = split,
    join: Part = join,
    attend: Kernel | None = None,
    out: Part = np.matmul,
    per_head: Part = lambda q, k, v: (q, k, v),
) -> Kernel:
    """``per_head`` sees q, k, v with the axis of heads; ``attend`` is an attention kernel."""
    inner = attend or attention()

    def kernel(
        x: Any, w_q: Any, w_k: Any, w_v: Any, w_o: Any, *, n_heads: int, causal: bool = False, mask: Any = None
    ) -> Any:
        kept = x.dtype
        x, w_q, w_k, w_v, w_o = wide(x, w_q, w_k, w_v, w_o)
        if mask is not None and mask.ndim > 2:
            mask = mask[..., None, :, :]
        parts = per_head(*(split(part, n_heads) for part in project(x, w_q, w_k, w_v)))
        return np.asarray(out(join(inner(*parts, causal=causal, mask=mask)), w_o)).astype(kept)

    return kernel


ACTIVATIONS: dict[str, Part] = {
    "relu": lambda x: np.maximum(x, 0),
    "gelu": lambda x: x * (1 + erf(x * math.sqrt(0.5)).astype(x.dtype)) / 2,
    "gelu_tanh": lambda x: x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))) / 2,
    "silu": lambda x: x * expit(x).astype(x.dtype),
}


def elementwise(function: Part) -> Kernel:
    """An activation of the phase ``activation``."""
    return lambda x: np.asarray(function(*wide(x))).astype(x.dtype)


def feed_forward(*, act: Part = ACTIVATIONS["relu"], first: Part | None = None, second: Part | None = None) -> Kernel:
    """``first`` makes the hidden units, ``second`` the result from them."""

    def kernel(x: Any, w1: Any, b1: Any, w2: Any, b2: Any) -> Any:
        kept = x.dtype
        x, w1, b1, w2, b2 = wide(x, w1, b1, w2, b2)
        hidden = act(x @ w1 + b1) if first is None else first(x, w1, b1)
        return np.asarray(hidden @ w2 + b2 if second is None else second(hidden, w2, b2)).astype(kept)

    return kernel


# -- rows ---------------------------------------------------------------------------------------------------------------------------------


def softmax(function: Part) -> Kernel:
    """A softmax from a function on a float array whose last axis is not empty."""
    return lambda x: np.asarray(function(*wide(x))).astype(x.dtype) if x.shape[-1] else x.copy()


def layer_norm(
    *,
    mean: Part = lambda x: x.mean(-1, keepdims=True),
    variance: Part = lambda y, x: (y * y).mean(-1, keepdims=True),
    root: Part = lambda s, eps: np.sqrt(s + eps),
    affine: Part = lambda y, gain, bias: y * gain + bias,
) -> Kernel:
    """``variance`` gets the deviations, and the row itself."""

    def kernel(x: Any, gain: Any, bias: Any, *, eps: float = 1e-5) -> Any:
        if not x.shape[-1]:
            return x.copy()
        kept = x.dtype
        x, gain, bias = wide(x, gain, bias)
        deviation = x - mean(x)
        divisor = root(variance(deviation, x), x.dtype.type(eps))
        return affine(deviation / divisor, gain, bias).astype(kept)

    return kernel


def rms_norm(
    *,
    square: Part = lambda x: (x * x).mean(-1, keepdims=True),
    root: Part = lambda s, eps: np.sqrt(s + eps),
    scaled: Part = lambda y, gain: y * gain,
    shift: Part = lambda x: x,
) -> Kernel:
    def kernel(x: Any, gain: Any, *, eps: float = 1e-5) -> Any:
        if not x.shape[-1]:
            return x.copy()
        kept = x.dtype
        x, gain = wide(x, gain)
        x = shift(x)
        return scaled(x / root(square(x), x.dtype.type(eps)), gain).astype(kept)

    return kernel


# -- tables -------------------------------------------------------------------------------------------------------------------------------


def angles(n: int, width: int, base: float, start: int) -> Any:
    """Position times frequency for every pair, in float64."""
    return (start + np.arange(n))[:, None] * float(base) ** (-2 * np.arange((width + 1) // 2) / max(width, 1))


def interleaved(sines: Any, cosines: Any, d: int) -> Any:
    out = np.empty((len(sines), d))
    out[:, 0::2], out[:, 1::2] = sines, cosines[:, : d // 2]
    return out


def positional(
    *,
    angles: Part = angles,
    layout: Part = interleaved,
    wave: tuple[Part, Part] = (np.sin, np.cos),
    dtype: Any = np.float32,
) -> Kernel:
    def kernel(n_positions: int, d_model: int, *, base: float = 10000.0, start: int = 0) -> Any:
        turned = angles(n_positions, d_model, base, start)
        return layout(wave[0](turned), wave[1](turned), d_model).astype(dtype)

    return kernel


def halves(x: Any) -> tuple[Any, Any]:
    half = x.shape[-1] // 2
    return x[..., :half], x[..., half:]


def rotary(
    *,
    angles: Part = angles,
    pairs: Part = halves,
    turn: Part = lambda a, b, c, s: (a * c - b * s, a * s + b * c),
    merge: Part = lambda a, b: np.concatenate([a, b], -1),
) -> Kernel:
    def kernel(x: Any, *, base: float = 10000.0, start: int = 0) -> Any:
        (y,) = wide(x)
        turned = angles(y.shape[-2], y.shape[-1], base, start)
        one, two = pairs(y)
        return merge(*turn(one, two, np.cos(turned).astype(y.dtype), np.sin(turned).astype(y.dtype))).astype(x.dtype)

    return kernel


def encoder_block(
    *, attend: Kernel | None = None, feed: Kernel | None = None, norm: Kernel | None = None, order: Part | None = None
) -> Kernel:
    """``order`` gets x, the two sub-layers and the two norms as functions of x: post-norm by default."""
    attend, feed, norm = attend or multi_head(), feed or feed_forward(), norm or layer_norm()

    def kernel(x: Any, params: Any, *, n_heads: int, causal: bool = False, mask: Any = None) -> Any:
        kept = x.dtype
        (x,) = wide(x)
        p = {name: wide(value)[0] for name, value in params.items()}
        layers = (
            lambda y: attend(y, p["w_q"], p["w_k"], p["w_v"], p["w_o"], n_heads=n_heads, causal=causal, mask=mask),
            lambda y: feed(y, p["w1"], p["b1"], p["w2"], p["b2"]),
            lambda y: norm(y, p["gain1"], p["bias1"]),
            lambda y: norm(y, p["gain2"], p["bias2"]),
        )
        return (order or post_norm)(x, *layers).astype(kept)

    return kernel


def post_norm(x: Any, attend: Part, feed: Part, first: Part, second: Part) -> Any:
    y = first(x + attend(x))
    return second(y + feed(y))


def pre_norm(x: Any, attend: Part, feed: Part, first: Part, second: Part) -> Any:
    y = x + attend(first(x))
    return y + feed(second(y))
