"""The weights of a fused attention, read off its result: with one-hot values, V = identity, row i of the result *is* row i of the weights.

What it does: ``attention.weights_of_one_hot_values`` asks that they are nonnegative, sum to one, and are the softmax of the scores within
the general bound, which is zero where a key is forbidden. A third of the examples have opposed queries and keys, all scores far below zero.
The sum has a bound of its own: weights are e_j/L̂ with one L̂ for the row, so the errors of scores and exponentials cancel, and what is
left are roundings: m − 1 of the sum L̂, two for the division (or reciprocal and product), and two for each time that an online softmax
rescales sum and weights, which is at most m times; weights taken from a rounded log-sum-exp lose u·|lse| and its own roundings beside.
So |Σ_j w_j − 1| ≤ γ(3m + 1) + m·tiny + that, and twice the roundoff of the storage in 16-bit
formats, for the weights and for the result. It holds at any magnitude, where the general bound says nothing; the sum itself is made in the
reference's format. Guarantees: nothing is assumed of how the weights are found. Cannot see: what a kernel does with other values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from kernelproof.numeric.idioms import FROM_LOGARITHM
from kernelproof.numeric.precision import assumed_precision
from kernelproof.numeric.reference import wide
from kernelproof.numeric.rounding import arithmetic_for
from kernelproof.properties.call import Call, call_text
from kernelproof.properties.model import Case, Finding, Inputs, Property, Recipe, Setting, build
from kernelproof.properties.strategies import draw_case
from kernelproof.properties.telling import draw_telling
from kernelproof.properties.tolerance import expected_of, within
from kernelproof.properties.two_calls import WRONG_SHAPE
from kernelproof.properties.values import Array

#: roundings that a weight passes through: its share of the sum, the division, and a rescaling of sum and weight with each key
PER_KEY, ONCE = 3, 1
#: every score is far below zero
OPPOSED = {"q": Recipe("positive"), "k": Recipe("negative")}


def weight_properties(phase: str, variant: Mapping[str, object]) -> list[Property]:
    """The property of attention; none for others, and none where a variant gives the row another sum."""
    if phase != "attention" or variant.get("sinks") or variant.get("fully_masked", "zeros") != "zeros":
        return []
    return [
        Property(
            "attention.weights_of_one_hot_values",
            "Weights read off one-hot values are a distribution, and the softmax of the scores",
            "v := identity implies (tested, not proved here) f ≥ 0, f[i, j] = 0 where forbidden, Σ_j f[i, j] = 1, f = softmax(scores)",
            phase,
            _draw,
            _check,
            kind="harness",
        )
    ]


def _draw(draw: DrawFn, setting: Setting) -> Case:
    telling = draw_telling(draw, setting)
    # an identity needs as many columns as keys; where values must be as wide as queries, these too
    square = {"e": "m"} if "value_width" in setting.capabilities else {"m": "d", "e": "d"}
    recipes = {**telling.get("recipes", {}), **(OPPOSED if draw(st.sampled_from((False, False, True))) else {}), "v": Recipe("identity")}
    minimum = {square.get(name, name): length for name, length in telling.get("minimum", {}).items()}
    return draw_case(draw, setting, **{**telling, "fixed": square, "minimum": minimum, "recipes": recipes, "empty": False})


def largest_scores(inputs: Inputs, dtype: str) -> Array:
    """No score of a row is larger, (…, n): |scale|·‖q_i‖·max_j ‖k_j‖ and what is added to it; turning and soft-capping make none larger."""
    q, k = (inputs.tensors[name].astype(wide(dtype)) for name in "qk")
    given: Any = inputs.options.get("scale")
    scale = (q.shape[-1] ** -0.5 if q.shape[-1] else 1.0) if given is None else abs(float(given))
    mask: Any = inputs.options.get("mask")
    added = np.zeros(1) if mask is None or mask.dtype == np.bool_ else np.abs(mask.astype(np.float64))
    # a slope of at most one for each position between query and key
    farthest = q.shape[-2] + k.shape[-2]
    of_q, of_k = (np.sqrt((part**2).sum(axis=-1)) for part in (q, k))
    found: Array = scale * of_q * of_k.max(initial=0) + np.where(np.isfinite(added), added, 0).max(initial=0) + farthest
    return found


def row_sum_bound(keys: int, dtype: str, scores: Array | float = 0.0) -> Any:
    """How far from one the weights of a row with an allowed key can sum to, if no score is larger."""
    on, precision = arithmetic_for(dtype, wide(dtype)), assumed_precision(dtype)
    sums = replace(on, compute=precision.format("accumulate"))
    logarithm = 2 * (np.abs(scores) + (1 + 2 * on.ulps["log"]) * math.log(max(keys, 1))) + FROM_LOGARITHM
    bound: Any = sums.gamma(PER_KEY * keys + ONCE) + keys * on.compute.tiny
    if precision.weights == "any":
        bound = bound + np.expm1(on.unit * logarithm)
    for kept in (precision.format(name) for name in ("probability", "products", "output")):
        if kept.unit > on.compute.unit:
            bound = bound + kept.unit * (1 + bound) + 2 * keys * kept.tiny * kept.unit
    return bound * on.slack(keys)


def _check(call: Call, case: Case, setting: Setting) -> Finding:
    inputs = build(case)
    observed = call(inputs.tensors, inputs.options)
    known = expected_of(case.phase, dict(case.variant), inputs, setting.dtype)
    if observed.shape != known.value.shape:
        return WRONG_SHAPE
    keys, weights = case.size("m"), observed.astype(known.value.dtype)
    # a row that the reference cannot do is beyond any statement
    sound = np.isfinite(known.value).all(axis=-1) & np.isfinite(weights).all(axis=-1)
    if (found := _below_zero(weights, sound, inputs)) is not None:
        return found
    shown = within(observed, known.value, known.error, inputs, "the weight")
    if not shown.ok:
        return shown
    sums = weights.sum(axis=-1)
    # the reference's weights of a row sum to one, or to zero where it may attend to nothing
    allowed = row_sum_bound(keys, setting.dtype, largest_scores(inputs, setting.dtype))
    bound = np.where(sound & (known.value.sum(axis=-1) > 0.5), allowed, np.inf)
    finding = within(sums, np.ones_like(sums), bound, inputs, "the sum of the weights")
    if finding.ok:
        worst = max((part for part in (shown.ratio, finding.ratio) if part is not None), default=None)
        return Finding(ok=True, ratio=worst, vacuous=shown.vacuous and finding.vacuous)
    return replace(finding, script=f"observed = np.asarray({call_text(case.shape, inputs)}).astype(np.float64).sum(-1)")


def _below_zero(weights: Array, sound: Array, inputs: Inputs) -> Finding | None:
    """A weight below zero: a sum of products of what is not negative rounds to nothing negative."""
    bad = (weights < 0) & sound[..., None]
    if not bad.any():
        return None
    place = tuple(int(at) for at in np.argwhere(bad)[0])
    return Finding(
        ok=False,
        ratio=math.inf,
        observed=weights,
        expected="no weight below zero",
        message=f"the weight at {list(place)} is {weights[place]!s}, below zero",
        inputs=inputs,
        assertion="not (observed < 0).any()",
    )
