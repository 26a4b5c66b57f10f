"""From a call in the contract's words to the formal parameters of the definition: sizes, scalars, masks.

What it does: what the first lines of a generated kernel do, written apart from them for the reference, so that a slip in one shows
against the other. Conventions: causal top left unless the variant says otherwise, boolean masks True = may attend, floating masks added
with -inf hiding, scale 1/√d (1 for d = 0).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kernelproof.numeric.rounding import Array

Tensors = Mapping[str, Array]
Options = Mapping[str, Any]


@dataclass(frozen=True)
class Formal:
    """Sizes and inputs of the definition, and the shape of the result.

    Where ``undefined``, along the leading axes and the rows of the result, the convention is NaN: nothing is claimed there.
    ``roundings`` says of inputs that a kernel computes for itself by how many roundings of their size they may be off.
    """

    sizes: dict[str, int]
    inputs: dict[str, Array | float]
    shape: tuple[int, ...]
    roundings: dict[str, Array] = field(default_factory=dict)
    undefined: Array | None = None


def formal(phase: str, variant: Options, tensors: Tensors, options: Options) -> Formal:
    """The formal parameters of a call with these tensors and keyword options."""
    return _READERS[phase](variant, tensors, options)


#: variants whose definition has the axis of heads
HEADED = ("grouped_query", "sinks", "alibi")
#: roundings of an ALiBi bias: of the slope, which is a power, and of slope times distance
SLOPE_ROUNDINGS = 8.0


def masks(options: Options, n: int, m: int, variant: Options | None = None) -> tuple[Array, Array]:
    """(allow, bias) of the options ``causal`` and ``mask``, and of the alignment and the window of a variant."""
    chosen = variant or {}
    allow, bias = np.ones((n, m), dtype=bool), np.zeros((n, m))
    mask = options.get("mask")
    if mask is not None:
        mask = np.asarray(mask)
        mask = mask.reshape((1,) * max(2 - mask.ndim, 0) + mask.shape)
        if mask.dtype == np.bool_:
            allow = allow & mask
        else:
            wide = mask.astype(np.float64)
            hidden = np.isneginf(wide)
            allow, bias = allow & ~hidden, np.where(hidden, 0, wide) + bias
    ahead = distances(n, m, chosen)
    if options.get("causal"):
        allow = allow & (ahead <= 0)
    if chosen.get("window") is not None:
        allow = allow & (ahead <= 0) & (ahead > -chosen["window"])
    return allow, bias


def placed(variant: Options, options: Options) -> Options:
    """The variant of a call: after earlier keys the last query stands at the last key."""
    return variant if options.get("past_k") is None else {**variant, "causal_alignment": "bottom_right"}


def distances(n: int, m: int, variant: Options) -> Array:
    """How many keys the key j stands after the query i: j − i, or with the last of both at one place."""
    offset = m - n if variant.get("causal_alignment") == "bottom_right" else 0
    return np.asarray(np.arange(m)[None, :] - np.arange(n)[:, None] - offset)


def slopes(count: int, two: Any = 2.0) -> list[Any]:
    """The slopes of ALiBi: geometric for a power of two of heads; else those, then every other one of twice as many."""
    if count == 0:
        return []
    power = 1
    while 2 * power <= count:
        power *= 2
    if power == count:
        return [two ** (two * -4 * (head + 1) / count) for head in range(count)]
    return slopes(power, two) + slopes(2 * power, two)[0::2][: count - power]


def alibi(heads: int, n: int, m: int, variant: Options, two: Any = 2.0) -> Array:
    """slope·(j − i) for each head. ``two`` is the number 2 to compute with."""
    return np.array([slope * distances(n, m, variant) for slope in slopes(heads, two)]).reshape((heads, n, m))


def frequencies(variant: Options, width: int) -> float:
    """``steps`` of the positional encoding."""
    return width / 2 if variant["denominator"] == "paper" else float(max(width // 2 - 1, 1))


def _embedding(variant: Options, tensors: Tensors, options: Options) -> Formal:
    ids, table = tensors["ids"], tensors["table"]
    sizes = {"n": ids.size, "vocab": table.shape[0], "d": table.shape[1]}
    return Formal(sizes, {"ids": ids.reshape(-1), "table": table}, (*ids.shape, table.shape[1]))


def _positional(variant: Options, tensors: Tensors, options: Options) -> Formal:
    given = {**tensors, **options}
    n, width = (int(np.asarray(given[name])) for name in ("n_positions", "d_model"))
    sizes = {"n": n, "sines": (width + 1) // 2, "cosines": width // 2}
    scalars: dict[str, Array | float] = {
        "base": float(options.get("base", 10000.0)), "start": float(options.get("start", 0)), "steps": frequencies(variant, width),
    }
    return Formal(sizes, scalars, (n, width))


def _softmax(variant: Options, tensors: Tensors, options: Options) -> Formal:
    x = tensors["x"]
    return Formal({"n": x.shape[-1]}, {"x": x}, x.shape)


def _attention(variant: Options, tensors: Tensors, options: Options) -> Formal:
    q, k, v = (tensors[name] for name in "qkv")
    past = options.get("past_k") is not None
    if past:
        k, v = (np.concatenate([np.asarray(options[f"past_{name}"]), tensors[name]], axis=-2) for name in "kv")
        variant = placed(variant, options)
    (n, d), (m, e) = q.shape[-2:], v.shape[-2:]
    allow, bias = masks(options, n, m, variant)
    scale = options.get("scale")
    scale = (1 / math.sqrt(d) if d else 1.0) if scale is None else float(scale)
    sizes = {"n": n, "m": m, "d": d, "e": e}
    inputs: dict[str, Array | float] = {"q": q, "k": k, "v": v, "scale": scale}
    if variant.get("rotary"):
        sizes, inputs = {"n": n, "m": m, "h": d // 2, "e": e}, {**inputs, "base": 10000.0, "past": float(m - n) if past else 0.0}
    if variant.get("softcap") is not None:
        inputs["cap"] = float(variant["softcap"])
    if any(variant.get(name) for name in HEADED):
        heads, count = k.shape[-3], q.shape[-3]
        lead = (*np.broadcast_shapes(q.shape[:-3], k.shape[:-3], v.shape[:-3], allow.shape[:-3]), count)
        allow, bias = (np.broadcast_to(part, (*part.shape[:-3], count, n, m)) for part in (allow, bias))
        sizes |= {"heads": heads} | ({"group": count // heads if heads else 1} if variant.get("grouped_query") else {})
        inputs |= {"sinks": tensors["sinks"]} if variant.get("sinks") else {}
    else:
        lead = np.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2], allow.shape[:-2])
    roundings = {}
    if variant.get("alibi"):
        added = alibi(lead[-1], n, m, variant)
        bias = bias + added
        roundings["bias"] = SLOPE_ROUNDINGS * np.abs(added) + np.abs(bias)
    none = np.asarray(~allow.any(axis=-1, keepdims=True)) if variant.get("fully_masked") == "nan" else None
    return Formal(sizes, {**inputs, "allow": allow, "bias": bias}, (*lead, n, e), roundings, none)


def _heads(tensors: Tensors, options: Options) -> tuple[dict[str, int], dict[str, Array | float]]:
    n, width = tensors["x"].shape[-2:]
    heads = int(options["n_heads"])
    allow, bias = masks(options, n, n)
    return {"n": n, "heads": heads, "f": width // heads}, {**tensors, "allow": allow, "bias": bias}


def _multi_head(variant: Options, tensors: Tensors, options: Options) -> Formal:
    sizes, inputs = _heads(tensors, options)
    return Formal(sizes, inputs, tensors["x"].shape)


def _encoder_block(variant: Options, tensors: Tensors, options: Options) -> Formal:
    sizes, inputs = _heads(tensors, options)
    return Formal({**sizes, "h": tensors["w1"].shape[1]}, {**inputs, "eps": 1e-5}, tensors["x"].shape)


def _feed_forward(variant: Options, tensors: Tensors, options: Options) -> Formal:
    x, w1 = tensors["x"], tensors["w1"]
    n = math.prod(x.shape[:-1])
    inputs: dict[str, Array | float] = {**tensors, "x": x.reshape((n, x.shape[-1]))}
    return Formal({"n": n, "d": x.shape[-1], "h": w1.shape[1]}, inputs, x.shape)


def _activation(variant: Options, tensors: Tensors, options: Options) -> Formal:
    x = tensors["x"]
    return Formal({"n": x.size}, {"x": x.reshape(-1)}, x.shape)


def _norm(variant: Options, tensors: Tensors, options: Options) -> Formal:
    x = tensors["x"]
    return Formal({"d": x.shape[-1]}, {**tensors, "eps": float(options.get("eps", 1e-5))}, x.shape)


def _rotary(variant: Options, tensors: Tensors, options: Options) -> Formal:
    x = tensors["x"]
    scalars = {"base": float(options.get("base", 10000.0)), "start": float(options.get("start", 0))}
    return Formal({"n": x.shape[-2], "h": x.shape[-1] // 2}, {"x": x, **scalars}, x.shape)


_READERS: dict[str, Callable[[Options, Tensors, Options], Formal]] = {
    "embedding": _embedding, "positional": _positional, "rotary": _rotary, "softmax": _softmax, "attention": _attention,
    "multi_head_attention": _multi_head, "feed_forward": _feed_forward, "activation": _activation, "layer_norm": _norm,
    "rms_norm": _norm, "encoder_block": _encoder_block,
}
