"""Earlier keys and values beside new ones: ``attention.cache_agrees``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import kernelproof
from kernelproof.properties.cache import cache_properties
from kernelproof.properties.call import CACHE
from kernelproof.properties.capabilities import cache_of, capabilities_of
from kernelproof.properties.mutants import caches
from kernelproof.properties.shapes import phase_shape

sys.path.insert(0, str(Path(__file__).parent))

from compared import judge, reproduces

NAME = "cache_agrees"
SHAPE = phase_shape("attention")


@pytest.fixture(autouse=True)
def toy_tolerance() -> None:
    """The derived bounds instead of the toy ones of this folder."""


@pytest.mark.parametrize("variant", [{}, {"window": 2}, {"grouped_query": True}, {"rotary": "halves"}, {"sinks": True}], ids=str)
def test_generated_kernels_pass(variant: dict[str, Any]) -> None:
    found = judge(kernelproof.generate("attention", **variant), "attention", NAME, **variant)
    assert found.verdict == "pass" and found.examples > 10


def test_a_right_kernel_passes() -> None:
    assert judge(caches.cached(), "attention", NAME, seed=3).verdict == "pass"


@pytest.mark.parametrize("wrong", caches.WRONG, ids=lambda wrong: wrong.id)
def test_faults_are_convicted_and_reproduced(wrong: Any) -> None:
    found = judge(wrong.function, "attention", NAME)
    assert found.verdict == "fail"
    assert reproduces(found, wrong.function) and not reproduces(found, caches.cached())


def test_a_result_alone_is_no_answer_to_a_call_with_a_cache() -> None:
    def alone(*given: Any, **options: Any) -> Any:
        return caches.cached()(*given, **options)[0] if options.get("past_k") is not None else caches.cached()(*given, **options)

    found = judge(alone, "attention", NAME)
    assert found.verdict == "fail"
    assert "returned a ndarray for a call with past_k, expected (result, all keys, all values)" in found.message
    assert reproduces(found, alone)


def test_only_attention_has_a_cache_and_a_signature_shows_it() -> None:
    assert cache_properties("multi_head_attention", {}) == []
    assert set(CACHE) <= capabilities_of("mine", caches.cached(), SHAPE)
    assert cache_of(SHAPE) == CACHE and cache_of(phase_shape("multi_head_attention")) == ()
    for without in (lambda q, k, v, *, causal=False: q, lambda q, k, v, **options: q):
        assert not set(CACHE) & capabilities_of("mine", without, SHAPE)
    assert set(CACHE) <= capabilities_of("mine", lambda q, k, v, **options: q, SHAPE, supports=CACHE)
