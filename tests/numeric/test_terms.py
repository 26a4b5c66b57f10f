"""Bounds split into terms: they add up, and each belongs to its stage."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kernelproof.numeric.precision import default_precision, read_precision
from kernelproof.numeric.reference import reference
from kernelproof.numeric.staging import STAGES
from kernelproof.numeric.terms import terms

RNG = np.random.default_rng(0)


def _floats(*shape: int) -> Any:
    return RNG.normal(size=shape).astype(np.float32)


CALLS: dict[str, tuple[dict[str, Any], dict[str, object], set[str]]] = {
    "attention": (
        {"q": _floats(3, 8), "k": _floats(5, 8), "v": _floats(5, 2)},
        {},
        {"scores", "exponents", "exponentials", "row sums", "weighted sums", "division by row sums"},
    ),
    "softmax": ({"x": _floats(3, 6)}, {}, {"exponents", "exponentials", "row sums", "division by row sums"}),
    "layer_norm": ({"x": _floats(3, 9), "gain": _floats(9), "bias": _floats(9)}, {}, {"sums", "sqrt", "elementwise", "pow"}),
    "feed_forward": (
        {"x": _floats(3, 4), "w1": _floats(4, 8), "b1": _floats(8), "w2": _floats(8, 4), "b2": _floats(4)},
        {"activation": "gelu"},
        {"products", "erf", "elementwise"},
    ),
}


@pytest.mark.parametrize("phase", CALLS)
def test_terms_add_up_to_the_bound(phase: str) -> None:
    tensors, variant, stages = CALLS[phase]
    whole = reference(phase, variant, tensors, {}, "float32").error
    split = terms(phase, variant, tensors, {}, "float32", default_precision("float32"))
    assert stages <= set(split) <= set(STAGES)
    assert all((term <= whole * (1 + 1e-6)).all() for term in split.values())
    total = sum(split.values())
    # sharper forms are the least of two, so that their terms are too
    assert (total >= 0.85 * whole).all() and (total <= 1.5 * whole).all()


@pytest.mark.parametrize(
    ("changes", "stage"),
    [
        ("score=float16", "scores"),
        ("probability=float16", "exponentials"),
        ("exp=64", "exponentials"),
        ("accumulate=float16", "weighted sums"),
    ],
)
def test_a_coarser_field_shows_in_its_term(changes: str, stage: str) -> None:
    tensors, variant, _ = CALLS["attention"]
    plain, coarse = (terms("attention", variant, tensors, {}, "float32", read_precision(text, "float32")) for text in ("", changes))
    grown = {name: float((coarse[name] / np.maximum(plain[name], 1e-300)).max()) for name in plain}
    assert grown[stage] > 4
    others = {name for name in plain if name not in (stage, "row sums", "scores", "storage")}
    assert all(grown[name] < 1.5 for name in others), grown


def test_storage_has_a_term_of_its_own() -> None:
    tensors = {name: array.astype(np.float16) for name, array in CALLS["attention"][0].items()}
    split = terms("attention", {}, tensors, {}, "float16", default_precision("float16"))
    assert max(split, key=lambda name: float(split[name].max())) in ("storage", "exponentials") and float(split["storage"].max()) > 1e-4
