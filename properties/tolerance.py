"""Comparing results within derived bounds, and with nothing else.

Guarantees: an entry is wrong exactly when its error exceeds the bound or it is not finite where the bound is. Where the bound is
infinite nothing is concluded; a finding is vacuous when that is so for every entry.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from kernelproof.numeric.interpret import Approx
from kernelproof.numeric.rounding import FORMATS
from kernelproof.properties.kept_references import reference
from kernelproof.properties.model import Finding, Inputs
from kernelproof.properties.values import Array


def within(
    observed: Array, expected: Array, bound: Array, inputs: Inputs | None = None, what: str = "the result"
) -> Finding:
    """Whether |observed − expected| ≤ bound wherever the bound is finite."""
    observed, expected, bound = (np.asarray(part) for part in np.broadcast_arrays(observed, expected, bound))
    known = np.isfinite(bound)
    wide = observed.astype(expected.dtype if expected.dtype.kind == "f" else np.float64)
    with np.errstate(all="ignore"):
        error = np.abs(wide - expected)
        ratio = np.where(
            error <= bound, error / np.where(bound > 0, bound, 1), np.where(bound > 0, error / bound, np.inf)
        )
    ratio = np.where(np.isfinite(wide), np.where(np.isnan(ratio), np.inf, ratio), np.inf)
    ratio = np.where(known, ratio, 0)
    worst = float(ratio.max(initial=0))
    vacuous = observed.size > 0 and not known.any()
    if worst <= 1:
        return Finding(ok=True, ratio=None if vacuous else worst, vacuous=vacuous, inputs=inputs)
    place = tuple(int(at) for at in np.unravel_index(int(np.argmax(ratio)), ratio.shape))
    message = (
        f"{what} at {list(place)} is {wide[place]!s}, expected {expected[place]!s} within {bound[place]:.3g}: "
        + (
            f"the error is {worst:.3g} times the bound"
            if math.isfinite(worst)
            else "not finite"
            if not np.isfinite(wide[place])
            else "the bound allows no error"
        )
    )
    return Finding(
        ok=False, ratio=worst, observed=observed, expected=expected, bound=bound, message=message, inputs=inputs
    )


#: from this share of the largest number of a format on, a right result may be infinite
NEAR_THE_END = 0.99


def missing(observed: Array, expected: Array, dtype: str) -> Array:
    """Where a result is not finite, though the expected one is not too large for the format."""
    bad = ~np.isfinite(observed.astype(np.float64))
    try:
        beyond = np.broadcast_to(np.abs(expected) > NEAR_THE_END * FORMATS[dtype].largest, bad.shape)
    except ValueError:
        return bad  # a wrong shape is another property's finding
    return np.asarray(bad & ~beyond)


def expected_of(phase: str, variant: Mapping[str, object], inputs: Inputs, dtype: str) -> Approx:
    """Reference and bound for the inputs of a case."""
    return reference(phase, variant, inputs.tensors, inputs.options, dtype)


def agree(
    phase: str,
    variant: Mapping[str, object],
    tensors: Mapping[str, Array],
    options: Mapping[str, Any],
    observed: Array,
    expected: Array,
) -> Finding:
    """Whether two results of one kernel for the same inputs differ by no more than twice its rounding bound."""
    found = reference(phase, variant, tensors, options, _dtype(observed))
    if observed.shape != found.value.shape:
        # a wrong shape is another property's finding
        return Finding(ok=True, vacuous=True, message="the result has another shape than the contract's")
    return within(observed, expected.astype(found.value.dtype), 2 * found.error)


def _dtype(array: Array) -> str:
    """The name of the dtype if it is one of ours; a result of another type is judged as float32."""
    return array.dtype.name if array.dtype.name in ("float16", "bfloat16", "float32", "float64") else "float32"
