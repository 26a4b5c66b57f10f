"""What tests of CUDA kernels share: the emulator, the cases, and the real cupy."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def neighbour(name: str) -> ModuleType:
    """A module beside this file: with importlib mode, tests cannot import their neighbours by name."""
    full = f"kernelproof_cuda_{name}"
    if full not in sys.modules:
        spec = spec_from_file_location(full, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None and spec.loader is not None
        sys.modules[full] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[full])
    return sys.modules[full]


#: of a property, on a push
EXAMPLES = 3
TIERS = {"T0", "T1", "T2", "T3a", "T3t"}
#: of the parameter "sanitizer"
SANITIZERS = {"address": "T3a", "thread": "T3t"}


def pytest_itemcollected(item: pytest.Item) -> None:
    """What a test says for the table of tiers (``tests/conftest.py``): a kernel, and the tiers that it is run through."""
    mark, given = item.get_closest_marker("tier"), getattr(getattr(item, "callspec", None), "params", {})
    if mark is None:
        return
    if "fault" in given:
        kernel, tiers = "seeded faults, each seen", [given["fault"].tier]
    else:
        kernel = mark.kwargs.get("kernel") or f"{given['phase']}{' gradient' if given.get('vjp', mark.kwargs.get('vjp')) else ''}"
        tiers = list(mark.args) or [given["tier"] if "tier" in given else SANITIZERS[given["sanitizer"]]]
    if not set(tiers) <= TIERS:
        raise pytest.UsageError(f"{item.nodeid}: tiers {tiers}; expected some of {sorted(TIERS)}")
    item.user_properties += [("tier", f"{tier} {kernel}") for tier in tiers]


@pytest.fixture(scope="session", name="neighbour")
def neighbours() -> Callable[[str], ModuleType]:
    """Modules beside this file, by name."""
    return neighbour


@pytest.fixture(scope="session")
def emulation() -> ModuleType:
    """The module ``emulation`` beside this file."""
    return neighbour("emulation")


@pytest.fixture(scope="session")
def compiler(emulation: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return emulation.Compiler(tmp_path_factory.mktemp("emulated"))


@pytest.fixture(scope="session")
def emulated(emulation: ModuleType, compiler: Any) -> Callable[..., Callable[..., Any]]:
    """The kernel function of a generated CuPy file, run on the CPU under a schedule, as on a device of a compute capability."""

    def made(source: str, phase: str, schedule: int = 0, capability: str = "90") -> Callable[..., Any]:
        return emulation.namespace_of(source, emulation.stand_in(compiler, schedule, capability=capability))[phase]  # type: ignore[no-any-return]

    return made


@pytest.fixture(scope="session")
def profile() -> Iterator[str]:
    """What the property suite is run with: on a push so many examples of each property on any machine, however long they take."""
    from kernelproof.properties.profiles import PROFILES, Profile

    PROFILES["push"] = Profile("push", EXAMPLES, seconds=3600.0, shrink_seconds=2.0, largest=40, boundaries=())
    yield os.environ.get("KERNELPROOF_CUDA_PROFILE") or "push"
    del PROFILES["push"]


@pytest.fixture(scope="session")
def cupy() -> ModuleType:
    """The real cupy; imported here, so that these files can be collected where it is not installed."""
    return import_module("cupy")


@pytest.fixture(scope="session")
def cases() -> ModuleType:
    """The module ``cases`` beside this file."""
    return neighbour("cases")


@pytest.fixture(scope="session")
def emulation_error(emulation: ModuleType) -> type[AssertionError]:
    return emulation.EmulationError  # type: ignore[no-any-return]
