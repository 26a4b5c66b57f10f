"""Wrong gradient kernels, one fault each: layer norm, RMS norm, the embedding, rotary positions."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernelproof.properties.mutants import parts
from kernelproof.properties.mutants.gradient_parts import (
    embedding_vjp,
    interleaved,
    layer_norm_vjp,
    projected,
    rms_norm_vjp,
    rotary_vjp,
    rows,
    scattered,
    woven,
)
from kernelproof.properties.mutants.parts import Kernel, Wrong

# -- norms --------------------------------------------------------------------------------------------------------------------------------


def _norm(id: str, reference: str, function: Kernel, *names: str) -> Wrong:
    return Wrong(id, "layer_norm.vjp", reference, function, names or ("matches_definition",))


def _one_pass(y: Any, x: Any) -> Any:
    return np.maximum((x * x).mean(-1, keepdims=True) - x.mean(-1, keepdims=True) ** 2, 0)


LAYER_NORM = (
    _norm(
        "mean of the gradient left in",
        "own",
        layer_norm_vjp(pull=lambda row, h, root: (row - h * (row * h).mean(-1, keepdims=True)) / root),
        "gradient_sum",
    ),
    _norm(
        "projection left out",
        "own",
        layer_norm_vjp(pull=lambda row, h, root: (row - row.mean(-1, keepdims=True)) / root),
        "gradient_normalised",
    ),
    _norm("only divided by the root", "own", layer_norm_vjp(pull=lambda row, h, root: row / root), "gradient_sum"),
    _norm("not divided by the root", "own", layer_norm_vjp(pull=lambda row, h, root: projected(row, h, 1)), "gradient_input"),
    _norm("gain left out of dx", "B67", layer_norm_vjp(row=lambda g, gain: g), "gradient_input", "matches_definition"),
    _norm("dgain from the row itself", "own", layer_norm_vjp(to_gain=lambda g, h, x: (g * x).sum(rows(g))), "gradient_input"),
    _norm(
        "dbias over the first axis only", "B36", layer_norm_vjp(to_bias=lambda g, gain: g.sum(0) if g.ndim > 1 else g), "shape_and_dtype"
    ),
    _norm(
        "dgain over the first axis only",
        "B36",
        layer_norm_vjp(to_gain=lambda g, h, x: (g * h).sum(0) if g.ndim > 1 else g * h),
        "shape_and_dtype",
    ),
    _norm("dgain a mean over the rows", "own", layer_norm_vjp(to_gain=lambda g, h, x: (g * h).mean(rows(g))), "batch_independent"),
    _norm("dbias with the gain", "own", layer_norm_vjp(to_bias=lambda g, gain: (g * gain).sum(rows(g)))),
    _norm("eps ignored", "B64", layer_norm_vjp(root=lambda s, eps: np.sqrt(s + s.dtype.type(1e-5)))),
    _norm("variance with ddof=1", "B65", layer_norm_vjp(variance=lambda y, x: (y * y).sum(-1, keepdims=True) / max(1, x.shape[-1] - 1))),
    _norm("variance in one pass", "B68", layer_norm_vjp(variance=_one_pass)),
    _norm("dgain and dbias exchanged", "own", layer_norm_vjp(given=lambda dx, dgain, dbias: (dx, dbias, dgain))),
    _norm(
        "bias gradient of one row",
        "own",
        layer_norm_vjp(to_bias=lambda g, gain: g.reshape(-1, g.shape[-1])[:1].sum(0)),
        "batch_independent",
    ),
)


def _rms(id: str, function: Kernel, *names: str) -> Wrong:
    return Wrong(id, "rms_norm.vjp", "own", function, names or ("matches_definition",))


RMS_NORM = (
    _rms("projection left out", rms_norm_vjp(pull=lambda row, h, root: row / root), "gradient_input"),
    _rms("centred as in layer norm", rms_norm_vjp(pull=projected)),
    _rms("dgain not divided", rms_norm_vjp(to_gain=lambda g, h, x: (g * x).sum(rows(g))), "gradient_input"),
    _rms("gain left out of dx", rms_norm_vjp(row=lambda g, gain: g), "matches_definition"),
    _rms("eps outside the root", rms_norm_vjp(root=lambda s, eps: np.sqrt(s) + eps)),
    _rms(
        "dgain over the first axis only", rms_norm_vjp(to_gain=lambda g, h, x: (g * h).sum(0) if g.ndim > 1 else g * h), "shape_and_dtype"
    ),
)


# -- tables -------------------------------------------------------------------------------------------------------------------------------


def _embedding(id: str, reference: str, function: Kernel, *names: str) -> Wrong:
    return Wrong(id, "embedding.vjp", reference, function, names or ("matches_definition",))


def _overwritten(ids: Any, g: Any, table: Any) -> Any:
    out = np.zeros(table.shape, dtype=g.dtype)
    out[ids] = g
    return out


def _summed_in_half(ids: Any, g: Any, table: Any) -> Any:
    out = np.zeros(table.shape, dtype=np.float16)
    np.add.at(out, ids, g.astype(np.float16))
    return out.astype(g.dtype)


def _by_frequency(ids: Any, g: Any, table: Any) -> Any:
    return scattered(ids, g, table) / np.maximum(np.bincount(ids, minlength=len(table)), 1)[:, None]


def _first_row_sometimes(ids: Any, g: Any, table: Any) -> Any:
    """Row 0 counts as padding, but only below a number of tokens."""
    out = scattered(ids, g, table)
    if len(ids) <= 16:
        out[0] = 0
    return out


def _duplicates_lost(ids: Any, g: Any, table: Any) -> Any:
    """Tokens are taken in pairs; the second of an equal pair is lost."""
    kept = np.ones(len(ids), dtype=bool)
    kept[1::2] = ids[1::2] != ids[: len(ids) // 2 * 2 : 2]
    return scattered(ids[kept], g[kept], table)


EMBEDDING = (
    _embedding("later tokens overwrite", "own", embedding_vjp(_overwritten), "column_sums"),
    _embedding("equal neighbours lost", "own", embedding_vjp(_duplicates_lost), "column_sums"),
    _embedding("summed in float16", "own", embedding_vjp(_summed_in_half), "column_sums"),
    _embedding("scaled by frequency", "own", embedding_vjp(_by_frequency), "column_sums"),
    _embedding("row 0 zeroed below a number of tokens", "B42", embedding_vjp(_first_row_sometimes), "column_sums", "pairing"),
    _embedding("last token dropped", "own", embedding_vjp(lambda ids, g, table: scattered(ids[:-1], g[:-1], table)), "column_sums"),
    _embedding(
        "gradient with respect to the rows picked",
        "own",
        lambda ids, table, grad_out: (grad_out.copy(),),
        "shape_and_dtype",
    ),
)


def _rotary(id: str, function: Kernel, *names: str, layout: str = "halves") -> Wrong:
    return Wrong(id, "rotary.vjp", "own", function, names or ("matches_definition",), {"layout": layout})


ROTARY = (
    _rotary("turned forward again", rotary_vjp(sign=1.0), "turned_back"),
    _rotary("not turned", lambda x, grad_out, *, base=10000.0, start=0: (grad_out.copy(),), "turned_back"),
    _rotary("layout interleaved", rotary_vjp(pairs=interleaved, merge=woven), "turned_back"),
    _rotary("layout halves", rotary_vjp(), "turned_back", layout="interleaved"),
    _rotary("start ignored", rotary_vjp(angles=lambda n, width, base, start: parts.angles(n, width, base, 0)), "turned_back"),
    _rotary("base ignored", rotary_vjp(angles=lambda n, width, base, start: parts.angles(n, width, 10000.0, start)), "turned_back"),
    _rotary(
        "first position wrong", rotary_vjp(angles=lambda n, width, base, start: parts.angles(n, width, base, start + 1)), "turned_back"
    ),
)

WRONG = (*LAYER_NORM, *RMS_NORM, *EMBEDDING, *ROTARY)
