"""``generate`` and what it gives: the attributes of the contract, the bound for given arguments, saving."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numeric_cases import ALL, Calls, kernel_of, name_of

from kernelproof import __version__
from kernelproof.numeric.kernel import generate
from kernelproof.symbolic.errors import InputError
from kernelproof.symbolic.registry import derive


@pytest.mark.parametrize(("phase", "variant"), ALL, ids=name_of)
def test_the_attributes_of_the_contract(phase: str, variant: dict[str, object]) -> None:
    kernel = kernel_of(phase, variant)
    derivation = derive(phase, **variant)
    assert callable(kernel) and kernel.source == generate(phase, **variant).source
    assert kernel.theorems == derivation.statements and kernel.variant == variant and kernel.phase == phase
    data = kernel.certificate
    assert data["version"] == __version__ and data["derivation"] == derivation.fingerprint() and data["variant"] == variant
    assert data["theorems"] == [statement.id for statement in derivation.statements] and data["licences"] == list(kernel.licences)
    assert kernel.licences[: len(derivation.licences)] == derivation.licences
    assert json.loads(json.dumps(data)) == data
    assert "float32" in str(kernel.error_bound) and kernel.error_bound.statement == str(kernel.error_bound)


@pytest.mark.parametrize(("phase", "variant"), ALL, ids=name_of)
def test_the_bound_takes_the_arguments_of_the_kernel(phase: str, variant: dict[str, object]) -> None:
    """By position or by name, as the kernel does."""
    kernel = kernel_of(phase, variant)
    arguments, options = Calls(4).of(phase, variant)
    value, bound = kernel.error_bound(*arguments, **options)
    assert value.shape == bound.shape == np.shape(kernel(*arguments, **options)) and (bound >= 0).all()
    names = kernel.source.split(f"def {phase}(")[1].split(", *")[0].split(")")[0].split(", ")
    named, bound_named = kernel.error_bound(**dict(zip(names, arguments, strict=True)), **options)
    assert (named == value).all() and (bound_named == bound).all()
    assert kernel(**dict(zip(names, arguments, strict=True)), **options).shape == value.shape


X = np.ones((2, 4), dtype=np.float32)
BAD_CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any], str]] = [
    ("softmax", (), {}, "expected a call of softmax(x)"), ("softmax", (X, X), {}, "expected a call of softmax(x)"),
    ("softmax", (X,), {"axis": 0}, "arguments 1, axis"), ("attention", (X, X), {}, "attention(q, k, v, *, causal=False"),
    ("layer_norm", (X, X[0], X[0]), {"epsilon": 1}, "layer_norm(x, gain, bias, *, eps=1e-5)"),
    ("encoder_block", (X, {"w_q": X}), {"n_heads": 2}, "params lacks w_k, w_v"),
]


@pytest.mark.parametrize(("phase", "arguments", "options", "words"), BAD_CALLS, ids=[row[3] for row in BAD_CALLS])
def test_calls_that_the_signature_does_not_have(phase: str, arguments: tuple[Any, ...], options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        kernel_of(phase).error_bound(*arguments, **options)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"phase": "nonsense"}, "nonsense"), ({"phase": "softmax", "backend": "fortran"}, "numpy, cupy"),
        ({"phase": "softmax", "dtype": "int8"}, "float16, bfloat16, float32, float64"),
        ({"phase": "softmax", "layout": "halves"}, "layout"), ({"phase": "positional", "vjp": True}, "no differentiable input"),
        ({"phase": "activation", "activation": "swish"}, "relu, gelu, gelu_tanh, silu"),
        ({"phase": "attention", "window": 0}, "a whole number from 1 up"),
    ],
    ids=str,
)
def test_what_cannot_be_generated(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        generate(**arguments)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_saving_writes_both_files_as_they_are(tmp_path: Path) -> None:
    kernel = kernel_of("layer_norm")
    source, certificate = kernel.save(tmp_path / "norm.py")
    assert source == tmp_path / "norm.py" and certificate == tmp_path / "norm.certificate.json"
    assert source.read_bytes() == kernel.source.encode()
    assert json.loads(certificate.read_text(encoding="utf-8")) == {**kernel.certificate, "file": "norm.py"}
    assert sorted(os.listdir(tmp_path)) == ["norm.certificate.json", "norm.py"]
    kernel.save(str(tmp_path / "norm.py"))


@pytest.mark.parametrize(("name", "words"), [("missing/kernel.py", "does not exist; create it first"), ("", "that is a folder")])
def test_places_that_cannot_be_saved_to(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        kernel_of("softmax").save(tmp_path / name)
    assert words in str(caught.value)
    assert not os.listdir(tmp_path)


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="choose a place that can be written"):
        kernel_of("softmax").save(tmp_path / ("x" * 300))


def test_generating_does_not_run_the_source() -> None:
    """The function is made when it is first called."""
    kernel = generate("softmax")
    assert "function" not in vars(kernel)
    kernel(X)
    assert "function" in vars(kernel)
