"""Right gradient kernels of the encoder block, assembled from those of its phases; and the right gradient kernel of any phase.

As ``gradient_parts.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kernelproof.properties.mutants import parts
from kernelproof.properties.mutants.gradient_parts import (
    SLOPES,
    activation_vjp,
    attention_vjp,
    embedding_vjp,
    feed_forward_vjp,
    in_dtype,
    interleaved,
    layer_norm_vjp,
    multi_head_vjp,
    rms_norm_vjp,
    rotary_vjp,
    softmax_vjp,
    woven,
)
from kernelproof.properties.mutants.parts import Kernel, Part, wide

NAMES = ("w_q", "w_k", "w_v", "w_o", "w1", "b1", "w2", "b2", "gain1", "bias1", "gain2", "bias2")
HEADS = NAMES[:4]


def encoder_block_vjp(
    norm: str = "post",
    *,
    attend: Kernel | None = None,
    feed: Kernel | None = None,
    pull_norm: Kernel | None = None,
    forward: Kernel | None = None,
    names: tuple[str, ...] = NAMES,
    past_attention: float = 1.0,
    past_feed: float = 1.0,
    given: Part = lambda dx, found: (dx, found),
) -> Kernel:
    """``past_attention`` and ``past_feed`` are factors of the gradients that residuals carry; ``feed`` pulls back through ``forward``."""
    heads, ffn, ln = attend or multi_head_vjp(), feed or feed_forward_vjp(), pull_norm or layer_norm_vjp()
    mha, feeding, norming = parts.multi_head(), forward or parts.feed_forward(), parts.layer_norm()

    def kernel(x: Any, params: Mapping[str, Any], grad_out: Any, *, n_heads: int, causal: bool = False, mask: Any = None) -> Any:
        dtype = x.dtype
        x, g = wide(x, grad_out)
        p = {name: wide(params[name])[0] for name in names}
        options = {"n_heads": n_heads, "causal": causal, "mask": mask}
        w, f = [p[name] for name in HEADS], [p[name] for name in names[4:-4]]
        one, two = (p["gain1"], p["bias1"]), (p["gain2"], p["bias2"])
        if norm == "post":
            a = x + mha(x, *w, **options)
            y = norming(a, *one)
            b = y + feeding(y, *f)
            db, dgain2, dbias2 = ln(b, *two, g)
            dy, *dfeed = ffn(y, *f, db)
            da, dgain1, dbias1 = ln(a, *one, dy + past_feed * db)
            dx, *dheads = heads(x, *w, da, **options)
            dx = dx + past_attention * da
        else:
            seen = norming(x, *one)
            y = x + mha(seen, *w, **options)
            fed = norming(y, *two)
            dfed, *dfeed = ffn(fed, *f, g)
            dy, dgain2, dbias2 = ln(y, *two, dfed)
            dy = dy + past_feed * g
            dseen, *dheads = heads(seen, *w, dy, **options)
            dx, dgain1, dbias1 = ln(x, *one, dseen)
            dx = dx + past_attention * dy
        found = dict(zip(names, in_dtype(dtype, *dheads, *dfeed, dgain1, dbias1, dgain2, dbias2), strict=True))
        return given(np.asarray(dx).astype(dtype), found)

    return kernel


def right_gradient(phase: str, variant: Mapping[str, object]) -> Kernel:
    """The kernel with nothing wrong, for a phase and a variant."""
    if (phase == "attention" and set(variant)) or variant.get("gated"):
        from kernelproof.properties.mutants import gradient_variants  # it is made of the parts here

        if phase == "attention":
            return gradient_variants.variant_vjp(variant)
        made_with = str(variant.get("activation", "silu"))
        gated = gradient_variants.gated_block_vjp(str(variant.get("norm", "post")), made_with)
        return gated if phase == "encoder_block" else gradient_variants.gated_vjp(made_with)
    name = str(variant.get("activation", "relu"))
    made: dict[str, Kernel] = {
        "softmax": softmax_vjp(),
        "attention": attention_vjp(),
        "multi_head_attention": multi_head_vjp(),
        "activation": activation_vjp(SLOPES[name]),
        "feed_forward": feed_forward_vjp(name),
        "layer_norm": layer_norm_vjp(),
        "rms_norm": rms_norm_vjp(),
        "embedding": embedding_vjp(),
        "rotary": rotary_vjp(pairs=interleaved, merge=woven) if variant.get("layout") == "interleaved" else rotary_vjp(),
    }
    if phase == "encoder_block":
        if name != "relu":
            raise ValueError(f"no right gradient of a block with {name}")
        return encoder_block_vjp(str(variant.get("norm", "post")))
    return made[phase]
