"""Which array library a function speaks, read from the function itself.

The rule, in this order: a function that names ``from_numpy`` takes NumPy arrays; an annotation that names PyTorch or JAX decides; then
what the code of the function, and of helpers in the same file, refers to; then, for code that only calls methods, what its module
imports, provided that is one of the two and not NumPy. Everything else is taken for NumPy.
Guarantees: the function is not run. Cannot see: a library reached through objects alone; annotate ``x: torch.Tensor``, or name it with
:func:`~kernelproof.properties.adapters.crossed`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from types import CodeType, FunctionType, ModuleType
from typing import Any

LIBRARIES = ("torch", "jax")


def library_of(function: Callable[..., Any]) -> str:
    """``torch``, ``jax`` or ``numpy``."""
    plain = _plain(function)
    if plain is None:
        # a builtin, or a compiled function
        root = _root(function)
        return root if root in LIBRARIES else "numpy"
    names, roots = _spoken(plain, set())
    if "from_numpy" in names:
        return "numpy"
    for library in LIBRARIES:
        if library in _annotated(plain):
            return library
    for library in LIBRARIES:
        if library in roots:
            return library
    if "numpy" in roots:
        return "numpy"
    imported = {_root(value) for value in plain.__globals__.values() if isinstance(value, ModuleType)}
    spoken = [library for library in LIBRARIES if library in imported]
    return spoken[0] if len(spoken) == 1 and "numpy" not in imported else "numpy"


def _plain(function: Any) -> FunctionType | None:
    """The Python function under decorators, partial application, methods and callable objects."""
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    if not inspect.isroutine(function):
        # a torch module's own __call__ is not what its author wrote
        function = getattr(function, "forward", None) or vars(type(function)).get("__call__")
    function = getattr(function, "__func__", function)
    return function if isinstance(function, FunctionType) else None


def _spoken(function: FunctionType, seen: set[FunctionType]) -> tuple[set[str], set[str]]:
    """The names in the code of a function and its helpers, and the root modules of what the global ones stand for."""
    seen.add(function)
    names = set(_names(function.__code__))
    # an import inside the function stands under its own name
    roots = {name.partition(".")[0] for name in names} & set(LIBRARIES)
    reached = {**function.__globals__, **_enclosed(function)}
    for name in list(names):
        value = reached.get(name)
        roots.add(_root(value))
        if isinstance(value, FunctionType) and value.__module__ == function.__module__ and value not in seen:
            more_names, more_roots = _spoken(value, seen)
            names |= more_names
            roots |= more_roots
    return names, roots


def _enclosed(function: FunctionType) -> dict[str, Any]:
    """Variables of enclosing functions, by name; one that is not set yet is left out."""
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):
            found[name] = cell.cell_contents
    return found


def _names(code: CodeType) -> Iterator[str]:
    yield from (*code.co_names, *code.co_freevars)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _annotated(function: FunctionType) -> set[str]:
    """The root modules of annotations, written out or as text."""
    return {
        _root(_looked_up(part, function.__globals__)) if isinstance(part, str) else _root(part)
        for part in vars(function).get("__annotations__", function.__annotations__).values()
    }


def _looked_up(text: str, known: Mapping[str, Any]) -> Any:
    return known.get(text.strip("'\" ").partition(".")[0])


def _root(value: object) -> str:
    """The top-level package that an object comes from; jax's compiled parts are jax."""
    name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None) or type(value).__module__
    root = str(name).partition(".")[0]
    return "jax" if root == "jaxlib" else root
