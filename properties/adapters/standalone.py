"""The source of an adapter as a text that stands alone: what a reproducer needs to call a target without kernelproof.

What it does: takes functions and classes of this package with all that they refer to in it, and the imports of the rest.
Guarantees: the text defines them under their own names, in an order in which it runs; annotations are left out of account, as the
program that holds it begins with ``from __future__ import annotations``.
Cannot see: a reference that is no plain name of the module, such as one looked up by a string.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from types import ModuleType
from typing import Any

_OURS = "kernelproof"


def source_of(*wanted: Any) -> str:
    """The definitions of functions and classes, and before them what they need."""
    gathered = _Gathered()
    for one in wanted:
        gathered.add(one)
    return "\n".join([*sorted(gathered.imports), *gathered.constants, "", *gathered.sources])


class _Gathered:
    def __init__(self) -> None:
        self.imports: set[str] = set()
        self.constants: list[str] = []
        self.sources: list[str] = []
        self._seen: set[int] = set()

    def add(self, one: Any) -> None:
        if id(one) in self._seen:
            return
        self._seen.add(id(one))
        source = textwrap.dedent(inspect.getsource(one))
        known = vars(sys.modules[one.__module__])
        for name in dict.fromkeys(_names(ast.parse(source))):
            if name in known and known[name] is not one:
                self._need(name, known[name])
        self.sources.append(source)

    def _need(self, name: str, value: Any) -> None:
        home = getattr(value, "__module__", None) or ""
        if isinstance(value, ModuleType):
            self.imports.add(f"import {value.__name__}" + ("" if value.__name__ == name else f" as {name}"))
        elif (inspect.isroutine(value) or inspect.isclass(value)) and home.partition(".")[0] == _OURS:
            self.add(value)
        elif inspect.isroutine(value) or inspect.isclass(value):
            self.imports.add(f"from {home} import {value.__name__}" + ("" if value.__name__ == name else f" as {name}"))
        elif f"{name} = {value!r}" not in self.constants:
            self.constants.append(f"{name} = {value!r}")


def _names(tree: ast.AST) -> Iterator[str]:
    """Names that are read when the code runs."""
    for field, value in ast.iter_fields(tree):
        if field in ("annotation", "returns"):
            continue
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, ast.Name):
                yield part.id
            if isinstance(part, ast.AST):
                yield from _names(part)
