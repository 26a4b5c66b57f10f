"""Two calls timed in one run by a device's own clock, in turn: what ``paired`` is on a CPU.

What it does: both sides are called some times untimed, then rounds time each once, in alternating order, with nothing of their data in the
cache; the ratio of a round is ours / theirs. Guarantees: both sides see the same drift of clocks and heat. Cannot see: what a call costs
that follows another at once and finds its data in the cache, or whose host code nothing hides; the host's seconds stand beside in a table.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from kernelproof.reports.speed.paired import Call, Clock, Effort, Pair

#: untimed calls of a side; the first may compile, and allocates
WARM = 3
EFFORT = Effort(seconds=0.5, least=7, most=51)


class Timer(Protocol):
    """What of a device the timing needs."""

    def host_seconds(self, call: Callable[[], object]) -> float:
        """Seconds until a call has handed over its work."""

    def seconds(self, call: Callable[[], object], host_seconds: float) -> float:
        """Seconds that the device works for a call whose host code takes so long."""


@dataclass(frozen=True)
class Events:
    """Times pairs on a device; called as ``paired`` is."""

    timer: Timer
    clock: Clock = time.perf_counter

    def __call__(self, ours: Call, theirs: Call, effort: Effort) -> Pair:
        sides = (ours, theirs)
        hosts = [min([self.timer.host_seconds(side) for _ in range(WARM)][1:]) for side in sides]
        begun = self.clock()
        times: tuple[list[float], list[float]] = ([], [])
        rounds = 0
        while rounds < effort.least or (rounds < effort.most and self.clock() - begun < effort.seconds):
            for number in (0, 1) if rounds % 2 == 0 else (1, 0):
                times[number].append(self.timer.seconds(sides[number], hosts[number]))
            rounds += 1
        return Pair(tuple(times[0]), tuple(times[1]))
