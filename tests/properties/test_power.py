"""Every wrong kernel is convicted, every right one acquitted: what the properties are worth.

The search is that of the profile ``quick`` with its examples, a fixed seed and time enough, so that a busy machine changes nothing.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parent))

from right_kernels import RIGHT

from kernelproof.properties.capabilities import everything
from kernelproof.properties.model import Setting
from kernelproof.properties.mutants.parts import Kernel, Right, Wrong
from kernelproof.properties.mutants.registry import NOT_COVERED, SHOWN, WRONG
from kernelproof.properties.profiles import PROFILES
from kernelproof.properties.registry import properties_of
from kernelproof.properties.runner import run_property
from kernelproof.properties.shapes import phase_shape
from kernelproof.properties.targets import memory_target
from kernelproof.properties.verdict import PropertyVerdict
from kernelproof.symbolic.registry import check_variant

SEED = 0
#: the properties in which the style of a kernel shows
OF_STYLE = ("matches_definition", "mask_forms_agree", "finite", "views_equal_copies", "batch_independent")


@pytest.fixture(autouse=True)
def toy_tolerance() -> Iterator[None]:
    """The derived bounds instead of the toy ones of this folder; one thread, as the products are tiny."""
    with threadpool_limits(1):
        yield


def verdicts(
    function: Kernel, phase: str, variant: dict[str, object], profile: str, names: Sequence[str] = ()
) -> Iterator[PropertyVerdict]:
    """The verdicts in the order of the properties, all or those named."""
    chosen = check_variant(phase, variant)
    target = memory_target(function, phase=phase, variant=chosen, supports=sorted(everything(phase_shape(phase, chosen))))
    setting = Setting(phase, chosen, "float32", target.capabilities, replace(PROFILES[profile], shrink_seconds=0.0))
    for subject in properties_of(phase, chosen):
        if not names or subject.id.partition(".")[2] in names:
            yield run_property(subject, target.call, setting, seed=SEED, seconds=60.0, reproduce=lambda *_: "")[0]


def failed(found: Sequence[PropertyVerdict]) -> set[str]:
    return {verdict.id.partition(".")[2] for verdict in found if verdict.verdict == "fail"}


def _id(kernel: Wrong | Right) -> str:
    name = kernel.id if isinstance(kernel, Wrong) else kernel.style
    return "-".join([kernel.phase, *map(str, kernel.variant.values()), name])


@pytest.mark.parametrize("kernel", WRONG, ids=_id)
def test_a_wrong_kernel_is_convicted_by_a_property_that_names_its_fault(kernel: Wrong) -> None:
    for verdict in verdicts(kernel.function, kernel.phase, kernel.variant, kernel.profile, kernel.names):
        if verdict.verdict == "fail":
            assert verdict.counterexample is not None and verdict.message
            return
    pytest.fail(f"{kernel.id}: none of {', '.join(kernel.names)} sees it")


@pytest.mark.parametrize(("phase", "name"), SHOWN)
def test_the_five_of_the_issue(phase: str, name: str) -> None:
    (kernel,) = [kernel for kernel in WRONG if (kernel.phase, kernel.id) == (phase, name)]
    found = failed(list(verdicts(kernel.function, phase, kernel.variant, "quick")))
    assert "matches_definition" in found
    assert found & set(kernel.names)


@pytest.mark.parametrize("kernel", RIGHT, ids=_id)
def test_a_right_kernel_is_acquitted(kernel: Right) -> None:
    found = list(verdicts(kernel.function, kernel.phase, kernel.variant, "quick", () if kernel.wholly else OF_STYLE))
    assert [(verdict.id, verdict.verdict, verdict.message) for verdict in found if verdict.verdict != "pass"] == []


@pytest.mark.slow
@pytest.mark.parametrize("kernel", [kernel for kernel in RIGHT if kernel.standard], ids=_id)
def test_a_right_kernel_is_acquitted_by_the_longer_search(kernel: Right) -> None:
    found = list(verdicts(kernel.function, kernel.phase, kernel.variant, "standard"))
    assert [(verdict.id, verdict.verdict, verdict.message) for verdict in found if verdict.verdict != "pass"] == []


def test_the_catalogue_is_accounted_for() -> None:
    """Every row has a kernel or a reason, none both."""
    covered = {kernel.reference for kernel in WRONG if re.fullmatch(r"B\d\d", kernel.reference)}
    rows = {f"B{number:02}" for number in range(1, 70)}
    assert covered | set(NOT_COVERED) == rows
    assert not covered & set(NOT_COVERED)


def test_wrong_kernels_are_told_apart() -> None:
    assert len({(kernel.phase, kernel.id, str(kernel.variant)) for kernel in WRONG}) == len(WRONG)
    for kernel in WRONG:
        known = {found.id.partition(".")[2] for found in properties_of(kernel.phase, check_variant(kernel.phase, kernel.variant))}
        assert set(kernel.names) <= known, kernel.id
