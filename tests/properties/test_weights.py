"""Weights read off one-hot values: a distribution, told by a bound of its own where the general one says nothing."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kernelproof
from kernelproof.numeric.precision import assuming
from kernelproof.properties.call import Call
from kernelproof.properties.model import Case, Recipe
from kernelproof.properties.mutants import parts
from kernelproof.properties.weights import row_sum_bound, weight_properties

sys.path.insert(0, str(Path(__file__).parent))

from compared import judge, of, reproduces, setting_of, wrong

NAME = "weights_of_one_hot_values"
#: scores of some ten thousands, where a bound on exponentials of scores says nothing
HUGE = Case(
    "attention",
    (("n", 3), ("d", 8), ("m", 5), ("e", 5)),
    recipes=(("q", Recipe("normal", 3e4)), ("k", Recipe("normal", 3e4)), ("v", Recipe("identity"))),
    seed=3,
)


@pytest.fixture(autouse=True)
def toy_tolerance() -> None:
    """The derived bounds instead of the toy ones of this folder."""


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_generated_kernel_passes_with_room_for_nothing_else(dtype: str) -> None:
    found = judge(kernelproof.generate("attention", dtype=dtype), "attention", NAME, dtype=dtype)
    assert found.verdict == "pass" and found.worst is not None and found.worst > 0.01


@pytest.mark.parametrize("without", [frozenset(), frozenset({"value_width"})])
def test_values_are_an_identity_whatever_the_target_takes(without: frozenset[str]) -> None:
    shapes, right = [], kernelproof.generate("attention")

    def seen(q: Any, k: Any, v: Any, **options: Any) -> Any:
        shapes.append((q.shape[-1], v.shape[-2:], (v == np.eye(*v.shape[-2:])).all()))
        return right(q, k, v, **options)

    assert judge(seen, "attention", NAME, without=without).verdict == "pass"
    assert all(rows == columns and one for _, (rows, columns), one in shapes)
    assert {d == columns for d, (_, columns), _ in shapes} == ({True} if without else {True, False})


@pytest.mark.parametrize(
    ("name", "told"),
    [
        # what is told of a wrong divisor, a weight or their sum, is a matter of the example that is left after shrinking
        ("divisor cut to sixteen bits", "the weight"),
        ("hidden keys keep a trace", "the weight at"),
        ("smallest weights below zero", "below zero"),
        ("maximum from zero on", "the weight at"),
    ],
)
def test_faults_are_named_and_reproduced(name: str, told: str) -> None:
    function = wrong("attention", name)
    found = judge(function, "attention", NAME)
    assert found.verdict == "fail" and told in found.message, found.message
    assert reproduces(found, function)
    assert not reproduces(found, parts.attention())


def test_the_sum_is_told_where_the_general_bound_is_vacuous() -> None:
    subject, setting = of("attention", NAME), setting_of("attention")

    def check(factor: float) -> Any:
        def kernel(q: Any, k: Any, v: Any, **options: Any) -> Any:
            return (parts.attention()(q, k, v, **options) * np.float32(factor)).astype(np.float32)

        return subject.check(Call(kernel, HUGE.shape), HUGE, setting)

    from kernelproof.properties.model import build
    from kernelproof.properties.tolerance import expected_of

    error = expected_of("attention", {}, build(HUGE), "float32").error
    assert not np.isfinite(error).all()
    assert check(1.0).ok and check(1 + 1e-4).ok  # a log-sum-exp of such scores has no digits for more
    with assuming("weights=normalised"):
        assert check(1.0).ok and not check(1 + 1e-4).ok


def test_the_bound_of_the_sum_grows_with_keys_and_storage() -> None:
    assert row_sum_bound(1, "float32") < row_sum_bound(100, "float32") < 400 * 2.0**-24 < row_sum_bound(100, "float32", 400.0)
    assert row_sum_bound(100, "float64") < 1e-13
    assert 2.0**-10 < row_sum_bound(4, "float16") < 2.0**-9


def test_only_attention_whose_rows_sum_to_one_has_it() -> None:
    assert len(weight_properties("attention", {})) == 1
    assert not weight_properties("softmax", {})
    assert not weight_properties("attention", {"sinks": True})
    assert not weight_properties("attention", {"fully_masked": "nan"})


def test_a_wrong_shape_is_left_to_its_own_property() -> None:
    finding = of("attention", NAME).check(Call(lambda q, k, v: v[..., :1], HUGE.shape), replace(HUGE), setting_of("attention"))
    assert finding.ok and finding.vacuous
