"""Toy kernels, a toy bound and shortcuts: the machinery is tested without the theorems and the derived tolerances."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

# everything that takes ``agree`` by name has taken the real one before a test puts a toy in its place
from kernelproof.properties import from_theorems as _from_theorems  # noqa: F401
from kernelproof.properties import tolerance
from kernelproof.properties.capabilities import everything
from kernelproof.properties.harness import harness_properties
from kernelproof.properties.model import Case, Finding, Property, Setting
from kernelproof.properties.profiles import PROFILES
from kernelproof.properties.reproducer import reproducer
from kernelproof.properties.runner import run_property
from kernelproof.properties.shapes import phase_shape
from kernelproof.properties.targets import Target
from kernelproof.properties.verdict import PropertyVerdict

Kernel = Callable[..., Any]


def loose_agree(
    phase: str, variant: dict[str, object], tensors: dict[str, Any], options: dict[str, object], a: Any, b: Any
) -> Finding:
    """A fixed relative bound in place of the derived one; NaN agrees with NaN."""
    observed, expected = a.astype(np.float64), b.astype(np.float64)
    largest = np.abs(np.where(np.isfinite(expected), expected, 0)).max(initial=0.0)
    bound = np.full(expected.shape, 1e-2 if a.dtype.itemsize == 2 else 1e-4) * (1e-30 + largest)
    with np.errstate(all="ignore"):
        near = (np.abs(observed - expected) <= bound) | (observed == expected)
        ratio = float(np.where(near, 0, np.abs(observed - expected) / bound).max(initial=0.0))
    ok = bool(np.all(near | (np.isnan(observed) & np.isnan(expected))))
    return Finding(ok=ok, ratio=ratio, observed=a, expected=b, bound=bound)


@pytest.fixture(autouse=True)
def toy_tolerance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tolerance, "agree", loose_agree)


def softmax(x: Any) -> Any:
    exps = np.exp(x - x.max(-1, keepdims=True, initial=-np.inf))
    return exps / exps.sum(-1, keepdims=True)


def attention(q: Any, k: Any, v: Any, *, causal: bool = False, mask: Any = None, scale: float | None = None) -> Any:
    if scale is None:
        scale = 1 / math.sqrt(q.shape[-1]) if q.shape[-1] else 1.0
    q, k, v, dtype = q.astype(np.float64), k.astype(np.float64), v.astype(np.float64), v.dtype
    scores = q @ np.swapaxes(k, -1, -2) * scale
    allow = np.ones(scores.shape, dtype=bool)
    if causal:
        allow &= np.tril(allow)
    if mask is not None and mask.dtype == bool:
        allow = allow & mask
    elif mask is not None:
        allow = allow & ~np.isneginf(mask)
        scores = scores + np.where(np.isneginf(mask), 0, mask)
    scores = np.where(allow, scores, -np.inf)
    top = scores.max(-1, keepdims=True, initial=-np.inf)
    exps = np.exp(scores - np.where(np.isfinite(top), top, 0))
    total = exps.sum(-1, keepdims=True)
    return (exps / np.where(total == 0, 1, total) @ v).astype(dtype)


def heads(x: Any, n_heads: int) -> Any:
    return np.swapaxes(x.reshape(*x.shape[:-1], n_heads, x.shape[-1] // n_heads), -2, -3)


def multi_head_attention(x: Any, w_q: Any, w_k: Any, w_v: Any, w_o: Any, *, n_heads: int, **options: Any) -> Any:
    if options.get("mask") is not None and options["mask"].ndim > 2:
        options["mask"] = options["mask"][..., None, :, :]
    joined = attention(*(heads(x.astype(np.float64) @ w, n_heads) for w in (w_q, w_k, w_v)), **options)
    return (np.swapaxes(joined, -2, -3).reshape(x.shape) @ w_o).astype(x.dtype)


def layer_norm(x: Any, gain: Any, bias: Any, *, eps: float = 1e-5) -> Any:
    wide = x.astype(np.float64)
    centred = wide - wide.mean(-1, keepdims=True)
    variance = (centred**2).mean(-1, keepdims=True)
    return (centred / np.sqrt(variance + eps) * gain + bias).astype(x.dtype)


def rms_norm(x: Any, gain: Any, *, eps: float = 1e-5) -> Any:
    wide = x.astype(np.float64)
    return (wide / np.sqrt((wide**2).mean(-1, keepdims=True) + eps) * gain).astype(x.dtype)


def feed_forward(x: Any, w1: Any, b1: Any, w2: Any, b2: Any) -> Any:
    return (np.maximum(x.astype(np.float64) @ w1 + b1, 0) @ w2 + b2).astype(x.dtype)


def rotary(x: Any, *, base: float = 10000.0, start: int = 0) -> Any:
    n, half = x.shape[-2], x.shape[-1] // 2
    angle = (start + np.arange(n))[:, None] * base ** (-np.arange(half) / max(half, 1))
    one, two = x[..., :half], x[..., half:]
    turned = (one * np.cos(angle) - two * np.sin(angle), one * np.sin(angle) + two * np.cos(angle))
    return np.concatenate(turned, -1).astype(x.dtype)


def positional(n_positions: int, d_model: int, *, base: float = 10000.0, start: int = 0) -> Any:
    columns = np.arange(d_model)
    angle = (start + np.arange(n_positions))[:, None] * base ** (-(columns // 2 * 2) / max(d_model, 1))
    return np.where(columns % 2, np.cos(angle), np.sin(angle)).astype(np.float32)


def encoder_block(x: Any, params: Any, *, n_heads: int, **options: Any) -> Any:
    p = {name: value.astype(np.float64) for name, value in params.items()}
    wide = x.astype(np.float64)
    attended = multi_head_attention(wide, *(p[w] for w in ("w_q", "w_k", "w_v", "w_o")), n_heads=n_heads, **options)
    y = layer_norm(wide + attended, p["gain1"], p["bias1"])
    fed = feed_forward(y, p["w1"], p["b1"], p["w2"], p["b2"])
    return layer_norm(y + fed, p["gain2"], p["bias2"]).astype(x.dtype)


RIGHT: dict[str, Kernel] = {
    "embedding": lambda ids, table: table[ids],
    "positional": positional,
    "softmax": softmax,
    "attention": attention,
    "multi_head_attention": multi_head_attention,
    "feed_forward": feed_forward,
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "activation": lambda x: np.maximum(x, 0),
    "rotary": rotary,
    "encoder_block": encoder_block,
}


@pytest.fixture
def right() -> dict[str, Kernel]:
    """A right kernel for every phase."""
    return dict(RIGHT)


def in_memory(function: Kernel, phase: str) -> Target:
    everywhere = everything(phase_shape(phase)) - {"empty"}
    return Target("toy", function, "memory", "toys", "toy", phase, {}, everywhere)


@pytest.fixture
def judge() -> Callable[..., PropertyVerdict]:
    """Run one property, given or a harness property by its short name, on a function."""

    def run(
        function: Kernel,
        subject: Property | str,
        *,
        phase: str = "softmax",
        examples: int = 60,
        seconds: float = 20.0,
        seed: int = 0,
        dtype: str = "float32",
        shrink_seconds: float = 5.0,
        target: Target | None = None,
    ) -> PropertyVerdict:
        if isinstance(subject, str):
            subject = next(found for found in harness_properties(phase) if found.id == f"{phase}.{subject}")
        chosen = target or in_memory(function, phase)

        def reproduce(found: Property, case: Case, finding: Finding) -> str:
            return reproducer(chosen, found.id, found.theorem, case, finding)

        profile = replace(PROFILES["standard"], examples=examples, shrink_seconds=shrink_seconds)
        setting = Setting(phase, {}, dtype, chosen.capabilities, profile)
        verdict, _ = run_property(subject, chosen.call, setting, seed=seed, seconds=seconds, reproduce=reproduce)
        return verdict

    return run
