"""What a row says in every case, with kernels, rivals and pairs made up for it: nothing here is timed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from speed_cases import small

from kernelproof.reports.speed import memory
from kernelproof.reports.speed.checking import BEYOND, WITHIN, Check
from kernelproof.reports.speed.measuring import Bench
from kernelproof.reports.speed.model import DIFFERS, FAILED, MEASURED, MET, MISSED, NOT_BUILT, NOT_THERE, WRONG, Row
from kernelproof.reports.speed.paired import Effort, Pair
from kernelproof.reports.speed.rivals import NotThere, Rival
from kernelproof.reports.speed.workloads import Inputs, Workload
from kernelproof.symbolic.errors import InputError

TARGETS = {"numpy": 0.5, "torch": 1.0, "products": 1.2}
WORK = Workload("attention", small("attention").sizes, targets=TARGETS)
RATIOS = {"numpy": 0.25, "torch": 1.5, "onnxruntime": 0.75, "products": 1.25}


@dataclass(frozen=True)
class Toy:
    """Instead of a generated kernel."""

    source: str = "the source"
    value: float = 1.0

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return np.full(3, self.value, np.float32)


def bench(**changes: Any) -> tuple[Bench, list[str]]:
    """A bench in which every rival gives what the kernel gives and has the ratio of RATIOS; and the pairs that were timed."""
    timed: list[str] = []

    def pairing(ours: Callable[[], Any], theirs: Callable[[], Any], effort: Effort) -> Pair:
        name = str(theirs())
        timed.append(name)
        return Pair((3.0 * RATIOS[name],) * 3, (3.0,) * 3)

    def build(name: str, workload: Workload, inputs: Inputs) -> Rival:
        return Rival(f"what {name} does", lambda: name, lambda _: np.ones(3))

    made: dict[str, Any] = {
        "rivals": list(RATIOS), "generate": lambda *_, **__: Toy(), "pairing": pairing, "build": build,
        "check": lambda *_: Check(WITHIN, 0.5, "how"), **changes,
    }
    return Bench(**made), timed


def test_a_row_has_the_kernel_its_check_and_the_verdicts() -> None:
    made, timed = bench()
    row = made.row(WORK)
    assert timed == list(RATIOS)
    assert (row.status, row.kernel) == (MEASURED, hashlib.sha256(b"the source").hexdigest()[:12])
    assert (row.check, row.checked, row.worst_error_over_bound) == (WITHIN, "how", 0.5)
    assert {one.rival: (one.ratio, one.verdict) for one in row.comparisons} == {
        "numpy": (0.25, MET), "torch": (1.5, MISSED), "onnxruntime": (0.75, ""), "products": (1.25, MISSED),
    }
    assert row.seconds == np.median([3 * ratio for ratio in RATIOS.values()])
    assert all((one.rounds, one.low, one.high) == (3, one.ratio, one.ratio) for one in row.comparisons)


def test_a_missed_target_has_its_floor_and_a_cause_from_what_was_measured() -> None:
    row = bench()[0].row(WORK)
    torch, products, numpy = (row.comparison(name) for name in ("torch", "products", "numpy"))
    assert torch is not None and products is not None and numpy is not None
    # the products take 1.5 / 1.25 of torch's time: more than the target allows
    assert torch.floor == 1.2
    assert torch.cause == (
        "the bare products alone take 1.20 of PyTorch's time, more than the target: out of reach for this BLAS in such tiles"
    )
    assert products.floor is None and products.cause.startswith("20% of the kernel's time is outside the products")
    assert numpy.floor == 0.2 and numpy.cause == ""


def test_a_floor_below_the_target_says_what_is_left() -> None:
    row = bench(rivals=["torch", "products"])[0].row(Workload("attention", WORK.sizes, targets={"torch": 1.4}))
    found = row.comparison("torch")
    assert found is not None and found.cause == (
        "the bare products alone take 1.20 of PyTorch's time, the rest of the kernel 0.30, and the target leaves 0.20 for it"
    )


def test_work_without_products_is_counted_in_passes() -> None:
    row = bench()[0].row(Workload("layer_norm", small("layer_norm").sizes, targets={"torch": 1.0}))
    found = row.comparison("torch")
    assert found is not None and found.cause == (
        "one pass over the arrays alone takes 1.20 of PyTorch's time, and the kernel takes the time of 1.2 passes; "
        "the target leaves room for 0.8"
    )


def test_without_the_floor_the_cause_says_so() -> None:
    row = bench(rivals=["torch"])[0].row(WORK)
    assert [(one.floor, one.cause) for one in row.comparisons] == [(None, "the floor was not measured in this run")]


def test_a_kernel_beyond_its_bound_is_not_timed() -> None:
    made, timed = bench(check=lambda *_: Check(BEYOND, 7.0, "rows 0, 1"))
    row = made.row(WORK)
    assert (row.status, row.comparisons, timed) == (WRONG, (), [])
    assert row.error == "7 times its bound: rows 0, 1; not timed"


def test_a_kernel_that_fails_is_wrong() -> None:
    def broken(*_: Any) -> Any:
        raise IndexError("no such tile")

    row = bench(check=broken)[0].row(WORK)
    assert (row.status, row.error) == (WRONG, "IndexError: no such tile")


def test_a_kernel_that_is_not_built_is_listed_with_the_reason() -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise InputError("generating attention with vjp: not built yet")

    row = bench(generate=refused)[0].row(WORK)
    assert (row.status, row.error, row.kernel) == (NOT_BUILT, "generating attention with vjp: not built yet", "")


def test_a_rival_that_is_not_there_is_named() -> None:
    def build(name: str, workload: Workload, inputs: Inputs) -> Rival:
        raise NotThere("not installed: torch")

    row = bench(build=build, rivals=["torch"])[0].row(WORK)
    (found,) = row.comparisons
    assert (found.status, found.what, found.ratio, found.verdict, found.target) == (NOT_THERE, "not installed: torch", None, "", 1.0)


@pytest.mark.parametrize(("other", "status"), [(1.1, DIFFERS), (np.ones((2, 3)), DIFFERS), (np.nan, DIFFERS), (1.001, MEASURED)])
def test_a_rival_that_computes_something_else_is_not_compared(other: Any, status: str) -> None:
    def build(name: str, workload: Workload, inputs: Inputs) -> Rival:
        return Rival("what", lambda: name, lambda _: np.ones(3) * other if np.ndim(other) == 0 else other)

    made, timed = bench(build=build, rivals=["torch"])
    (found,) = made.row(WORK).comparisons
    assert found.status == status and bool(timed) == (status == MEASURED)


class CompileException(Exception):
    """As libraries have their own."""


@pytest.mark.parametrize("kind", [MemoryError, ImportError, OSError, AssertionError, AttributeError, CompileException])
def test_whatever_a_rival_raises_is_its_own_failure(kind: type[Exception]) -> None:
    def build(name: str, workload: Workload, inputs: Inputs) -> Rival:
        def call() -> Any:
            raise kind("17 GB")

        return Rival("whole arrays", call, lambda found: found)

    row = bench(build=build, rivals=["numpy"])[0].row(WORK)
    (found,) = row.comparisons
    assert (row.status, row.error) == (MEASURED, "")
    assert (found.status, found.what, found.ratio) == (FAILED, f"whole arrays: {kind.__name__}: 17 GB", None)


MEMORY = Workload("attention", WORK.sizes, megabytes=300, without={"numpy": "17 GB"})


def measured(monkeypatch: pytest.MonkeyPatch, found: dict[str, Any] | None) -> Row:
    monkeypatch.setattr(memory, "measured_apart", lambda workload: found)
    return bench()[0].row(MEMORY)


def test_memory_is_held_against_its_aim(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"seconds": 2.0, "traced": 299e6, "resident": 301e6, "check": WITHIN, "how": "rows", "worst": 0.1}
    row = measured(monkeypatch, found)
    assert (row.status, row.seconds, row.check) == (MEASURED, 2.0, WITHIN)
    assert [(aim.value, aim.target, aim.verdict) for aim in row.aims] == [(299.0, 300, MET), (301.0, 300, MISSED)]
    assert [(one.rival, one.status, one.what) for one in row.comparisons] == [("numpy", NOT_THERE, "left out: 17 GB")]
    assert measured(monkeypatch, {**found, "resident": None}).aims == row.aims[:1]
    assert measured(monkeypatch, {**found, "check": BEYOND}).status == WRONG


def test_a_process_that_died_leaves_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    row = measured(monkeypatch, None)
    assert row.status == NOT_BUILT and "ended without a result" in row.error


def test_rows_come_one_by_one() -> None:
    rows = bench()[0].rows([WORK, WORK])
    assert next(rows).status == MEASURED
    assert next(rows).status == MEASURED
    assert next(rows, None) is None
