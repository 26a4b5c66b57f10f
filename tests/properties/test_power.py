"""Every wrong kernel is convicted, every right one acquitted: what the properties are worth.

The examples are those of the profile ``quick``, or of the one that a row names, under a fixed seed and with time enough, so that a busy
machine changes nothing. They are drawn once for all kernels of a phase and variant, and so are their references.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parent))

import unseen_registry
from right_kernels import RIGHT

from kernelproof.properties.campaign import Examples, Outcome, outcome
from kernelproof.properties.campaign_trials import Trial, numpy_target, right_trials, wrong_trials
from kernelproof.properties.kept_references import keeping_references
from kernelproof.properties.mutants import unseen
from kernelproof.properties.mutants.parts import Right, Wrong
from kernelproof.properties.mutants.registry import NOT_COVERED, SHOWN, WRONG
from kernelproof.properties.registry import properties_of
from kernelproof.properties.shapes import forward_of
from kernelproof.symbolic.errors import InputError
from kernelproof.symbolic.registry import check_variant

SEED = 0
#: the properties in which the style of a kernel shows
OF_STYLE = ("matches_definition", "mask_forms_agree", "finite", "views_equal_copies", "batch_independent")
SHARED = Examples(most=1000)


@pytest.fixture(autouse=True)
def toy_tolerance() -> Iterator[None]:
    """The derived bounds instead of the toy ones of this folder; one thread, as the products are tiny."""
    with threadpool_limits(1):
        yield


@pytest.fixture(autouse=True, scope="module")
def kept() -> Iterator[None]:
    """The references of one kernel serve the next."""
    with keeping_references():
        yield


def tried(trial: Trial) -> Outcome:
    found = outcome(trial, SEED, SHARED)
    assert not found.unusable, found.unusable
    return found


def right(kernel: Right, **changes: Any) -> Trial:
    (trial,) = right_trials([kernel], ("float32",))
    return replace(trial, **changes)


def _id(trial: Trial) -> str:
    return "-".join([trial.phase, *map(str, trial.variant.values()), trial.title])


@pytest.mark.parametrize("trial", sorted(wrong_trials(WRONG), key=lambda trial: (trial.phase, str(trial.variant))), ids=_id)
def test_a_wrong_kernel_is_convicted_by_a_property_that_names_its_fault(trial: Trial) -> None:
    """One of those that its row names; of an unseen one, which names none, by any."""
    found = tried(trial)
    assert found.convicted_by is not None, f"{trial.title}: none of {', '.join(trial.only) or 'all properties'} sees it"
    assert found.message and found.profile == trial.profile


@pytest.mark.parametrize(("phase", "name"), SHOWN)
def test_the_five_of_the_issue(phase: str, name: str) -> None:
    (kernel,) = [kernel for kernel in WRONG if (kernel.phase, kernel.id) == (phase, name)]
    (trial,) = wrong_trials([kernel])
    # as a right kernel is tried: on all properties, to the end
    failed = {found.removeprefix(f"{phase}.") for found, _ in tried(replace(trial, kind="right", only=())).alarms}
    assert "matches_definition" in failed
    assert failed & set(kernel.names)


@pytest.mark.parametrize("trial", [right(one, only=() if one.wholly else OF_STYLE) for one in RIGHT], ids=_id)
def test_a_right_kernel_is_acquitted(trial: Trial) -> None:
    found = tried(trial)
    assert (found.alarms, found.errors, found.inconclusive) == ((), (), ())
    assert found.tried and found.examples


@pytest.mark.parametrize("trial", [right(one, only=OF_STYLE) for one in unseen_registry.RIGHT], ids=_id)
def test_a_right_kernel_of_someone_who_has_not_seen_the_suite_is_acquitted(trial: Trial) -> None:
    found = tried(trial)
    strict = unseen_registry.STRICT.get((trial.phase, trial.title))
    assert (found.alarms != ()) == (strict is not None), strict
    assert found.errors == () and found.tried and found.examples


@pytest.mark.nightly
@pytest.mark.parametrize("trial", [right(one, profile="standard") for one in RIGHT if one.standard], ids=_id)
def test_a_right_kernel_is_acquitted_by_the_longer_search(trial: Trial) -> None:
    found = tried(trial)
    assert (found.alarms, found.errors, found.inconclusive) == ((), (), ())


def test_the_catalogue_is_accounted_for() -> None:
    """Every row has a kernel or a reason, none both."""
    covered = {kernel.reference for kernel in WRONG if re.fullmatch(r"B\d\d", kernel.reference)}
    rows = {f"B{number:02}" for number in range(1, 70)}
    assert covered | set(NOT_COVERED) == rows
    assert not covered & set(NOT_COVERED)


def test_wrong_kernels_are_told_apart() -> None:
    assert len({(kernel.phase, kernel.id, str(kernel.variant)) for kernel in WRONG}) == len(WRONG)
    for kernel in WRONG:
        subjects = properties_of(kernel.phase, check_variant(forward_of(kernel.phase), kernel.variant))
        known = {found.id.removeprefix(f"{kernel.phase}.") for found in subjects}
        assert {*kernel.names, *([kernel.seen_by] if kernel.seen_by else [])} <= known, kernel.id


def test_the_unseen_kernels_are_all_there() -> None:
    """145 wrong ones and 66 right ones were written; those that wait cannot be run yet."""
    assert len(unseen.ALL) == 145
    assert len(unseen_registry.STYLES) == 66
    names = {kernel.function.__name__ for kernel in unseen.ALL}
    assert {*unseen.WAITING, *unseen.SEEN_BY, *unseen.LONGER} <= names
    assert set(unseen_registry.WAITING) <= {name for name, _ in unseen_registry.STYLES}


@pytest.mark.parametrize("kernel", [one for one in unseen.ALL if one.function.__name__ in unseen.WAITING], ids=lambda one: one.id)
def test_a_waiting_kernel_cannot_be_run(kernel: Wrong) -> None:
    """So that none waits longer than it must."""
    with pytest.raises(InputError):
        numpy_target(kernel.function, kernel.phase, kernel.variant)
        properties_of(kernel.phase, check_variant(forward_of(kernel.phase), kernel.variant))
