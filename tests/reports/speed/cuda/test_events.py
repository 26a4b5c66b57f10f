"""Pairs timed by a device: order, rounds, and writes before a call. No clock of this machine is looked at."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from cuda_cases import OnCpu

from kernelproof.reports.speed.cuda.device import MOST_WRITES, writes_ahead
from kernelproof.reports.speed.cuda.events import WARM, Events
from kernelproof.reports.speed.paired import Effort


def sides() -> tuple[list[str], Callable[[], object], Callable[[], object]]:
    called: list[str] = []
    return called, lambda: called.append("ours"), lambda: called.append("theirs")


def test_both_are_warm_and_take_turns_in_alternating_order() -> None:
    called, ours, theirs = sides()
    device = OnCpu(times=[1.0, 2.0, 4.0, 3.0, 5.0, 5.0])
    pair = Events(device, clock=itertools.count().__next__)(ours, theirs, Effort(seconds=0, least=3, most=9))
    assert called == ["ours"] * WARM + ["theirs"] * WARM + ["ours", "theirs", "theirs", "ours", "ours", "theirs"]
    assert (pair.ours, pair.theirs) == ((1.0, 3.0, 5.0), (2.0, 4.0, 5.0))
    assert device.hosts == [0.001] * 6, "the writes before a call are as long as its host code asks"


@pytest.mark.parametrize(("seconds", "rounds"), [(0.0, 3), (2.5, 5), (100.0, 9)])
def test_rounds_go_on_for_the_seconds_but_not_below_the_least_or_beyond_the_most(seconds: float, rounds: int) -> None:
    _, ours, theirs = sides()
    clock = itertools.count()
    pair = Events(OnCpu(), clock=lambda: float(next(clock)))(ours, theirs, Effort(seconds=seconds, least=3, most=9))
    # the clock says 0 at the start, and one second more before each round beyond the least
    assert len(pair.ours) == rounds


def test_the_first_warm_call_says_nothing_of_the_host() -> None:
    """It may compile."""
    hosts = iter([9.0, 0.5, 0.25, 9.0, 0.125, 0.75])

    class Compiling(OnCpu):
        def host_seconds(self, call: Callable[[], object]) -> float:
            return next(hosts)

    device = Compiling()
    _, ours, theirs = sides()
    Events(device)(ours, theirs, Effort(seconds=0, least=1, most=1))
    assert device.hosts == [0.25, 0.125]


@pytest.mark.parametrize(
    ("host", "write", "times"),
    [(0.0, 1e-4, 1), (4e-5, 1e-4, 1), (1e-4, 1e-4, 2), (3.2e-4, 1e-4, 7), (9.0, 1e-4, MOST_WRITES), (1.0, 0.0, 1)],
)
def test_the_cache_is_written_over_until_the_host_is_ahead(host: float, write: float, times: int) -> None:
    assert writes_ahead(host, write) == times
