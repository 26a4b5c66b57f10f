"""The harness properties acquit right kernels of every phase and convict each fault they are there for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kernelproof.properties.harness import harness_properties, same_bits
from kernelproof.properties.shapes import PHASES
from kernelproof.properties.verdict import PropertyVerdict

Judge = Callable[..., PropertyVerdict]
SIX = ["shape_and_dtype", "inputs_unchanged", "deterministic", "finite", "views_equal_copies", "batch_independent"]


def test_six_properties_but_for_positions_those_that_speak_of_tensors() -> None:
    for phase in PHASES:
        names = [found.id for found in harness_properties(phase)]
        wanted = SIX[:4] if phase == "positional" else SIX
        assert names == [f"{phase}.{name}" for name in wanted]
        assert {found.kind for found in harness_properties(phase)} == {"harness"}


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("phase", PHASES)
def test_right_kernels_pass(judge: Judge, right: dict[str, Any], phase: str, dtype: str) -> None:
    for subject in harness_properties(phase):
        if dtype == "float16" and phase in ("softmax", "activation", "positional"):
            continue  # these toys compute in the type they are given, which the contract does not ask for
        found = judge(right[phase], subject, phase=phase, dtype=dtype)
        assert found.verdict == "pass", (subject.id, found.message)
        assert found.examples == 60


def in_place(x: Any) -> Any:
    x -= x.max(-1, keepdims=True)
    e = np.exp(x)
    return e / e.sum(-1, keepdims=True)


BUFFERS: dict[tuple[int, ...], Any] = {}


def one_buffer(x: Any) -> Any:
    out = BUFFERS.setdefault(x.shape, np.empty_like(x))
    e = np.exp(x - x.max(-1, keepdims=True))
    np.divide(e, e.sum(-1, keepdims=True), out=out)
    return out


CALLS = [0]


def drifting(x: Any) -> Any:
    CALLS[0] += 1
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True) * np.float32(1 + 1e-6 * (CALLS[0] % 7))


def random_dropout(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True) * np.random.default_rng().integers(0, 2, x.shape).astype(x.dtype)


def no_shift(x: Any) -> Any:
    e = np.exp(x)
    return e / e.sum(-1, keepdims=True)


def over_all_axes(x: Any) -> Any:
    e = np.exp(x - x.max(initial=-np.inf))
    return e / e.sum()


def ignores_strides(x: Any) -> Any:
    # reads the memory from the first entry on, as a kernel that assumes contiguous rows does
    memory = np.lib.stride_tricks.as_strided(x, x.shape, np.empty(x.shape, x.dtype).strides) if x.ndim == 1 else x
    e = np.exp(memory - memory.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def in_double(x: Any) -> Any:
    e = np.exp(x.astype(np.float64) - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def keeps_an_axis(x: Any) -> Any:
    return in_double(x).astype(x.dtype)[None]


@pytest.mark.parametrize(
    ("kernel", "name"),
    [
        (in_place, "inputs_unchanged"),
        (one_buffer, "deterministic"),
        (drifting, "deterministic"),
        (random_dropout, "deterministic"),
        (no_shift, "finite"),
        (over_all_axes, "batch_independent"),
        (in_double, "shape_and_dtype"),
        (keeps_an_axis, "shape_and_dtype"),
    ],
)
def test_each_fault_is_convicted_by_its_property(judge: Judge, kernel: Any, name: str) -> None:
    found = judge(kernel, name)
    assert found.verdict == "fail"
    assert found.counterexample is not None
    assert found.counterexample.finding.inputs is not None


def test_messages_say_what_happened(judge: Judge) -> None:
    assert judge(in_place, "inputs_unchanged").message == "the input 'x' was changed by the call"
    assert "overwrote the first result" in judge(one_buffer, "deterministic").message
    assert "second call on the same inputs" in judge(drifting, "deterministic").message
    assert "expected float32[" in judge(in_double, "shape_and_dtype").message


def test_reading_past_strides_is_seen(judge: Judge) -> None:
    found = judge(ignores_strides, "views_equal_copies")
    assert found.verdict == "fail"
    assert "views (x " in found.message


def test_a_mask_changed_in_place_is_an_input_changed(judge: Judge, right: dict[str, Any]) -> None:
    def spoils(q: Any, k: Any, v: Any, *, mask: Any = None, **options: Any) -> Any:
        result = right["attention"](q, k, v, mask=mask, **options)
        if mask is not None:
            mask[...] = 0
        return result

    found = judge(spoils, "inputs_unchanged", phase="attention")
    assert found.verdict == "fail"
    assert "'mask'" in found.message


def test_a_mask_read_for_the_wrong_batch_entry(judge: Judge, right: dict[str, Any]) -> None:
    def first_mask_for_all(q: Any, k: Any, v: Any, *, mask: Any = None, **options: Any) -> Any:
        return right["attention"](q, k, v, mask=mask[:1] if mask is not None and mask.ndim > 2 else mask, **options)

    found = judge(first_mask_for_all, "batch_independent", phase="attention", examples=100)
    assert found.verdict == "fail"


def test_tokens_that_see_each_other_are_not_independent(judge: Judge, right: dict[str, Any]) -> None:
    def mixes(x: Any, w1: Any, b1: Any, w2: Any, b2: Any) -> Any:
        mixed = x + (0.1 * x.mean(-2, keepdims=True) if x.ndim > 1 else 0 * x)
        return right["feed_forward"](mixed, w1, b1, w2, b2).astype(x.dtype)

    assert judge(mixes, "batch_independent", phase="feed_forward").verdict == "fail"


def test_nan_is_excused_only_by_the_variant(judge: Judge) -> None:
    from kernelproof.properties.call import Call
    from kernelproof.properties.harness import check_finite
    from kernelproof.properties.model import Case, Recipe, Setting
    from kernelproof.properties.shapes import phase_shape

    call = Call(lambda q, k, v: v * np.nan, phase_shape("attention"))
    recipes = tuple((name, Recipe("normal")) for name in "qkv")
    sizes = (("n", 1), ("m", 1), ("d", 1), ("e", 1))
    excused = Case("attention", sizes, recipes=recipes, variant=(("fully_masked", "nan"),))
    blamed = Case("attention", sizes, recipes=recipes)
    assert check_finite(call, excused, Setting("attention")).vacuous
    assert not check_finite(call, blamed, Setting("attention")).ok


def test_a_result_that_is_too_large_for_the_format_may_be_infinite() -> None:
    """Of ones alone the result is d·h, and float16 ends at 65504."""
    from kernelproof.properties.call import Call
    from kernelproof.properties.harness import check_finite
    from kernelproof.properties.model import Case, Recipe, Setting
    from kernelproof.properties.shapes import phase_shape

    recipes = tuple((name, Recipe("zero" if name[0] == "b" else "ones")) for name in ("x", "w1", "b1", "w2", "b2"))

    def checked(width: int, result: float) -> bool:
        case = Case("feed_forward", (("n", 2), ("d", width), ("h", width)), recipes=recipes, dtype="float16")
        kernel = Call(lambda x, *_: np.full(x.shape, result, x.dtype), phase_shape("feed_forward"))
        return check_finite(kernel, case, Setting("feed_forward", dtype="float16")).ok

    assert checked(300, np.inf) and checked(200, 40000.0)
    assert not checked(200, np.inf) and not checked(200, np.nan)


def test_bits() -> None:
    nan = np.array([np.nan])
    assert same_bits(nan, nan.copy())
    assert not same_bits(np.array([0.0]), np.array([-0.0]))
    assert not same_bits(np.zeros(2), np.zeros((2, 1)))
    assert not same_bits(np.zeros(2), np.zeros(2, dtype=np.int64))


def test_a_kernel_that_fails_on_an_empty_batch_is_convicted_once(judge: Judge) -> None:
    def refuses(x: Any) -> Any:
        assert x.size
        return in_double(x).astype(x.dtype)

    verdicts = {name: judge(refuses, name, examples=100).verdict for name in SIX}
    assert verdicts == {**dict.fromkeys(SIX, "pass"), "shape_and_dtype": "fail"}
