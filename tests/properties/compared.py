"""Shortcuts for tests of the properties that compare calls: one property by name on a function or a registered kernel."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from threadpoolctl import threadpool_limits

from kernelproof.properties.beside_theorems import compared_calls
from kernelproof.properties.call import Call
from kernelproof.properties.capabilities import cache_of, everything
from kernelproof.properties.model import Case, Finding, Property, Setting
from kernelproof.properties.mutants.registry import WRONG
from kernelproof.properties.profiles import PROFILES
from kernelproof.properties.reproducer import reproducer
from kernelproof.properties.runner import run_property
from kernelproof.properties.shapes import phase_shape
from kernelproof.properties.targets import memory_target
from kernelproof.properties.verdict import PropertyVerdict
from kernelproof.symbolic.registry import check_variant


def of(phase: str, name: str, **variant: object) -> Property:
    return next(found for found in compared_calls(phase, check_variant(phase, variant)) if found.id == f"{phase}.{name}")


def setting_of(phase: str, dtype: str = "float32", without: frozenset[str] = frozenset(), **variant: object) -> Setting:
    chosen = check_variant(phase, variant)
    profile = replace(PROFILES["quick"], shrink_seconds=0.3)
    shape = phase_shape(phase, chosen)
    return Setting(phase, chosen, dtype, (everything(shape) | set(cache_of(shape))) - {"empty"} - without, profile)


def judge(
    function: Callable[..., Any],
    phase: str,
    name: str,
    seed: int = 0,
    dtype: str = "float32",
    without: frozenset[str] = frozenset(),
    **variant: object,
) -> PropertyVerdict:
    """The verdict of one property, with a reproducer for a target in memory."""
    setting = setting_of(phase, dtype, without, **variant)
    shape = phase_shape(phase, setting.variant)
    target = memory_target(_without_a_home(function), phase=phase, variant=setting.variant)

    def reproduce(found: Property, case: Case, finding: Finding) -> str:
        return reproducer(target, found.id, found.theorem, case, finding)

    # one thread: the products are tiny
    with threadpool_limits(1):
        return run_property(
            of(phase, name, **variant), Call(function, shape), setting, seed=seed, seconds=60, reproduce=reproduce
        )[0]


def _without_a_home(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that no program can import: the reproducers leave it to their reader, here :func:`reproduces`."""

    def handed(*arguments: Any, **options: Any) -> Any:
        return function(*arguments, **options)

    handed.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return handed


def wrong(phase: str, name: str) -> Callable[..., Any]:
    return next(kernel.function for kernel in WRONG if (kernel.phase, kernel.id) == (phase, name))


def reproduces(verdict: PropertyVerdict, function: Callable[..., Any]) -> bool:
    """Whether the saved program fails on this function: its loading lines, which are for a reader to fill in, are left out."""
    assert verdict.counterexample is not None
    program = verdict.counterexample.reproducer
    try:
        exec(compile(program, "reproducer", "exec"), {"target": function, "print": lambda *_: None})
    except AssertionError:
        return True
    return False
