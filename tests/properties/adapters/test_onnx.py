"""An ``.onnx`` file with one node is a target; what else a file may hold is told."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernelproof.properties.adapters import adapted, is_model, recognise
from kernelproof.properties.targets import load_target
from kernelproof.symbolic.errors import InputError

Files = Callable[..., str]
MICROSOFT = "com.microsoft"


def test_the_node_is_taken_out_of_its_file(onnx_file: Files) -> None:
    path = onnx_file("Softmax")
    target = load_target(path, phase="softmax", variant={})
    assert (target.library, target.packages, target.place) == ("onnxruntime", ("onnx", "onnxruntime"), path)
    assert target.conventions[0] == "Softmax of opset 23 as softmax, taken out of the file and run with free inputs"
    assert "layouts" not in target.capabilities
    for dtype in ("float16", "float32", "float64"):
        # the file's input has two axes and is float32
        out = target.function(np.zeros((2, 3, 4), dtype=dtype))
        assert out.dtype == dtype and np.allclose(out, 0.25)


def test_attributes_that_are_options_are_set_by_the_call(onnx_file: Files) -> None:
    norm = adapted(onnx_file("RMSNormalization", inputs=2, epsilon=0.5), "rms_norm", {})
    x, gain = np.zeros((1, 2), dtype=np.float32) + 1, np.ones(2, dtype=np.float32)
    assert np.allclose(norm(x, gain), 1 / np.sqrt(1 + 1e-5))
    assert np.allclose(norm(x, gain, eps=3.0), 0.5)


@pytest.mark.parametrize(
    ("arguments", "phase", "variant", "told"),
    [
        ({"operators": ("Softmax", "Relu")}, "softmax", {}, "it has 2 nodes (Softmax, Relu); expected a model with one node"),
        ({"operators": ("Sin",)}, "softmax", {}, "its node is Sin; expected one of Softmax, LayerNormalization"),
        ({"operators": ("Softmax",), "axis": 0}, "softmax", {}, "Softmax with axis=0 on an input of 2 axes; expected the last"),
        ({"operators": ("Softmax",)}, "attention", {}, "Softmax is recognised as softmax, and the phase is 'attention'"),
        ({"operators": ("Gelu",)}, "activation", {"activation": "relu"}, "give --variant activation=gelu,"),
        ({"operators": ("Gelu",), "approximate": "tanh"}, "activation", {"activation": "gelu"}, "give --variant activation=gelu_tanh,"),
        ({"operators": ("QuickGelu",), "domain": MICROSOFT}, "activation", {"activation": "silu"}, "with alpha=1.702; only alpha=1"),
        ({"operators": ("Gather",), "inputs": 2, "axis": 1}, "embedding", {}, "Gather with axis=1; expected 0"),
        ({"operators": ("Attention",), "inputs": 3, "softcap": 5.0}, "attention", {}, "Attention with softcap=5.0; expected 0.0"),
        ({"operators": ("Attention",), "inputs": 5}, "attention", {}, "with past keys and values"),
    ],
)
def test_what_no_kernel_of_the_phase_is_told(
    onnx_file: Files, arguments: dict[str, Any], phase: str, variant: dict[str, object], told: str
) -> None:
    path = onnx_file(*arguments.pop("operators"), **arguments)
    with pytest.raises(InputError) as caught:
        recognise(path, None, phase, variant)
    assert told in str(caught.value) and path in str(caught.value) and "\n" not in str(caught.value)


def test_the_last_axis_may_be_counted_from_the_front(onnx_file: Files) -> None:
    softmax = adapted(onnx_file("Softmax", axis=1), "softmax", {})
    assert np.allclose(softmax(np.zeros((2, 2, 5), dtype=np.float32)), 0.2)


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package, reason="models are read by onnx and run by onnxruntime")
    (tmp_path / "broken.onnx").write_bytes(b"not a model")
    (tmp_path / "empty.onnx").write_bytes(b"")
    for name, told in (("missing", "there is no such file"), ("broken", "it is no ONNX model"), ("empty", "it has 0 nodes")):
        with pytest.raises(InputError, match=told):
            load_target(f"{tmp_path}/{name}.onnx", phase="softmax", variant={})


def test_without_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match=r"pip install kernelproof\[onnx\]"):
        load_target("model.onnx", phase="softmax", variant={})
    assert not is_model("model.onnx:softmax")


def test_a_model_has_no_other_backend() -> None:
    with pytest.raises(InputError, match="run by ONNX Runtime on the CPU, not by 'cupy'; leave --backend out"):
        load_target("model.onnx", phase="softmax", variant={}, backend="cupy")
