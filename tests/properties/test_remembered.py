"""What the Hypothesis database keeps between runs of pytest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis.database import InMemoryExampleDatabase

from kernelproof.properties.remembered import Remembered
from kernelproof.properties.verdict import PropertyVerdict

Judge = Callable[..., PropertyVerdict]


@pytest.fixture
def database() -> Iterator[InMemoryExampleDatabase]:
    found, before = InMemoryExampleDatabase(), settings.get_current_profile_name()
    settings.register_profile("kernelproof test", database=found)
    settings.load_profile("kernelproof test")
    yield found
    settings.load_profile(before)


def overwrites(x: Any) -> Any:
    x += 1
    return x


def test_a_counterexample_is_kept_bit_for_bit_replaced_and_forgotten(database: InMemoryExampleDatabase, judge: Judge) -> None:
    first, second = (judge(overwrites, "inputs_unchanged", seed=seed, shrink_seconds=shrink) for seed, shrink in ((0, 0.0), (1, 5.0)))
    remembered = Remembered("one item")
    for found in (first, second):
        assert found.counterexample is not None
        remembered.keep(found)
        ((saved, data),) = list(remembered.all())
        assert saved.property_id == "softmax.inputs_unchanged"
        assert saved.case == found.counterexample.case
        assert list(Remembered("another item").all()) == []
    inputs = second.counterexample.finding.inputs  # type: ignore[union-attr]
    assert inputs is not None
    assert np.array_equal(saved.inputs.tensors["x"], inputs.tensors["x"], equal_nan=True)
    remembered.forget(data)
    assert list(remembered.all()) == []


def test_what_held_is_not_kept_and_what_cannot_be_read_is_dropped(database: InMemoryExampleDatabase, judge: Judge) -> None:
    remembered = Remembered("one item")
    remembered.keep(judge(lambda x: x, "inputs_unchanged", examples=5))
    assert list(remembered.all()) == []
    database.save(remembered._key, b"no counterexample")
    assert list(remembered.all()) == []
    assert list(database.fetch(remembered._key)) == []


def test_without_a_database_nothing_is_kept(judge: Judge) -> None:
    assert settings().database is None, "the profile of these tests has none"
    remembered = Remembered("one item")
    remembered.keep(judge(overwrites, "inputs_unchanged"))
    assert list(remembered.all()) == []
