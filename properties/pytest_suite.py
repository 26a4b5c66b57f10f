"""Properties as pytest items: ``test_mine = kernelproof.properties.suite("attention", my_attention)``.

Guarantees: one item a property, named by its id; neither inconclusive nor not-applicable properties count as passed: they skip with their
reason. The kernel runs in a worker process, as under ``verify``: one that crashes, hangs or exits is a failed item, with its input and a
program that shows it, and the others still run. Where one cannot run there, pytest warns once and says why; ``isolated=False`` asks for
that. Bounds are those of ``verify``. A counterexample is tried first the next time (``remembered.py``).
Options of the pytest plugin: ``--kernelproof-profile`` overrides the profile; the seed is ``--kernelproof-seed``, else Hypothesis' own
``--hypothesis-seed``, else that of the suite. Under pytest-xdist every process has a worker of its own.
Cannot see: what the kernel changes in the process of the tests, which it does not run in.
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

import pytest

from kernelproof.numeric.precision import assuming, assuming_library
from kernelproof.properties.isolation import GENERATED, PROCESS, isolated_function, isolated_target
from kernelproof.properties.model import Case, Finding, Property, Setting, dtype_named
from kernelproof.properties.profiles import profile_named
from kernelproof.properties.registry import properties_of
from kernelproof.properties.remembered import Remembered
from kernelproof.properties.render import counterexample_text
from kernelproof.properties.replay import again
from kernelproof.properties.reproducer import reproducer
from kernelproof.properties.runner import run_property
from kernelproof.properties.shapes import vjp_of
from kernelproof.properties.targets import Target, load_target, memory_target
from kernelproof.properties.verdict import PropertyVerdict
from kernelproof.properties.verify import DEFAULT_SEED, checked_variant
from kernelproof.symbolic.errors import InputError


def suite(
    phase: str,
    function: Callable[..., Any] | str,
    profile: str = "quick",
    *,
    seed: int = DEFAULT_SEED,
    dtype: str = "float32",
    supports: Sequence[str] | None = None,
    vjp: bool = False,
    precision: str = "",
    isolated: bool = True,
    **variant: object,
) -> Callable[..., None]:
    """A parametrised test function. Bind it to a name that pytest collects.

    ``function`` is a kernel, or names one as the command line does (``"kernels.py:softmax"``); ``vjp`` and ``precision`` are those of
    ``verify``. With ``isolated=False`` the kernel runs in the process of the tests, where a debugger sees it, and a crash ends them all.
    """
    phase = vjp_of(phase) if vjp else phase
    chosen = checked_variant(phase, variant)
    dtype_named(dtype)
    profile_named(profile)
    with assuming(precision):
        pass  # a wrong word is told when the tests are collected
    opened = _Opened(function, phase, chosen, dtype, supports, isolated)
    properties = properties_of(phase, chosen)

    @pytest.mark.parametrize("kernel_property", properties, ids=[found.id for found in properties])
    def test_property(kernel_property: Property, request: pytest.FixtureRequest) -> None:
        option = request.config.getoption
        searched = profile_named(option("kernelproof_profile", None) or profile)
        target = opened.target(request)
        setting = Setting(phase, target.variant, dtype, target.capabilities, searched)
        with assuming(precision), assuming_library(target.libraries):
            found, interrupted = _judged(kernel_property, target, setting, chosen_seed(option, seed), request.node.nodeid, len(properties))
        if interrupted:
            raise KeyboardInterrupt
        _tell(found)

    return test_property


def chosen_seed(option: Callable[..., Any], own: int) -> int:
    """The seed of this run of pytest. Hypothesis takes any text for its own."""
    asked = option("kernelproof_seed", None)
    if asked is None:
        asked = option("--hypothesis-seed", None)
    if asked is None:
        return own
    try:
        return int(asked)
    except ValueError:
        return zlib.crc32(str(asked).encode())


class _Opened:
    """The kernel in its worker, from the first item that needs it to the end of the module."""

    def __init__(
        self, function: Callable[..., Any] | str, phase: str, variant: dict[str, object], dtype: str, supports: Sequence[str] | None,
        isolated: bool,
    ) -> None:
        self._target: Target | None = None
        self._isolated = isolated
        self._open: Callable[[], AbstractContextManager[Target]]
        if isinstance(function, str):
            named: Any = isolated_target if isolated else lambda spec, **rest: nullcontext(load_target(spec, **rest))
            self._open = lambda: named(function, phase=phase, variant=variant, dtype=dtype, supports=supports)
        else:
            # a wrong signature is told when the tests are collected
            made = memory_target(function, phase=phase, variant=variant, supports=supports)
            self._open = lambda: isolated_function(made) if isolated else nullcontext(made)

    def target(self, request: pytest.FixtureRequest) -> Target:
        if self._target is None:
            stack = ExitStack()
            try:
                self._target = stack.enter_context(self._open())
            except InputError as error:
                pytest.fail(str(error), pytrace=False)
            if self._isolated and self._target.isolation not in (PROCESS, GENERATED):
                told = f"kernelproof: {self._target.name} runs in the process of the tests, which it can end: {self._target.isolation}"
                warnings.warn(pytest.PytestWarning(told), stacklevel=2)
            module = request.node.getparent(pytest.Module) or request.session
            finish: Callable[[Callable[[], None]], None] = module.addfinalizer
            finish(lambda: self._close(stack))
        return self._target

    def _close(self, stack: ExitStack) -> None:
        self._target = None
        stack.close()


def _judged(subject: Property, target: Target, setting: Setting, seed: int, name: str, count: int) -> tuple[PropertyVerdict, bool]:
    """What is remembered of this item, then the search."""

    def reproduce(subject: Property, case: Case, finding: Finding) -> str:
        return reproducer(target, subject.id, subject.theorem, case, finding)

    # a property alone has what it would have among the others at least
    profile = setting.profile
    seconds = profile.seconds / count + profile.shrink_seconds
    remembered = Remembered(f"{name} {setting.dtype}")
    for saved, data in remembered.all():
        if saved.property_id == subject.id and (saved.case.phase, saved.case.dtype) == (setting.phase, setting.dtype):
            found, interrupted = again(target, subject, saved, seconds)
            if interrupted or found.verdict == "fail":
                return found, interrupted
        remembered.forget(data)
    found, interrupted = run_property(subject, target.call, setting, seed=seed, seconds=seconds, reproduce=reproduce)
    remembered.keep(found)
    return found, interrupted


def _tell(found: PropertyVerdict) -> None:
    """The verdict as the outcome of the item."""
    if found.counterexample is not None:
        shown = found.counterexample
        text = counterexample_text(found.id, found.theorem, found.message, shown.finding, shown.reproducer)
        pytest.fail(text, pytrace=False)
    if found.verdict == "error":
        pytest.fail(f"{found.id}: the check itself failed, not the kernel: {found.message}", pytrace=False)
    if found.verdict != "pass":
        pytest.skip(f"{found.verdict}: {found.message}")
