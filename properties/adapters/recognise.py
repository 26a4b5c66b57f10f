"""From a target as its author wrote it to a kernel in the contract's signature, with the conventions that were assumed.

Guarantees: a well-known function that is asked for another phase or variant than its own is an :class:`InputError` that says which; a
NumPy function comes back as the same object.
Cannot see: whether the conventions are what the author meant; they are stated, so that a reader can.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kernelproof.properties.adapters.crossing import CROSSINGS, crossed
from kernelproof.properties.adapters.libraries import library_of
from kernelproof.properties.adapters.registry import known
from kernelproof.symbolic.errors import InputError


@dataclass(frozen=True)
class Adapted:
    """A kernel on NumPy arrays; ``without`` are capabilities that it lacks, ``packages`` what its outcome depends on."""

    function: Callable[..., Any]
    library: str = "numpy"
    conventions: tuple[str, ...] = ()
    without: frozenset[str] = frozenset()
    packages: tuple[str, ...] = ()


def is_model(spec: str) -> bool:
    """Whether a target is an ONNX file."""
    return spec.endswith(".onnx")


def adapted(target: Any, phase: str, variant: Mapping[str, object]) -> Callable[..., Any]:
    """The kernel alone, from a function or the path of a model: what a reproducer calls."""
    found = recognise(str(target), None if isinstance(target, str) else target, phase, variant)
    return found.function


def recognise(spec: str, function: Any, phase: str, variant: Mapping[str, object]) -> Adapted:
    """``function`` as a kernel of the phase; with an ``.onnx`` path as ``spec``, the node of that file."""
    if function is None and is_model(spec):
        return _model(spec, phase, variant)
    found = known(function)
    if found is not None:
        path, row = found
        _check(spec, path, row.phase, row.choices, phase, variant)
        return Adapted(
            _crossed(row.bind(function, variant), row.library), row.library,
            (f"{path} as {phase}", *row.conventions), row.without, (row.library,),
        )
    library = library_of(function) if callable(function) else "numpy"
    if library == "numpy":
        return Adapted(function)
    told = f"arrays are handed over as those of {library}, which the function's own code speaks"
    without = frozenset({"layouts"}) if library == "jax" else frozenset()
    return Adapted(crossed(function, library), library, (told,), without, (library,))


def _crossed(kernel: Callable[..., Any], library: str) -> Callable[..., Any]:
    return crossed(kernel, library) if library in CROSSINGS else kernel


def _model(spec: str, phase: str, variant: Mapping[str, object]) -> Adapted:
    # late: ONNX is large, and few targets need it
    operators = importlib.import_module("kernelproof.properties.adapters.onnx_operators")
    node = importlib.import_module("kernelproof.properties.adapters.onnx_node").OnnxNode(os.path.abspath(spec))
    operator = operators.OPERATORS.get(node.operator)
    if operator is None:
        raise InputError(f"loading the target {spec!r}: its node is {node.operator}; expected one of {', '.join(operators.OPERATORS)}")
    _check(spec, node.operator, operator.phase, operator.choices(node), phase, variant)
    said = (f"{node.operator} of opset {node.opset} as {phase}, taken out of the file and run with free inputs", *operator.conventions)
    return Adapted(operator.bind(node), "onnxruntime", said, operator.without, ("onnx", "onnxruntime"))


def _check(
    spec: str, name: str, own: str, choices: Mapping[str, tuple[object, ...]], phase: str, variant: Mapping[str, object]
) -> None:
    """A recognised function is judged by its own phase and by a variant that it can be told to compute."""
    if phase != own:
        raise InputError(f"reading the target {spec!r}: {name} is recognised as {own}, and the phase is {phase!r}; give --phase {own}")
    defaults = importlib.import_module("kernelproof.symbolic.registry").check_variant(phase, {})
    for key, value in variant.items():
        if value not in choices.get(key, (defaults.get(key),)):
            able = " or ".join(f"--variant {key}={choice}" for choice in choices.get(key, (defaults.get(key),)))
            raise InputError(f"reading the target {spec!r}: {name} does not compute {key}={value}; give {able}, or write a wrapper")
