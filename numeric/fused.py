"""Sharper bounds for two idioms whose errors cancel: a softmax that meets its values, and a variance.

What it does: composing the rules operation by operation forgets that numerator and denominator of a softmax hold the same scores.
With weights w_j, their sum D, o = Σ_j w_j·v_j / D, and computed scores that are off by some a_j in both places,

    |ô − o| ≤ [Σ_j s_j·|v_j − o| + Σ_j r_j·(|v_j| + |o|) + Σ_j h_j·(ε_j + g·|v_j|) + g'·|o|·Σ_j h_j] / (D − E − g'·(D + E))

with h_j = w_j + e_j, because Σ_j w_j·(v_j − o) = 0: score errors s_j = w_j·(exp(a_j) − 1) act through the spread of the values only. r_j is
the rest of the weight's error e_j = s_j + r_j (the exponential's own, what a rescaling adds), ε_j the error of v_j, E = Σ_j e_j, and g, g'
are what the two sums round. So too Σ_i (x_i − μ)² feels an error of μ in second order only, because Σ_i (x_i − μ) = 0.

Guarantees: sound for kernels that use one computed score in both places, whatever they do to weights and sums; where nothing can be
said the plain bound stays. Cannot see: kernels that compute the scores twice, and differently.
Source: Blanchard, Higham and Higham, IMA J. Numer. Anal. 41 (2021) 2311, treat log-sum-exp and softmax; this form is derived here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernelproof.numeric.rounding import DIVISION, Arithmetic, Array

#: entries that are held at once where every value meets every weight
_AT_ONCE = 2**21
#: up to this many comparisons the longest rise is looked for; beyond, every key counts
_MOST_COMPARED = 2**27


def rescalings(scores: Array, errors: Array, keep: Array, tile: int) -> int:
    """How often an online softmax over the last axis rescales a weight at most.

    It does so where its running maximum grows. Keys may be taken forwards or backwards, in tiles of at least ``tile`` keys, and in
    contiguous parts that are merged one after another or as a tree; scores that are equal within their errors may count as growing. 0 if
    ``tile`` is 0. Not covered in the worst case: lanes that take every k-th key.
    """
    length: int = scores.shape[-1]
    if tile == 0 or length == 0:
        return 0
    low, high = np.where(keep, scores - errors, -np.inf), np.where(keep, scores + errors, -np.inf)
    tiles = math.ceil(length / tile)
    most = tiles - 1
    beside = 1 + math.ceil(math.log2(max(tiles, 1)))
    if most <= beside or low.size * length > _MOST_COMPARED:
        return most
    # forwards and backwards
    rise = _longest_rise(*(np.stack([part, part[..., ::-1]]) for part in (low, high)))
    return min(most, rise + beside)


def _longest_rise(low: Array, high: Array) -> int:
    """The most steps from a key to the next larger one, in any row and from any key."""
    length = low.shape[-1]
    low, high = low.reshape(-1, length), high.reshape(-1, length)
    steps, rows, there = np.zeros(low.shape, dtype=np.int64), np.arange(low.shape[0]), np.isfinite(low)
    for at in range(length - 2, -1, -1):
        larger = high[:, at + 1 :] > low[:, at, None]
        first = larger.argmax(axis=-1)
        steps[:, at] = (steps[rows, first + at + 1] + 1) * (larger[rows, first] & there[:, at])
    return int(steps.max(initial=0))


@dataclass(frozen=True)
class Weighted:
    """A softmax that meets its values: arrays along (…, keys) for the weights, (…, keys) against them for one column of the values.

    ``shared`` is the part of the weights' error that numerator and denominator share. ``top`` and ``bottom`` are what the
    roundings of either sum lose of a term, ``kept`` and ``flushed`` are what keeping a weight loses, relatively and absolutely. ``extra``
    is a weight without a value.
    """

    weights: Array
    errors: Array
    shared: Array
    values: Array
    value_errors: Array
    top: float
    bottom: float
    kept: float
    flushed: float
    extra: Array
    extra_error: Array


def weighted_mean(on: Arithmetic, parts: Weighted, result: Array) -> Array:
    """The bound above on Σ w·v / (Σ w + extra), with the division's own rounding; all parts broadcast, keys last."""
    whole = parts.weights + parts.errors
    total, lost = whole.sum(axis=-1) + parts.extra + parts.extra_error, parts.errors.sum(axis=-1) + parts.extra_error
    keys = parts.weights.shape[-1]
    own = np.maximum(parts.errors - parts.shared, 0) + parts.kept * whole + parts.flushed
    below = parts.bottom
    least = parts.weights.sum(axis=-1) + parts.extra - lost - (below + parts.kept) * total - keys * parts.flushed - 2 * (keys + 1) * on.tiny
    size = np.abs(result)
    carried = np.empty(result.shape, dtype=result.dtype)
    step = max(_AT_ONCE // max(whole.size, 1), 1)
    for first in range(0, result.shape[-1], step):
        column = slice(first, first + step)
        values, value_errors = parts.values[..., column, :], parts.value_errors[..., column, :]
        centre, far = result[..., column, None], np.abs(values)
        terms = parts.shared[..., None, :] * np.abs(values - centre) + own[..., None, :] * (far + np.abs(centre))
        terms = terms + whole[..., None, :] * (value_errors + parts.top * (far + value_errors)) + 2 * on.tiny * far
        carried[..., column] = terms.sum(axis=-1)
    carried += size * (below * total + parts.extra_error)[..., None] + 2 * (keys + 1) * on.tiny * (1 + size)
    error = carried * on.slack(keys) / np.where(least > 0, least, 1)[..., None]
    found: Array = np.where((least > 0)[..., None], error + DIVISION * on.unit * (size + error) + on.tiny, np.inf)
    return found


def spread(
    on: Arithmetic, deviations: Array, carried: Array, mean_rounding: Array, axes: tuple[int, ...], count: int, squares: Any
) -> Array:
    """A bound on the error of Σ (x − μ)²: entries' own errors, what the mean rounds in second order, and the sum's roundings.

    Welford's recurrence is allowed for: it is off by γ·√(Σ (x − μ)²·Σ x²) at most (Chan, Golub and LeVeque, 1983).
    """
    linear = 2 * (np.abs(deviations) * carried).sum(axis=axes) + (carried**2).sum(axis=axes)
    rounding = np.abs(mean_rounding)
    second = count * rounding**2
    reach = ((np.abs(deviations) + carried) ** 2).sum(axis=axes) + 2 * second
    welford = np.sqrt(reach * squares)
    found: Array = (linear + second + on.gamma(count + 4) * (reach + welford)) * on.slack(count) + 2 * (count + 1) * on.tiny
    return found
