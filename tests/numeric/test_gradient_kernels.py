"""Generated gradient kernels: their text in many digits, their bounds, shapes and conventions, their certificates."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numeric_cases import name_of

from kernelproof.numeric.certificate import check, worst_ratio
from kernelproof.numeric.gradient_forms import gradient_program
from kernelproof.numeric.gradient_recipe import recipe
from kernelproof.numeric.kernel import Kernel, generate
from kernelproof.numeric.schedules import plan, threads
from kernelproof.numeric.validation import AGREEING, validate
from kernelproof.symbolic.errors import InputError
from kernelproof.symbolic.registry import gradient, has_gradient, phases, variants_of

Array = np.ndarray[Any, np.dtype[Any]]
#: one of each way of printing; `python -m kernelproof.numeric.validation --vjp` goes through all
PRINTED: list[tuple[str, dict[str, object]]] = [
    ("embedding", {}), ("rotary", {"layout": "interleaved"}), ("softmax", {}), ("layer_norm", {}), ("feed_forward", {"activation": "relu"}),
    ("attention", {"sinks": True}), ("attention", {"rotary": "halves"}), ("multi_head_attention", {}),
]

FIRST = [(phase, variants_of(phase)[0]) for phase in phases() if has_gradient(phase)]


@cache
def _made(phase: str, variant: tuple[tuple[str, object], ...], dtype: str) -> Kernel:
    return generate(phase, dtype=dtype, vjp=True, **dict(variant))  # type: ignore[arg-type]


def made(phase: str, variant: Mapping[str, object] | None = None, dtype: str = "float32") -> Kernel:
    return _made(phase, tuple((variant or {}).items()), dtype)


def array(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(("phase", "variant"), FIRST, ids=name_of)
def test_the_file_says_what_it_rests_on_and_stays_within_its_bound(phase: str, variant: dict[str, object]) -> None:
    kernel, found = made(phase, variant), gradient(phase, **variant)
    assert kernel.name == f"{phase}_vjp" and kernel.vjp and kernel.theorems == found.statements
    tree = ast.parse(kernel.source)
    docstring = ast.get_docstring(tree) or ""
    assert found.fingerprint() in docstring and f"    {phase}.vjp" in docstring and "grad_out" in docstring
    assert all(f"    of {name}: {stage}" in docstring for name, stage in found.results.items())
    modules = {node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in ast.walk(tree)
               if isinstance(node, (ast.Import, ast.ImportFrom))}
    outside = {"numpy", "scipy.special", "scipy.sparse", "threadpoolctl"}
    assert modules <= {"math", "os", "sys", "collections", "concurrent.futures", "threading", "types", *outside}
    assert 0 < worst_ratio(kernel) <= 1 or (phase, variant.get("activation")) == ("activation", "relu")


@pytest.mark.parametrize(("phase", "variant"), PRINTED, ids=name_of)
def test_the_text_itself_agrees_with_the_derived_definitions(phase: str, variant: dict[str, object]) -> None:
    kernel = made(phase, variant)
    found = validate(kernel)
    assert found.passed and found.digits >= AGREEING and found.refused == found.bad > 3 and found.entries > 20, str(found)
    lines = kernel.source.splitlines()
    shared = {line.strip() for line in threads.HELPER.splitlines()}
    missing = [one for one in found.coverage.missing if lines[int(re.findall(r"line (\d+)", one)[0]) - 1].strip() not in shared]
    assert missing == []


WRONG = [
    ("softmax", {}, "(grad_out - total2[..., None])", "(grad_out + total2[..., None])", "the gradient of x agrees"),
    ("layer_norm", {}, "np.sum(sums_bias, axis=0)", "np.sum(sums_bias[:1], axis=0)", "the gradient of bias agrees"),
    ("embedding", {}, "d_table[block] += other[block]", "d_table[block] = other[block]", "the gradient of table agrees"),
    ("feed_forward", {"activation": "relu"}, "0.0 < value1", "value1 < 0.0", "the gradient of x agrees"),
    ("rotary", {}, ".astype(dtype, copy=False),", ".astype(np.float64),", "has dtype"),
    ("multi_head_attention", {}, "    d_x.reshape(shape).astype(dtype, copy=False),\n", "", "has 4 gradients"),
]


@pytest.mark.parametrize(("phase", "variant", "old", "new", "told"), WRONG, ids=[row[0] for row in WRONG])
def test_a_wrong_line_is_convicted(phase: str, variant: dict[str, object], old: str, new: str, told: str) -> None:
    kernel = made(phase, variant)
    assert old in kernel.source, f"{old!r} is no longer in the file of {phase}: bring this test up to date"
    found = validate(replace(kernel, source=kernel.source.replace(old, new)))
    assert not found.passed and any(told in failure for failure in found.failures), str(found)


def test_what_was_broadcast_is_summed_back() -> None:
    q, k, v = array(2, 1, 3, 4), array(3, 5, 4, seed=1), array(5, 6, seed=2)
    upstream = array(2, 3, 3, 6, seed=3)
    found = made("attention")(q, k, v, upstream, causal=True)
    assert [part.shape for part in found] == [q.shape, k.shape, v.shape]
    full = [np.broadcast_to(part, (2, 3, *part.shape[-2:])) for part in (q, k, v)]
    whole = made("attention")(*full, upstream, causal=True)
    for part, wide, axes in zip(found, whole, ((1,), (0,), (0, 1)), strict=True):
        assert np.allclose(part, wide.sum(axis=axes).reshape(part.shape), rtol=1e-5, atol=1e-5)


def test_a_row_that_may_attend_to_nothing_gives_nothing() -> None:
    q, k, v, upstream = array(3, 4), array(5, 4, seed=1), array(5, 2, seed=2), array(3, 2, seed=3)
    mask = np.ones((3, 5), dtype=bool)
    mask[1], mask[:, 2] = False, False
    dq, dk, dv = made("attention")(q, k, v, upstream, mask=mask)
    assert not dq[1].any() and dq[0].any() and not dk[2].any() and not dv[2].any() and dv[0].any()


def test_results_are_a_tuple_with_a_mapping_for_params() -> None:
    params = {name: array(4, 4, seed=at) for at, name in enumerate(("w_q", "w_k", "w_v", "w_o"))}
    params |= {"w1": array(4, 6), "b1": array(6), "w2": array(6, 4), "b2": array(4)}
    params |= {name: array(4) for name in ("gain1", "bias1", "gain2", "bias2")}
    x = array(2, 3, 4, seed=9).astype(np.float16)
    dx, found = made("encoder_block", {"norm": "post", "activation": "relu"}, "float16")(
        x, {name: value.astype(np.float16) for name, value in params.items()}, x, n_heads=2
    )
    assert dx.shape == x.shape and dx.dtype == np.float16 and set(found) == set(params)
    assert all(found[name].shape == params[name].shape and found[name].dtype == np.float16 for name in params)
    assert isinstance(made("embedding")(np.array([1, 1]), array(3, 2), array(2, 2)), tuple)


@pytest.mark.parametrize(
    ("phase", "arguments"),
    [
        ("embedding", (np.arange(900) % 7, array(7, 3), array(900, 3, seed=1))),
        ("layer_norm", (array(700, 5), array(5), array(5), array(700, 5, seed=1))),
        ("feed_forward", (array(300, 5), array(5, 4), array(4), array(4, 5), array(5), array(300, 5, seed=1))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_number_of_threads_does_not_show(phase: str, arguments: tuple[Any, ...]) -> None:
    source = made(phase).source.replace("CACHE_BYTES = 1 << 20", "CACHE_BYTES = 1 << 9")
    found = []
    for count in (1, 2, 3):
        space: dict[str, Any] = {"__name__": "threads"}
        exec(compile(source, "<threads>", "exec"), space)
        space["THREADS"] = count
        found.append(b"".join(part.tobytes() for part in space[f"{phase}_vjp"](*arguments)))
    assert found[0] == found[1] == found[2]


def test_certificates_are_checked_and_a_changed_file_is_told(tmp_path: Path) -> None:
    source, certificate = made("softmax").save(tmp_path / "softmax.py")
    data = json.loads(certificate.read_text(encoding="utf-8"))
    assert data["vjp"] is True and data["phase"] == "softmax" and "vjp" not in generate("softmax").certificate
    found = check(certificate)
    assert found.ok and any("agrees with the definition" in line for line in found.lines), found.lines
    source.write_text(source.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert not check(certificate).ok
    certificate.write_text(json.dumps({**data, "vjp": False}), encoding="utf-8")
    assert not check(certificate).ok
    certificate.write_text(json.dumps({**data, "vjp": "yes"}), encoding="utf-8")
    with pytest.raises(InputError, match="the field vjp has the wrong type"):
        check(certificate)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"phase": "positional", "backend": backend}, "no differentiable input") for backend in ("numpy", "cupy")], ids=str,
)
def test_what_has_no_gradient_kernel(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        generate(**arguments, vjp=True)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_the_cheaper_form_is_taken() -> None:
    """Δ by the output where the output is computed anyway."""
    assert "attention.delta_by_output" in recipe(gradient_program("multi_head_attention", {})).licences
    assert recipe(gradient_program("attention", {})).licences == ("attention.recomputed_weights",)
    kinds = {operation.kind for operation in recipe(gradient_program("encoder_block", {})).program.operations}
    assert not kinds & {"either", "stored"}


def test_a_schedule_is_asked_before_the_whole_text_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    scheduled = generate("softmax", vjp=True)
    monkeypatch.setattr(plan, "GRADIENT_SCHEDULES", ())
    plain = generate("softmax", vjp=True)
    assert "_each(" in scheduled.source and "_each(" not in plain.source and validate(plain).passed


def test_the_bound_takes_the_arguments_of_the_kernel_alone() -> None:
    kernel, x = made("softmax"), array(2, 4)
    (value,), (bound,) = kernel.error_bound(x, grad_out=x)
    assert value.shape == bound.shape == x.shape and (bound > 0).all()
    with pytest.raises(InputError, match=re.escape("expected a call of softmax_vjp(x, grad_out)")):
        kernel.error_bound(x)
