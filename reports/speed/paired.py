"""Two functions timed in one run, in turn: the ratio of their times, with its spread.

What it does: a round times both sides once, the order alternates, the ratio of a round is ours / theirs, and the result is the median of
the ratios with its quartiles. After every change of side the first calls are not timed: threads of the other side's library spin on for
some milliseconds after a call and would steal a core. Guarantees: both sides see the same drift of the machine; a short call is repeated
so that one timing is long against the clock. Cannot see: what both sides suffer alike, such as another program on the same cores.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

Call = Callable[[], object]
Clock = Callable[[], float]


@dataclass(frozen=True)
class Effort:
    """How long a pair is measured: ``seconds`` in all, but at least ``least`` and at most ``most`` rounds.

    ``settle`` are the seconds of untimed calls after a change of side (at least one call), ``timing`` the least seconds of one timing.
    """

    seconds: float = 2.0
    least: int = 5
    most: int = 31
    settle: float = 0.01
    timing: float = 0.005


@dataclass(frozen=True)
class Pair:
    """Times of both sides, round by round, in seconds for one call."""

    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def ratios(self) -> tuple[float, ...]:
        """ours / theirs of each round."""
        return tuple(mine / other for mine, other in zip(self.ours, self.theirs, strict=True))

    @property
    def ratio(self) -> float:
        """The median of the ratios."""
        return statistics.median(self.ratios)

    @property
    def quartiles(self) -> tuple[float, float]:
        """The first and third quartile of the ratios."""
        return quartiles(self.ratios)

    def scaled(self, scale: float) -> Pair:
        """The same with the other side's times so many times as long."""
        return self if scale == 1 else Pair(self.ours, tuple(scale * seconds for seconds in self.theirs))


def quartiles(values: tuple[float, ...]) -> tuple[float, float]:
    """First and third quartile, ends included; of one value, that value twice."""
    if len(values) == 1:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def paired(ours: Call, theirs: Call, effort: Effort | None = None, clock: Clock = time.perf_counter) -> Pair:
    """Time ``ours`` against ``theirs``."""
    effort = effort or Effort()
    begun = clock()
    sides = (_Side(ours, effort, clock), _Side(theirs, effort, clock))
    times: tuple[list[float], list[float]] = ([], [])
    on_the_core: int | None = None
    rounds = 0
    while rounds < effort.least or (rounds < effort.most and clock() - begun < effort.seconds):
        for number in (0, 1) if rounds % 2 == 0 else (1, 0):
            if number != on_the_core:
                sides[number].settle()
                on_the_core = number
            times[number].append(sides[number].timed())
        rounds += 1
    return Pair(tuple(times[0]), tuple(times[1]))


class _Side:
    """One function; how often it is called in one timing is read off its first untimed calls."""

    def __init__(self, call: Call, effort: Effort, clock: Clock) -> None:
        self._call, self._effort, self._clock = call, effort, clock
        self._repeats = 0

    def settle(self) -> None:
        """Untimed calls: one, and more while they are short."""
        begun = self._clock()
        calls = 0
        while calls < 1 or self._clock() - begun < self._effort.settle:
            started = self._clock()
            self._call()
            calls += 1
            took = self._clock() - started
        if not self._repeats:
            # the last of the calls is a warm one
            self._repeats = max(1, round(self._effort.timing / took)) if took > 0 else 1

    def timed(self) -> float:
        """Seconds of one call."""
        started = self._clock()
        for _ in range(self._repeats):
            self._call()
        return (self._clock() - started) / self._repeats
