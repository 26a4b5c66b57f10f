"""Ids out of range: conventions are no verdict; what does not repeat itself, changes the ids or loses other rows is one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kernelproof
from kernelproof.properties.call import Call, TargetDied, TargetRaised
from kernelproof.properties.model import Case, Inputs, Recipe
from kernelproof.properties.out_of_range import BEYOND, range_properties

sys.path.insert(0, str(Path(__file__).parent))

from compared import judge, of, reproduces, setting_of, wrong

NAME = "ids_out_of_range"


@pytest.fixture(autouse=True)
def toy_tolerance() -> None:
    """The derived bounds instead of the toy ones of this folder."""


def zeros(ids: Any, table: Any) -> Any:
    inside = (ids >= 0) & (ids < len(table))
    return np.where(inside[..., None], table[np.where(inside, ids, 0)], 0).astype(table.dtype)


CONVENTIONS: dict[str, Callable[..., Any]] = {
    "generated, raises": kernelproof.generate("embedding"),
    "negative ids count from the end, others raise": lambda ids, table: table[ids],
    "clamped": lambda ids, table: table[np.clip(ids, 0, len(table) - 1)],
    "wrapped": lambda ids, table: np.take(table, ids, axis=0, mode="wrap"),
    "zeros": zeros,
    "NaN": lambda ids, table: np.where(((ids >= 0) & (ids < len(table)))[..., None], zeros(ids, table), np.float32(np.nan)),
}


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_conventions_are_no_verdict(convention: str) -> None:
    found = judge(CONVENTIONS[convention], "embedding", NAME)
    assert found.verdict == "pass" and found.examples > 5


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("out of range is what was there", "another result on the same inputs the second time"),
        ("one bad id loses all rows", "rows of ids in range are not the table's"),
        ("ids clamped in place", "the input 'ids' was changed by the call"),
    ],
)
def test_faults_are_named_and_reproduced(name: str, told: str) -> None:
    function = wrong("embedding", name)
    found = judge(function, "embedding", NAME)
    assert found.verdict == "fail" and told in found.message
    assert reproduces(found, function)
    assert not reproduces(found, zeros)


CASE = Case(
    "embedding", (("n", 4), ("vocab", 3), ("d", 2)), lead=("n",), recipes=(("ids", Recipe("ids")), ("table", Recipe("normal"))),
    picks=(("beyond", "rows"), ("every", 2)),
)


def test_another_shape_and_no_array_are_verdicts() -> None:
    subject, setting = of("embedding", NAME), setting_of("embedding")
    finding = subject.check(Call(lambda ids, table: zeros(ids, table)[:-1], CASE.shape), CASE, setting)
    assert not finding.ok and "shape [3, 2], expected [4, 2]" in finding.message
    with pytest.raises(TargetRaised, match="returned"):
        subject.check(Call(lambda ids, table: None, CASE.shape), CASE, setting)


def test_a_death_is_not_an_exception() -> None:
    class Dead(Call):
        def raw(self, handed: Inputs, shown: Inputs | None = None) -> Any:
            raise TargetDied("ended its process", handed, "end")

    with pytest.raises(TargetDied):
        of("embedding", NAME).check(Dead(zeros, CASE.shape), CASE, setting_of("embedding"))


@pytest.mark.parametrize("beyond", BEYOND)
@pytest.mark.parametrize("every", [1, 2, 3])
def test_every_choice_is_out_of_range_and_only_there(beyond: str, every: int) -> None:
    seen: list[Any] = []

    def kernel(ids: Any, table: Any) -> Any:
        seen.append((ids.copy(), len(table)))
        return zeros(ids, table)

    case = Case(CASE.phase, CASE.sizes, (), CASE.lead, CASE.recipes, picks=(("beyond", beyond), ("every", every)))
    assert of("embedding", NAME).check(Call(kernel, case.shape), case, setting_of("embedding")).ok
    ids, rows = seen[0]
    # a negative id counts as out of range here, whatever Python makes of it
    assert (((ids < 0) | (ids >= rows)) == (np.arange(4) % every == 0)).all()


def test_only_the_embedding_has_it() -> None:
    assert not range_properties("softmax", {})
