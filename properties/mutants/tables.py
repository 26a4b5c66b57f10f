"""Wrong embeddings, positional and rotary encodings, one fault each."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kernelproof.properties.mutants import parts
from kernelproof.properties.mutants.parts import Wrong, positional, rotary


def _padding_row(ids: Any, table: Any) -> Any:
    return np.where((ids == 0)[..., None], 0, table[ids]).astype(table.dtype)


def _per_call(frequency: parts.Part) -> parts.Part:
    """Angles from a function of column pair, width and base."""

    def angles(n: int, width: int, base: float, start: int) -> Any:
        i = np.arange((width + 1) // 2)
        with np.errstate(all="ignore"):
            return (start + np.arange(n))[:, None] * np.nan_to_num(frequency(i, max(width, 1), float(base)))

    return angles


def _doubled(i: Any, width: int, base: float) -> Any:
    return base ** (-4 * i / width)


def _half_minus_one(i: Any, width: int, base: float) -> Any:
    return base ** (-i / max(width // 2 - 1, 1))


def _swapped_power(i: Any, width: int, base: float) -> Any:
    return np.maximum(2 * i / width, 1e-3) ** (1 / base)


def _halved(i: Any, width: int, base: float) -> Any:
    return base ** (-i / width)


def _in_half(n: int, width: int, base: float, start: int) -> Any:
    return parts.angles(n, width, base, start).astype(np.float16).astype(np.float64)


def _positions_in_half(n: int, width: int, base: float, start: int) -> Any:
    """Whole numbers beyond 2048 collapse."""
    place = (start + np.arange(n)).astype(np.float16).astype(np.float64)[:, None]
    with np.errstate(all="ignore"):
        return np.nan_to_num(place * parts.angles(2, width, base, 0)[1:], posinf=0)


def _halves(sines: Any, cosines: Any, d: int) -> Any:
    return np.concatenate([sines, cosines], 1)[:, :d]


def _pairs(x: Any) -> tuple[Any, Any]:
    return x[..., 0::2], x[..., 1::2]


def _woven(a: Any, b: Any) -> Any:
    return np.stack([a, b], -1).reshape(*a.shape[:-1], 2 * a.shape[-1])


POSITIONAL = (
    Wrong(
        "exponent doubled",
        "positional",
        "B43",
        positional(angles=_per_call(_doubled)),
        ("offset_only", "matches_definition"),
    ),
    Wrong("sines and cosines in halves", "positional", "B44", positional(layout=_halves)),
    Wrong(
        "interleaved for halves",
        "positional",
        "B44",
        positional(),
        variant={"layout": "halves"},
    ),
    Wrong("half minus one", "positional", "B45", positional(angles=_per_call(_half_minus_one))),
    Wrong("half for half minus one", "positional", "B45", positional(), variant={"denominator": "half_minus_one"}),
    Wrong(
        "base 1000",
        "positional",
        "B46",
        positional(angles=lambda n, d, base, start: parts.angles(n, d, 1000.0, start)),
        ("offset_only",),
    ),
    Wrong(
        "starts at two",
        "positional",
        "B47",
        positional(angles=lambda n, d, base, start: parts.angles(n, d, base, start + 2)),
    ),
    Wrong(
        "start ignored",
        "positional",
        "B47",
        positional(angles=lambda n, d, base, start: parts.angles(n, d, base, 0)),
        ("rotation_sine",),
    ),
    Wrong("sine and cosine exchanged", "positional", "B48", positional(wave=(np.cos, np.sin))),
    Wrong("angles in float16", "positional", "B49", positional(angles=_in_half), ("offset_only",)),
    Wrong("positions in float16", "positional", "B49", positional(angles=_positions_in_half)),
    Wrong("base and exponent exchanged", "positional", "B50", positional(angles=_per_call(_swapped_power))),
    Wrong("frequencies of twice the width", "positional", "own", positional(angles=_per_call(_halved))),
    Wrong(
        "positions repeat after sixteen",
        "positional",
        "own",
        positional(angles=lambda n, *rest: parts.angles(16, *rest)[np.arange(n) % 16]),
    ),
    Wrong("two sines", "positional", "own", positional(wave=(np.sin, np.sin)), ("unit_norm",)),
)

EMBEDDING = (
    Wrong(
        "scaled by the root of the width",
        "embedding",
        "B40",
        lambda ids, table: table[ids] * table.dtype.type(math.sqrt(table.shape[-1])),
    ),
    Wrong("row zero is padding", "embedding", "B41", _padding_row, ("one_hot_is_gather", "vocabulary_relabelling")),
    Wrong("ids off by one", "embedding", "own", lambda ids, table: table[np.maximum(ids - 1, 0)]),
    Wrong(
        "table through float16",
        "embedding",
        "own",
        lambda ids, table: table[ids].astype(np.float16).astype(table.dtype),
    ),
    Wrong("ids modulo sixteen", "embedding", "own", lambda ids, table: table[(ids & 15) % max(len(table), 1)]),
    Wrong("tokens in reverse", "embedding", "own", lambda ids, table: table[ids[..., ::-1]], ("token_reindexing",)),
    Wrong(
        "only repetitions of the first id",
        "embedding",
        "own",
        lambda ids, table: table[ids] * (ids[..., None] == ids[..., :1, None]).astype(table.dtype),
    ),
)

ROTARY = (
    Wrong("interleaved pairs for halves", "rotary", "own", rotary(pairs=_pairs, merge=_woven)),
    Wrong("halves for interleaved pairs", "rotary", "own", rotary(), variant={"layout": "interleaved"}),
    Wrong("turned the other way", "rotary", "own", rotary(turn=lambda a, b, c, s: (a * c + b * s, b * c - a * s))),
    Wrong(
        "sign of one half lost",
        "rotary",
        "own",
        rotary(turn=lambda a, b, c, s: (a * c + b * s, a * s + b * c)),
        ("norm_kept",),
    ),
    Wrong("sine and cosine exchanged", "rotary", "B48", rotary(turn=lambda a, b, c, s: (a * s - b * c, a * c + b * s))),
    Wrong("start ignored", "rotary", "B47", rotary(angles=lambda n, d, base, start: parts.angles(n, d, base, 0))),
    Wrong(
        "positions from one",
        "rotary",
        "B47",
        rotary(angles=lambda n, d, base, start: parts.angles(n, d, base, start + 1)),
    ),
    Wrong("base ignored", "rotary", "own", rotary(angles=lambda n, d, base, start: parts.angles(n, d, 10000.0, start))),
    Wrong("exponent doubled", "rotary", "B43", rotary(angles=_per_call(_doubled))),
    Wrong("angles in float16", "rotary", "B49", rotary(angles=_in_half), ("offset_only",)),
    Wrong("halves left in the wrong order", "rotary", "own", rotary(merge=lambda a, b: np.concatenate([b, a], -1))),
    Wrong(
        "second half not turned", "rotary", "own", rotary(turn=lambda a, b, c, s: (a * c - b * s, b)), ("norm_kept",)
    ),
)

WRONG = (*EMBEDDING, *POSITIONAL, *ROTARY)
