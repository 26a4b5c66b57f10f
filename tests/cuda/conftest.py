"""Runs generated CuPy files without a GPU: a stand-in for cupy on NumPy arrays, whose kernels are the emulated CUDA text.

What it does: the whole file is executed, its Python as well as its CUDA text, which g++ compiles behind ``cuda_emulator.h``. Arrays
that a kernel is handed are laid between guard zones of NaN bits, so that a write past an end is seen and a read past one poisons;
new arrays are full of NaN. Cannot see: what CuPy does differently from NumPy; ``test_import`` checks the names against cupy.
"""

from __future__ import annotations

import ctypes
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).parent
GUARD = 4096


class EmulationError(AssertionError):
    """A kernel that let lanes part, or wrote where it should not."""


class Compiler:
    """Compiles CUDA texts with g++, each text once in a session."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._found = folder, {}
        if shutil.which("g++") is None:
            pytest.fail("g++ was not found, and the CUDA text cannot be run without it: install g++")

    def library(self, text: str, names: tuple[str, ...]) -> ctypes.CDLL:
        key = hashlib.sha256(text.encode()).hexdigest()
        if key not in self._found:
            launches = "\n".join(
                f'extern "C" int launch_{name}(unsigned grid, unsigned block, int schedule, void** parameters)'
                f" {{ return emulator::launch({name}, grid, block, schedule, parameters); }}"
                for name in names
            )
            source = self._folder / f"{key}.cpp"
            source.write_text(f'#include "cuda_emulator.h"\n{text}\n{launches}\n', encoding="utf-8")
            target = source.with_suffix(".so")
            command = ["g++", "-std=c++17", "-O1", "-shared", "-fPIC", "-fno-gnu-unique", "-Wno-attributes", "-I", str(HERE)]
            done = subprocess.run([*command, "-o", str(target), str(source)], capture_output=True, text=True, timeout=120)
            if done.returncode:
                raise EmulationError(f"g++ does not compile the text:\n{done.stderr[:4000]}")
            self._found[key] = ctypes.CDLL(str(target))
        return self._found[key]


class Memory:
    """Copies of arrays between guard zones; a view shares the copy of the array that owns its memory."""

    def __init__(self) -> None:
        self._owners: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray, int, int]] = {}

    def pointer(self, array: np.ndarray) -> int:
        owner = array
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        if id(owner) not in self._owners:
            low, high = np.lib.array_utils.byte_bounds(owner)
            size = high - low if owner.size else 0
            # NaN in every format, and not the same for two arrays: a NaN read past one end and written past another is seen
            zone = np.tile(np.array([0x81 + len(self._owners), 0xFF, 0xFF, 0xFF], dtype=np.uint8), GUARD // 4)
            buffer = np.concatenate([zone, np.zeros(size, dtype=np.uint8), zone])
            ctypes.memmove(buffer.ctypes.data + GUARD, low, size)
            self._owners[id(owner)] = owner, buffer, zone, low, size
        _, buffer, _, low, _ = self._owners[id(owner)]
        return buffer.ctypes.data + GUARD + array.__array_interface__["data"][0] - low if array.size else buffer.ctypes.data + GUARD

    def release(self, name: str) -> None:
        """Check the guard zones and copy back what was written."""
        for _, buffer, zone, low, size in self._owners.values():
            if (buffer[:GUARD] != zone).any() or (buffer[GUARD + size :] != zone).any():
                raise EmulationError(f"{name} wrote outside an array")
            ctypes.memmove(low, buffer.ctypes.data + GUARD, size)


class RawModule:
    """The stand-in for cupy.RawModule."""

    compiler: Compiler
    schedule = 0

    def __init__(self, code: str, options: tuple[str, ...]) -> None:
        assert options == ("-std=c++17",)
        self.code, self.names = code, tuple(line.split("(")[0].split()[-1] for line in code.splitlines() if 'extern "C" __global__' in line)

    def get_function(self, name: str) -> Callable[..., None]:
        assert name in self.names
        library = self.compiler.library(self.code, self.names)
        library.emulator_error.restype = ctypes.c_char_p

        def launch(grid: tuple[int], block: tuple[int], arguments: tuple[Any, ...], shared_mem: int) -> None:
            assert grid[0] > 0 and block[0] > 0 and shared_mem == 0
            memory, held = Memory(), []
            for argument in arguments:
                if isinstance(argument, np.ndarray):
                    held.append(ctypes.c_void_p(memory.pointer(argument)))
                else:
                    assert isinstance(argument, np.generic), argument
                    held.append(np.ctypeslib.as_ctypes_type(argument.dtype)(argument.item()))
            pointers = (ctypes.c_void_p * len(held))(*(ctypes.addressof(item) for item in held))
            if getattr(library, f"launch_{name}")(grid[0], block[0], self.schedule, pointers):
                raise EmulationError(f"{name}: {library.emulator_error().decode()}")
            memory.release(name)

        return launch


def _poisoned(shape: Any, dtype: Any) -> np.ndarray:
    array = np.empty(shape, dtype=dtype)
    array.view(np.uint8).fill(0xFF) if array.ndim else array.fill(np.nan)
    return array


def _stand_in(schedule: int, compiler: Compiler) -> ModuleType:
    module = ModuleType("cupy")
    module.__getattr__ = lambda name: getattr(np, name)  # type: ignore[method-assign]
    module.empty = _poisoned  # type: ignore[attr-defined]
    module.RawModule = type("RawModule", (RawModule,), {"schedule": schedule, "compiler": compiler})  # type: ignore[attr-defined]
    return module


@contextmanager
def _installed(module: ModuleType) -> Iterator[None]:
    before = sys.modules.get("cupy")
    sys.modules["cupy"] = module
    try:
        yield
    finally:
        if before is None:
            del sys.modules["cupy"]
        else:
            sys.modules["cupy"] = before


@pytest.fixture(scope="session")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> Compiler:
    return Compiler(tmp_path_factory.mktemp("emulated"))


@pytest.fixture(scope="session")
def emulated(compiler: Compiler) -> Callable[..., Callable[..., Any]]:
    """The kernel function of a generated CuPy file, run on the CPU under a schedule."""

    def made(source: str, phase: str, schedule: int = 0) -> Callable[..., Any]:
        space: dict[str, Any] = {}
        with _installed(_stand_in(schedule, compiler)):
            exec(compile(source, "generated", "exec"), space)
        return space[phase]  # type: ignore[no-any-return]

    return made


@pytest.fixture(scope="session")
def cupy() -> ModuleType:
    """The real cupy; imported here, so that these files can be collected where it is not installed."""
    return import_module("cupy")


@pytest.fixture(scope="session")
def cases() -> ModuleType:
    """The module ``cases`` beside this file: with importlib mode, tests cannot import their neighbours by name."""
    spec = spec_from_file_location("kernelproof_cuda_cases", HERE / "cases.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def emulation_error() -> type[EmulationError]:
    return EmulationError
