"""Adapters written out: the text runs where kernelproof is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernelproof.__main__ import main
from kernelproof.properties import values
from kernelproof.properties.adapters.standalone import source_of
from kernelproof.properties.call import call_text, gradient_text
from kernelproof.properties.model import Case, Finding, Recipe, build
from kernelproof.properties.reproducer import reproducer
from kernelproof.properties.shapes import phase_shape
from kernelproof.properties.targets import load_target
from kernelproof.properties.verdict import PropertyVerdict
from kernelproof.properties.verify import checked_variant

Search = Callable[..., dict[str, PropertyVerdict]]
HEAD = "from __future__ import annotations\n"


def test_a_function_brings_what_it_needs() -> None:
    text = source_of(values.make_floats)
    assert "import kernelproof" not in text and "from kernelproof" not in text
    names: dict[str, Any] = {}
    exec(compile(HEAD + text, "text", "exec"), names)
    arguments = ("normal", 2.0, (3, 4), np.dtype(np.float32), 7, "x")
    assert names["make_floats"](*arguments).tobytes() == values.make_floats(*arguments).tobytes()


SOURCES = {
    "torch": (
        "import torch\ndef wrong(x):\n    return torch.softmax(x, -1) * 1.01\n"
        "class Wrong(torch.nn.Module):\n    def forward(self, x):\n        return torch.softmax(x, -1) * 1.01\n"
        "class Function(torch.autograd.Function):\n    @staticmethod\n    def forward(ctx, x):\n"
        "        return torch.softmax(x, -1) * 1.01\n"
    ),
    "jax": "import jax\n@jax.jit\ndef wrong(x):\n    return jax.nn.softmax(x, axis=-1) * 1.01\n",
    "numpy": (
        "import numpy as np\ndef wrong(x):\n    e = np.exp(x - x.max(-1, keepdims=True))\n"
        "    return e / e.sum(-1, keepdims=True) * 1.01\n"
    ),
}


@pytest.mark.parametrize(
    ("library", "name"), [("torch", "wrong"), ("torch", "Wrong"), ("torch", "Function"), ("jax", "wrong"), ("numpy", "wrong")]
)
def test_the_program_of_a_failure_runs_without_kernelproof(
    library: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip(library)
    kernels, verdict = tmp_path / "kernels.py", tmp_path / "verdict.json"
    kernels.write_text(SOURCES[library])
    command = ["verify", f"{kernels}:{name}", "--phase", "softmax", "--profile", "quick", "--max-seconds", "5", "--json", str(verdict)]
    assert main(command) == 1
    capsys.readouterr()
    programs = [found["counterexample"]["reproducer"] for found in json.loads(verdict.read_text())["properties"] if found["counterexample"]]
    for right in (False, True):
        kernels.write_text(SOURCES[library].replace(" * 1.01", "" if right else " * 1.01"))
        run = without_kernelproof(programs[0], tmp_path)
        assert run.returncode == (0 if right else 1), run.stderr
        assert right or "AssertionError" in run.stderr


def without_kernelproof(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The program in a Python that cannot import kernelproof."""
    # after the import from the future, which comes first
    start = program.index(HEAD) + len(HEAD)
    blocked = "import sys\nsys.modules['kernelproof'] = None\n"
    command = [sys.executable, "-I", "-c", program[:start] + blocked + program[start:]]
    # one thread, as the search here has: PyTorch's sums depend on how many there are
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)


#: how a target is named, its phase and variant, by library; the gradient is the library's own
DIFFERENTIATED: dict[str, list[tuple[str, str, dict[str, object]]]] = {
    "torch": [
        ("torch.nn.functional:layer_norm", "layer_norm", {}),
        ("torch.nn.functional:scaled_dot_product_attention", "attention", {}),
        ("torch.nn.functional:embedding", "embedding", {}),
        ("torch.nn:RMSNorm", "rms_norm", {}),
        ("FILE:Gained", "rms_norm", {}),
        ("FILE:Relu", "activation", {"activation": "relu"}),
        ("FILE:Block", "encoder_block", {}),
    ],
    "jax": [("jax.nn:gelu", "activation", {"activation": "gelu_tanh"}), ("jax.nn:standardize", "layer_norm", {})],
}
MODULES = """\
import torch

class Gained(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return x * self.weight

class Relu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.relu(x)

    @staticmethod
    def backward(ctx, grad_out):
        return grad_out * (ctx.saved_tensors[0] > 0)

class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        for name in "w_q w_k w_v w_o w1 b1 w2 b2 gain1 bias1 gain2 bias2".split():
            self.register_parameter(name, torch.nn.Parameter(torch.zeros(())))

    def forward(self, x, n_heads=1):
        return x @ self.w_q @ self.w_k @ self.w_v @ self.w_o + torch.relu(x @ self.w1 + self.b1) @ self.w2 + self.gain1
"""


#: one interpreter for many programs, as loading a library takes long
RUNNER = """\
import json, sys, traceback
sys.modules["kernelproof"] = None
outcomes = []
for program in json.load(sys.stdin):
    try:
        exec(compile(program, "program", "exec"), {"__name__": "__main__"})
        outcomes.append("held")
    except BaseException as error:
        outcomes.append("convicted" if isinstance(error, AssertionError) else traceback.format_exc())
print("outcomes", json.dumps(outcomes))
"""


@pytest.mark.parametrize("library", DIFFERENTIATED)
def test_a_gradient_that_the_library_makes_is_made_again_without_kernelproof(library: str, tmp_path: Path) -> None:
    """Bit for bit what the target gives here; half of it is convicted."""
    pytest.importorskip(library)
    (tmp_path / "modules.py").write_text(MODULES)
    programs = [
        program for named, phase, variant in DIFFERENTIATED[library]
        for program in programs_of(named.replace("FILE", str(tmp_path / "modules.py")), f"{phase}.vjp", variant)
    ]
    done = subprocess.run([sys.executable, "-I", "-c", RUNNER], input=json.dumps(programs), capture_output=True, text=True, check=True)
    printed, outcomes = done.stdout.rsplit("outcomes ", 1)
    assert json.loads(outcomes) == ["held", "convicted"] * len(DIFFERENTIATED[library])
    assert printed.count("observed:") == len(programs)


def programs_of(named: str, phase: str, variant: dict[str, object]) -> list[str]:
    """One that expects the gradient that the target gives, and one that expects half of it."""
    chosen = checked_variant(phase, variant)
    target = load_target(named, phase=phase, variant=chosen)
    shape = phase_shape(phase, chosen)
    sizes = {**{size: 3 for tensor in shape.tensors for size in tensor.axes if size != "..."}, "n": 3, "vocab": 3, "heads": 1}
    recipes = tuple((tensor.name, Recipe("ids" if tensor.below else "normal")) for tensor in shape.tensors)
    case = Case(phase, tuple(sizes.items()), (2,), recipes=recipes, variant=tuple(chosen.items()))
    inputs = build(case)
    gradients = target.call.gradients(inputs.tensors, inputs.options)
    assert set(gradients) == set(shape.gradients)
    name, found = max(gradients.items(), key=lambda item: float(np.abs(item[1]).max()))
    part = gradient_text(shape, call_text(shape, inputs), name)
    return [
        reproducer(target, "own.gradient", "g = g", case, Finding(False, expected=expected, inputs=inputs, script=f"observed = {part}"))
        for expected in (found, found / 2)
    ]


def test_a_convicted_gradient_of_a_library_runs_without_kernelproof(search: Search, tmp_path: Path) -> None:
    """PyTorch adds up gradients of the bias in 16 bits."""
    pytest.importorskip("torch")
    found = search("torch.nn.functional:layer_norm", "layer_norm.vjp", {}, "vjp.matches_definition", dtype="bfloat16", examples=100)
    shown = found["vjp.matches_definition"].counterexample
    assert shown is not None
    run = without_kernelproof(shown.reproducer, tmp_path)
    assert run.returncode == 1 and "times the bound" in run.stderr and "observed:" in run.stdout
