"""Wrong multi-head attention and encoder blocks, and kernels that handle memory wrongly, one fault each."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from kernelproof.properties.mutants import attention as wrong_attention
from kernelproof.properties.mutants import parts
from kernelproof.properties.mutants.attention import NO_LEAK
from kernelproof.properties.mutants.parts import Wrong, attention, encoder_block, feed_forward, layer_norm, multi_head


def _reshaped(x: Any, heads: int) -> Any:
    """Heads cut out of the rows instead of the columns."""
    return x.reshape(*x.shape[:-2], heads, x.shape[-2], x.shape[-1] // heads)


def _merged_without_transposing(x: Any) -> Any:
    heads, n, f = x.shape[-3:]
    return x.reshape(*x.shape[:-3], n, heads * f)


def _channels_first(x: Any) -> Any:
    """The joined channels in the order (channel, head)."""
    heads, n, f = x.shape[-3:]
    return np.moveaxis(x, -3, -1).reshape(*x.shape[:-3], n, heads * f)


def _first_head(q: Any, k: Any, v: Any) -> tuple[Any, Any, Any]:
    return q, np.broadcast_to(k[..., :1, :, :], k.shape), v


def _over_heads(s: Any, allow: Any) -> Any:
    return parts.weights(s, allow, -3)


def _own_masks(
    x: Any, w_q: Any, w_k: Any, w_v: Any, w_o: Any, *, n_heads: int, causal: bool = False, mask: Any = None
) -> Any:
    """A token whose features sum to zero is taken for padding."""
    real = (x.sum(-1) != 0)[..., None, :]
    if mask is None:
        mask = real
    elif mask.dtype == bool:
        mask = mask & real
    return multi_head()(x, w_q, w_k, w_v, w_o, n_heads=n_heads, causal=causal, mask=mask)


def _scaled_by_model(x: Any, w_q: Any, w_k: Any, w_v: Any, w_o: Any, *, n_heads: int, **options: Any) -> Any:
    scale = 1 / math.sqrt(x.shape[-1]) if x.shape[-1] else 1.0
    inner = attention(default=lambda q: scale)
    return multi_head(attend=inner)(x, w_q, w_k, w_v, w_o, n_heads=n_heads, **options)


MULTI_HEAD = (
    Wrong("scale of the model's width", "multi_head_attention", "B02", _scaled_by_model),
    Wrong("unscaled", "multi_head_attention", "B03", multi_head(attend=attention(default=lambda q: 1.0))),
    Wrong("all heads read the first", "multi_head_attention", "B18", multi_head(per_head=_first_head)),
    Wrong("heads not transposed", "multi_head_attention", "B25", multi_head(split=_reshaped)),
    Wrong(
        "heads merged without transposing", "multi_head_attention", "B25", multi_head(join=_merged_without_transposing)
    ),
    Wrong("heads woven", "multi_head_attention", "B25", multi_head(join=_channels_first)),
    Wrong("padding guessed from the values", "multi_head_attention", "B30", _own_masks),
    Wrong("softmax over the heads", "multi_head_attention", "own", multi_head(attend=attention(weights=_over_heads))),
    Wrong(
        "keys and values exchanged",
        "multi_head_attention",
        "own",
        multi_head(project=lambda x, q, k, v: (x @ q, x @ v, x @ k)),
    ),
    Wrong(
        "queries and keys exchanged",
        "multi_head_attention",
        "own",
        multi_head(project=lambda x, q, k, v: (x @ k, x @ q, x @ v)),
    ),
    Wrong(
        "weights transposed",
        "multi_head_attention",
        "own",
        multi_head(project=lambda x, q, k, v: (x @ q.T, x @ k.T, x @ v.T)),
    ),
    Wrong("last projection omitted", "multi_head_attention", "own", multi_head(out=lambda y, w: y)),
    Wrong("last projection transposed", "multi_head_attention", "own", multi_head(out=lambda y, w: y @ w.T)),
    Wrong(
        "causal ignored", "multi_head_attention", "own", multi_head(attend=attention(masks=wrong_attention.causal_ignored)), NO_LEAK
    ),
    Wrong(
        "mask inverted", "multi_head_attention", "B08", multi_head(attend=attention(masks=wrong_attention.inverted)), NO_LEAK
    ),
    Wrong(
        "sees the next token",
        "multi_head_attention",
        "B07",
        multi_head(attend=attention(masks=wrong_attention.triangle(1))),
        NO_LEAK,
    ),
    Wrong(
        "finite sentinel",
        "multi_head_attention",
        "B11",
        multi_head(attend=attention(weights=wrong_attention.sentinel)),
        NO_LEAK,
    ),
)


def _order(name: str) -> parts.Part:
    def order(x: Any, attend: Any, feed: Any, first: Any, second: Any) -> Any:
        y = first(x + attend(x))
        return {
            "no residual around attention": lambda: parts.post_norm(0 * x, lambda _: attend(x), feed, first, second),
            "no residual around feed-forward": lambda: second(feed(y)),
            "residual from the first input": lambda: second(x + feed(y)),
            "no last norm": lambda: y + feed(y),
            "feed-forward on the input": lambda: second(y + feed(x)),
            "norms exchanged": lambda: parts.post_norm(x, attend, feed, second, first),
            "first norm used twice": lambda: first(y + feed(y)),
        }[name]()

    return order


def _normed_residual(x: Any, attend: Any, feed: Any, first: Any, second: Any) -> Any:
    y = first(x)
    y = y + attend(y)
    z = second(y)
    return z + feed(z)


ORDERS = (
    "no residual around attention",
    "no residual around feed-forward",
    "residual from the first input",
    "no last norm",
    "feed-forward on the input",
    "norms exchanged",
    "first norm used twice",
)
BLOCKS = (
    Wrong(
        "pre-norm for post-norm",
        "encoder_block",
        "own",
        encoder_block(order=parts.pre_norm),
        ("mean_zero", "matches_definition"),
    ),
    Wrong("post-norm for pre-norm", "encoder_block", "own", encoder_block(), variant={"norm": "pre"}),
    Wrong(
        "residual from the normed input",
        "encoder_block",
        "harness",
        encoder_block(order=_normed_residual),
        variant={"norm": "pre"},
    ),
    *(Wrong(name, "encoder_block", "own", encoder_block(order=_order(name))) for name in ORDERS),
    Wrong("gelu for relu", "encoder_block", "B55", encoder_block(feed=feed_forward(act=parts.ACTIVATIONS["gelu"]))),
    Wrong(
        "first bias omitted",
        "encoder_block",
        "B61",
        encoder_block(feed=feed_forward(first=lambda x, w, b: np.maximum(x @ w, 0))),
    ),
    Wrong("eps of 1e-3", "encoder_block", "own", encoder_block(norm=partial(layer_norm(), eps=1e-3))),
    Wrong(
        "causal ignored",
        "encoder_block",
        "own",
        encoder_block(attend=multi_head(attend=attention(masks=wrong_attention.causal_ignored))),
    ),
    Wrong(
        "unscaled", "encoder_block", "B03", encoder_block(attend=multi_head(attend=attention(default=lambda q: 1.0)))
    ),
    Wrong(
        "heads merged without transposing",
        "encoder_block",
        "B25",
        encoder_block(attend=multi_head(join=_merged_without_transposing)),
    ),
)

# -- memory, types, layouts -----------------------------------------------------------------------------------------------------------


def _mutating(x: Any, gain: Any, bias: Any, *, eps: float = 1e-5) -> Any:
    """Right, and the caller's row is centred afterwards."""
    result = layer_norm()(x, gain, bias, eps=eps)
    if x.shape[-1]:
        x -= x.mean(-1, keepdims=True)
    return result


class _Buffered:
    """One result buffer for each shape."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, ...], Any] = {}

    def __call__(self, x: Any) -> Any:
        buffer = self._kept.setdefault(x.shape, np.empty_like(x))
        buffer[...] = parts.weights(x, np.True_) if x.shape[-1] else x
        return buffer


class _Remembering:
    """The result of the first call with a shape, for all later ones."""

    def __init__(self) -> None:
        self._kept: dict[Any, Any] = {}

    def __call__(self, x: Any, gain: Any) -> Any:
        kept: Any = self._kept.setdefault((*x.shape, str(x.dtype)), parts.rms_norm()(x, gain))
        return kept.copy()


def _contiguous(x: Any) -> Any:
    """Memory read as if it had no strides."""
    read = np.lib.stride_tricks.as_strided(x, x.shape, np.empty(x.shape, x.dtype).strides)
    return parts.ACTIVATIONS["relu"](read).astype(x.dtype)


def _double(ids: Any, table: Any) -> Any:
    return table[ids].astype(np.float64)


def _kept_axis(x: Any) -> Any:
    return parts.weights(x, np.True_)[None] if x.shape[-1] else x.copy()


def _no_rows(x: Any) -> Any:
    """Trips over an array without entries."""
    return parts.ACTIVATIONS["relu"](x - x.max() + x.max())


def _last_block(x: Any) -> Any:
    """Rows beyond the last whole block of sixteen are not written."""
    result = parts.weights(x, np.True_) if x.shape[-1] else x.copy()
    if result.ndim > 1 and result.shape[-2] > 16:
        result[..., result.shape[-2] // 16 * 16 :, :] = 0
    return result


def _first_entry_only(x: Any, gain: Any, *, eps: float = 1e-5) -> Any:
    """Of a batch only the first entry is computed."""
    result = parts.rms_norm()(x, gain, eps=eps)
    if result.ndim > 2:
        result[1:] = 0
    return result


MEMORY = (
    Wrong("input changed", "layer_norm", "own", _mutating, ("inputs_unchanged",)),
    Wrong("result buffer used again", "softmax", "own", _Buffered(), ("deterministic",)),
    Wrong("result remembered by shape", "rms_norm", "own", _Remembering(), ("deterministic",)),
    Wrong("strides ignored", "activation", "own", _contiguous, ("views_equal_copies",)),
    Wrong("result in float64", "embedding", "own", _double, ("shape_and_dtype",)),
    Wrong("one axis too many", "softmax", "own", _kept_axis, ("shape_and_dtype",)),
    Wrong("raises without entries", "activation", "own", _no_rows, ("shape_and_dtype",)),
    Wrong("last rows not written", "softmax", "own", _last_block, ("row_sum_one",)),
    Wrong("first of the batch only", "rms_norm", "own", _first_entry_only, ("batch_independent",)),
)

WRONG = (*MULTI_HEAD, *BLOCKS, *MEMORY)
