"""Right kernels in the styles that people write them in: none of them may be convicted.

A style may round more often or in another order than the generated kernel; what it may not do is to lose digits that the definition
keeps. Masks, dtypes and empty axes as in the contract, from ``properties/mutants/parts.py``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import right_attention
import right_variants
import scipy.special

from kernelproof.properties.mutants import parts
from kernelproof.properties.mutants.parts import (
    Right,
    elementwise,
    encoder_block,
    feed_forward,
    layer_norm,
    positional,
    rms_norm,
    rotary,
    softmax,
)

# -- softmax ----------------------------------------------------------------------------------------------------------------------------


def _textbook(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _reciprocal(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e * (1 / e.sum(-1, keepdims=True))


def _in_sequence(x: Any) -> Any:
    """One sum, added from the left."""
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.cumsum(-1)[..., -1:]


def _online(x: Any) -> Any:
    """Blocks of eight, rescaled as the maximum grows."""
    top, total = np.full((*x.shape[:-1], 1), -np.inf, x.dtype), np.zeros((*x.shape[:-1], 1), x.dtype)
    for at in range(0, x.shape[-1], 8):
        block = x[..., at : at + 8]
        new = np.maximum(top, block.max(-1, keepdims=True))
        total = total * np.exp(top - new) + np.exp(block - new).sum(-1, keepdims=True)
        top = new
    return np.exp(x - top) / total


def _two_halves(y: Any, w: Any, b: Any) -> Any:
    """The hidden units in two blocks."""
    half = y.shape[-1] // 2
    return (y[..., :half] @ w[:half] + b) + y[..., half:] @ w[half:]


# -- norms ------------------------------------------------------------------------------------------------------------------------------


def _by_numpy(x: Any, gain: Any, bias: Any, *, eps: float = 1e-5) -> Any:
    if not x.shape[-1]:
        return x.copy()
    wide, g, b = parts.wide(x, gain, bias)
    centred = wide - np.mean(wide, -1, keepdims=True)
    return (centred * (1 / np.sqrt(np.var(wide, -1, keepdims=True) + wide.dtype.type(eps))) * g + b).astype(x.dtype)


def _layer_norm_in_double(x: Any, gain: Any, bias: Any, *, eps: float = 1e-5) -> Any:
    return layer_norm()(*(array.astype(np.float64) for array in (x, gain, bias)), eps=eps).astype(x.dtype)


def _welford(x: Any, gain: Any, bias: Any, *, eps: float = 1e-5) -> Any:
    """Mean and variance in one pass, updated entry by entry."""
    wide, g, b = parts.wide(x, gain, bias)
    mean, moment = np.zeros(x.shape[:-1], wide.dtype), np.zeros(x.shape[:-1], wide.dtype)
    for count in range(x.shape[-1]):
        step = wide[..., count] - mean
        mean = mean + step / wide.dtype.type(count + 1)
        moment = moment + step * (wide[..., count] - mean)
    root = np.sqrt(moment / max(1, x.shape[-1]) + wide.dtype.type(eps))
    return ((wide - mean[..., None]) / root[..., None] * g + b).astype(x.dtype)


def _by_norm(x: Any, gain: Any, *, eps: float = 1e-5) -> Any:
    if not x.shape[-1]:
        return x.copy()
    wide, g = parts.wide(x, gain)
    return (wide * g / np.sqrt(np.vecdot(wide, wide)[..., None] / wide.dtype.type(x.shape[-1]) + wide.dtype.type(eps))).astype(x.dtype)


# -- tables -----------------------------------------------------------------------------------------------------------------------------


def _exponential_recipe(dtype: Any) -> parts.Part:
    """Frequencies as exp(−2i·log(base)/d), angles in ``dtype``."""

    def angles(n: int, width: int, base: float, start: int) -> Any:
        pairs = np.arange(0, width, 2).astype(dtype)
        frequencies = np.exp(pairs * dtype(-math.log(base) / max(width, 1)))
        return (start + np.arange(n)).astype(dtype)[:, None] * frequencies

    return angles


def _power_recipe(dtype: Any) -> parts.Part:
    """Positions divided by base^(2i/d), in ``dtype``."""

    def angles(n: int, width: int, base: float, start: int) -> Any:
        exponents = np.arange(0, width, 2).astype(dtype) / dtype(max(width, 1))
        return (start + np.arange(n)).astype(dtype)[:, None] / dtype(base) ** exponents

    return angles


def _complex_turn(x: Any, *, base: float = 10000.0, start: int = 0) -> Any:
    """Pairs as complex numbers, multiplied by a unit."""
    (wide,) = parts.wide(x)
    one, two = parts.halves(wide)
    turned = (one + 1j * two) * np.exp(1j * parts.angles(x.shape[-2], x.shape[-1], base, start))
    return np.concatenate([turned.real, turned.imag], -1).astype(x.dtype)


def _rotate_half(x: Any, *, base: float = 10000.0, start: int = 0) -> Any:
    """x·cos + rotate_half(x)·sin, as in many models."""
    (wide,) = parts.wide(x)
    angle = np.tile(parts.angles(x.shape[-2], x.shape[-1], base, start), 2)
    one, two = parts.halves(wide)
    turned = wide * np.cos(angle).astype(wide.dtype) + np.concatenate([-two, one], -1) * np.sin(angle).astype(wide.dtype)
    return turned.astype(x.dtype)


def _one_hot(ids: Any, table: Any) -> Any:
    return (ids[..., None] == np.arange(len(table))).astype(table.dtype) @ table


def _joined(sines: Any, cosines: Any, d: int) -> Any:
    return np.concatenate([sines, cosines], 1)


def _pairs(x: Any) -> tuple[Any, Any]:
    return x[..., 0::2], x[..., 1::2]


def _woven(a: Any, b: Any) -> Any:
    return np.stack([a, b], -1).reshape(*a.shape[:-1], 2 * a.shape[-1])


ACTIVATIONS = {
    "relu": {"maximum": parts.ACTIVATIONS["relu"], "where": lambda x: np.where(x > 0, x, x.dtype.type(0))},
    "gelu": {
        "erf": parts.ACTIVATIONS["gelu"],
        "normal distribution": lambda x: x * scipy.special.ndtr(x).astype(x.dtype),
        "complementary": lambda x: x * scipy.special.erfc(-x * x.dtype.type(math.sqrt(0.5))) * x.dtype.type(0.5),
    },
    "gelu_tanh": {
        "tanh": parts.ACTIVATIONS["gelu_tanh"],
        "power": lambda x: 0.5 * x * (1 + np.tanh(x.dtype.type(math.sqrt(2 / math.pi)) * (x + x.dtype.type(0.044715) * x**3))),
    },
    "silu": {
        "expit": parts.ACTIVATIONS["silu"],
        "quotient": lambda x: x / (1 + np.exp(-x)),
        "two branches": lambda x: np.where(x >= 0, x / (1 + np.exp(-abs(x))), x * np.exp(-abs(x)) / (1 + np.exp(-abs(x)))),
    },
}

RIGHT = (
    *right_attention.RIGHT,
    *right_variants.RIGHT,
    Right("take", "embedding", lambda ids, table: np.take(table, ids, axis=0), wholly=True),
    Right("one-hot product", "embedding", _one_hot, dtypes=("float32", "float64", "float16")),  # NumPy gives float32 for bfloat16
    *(
        Right(f"{name} recipe in {dtype.__name__}", "positional", positional(angles=recipe(dtype)))
        for name, recipe in (("exponential", _exponential_recipe), ("power", _power_recipe))
        for dtype in (np.float32, np.float64)
    ),
    Right("result in float64", "positional", positional(dtype=np.float64), wholly=True),
    Right("halves", "positional", positional(layout=_joined), {"layout": "halves"}),
    Right("complex turn", "rotary", _complex_turn),
    Right("rotate half", "rotary", _rotate_half, wholly=True),
    Right("angles in float32", "rotary", rotary(angles=_power_recipe(np.float32)), dtypes=("float32", "float16", "bfloat16")),
    Right("interleaved", "rotary", rotary(pairs=_pairs, merge=_woven), {"layout": "interleaved"}),
    Right("textbook", "softmax", softmax(_textbook), wholly=True, standard=True),
    Right("reciprocal", "softmax", softmax(_reciprocal)),
    Right("summed in sequence", "softmax", softmax(_in_sequence)),
    Right("online", "softmax", softmax(_online)),
    Right("scipy", "softmax", softmax(lambda x: scipy.special.softmax(x, axis=-1))),
    *(
        Right(style, "activation", elementwise(function), {"activation": name})
        for name, styles in ACTIVATIONS.items()
        for style, function in styles.items()
    ),
    *(Right(name, "feed_forward", feed_forward(act=parts.ACTIVATIONS[name]), {"activation": name}) for name in parts.ACTIVATIONS),
    Right("two blocks of hidden units", "feed_forward", feed_forward(second=_two_halves), wholly=True),
    Right("two passes", "layer_norm", layer_norm()),
    Right("mean and var", "layer_norm", _by_numpy, wholly=True, standard=True),
    Right("Welford", "layer_norm", _welford),
    Right("float64 inside", "layer_norm", _layer_norm_in_double),
    Right("mean square", "rms_norm", rms_norm()),
    Right("norm", "rms_norm", _by_norm, wholly=True),
    Right("post-norm", "encoder_block", encoder_block(), wholly=True),
    Right("pre-norm", "encoder_block", encoder_block(order=parts.pre_norm), {"norm": "pre"}),
)
