"""The architecture in one sentence, tested: symbolic < numeric < properties < reports < kernelproof.

Reads the imports of every file, those inside functions and under TYPE_CHECKING included, and module names given to
``import_module`` as a literal. Cannot see a name that is put together at run time.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ("symbolic", "numeric", "properties", "reports", "kernelproof")
#: a constant of the distribution, which every import of a layer has loaded by then; certificates and verdicts state it
ANYWHERE = {"kernelproof.__version__"}
ARRAY_LIBRARIES = {"numpy", "scipy", "cupy", "torch", "jax", "ml_dtypes"}


def imported(source: str, package: str) -> Iterator[str]:
    """Full dotted names of all that a file of ``package`` imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and node.args and isinstance(node.args[0], ast.Constant):
                yield str(node.args[0].value)


def layer_of(name: str) -> str | None:
    """The layer that a dotted name belongs to; the public face is what is in none of the four folders."""
    parts = name.split(".")
    if parts[0] != "kernelproof":
        return None
    return parts[1] if len(parts) > 1 and parts[1] in LAYERS[:-1] else "kernelproof"


def package_of(path: Path) -> str:
    folders = path.relative_to(ROOT).parent.parts
    return ".".join(folders if folders[0] == "kernelproof" else ("kernelproof", *folders))


def violations(source: str, package: str) -> list[str]:
    layer = layer_of(package)
    assert layer is not None
    lower = LAYERS[: LAYERS.index(layer) + 1]
    found = []
    for name in imported(source, package):
        target = layer_of(name)
        if target is not None and target not in lower and name not in ANYWHERE:
            found.append(name)
        if layer == "symbolic" and name.split(".")[0] in ARRAY_LIBRARIES:
            found.append(name)
    return found


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_point_downwards(layer: str) -> None:
    files = sorted((ROOT / layer).rglob("*.py"))
    assert files, f"no file found in {layer}/"
    wrong = {
        str(path.relative_to(ROOT)): names
        for path in files
        if (names := violations(path.read_text(encoding="utf-8"), package_of(path)))
    }
    assert wrong == {}


@pytest.mark.parametrize(
    ("source", "package"),
    [
        ("import kernelproof.numeric.kernel", "kernelproof.symbolic"),
        ("def f():\n    from kernelproof.reports import build", "kernelproof.properties"),
        ("from kernelproof import reports", "kernelproof.numeric"),
        ("from kernelproof import verify", "kernelproof.reports"),
        ("import kernelproof", "kernelproof.symbolic"),
        ("from ..numeric import kernel", "kernelproof.symbolic"),
        ("from ...numeric.kernel import generate", "kernelproof.symbolic.core"),
        ("import importlib\nimportlib.import_module('kernelproof.cli.run')", "kernelproof.numeric"),
        ("import numpy as np", "kernelproof.symbolic.core"),
        ("from scipy.special import erf", "kernelproof.symbolic"),
    ],
)
def test_an_upward_import_is_seen(source: str, package: str) -> None:
    assert len(violations(source, package)) == 1


@pytest.mark.parametrize(
    ("source", "package"),
    [
        ("from kernelproof.symbolic import terms", "kernelproof.symbolic.core"),
        ("from kernelproof import symbolic", "kernelproof.numeric"),
        ("from . import terms\nfrom .core import folds", "kernelproof.symbolic"),
        ("import numpy", "kernelproof.numeric"),
        ("from kernelproof import __version__", "kernelproof.numeric"),
        ("import kernelproof.reports.build", "kernelproof.cli"),
    ],
)
def test_a_downward_import_is_allowed(source: str, package: str) -> None:
    assert violations(source, package) == []
