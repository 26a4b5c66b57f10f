"""Finding the function under test: ``module:function``, ``path/to/file.py:function``, ``generated:PHASE``, or a
function in memory.

Guarantees: whatever is wrong with the target is an :class:`InputError` that says what to do; what it supports is read
from its signature, or from ``supports`` (:mod:`kernelproof.properties.capabilities`).

Cannot see: a target that ends the process while it is imported; :mod:`kernelproof.properties.isolation` calls this in a worker.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np

from kernelproof.properties import adapters
from kernelproof.properties.call import Call, as_array, one_line
from kernelproof.properties.capabilities import cache_of, capabilities_of, declared, everything
from kernelproof.properties.model import dtype_named
from kernelproof.properties.shapes import PhaseShape, forward_of, is_vjp, phase_shape
from kernelproof.symbolic.errors import InputError

BACKENDS = ("numpy", "cupy")
FORMS = "module:function, path/to/file.py:function, generated:PHASE or path/to/model.onnx"


@dataclass(frozen=True)
class Target:
    """A function under test; ``place`` is the path, module name or phase it came from, ``options`` how it was made.

    ``library`` is whose arrays it takes behind its adapter, which assumes ``conventions`` and rests on ``packages``.
    ``isolation`` says where it runs; with ``remote`` its calls are made there, and ``function`` may be out of reach.
    """

    name: str
    function: Callable[..., Any]
    origin: Literal["file", "module", "generated", "memory"]
    place: str
    attribute: str
    phase: str
    variant: Mapping[str, object]
    capabilities: frozenset[str]
    backend: str = "numpy"
    options: Mapping[str, object] = field(default_factory=dict)
    library: str = "numpy"
    conventions: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    #: whether it compiles at its first calls, which may take long
    patient: bool = False
    #: lines of a program that make ``function`` of what the target's name stands for (``adapters.Adapted.glue``)
    glue: str = ""
    isolation: str = "none"
    remote: Call | None = None

    @property
    def libraries(self) -> tuple[str, ...]:
        """Whose arithmetic is assumed of it, the first that is known."""
        return ("cupy",) if self.backend == "cupy" else (self.library, *self.packages)

    @property
    def call(self) -> Call:
        """The function as a call on NumPy arrays."""
        if self.remote is not None:
            return self.remote
        shape = phase_shape(self.phase, self.variant)
        if self.backend == "cupy":
            cupy = _cupy(self.name)
            return Call(self.function, shape, cupy.asarray, lambda result: as_array(cupy.asnumpy(result)))
        return Call(self.function, shape)


def load_target(
    spec: str,
    *,
    phase: str,
    variant: Mapping[str, object],
    backend: str = "numpy",
    dtype: str = "float32",
    supports: Sequence[str] | None = None,
) -> Target:
    """The target that a command line names."""
    if adapters.is_model(spec):
        if backend != "numpy":
            raise InputError(f"choosing a backend: {spec!r} is run by ONNX Runtime on the CPU, not by {backend!r}; leave --backend out")
        model = _adapted(spec, None, "file", os.path.abspath(spec), "", phase, variant, backend, supports)
        _tried(model, dtype)
        return model
    place, colon, attribute = spec.rpartition(":")
    if not colon or not place or not attribute:
        raise InputError(f"reading the target {spec!r}: expected {FORMS}")
    if backend not in BACKENDS:
        raise InputError(f"choosing a backend: {backend!r} is not known; choose one of {', '.join(BACKENDS)}")
    if backend == "cupy":
        _cupy(spec)
    if place == "generated":
        return _generated(spec, attribute, phase, variant, backend, dtype, supports)
    is_file = place.endswith(".py") or os.sep in place
    module = _module_from_file(spec, Path(place)) if is_file else _module_by_name(spec, place)
    try:
        function = reduce(getattr, attribute.split("."), module)
    except AttributeError:
        known = sorted(
            name for name, value in vars(module).items() if inspect.isroutine(value) and not name.startswith("_")
        )
        raise InputError(
            f"loading the target {spec!r}: {place} has no {attribute!r}; "
            + (f"its functions are {', '.join(known[:8])}" if known else "it defines no function")
        ) from None
    origin: Literal["file", "module"] = "file" if is_file else "module"
    found_at = str(Path(place).resolve()) if is_file else place
    return _adapted(spec, function, origin, found_at, attribute, phase, variant, backend, supports)


def _tried(target: Target, dtype: str) -> None:
    """One small call: a type that the library has no kernel for is no verdict. Whatever else goes wrong is for the properties."""
    kinds = {True: np.dtype(np.int64), False: dtype_named(dtype)}
    shape = phase_shape(target.phase, target.variant)
    tensors = [np.zeros([2] * len(tensor.axes), kinds[bool(tensor.below)]) for tensor in shape.tensors]
    try:
        target.function(*tensors)
    except InputError:
        raise
    except Exception:
        return


def memory_target(
    function: Callable[..., Any], *, phase: str, variant: Mapping[str, object], supports: Sequence[str] | None = None
) -> Target:
    """A target from a function that is already there."""
    name = getattr(function, "__qualname__", type(function).__name__)
    return _adapted(name, function, "memory", getattr(function, "__module__", None) or "", name, phase, variant, "numpy", supports)


def _adapted(
    name: str,
    function: Any,
    origin: Literal["file", "module", "memory"],
    place: str,
    attribute: str,
    phase: str,
    variant: Mapping[str, object],
    backend: str,
    supports: Sequence[str] | None,
) -> Target:
    """The target behind the adapter of its array library; on CuPy it is called as it is."""
    found = adapters.recognise(name, function, phase, variant) if backend == "numpy" else adapters.Adapted(function)
    return Target(
        name=name,
        function=found.function,
        origin=origin,
        place=place,
        attribute=attribute,
        phase=phase,
        variant=dict(variant),
        capabilities=_on(backend, capabilities_of(name, found.function, phase_shape(phase, variant), supports) - found.without),
        backend=backend,
        library=found.library,
        conventions=found.conventions,
        packages=found.packages,
        patient=found.patient,
        glue=found.glue,
    )


def _generated(
    spec: str,
    named: str,
    phase: str,
    variant: Mapping[str, object],
    backend: str,
    dtype: str,
    supports: Sequence[str] | None,
) -> Target:
    forward = forward_of(phase)
    if named != forward:
        raise InputError(f"reading the target {spec!r}: it names {named!r}, but the phase is {forward!r}; give one phase")
    shape = phase_shape(phase, variant)
    kernel = importlib.import_module("kernelproof.numeric.kernel").generate(
        forward, backend=backend, dtype=dtype, vjp=is_vjp(phase), **variant
    )
    return Target(
        name=spec,
        function=kernel,
        origin="generated",
        place=forward,
        attribute=forward,
        phase=phase,
        variant=dict(variant),
        capabilities=_on(backend, _all_of(shape, backend) if supports is None else declared(spec, supports, shape)),
        backend=backend,
        options={"backend": backend, "dtype": dtype, **({"vjp": True} if is_vjp(phase) else {}), **variant},
    )


def _all_of(shape: PhaseShape, backend: str) -> frozenset[str]:
    """What a generated kernel can do; with a cache in NumPy alone."""
    return everything(shape) | set(cache_of(shape) if backend == "numpy" else ())


def _module_from_file(spec: str, path: Path) -> ModuleType:
    if not path.is_file():
        raise InputError(f"loading the target {spec!r}: there is no file {str(path)!r}; give the path of a Python file")
    name = f"kernelproof_target_{path.stem}"
    module_spec = importlib.util.spec_from_file_location(name, path.resolve())
    if module_spec is None or module_spec.loader is None:
        raise InputError(f"loading the target {spec!r}: {str(path)!r} is not a Python file; its name must end in .py")
    module = importlib.util.module_from_spec(module_spec)
    # dataclasses and pickling look their module up by name; a neighbour of the file may be imported by it
    sys.modules[name] = module
    sys.path.insert(0, str(path.resolve().parent))
    loader = module_spec.loader
    try:
        _imported(spec, str(path), lambda: loader.exec_module(module))
    finally:
        sys.path.remove(str(path.resolve().parent))
    return module


def _module_by_name(spec: str, name: str) -> ModuleType:
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        # as `python -m` does: the console script's own folder stands there instead
        sys.path.insert(0, here)
    module: ModuleType = _imported(spec, f"module {name!r}", lambda: importlib.import_module(name))
    return module


def _imported(spec: str, what: str, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise InputError(
            f"loading the target {spec!r}: importing {what} raised {one_line(error)}; "
            "check that it imports by itself, from this folder, in this environment"
        ) from error


def _on(backend: str, capabilities: frozenset[str]) -> frozenset[str]:
    """Layouts do not survive the way to a GPU, so nothing about them would be tested."""
    return capabilities if backend == "numpy" else capabilities - {"layouts"}


def _cupy(name: str) -> Any:
    """CuPy, where there is a GPU to run it on."""
    advice = "run on a machine with one, or choose --backend numpy"
    try:
        cupy = importlib.import_module("cupy")
    except ImportError:
        raise InputError(
            f"running the target {name!r} on CuPy: the package cupy is not installed; on a machine with an NVIDIA GPU "
            "'pip install kernelproof[cuda12]', or choose --backend numpy"
        ) from None
    try:
        count = int(cupy.cuda.runtime.getDeviceCount())
    except Exception as error:
        raise InputError(f"running the target {name!r} on CuPy: no usable GPU ({one_line(error)}); {advice}") from None
    if count == 0:
        raise InputError(f"running the target {name!r} on CuPy: there is no GPU; {advice}")
    return cupy
