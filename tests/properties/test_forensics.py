"""Why a kernel misses its definition: the exceeded terms, and the arithmetic that would explain it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import kernelproof
from kernelproof.numeric.precision import default_precision, read_precision
from kernelproof.properties.forensics import candidates, forensics, in_words
from kernelproof.properties.model import Setting
from kernelproof.properties.profiles import PROFILES
from kernelproof.properties.registry import properties_of
from kernelproof.properties.runner import run_property
from kernelproof.properties.targets import memory_target
from kernelproof.symbolic.errors import InputError


def _weights(s: Any) -> Any:
    return np.exp(s - s.max(-1, keepdims=True, initial=-1e30))


def weights_in_half(q: Any, k: Any, v: Any) -> Any:
    e = _weights((q @ np.swapaxes(k, -1, -2)) * np.float32(q.shape[-1] ** -0.5 if q.shape[-1] else 1)).astype(np.float16).astype(np.float32)
    total = e.sum(-1, keepdims=True)
    return (e @ v) / np.where(total == 0, 1, total)


def unscaled(q: Any, k: Any, v: Any) -> Any:
    e = _weights(q @ np.swapaxes(k, -1, -2))
    total = e.sum(-1, keepdims=True)
    return (e / np.where(total == 0, 1, total)) @ v


def coarse_exponential(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True, initial=-np.inf)).astype(np.float64)
    e = (e * (1 + 2e-5 * np.sin(1e3 * x))).astype(np.float32)
    return e / e.sum(-1, keepdims=True)


def _found(function: Any, phase: str) -> Any:
    """The definition alone, and what is said of its failure."""
    target = memory_target(function, phase=phase, variant={})
    setting = Setting(phase, {}, "float32", target.capabilities, replace(PROFILES["quick"], shrink_seconds=0.5))
    subject = properties_of(phase, {})[0]
    failed, _ = run_property(subject, target.call, setting, seed=0, seconds=30, reproduce=lambda *_: "")
    assert failed.verdict == "fail" and failed.counterexample is not None
    return forensics(subject, target.call, failed.counterexample.case, failed.counterexample.finding, setting, 0, 60)


def test_weights_kept_in_half_precision_are_named() -> None:
    found = _found(weights_in_half, "attention")
    assert found.property_id == "attention.matches_definition"
    assert found.explanations[0].changes in ("probability=float16", "products=float16") and 0.1 < found.explanations[0].worst <= 1
    assert found.error > found.bound > 0 and max(found.terms, key=found.terms.__getitem__) == "exponentials"
    assert found.explanations[0].examples >= 10 and "(weights kept in float16)" in str(found) and "exceeds the bound" in str(found)


def test_a_verdict_tells_the_arithmetic_and_why() -> None:
    verdict = kernelproof.verify(unscaled, phase="attention", profile="quick", max_seconds=4)
    assert "arithmetic: computed in float32" in verdict.table() and str(verdict.forensics) in str(verdict)
    shown = verdict.to_json()
    (row,) = (row for row in shown["properties"] if row["id"] == "attention.matches_definition")
    assert row["counterexample"]["reproducer"].endswith(f"# {str(verdict.forensics).splitlines()[-1]}\n")
    assert shown["versions"]["arithmetic"].startswith("computed in float32") and "precision" not in shown["versions"]


def test_a_declared_precision_acquits() -> None:
    declared = kernelproof.verify(weights_in_half, phase="attention", profile="quick", max_seconds=6, precision="probability=float16")
    assert not [row for row in declared.properties if row.verdict == "fail"] and declared.forensics is None
    assert declared.to_json()["versions"]["precision"] == "probability=float16" and "probability float16" in declared.table()


def test_another_function_is_explained_by_no_arithmetic() -> None:
    found = _found(unscaled, "attention")
    assert found.explanations == () and "the kernel computes something else" in str(found)


def test_a_coarse_function_is_given_its_units() -> None:
    found = _found(coarse_exponential, "softmax")
    assert any(told.changes.startswith("exp=") for told in found.explanations), str(found)


def flushing_relu(x: Any) -> Any:
    return np.where(np.abs(x) < np.finfo(np.float32).tiny, np.float32(0), np.maximum(x, 0))


def test_inputs_read_as_zero_are_named() -> None:
    verdict = kernelproof.verify(flushing_relu, phase="activation", activation="relu", profile="standard")
    assert verdict.verdict == "fail" and verdict.forensics is not None
    assert "subnormals=flushed" in [told.changes for told in verdict.forensics.explanations], str(verdict.forensics)
    said = kernelproof.verify(flushing_relu, phase="activation", activation="relu", precision="subnormals=flushed")
    assert said, str(said)


def test_candidates_are_coarser_in_one_field_or_in_a_whole_softmax() -> None:
    made = [found.changes() for found in candidates(default_precision("float32"))]
    assert "products=tfloat32" in made and "probability=float8_e4m3" in made and "score=bfloat16" in made
    assert not any("float64" in changes for changes in made) and len(made) == len(set(made))
    assert {changes for changes in made if "," in changes} == {"score=bfloat16,probability=bfloat16", "score=float16,probability=float16"}
    assert "compute=float32" in [found.changes() for found in candidates(default_precision("float64"))]
    assert not [found for found in candidates(read_precision("compute=bfloat16", "float32")) if found.compute == "float16"]


def test_changes_in_words() -> None:
    assert in_words("score=float16,probability=float16") == "scores kept in float16, weights kept in float16"
    assert in_words("score=bfloat16") == "scores kept in bfloat16" and in_words("erf=16") == "erf accurate to 16 ulp only"


def test_a_precision_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(InputError, match="reading precision 'colour=red'"):
        kernelproof.verify(unscaled, phase="attention", precision="colour=red")


def softmax_gradient_in_half(x: Any, grad_out: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True, initial=-np.inf))
    p = (e / e.sum(-1, keepdims=True)).astype(np.float16).astype(np.float32)
    return (p * (grad_out - (p * grad_out).sum(-1, keepdims=True)),)


def test_a_gradient_is_explained_too() -> None:
    found = _found(softmax_gradient_in_half, "softmax.vjp")
    assert found.property_id == "softmax.vjp.matches_definition" and found.input == "x" and found.terms == {}
    assert "the gradient of x, at [" in str(found) and "which allows for" not in str(found)
    assert any("float16" in one.changes for one in found.explanations)
    assert _found(lambda x, grad_out: (grad_out,), "softmax.vjp").explanations == ()
