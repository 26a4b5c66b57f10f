"""Calls that a kernel must refuse, by the checks of its own file.

What it does: for each phase a small good call and changes of it, one for each check of ``signatures``: wrong shapes, integers for
floats, numbers out of range. Cannot see: which words the file uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kernelproof.numeric.exact_calls import Call
from kernelproof.numeric.formal import HEADED
from kernelproof.numeric.rounding import Array
from kernelproof.numeric.signatures import PARAMS


def _f(*shape: int) -> Array:
    return np.zeros(shape, dtype=np.float32)


def _i(*shape: int) -> Array:
    return np.zeros(shape, dtype=np.int64)


def _b(*shape: int) -> Array:
    return np.zeros(shape, dtype=bool)


SQUARES: dict[str, Any] = {name: _f(4, 4) for name in ("w_q", "w_k", "w_v", "w_o")}
FEED: dict[str, Any] = {"w1": _f(4, 3), "b1": _f(3), "w2": _f(3, 4), "b2": _f(4)}
BLOCK = {**SQUARES, **FEED, **{name: _f(4) for name in PARAMS[8:]}}
GOOD: dict[str, dict[str, Any]] = {
    "embedding": {"ids": _i(2), "table": _f(3, 2)},
    "positional": {"n_positions": 3, "d_model": 4},
    "rotary": {"x": _f(3, 4)},
    "softmax": {"x": _f(3)},
    "attention": {"q": _f(3, 2), "k": _f(4, 2), "v": _f(4, 5)},
    "multi_head_attention": {"x": _f(3, 4), **SQUARES, "n_heads": 2},
    "feed_forward": {"x": _f(2, 4), **FEED},
    "activation": {"x": _f(3)},
    "layer_norm": {"x": _f(2, 4), "gain": _f(4), "bias": _f(4)},
    "rms_norm": {"x": _f(2, 4), "gain": _f(4)},
    "encoder_block": {"x": _f(3, 4), "params": BLOCK, "n_heads": 2},
}
OPTIONS = ("n_heads", "mask", "causal", "scale", "eps", "base", "start", "past_k", "past_v")
HEADS: tuple[dict[str, Any], ...] = (
    {"x": _i(3, 4)}, {"x": _f(4)}, {"n_heads": 3}, {"n_heads": 0}, {"n_heads": 1.5}, {"mask": _i(3, 3)}, {"mask": _f(2, 3)},
    {"mask": _f(1, 3, 3)}, {"mask": _f(3, 3, 1)}, {"x": _b(3, 4)},
)
WAVES: tuple[dict[str, Any], ...] = ({"base": 0}, {"base": float("inf")}, {"start": float("inf")})
EPS: tuple[dict[str, Any], ...] = ({"eps": -1.0}, {"eps": float("nan")})
CHANGES: dict[str, tuple[dict[str, Any], ...]] = {
    "embedding": (
        {"ids": _f(2)}, {"table": _f(3)}, {"ids": _i(2) - 1}, {"ids": _i(2) + 3}, {"ids": _i(2) + 4}, {"ids": _b(2)},
        {"table": _i(3, 2)}, {"table": _f(3, 2, 1)}, {"table": _b(3, 2)},
    ),
    "positional": (
        {"n_positions": 2.5}, {"n_positions": -0.5}, {"n_positions": -1}, {"d_model": 4.5}, {"d_model": -0.5}, {"d_model": -2}, *WAVES,
    ),
    "rotary": ({"x": _i(3, 4)}, {"x": _b(3, 4)}, {"x": _f(4)}, {"x": _f(3, 3)}, *WAVES),
    "softmax": ({"x": _i(3)}, {"x": _b(3)}, {"x": _f()}),
    "attention": (
        {"q": _i(3, 2)}, {"q": _f(2)}, {"k": _f(2)}, {"v": _f(5)}, {"k": _f(4, 3)}, {"v": _f(3, 5)}, {"q": _f(2, 3, 2), "k": _f(3, 4, 2)},
        {"k": _f(4, 1)}, {"v": _f(6, 5)}, {"v": _b(4, 5)},
        {"mask": _i(3, 4)}, {"mask": _f(2, 4)}, {"mask": _f(1, 3, 4)}, {"mask": _f(3, 4, 1)},
    ),
    "multi_head_attention": (*HEADS, *({name: _f(4, 3)} for name in SQUARES), *({name: _f(5, 4)} for name in SQUARES)),
    "feed_forward": (
        {"x": _i(2, 4)}, {"x": _f()}, {"x": _f(2, 3)}, {"x": _f(2, 5)}, {"x": _b(2, 4)}, {"w1": _f(4)}, {"w1": _f(4, 3, 1)},
        {"b1": _f(4)}, {"b1": _f(2)}, {"w2": _f(4, 4)}, {"w2": _f(2, 4)}, {"b2": _f(1)}, {"b2": _f(5)},
    ),
    "activation": ({"x": _i(3)}, {"x": _b(3)}),
    "layer_norm": ({"x": _i(2, 4)}, {"x": _b(2, 4)}, {"x": _f()}, {"gain": _f(3)}, {"gain": _f(5)}, {"bias": _f(1)}, {"bias": _f(5)}, *EPS),
    "rms_norm": ({"x": _i(2, 4)}, {"x": _b(2, 4)}, {"x": _f()}, {"gain": _f(1)}, {"gain": _f(5)}, *EPS),
    "encoder_block": (
        *HEADS, {"params": {name: BLOCK[name] for name in PARAMS[1:]}}, {"params": {**BLOCK, "w1": _f()}},
        *({"params": {**BLOCK, name: _f(5)}} for name in PARAMS),
        {"params": {**BLOCK, "b1": _f(2)}},
    ),
}


#: attention whose heads are an axis of the definition: three query heads; two and four where they are grouped
BY_HEADS: tuple[dict[str, Any], ...] = (
    {"q": _i(3, 3, 2)}, {"q": _f(3, 2)}, {"k": _f(4, 2)}, {"v": _f(4, 5)}, {"k": _f(3, 4, 3)}, {"v": _f(3, 3, 5)}, {"v": _f(1, 4, 5)},
    {"q": _f(2, 3, 2)}, {"q": _f(1, 3, 2)}, {"q": _f(2, 3, 3, 2), "k": _f(3, 3, 4, 2)}, {"v": _b(3, 4, 5)}, {"k": _f(0, 4, 2)},
    {"mask": _i(3, 3, 4)}, {"mask": _f(2, 4)}, {"mask": _f(2, 3, 4)}, {"mask": _f(1, 1, 3, 4)},
    {"k": _f(0, 4, 2), "v": _f(0, 4, 5)},
)


def _gated(given: Mapping[str, Any]) -> dict[str, Any]:
    """A call with a map to the gates."""
    if "params" in given:
        return {**given, "params": _gated(given["params"])}
    return {**given, "w_gate": _f(4, 3)}


def _gates(good: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Bad maps to the gates."""
    bad = [{"w_gate": _f(4, 2)}, {"w_gate": _f(3, 4)}, {"w_gate": _i(4, 3)}, {"w_gate": _f(4)}]
    return [{"params": {**good["params"], **change}} for change in bad] if "params" in good else bad


def refusals(phase: str, variant: Mapping[str, object]) -> list[Call]:
    """Bad calls of a phase; none for a phase that is not listed."""
    changes = CHANGES.get(phase, ())
    if phase == "positional" and variant["layout"] == "halves":
        changes = (*changes, {"d_model": 3})
    elif phase == "positional":
        changes = (*changes, {"d_model": -1})
    found, good = [], GOOD[phase]
    if any(variant.get(name) for name in HEADED):
        good, changes = {"q": _f(3, 3, 2), "k": _f(3, 4, 2), "v": _f(3, 4, 5)}, BY_HEADS
    if variant.get("sinks"):
        good, changes = {**good, "sinks": _f(3)}, (*changes, {"sinks": _f(2)}, {"sinks": _f(3, 1)}, {"sinks": _i(3)})
    if phase == "attention":
        earlier = {f"past_{name}": np.zeros_like(good[name]) for name in "kv"}
        short = {"past_k": earlier["past_k"][..., 1:, :], "past_v": earlier["past_v"]}
        narrow = {"past_k": earlier["past_k"][..., :1], "past_v": earlier["past_v"]}
        whole = {"past_k": earlier["past_k"], "past_v": earlier["past_v"].astype(np.int64)}
        flat = {"past_k": earlier["past_k"][..., 0], "past_v": earlier["past_v"]}
        batched = {name: part[None] for name, part in earlier.items()}
        changes = (*changes, {"past_k": earlier["past_k"]}, {"past_v": earlier["past_v"]}, short, narrow, whole, flat, batched)
    if variant.get("rotary"):
        changes = (*changes, {name: _f(*good[name].shape[:-1], 3) for name in "qk"})
    if variant.get("gated"):
        good, changes = _gated(good), (*(_gated(change) if "params" in change else change for change in changes), *_gates(good))
    for change in changes:
        whole = {**good, **change}
        options = {name: whole.pop(name) for name in OPTIONS if name in whole}
        found.append(Call(f"bad {', '.join(change)}", whole, options, "float32", variant))
    return found
