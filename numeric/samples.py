"""Small random calls of each phase in the contract's signature, for smoke checks; the real search is in ``properties``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kernelproof.numeric.rounding import Array

Make = Callable[..., Array]
HEADS = 2


def sample_call(phase: str, variant: Mapping[str, object], dtype: str, seed: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional arguments and keyword options."""
    rng = np.random.default_rng(seed)
    if dtype == "bfloat16":
        import ml_dtypes

        kind = np.dtype(ml_dtypes.bfloat16)
    else:
        kind = np.dtype(dtype)

    def array(*shape: int) -> Array:
        return rng.standard_normal(shape).astype(kind)

    n, m, h, e = (int(size) for size in rng.integers(1, 9, 4))
    d = 2 * HEADS * int(rng.integers(1, 4))
    causal = {"causal": bool(rng.integers(2))}
    match phase:
        case "embedding":
            return (rng.integers(0, m, (2, n)), array(m, d)), {}
        case "positional":
            return (n, d), {"start": int(rng.integers(1000))}
        case "attention":
            return (array(2, n, d), array(2, m, d), array(2, m, e)), causal
        case "multi_head_attention":
            return (array(2, n, d), *(array(d, d) for _ in range(4))), {"n_heads": HEADS, **causal}
        case "feed_forward":
            return (array(n, d), array(d, h), array(h), array(h, d), array(d)), {}
        case "layer_norm":
            return (array(n, d), array(d), array(d)), {}
        case "rms_norm":
            return (array(n, d), array(d)), {}
        case "encoder_block":
            square = {name: array(d, d) for name in ("w_q", "w_k", "w_v", "w_o")}
            feed = {"w1": array(d, h), "b1": array(h), "w2": array(h, d), "b2": array(d)}
            norms = {name: array(d) for name in ("gain1", "bias1", "gain2", "bias2")}
            return (array(n, d), {**square, **feed, **norms}), {"n_heads": HEADS, **causal}
    return (array(2, n, d),), {}
