"""What a row of the registry says about a well-known function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Kernel = Callable[..., Any]


@dataclass(frozen=True)
class Known:
    """A function that needs no wrapper.

    ``paths`` are its dotted names. ``bind`` gives, from the function and the variant, a kernel in the contract's signature on the
    library's own arrays; its signature says which options it takes. ``choices`` are the values of variants that the function can be
    told to compute, other variants must stand at their defaults. ``without`` are capabilities that it lacks.
    """

    paths: tuple[str, ...]
    phase: str
    bind: Callable[[Kernel, Mapping[str, object]], Kernel]
    conventions: tuple[str, ...]
    choices: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    without: frozenset[str] = frozenset()

    @property
    def library(self) -> str:
        return self.paths[0].partition(".")[0]
