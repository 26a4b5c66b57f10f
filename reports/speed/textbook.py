"""The phases as a textbook has them in NumPy: what a person would write who is not thinking of speed.

Whole arrays, one operation after the other, everything in the type of the inputs. These are the slow side of the comparison, so they are
kept honest: no needless copies, no loops, the usual in-place shortcuts left out as people leave them out.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Any

import numpy as np

Array = Any  # an array; by NumPy's types most operators on arrays give Any


def softmax(x: Array) -> Array:
    """exp(x − max) over its sum, along the last axis."""
    exps = np.exp(x - x.max(axis=-1, keepdims=True))
    return exps / exps.sum(axis=-1, keepdims=True)


def attention_weights(q: Array, k: Array, causal: bool) -> Array:
    """softmax(q kᵀ / √d), −∞ above the diagonal where causal."""
    scores = q @ k.swapaxes(-1, -2) / np.float32(sqrt(q.shape[-1]))
    if causal:
        visible = np.tril(np.ones(scores.shape[-2:], dtype=bool))
        scores = np.where(visible, scores, np.float32(-np.inf))
    return softmax(scores)


def attention(q: Array, k: Array, v: Array, causal: bool = False) -> Array:
    """softmax(q kᵀ / √d) v."""
    return attention_weights(q, k, causal) @ v


def attention_vjp(q: Array, k: Array, v: Array, grad_out: Array, causal: bool = False) -> tuple[Array, Array, Array]:
    """Gradients in q, k and v, the weights computed anew."""
    scale = np.float32(1 / sqrt(q.shape[-1]))
    weights = attention_weights(q, k, causal)
    grad_v = weights.swapaxes(-1, -2) @ grad_out
    grad_weights = grad_out @ v.swapaxes(-1, -2)
    grad_scores = weights * (grad_weights - (grad_weights * weights).sum(axis=-1, keepdims=True)) * scale
    return grad_scores @ k, grad_scores.swapaxes(-1, -2) @ q, grad_v


def multi_head_attention(
    x: Array, w_q: Array, w_k: Array, w_v: Array, w_o: Array, *, n_heads: int, causal: bool = False
) -> Array:
    """Heads split from the columns of x w, put together again and times w_o."""
    *lead, n, d = x.shape

    def split(y: Array) -> Array:
        return y.reshape(*lead, n, n_heads, d // n_heads).swapaxes(-2, -3)

    out = attention(split(x @ w_q), split(x @ w_k), split(x @ w_v), causal)
    return out.swapaxes(-2, -3).reshape(*lead, n, d) @ w_o


def relu(x: Array) -> Array:
    """max(x, 0)."""
    return np.maximum(x, 0)


def gelu(x: Array) -> Array:
    """x Φ(x), by the error function."""
    from scipy.special import erf

    return np.float32(0.5) * x * (1 + erf(x / np.float32(sqrt(2))))


def feed_forward(x: Array, w1: Array, b1: Array, w2: Array, b2: Array, activation: str = "relu") -> Array:
    """activation(x w1 + b1) w2 + b2."""
    hidden = x @ w1 + b1
    return (gelu(hidden) if activation == "gelu" else relu(hidden)) @ w2 + b2


def layer_norm(x: Array, gain: Array, bias: Array, eps: float = 1e-5) -> Array:
    """(x − mean) / √(var + eps) · gain + bias, along the last axis."""
    mean = x.mean(axis=-1, keepdims=True)
    variance = x.var(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + np.float32(eps)) * gain + bias


def rms_norm(x: Array, gain: Array, eps: float = 1e-5) -> Array:
    """x / √(mean of squares + eps) · gain, along the last axis."""
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + np.float32(eps)) * gain


def layer_norm_vjp(x: Array, gain: Array, bias: Array, grad_out: Array, eps: float = 1e-5) -> tuple[Array, Array, Array]:
    """Gradients in x, gain and bias."""
    mean = x.mean(axis=-1, keepdims=True)
    deviation = np.sqrt(x.var(axis=-1, keepdims=True) + np.float32(eps))
    normed = (x - mean) / deviation
    scaled = grad_out * gain
    grad_x = (scaled - scaled.mean(axis=-1, keepdims=True) - normed * (scaled * normed).mean(axis=-1, keepdims=True)) / deviation
    axes = tuple(range(x.ndim - 1))
    return grad_x, (grad_out * normed).sum(axis=axes), grad_out.sum(axis=axes)


def feed_forward_vjp(x: Array, w1: Array, b1: Array, w2: Array, b2: Array, grad_out: Array) -> tuple[Array, ...]:
    """Gradients in x, w1, b1, w2 and b2, with relu."""
    hidden = x @ w1 + b1
    grad_hidden = grad_out @ w2.T * (hidden > 0)
    return grad_hidden @ w1.T, x.T @ grad_hidden, grad_hidden.sum(axis=0), relu(hidden).T @ grad_out, grad_out.sum(axis=0)


def positional(n_positions: int, d_model: int, start: int = 0) -> Array:
    """sin and cos of position / 10000^(2i/d), in float32 throughout, as most write it."""
    position = np.arange(start, start + n_positions, dtype=np.float32)[:, None]
    rate = np.exp(np.arange(0, d_model, 2, dtype=np.float32) * np.float32(-np.log(10000.0) / d_model))
    table = np.empty((n_positions, d_model), dtype=np.float32)
    table[:, 0::2] = np.sin(position * rate)
    table[:, 1::2] = np.cos(position * rate)
    return table


def rotary(x: Array) -> Array:
    """The two halves of the last axis turned by the angle of the position."""
    n, d = x.shape[-2:]
    rate = np.float32(10000.0) ** (-np.arange(0, d, 2, dtype=np.float32) / np.float32(d))
    angle = np.arange(n, dtype=np.float32)[:, None] * rate
    cos, sin = np.cos(angle), np.sin(angle)
    left, right = x[..., : d // 2], x[..., d // 2 :]
    return np.concatenate([left * cos - right * sin, right * cos + left * sin], axis=-1)


def embedding(ids: Array, table: Array) -> Array:
    """Rows of the table."""
    return table[ids]


def embedding_vjp(ids: Array, table: Array, grad_out: Array) -> tuple[Array]:
    """The gradient of the table: rows of grad_out added where their ids say."""
    grad = np.zeros_like(table)
    np.add.at(grad, ids, grad_out)
    return (grad,)


def encoder_block(x: Array, params: Mapping[str, Array], *, n_heads: int, causal: bool = False) -> Array:
    """The original block: attention and feed-forward, each added to its input and normed."""
    attended = multi_head_attention(x, *(params[name] for name in ("w_q", "w_k", "w_v", "w_o")), n_heads=n_heads, causal=causal)
    x = layer_norm(x + attended, params["gain1"], params["bias1"])
    fed = feed_forward(x, params["w1"], params["b1"], params["w2"], params["b2"])
    return layer_norm(x + fed, params["gain2"], params["bias2"])
