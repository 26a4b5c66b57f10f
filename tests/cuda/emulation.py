"""Runs generated CuPy files without a GPU: a stand-in for cupy on NumPy arrays, whose kernels are the emulated CUDA text.

What it does: the whole file is executed, its Python as well as its CUDA text, which g++ compiles behind ``cuda_emulator.h``. Arrays
that a kernel is handed are laid between guard zones of NaN bits, so that a write past an end is seen and a read past one poisons;
new arrays are full of NaN. With a sanitizer the text becomes a program, and every launch is a run of it with arrays of exactly their size.
Cannot see: what CuPy does differently from NumPy; ``test_import`` checks the names against cupy.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shutil
import struct
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np

HERE = Path(__file__).parent
GUARD = 4096
KERNELS = re.compile(r'extern "C" __global__ void (?:__launch_bounds__\([^)]*\) )?(\w+)\(')
#: but for a mask's, which are read as numbers of double whatever is computed in
WIDE = re.compile(r"(?<!static_cast<const )\bdouble\b")
#: what g++ and the program are told, by sanitizer; "" has none
SANITIZERS = {
    "": ((), {}),
    "address": (
        ("-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"),
        {"ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0", "UBSAN_OPTIONS": "print_stacktrace=0"},
    ),
    "thread": (("-g1", "-fsanitize=thread"), {"TSAN_OPTIONS": "halt_on_error=1"}),
}


class EmulationError(AssertionError):
    """A kernel that let threads part, wrote where it should not, or was stopped by a sanitizer."""


class Compiler:
    """Compiles CUDA texts with g++, each text once in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if shutil.which("g++") is None:
            raise EmulationError("g++ was not found, and the CUDA text cannot be run without it: install g++")

    def built(self, text: str, names: tuple[str, ...], sanitizer: str) -> Path:
        """A library of the launches of a text, or with a sanitizer a program."""
        key = hashlib.sha256(f"{sanitizer}\n{text}".encode()).hexdigest()
        target = self.folder / f"{key}{'.run' if sanitizer else '.so'}"
        if target.exists():
            return target
        launches = "\n".join(
            f'extern "C" int launch_{name}(unsigned grid, unsigned block, unsigned shared, int schedule, void** parameters)'
            f" {{ return emulator::launch({name}, grid, block, shared, schedule, parameters); }}"
            for name in names
        )
        rows = ", ".join(f'{{"{name}", launch_{name}}}' for name in names)
        main = f"const Launcher all[] = {{{rows}}};\nint main(int, char** given) {{ return run_file(all, {len(names)}, given[1]); }}"
        source = self.folder / f"{key}.cpp"
        own = f'#include "cuda_main.h"\n{main}' if sanitizer else ""
        # a processor's switch is for both formats, the device's for float alone: a text with double is run without
        flushes = f"static const bool flushes = (emulator::flushes = {'false' if WIDE.search(text) else 'true'});"
        source.write_text(f'#include "cuda_emulator.h"\n{flushes}\n{text}\n{launches}\n{own}\n', encoding="utf-8")
        self._compile(sanitizer, target, ("-I", str(self._header(sanitizer)), "-I", str(HERE), str(source)))
        return target

    def driver(self) -> Path:
        """A library with the driver's function that makes maps of arrays."""
        target, source = self.folder / "driver.so", self.folder / "driver.cpp"
        if not target.exists():
            source.write_text('#define KP_DRIVER\n#include "tensor_map.h"\n', encoding="utf-8")
            self._compile("", target, ("-I", str(HERE), str(source)))
        return target

    def _header(self, sanitizer: str) -> Path:
        """The folder with the emulator compiled beforehand: it is most of the work of every text."""
        folder = self.folder / f"header{sanitizer}"
        if not folder.is_dir():
            folder.mkdir()
            name = "cuda_emulator.h"
            self._compile(sanitizer, folder / f"{name}.gch", ("-w", "-I", str(HERE), "-x", "c++-header", str(HERE / name)))
        return folder

    @staticmethod
    def _compile(sanitizer: str, target: Path, given: tuple[str, ...]) -> None:
        kind = SANITIZERS[sanitizer][0] if sanitizer else ("-shared", "-fPIC", "-fno-gnu-unique")
        command = ["g++", "-std=c++17", "-O1", "-fno-strict-aliasing", "-Wno-attributes", *kind, "-o", str(target), *given]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise EmulationError(f"g++ does not compile the text:\n{done.stderr[:4000]}")

    def library(self, text: str, names: tuple[str, ...]) -> ctypes.CDLL:
        found = ctypes.CDLL(str(self.built(text, names, "")))
        found.emulator_error.restype = ctypes.c_char_p
        return found


def owner_of(array: np.ndarray) -> np.ndarray:
    """The array that owns the memory of a view."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


class Memory:
    """Copies of arrays between guard zones; a view shares the copy of the array that owns its memory."""

    def __init__(self) -> None:
        self._owners: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray, int, int]] = {}

    def pointer(self, array: np.ndarray) -> int:
        owner = owner_of(array)
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


def run_program(program: Path, sanitizer: str, name: str, shape: tuple[int, ...], arguments: tuple[Any, ...]) -> None:
    """One launch in a process of its own; what was written comes back into the arrays."""
    owners: dict[int, tuple[np.ndarray, int, int]] = {}
    parameters = b""
    for given in arguments:
        if not isinstance(given, np.ndarray):
            parameters += struct.pack("<qqq", -1, int.from_bytes(given.tobytes().ljust(8, b"\0"), "little", signed=True), 0)
            continue
        words = given.tobytes() if given.dtype.names else b""
        argument = mapped(given) if words else given
        owner = owner_of(argument)
        low, high = np.lib.array_utils.byte_bounds(owner)
        owners.setdefault(id(owner), (owner, low, high - low if owner.size else 0))
        at = argument.__array_interface__["data"][0] - low if argument.size else 0
        parameters += struct.pack("<qqq", list(owners).index(id(owner)), at, len(words)) + words
    blob = name.encode().ljust(128, b"\0") + struct.pack(f"<{len(shape)}q", *shape) + struct.pack("<q", len(owners))
    places = []
    for _, low, size in owners.values():
        blob += struct.pack("<q", size)
        places.append(len(blob))
        blob += ctypes.string_at(low, size)
    blob += struct.pack("<q", len(arguments)) + parameters
    file = program.with_suffix(".call")
    file.write_bytes(blob)
    environment = {**os.environ, **SANITIZERS[sanitizer][1]}
    done = subprocess.run([str(program), str(file)], capture_output=True, text=True, env=environment, timeout=300)
    if done.returncode:
        told = [line for line in done.stderr.splitlines() if re.search(r"SUMMARY|EMULATOR|runtime error", line)]
        raise EmulationError(f"{name}: {'; '.join(told) or done.stderr[-600:] or f'exit code {done.returncode}'}")
    written = file.read_bytes()
    for (_, low, size), place in zip(owners.values(), places, strict=True):
        ctypes.memmove(low, written[place : place + size], size)


class RawModule:
    """The stand-in for cupy.RawModule."""

    compiler: Compiler
    schedule = 0
    sanitizer = ""
    #: loads, bank conflicts and products of all launches of plain runs
    counts: np.ndarray

    def __init__(self, code: str, options: tuple[str, ...]) -> None:
        assert options in (("-std=c++17",), ("-std=c++17", "-arch=sm_90a"))
        self.code, self.names = code, tuple(KERNELS.findall(code))

    def get_function(self, name: str) -> Callable[..., None]:
        assert name in self.names

        def launch(grid: tuple[int], block: tuple[int], arguments: tuple[Any, ...], shared_mem: int) -> None:
            assert grid[0] > 0 and block[0] > 0 and shared_mem == getattr(launch, "max_dynamic_shared_size_bytes", 0)
            assert all(isinstance(argument, np.ndarray | np.generic) for argument in arguments)
            if self.sanitizer:
                program = self.compiler.built(self.code, self.names, self.sanitizer)
                return run_program(program, self.sanitizer, name, (grid[0], block[0], shared_mem, self.schedule), arguments)
            library, memory, held = self.compiler.library(self.code, self.names), Memory(), []
            for argument in arguments:
                if not isinstance(argument, np.ndarray):
                    held.append(np.ctypeslib.as_ctypes_type(argument.dtype)(argument.item()))
                elif argument.dtype.names:
                    held.append(aligned(argument, memory.pointer(mapped(argument))))
                else:
                    held.append(ctypes.c_void_p(memory.pointer(argument)))
            pointers = (ctypes.c_void_p * len(held))(*(ctypes.addressof(item) for item in held))
            failed = getattr(library, f"launch_{name}")(grid[0], block[0], shared_mem, self.schedule, pointers)
            counted = np.zeros(3, dtype=np.int64)
            library.emulator_counts(ctypes.c_void_p(counted.ctypes.data))
            type(self).counts += counted
            if failed:
                raise EmulationError(f"{name}: {library.emulator_error().decode()}")
            memory.release(name)
            return None

        return launch


class Array(np.ndarray):
    """An array that tells its address as CuPy's do; who asked is known by it, for a map of the driver's has no more."""

    by_address: ClassVar[weakref.WeakValueDictionary[int, Array]] = weakref.WeakValueDictionary()

    @property
    def data(self) -> Any:
        address = self.__array_interface__["data"][0]
        Array.by_address[address] = self
        return SimpleNamespace(ptr=address)


def mapped(words: np.ndarray) -> np.ndarray:
    """The array that a map is of."""
    assert words.size == 1 and words.dtype.itemsize == 128, "a kernel takes single structures by value"
    return Array.by_address[int(words.view(np.uint64)[1])]


def aligned(words: np.ndarray, address: int) -> Any:
    """A map of the same array at another address, at a multiple of 128 itself."""
    room = np.zeros(32, dtype=np.uint64)
    held = room[-room.ctypes.data % 128 // 8 :][:16]
    held[:] = words.view(np.uint64)
    held[1] = address
    return (ctypes.c_uint64 * 16).from_buffer(held)


def _poisoned(shape: Any, dtype: Any) -> np.ndarray:
    array = np.empty(shape, dtype=dtype)
    array.view(np.uint8).fill(0xFF) if array.ndim else array.fill(np.nan)
    return array.view(Array)


def stand_in(compiler: Compiler, schedule: int = 0, sanitizer: str = "", capability: str = "90", *, driver: bool = True) -> ModuleType:
    """A module that generated files take for cupy; ``numpy`` is what they take for numpy, whose ctypes finds our driver, or none."""
    module = ModuleType("cupy")
    module.__getattr__ = lambda name: getattr(np, name)  # type: ignore[method-assign]
    made = {"schedule": schedule, "sanitizer": sanitizer, "compiler": compiler, "counts": np.zeros(3, dtype=np.int64)}
    module.empty = _poisoned  # type: ignore[attr-defined]
    module.asarray = lambda array: np.asarray(array).view(Array)  # type: ignore[attr-defined]
    module.ascontiguousarray = lambda array: np.ascontiguousarray(array).view(Array)  # type: ignore[attr-defined]
    module.broadcast_to = lambda array, shape: np.broadcast_to(array, shape, subok=True)  # type: ignore[attr-defined]
    module.RawModule = type("RawModule", (RawModule,), made)  # type: ignore[attr-defined]
    module.numpy = _numpy(compiler, driver)  # type: ignore[attr-defined]
    module.cuda = SimpleNamespace(Device=lambda: SimpleNamespace(compute_capability=capability))  # type: ignore[attr-defined]
    return module


def _numpy(compiler: Compiler, driver: bool) -> ModuleType:
    def library(name: str) -> ctypes.CDLL:
        if not driver or name != "libcuda.so.1":
            raise OSError(f"{name}: cannot open shared object file")
        return ctypes.CDLL(str(compiler.driver()))

    numpy, own = ModuleType("numpy"), ModuleType("ctypes")
    numpy.__getattr__, own.__getattr__ = (lambda name: getattr(np, name)), (lambda name: getattr(ctypes, name))  # type: ignore[method-assign]
    numpy.ctypeslib, own.CDLL = SimpleNamespace(ctypes=own), library  # type: ignore[attr-defined]
    return numpy


@contextmanager
def installed(module: ModuleType) -> Iterator[None]:
    """The module is what ``import cupy`` finds."""
    before = sys.modules.get("cupy")
    sys.modules["cupy"] = module
    try:
        yield
    finally:
        if before is None:
            del sys.modules["cupy"]
        else:
            sys.modules["cupy"] = before


def namespace_of(source: str, module: ModuleType) -> dict[str, Any]:
    """What a generated file defines, run with this module for cupy."""
    space: dict[str, Any] = {}
    with installed(module):
        exec(compile(source, "generated", "exec"), space)
    if "np" in space:
        space["np"] = module.numpy
    return space
