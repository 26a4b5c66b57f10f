"""Importing the public face, the plugin or a lower layer pulls in nothing above it.

Seen in ``sys.modules`` of a fresh interpreter, not by time.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("numpy", "scipy", "sympy", "mpmath", "hypothesis", "matplotlib", "tokenizers", "rich", "tabulate")
UPPER = ("kernelproof.numeric", "kernelproof.properties", "kernelproof.reports", "kernelproof.cli")


def loaded(statement: str) -> set[str]:
    """Names of the modules that a fresh interpreter has loaded after ``statement``."""
    code = f"import sys\n{statement}\nprint('\\n'.join(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import kernelproof; kernelproof.__version__; dir(kernelproof)",
        "import kernelproof.pytest_plugin",
        "from kernelproof.__main__ import main; assert main(['--help']) == 0",
        "from kernelproof.__main__ import main; assert main(['verify', '--help']) == 0",
    ],
)
def test_the_public_face_loads_nothing_heavy(statement: str) -> None:
    modules = loaded(statement)
    assert "kernelproof" in modules
    assert modules.isdisjoint(HEAVY)
    assert not [name for name in modules if name.startswith(("kernelproof.symbolic", *UPPER[:3]))]


def test_the_plugin_does_not_load_pytest() -> None:
    assert "pytest" not in loaded("import kernelproof.pytest_plugin")


def test_the_symbolic_layer_loads_no_arrays_and_nothing_above_it() -> None:
    modules = loaded("import kernelproof.symbolic")
    assert "kernelproof.symbolic" in modules
    assert modules.isdisjoint({"numpy", "scipy", "hypothesis", "matplotlib"})
    assert not [name for name in modules if name.startswith(UPPER)]


def test_a_heavy_import_would_be_seen() -> None:
    assert "numpy" in loaded("import numpy")


@pytest.mark.parametrize("name", ["symbolic", "numeric", "properties", "reports"])
def test_layers_are_attributes_without_an_import_of_their_own(name: str) -> None:
    assert f"kernelproof.{name}" in loaded(f"import kernelproof; kernelproof.{name}.__name__")


@pytest.mark.parametrize("name", ["derive", "generate", "verify", "report", "run"])
def test_functions_are_attributes(name: str) -> None:
    import kernelproof

    assert callable(getattr(kernelproof, name))
    assert name in dir(kernelproof)


def test_an_unknown_attribute_is_an_attribute_error() -> None:
    import kernelproof

    with pytest.raises(AttributeError, match="module 'kernelproof' has no attribute 'proof'"):
        _ = kernelproof.proof  # type: ignore[attr-defined]
