"""Wrong softmaxes, norms, activations and feed-forward layers, one fault each."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import expit

from kernelproof.properties.mutants import parts
from kernelproof.properties.mutants.parts import ACTIVATIONS, Wrong, elementwise, feed_forward, layer_norm, rms_norm, softmax


def _rows(x: Any, top: Any = None, axis: int = -1) -> Any:
    e = np.exp(x - (x.max(axis, keepdims=True) if top is None else top))
    return e / e.sum(axis, keepdims=True)


def _one_more(x: Any) -> Any:
    top = x.max(-1, keepdims=True)
    e = np.exp(x - top)
    return e / (e.sum(-1, keepdims=True) + np.exp(-top))


def _half_total(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True)).astype(np.float16)
    return e / e.sum(-1, keepdims=True, dtype=np.float16).astype(x.dtype)


def _first_block(x: Any) -> Any:
    """The sum is over sixteen entries at most."""
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e[..., :16].sum(-1, keepdims=True)


SOFTMAX = (
    Wrong(
        "softmax over the wrong axis",
        "softmax",
        "own",
        softmax(lambda x: _rows(x, axis=-2 if x.ndim > 1 else -1)),
        ("row_sum_one",),
    ),
    Wrong("no maximum subtracted", "softmax", "B01", softmax(lambda x: _rows(x, 0)), ("finite", "shift_invariance")),
    Wrong(
        "maximum of the whole array",
        "softmax",
        "own",
        softmax(lambda x: _rows(x, x.max(initial=-np.inf))),
        ("finite", "batch_independent"),
    ),
    Wrong("zeros", "softmax", "B20", softmax(np.zeros_like), ("row_sum_one",)),
    Wrong("implicit zero logit", "softmax", "B21", softmax(_one_more), ("row_sum_one", "shift_invariance")),
    Wrong("powers of two", "softmax", "own", softmax(lambda x: _rows(x * math.log(2)))),
    Wrong("scores clipped", "softmax", "own", softmax(lambda x: _rows(np.clip(x, -50, 50))), ("shift_invariance",)),
    Wrong("uniform weights", "softmax", "B19", softmax(lambda x: np.full_like(x, 1 / x.shape[-1]))),
    Wrong("sum of one block", "softmax", "own", softmax(_first_block), ("row_sum_one",)),
    Wrong("total in float16", "softmax", "own", softmax(_half_total), ("row_sum_one",)),
    Wrong("absolute scores", "softmax", "own", softmax(lambda x: _rows(abs(x))), ("shift_invariance",)),
)


def _one_pass(y: Any, x: Any) -> Any:
    return np.maximum((x * x).mean(-1, keepdims=True) - x.mean(-1, keepdims=True) ** 2, 0)


def _all_tokens(x: Any) -> tuple[int, ...]:
    return (-1, -2) if x.ndim > 1 else (-1,)


LAYER_NORM = (
    Wrong(
        "variance with ddof=1",
        "layer_norm",
        "B65",
        layer_norm(variance=lambda y, x: (y * y).sum(-1, keepdims=True) / max(1, x.shape[-1] - 1)),
        ("mean_square",),
    ),
    Wrong("eps omitted", "layer_norm", "B64", layer_norm(root=lambda s, eps: np.sqrt(s)), ("mean_square", "finite")),
    Wrong(
        "eps argument ignored",
        "layer_norm",
        "own",
        layer_norm(root=lambda s, eps: np.sqrt(s + s.dtype.type(1e-5))),
        ("scale_invariance",),
    ),
    Wrong("eps outside the root", "layer_norm", "own", layer_norm(root=lambda s, eps: np.sqrt(s) + eps)),
    Wrong(
        "square for root",
        "layer_norm",
        "B69",
        layer_norm(root=lambda s, eps: (s + eps) ** 2),
        ("scale_invariance", "mean_square"),
    ),
    Wrong("no root", "layer_norm", "own", layer_norm(root=lambda s, eps: s + eps), ("scale_invariance",)),
    Wrong(
        "over tokens and width",
        "layer_norm",
        "B66",
        layer_norm(
            mean=lambda x: x.mean(_all_tokens(x), keepdims=True),
            variance=lambda y, x: (y * y).mean(_all_tokens(x), keepdims=True),
        ),
        ("mean_zero", "batch_independent"),
    ),
    Wrong("gain and bias ignored", "layer_norm", "B67", layer_norm(affine=lambda y, gain, bias: y)),
    Wrong("bias ignored", "layer_norm", "B67", layer_norm(affine=lambda y, gain, bias: y * gain)),
    Wrong("gain plus one", "layer_norm", "own", layer_norm(affine=lambda y, gain, bias: y * (1 + gain) + bias)),
    Wrong("bias before gain", "layer_norm", "own", layer_norm(affine=lambda y, gain, bias: (y + bias) * gain)),
    Wrong(
        "mean not subtracted",
        "layer_norm",
        "B68",
        layer_norm(mean=lambda x: np.zeros_like(x[..., :1])),
        ("mean_zero", "shift_invariance"),
    ),
    Wrong(
        "variance in one pass",
        "layer_norm",
        "own",
        layer_norm(variance=_one_pass),
        ("shift_invariance", "matches_definition"),
    ),
    Wrong(
        "sum for mean",
        "layer_norm",
        "own",
        layer_norm(variance=lambda y, x: (y * y).sum(-1, keepdims=True)),
        ("mean_square",),
    ),
    Wrong(
        "sixteen columns only",
        "layer_norm",
        "own",
        layer_norm(mean=lambda x: x[..., :16].mean(-1, keepdims=True)),
        ("mean_zero",),
    ),
)

RMS_NORM = (
    Wrong("mean subtracted", "rms_norm", "B68", rms_norm(shift=lambda x: x - x.mean(-1, keepdims=True))),
    Wrong("eps omitted", "rms_norm", "B64", rms_norm(root=lambda s, eps: np.sqrt(s)), ("mean_square",)),
    Wrong("eps outside the root", "rms_norm", "own", rms_norm(root=lambda s, eps: np.sqrt(s) + eps)),
    Wrong(
        "eps argument ignored",
        "rms_norm",
        "own",
        rms_norm(root=lambda s, eps: np.sqrt(s + s.dtype.type(1e-5))),
        ("scale_invariance",),
    ),
    Wrong(
        "sum for mean", "rms_norm", "own", rms_norm(square=lambda x: (x * x).sum(-1, keepdims=True)), ("mean_square",)
    ),
    Wrong("gain ignored", "rms_norm", "B67", rms_norm(scaled=lambda y, gain: y)),
    Wrong("gain plus one", "rms_norm", "own", rms_norm(scaled=lambda y, gain: y * (1 + gain))),
    Wrong("gain twice", "rms_norm", "own", rms_norm(scaled=lambda y, gain: y * gain * gain)),
    Wrong(
        "over tokens and width",
        "rms_norm",
        "B66",
        rms_norm(square=lambda x: (x * x).mean(_all_tokens(x), keepdims=True)),
        ("batch_independent", "mean_square"),
    ),
)


def _quick(x: Any) -> Any:
    return x * expit(1.702 * x).astype(x.dtype)


def _cubic(coefficient: float) -> parts.Part:
    return lambda x: x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + coefficient * x * x * x))) / 2


def _saturating(x: Any) -> Any:
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)
    return x * (1 + 1.044 * np.tanh(inner)) / 2


def _no_factor(x: Any) -> Any:
    return ACTIVATIONS["gelu_tanh"](x) / np.where(x == 0, 1, x)


def _overflowing(x: Any) -> Any:
    return x * np.exp(x) / (1 + np.exp(x))


FUNCTIONS = (
    ("quick gelu", "B54", "gelu", _quick),
    ("relu for gelu", "B55", "gelu", ACTIVATIONS["relu"]),
    ("tanh form for gelu", "own", "gelu", ACTIVATIONS["gelu_tanh"]),
    ("gelu for the tanh form", "own", "gelu_tanh", ACTIVATIONS["gelu"]),
    ("gelu without its factor", "B56", "gelu_tanh", _no_factor),
    ("tanh saturates at 1.044", "B57", "gelu_tanh", _saturating),
    ("coefficient .44715", "B59", "gelu_tanh", _cubic(0.44715)),
    ("leaky relu", "own", "relu", lambda x: np.where(x > 0, x, x * x.dtype.type(0.01))),
    ("relu up to six", "own", "relu", lambda x: np.clip(x, 0, 6)),
    ("absolute value", "own", "relu", abs),
    ("gelu for silu", "own", "silu", ACTIVATIONS["gelu"]),
    ("silu overflows", "own", "silu", _overflowing),
    ("sigmoid", "B56", "silu", lambda x: expit(x)),
)
ACTIVATION = tuple(
    Wrong(
        name, "activation", reference, elementwise(function), ("matches_definition", "reflection", "finite"),
        variant={"activation": activation},
    )
    for name, reference, activation, function in FUNCTIONS
)


def _mixing(x: Any, w1: Any, b1: Any) -> Any:
    """Every token gets a little of the token before it."""
    hidden = np.maximum(x @ w1 + b1, 0)
    if hidden.ndim > 1 and hidden.shape[-2] > 1:
        hidden = hidden + np.roll(hidden, 1, -2) * hidden.dtype.type(0.01)
    return hidden


FEED_FORWARD = (
    Wrong("tokens mixed", "feed_forward", "own", feed_forward(first=_mixing), ("position_wise", "batch_independent")),
    *(
        Wrong(name, "feed_forward", reference, feed_forward(act=function), variant={"activation": activation})
        for name, reference, activation, function in FUNCTIONS[:9]
    ),
    Wrong(
        "first bias after the activation",
        "feed_forward",
        "B60",
        feed_forward(first=lambda x, w, b: np.maximum(x @ w, 0) + b),
        ("at_zero",),
    ),
    Wrong(
        "first bias omitted",
        "feed_forward",
        "B61",
        feed_forward(first=lambda x, w, b: np.maximum(x @ w, 0)),
        ("at_zero",),
    ),
    Wrong("second bias omitted", "feed_forward", "B61", feed_forward(second=lambda y, w, b: y @ w), ("at_zero",)),
    Wrong("second bias twice", "feed_forward", "own", feed_forward(second=lambda y, w, b: y @ w + b + b), ("at_zero",)),
    Wrong(
        "sixteen hidden units only",
        "feed_forward",
        "B62",
        feed_forward(second=lambda y, w, b: y[..., :16] @ w[:16] + b),
    ),
    Wrong(
        "sixty-four hidden units only",
        "feed_forward",
        "B62",
        feed_forward(second=lambda y, w, b: y[..., :64] @ w[:64] + b),
        ("hidden_permutation", "matches_definition"),
        profile="standard",
    ),
    Wrong(
        "activation at the end too",
        "feed_forward",
        "own",
        feed_forward(second=lambda y, w, b: np.maximum(y @ w + b, 0)),
    ),
    Wrong(
        "sums in float16",
        "feed_forward",
        "own",
        feed_forward(second=lambda y, w, b: (y.astype(np.float16) @ w.astype(np.float16)).astype(w.dtype) + b),
    ),
)

WRONG = (*SOFTMAX, *LAYER_NORM, *RMS_NORM, *ACTIVATION, *FEED_FORWARD)
