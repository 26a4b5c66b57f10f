"""Properties as pytest items: ``test_mine = kernelproof.properties.suite("attention", my_attention)``.

Guarantees: one item a property, named by its id; neither inconclusive nor not-applicable properties count as passed:
they skip with their reason. The option ``--kernelproof-profile`` of the pytest plugin overrides the profile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from kernelproof.properties.model import Case, Finding, Property, Setting, dtype_named
from kernelproof.properties.profiles import profile_named
from kernelproof.properties.registry import properties_of
from kernelproof.properties.render import counterexample_text
from kernelproof.properties.reproducer import reproducer
from kernelproof.properties.runner import run_property
from kernelproof.properties.targets import memory_target
from kernelproof.properties.verify import DEFAULT_SEED, checked_variant


def suite(
    phase: str,
    function: Callable[..., Any],
    profile: str = "quick",
    *,
    seed: int = DEFAULT_SEED,
    dtype: str = "float32",
    supports: Sequence[str] | None = None,
    **variant: object,
) -> Callable[..., None]:
    """A parametrised test function. Bind it to a name that pytest collects."""
    target = memory_target(function, phase=phase, variant=checked_variant(phase, variant), supports=supports)
    dtype_named(dtype)
    profile_named(profile)
    properties = properties_of(phase, target.variant)

    def reproduce(subject: Property, case: Case, finding: Finding) -> str:
        return reproducer(target, subject.id, subject.theorem, case, finding)

    @pytest.mark.parametrize("kernel_property", properties, ids=[found.id for found in properties])
    def test_property(kernel_property: Property, request: pytest.FixtureRequest) -> None:
        chosen = profile_named(request.config.getoption("kernelproof_profile", None) or profile)
        setting = Setting(phase, target.variant, dtype, target.capabilities, chosen)
        # a property alone has what it would have among the others at least
        seconds = chosen.seconds / max(1, len(properties)) + chosen.shrink_seconds
        found, interrupted = run_property(
            kernel_property, target.call, setting, seed=seed, seconds=seconds, reproduce=reproduce
        )
        if interrupted:
            raise KeyboardInterrupt
        if found.counterexample is not None:
            shown = found.counterexample
            text = counterexample_text(found.id, found.theorem, found.message, shown.finding, shown.reproducer)
            pytest.fail(text, pytrace=False)
        if found.verdict == "error":
            pytest.fail(f"{found.id}: the check itself failed, not the kernel: {found.message}", pytrace=False)
        if found.verdict != "pass":
            pytest.skip(f"{found.verdict}: {found.message}")

    return test_property
