"""Which functions are known, and finding one again by its identity.

Guarantees: a function is known by what it is, not by its name, so one imported under another name is found and one that was replaced
is not; only libraries that are loaded already are looked at. Cannot see: a function that a decorator hides.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from typing import Any

from kernelproof.properties.adapters.jax_functions import JAX
from kernelproof.properties.adapters.known import Known
from kernelproof.properties.adapters.torch_functions import TORCH

FUNCTIONS: tuple[Known, ...] = (*TORCH, *JAX)


def known(function: object) -> tuple[str, Known] | None:
    """The dotted name and the row of a well-known function."""
    for path, row in _rows():
        if row.library in sys.modules and _resolved(path) is function and function is not None:
            return path, row
    return None


def _rows() -> Iterator[tuple[str, Known]]:
    return ((path, row) for row in FUNCTIONS for path in row.paths)


def _resolved(path: str) -> Any:
    """What a dotted name stands for now, or None in a version of the library that lacks it."""
    first, *rest = path.split(".")
    found: Any = importlib.import_module(first)
    for name in rest:
        found = getattr(found, name, None)
    return found
