"""Adapters written out: the text runs where kernelproof is not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernelproof.__main__ import main
from kernelproof.properties import values
from kernelproof.properties.adapters.standalone import source_of

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
    command = ["verify", f"{kernels}:{name}", "--phase", "softmax", "--profile", "quick", "--max-seconds", "2", "--json", str(verdict)]
    assert main(command) == 1
    capsys.readouterr()
    programs = [found["counterexample"]["reproducer"] for found in json.loads(verdict.read_text())["properties"] if found["counterexample"]]
    for program, right in ((programs[0], False), (programs[0], True)):
        kernels.write_text(SOURCES[library].replace(" * 1.01", "" if right else " * 1.01"))
        blocked = "import sys\nsys.modules['kernelproof'] = None\n"
        # after the import from the future, which comes first
        start = program.index(HEAD) + len(HEAD)
        run = subprocess.run(
            [sys.executable, "-I", "-c", program[:start] + blocked + program[start:]],
            capture_output=True, text=True, cwd=tmp_path, check=False,
        )
        assert run.returncode == (0 if right else 1), run.stderr
        assert right or "AssertionError" in run.stderr
