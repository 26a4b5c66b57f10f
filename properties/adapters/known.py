"""What a row of the registry says about a well-known function, and whether it is that of the phase and variant asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kernelproof.symbolic.errors import InputError

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


def check_choices(
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
