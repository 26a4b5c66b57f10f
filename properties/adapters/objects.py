"""Targets that are no functions: modules and autograd functions of PyTorch, classes that take no arguments, compiled functions.

Guarantees: what such an object stands for is said among the conventions; what cannot be called as a kernel is an :class:`InputError` that
says why. No library is imported that the target has not imported itself.
Cannot see: whether a class that takes no arguments is the same object each time; one instance is made and kept.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kernelproof.properties.adapters.known import check_choices
from kernelproof.properties.call import one_line
from kernelproof.properties.shapes import forward_of
from kernelproof.symbolic.errors import InputError

Kernel = Callable[..., Any]


@dataclass(frozen=True)
class Bound:
    """A kernel on the arrays of ``library`` in the contract's signature, or near it, and what was assumed."""

    kernel: Kernel
    conventions: tuple[str, ...]
    library: str = "torch"
    without: frozenset[str] = frozenset()
    #: the kernel again, from ``target``, in a program that holds ``sources``
    spelled: str = ""
    sources: tuple[Any, ...] = ()


def instance_of(spec: str, target: Any) -> Any:
    """A class as an instance of it; PyTorch's own kinds of classes, and everything else, as they are."""
    if not inspect.isclass(target) or autograd_function(target) is not None:
        return target
    if module_kind(target) and importlib.import_module("kernelproof.properties.adapters.torch_modules").known_module(spec, target):
        return target
    try:
        made = target()
    except Exception as error:
        raise InputError(
            f"loading the target {spec!r}: it is a class, and {target.__name__}() raised {one_line(error)}; "
            "name an instance of it, or a class that takes no arguments"
        ) from None
    if not callable(made):
        raise InputError(f"loading the target {spec!r}: it is a class whose instances cannot be called; name a function")
    return made


def bound_object(spec: str, target: Any, phase: str, variant: Mapping[str, object]) -> Bound | None:
    """The kernel behind a module or an autograd function of PyTorch; None for anything else."""
    function = autograd_function(target)
    if function is not None:
        told = f"{function.__name__}.apply, the forward pass of an autograd function"
        spelled = "applied(getattr(target, '__self__', target))"
        return Bound(applied(function), (told,), spelled=spelled, sources=(applied,))
    if not module_kind(target):
        return None
    modules = importlib.import_module("kernelproof.properties.adapters.torch_modules")
    found = modules.known_module(spec, target)
    if found is None:
        kernel, said, spelled = modules.own_module(spec, target, forward_of(phase), variant)
        return Bound(kernel, said, spelled=spelled, sources=(modules.evaluated, modules.parametrised))
    row, kind, instance = found
    check_choices(spec, row.path, row.phase, row.choices, forward_of(phase), variant)
    given = "target, None" if instance is None else "type(target), target"
    return Bound(
        row.build(kind, instance, variant), (f"{row.path} as {row.phase}", *row.conventions), "torch", row.without,
        f"{row.build.__name__}({given}, {dict(variant)!r})", (row.build,),
    )


def compiles(target: Any) -> bool:
    """Whether the target compiles at its first calls, for many seconds: ``torch.compile`` made it."""
    return hasattr(target, "_torchdynamo_orig_callable") or type(target).__name__ == "OptimizedModule"


def module_kind(target: Any) -> bool:
    """Whether it is a ``torch.nn.Module``, or a class of them."""
    return _is(target, "nn.Module")


def autograd_function(target: Any) -> Any:
    """The subclass of ``torch.autograd.Function`` that a target is, or whose ``apply`` it is; else None."""
    owner = getattr(target, "__self__", None) if getattr(target, "__name__", "") == "apply" else target
    return owner if inspect.isclass(owner) and _is(owner, "autograd.Function") else None


def _is(target: Any, name: str) -> bool:
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    for part in name.split("."):
        torch = getattr(torch, part)
    return issubclass(target, torch) if inspect.isclass(target) else isinstance(target, torch)  # type: ignore[arg-type]


def applied(function: Any) -> Kernel:
    """``apply``, which takes no keywords, with the signature of ``forward``."""
    parameters = list(inspect.signature(function.forward).parameters.values())
    own_context = function.setup_context is not importlib.import_module("torch").autograd.Function.setup_context
    signature = inspect.Signature(parameters if own_context else parameters[1:])

    def apply(*arguments: Any, **options: Any) -> Any:
        given = signature.bind(*arguments, **options)
        given.apply_defaults()
        return function.apply(*given.args, *given.kwargs.values())

    apply.__signature__ = signature  # type: ignore[attr-defined]
    return apply
