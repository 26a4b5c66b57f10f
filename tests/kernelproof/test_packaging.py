"""The package as it is installed: its list of packages, its wheel, and the command from a wheel and from the root.

One wheel is built, from a clean export: a stale ``build/`` would put deleted modules into it.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SITE = sysconfig.get_path("purelib")
FOLDERS = ("kernelproof", "symbolic", "numeric", "properties", "reports")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

#: distribution -> the module it is imported as, where they differ
MODULES = {"cupy-cuda12x": "cupy", "cupy-cuda13x": "cupy", "z3-solver": "z3"}
#: parts of an extra's distribution that are imported by another name
BROUGHT_ALONG = {"cupyx"}
#: used if the user has them, always behind a guard
IF_IMPORTABLE = {"ml_dtypes", "cloudpickle"}


def tracked() -> list[str]:
    """What a clone would hold once everything new is committed, as paths relative to the root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [name for name in listed if name and (ROOT / name).is_file()]


def inside_package(path: str) -> str:
    """Where a source file lies once it is installed."""
    return path if path.startswith("kernelproof/") else f"kernelproof/{path}"


def python(*arguments: str, cwd: Path, path: str) -> subprocess.CompletedProcess[str]:
    """Python without ``.pth`` files, so that an editable install of the same package cannot fill a gap."""
    return subprocess.run(
        [sys.executable, "-S", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    export = tmp_path_factory.mktemp("export")
    for name in tracked():
        (export / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, export / name)
    built = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(built), str(export)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("target")
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(target), str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


def test_listed_packages_are_the_folders() -> None:
    listed = PROJECT["tool"]["setuptools"]["packages"]
    folders = {str(Path(inside_package(name)).parent) for name in tracked() if name.endswith(".py") and is_ours(name)}
    assert len(listed) == len(set(listed))
    assert set(listed) == {folder.replace("/", ".") for folder in folders}


def test_every_package_has_an_init() -> None:
    for name, folder in packages():
        assert (folder / "__init__.py").is_file(), f"{name} has no __init__.py"


def test_wheel_holds_every_source_file_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        files = {name for name in archive.namelist() if not name.split("/")[0].endswith(".dist-info")}
    assert files == {inside_package(name) for name in tracked() if is_ours(name)}


def test_installed_wheel_has_one_top_level_name(installed: Path) -> None:
    names = {path.name for path in installed.iterdir()} - {"bin"}
    assert {re.sub(r"-.*\.", "-*.", name) for name in names} == {"kernelproof", "kernelproof-*.dist-info"}


def test_installed_wheel_runs_from_elsewhere(installed: Path, tmp_path: Path) -> None:
    path = f"{installed}{os.pathsep}{SITE}"
    where = python("-c", "import kernelproof; print(kernelproof.__file__)", cwd=tmp_path, path=path)
    assert where.stdout.strip() == str(installed / "kernelproof" / "__init__.py")
    done = python("-m", "kernelproof", "phases", cwd=tmp_path, path=path)
    assert done.returncode == 0, done.stderr
    assert "softmax" in done.stdout


def test_runs_from_the_root_uninstalled() -> None:
    version = python("-m", "kernelproof", "--version", cwd=ROOT, path=SITE)
    assert (version.returncode, version.stderr) == (0, "")
    assert version.stdout == "kernelproof 0.1.0\n"
    done = python("-m", "kernelproof", "phases", cwd=ROOT, path=SITE)
    assert done.returncode == 0, done.stderr
    assert "softmax" in done.stdout


def test_imports_are_declared() -> None:
    """Every third-party module that the package imports is a dependency, or in an extra, or used only if importable."""
    project = PROJECT["project"]
    extras = (name for group in project["optional-dependencies"].values() for name in group)
    declared = {distribution(name) for name in (*project["dependencies"], *extras)}
    known = {MODULES.get(name, name.replace("-", "_")) for name in declared} | BROUGHT_ALONG | IF_IMPORTABLE
    found = {name for path in tracked() if is_ours(path) and path.endswith(".py") for name in third_party(ROOT / path)}
    assert found <= known
    assert "numpy" in found


def test_constraints_pin_every_dependency() -> None:
    project = PROJECT["project"]
    wanted = {distribution(name) for name in (*project["dependencies"], *project["optional-dependencies"]["dev"])}
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line) for line in pins)
    assert wanted <= {line.partition("==")[0].lower() for line in pins}


def is_ours(name: str) -> bool:
    return name.split("/")[0] in FOLDERS


def packages() -> Iterator[tuple[str, Path]]:
    setuptools = PROJECT["tool"]["setuptools"]
    for name in setuptools["packages"]:
        mapped = max((key for key in setuptools["package-dir"] if f"{name}.".startswith(f"{key}.")), key=len)
        rest = name[len(mapped) :].strip(".").replace(".", "/")
        yield name, ROOT / setuptools["package-dir"][mapped] / rest


def distribution(requirement: str) -> str:
    return re.split(r"[<>=!~\[; ]", requirement)[0].lower()


def third_party(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module]
        for name in names:
            top = name.split(".")[0]
            if top not in sys.stdlib_module_names and top != "kernelproof":
                yield top
