"""Reproducers are run as programs: they fail on the kernel that was convicted, and pass on a right one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernelproof.properties.call import Call
from kernelproof.properties.model import Case, Finding, Inputs, Property, Recipe, Setting, build
from kernelproof.properties.reproducer import reproducer
from kernelproof.properties.strategies import draw_case
from kernelproof.properties.targets import Target, load_target, memory_target
from kernelproof.properties.verdict import PropertyVerdict

Judge = Callable[..., PropertyVerdict]
SOFTMAX = """\
import numpy as np
def f(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)
"""
ATTENTION = """\
import numpy as np
def f(q, k, v, *, causal=False, mask=None, scale=None):
    s = (q @ np.swapaxes(k, -1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)).astype(q.dtype)
    allow = np.ones(s.shape, dtype=bool)
    if causal:
        allow &= np.tril(allow)
    if mask is not None:
        allow &= mask if mask.dtype == bool else ~np.isneginf(mask)
        s = s if mask.dtype == bool else s + np.where(np.isneginf(mask), 0, mask)
    s = np.where(allow, s, -np.inf)
    top = s.max(-1, keepdims=True, initial=-np.inf)
    e = np.exp(s - np.where(np.isfinite(top), top, 0))
    total = e.sum(-1, keepdims=True)
    return (e / np.where(total == 0, 1, total) @ v).astype(v.dtype)
"""


def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    # -I: neither this folder nor the environment helps; a reproducer needs its target's library alone
    return subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, cwd=folder, check=False
    )


def check_program(program: str, right: str, path: Path) -> str:
    """Fails as it stands on the wrong kernel in ``path``, passes once the kernel is right; returns the first output."""
    wrong = run(program, path.parent)
    assert wrong.returncode == 1, wrong.stderr
    assert "AssertionError" in wrong.stderr
    assert "observed:" in wrong.stdout
    path.write_text(right)
    mended = run(program, path.parent)
    assert mended.returncode == 0, mended.stderr
    return wrong.stdout


def convict(judge: Judge, tmp_path: Path, wrong: str, right: str, subject: Any, phase: str, **rest: Any) -> str:
    path = tmp_path / "kernels.py"
    path.write_text(wrong)
    target = load_target(f"{path}:f", phase=phase, variant={})
    found = judge(target.function, subject, phase=phase, target=target, **rest)
    assert found.verdict == "fail", found.message
    assert found.counterexample is not None
    program = found.counterexample.reproducer
    check_program(program, right, path)
    return program


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("inputs_unchanged", SOFTMAX.replace("    e = np.exp(x -", "    x -= 1\n    e = np.exp(x -")),
        ("finite", SOFTMAX.replace("x - x.max(-1, keepdims=True)", "x")),
        ("shape_and_dtype", SOFTMAX.replace("np.exp(x", "np.exp(x.astype(np.float64)")),
        (
            "shape_and_dtype",
            SOFTMAX.replace("    e = np.exp", "    if x.shape[-1] > 2: raise IndexError(x.shape)\n    e = np.exp"),
        ),
        ("shape_and_dtype", SOFTMAX.replace("    e = np.exp", "    if x.shape[-1] > 2: return None\n    e = np.exp")),
        (
            "shape_and_dtype",
            SOFTMAX.replace("    e = np.exp", "    if x.shape[-1] > 2: raise SystemExit(0)\n    e = np.exp"),
        ),
        ("batch_independent", SOFTMAX.replace("e.sum(-1, keepdims=True)", "e.sum()")),
        ("deterministic", "calls = []\n" + SOFTMAX.replace("e / e", "calls.append(1) or len(calls) * e / e")),
        (
            "deterministic",
            "out = {}\n"
            + SOFTMAX.replace(
                "return e / e.sum(-1, keepdims=True)",
                "out.setdefault(x.shape, np.empty_like(x))[...] = e / e.sum(-1, keepdims=True)\n"
                "    return out[x.shape]",
            ),
        ),
        (
            "views_equal_copies",
            SOFTMAX.replace(
                "    e = np.exp",
                "    x = np.lib.stride_tricks.as_strided(x, x.shape, np.empty_like(x, order='C', subok=False).strides)"
                " if x.ndim == 1 else x\n    e = np.exp",
            ),
        ),
    ],
)
def test_softmax(judge: Judge, tmp_path: Path, name: str, wrong: str) -> None:
    assert wrong != SOFTMAX
    convict(judge, tmp_path, wrong, SOFTMAX, name, "softmax")


def test_masks_and_options(judge: Judge, tmp_path: Path) -> None:
    wrong = ATTENTION.replace(
        "if causal:", "if causal or mask is not None and mask.ndim > 2:\n        q[..., 0] *= 2\n    if causal:"
    )
    program = convict(judge, tmp_path, wrong, ATTENTION, "inputs_unchanged", "attention")
    assert "target(q, k, v, " in program


def second_argument_is_ignored(call: Call, case: Case, setting: Setting) -> Finding:
    inputs = build(case)
    observed = call(inputs.tensors, inputs.options)
    wide = {name: array.astype(np.float64) for name, array in inputs.tensors.items()}
    expected = wide["x"] / np.sqrt((wide["x"] ** 2).mean(-1, keepdims=True) + 1e-5) * wide["gain"]
    bound = 1e-3 * np.abs(expected) + 1e-6
    error = np.abs(observed - expected)
    ok = bool((error <= bound).all())
    return Finding(ok, float((error / bound).max()), observed=observed, expected=expected, bound=bound, inputs=inputs)


RMS = """\
import numpy as np
def f(x, gain):
    return x / np.sqrt((x ** 2).mean(-1, keepdims=True) + x.dtype.type(1e-5)) * gain
"""


@pytest.mark.parametrize("width", [3, 300])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_expected_and_bound(judge: Judge, tmp_path: Path, width: int, dtype: str) -> None:
    subject = Property(
        "rms_norm.formula",
        "formula",
        "y = x/√(mean x² + ε)·gain",
        "rms_norm",
        lambda draw, setting: draw_case(
            draw, setting, batch=(), tame=True, fixed={"d": width, "n": 2}, without=["eps"]
        ),
        second_argument_is_ignored,
    )
    program = convict(judge, tmp_path, RMS.replace(" * gain", ""), RMS, subject, "rms_norm", dtype=dtype)
    assert "rms_norm.formula: y = x/√(mean x² + ε)·gain" in program
    assert ("make_floats('" in program) is (width == 300), "large inputs are remade from their recipe"


def test_large_inputs_that_are_not_the_recipes_own(tmp_path: Path) -> None:
    path = tmp_path / "kernels.py"
    path.write_text("def f(x):\n    return x * 0\n")
    target = load_target(f"{path}:f", phase="activation", variant={})
    case = Case("activation", (("n", 500),), lead=("n",), recipes=(("x", Recipe("normal")),))
    x = build(case).tensors["x"] + np.float32(1)
    finding = Finding(False, observed=x * 0, expected=x, bound=np.zeros(500), inputs=Inputs({"x": x}, {}))
    program = reproducer(target, "activation.identity", "f(x) = x", case, finding)
    assert "b64decode" in program
    check_program(program, "def f(x):\n    return x\n", path)


def test_a_wrong_shape_does_not_pass_by_broadcasting(tmp_path: Path) -> None:
    path = tmp_path / "kernels.py"
    path.write_text("def f(x):\n    return x[:1]\n")
    target = load_target(f"{path}:f", phase="activation", variant={})
    case = Case("activation", (("n", 3),), lead=("n",), recipes=(("x", Recipe("ones")),))
    x = build(case).tensors["x"]
    finding = Finding(False, observed=x[:1], expected=x, inputs=Inputs({"x": x}, {}))
    check_program(
        reproducer(target, "activation.identity", "f(x) = x", case, finding), "def f(x):\n    return x\n", path
    )


def test_nan_where_nan_is_expected(tmp_path: Path) -> None:
    path = tmp_path / "kernels.py"
    path.write_text("def f(x):\n    return x\n")
    target = load_target(f"{path}:f", phase="activation", variant={})
    case = Case("activation", (("n", 2),), lead=("n",), recipes=(("x", Recipe("ones")),))
    inputs = Inputs({"x": np.array([1.0, np.nan], dtype=np.float32)}, {})
    finding = Finding(False, expected=np.array([2.0, np.nan]), bound=np.full(2, 0.1), inputs=inputs)
    check_program(reproducer(target, "a.b", "f(x) = 2x", case, finding), "def f(x):\n    return 2 * x\n", path)


def test_packed_parameters_and_sizes(tmp_path: Path) -> None:
    path = tmp_path / "kernels.py"
    path.write_text("import numpy as np\ndef f(n, d, *, start=0):\n    return np.zeros((n, d))\n")
    target = load_target(f"{path}:f", phase="positional", variant={})
    case = Case("positional", (("n", 2), ("d", 3)), options=(("start", 5),))
    finding = Finding(False, expected=np.full((2, 3), 5.0), inputs=build(case))
    program = reproducer(target, "positional.constant", "f = start", case, finding)
    assert "target(n_positions, d_model, start=start)" in program
    check_program(program, path.read_text().replace("np.zeros((n, d))", "np.full((n, d), float(start))"), path)

    path.write_text("def f(x, params, *, n_heads):\n    return x\n")
    target = load_target(f"{path}:f", phase="encoder_block", variant={})
    sizes = (("n", 1), ("heads", 1), ("f", 2), ("h", 1), ("d", 2))
    shape = Case("encoder_block", sizes).shape
    case = Case("encoder_block", sizes, recipes=tuple((tensor.name, Recipe("ones")) for tensor in shape.tensors))
    finding = Finding(False, expected=np.full((1, 2), 2.0), inputs=build(case))
    program = reproducer(target, "encoder_block.sum", "f = x + gain1", case, finding)
    check_program(program, "def f(x, params, *, n_heads):\n    return x + params['gain1']\n", path)


def test_extras_are_there_by_name_and_the_script_sets_what_is_observed(tmp_path: Path) -> None:
    path = tmp_path / "kernels.py"
    path.write_text("def f(x):\n    return x * 0\n")
    target = load_target(f"{path}:f", phase="activation", variant={})
    case = Case("activation", (("n", 2),), lead=("n",), recipes=(("x", Recipe("ones")),))
    inputs = Inputs(build(case).tensors, {}, {"c": np.array(2.0)})
    finding = Finding(False, expected=np.full(2, 3.0), inputs=inputs, script="observed = target(x + c)")
    check_program(reproducer(target, "a.b", "f(x + c) = x + c", case, finding), "def f(x):\n    return x\n", path)


def test_a_module_is_imported_from_where_it_was(judge: Judge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_kernels_module.py").write_text("def f(x):\n    return None\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    target = load_target("my_kernels_module:f", phase="softmax", variant={})
    found = judge(target.function, "finite", target=target)
    assert found.counterexample is not None
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    result = run(found.counterexample.reproducer, elsewhere)
    assert "AssertionError: the target returned a NoneType" in result.stderr


def test_a_function_in_memory_must_be_imported_by_hand(judge: Judge) -> None:
    def mine(x: Any) -> Any:
        return None

    target = memory_target(mine, phase="softmax", variant={})
    found = judge(mine, "finite", target=target)
    assert found.counterexample is not None
    assert "import it by hand here, under the name `target`" in found.counterexample.reproducer
    compile(found.counterexample.reproducer, "reproducer", "exec")


@pytest.mark.parametrize("backend", ["numpy", "cupy"])
def test_a_generated_kernel_is_generated_again(backend: str) -> None:
    options = {"backend": backend, "dtype": "float64", "layout": "halves"}
    target = Target(
        "generated:positional",
        min,
        "generated",
        "positional",
        "positional",
        "positional",
        {},
        frozenset(),
        backend,
        options,
    )
    case = Case("positional", (("n", 2), ("d", 3)))
    program = reproducer(target, "a.b", "c", case, Finding(False, expected=np.zeros((2, 3)), inputs=build(case)))
    assert f"kernelproof.generate('positional', backend='{backend}', dtype='float64', layout='halves')" in program
    assert ("cupy.asnumpy" in program) is (backend == "cupy")
    compile(program, "reproducer", "exec")


def test_gradients_of_a_gpu_come_back_one_by_one() -> None:
    options = {"backend": "cupy", "dtype": "float32", "vjp": True}
    target = Target("generated:softmax", min, "generated", "softmax", "softmax", "softmax.vjp", {}, frozenset(), "cupy", options)
    case = Case("softmax.vjp", (("n", 2),))
    inputs = Inputs({name: np.zeros(2, dtype=np.float32) for name in ("x", "grad_out")}, {})
    program = reproducer(target, "a.b", "c", case, Finding(False, expected=(np.zeros(2),), inputs=inputs))
    assert "back = lambda x:" in program and "return tuple(map(back, found))" in program
    compile(program, "reproducer", "exec")
