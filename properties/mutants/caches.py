"""Wrong attention kernels that take earlier keys and values, one fault each; without a cache they are right."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernelproof.properties.mutants import parts
from kernelproof.properties.mutants.parts import Kernel, Part, Wrong


def _behind(past: Any, new: Any) -> Any:
    return np.concatenate([past, new], -2)


def _bottom_right(n: int, m: int, earlier: int) -> int:
    return m - n


def _all(past: Any, new: Any, both: Any) -> Any:
    return both


def _same(mask: Any, earlier: int) -> Any:
    return mask


def cached(*, join: Part = _behind, offset: Part = _bottom_right, given: Part = _all, cut: Part = _same) -> Kernel:
    """``offset`` places the triangle, ``given`` is handed back of earlier, new and all keys or values, ``cut`` sees the mask."""

    def kernel(
        q: Any, k: Any, v: Any, *, causal: bool = False, mask: Any = None, scale: Any = None, past_k: Any = None, past_v: Any = None
    ) -> Any:
        if past_k is None:
            return parts.attention()(q, k, v, causal=causal, mask=mask, scale=scale)
        keys, values = join(past_k, k), join(past_v, v)
        earlier = past_k.shape[-2]

        def masks(mask: Any, causal: bool, n: int, m: int) -> tuple[Any, Any]:
            allow, bias = parts.masks(None if mask is None else cut(mask, earlier), False, n, m)
            return (allow & np.tri(n, m, offset(n, m, earlier), dtype=bool) if causal else allow), bias

        out = parts.attention(masks=masks)(q, keys, values, causal=causal, mask=mask, scale=scale)
        return out, given(past_k, k, keys), given(past_v, v, values)

    return kernel


def _opened(mask: Any, earlier: int) -> Any:
    """Nothing hides an earlier key."""
    if mask.shape[-1] == 1:
        return mask
    return np.concatenate([np.full_like(mask[..., :earlier], mask.dtype == bool), mask[..., earlier:]], -1)


WRONG = tuple(
    Wrong(name, "attention", "own", function, ("cache_agrees",), seen_by="cache_agrees")
    for name, function in {
        "earlier keys behind the new ones": cached(join=lambda past, new: np.concatenate([new, past], -2)),
        "causal top left beside a cache": cached(offset=lambda n, m, earlier: 0),
        "causal from the number of earlier keys": cached(offset=lambda n, m, earlier: earlier),
        "only the new keys given back": cached(given=lambda past, new, both: new),
        "mask not put on earlier keys": cached(cut=_opened),
    }.items()
)
