"""The text that shares blocks among threads: every block once, the same with any number of threads, failures reach the caller."""

from __future__ import annotations

import multiprocessing
import threading
from typing import Any

import pytest

from kernelproof.numeric.schedules.threads import CONSTANTS, HELPER, IMPORTS, OPTIONAL_IMPORT


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
