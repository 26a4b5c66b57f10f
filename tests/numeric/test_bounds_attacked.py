"""Bounds under attack: right kernels in further styles on inputs chosen to hurt.

Each style is a way in which people write the same function. A ratio above one would be a false alarm; a worst ratio near zero would mean
that the attack is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from kernelproof.numeric.reference import reference

F = np.float32
LOG2_E = F(1.4426950408889634)
Inputs = dict[str, Any]
Kernel = Callable[[Inputs], Any]


def _excess(phase: str, variant: Mapping[str, object], tensors: Inputs, options: Mapping[str, Any], observed: Any) -> float:
    """The worst error over bound; where nothing is concluded, nothing counts."""
    found = reference(phase, variant, tensors, options, "float32")
    known = np.isfinite(found.error)
    with np.errstate(all="ignore"):
        error = np.abs(observed.astype(np.float64) - found.value)
    with np.errstate(all="ignore"):
        ratio = np.where(error > 0, error / np.where(found.error > 0, found.error, 1e-320), 0)
    return float(np.where(known, np.where(np.isfinite(observed), ratio, np.inf), 0).max(initial=0))


def _worst(phase: str, variant: Mapping[str, object], kernel: Kernel, draw: Callable[[Any], Inputs], times: int, **options: Any) -> float:
    rng, worst = np.random.default_rng(0), 0.0
    for _ in range(times):
        tensors = draw(rng)
        with np.errstate(all="ignore"):
            observed = kernel(tensors)
        worst = max(worst, _excess(phase, variant, tensors, options, observed))
    return worst


# -- attention: an online softmax in any order, scores once ---------------------------------------------------------------------

State = tuple[Any, Any, Any]


def _scores(t: Inputs) -> Any:
    return (t["q"] @ t["k"].T) * F(1 / np.sqrt(t["q"].shape[-1]))


def _leaf(s: Any, v: Any) -> State:
    top = s.max(-1, keepdims=True)
    e = np.exp(s - top)
    return top, e.sum(-1, keepdims=True), e @ v


def _merged(a: State, b: State) -> State:
    top = np.maximum(a[0], b[0])
    x, y = np.exp(a[0] - top), np.exp(b[0] - top)
    return top, a[1] * x + b[1] * y, a[2] * x + b[2] * y


def _one_after_another(parts: list[State]) -> State:
    state = parts[0]
    for other in parts[1:]:
        state = _merged(state, other)
    return state


def _as_a_tree(parts: list[State]) -> State:
    while len(parts) > 1:
        parts = [_merged(*parts[at : at + 2]) if at + 1 < len(parts) else parts[at] for at in range(0, len(parts), 2)]
    return parts[0]


def _leaves(t: Inputs, keys: Any) -> list[State]:
    s = _scores(t)
    return [_leaf(s[:, j : j + 1], t["v"][j : j + 1]) for j in keys]


def _tree(t: Inputs) -> Any:
    state = _as_a_tree(_leaves(t, range(len(t["k"]))))
    return state[2] / state[1]


def _lanes(t: Inputs) -> Any:
    """Every lane takes each fourth key, as the threads of a warp do; lanes are merged as a tree."""
    count = len(t["k"])
    state = _as_a_tree([_one_after_another(_leaves(t, range(lane, count, 4))) for lane in range(min(4, count))])
    return state[2] / state[1]


def _ring(t: Inputs) -> Any:
    """From the middle backwards and around, as devices in a ring do."""
    count = len(t["k"])
    state = _one_after_another(_leaves(t, [(count // 2 - j) % count for j in range(count)]))
    return state[2] / state[1]


def _split(t: Inputs) -> Any:
    """Three parts with results of their own, weighted by their sums."""
    s = _scores(t)
    parts = [_leaf(s[:, keys], t["v"][keys]) for keys in np.array_split(np.arange(len(t["k"])), 3) if len(keys)]
    top = np.max([part[0] for part in parts], axis=0)
    weights = [np.exp(part[0] - top) * part[1] for part in parts]
    return sum(weight / sum(weights) * (part[2] / part[1]) for weight, part in zip(weights, parts, strict=True))


def _merged_by_log_sums(t: Inputs) -> Any:
    """Two parts with a log-sum-exp each, whose weights are not normalised again."""
    s = _scores(t)
    parts = [_leaf(s[:, keys], t["v"][keys]) for keys in np.array_split(np.arange(len(t["k"])), 2) if len(keys)]
    sums = np.stack([part[0] + np.log(part[1]) for part in parts])
    top = sums.max(0)
    whole = np.log(np.exp(sums - top).sum(0)) + top
    return (np.exp(sums - whole) * np.stack([part[2] / part[1] for part in parts])).sum(0)


def _scale_folded(t: Inputs) -> Any:
    """Tiles of two keys in powers of two: scale·log2(e) is put on scores and maximum, the maximum is that of the raw scores."""
    factor = F(1 / np.sqrt(t["q"].shape[-1])) * LOG2_E
    top, total = np.full((len(t["q"]), 1), -np.inf, F), np.zeros((len(t["q"]), 1), F)
    out = np.zeros((len(t["q"]), t["v"].shape[-1]), F)
    for at in range(0, len(t["k"]), 2):
        s = t["q"] @ t["k"][at : at + 2].T
        new = np.maximum(top, s.max(-1, keepdims=True))
        e, kept = np.exp2(s * factor - new * factor), np.exp2((top - new) * factor)
        total, out, top = total * kept + e.sum(-1, keepdims=True), out * kept + e @ t["v"][at : at + 2], new
    return out / total


def _lazy(t: Inputs) -> Any:
    """Rescales only where the maximum grows by more than a threshold."""
    s = _scores(t)
    top, total, out = s[:, :1], np.ones((len(s), 1), F), np.repeat(t["v"][:1], len(s), axis=0)
    for j in range(1, s.shape[1]):
        new = np.where(s[:, j : j + 1] - top > 5.5, s[:, j : j + 1], top)
        e, kept = np.exp(s[:, j : j + 1] - new), np.exp(top - new)
        total, out, top = total * kept + e, out * kept + e * t["v"][j], new
    return out / total


def _hurting(rng: np.random.Generator) -> Inputs:
    m, d = int(rng.choice([1, 2, 3, 5, 8, 33])), int(rng.choice([1, 2, 16]))
    size = 10.0 ** rng.uniform(-2, 1.5)
    q, k, v = size * rng.normal(size=(2, d)), size * rng.normal(size=(m, d)), rng.normal(size=(m, 2))
    match rng.integers(0, 7):
        case 0:  # growing scores
            q, k = np.abs(q), np.sort(k, axis=0)
        case 1:  # scores equal but for rounding
            k = k[:1] * (1 + 1e-6 * rng.normal(size=k.shape))
        case 2:  # the edge of underflow
            q[:], k = 1, rng.uniform(80, 110, size=(m, 1)) * rng.integers(0, 2, size=(m, 1)) * np.ones((1, d)) / np.sqrt(d)
        case 3:  # huge and tiny values together
            v = v * 10.0 ** rng.uniform(-30, 30, size=(m, 1))
        case 4:  # one value
            v = np.eye(m, 2) * 10.0 ** rng.uniform(-30, 30)
        case 5:  # far values
            v = v + 10.0 ** rng.uniform(0, 5)
    return {"q": q.astype(F), "k": k.astype(F), "v": v.astype(F)}


@pytest.mark.parametrize("kernel", [_tree, _lanes, _ring, _split, _scale_folded, _lazy])
def test_attention(kernel: Kernel) -> None:
    assert 0.05 < _worst("attention", {}, kernel, _hurting, 150) <= 1


def _sink_last(t: Inputs) -> Any:
    """An online softmax that meets the sink last, and rescales for it."""
    s, sink = t["q"] @ t["k"].swapaxes(-1, -2) * F(1 / np.sqrt(t["q"].shape[-1])), t["sinks"][:, None, None]
    top, total, out = _leaf(s, t["v"])
    new = np.maximum(top, sink)
    kept = np.exp(top - new)
    return out * kept / (total * kept + np.exp(sink - new))


def _sink_as_a_gate(t: Inputs) -> Any:
    """Attention without sinks times the logistic function of log-sum-exp less sink."""
    s, sink = t["q"] @ t["k"].swapaxes(-1, -2) * F(1 / np.sqrt(t["q"].shape[-1])), t["sinks"][:, None, None]
    top, total, out = _leaf(s, t["v"])
    return out / total / (1 + np.exp(sink - (top + np.log(total))))


def _with_sinks(rng: np.random.Generator) -> Inputs:
    m, d, size = int(rng.choice([1, 2, 8])), int(rng.choice([1, 16])), 10.0 ** rng.uniform(-2, 1.3)
    shapes = {"q": (2, 2, d), "k": (2, m, d), "v": (2, m, 2)}
    found = {name: (size if name != "v" else 1) * rng.normal(size=shape) for name, shape in shapes.items()}
    found["sinks"] = 10.0 ** rng.uniform(-1, 1.9) * rng.normal(size=2)
    return {name: array.astype(F) for name, array in found.items()}


@pytest.mark.parametrize("kernel", [_sink_last, _sink_as_a_gate])
def test_attention_with_sinks(kernel: Kernel) -> None:
    assert 0.05 < _worst("attention", {"sinks": True}, kernel, _with_sinks, 100) <= 1


# -- norms ------------------------------------------------------------------------------------------------------------------------


def _one_by_one(x: Any) -> Any:
    total = np.zeros((*x.shape[:-1], 1), F)
    for at in range(x.shape[-1]):
        total = total + x[..., at : at + 1]
    return total


def _normed(t: Inputs, deviations: Any, variance: Any) -> Any:
    return deviations / np.sqrt(variance + F(1e-5)) * t["gain"] + t["bias"]


def _welford_in_lanes(t: Inputs) -> Any:
    """Welford's recurrence on every fourth entry, merged pairwise."""
    x, parts = t["x"], []
    for lane in range(min(4, t["x"].shape[-1])):
        mean, moment = np.zeros((len(x), 1), F), np.zeros((len(x), 1), F)
        for count, at in enumerate(range(lane, x.shape[-1], 4), 1):
            step = x[:, at : at + 1] - mean
            mean = mean + step * (F(1) / F(count))
            moment = moment + step * (x[:, at : at + 1] - mean)
        parts.append((count, mean, moment))
    while len(parts) > 1:
        (n, a, first), (m, b, second) = parts[:2]
        both = (F(n) * a + F(m) * b) * (F(1) / F(n + m))
        parts = [*parts[2:], (n + m, both, first + second + (b - a) ** 2 * F(n * m / (n + m)))]
    count, mean, moment = parts[0]
    return _normed(t, x - mean, moment / F(count))


def _shifted_by_a_mean(t: Inputs) -> Any:
    """One pass on data shifted by a rounded mean."""
    x, n = t["x"], F(t["x"].shape[-1])
    y = x - _one_by_one(x) / n
    mean = _one_by_one(y) / n
    return _normed(t, y - mean, np.maximum(_one_by_one(y * y) / n - mean * mean, 0))


def _quotients(t: Inputs) -> Any:
    """Means as sums of quotients."""
    x, n = t["x"], F(t["x"].shape[-1])
    d = x - _one_by_one(x / n)
    return _normed(t, d, _one_by_one(d * d / n))


def _folded(t: Inputs) -> Any:
    """x·(gain/σ) + (bias − μ·gain/σ), as a batch norm is folded."""
    x, n = t["x"], F(t["x"].shape[-1])
    mean = _one_by_one(x) / n
    factor = 1 / np.sqrt(_one_by_one((x - mean) ** 2) / n + F(1e-5)) * t["gain"]
    return x * factor + (t["bias"] - mean * factor)


def _rows(rng: np.random.Generator) -> Inputs:
    d, size = int(rng.choice([1, 2, 3, 5, 16, 100])), 10.0 ** rng.uniform(-4, 3)
    x = size * rng.normal(size=(2, d))
    match rng.integers(0, 4):
        case 0:  # far off
            x = x + 10.0 ** rng.uniform(0, 6)
        case 1:  # one entry stands out, far off
            x = size * np.eye(2, d) + 10.0 ** rng.uniform(0, 5)
        case 2:  # all equal
            x[:] = x[:, :1]
    return {"x": x.astype(F), "gain": rng.normal(size=d).astype(F), "bias": rng.normal(size=d).astype(F)}


@pytest.mark.parametrize("kernel", [_welford_in_lanes, _shifted_by_a_mean, _quotients])
def test_layer_norm(kernel: Kernel) -> None:
    assert 0.05 < _worst("layer_norm", {}, kernel, _rows, 150, eps=1e-5) <= 1


# -- right kernels that are still convicted -------------------------------------------------------------------------------------------


def _power_of_two(t: Inputs) -> Any:
    e = np.exp2((t["x"] - t["x"].max(-1, keepdims=True)) * LOG2_E)
    return e / e.sum(-1, keepdims=True)


def _key_by_key(t: Inputs) -> Any:
    state = _one_after_another(_leaves(t, range(len(t["k"]))))
    return state[2] / state[1]


def _flushing(t: Inputs) -> Any:
    """The scale on the queries, with results flushed to zero."""
    q = t["q"] * F(0.125)
    s = np.where(np.abs(q) < np.finfo(F).tiny, 0, q).astype(F) @ t["k"].T
    _, total, out = _leaf(s, t["v"])
    return out / total


def _f(*rows: list[float]) -> Any:
    return np.array(rows, dtype=F)


ONCE_CONVICTED: dict[str, tuple[str, Kernel, Inputs, Mapping[str, Any]]] = {
    "log2(e) after the subtraction rounds the exponent once more": (
        "softmax", _power_of_two, {"x": _f([1.0959014892578125, -62.982852935791016])}, {},
    ),
    "a folded norm rounds the bias once more": (
        "layer_norm", _folded,
        {
            "x": _f([0.0004444756486918777, -0.00010010050029307604, 0.0007820958271622658]),
            "gain": _f([0.02595379389822483, -0.19044272601604462, 0.827314555644989])[0],
            "bias": _f([-2.213378667831421, -0.19286680221557617, -1.378899335861206])[0],
        },
        {"eps": 1e-5},
    ),
    "parts merged by log-sum-exps lose its roundings": (
        "attention", _merged_by_log_sums, {"q": _f([1]), "k": _f([173.0666], [161.10927]), "v": _f([-64.5], [-22.6])}, {},
    ),
    "an online softmax overflows before its maximum has grown": (
        "attention", _key_by_key, {"q": _f([1]), "k": _f([0], [0], [60]), "v": _f([3e38], [3e38], [1])}, {},
    ),
    "a scaled query that is flushed to zero meets a huge key": (
        "attention", _flushing, {"q": np.full((1, 64), 1e-38, F), "k": _f([4e36], [-4e36]) * np.ones((1, 64), F), "v": _f([1], [-1])}, {},
    ),
}


@pytest.mark.parametrize("why", ONCE_CONVICTED)
def test_is_allowed(why: str) -> None:
    phase, kernel, tensors, options = ONCE_CONVICTED[why]
    with np.errstate(all="ignore"):
        observed = kernel(tensors)
    assert _excess(phase, {}, tensors, options, observed) <= 1
