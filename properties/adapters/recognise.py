"""From a target as its author wrote it to a kernel in the contract's signature, with the conventions that were assumed.

Guarantees: a well-known function that is asked for another phase or variant than its own is an :class:`InputError` that says which; a
NumPy function comes back as the same object.
Cannot see: whether the conventions are what the author meant; they are stated, so that a reader can.
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kernelproof.properties.adapters.crossing import CROSSINGS, bridged, crossed
from kernelproof.properties.adapters.gradients import MEANS, gradient_of, spelled_gradient
from kernelproof.properties.adapters.known import Known, check_choices
from kernelproof.properties.adapters.libraries import library_of
from kernelproof.properties.adapters.objects import bound_object, compiles, instance_of
from kernelproof.properties.adapters.registry import known
from kernelproof.properties.adapters.standalone import source_of
from kernelproof.properties.shapes import forward_of, is_vjp, phase_shape
from kernelproof.symbolic.errors import InputError


@dataclass(frozen=True)
class Adapted:
    """A kernel on NumPy arrays; ``without`` are capabilities that it lacks, ``packages`` what its outcome depends on."""

    function: Callable[..., Any]
    library: str = "numpy"
    conventions: tuple[str, ...] = ()
    without: frozenset[str] = frozenset()
    packages: tuple[str, ...] = ()
    #: whether it compiles at its first calls, which takes long
    patient: bool = False
    #: a program's lines that make the kernel of ``target`` again, without kernelproof; empty where there are none
    glue: str = ""


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
        if is_vjp(phase):
            raise InputError(f"loading the target {spec!r}: a gradient kernel is a Python function, and this is a model; leave --vjp out")
        return _model(spec, phase, variant)
    function = instance_of(spec, function)
    bound = bound_object(spec, function, phase, variant)
    if bound is not None:
        kernel = gradient_of(bound.kernel, bound.library, phase_shape(phase, variant)) if is_vjp(phase) else bound.kernel
        return Adapted(
            crossed(kernel, bound.library), bound.library, bound.conventions, bound.without, (bound.library,), compiles(function),
            _glue(bound.library, phase, variant, bound.spelled, *bound.sources),
        )
    fixed: tuple[str, ...] = ()
    found = known(function)
    if found is None and isinstance(function, functools.partial) and not function.args:
        found = known(function.func)
        fixed = tuple(f"functools.partial: {name}={value!r}, unless the adapter sets it" for name, value in function.keywords.items())
    if found is not None:
        path, row = found
        check_choices(spec, path, row.phase, row.choices, forward_of(phase), variant)
        if is_vjp(phase):
            return _pulled_back(spec, path, row, function, phase, variant)
        return Adapted(
            _crossed(row.bind(function, variant), row.library), row.library,
            (f"{path} as {phase}", *row.conventions, *fixed), row.without, (row.library,),
            glue=_known_glue(row, phase, variant),
        )
    library = library_of(function) if callable(function) else "numpy"
    if library == "numpy":
        return Adapted(function)
    told = f"arrays are handed over as those of {library}, which the function's own code speaks"
    without = frozenset({"layouts"}) if library == "jax" else frozenset()
    # with --vjp too it is taken for what was asked for, and not differentiated
    glue = _glue(library, forward_of(phase), variant, "target")
    return Adapted(crossed(function, library), library, (told,), without, (library,), compiles(function), glue)


def _pulled_back(spec: str, path: str, row: Known, function: Any, phase: str, variant: Mapping[str, object]) -> Adapted:
    """The library's own gradient of a well-known function."""
    if row.library not in MEANS or path in MEANS[row.library].without_gradient:
        raise InputError(f"reading the target {spec!r}: there is no adapter for the gradient of {path}; write one, or leave --vjp out")
    kernel = gradient_of(row.bind(function, variant), row.library, phase_shape(phase, variant))
    told = (f"{path} as {forward_of(phase)}, its gradient by {MEANS[row.library].means}", *row.conventions)
    return Adapted(_crossed(kernel, row.library), row.library, told, row.without, (row.library,), glue=_known_glue(row, phase, variant))


def _known_glue(row: Known, phase: str, variant: Mapping[str, object]) -> str:
    return _glue(row.library, phase, variant, f"{row.bind.__name__}(target, {dict(variant)!r})", row.bind)


def _glue(library: str, phase: str, variant: Mapping[str, object], spelled: str, *sources: Any) -> str:
    """Lines that make the kernel of ``target``; ``spelled`` is what crosses or is differentiated, ``sources`` what it is made with."""
    border = CROSSINGS[library]
    if is_vjp(phase):
        spelled, more = spelled_gradient(spelled, library, phase_shape(phase, variant))
        sources = (*sources, *more)
    return f"{source_of(bridged, border, *sources)}\ntarget = bridged({spelled}, {border.__name__}())"


def _crossed(kernel: Callable[..., Any], library: str) -> Callable[..., Any]:
    return crossed(kernel, library) if library in CROSSINGS else kernel


def _model(spec: str, phase: str, variant: Mapping[str, object]) -> Adapted:
    # late: ONNX is large, and few targets need it
    operators = importlib.import_module("kernelproof.properties.adapters.onnx_operators")
    node = importlib.import_module("kernelproof.properties.adapters.onnx_node").OnnxNode(os.path.abspath(spec))
    operator = operators.OPERATORS.get(node.operator)
    if operator is None:
        raise InputError(f"loading the target {spec!r}: its node is {node.operator}; expected one of {', '.join(operators.OPERATORS)}")
    check_choices(spec, node.operator, operator.phase, operator.choices(node), phase, variant)
    said = (f"{node.operator} of opset {node.opset} as {phase}, taken out of the file and run with free inputs", *operator.conventions)
    glue = f"{source_of(type(node), operator.bind)}\ntarget = {operator.bind.__name__}({type(node).__name__}(target))"
    return Adapted(operator.bind(node), "onnxruntime", said, operator.without, ("onnx", "onnxruntime"), glue=glue)
