"""Verifying a target against the properties of its phase, from Python and from the command line.

Guarantees: whatever is wrong with the call is an :class:`InputError` before anything runs; the same target, seed and
versions give the same verdict, as far as the time suffices; a target that dies takes no other property with it.
"""

from __future__ import annotations

import importlib
import platform
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import Any

from kernelproof import __version__
from kernelproof.properties.against import compared
from kernelproof.properties.isolation import isolated_function, isolated_target
from kernelproof.properties.model import Case, Finding, Property, Setting, dtype_named
from kernelproof.properties.profiles import profile_named
from kernelproof.properties.registry import properties_of
from kernelproof.properties.reproducer import reproducer
from kernelproof.properties.runner import run_properties
from kernelproof.properties.targets import Target, memory_target
from kernelproof.properties.verdict import Verdict
from kernelproof.symbolic.errors import InputError

DEFAULT_SEED = 0


def verify(
    function: Callable[..., Any],
    *,
    phase: str,
    profile: str = "standard",
    seed: int | None = None,
    dtype: str = "float32",
    supports: Sequence[str] | None = None,
    max_seconds: float | None = None,
    against: Callable[..., Any] | None = None,
    **variant: object,
) -> Verdict:
    """The verdict on a function; with ``against``, another function, compared with that one too (``PHASE.against``).

    >>> print(kernelproof.verify(my_softmax, phase="softmax"))  # doctest: +SKIP
    """
    chosen = checked_variant(phase, variant)
    dtype_named(dtype)
    profile_named(profile)
    target = memory_target(function, phase=phase, variant=chosen, supports=supports)
    with isolated_function(target) as isolated, compared(against, phase, chosen, dtype) as also:
        return verdict_on(isolated, profile=profile, seed=seed, dtype=dtype, max_seconds=max_seconds, also=also)


def verify_target(
    spec: str,
    *,
    phase: str,
    backend: str = "numpy",
    variant: Mapping[str, object] | None = None,
    supports: Sequence[str] | None = None,
    dtype: str | None = None,
    profile: str = "standard",
    max_seconds: float | None = None,
    seed: int | None = None,
    progress: bool = False,
    against: str | None = None,
) -> Verdict:
    """The verdict on the target that ``spec`` names, compared with the function that ``against`` names too."""
    chosen = checked_variant(phase, variant or {})
    dtype = dtype or "float32"
    # before the target is loaded: a wrong word should not wait for a slow import
    dtype_named(dtype)
    profile_named(profile)
    with (
        isolated_target(spec, phase=phase, variant=chosen, backend=backend, dtype=dtype, supports=supports) as target,
        compared(against, phase, chosen, dtype) as also,
    ):
        return verdict_on(target, profile=profile, seed=seed, dtype=dtype, max_seconds=max_seconds, progress=progress, also=also)


def verdict_on(
    target: Target,
    *,
    profile: str = "standard",
    seed: int | None = None,
    dtype: str = "float32",
    max_seconds: float | None = None,
    progress: bool = False,
    also: Sequence[Property] = (),
) -> Verdict:
    """The verdict on a loaded target, with ``also`` after the properties of its phase."""
    dtype_named(dtype)
    setting = Setting(target.phase, target.variant, dtype, target.capabilities, profile_named(profile))
    if max_seconds is not None and not max_seconds > 0:
        raise InputError(f"choosing a time: {max_seconds!r} seconds is not positive; give a positive number of seconds")
    chosen_seed = DEFAULT_SEED if seed is None else seed

    def reproduce(subject: Property, case: Case, finding: Finding) -> str:
        return reproducer(target, subject.id, subject.theorem, case, finding)

    verdicts, interrupted = run_properties(
        [*properties_of(target.phase, target.variant), *also],
        target.call,
        setting,
        seed=chosen_seed,
        reproduce=reproduce,
        max_seconds=max_seconds,
        progress=progress,
    )
    return Verdict(
        target=target.name,
        phase=target.phase,
        variant=dict(target.variant),
        profile=profile,
        seed=chosen_seed,
        dtype=dtype,
        versions=versions(target.backend, target.packages),
        properties=verdicts,
        interrupted=interrupted,
        isolation=target.isolation,
        conventions=target.conventions,
    )


def checked_variant(phase: str, variant: Mapping[str, object]) -> dict[str, object]:
    """The variant with its values checked, or an :class:`InputError`; so too for an unknown phase."""
    registry = importlib.import_module("kernelproof.symbolic.registry")
    checked: dict[str, object] = registry.check_variant(phase, dict(variant))
    return checked


def versions(backend: str = "numpy", packages: Sequence[str] = ()) -> dict[str, str]:
    """The versions that the outcome may depend on."""
    found = {"kernelproof": __version__, "python": platform.python_version()}
    for package in ("numpy", "hypothesis", *(() if backend == "numpy" else (backend,)), *packages):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # CuPy's wheels carry the CUDA version in their name
            found[package] = str(getattr(importlib.import_module(package), "__version__", "unknown"))
    return found
