"""The whole way from a target to its verdict, with toy theorems."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from kernelproof.properties.call import Call
from kernelproof.properties.model import Case, Finding, Property, Setting, build
from kernelproof.properties.registry import properties_of, property_table
from kernelproof.properties.strategies import draw_case
from kernelproof.properties.verify import verify, verify_target
from kernelproof.symbolic.errors import InputError


def row_sum(call: Call, case: Case, setting: Setting) -> Finding:
    inputs = build(case)
    total = call(inputs.tensors, inputs.options).astype(np.float64).sum(-1)
    ratio = float(np.abs(total - 1).max(initial=0.0) / 1e-3)
    return Finding(
        ratio <= 1,
        ratio,
        observed=total,
        expected=np.ones(total.shape),
        bound=1e-3,
        inputs=inputs,
        script="observed = np.asarray(target(x)).astype(np.float64).sum(-1)",
    )


def theorem_properties(phase: str, variant: dict[str, object]) -> list[Property]:
    if phase != "softmax":
        return []
    return [
        Property("softmax.row_sum_one", "row sum", "Σ softmax = 1", phase, lambda d, s: draw_case(d, s), row_sum),
        Property(
            "softmax.temperature",
            "temperature",
            "softmax(x/T)",
            phase,
            lambda d, s: draw_case(d, s),
            row_sum,
            needs=frozenset({"temperature"}),
        ),
    ]


def check_variant(phase: str, variant: dict[str, object]) -> dict[str, object]:
    if phase not in ("softmax", "attention", "activation"):
        raise InputError(f"phase {phase!r} is not known")
    if set(variant) - {"activation"}:
        raise InputError(f"variant {set(variant)} of {phase} is not known")
    return variant


def compared_calls(phase: str, variant: dict[str, object]) -> list[Property]:
    return []


@pytest.fixture(autouse=True)
def toy_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    toys: tuple[tuple[str, Callable[..., Any]], ...] = (
        ("kernelproof.properties.from_theorems", theorem_properties),
        ("kernelproof.properties.beside_theorems", compared_calls),
        ("kernelproof.symbolic.registry", check_variant),
    )
    for name, function in toys:
        module = ModuleType(name)
        vars(module).update(vars(importlib.import_module(name)))
        setattr(module, function.__name__, function)
        monkeypatch.setitem(sys.modules, name, module)


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def outcomes(found: Any) -> dict[str, str]:
    return {one.id.removeprefix("softmax."): one.verdict for one in found.properties}


HARNESS = ["shape_and_dtype", "inputs_unchanged", "deterministic", "finite", "views_equal_copies", "batch_independent"]


def test_a_right_function_passes() -> None:
    found = verify(softmax, phase="softmax", profile="quick")
    assert found
    assert outcomes(found) == {"row_sum_one": "pass", "temperature": "not_applicable", **dict.fromkeys(HARNESS, "pass")}
    assert found.seed == 0
    assert found.dtype == "float32"
    assert set(found.versions) == {"kernelproof", "python", "numpy", "hypothesis"} and "arithmetic" in found.to_json()["versions"]
    assert found.exit_code(strict=True) == 0


def test_a_wrong_function_fails_on_its_property_alone() -> None:
    found = verify(lambda x: softmax(x) * np.float32(1.01), phase="softmax", profile="quick")
    assert not found
    assert outcomes(found)["row_sum_one"] == "fail"
    assert [name for name in HARNESS if outcomes(found)[name] != "pass"] == []
    assert found.exit_code() == 1
    assert "softmax.row_sum_one" in str(found)
    json.loads(found.json_text())


def test_a_file_target_and_a_seed_that_repeats(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("def f(x):\n    return x * 0\n")

    def once(seed: int) -> dict[str, Any]:
        found = verify_target(f"{path}:f", phase="softmax", profile="quick", seed=seed).to_json()
        for one in found["properties"]:
            del one["seconds"]
        return found

    assert once(5) == once(5)
    assert once(5)["target"] == f"{path}:f"
    assert once(5)["seed"] == 5
    assert once(5)["verdict"] == "fail"


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_inputs_have_the_dtype_asked_for(dtype: str) -> None:
    def strict_type(x: Any) -> Any:
        assert x.dtype == dtype
        return softmax(x.astype(np.float64)).astype(dtype)

    assert verify(strict_type, phase="softmax", profile="quick", dtype=dtype).verdict == "pass"


def test_supports_is_heeded() -> None:
    def refuses_empty(x: Any) -> Any:
        assert x.size
        return softmax(x)

    assert verify(refuses_empty, phase="softmax", profile="standard", supports=["-no_rows"])
    assert not verify(refuses_empty, phase="softmax", profile="standard")


@pytest.mark.parametrize(
    "arguments",
    [
        {"phase": "sofmax"},
        {"phase": "softmax", "colour": "red"},
        {"phase": "softmax", "dtype": "float8"},
        {"phase": "softmax", "profile": "fast"},
        {"phase": "softmax", "max_seconds": 0},
        {"phase": "softmax", "max_seconds": float("nan")},
        {"phase": "softmax", "supports": ["nothing"]},
        {"phase": "attention"},
    ],
)
def test_a_call_that_cannot_be_used_is_an_input_error(arguments: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        verify(softmax, **arguments)


def test_words_are_checked_before_the_target_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "slow.py"
    path.write_text("raise RuntimeError('loaded')\n")
    for arguments in ({"dtype": "float8"}, {"profile": "fast"}):
        with pytest.raises(InputError, match="choosing a"):
            verify_target(f"{path}:f", phase="softmax", **arguments)  # type: ignore[arg-type]


def test_registry_lists_theorems_first() -> None:
    ids = [found.id for found in properties_of("softmax", {})]
    assert ids == [f"softmax.{name}" for name in ("row_sum_one", "temperature", *HARNESS)]
    table = property_table("softmax")
    assert table[0] == ("softmax.row_sum_one", "Σ softmax = 1")
    assert len(table) == len(ids)


def test_time_given_is_time_kept(judge: Callable[..., Any]) -> None:
    import time

    def slow(x: Any) -> Any:
        time.sleep(0.02)
        return softmax(x)

    started = time.perf_counter()
    found = verify(slow, phase="softmax", profile="thorough", max_seconds=1.5)
    assert time.perf_counter() - started < 5
    assert found.verdict == "pass"
