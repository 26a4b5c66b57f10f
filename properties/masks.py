"""Attention masks: what may be seen, as booleans or as numbers added to the scores.

Guarantees: a mask that is meant to mask does: every row of two keys or more allows at least one and forbids at least
one, unless the kind says that a row allows nothing. (A random mask over few keys is often all true, and then tests
nothing.)
Cannot see: what causality adds; a row may lose its last key to both together, which is meant.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernelproof.properties.values import Array, generator

#: simplest first; ``…_row`` has a row that allows nothing
MASK_KINDS = ("bool", "bool_row", "bool_all", "float_inf", "float_row", "float_bias", "float_mixed")
#: (n, m), (m,), (1, m), (…, n, m), (…, n, m) with all batch axes but the first of length 1, and without the first batch axis
MASK_SHAPES = ("nm", "m", "1m", "full", "first", "rest")
#: where heads are an axis of the scores: one mask for each of them, for all batch entries
HEAD_MASK = "heads"


def mask_shape(shape: str, batch: tuple[int, ...], queries: int, keys: int) -> tuple[int, ...]:
    """The shape of a mask for scores of shape ``(*batch, queries, keys)``."""
    if shape == "m":
        return (keys,)
    if shape == "1m":
        return (1, keys)
    if shape == "full":
        return (*batch, queries, keys)
    if shape == "first":
        return (*batch[:1], *(1 for _ in batch[1:]), queries, keys)
    if shape == "rest":
        return (*batch[1:], queries, keys)
    return (queries, keys)


def make_mask(kind: str, magnitude: float, shape: tuple[int, ...], dtype: Any, seed: int) -> Array:
    """A mask of ``shape``, whose last axis runs over the keys; the same arguments give the same bits."""
    g = generator(seed, "mask")
    if kind == "bool_all":
        return np.ones(shape, dtype=bool)
    allowed = _both_values_in_every_row(np.asarray(g.random(shape) < 0.5), g)
    if kind.endswith("_row") and allowed.size:
        rows = allowed.reshape(-1, shape[-1])
        rows[g.integers(0, len(rows))] = False
        allowed = rows.reshape(shape)
    if kind.startswith("bool"):
        return allowed
    bias = np.asarray(g.standard_normal(shape)) * magnitude
    if kind == "float_bias":
        return bias.astype(dtype)
    hidden = bias if kind == "float_mixed" else np.zeros(shape)
    return np.where(allowed, hidden, -np.inf).astype(dtype)


def _both_values_in_every_row(allowed: Array, g: np.random.Generator) -> Array:
    keys = allowed.shape[-1]
    if keys == 0:
        return allowed
    rows = allowed.reshape(-1, keys)
    index = np.arange(len(rows))
    seen = g.integers(0, keys, len(rows))
    if keys > 1:
        rows[index, (seen + g.integers(1, keys, len(rows))) % keys] = False
    rows[index, seen] = True
    return rows.reshape(allowed.shape)
