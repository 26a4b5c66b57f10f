"""Targets load, or say in one line why not and what to do."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from kernelproof.properties import targets
from kernelproof.properties.capabilities import everything
from kernelproof.properties.shapes import phase_shape
from kernelproof.properties.targets import load_target, memory_target
from kernelproof.symbolic.errors import InputError

GOOD = """\
import numpy as np
def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)
class Kernels:
    @staticmethod
    def twice(x):
        return 2 * x
number = 3
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "good_kernels.py").write_text(GOOD)
    (tmp_path / "broken.py").write_text("import a_module_that_is_not_there\n")
    (tmp_path / "exits.py").write_text("raise SystemExit(0)\n")
    (tmp_path / "syntax.py").write_text("def f(x:\n")
    (tmp_path / "neighbour.py").write_text("from good_kernels import softmax\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("good_kernels", "neighbour"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def load(spec: str, **arguments: Any) -> targets.Target:
    return load_target(spec, **({"phase": "softmax", "variant": {}} | arguments))


@pytest.mark.parametrize(
    "spec", ["good_kernels.py:softmax", "./good_kernels.py:softmax", "good_kernels:softmax", "neighbour.py:softmax"]
)
def test_a_function_in_a_file_or_module(folder: Path, spec: str) -> None:
    target = load(spec)
    result = target.call({"x": np.zeros((2, 4), dtype=np.float32)}, {})
    assert np.array_equal(result, np.full((2, 4), 0.25))
    assert target.name == spec


def test_an_attribute_of_a_class(folder: Path) -> None:
    assert load("good_kernels:Kernels.twice").function(2) == 4


def test_a_file_leaves_the_search_path_as_it_was(folder: Path) -> None:
    before = list(sys.path)
    load("neighbour.py:softmax")
    assert sys.path == before


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("softmax", "expected module:function, path/to/file.py:function"),
        (":softmax", "expected module:function"),
        ("good_kernels.py:", "expected module:function"),
        ("missing.py:softmax", "there is no file 'missing.py'"),
        ("no/such/folder:softmax", "there is no file"),
        ("good_kernels.py:sotfmax", "has no 'sotfmax'; its functions are softmax"),
        ("broken.py:f", "ModuleNotFoundError: No module named 'a_module_that_is_not_there'"),
        ("exits.py:f", "SystemExit"),
        ("syntax.py:f", "SyntaxError"),
        ("no_such_module:f", "No module named 'no_such_module'"),
        ("good_kernels.py:number", "it is int, not a function"),
        ("generated:attention", "it names 'attention', but the phase is 'softmax'"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(folder: Path, spec: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        load(spec)
    assert told in str(caught.value)
    assert repr(spec) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_ctrl_c_while_importing_is_the_users(folder: Path) -> None:
    (folder / "slow.py").write_text("raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load("slow.py:f")


def test_generated_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}

    def generate(phase: str, **options: object) -> Any:
        asked.update(options, phase=phase)
        return lambda x: x

    module = ModuleType("kernelproof.numeric.kernel")
    module.generate = generate  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    target = load("generated:activation", phase="activation", variant={"activation": "gelu"}, dtype="float64")
    assert asked == {"phase": "activation", "backend": "numpy", "dtype": "float64", "vjp": False, "activation": "gelu"}
    assert target.capabilities == everything(phase_shape("activation"))
    assert target.origin == "generated"


def test_unknown_backend() -> None:
    with pytest.raises(InputError, match="'opencl' is not known; choose one of numpy, cupy"):
        load("m:f", backend="opencl")


def test_cupy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(InputError, match=r"cupy is not installed.*--backend numpy"):
        load("generated:softmax", backend="cupy")


@pytest.fixture
def pretend_cupy(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """NumPy in CuPy's clothes, with as many GPUs as ``cupy.gpus`` says."""
    module: Any = ModuleType("cupy")
    module.gpus = 1

    def count() -> int:
        if module.gpus < 0:
            raise RuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")
        return int(module.gpus)

    module.asarray, module.asnumpy = np.array, np.array
    module.cuda = ModuleType("cupy.cuda")
    module.cuda.runtime = ModuleType("cupy.cuda.runtime")
    module.cuda.runtime.getDeviceCount = count
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


@pytest.mark.parametrize(("gpus", "told"), [(0, "there is no GPU"), (-1, "no usable GPU .*cudaErrorNoDevice")])
def test_cupy_without_a_gpu(pretend_cupy: Any, folder: Path, gpus: int, told: str) -> None:
    pretend_cupy.gpus = gpus
    with pytest.raises(InputError, match=told):
        load("good_kernels.py:softmax", backend="cupy")


def test_cupy_with_a_gpu_claims_nothing_about_layouts(pretend_cupy: Any, folder: Path) -> None:
    target = load("good_kernels.py:softmax", backend="cupy")
    assert "layouts" not in target.capabilities
    assert np.allclose(target.call({"x": np.zeros(2, dtype=np.float32)}, {}), 0.5)


def test_a_function_in_memory() -> None:
    target = memory_target(lambda q, k, v, causal=False: v, phase="attention", variant={})
    assert target.origin == "memory"
    assert "causal" in target.capabilities
    assert "mask" not in target.capabilities
