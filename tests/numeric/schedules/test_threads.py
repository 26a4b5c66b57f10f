"""The text that shares blocks among threads: every block once, the same with any number of threads, failures reach the caller."""

from __future__ import annotations

import multiprocessing
import sys
import threading
from typing import Any

import pytest

from kernelproof.numeric.schedules.threads import CONSTANTS, HELPER, IMPORTS, OPTIONAL_IMPORT


@pytest.fixture(autouse=True)
def threads_of_this_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the files of a test share is theirs alone."""
    monkeypatch.delitem(sys.modules, "_kernelproof_blocks", raising=False)


def space() -> dict[str, Any]:
    """The names that the text defines in a module of its own."""
    found: dict[str, Any] = {"__name__": "threads_in_a_kernel"}
    exec("\n".join((*IMPORTS, "import numpy as np", OPTIONAL_IMPORT, *CONSTANTS, HELPER)), found)
    return found


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 50])
def test_every_block_is_done_once(threads: int, count: int) -> None:
    made = space()
    made["THREADS"] = threads
    done: list[int] = []
    made["_each"](count, done.append)
    assert sorted(done) == list(range(count))


def test_several_threads_take_part_and_all_switch_warnings_off() -> None:
    made = space()
    made["THREADS"] = 2
    both = threading.Barrier(2, timeout=30)  # passed only by two threads at once
    settings: list[dict[str, str]] = []

    def work(_: int) -> None:
        both.wait()
        settings.append(made["np"].geterr())

    made["_each"](2, work)
    assert [setting["over"] for setting in settings] == ["ignore", "ignore"]


def test_blas_has_one_thread_inside_and_its_own_number_after() -> None:
    threadpoolctl = pytest.importorskip("threadpoolctl")
    made = space()
    made["THREADS"] = 2

    def of_blas() -> list[int]:
        return [one["num_threads"] for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"]

    before, inside = of_blas(), []
    made["_each"](2, lambda _: inside.append(of_blas()))
    assert before and inside == [[1] * len(before)] * 2 and of_blas() == before


def test_without_threadpoolctl_there_is_one_thread() -> None:
    made = space()
    made["ThreadpoolController"], made["THREADS"] = None, 4
    seen: set[int] = set()
    made["_each"](20, lambda _: seen.add(threading.get_ident()))
    assert seen == {threading.get_ident()}


@pytest.mark.parametrize("threads", [1, 3])
def test_a_failing_block_reaches_the_caller(threads: int) -> None:
    made = space()
    made["THREADS"] = threads

    def work(number: int) -> None:
        if number == 5:
            raise ValueError("block 5")

    with pytest.raises(ValueError, match="block 5"):
        made["_each"](20, work)
    again: list[int] = []
    made["_each"](4, again.append)
    assert sorted(again) == [0, 1, 2, 3]


def _in_a_child(made: dict[str, Any], answers: Any) -> None:
    done: list[int] = []
    made["_each"](6, done.append)
    answers.put(sorted(done))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_makes_its_own_threads() -> None:
    made = space()
    made["THREADS"] = 2
    made["_each"](4, lambda _: None)
    fork = multiprocessing.get_context("fork")
    answers = fork.SimpleQueue()
    child = fork.Process(target=_in_a_child, args=(made, answers))
    child.start()
    child.join(30)
    assert child.exitcode == 0 and answers.get() == [0, 1, 2, 3, 4, 5]


def test_overlapping_calls_of_two_files_go_one_after_the_other_and_leave_blas_as_it_was() -> None:
    """Each with a limit of its own, the one that ends last would put back the limit of the other."""
    threadpoolctl = pytest.importorskip("threadpoolctl")
    files = [space(), space()]
    for made in files:
        made["THREADS"] = 2

    def of_blas() -> list[int]:
        return [one["num_threads"] for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"]

    before, inside, limits = of_blas(), [0], []
    most = 0

    def work(_: int) -> None:
        limits.append(of_blas())

    def call(made: dict[str, Any]) -> None:
        nonlocal most
        for _ in range(20):
            inside[0] += 1
            most = max(most, inside[0])
            made["_each"](2, work)
            inside[0] -= 1

    callers = [threading.Thread(target=call, args=(files[number % 2],)) for number in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert most > 1 and len(limits) == 160 and all(limit == [1] * len(before) for limit in limits) and of_blas() == before


def test_without_new_threads_the_caller_does_it_all() -> None:
    made = space()
    made["THREADS"] = 3
    done: list[int] = []
    made["_each"](5, done.append)
    for _, _, pools in made["_shared"].values():
        pools.setdefault(3, None).shutdown()
    made["_each"](5, done.append)
    assert sorted(done) == sorted([*range(5), *range(5)])


def test_one_thread_has_one_blas_thread_too_so_that_bits_agree() -> None:
    threadpoolctl = pytest.importorskip("threadpoolctl")
    made = space()
    made["THREADS"] = 1
    inside: list[int] = []
    made["_each"](2, lambda _: inside.extend(one["num_threads"] for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"))
    assert inside and set(inside) == {1}
