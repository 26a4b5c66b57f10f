"""The sharper bounds: sound for kernels in many styles, blind to what cancels, and not blind to what does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kernelproof.numeric.fused import rescalings
from kernelproof.numeric.precision import read_precision
from kernelproof.numeric.reference import reference

F = np.float32
Attention = Callable[[Any, Any, Any, float], Any]


def _scores(q: Any, k: Any, scale: float) -> Any:
    return (q @ k.T) * F(scale)


def _plain(q: Any, k: Any, v: Any, scale: float) -> Any:
    s = _scores(q, k, scale)
    e = np.exp(s - s.max(-1, keepdims=True))
    return (e / e.sum(-1, keepdims=True)) @ v


def _late(q: Any, k: Any, v: Any, scale: float) -> Any:
    s = _scores(q, k, scale)
    e = np.exp(s - s.max(-1, keepdims=True))
    return (e @ v) / e.sum(-1, keepdims=True)


def _root(q: Any, k: Any, v: Any, scale: float) -> Any:
    root = F(np.sqrt(scale))
    return _late(q * root, k * root, v, 1.0)


def _one_by_one(q: Any, k: Any, v: Any, scale: float) -> Any:
    s = np.zeros((len(q), len(k)), F)
    for c in range(q.shape[1]):
        s = s + q[:, c : c + 1] * k[:, c]
    e = np.exp(s * F(scale) - (s * F(scale)).max(-1, keepdims=True))
    top, bottom = np.zeros((len(q), v.shape[1]), F), np.zeros((len(q), 1), F)
    for j in range(len(k)):
        top, bottom = top + e[:, j : j + 1] * v[j], bottom + e[:, j : j + 1]
    return top / bottom


def _online(tile: int, order: int) -> Attention:
    def run(q: Any, k: Any, v: Any, scale: float) -> Any:
        top, total = np.full((len(q), 1), -np.inf, F), np.zeros((len(q), 1), F)
        out = np.zeros((len(q), v.shape[1]), F)
        for at in list(range(0, len(k), tile))[::order]:
            s = _scores(q, k[at : at + tile], scale)
            new = np.maximum(top, s.max(-1, keepdims=True))
            kept, e = np.exp(top - new), np.exp(s - new)
            total, out, top = total * kept + e.sum(-1, keepdims=True), out * kept + e @ v[at : at + tile], new
        return out / total

    return run


STYLES = {
    "plain": _plain,
    "late": _late,
    "root": _root,
    "one by one": _one_by_one,
    "online": _online(1, 1),
    "backwards": _online(1, -1),
    "tiles": _online(4, 1),
}


def _inputs(rng: np.random.Generator) -> tuple[Any, Any, Any]:
    n, m, d, e = rng.integers(1, 6), rng.choice([1, 2, 3, 4, 7, 20, 40]), rng.choice([1, 2, 8, 16, 64]), rng.integers(1, 5)
    size, far = 10.0 ** rng.uniform(-2, 1.5), 10.0 ** rng.uniform(0, 3) * rng.integers(0, 2)
    q, k, v = size * rng.normal(size=(n, d)), size * rng.normal(size=(m, d)), rng.normal(size=(m, e)) + far
    match rng.integers(0, 4):
        case 0:
            k[:] = k[0]
        case 1:
            v[:] = v[0]
        case 2:
            k = np.sort(k, axis=0)
    return q.astype(F), k.astype(F), v.astype(F)


def _excess(observed: Any, found: Any) -> float:
    known = np.isfinite(found.error)
    return float(np.where(known, np.abs(observed.astype(np.float64) - found.value) / np.where(known, found.error, 1), 0).max(initial=0))


@pytest.mark.parametrize("style", STYLES)
def test_right_kernels_stay_within(style: str) -> None:
    rng, worst = np.random.default_rng(0), 0.0
    for _ in range(150):
        q, k, v = _inputs(rng)
        with np.errstate(all="ignore"):
            observed = STYLES[style](q, k, v, 1 / np.sqrt(q.shape[1]))
        worst = max(worst, _excess(observed, reference("attention", {}, {"q": q, "k": k, "v": v}, {}, "float32")))
    assert 0.01 < worst <= 1  # the bound is not so wide that nothing could reach it


def test_score_errors_act_through_the_spread_of_the_values_only() -> None:
    """Far scores and far but nearly equal values: what composing the rules would allow is larger by orders of magnitude."""
    rng = np.random.default_rng(1)
    q, k = (20 * rng.normal(size=(size, 16)).astype(F) for size in (4, 8))
    v = (100 + rng.normal(size=(8, 3))).astype(F)
    bound = reference("attention", {}, {"q": q, "k": k, "v": v}, {}, "float32").error
    scores = np.abs(q.astype(np.float64) @ k.T.astype(np.float64)).max() / 4
    assert (bound < 16 * 2.0**-24 * scores * 100).all() and (bound < 1e-2).all()


def test_scores_computed_twice_and_differently_are_convicted() -> None:
    """Numerator and denominator then hold different weights, which no longer sum to one."""
    rng = np.random.default_rng(2)
    q, k = (20 * rng.normal(size=(size, 64)).astype(F) for size in (4, 8))
    v = (100 + rng.normal(size=(8, 3))).astype(F)
    s, other = _scores(q, k, 0.125), _scores(q, k, 0.125) * F(1 + 2e-7)
    top = s.max(-1, keepdims=True)
    observed = np.exp(s - top) @ v / np.exp(other - top).sum(-1, keepdims=True)
    assert _excess(observed, reference("attention", {}, {"q": q, "k": k, "v": v}, {}, "float32")) > 1


@pytest.mark.parametrize(
    ("row", "tile", "most"),
    [
        ([5, 4, 3, 2, 1, 0], 1, 5),
        ([1, 5, 0, 0, 0, 0], 1, 5),
        ([0.0] * 64, 1, 63),
        ([3, 2], 1, 1),
        ([1], 1, 0),
        ([], 1, 0),
        ([1, 2, 3, 4], 0, 0),
        ([1, 2, 3, 4], 2, 1),
    ],
)
def test_rescalings_of_short_rows(row: list[float], tile: int, most: int) -> None:
    scores = np.array([row], dtype=float)
    errors = np.full(scores.shape, 1e-9)
    assert rescalings(scores, errors, np.ones(scores.shape, bool), tile) == most


def test_rescalings_follow_the_longest_rise() -> None:
    """A row of 64 keys that rises once at most: one step, one for parts, six for a tree of parts."""
    row = np.array([[0.0, 5.0] + [-1.0] * 62])
    keep, errors = np.ones(row.shape, bool), np.zeros(row.shape)
    assert rescalings(row, errors, keep, 1) == 1 + 1 + 6
    assert rescalings(row, np.full(row.shape, 10.0), keep, 1) == 63  # within their errors all could be growing
    keep[0, 1:] = False
    assert rescalings(row, errors, keep, 1) == 0 + 1 + 6


def _online_count(row: Any) -> int:
    top, count = -np.inf, 0
    for score in row:
        count, top = count + (score > top and top > -np.inf), max(top, score)
    return count


def test_no_order_of_an_online_softmax_rescales_more_often() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        row = rng.normal(size=rng.integers(2, 30))
        allowed = rescalings(row[None], np.zeros((1, len(row))), np.ones((1, len(row)), bool), 1)
        start = rng.integers(0, len(row))
        assert max(_online_count(row), _online_count(row[::-1]), _online_count(row[start:])) <= allowed


def _two_pass(x: Any, eps: float) -> Any:
    d = x - x.mean(-1, keepdims=True, dtype=F)
    return d / np.sqrt((d * d).mean(-1, keepdims=True, dtype=F) + F(eps))


def _welford(x: Any, eps: float) -> Any:
    mean, moment = np.zeros(x.shape[:-1], F), np.zeros(x.shape[:-1], F)
    for i in range(x.shape[-1]):
        step = x[..., i] - mean
        mean = mean + step / F(i + 1)
        moment = moment + step * (x[..., i] - mean)
    return (x - mean[..., None]) / np.sqrt(moment / F(x.shape[-1]) + F(eps))[..., None]


def _one_pass(x: Any, eps: float) -> Any:
    mean = x.mean(-1, keepdims=True, dtype=F)
    return (x - mean) / np.sqrt(np.maximum((x * x).mean(-1, keepdims=True, dtype=F) - mean * mean, 0) + F(eps))


@pytest.mark.parametrize(("style", "right"), [(_two_pass, True), (_welford, True), (_one_pass, False)])
def test_variances(style: Callable[[Any, float], Any], right: bool) -> None:
    rng, worst = np.random.default_rng(4), 0.0
    for _ in range(100):
        d = int(rng.choice([2, 3, 5, 16, 64, 300]))
        x = (10.0 ** rng.uniform(-2, 2) * rng.normal(size=(3, d)) + 10.0 ** rng.uniform(-1, 5)).astype(F)
        found = reference("layer_norm", {}, {"x": x, "gain": np.ones(d, F), "bias": np.zeros(d, F)}, {"eps": 1e-5}, "float32")
        worst = max(worst, _excess(style(x, 1e-5), found))
    assert (worst <= 1) == right


def test_weights_kept_in_half_precision_are_allowed_where_declared() -> None:
    rng, plain, declared = np.random.default_rng(5), 0.0, 0.0
    precision = read_precision("probability=float16", "float32")
    for _ in range(60):
        q, k, v = _inputs(rng)
        with np.errstate(all="ignore"):
            s = _scores(q, k, 1 / np.sqrt(q.shape[1]))
            e = np.exp(s - s.max(-1, keepdims=True)).astype(np.float16).astype(F)
        given: Any = ("attention", {}, {"q": q, "k": k, "v": v}, {}, "float32")
        observed = e @ v / e.sum(-1, keepdims=True)
        plain, declared = (
            max(plain, _excess(observed, reference(*given))),
            max(declared, _excess(observed, reference(*given, precision=precision))),
        )
    assert plain > 1 >= declared > 0.1
