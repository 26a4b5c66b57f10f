"""Examples drawn once give the verdicts that a search of its own gives, kernel by kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from kernelproof.numeric.reference import reference
from kernelproof.properties import kept_references
from kernelproof.properties.campaign_trials import numpy_target
from kernelproof.properties.kept_references import keeping_references
from kernelproof.properties.model import Setting
from kernelproof.properties.profiles import PROFILES
from kernelproof.properties.runner import run_property
from kernelproof.properties.shared_examples import SharedExamples, short


@pytest.fixture(autouse=True)
def toy_tolerance() -> Iterator[None]:
    """The derived bounds instead of the toy ones of this folder."""
    with threadpool_limits(1):
        yield


def _right(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True, initial=-np.inf))
    return e / e.sum(-1, keepdims=True)


def _clipped(x: Any) -> Any:
    return _right(np.clip(x, -50, 50))


def _half(x: Any) -> Any:
    return _right(x).astype(np.float16).astype(x.dtype)


def _raises(x: Any) -> Any:
    if x.ndim > 2:
        raise ValueError("too many axes")
    return _right(x)


@pytest.mark.parametrize("function", [_right, _clipped, _half, _raises])
def test_the_same_verdicts_and_examples_as_a_search(function: Callable[[Any], Any]) -> None:
    target = numpy_target(function, "softmax", {})
    shared = SharedExamples(Setting("softmax", {}, "float32", target.capabilities, PROFILES["quick"]), 3)
    with keeping_references():
        found = list(shared.judged(target.call, shared.properties))
    assert any(one.verdict == "fail" for one in found) == (function is not _right)
    for subject, one in zip(shared.properties, found, strict=True):
        own, _ = run_property(subject, target.call, shared.setting, seed=3, seconds=60.0, reproduce=lambda *_: "")
        assert (one.property_id, one.verdict, one.examples) == (own.id, own.verdict, own.examples)
        assert own.verdict != "fail" or one.message == own.message


def test_a_feature_that_the_target_lacks_is_not_tried() -> None:
    target = numpy_target(_right, "softmax", {})
    shared = SharedExamples(Setting("softmax", {}, "float32", target.capabilities - {"layouts"}, PROFILES["quick"]), 0)
    (views,) = [one for one in shared.properties if short(one) == "views_equal_copies"]
    (found,) = shared.judged(target.call, [views])
    assert (found.verdict, found.examples) == ("not_applicable", 0)


def test_properties_are_put_first_by_name() -> None:
    target = numpy_target(_right, "softmax", {})
    shared = SharedExamples(Setting("softmax", {}, "float32", target.capabilities, PROFILES["quick"]), 0)
    ordered = [short(one) for one in shared.ordered(("deterministic", "row_sum_one"))]
    assert ordered[:2] == ["deterministic", "row_sum_one"]
    assert sorted(ordered) == sorted(short(one) for one in shared.properties)


def test_references_are_kept_inside_the_block_alone() -> None:
    x = np.array([[1.0, 2.0, 3.0]], np.float32)
    again = {"x": x.copy()}
    with keeping_references():
        first = kept_references.reference("softmax", {}, {"x": x}, {}, "float32")
        assert kept_references.reference("softmax", {}, again, {}, "float32") is first
        assert kept_references.reference("softmax", {}, {"x": x + 1}, {}, "float32") is not first
        assert kept_references.reference("softmax", {}, again, {}, "float64") is not first
        with pytest.raises(ValueError, match="read-only"):
            first.value[...] = 0
    other = kept_references.reference("softmax", {}, again, {}, "float32")
    assert other is not first
    plain = reference("softmax", {}, again, {}, "float32")
    assert np.array_equal(other.value, plain.value) and np.array_equal(other.error, plain.error)
