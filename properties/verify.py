"""Verifying a target against the properties of its phase, from Python and from the command line.

Guarantees: whatever is wrong with the call is an :class:`InputError` before anything runs; the same target, seed and
versions give the same verdict, as far as the time suffices; a target that dies takes no other property with it.
"""

from __future__ import annotations

import importlib
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import Any

from kernelproof import __version__
from kernelproof.numeric.precision import assumed_precision, assuming, assuming_library
from kernelproof.properties.against import compared
from kernelproof.properties.forensics import explained
from kernelproof.properties.isolation import isolated_function, isolated_target
from kernelproof.properties.model import Case, Finding, Property, Setting, dtype_named
from kernelproof.properties.profiles import profile_named
from kernelproof.properties.registry import properties_of
from kernelproof.properties.reproducer import reproducer
from kernelproof.properties.runner import run_properties
from kernelproof.properties.shapes import forward_of, is_vjp, phase_shape, vjp_of
from kernelproof.properties.targets import Target, memory_target
from kernelproof.properties.verdict import Verdict
from kernelproof.symbolic.errors import InputError

DEFAULT_SEED = 0
#: for writing and printing what was found
SECONDS_TO_TELL = 0.5
#: of the time given, what may be spent on why the definition was missed
SHARE_TO_EXPLAIN = 0.2


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
    vjp: bool = False,
    precision: str = "",
    **variant: object,
) -> Verdict:
    """The verdict on a function; with ``against``, another function, compared with that one too (``PHASE.against``).

    With ``vjp`` the function is the gradient kernel: ``f(inputs…, grad_out)`` with the keyword options of the phase, and a tuple of
    gradients, one for each differentiable input. A well-known function of PyTorch or JAX then means that library's own gradient of it.

    ``precision`` says how the kernel's arithmetic differs from what is assumed of its dtype, as ``NAME=VALUE,…`` of
    :class:`kernelproof.numeric.precision.Precision`, for example ``"products=tfloat32"``.

    >>> print(kernelproof.verify(my_softmax, phase="softmax"))  # doctest: +SKIP
    """
    began = time.perf_counter()
    phase = vjp_of(phase) if vjp else phase
    chosen = checked_variant(phase, variant)
    dtype_named(dtype)
    profile_named(profile)
    target = memory_target(function, phase=phase, variant=chosen, supports=supports)
    with assuming(precision), isolated_function(target) as isolated, compared(against, phase, chosen, dtype) as also:
        return verdict_on(isolated, profile=profile, seed=seed, dtype=dtype, max_seconds=max_seconds, also=also, began=began)


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
    vjp: bool = False,
    precision: str = "",
    began: float | None = None,
) -> Verdict:
    """The verdict on the target that ``spec`` names, compared with the function that ``against`` names too.

    A profile's seconds count from the moment ``began`` of ``time.perf_counter`` (default: now), ``max_seconds`` for the search alone.
    """
    began = time.perf_counter() if began is None else began
    phase = vjp_of(phase) if vjp else phase
    chosen = checked_variant(phase, variant or {})
    dtype = dtype or "float32"
    # before the target is loaded: a wrong word should not wait for a slow import
    dtype_named(dtype)
    profile_named(profile)
    with (
        assuming(precision),
        isolated_target(spec, phase=phase, variant=chosen, backend=backend, dtype=dtype, supports=supports) as target,
        compared(against, phase, chosen, dtype) as also,
    ):
        return verdict_on(
            target, profile=profile, seed=seed, dtype=dtype, max_seconds=max_seconds, progress=progress, also=also, began=began
        )


def verdict_on(
    target: Target,
    *,
    profile: str = "standard",
    seed: int | None = None,
    dtype: str = "float32",
    max_seconds: float | None = None,
    progress: bool = False,
    also: Sequence[Property] = (),
    began: float | None = None,
) -> Verdict:
    """The verdict on a loaded target, with ``also`` after the properties of its phase. ``began``: as in :func:`verify_target`."""
    began = time.perf_counter() if began is None else began
    dtype_named(dtype)
    setting = Setting(target.phase, target.variant, dtype, target.capabilities, profile_named(profile))
    if max_seconds is not None and not max_seconds > 0:
        raise InputError(f"choosing a time: {max_seconds!r} seconds is not positive; give a positive number of seconds")
    chosen_seed = DEFAULT_SEED if seed is None else seed

    def reproduce(subject: Property, case: Case, finding: Finding) -> str:
        return reproducer(target, subject.id, subject.theorem, case, finding)

    # derives them, which takes of the profile's time
    properties = [*properties_of(target.phase, target.variant), *also]
    with assuming_library(target.libraries):
        verdicts, interrupted = run_properties(
            properties,
            target.call,
            setting,
            seed=chosen_seed,
            reproduce=reproduce,
            max_seconds=_left(setting.profile.seconds, began) if max_seconds is None else max_seconds,
            progress=progress,
        )
        seconds = setting.profile.seconds if max_seconds is None else max_seconds
        why = None if interrupted else explained(properties, verdicts, target.call, setting, chosen_seed, SHARE_TO_EXPLAIN * seconds)
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
            precision=assumed_precision(dtype),
            forensics=why,
        )


def _left(seconds: float, began: float) -> float:
    """What a profile leaves for the search, once the target is loaded and its properties derived."""
    return max(seconds / 2, seconds - SECONDS_TO_TELL - (time.perf_counter() - began))


def checked_variant(phase: str, variant: Mapping[str, object]) -> dict[str, object]:
    """The variant with its values checked, or an :class:`InputError`; so too for an unknown phase."""
    registry = importlib.import_module("kernelproof.symbolic.registry")
    checked: dict[str, object] = registry.check_variant(forward_of(phase), dict(variant))
    if is_vjp(phase):
        # a phase without gradients is told here
        phase_shape(phase, checked)
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
