"""Wrong gradient kernels, one fault each: activations, the feed-forward, multi-head attention, the encoder block."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import erf, expit

from kernelproof.properties.mutants import parts
from kernelproof.properties.mutants.gradient_block_parts import encoder_block_vjp
from kernelproof.properties.mutants.gradient_parts import (
    SLOPES,
    activation_vjp,
    attention_vjp,
    feed_forward_vjp,
    flat,
    layer_norm_vjp,
    multi_head_vjp,
)
from kernelproof.properties.mutants.parts import Kernel, Wrong


def _activation(id: str, reference: str, name: str, function: Kernel, *names: str) -> Wrong:
    return Wrong(id, "activation.vjp", reference, function, names or ("matches_definition",), {"activation": name})


def _cubic_in_half(z: Any) -> Any:
    """The cubic as float16 computes it: infinite beyond 40, and then infinity times zero."""
    cube = (z.astype(np.float16) ** 3).astype(z.dtype)
    square = (z.astype(np.float16) ** 2).astype(z.dtype)
    root = z.dtype.type(math.sqrt(2 / math.pi))
    t = np.tanh(root * (z + z.dtype.type(0.044715) * cube))
    return (1 + t) / 2 + z * (1 - t * t) * root * (1 + z.dtype.type(3 * 0.044715) * square) / 2


def _slope_without_cubic(z: Any) -> Any:
    root = z.dtype.type(math.sqrt(2 / math.pi))
    t = np.tanh(root * (z + z.dtype.type(0.044715) * z * z * z))
    return (1 + t) / 2 + z * (1 - t * t) * root / 2


def _sigmoid_slope(z: Any) -> Any:
    s = expit(z)
    return s * (1 - s)


def _silu_sign(z: Any) -> Any:
    s = expit(z)
    return s * (1 - z * (1 - s))


ACTIVATION = (
    _activation("relu leaks", "own", "relu", activation_vjp(lambda z: np.where(z > 0, 1, 0.01).astype(z.dtype))),
    _activation(
        "relu by the sign of the gradient",
        "own",
        "relu",
        activation_vjp(lambda z: z, lambda s, g, x: np.maximum(g, 0)),
        "linear_in_grad_out",
    ),
    _activation("relu of the input", "own", "relu", activation_vjp(lambda z: z, lambda s, g, x: np.maximum(x, 0)), "linear_in_grad_out"),
    _activation("relu capped at six", "own", "relu", activation_vjp(lambda z: ((z > 0) & (z < 6)).astype(z.dtype)), "slope_on_a_grid"),
    _activation("gelu by the slope of tanh", "own", "gelu", activation_vjp(SLOPES["gelu_tanh"])),
    _activation(
        "gelu without the density",
        "own",
        "gelu",
        activation_vjp(lambda z: (1 + erf(z * z.dtype.type(math.sqrt(0.5)))) / 2),
    ),
    _activation("cubic in float16", "B58", "gelu_tanh", activation_vjp(_cubic_in_half), "slope_on_a_grid"),
    _activation("slope of the cubic left out", "own", "gelu_tanh", activation_vjp(_slope_without_cubic)),
    _activation("slope of the sigmoid", "own", "silu", activation_vjp(_sigmoid_slope), "gradient_reflection"),
    _activation("sign in the slope of silu", "own", "silu", activation_vjp(_silu_sign), "matches_definition"),
    _activation("slope in float16", "own", "silu", activation_vjp(lambda z: SLOPES["silu"](z).astype(np.float16).astype(z.dtype))),
)


def _feed(id: str, reference: str, function: Kernel, *names: str, name: str = "relu") -> Wrong:
    return Wrong(id, "feed_forward.vjp", reference, function, names or ("matches_definition",), {"activation": name})


def _first_axis_only(d: Any, da: Any, shape: tuple[int, ...]) -> Any:
    """Summed over the first axis that the tokens had."""
    return d.reshape((*shape[:-1], d.shape[-1])).sum(0) if len(shape) > 1 else d.sum(0)


FEED_FORWARD = (
    _feed("slope left out", "own", feed_forward_vjp("gelu", through=lambda da, s: da), name="gelu"),
    _feed("slope left out of dx", "own", feed_forward_vjp("silu", to_tokens=lambda dz, w1, da: da @ w1.T), "dx_dw1", name="silu"),
    _feed(
        "slope at the activated units",
        "own",
        feed_forward_vjp("gelu", slope=lambda z: SLOPES["gelu"](parts.ACTIVATIONS["gelu"](z))),
        name="gelu",
    ),
    _feed("slope of another activation", "own", feed_forward_vjp("gelu", slope=SLOPES["silu"]), name="gelu"),
    _feed(
        "db1 before the slope", "own", feed_forward_vjp(to_bias=lambda d, da, shape: (d if da is None else da).sum(0)), "matches_definition"
    ),
    _feed("biases over the first axis only", "B36", feed_forward_vjp(to_bias=_first_axis_only), "shape_and_dtype"),
    _feed("biases a mean", "own", feed_forward_vjp(to_bias=lambda d, da, shape: d.mean(0)), "batch_independent"),
    _feed("dw1 a mean over the tokens", "own", feed_forward_vjp(to_weights=lambda x, dz: x.T @ dz / max(1, len(x))), "dx_dw1"),
    _feed(
        "dw2 from the units before the activation",
        "own",
        feed_forward_vjp("silu", narrow=lambda a, g, z: z.T @ g),
        "dw2_output",
        name="silu",
    ),
    _feed("bias left out of the recomputed units", "own", feed_forward_vjp(hidden=lambda x, w1, b1: x @ w1)),
    _feed("dw1 of the first token", "own", feed_forward_vjp(to_weights=lambda x, dz: x[:1].T @ dz[:1]), "batch_independent", "dx_dw1"),
    _feed(
        "dw1 and dw2 exchanged where they fit",
        "own",
        feed_forward_vjp(
            given=lambda dx, dw1, db1, dw2, db2: (dx, dw2, db1, dw1, db2) if dw1.shape == dw2.shape else (dx, dw1, db1, dw2, db2)
        ),
        "matches_definition",
    ),
)


def _heads(id: str, function: Kernel, *names: str) -> Wrong:
    return Wrong(id, "multi_head_attention.vjp", "own", function, names or ("matches_definition",))


def _unscaled(q: Any, heads: int = 1) -> float:
    return 1.0


MULTI_HEAD = (
    _heads("dx through the queries alone", multi_head_vjp(to_tokens=lambda dq, dk, dv, w_q, w_k, w_v: dq @ w_q.T)),
    _heads("dx without the keys", multi_head_vjp(to_tokens=lambda dq, dk, dv, w_q, w_k, w_v: dq @ w_q.T + dv @ w_v.T)),
    _heads("dw_q and dw_k exchanged", multi_head_vjp(given=lambda dx, q, k, v, o: (dx, k, q, v, o))),
    _heads("dw_o from the tokens", multi_head_vjp(out_weights=lambda a, g, x: flat(x).T @ flat(g))),
    _heads(
        "weights of the first of a batch",
        multi_head_vjp(to_weights=lambda x, d: flat(x[:1] if x.ndim > 2 else x).T @ flat(d[:1] if d.ndim > 2 else d)),
        "batch_independent",
    ),
    _heads(
        "dw_o a mean over the tokens",
        multi_head_vjp(out_weights=lambda a, g, x: flat(a).T @ flat(g) / max(1, len(flat(a)))),
        "batch_independent",
    ),
    _heads("heads joined in the wrong order", multi_head_vjp(join=lambda x: parts.join(x[..., ::-1, :, :]))),
    _heads("unscaled", multi_head_vjp(attend=attention_vjp(default=_unscaled))),
    _heads("delta left out", multi_head_vjp(attend=attention_vjp(score_slope=lambda p, slope, mean: p * slope))),
    _heads(
        "causality forgotten going back",
        multi_head_vjp(attend=attention_vjp(masks=lambda mask, causal, n, m: parts.masks(mask, False, n, m))),
        "earlier_results_do_not_matter",
    ),
    _heads("dx of the transposed weights", multi_head_vjp(to_tokens=lambda dq, dk, dv, w_q, w_k, w_v: dq @ w_q + dk @ w_k + dv @ w_v)),
)


def _block(id: str, function: Kernel, *names: str, norm: str = "post") -> Wrong:
    return Wrong(id, "encoder_block.vjp", "own", function, names or ("matches_definition",), {"norm": norm})


BLOCK = (
    _block("residual past attention lost", encoder_block_vjp(past_attention=0.0)),
    _block("residual past the feed-forward lost", encoder_block_vjp(past_feed=0.0)),
    _block("residual past attention twice", encoder_block_vjp("pre", past_attention=2.0), norm="pre"),
    _block("residual past the feed-forward lost, pre-norm", encoder_block_vjp("pre", past_feed=0.0), norm="pre"),
    _block("post-norm for pre-norm", encoder_block_vjp("post"), norm="pre"),
    _block(
        "gain gradients exchanged",
        encoder_block_vjp(given=lambda dx, found: (dx, {**found, "gain1": found["gain2"], "gain2": found["gain1"]})),
    ),
    _block(
        "weights' gradients not given",
        encoder_block_vjp(given=lambda dx, found: (dx, {name: found[name] for name in ("w1", "w2")})),
        "shape_and_dtype",
    ),
    _block(
        "norms pulled back without their projection",
        encoder_block_vjp(pull_norm=layer_norm_vjp(pull=lambda row, h, root: (row - row.mean(-1, keepdims=True)) / root)),
    ),
    _block("queries alone going back", encoder_block_vjp(attend=multi_head_vjp(to_tokens=lambda dq, dk, dv, w_q, w_k, w_v: dq @ w_q.T))),
    _block("feed-forward without its slope", encoder_block_vjp(feed=feed_forward_vjp(through=lambda da, s: da))),
)

WRONG = (*ACTIVATION, *FEED_FORWARD, *MULTI_HEAD, *BLOCK)
