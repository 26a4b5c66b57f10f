"""The options of attention beyond the default: what each may be, and which variants tests and tables go through.

Only :mod:`attention_forms` and :mod:`attention_heads` change what is proved. ``causal_alignment`` and ``window`` say who may attend to whom
and ``alibi`` what is added to scores: values of ``allow`` and ``bias``, set where a kernel reads its arguments.
"""

from __future__ import annotations

import math
from fractions import Fraction

from kernelproof.symbolic.phase import Options, Values, VariantOption, flag


def _width(value: object) -> int | None:
    """A whole number from 1 up; none for no window."""
    if value is None or value == "none":
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError
    found = int(value)
    if found < 1:
        raise ValueError
    return found


def _cap(value: object) -> float | None:
    """A finite positive number; none for no cap."""
    if value is None or value == "none":
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Fraction)):
        raise ValueError
    found = float(value)
    if not 0 < found < math.inf:
        raise ValueError
    return found


def _layout(value: object) -> str | None:
    """A layout of rotary positions; none for no positions."""
    if value is None or value == "none":
        return None
    if value not in ("halves", "interleaved"):
        raise ValueError
    return str(value)


def _one_of(*names: str) -> Values:
    def read(value: object) -> object:
        if value not in names:
            raise ValueError
        return value

    return Values(f"one of {', '.join(names)}", "|".join(names[1:]), read)


FLAG = Values("true or false", "true", flag)
OPTIONS = {
    option.name: option
    for option in (
        VariantOption(
            "causal_alignment", "top_left", ("top_left",), "which corner of the scores causality starts from when n ≠ m",
            _one_of("top_left", "bottom_right"),
        ),
        VariantOption(
            "fully_masked", "zeros", ("zeros",), "what a row that may attend to nothing gives: zeros, the mean of all values, or NaN",
            _one_of("zeros", "mean", "nan"),
        ),
        VariantOption("grouped_query", False, (False,), "query head h reads key/value head h // g, heads are axis −3", FLAG),
        VariantOption(
            "window", None, (None,), "key j is seen by query i if 0 ≤ i − j < window; queries are placed as causality places them",
            Values("a whole number from 1 up, or none", "W", _width),
        ),
        VariantOption("alibi", False, (False,), "adds slope·(j − i) to the scores, a slope for each head (axis −3)", FLAG),
        VariantOption(
            "softcap", None, (None,), "scaled scores s become C·tanh(s/C) before bias and mask",
            Values("a finite positive number, or none", "C", _cap),
        ),
        VariantOption(
            "rotary", None, (None,), "queries and keys are turned by their positions from 0 on first (base 10000), in one of the layouts",
            Values("one of halves, interleaved, or none", "halves|interleaved", _layout),
        ),
        VariantOption("sinks", False, (False,), "one more logit for each head (axis −3) that has no value", FLAG),
    )
}
#: a row with a sink is never without a weight
EXCLUDED = (("fully_masked", "sinks"),)


def left_out(variant: Options) -> frozenset[str]:
    """Theorems about the definition that a kernel of this variant does not keep, or that cannot be put to it.

    With a window or ALiBi inside, a permuted mask or bias can no longer be passed as an argument; NaN is no zero.
    """
    found = {"attention.permutation_equivariance", "attention.key_permutation"} if {"window", "alibi"} & set(variant) else set()
    return frozenset(found | ({"attention.fully_masked"} if variant.get("fully_masked") == "nan" else set()))


#: each option alone, and combinations of models in use
VARIANTS: tuple[Options, ...] = (
    {"causal_alignment": "bottom_right"},
    {"fully_masked": "mean"},
    {"fully_masked": "nan"},
    {"grouped_query": True},
    {"window": 2},
    {"alibi": True},
    {"softcap": 2.0},
    {"sinks": True},
    {"rotary": "halves"},
    {"rotary": "interleaved", "grouped_query": True},
    {"grouped_query": True, "softcap": 2.0, "window": 3},
    {"grouped_query": True, "sinks": True, "window": 3, "causal_alignment": "bottom_right"},
)
