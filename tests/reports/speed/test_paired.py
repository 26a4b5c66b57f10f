"""Pairs: order, untimed calls, and the arithmetic of ratios, on a clock that only the functions move."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from kernelproof.reports.speed.paired import Effort, Pair, paired, quartiles


class Machine:
    """A clock, a record of calls, and functions that take as long as they are told."""

    def __init__(self) -> None:
        self.now, self.calls = 0.0, ""

    def clock(self) -> float:
        return self.now

    def work(self, name: str, *seconds: float) -> Callable[[], None]:
        """A function that takes these seconds in turn, the last one for ever."""
        waiting = list(seconds)

        def call() -> None:
            self.calls += name
            self.now += waiting.pop(0) if len(waiting) > 1 else waiting[0]

        return call


def test_the_order_alternates_and_every_change_of_side_has_an_untimed_call() -> None:
    machine = Machine()
    pair = paired(machine.work("a", 1.0), machine.work("b", 2.0), Effort(seconds=0, least=4), machine.clock)
    # untimed a, timed a, untimed b, timed b | timed b, untimed a, timed a | timed a, untimed b, timed b | …
    assert machine.calls == "aabb" + "baa" + "abb" + "baa"
    assert pair == Pair((1.0,) * 4, (2.0,) * 4)
    assert pair.ratio == 0.5 and pair.quartiles == (0.5, 0.5)


def test_the_first_call_after_a_change_is_not_in_the_times() -> None:
    """Slow first calls, as with another library's threads still on the cores, change nothing."""
    machine = Machine()
    ours = machine.work("a", 9.0, 1.0, 9.0, 1.0, 1.0)
    theirs = machine.work("b", 7.0, 2.0, 2.0)
    pair = paired(ours, theirs, Effort(seconds=0, least=2), machine.clock)
    assert machine.calls == "aabb" + "baa"
    assert pair == Pair((1.0, 1.0), (2.0, 2.0))


def test_untimed_calls_go_on_while_they_are_short() -> None:
    machine = Machine()
    paired(machine.work("a", 1.0), machine.work("b", 3.0), Effort(seconds=0, least=1, settle=2.5, timing=0), machine.clock)
    assert machine.calls == "aaa" + "a" + "b" + "b"


def test_short_calls_are_repeated_within_one_timing() -> None:
    machine = Machine()
    pair = paired(machine.work("a", 0.25), machine.work("b", 2.0), Effort(seconds=0, least=1, settle=0, timing=1.0), machine.clock)
    assert machine.calls == "a" + "aaaa" + "b" + "b"
    assert pair.ours == (0.25,) and pair.theirs == (2.0,)


@pytest.mark.parametrize(("seconds", "rounds"), [(0.0, 3), (13.0, 4), (1e9, 7)])
def test_rounds_fill_the_time_between_least_and_most(seconds: float, rounds: int) -> None:
    machine = Machine()
    effort = Effort(seconds=seconds, least=3, most=7)
    # rounds end after 4, 7, 10, 13, … seconds
    assert len(paired(machine.work("a", 1.0), machine.work("b", 1.0), effort, machine.clock).ours) == rounds


def test_the_ratio_is_the_median_of_the_ratios_not_the_ratio_of_medians() -> None:
    pair = Pair((1.0, 2.0, 30.0), (2.0, 1.0, 10.0))
    assert pair.ratios == (0.5, 2.0, 3.0)
    assert pair.ratio == 2.0
    assert pair.quartiles == (1.25, 2.5)


def test_quartiles_of_one_value_are_that_value() -> None:
    assert quartiles((3.0,)) == (3.0, 3.0)


def test_a_clock_that_stands_still_repeats_nothing() -> None:
    calls = []
    pair = paired(lambda: calls.append("a"), lambda: calls.append("b"), Effort(seconds=0, least=1, settle=0), lambda: 0.0)
    assert calls == ["a", "a", "b", "b"]
    assert pair.ours == (0.0,)


def test_an_error_of_a_side_reaches_the_caller() -> None:
    def broken() -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        paired(broken, lambda: None, Effort(seconds=0))
    assert math.isfinite(Effort().seconds)
