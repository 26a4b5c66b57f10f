"""Small random calls of each phase in the contract's signature, for smoke checks; the real search is in ``properties``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kernelproof.numeric.formal import formal
from kernelproof.numeric.rounding import Array
from kernelproof.numeric.signature_variants import names_of

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
            sinks = (array(2),) if variant.get("sinks") else ()
            return (array(2, n, d), array(2, m, d), array(2, m, e), *sinks), causal
        case "multi_head_attention":
            return (array(2, n, d), *(array(d, d) for _ in range(4))), {"n_heads": HEADS, **causal}
        case "feed_forward":
            gate = (array(d, h),) if variant.get("gated") else ()
            return (array(n, d), array(d, h), array(h), *gate, array(h, d), array(d)), {}
        case "layer_norm":
            return (array(n, d), array(d), array(d)), {}
        case "rms_norm":
            return (array(n, d), array(d)), {}
        case "encoder_block":
            square = {name: array(d, d) for name in ("w_q", "w_k", "w_v", "w_o")}
            feed = {"w1": array(d, h), "b1": array(h), "w2": array(h, d), "b2": array(d)}
            norms = {name: array(d) for name in ("gain1", "bias1", "gain2", "bias2")}
            gates = {"w_gate": array(d, h)} if variant.get("gated") else {}
            return (array(n, d), {**square, **feed, **norms, **gates}), {"n_heads": HEADS, **causal}
    return (array(2, n, d),), {}


def with_gradient(
    phase: str, variant: Mapping[str, object], arguments: tuple[Any, ...], options: Mapping[str, Any], seed: int
) -> tuple[Any, ...]:
    """The arguments with a gradient of the result behind them, of the type that the result has."""
    given = dict(zip(names_of(phase, variant)[0], arguments, strict=True))
    tensors: dict[str, Array] = {**{name: value for name, value in given.items() if name != "params"}, **given.get("params", {})}
    shape = formal(phase, variant, tensors, options).shape
    kind = next(array.dtype for array in tensors.values() if array.dtype.kind not in "iu")
    return (*arguments, np.random.default_rng(seed + 1000).standard_normal(shape).astype(kind))
