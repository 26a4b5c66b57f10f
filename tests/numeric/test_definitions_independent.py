"""The reference against definitions written a second time: straight loops in long double, from the contract's words alone.

Nothing of the package is used on the other side: not its terms, not its conventions. What agrees here to twelve digits is the
meaning of every phase, variant and option.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numeric_cases import ALL, HEADS, Calls, name_of, variants_of

from kernelproof.numeric.error_bounds import ErrorBound
from kernelproof.symbolic.registry import derive

Wide = np.longdouble
Array = np.ndarray[Any, np.dtype[Any]]
AGREEING = 1e-12


def wide(array: Any) -> Array:
    return np.asarray(array).astype(Wide)


def rows(function: Callable[[Array], Array], x: Array) -> Array:
    """A function of a row, applied to every row."""
    out = np.zeros(x.shape, dtype=Wide)
    for at in np.ndindex(*x.shape[:-1]):
        out[at] = function(x[at])
    return out


# -- the phases, one function each --------------------------------------------------------------------------------------------


def embedding(ids: Array, table: Array) -> Array:
    out = np.zeros((*np.shape(ids), table.shape[1]), dtype=Wide)
    for at in np.ndindex(*np.shape(ids)):
        out[at] = table[int(np.asarray(ids)[at])]
    return out


def positional(n_positions: int, d_model: int, *, layout: str, denominator: str, base: float = 10000.0, start: float = 0) -> Array:
    sines, cosines = math.ceil(d_model / 2), d_model // 2
    out = np.zeros((n_positions, d_model), dtype=Wide)
    for p in range(n_positions):
        for i in range(sines):
            exponent = Wide(2 * i) / d_model if denominator == "paper" else Wide(i) / max(d_model // 2 - 1, 1)
            angle = (Wide(start) + p) / Wide(base) ** exponent
            if layout == "interleaved":
                out[p, 2 * i] = np.sin(angle)
                if i < cosines:
                    out[p, 2 * i + 1] = np.cos(angle)
            else:
                out[p, i], out[p, sines + i] = np.sin(angle), np.cos(angle)
    return out


def rotary(x: Array, *, layout: str, base: float = 10000.0, start: float = 0) -> Array:
    n, d = x.shape[-2:]
    x, out = wide(x), np.zeros(x.shape, dtype=Wide)
    for p in range(n):
        for i in range(d // 2):
            one, two = (i, d // 2 + i) if layout == "halves" else (2 * i, 2 * i + 1)
            angle = (Wide(start) + p) / Wide(base) ** (Wide(2 * i) / d)
            out[..., p, one] = x[..., p, one] * np.cos(angle) - x[..., p, two] * np.sin(angle)
            out[..., p, two] = x[..., p, one] * np.sin(angle) + x[..., p, two] * np.cos(angle)
    return out


def softmax(x: Array) -> Array:
    def row(values: Array) -> Array:
        weights = np.exp(values - (values.max() if values.size else 0))
        return weights / weights.sum()

    return rows(row, wide(x))


def attention(q: Array, k: Array, v: Array, *, causal: bool = False, mask: Any = None, scale: float | None = None) -> Array:
    (n, d), (m, e) = q.shape[-2:], v.shape[-2:]
    lead = np.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
    q, k, v = (np.broadcast_to(wide(part), (*lead, *part.shape[-2:])) for part in (q, k, v))
    seen = None if mask is None else np.broadcast_to(mask, (*lead, n, m))
    factor = (1 / np.sqrt(Wide(d)) if d else Wide(1)) if scale is None else Wide(scale)
    out = np.zeros((*lead, n, e), dtype=Wide)
    for at in np.ndindex(*lead):
        for i in range(n):
            scores: dict[int, Any] = {}
            for j in range(m):
                bias = Wide(0)
                if seen is not None and seen.dtype == bool and not seen[at][i, j]:
                    continue
                if seen is not None and seen.dtype != bool:
                    if seen[at][i, j] == -np.inf:
                        continue
                    bias = Wide(seen[at][i, j])
                if causal and j > i:  # the first query sees the first key only
                    continue
                scores[j] = factor * (q[at][i] * k[at][j]).sum() + bias
            if not scores:
                continue  # a row that may attend to nothing gives zeros
            top = max(scores.values())
            weights = {j: np.exp(score - top) for j, score in scores.items()}
            whole = sum(weights.values())
            for j, weight in weights.items():
                out[at][i] += weight / whole * v[at][j]
    return out


def multi_head_attention(
    x: Array, w_q: Array, w_k: Array, w_v: Array, w_o: Array, *, n_heads: int, causal: bool = False, mask: Any = None
) -> Array:
    x, width = wide(x), x.shape[-1] // n_heads
    joined = []
    for head in range(n_heads):
        columns = slice(head * width, (head + 1) * width)
        q, k, v = (np.matmul(x, wide(w)[:, columns]) for w in (w_q, w_k, w_v))
        joined.append(attention(q, k, v, causal=causal, mask=mask))
    return np.matmul(np.concatenate(joined, axis=-1), wide(w_o))


def activation(x: Array, *, activation: str) -> Array:
    x = wide(x)
    if activation == "relu":
        return np.where(x > 0, x, 0)
    if activation == "silu":
        return x / (1 + np.exp(-x))
    if activation == "gelu":
        return x / 2 * (1 + np.vectorize(lambda z: Wide(math.erf(z)), otypes=[Wide])(x / np.sqrt(Wide(2))))
    assert activation == "gelu_tanh"
    pi = Wide("3.14159265358979323846264338327950288")
    return x / 2 * (1 + np.tanh(np.sqrt(2 / pi) * (x + Wide("0.044715") * x**3)))


def feed_forward(x: Array, w1: Array, b1: Array, w2: Array, b2: Array, *, activation: str) -> Array:
    hidden = globals()["activation"](np.matmul(wide(x), wide(w1)) + b1, activation=activation)
    return np.matmul(hidden, wide(w2)) + b2


def layer_norm(x: Array, gain: Array, bias: Array, *, eps: float = 1e-5) -> Array:
    def row(values: Array) -> Array:
        mean = values.sum() / len(values)
        variance = ((values - mean) ** 2).sum() / len(values)  # of the population: not n − 1
        return (values - mean) / np.sqrt(variance + Wide(eps)) * gain + bias

    return rows(row, wide(x))


def rms_norm(x: Array, gain: Array, *, eps: float = 1e-5) -> Array:
    return rows(lambda values: values / np.sqrt((values**2).sum() / len(values) + Wide(eps)) * gain, wide(x))


def encoder_block(
    x: Array, params: dict[str, Array], *, n_heads: int, norm: str, activation: str, causal: bool = False, mask: Any = None
) -> Array:
    p = params

    def attended(y: Array) -> Array:
        return multi_head_attention(y, p["w_q"], p["w_k"], p["w_v"], p["w_o"], n_heads=n_heads, causal=causal, mask=mask)

    def fed(y: Array) -> Array:
        return feed_forward(y, p["w1"], p["b1"], p["w2"], p["b2"], activation=activation)

    def first(y: Array) -> Array:
        return layer_norm(y, p["gain1"], p["bias1"])

    def second(y: Array) -> Array:
        return layer_norm(y, p["gain2"], p["bias2"])

    if norm == "post":
        y = first(wide(x) + attended(x))
        return second(y + fed(y))
    y = wide(x) + attended(first(x))
    return y + fed(second(y))


# -- agreement ----------------------------------------------------------------------------------------------------------------


def disagreement(phase: str, variant: dict[str, object], arguments: tuple[Any, ...], options: dict[str, Any]) -> float:
    """|reference − independent| over the size of the entries of the result."""
    expected = globals()[phase](*arguments, **options, **variant)
    value, _ = ErrorBound(phase, variant, "float64")(*arguments, **options)
    assert value.shape == expected.shape
    return float((np.abs(value - expected) / (1 + np.abs(expected).max(initial=0))).max(initial=0))


@pytest.mark.parametrize(("phase", "variant"), ALL, ids=name_of)
def test_random_calls(phase: str, variant: dict[str, object]) -> None:
    for seed in range(10):
        arguments, options = Calls(seed, "float64").of(phase, variant)
        assert disagreement(phase, variant, arguments, options) < AGREEING, seed


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("mask", range(6))
@pytest.mark.parametrize("scale", [None, 0.3])
def test_every_combination_of_attention_options(causal: bool, mask: int, scale: float | None) -> None:
    for shape, (n, m) in enumerate([(4, 4), (3, 5), (5, 3), (1, 4), (4, 1), (2, 6)]):
        calls = Calls(mask, "float64", n=n, m=m, batch=1, mask=mask, mask_shape=shape)
        (q, k, v), options = calls.of("attention", {})
        assert disagreement("attention", {}, (q, k, v), {**options, "causal": causal, "scale": scale}) < AGREEING


@pytest.mark.parametrize("phase", ["multi_head_attention", "encoder_block"])
@pytest.mark.parametrize("mask", range(6))
def test_every_mask_under_heads(phase: str, mask: int) -> None:
    for shape in range(6):
        arguments, options = Calls(shape, "float64", batch=1, n=3, mask=mask, mask_shape=shape).of(phase, {})
        assert options["n_heads"] == HEADS
        assert disagreement(phase, variants_of(phase)[0], arguments, options) < AGREEING


@pytest.mark.parametrize("variant", variants_of("positional"), ids=name_of)
@pytest.mark.parametrize("width", range(9))
def test_every_width_of_the_positions(variant: dict[str, object], width: int) -> None:
    if width % 2 and variant["layout"] == "halves":
        pytest.skip("halves have even widths")
    for start, base in ((0, 10000.0), (5, 7.5), (0.5, 2.0)):
        assert disagreement("positional", variant, (4, width), {"start": start, "base": base}) < AGREEING


def test_defaults() -> None:
    """An option that is left out is what the contract says."""
    x, one = np.arange(6.0).reshape(2, 3) / 7, np.array([0.5, 2.0, -1.0])
    assert disagreement("layer_norm", {}, (x, one, one), {}) < AGREEING
    assert disagreement("rms_norm", {}, (x, one), {}) < AGREEING
    assert disagreement("rotary", {"layout": "halves"}, (x[:, :2],), {}) < AGREEING
    assert disagreement("positional", variants_of("positional")[0], (3, 4), {}) < AGREEING
    assert disagreement("attention", {}, (x, x, x), {}) < AGREEING
    defaults = {"rotary": "halves", "positional": "interleaved"}
    assert {phase: derive(phase).variant["layout"] for phase in defaults} == defaults
    assert derive("positional").variant["denominator"] == "paper" and derive("encoder_block").variant["norm"] == "post"
    assert {derive(phase).variant["activation"] for phase in ("activation", "feed_forward", "encoder_block")} == {"relu"}


def test_a_slip_in_a_definition_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tolerance is far below the faults that matter."""
    arguments, options = Calls(1, "float64", n=4, m=4, mask=0).of("attention", {})
    assert disagreement("attention", {}, arguments, {**options, "scale": 0.3}) < AGREEING
    plain = attention
    monkeypatch.setitem(globals(), "attention", lambda *a, **o: plain(*a, **{**o, "scale": 0.3 * (1 + 1e-9)}))
    assert disagreement("attention", {}, arguments, {**options, "scale": 0.3}) > AGREEING
