"""A target's worker as a call: calls go out, results and changed inputs come back, a worker that died is replaced.

Guarantees: what a call does to its inputs, and to results of earlier calls that are still held, shows as it does in one process; after a
death the next call has a new worker; after one call that did not come back, the following are given less time, and less memory after
one that took too much. Cannot see: what the target does to an input after its call.

A round trip costs about a tenth of a millisecond, an example some: they go one by one.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from kernelproof.properties.call import Call, TargetDied, TargetRaised, TimeIsUp, arrays_of
from kernelproof.properties.exchange import Packed, pack, unpack
from kernelproof.properties.model import Inputs
from kernelproof.properties.values import Array
from kernelproof.properties.watched import Died, Limits, WatchedProcess

#: what a target that compiles at its first calls gets for one
PATIENT_SECONDS = 90.0
#: of the least time that a call gets: one that the end of the run cuts off sooner is not blamed
BLAMED_FROM = 0.8
#: how much slower and larger than any so far a call may be, once one has not come back or has taken too much
_SLOWER, _LARGER = 10, 2


class Remote:
    """The target in its worker, which is replaced when it dies."""

    def __init__(self, load: tuple[Any, ...], limits: Limits) -> None:
        self._load = load
        self._limits = limits
        self._process: WatchedProcess | None = None
        self._numbers = itertools.count()
        self._held: WeakValueDictionary[tuple[int, int], Array] = WeakValueDictionary()
        self._patience = limits.seconds
        self._memory = limits.memory
        self._slowest, self._largest = 0.0, 0
        self._ends, self._most = math.inf, limits.seconds
        #: seconds spent on calls that died, and on new workers
        self.lost = 0.0

    @property
    def pid(self) -> int | None:
        """The worker's number, where there is one."""
        return self._process.pid if self._process is not None and self._process.alive else None

    def start(self) -> tuple[Any, ...]:
        """A new worker that has loaded the target; its answer."""
        self.close()
        self._held = WeakValueDictionary()
        self._process = WatchedProcess()
        answer = self._process.ask(self._load, self._limits.load_seconds, self._limits.memory)
        self._process.settled()
        return answer

    def close(self) -> None:
        """End the worker."""
        if self._process is not None:
            self._process.kill()
        self._process = None

    def wait_long(self) -> None:
        """Give calls the time that compiling takes."""
        self._limits = replace(self._limits, seconds=PATIENT_SECONDS, least=PATIENT_SECONDS)
        self._patience = self._most = PATIENT_SECONDS

    def limit(self, ends: float, seconds: float) -> None:
        """As :meth:`Call.limit`."""
        self._ends, self._most = ends, min(self._limits.seconds, max(seconds, self._limits.least))
        self._patience = min(self._patience, self._most)

    def parts(self, handed: Inputs, shown: Inputs) -> tuple[Array, ...]:
        """As :meth:`Call.parts`."""
        started = time.perf_counter()
        patience = self._patience
        try:
            process = self._ready()
            began = time.perf_counter()
            number = next(self._numbers)
            patience = min(self._patience, self._ends - began)
            answer = process.ask(self._message(process, handed, number), patience, self._memory)
        except Died as death:
            limits = self._limits
            if death.cause == "time" and patience < min(self._patience, BLAMED_FROM * limits.least):
                # too short a time to blame the target
                self.lost += time.perf_counter() - started
                raise TimeIsUp from None
            if death.cause == "time":
                self._patience = min(self._most, max(limits.again, _SLOWER * self._slowest))
            if death.cause == "memory":
                self._memory = min(limits.memory, max(limits.memory_again, _LARGER * self._largest))
            self.lost += time.perf_counter() - started
            raise TargetDied(death.text, shown, death.cause, death.limit) from None
        self._slowest = max(self._slowest, time.perf_counter() - began)
        self._largest = max(self._largest, process.grown)
        match answer:
            case ("result", results, changed, held):
                return self._received(process, number, handed, results, changed, held)
            case ("raised", text):
                raise TargetRaised(text, shown)
            case (_, text):
                raise RuntimeError(f"in the worker of the target: {text}")
        raise AssertionError

    def _ready(self) -> WatchedProcess:
        if time.perf_counter() > self._ends:
            raise TimeIsUp
        if self._process is None or not self._process.alive:
            started = time.perf_counter()
            kind, *rest = self.start()
            self.lost += time.perf_counter() - started
            if kind != "ready":
                raise Died(f"could not be loaded a second time: {rest[0]}", "end")
        assert self._process is not None
        return self._process

    def _message(self, process: WatchedProcess, handed: Inputs, number: int) -> tuple[Any, ...]:
        process.arena.reset()
        tensors = {name: pack(array, process.arena) for name, array in handed.tensors.items()}
        options = {
            name: pack(value, process.arena) if isinstance(value, np.ndarray) else value for name, value in handed.options.items()
        }
        return ("call", number, frozenset(self._held), tensors, options)

    def _received(
        self,
        process: WatchedProcess,
        number: int,
        handed: Inputs,
        results: Sequence[Packed],
        changed: Mapping[str, Packed],
        held: Mapping[tuple[int, int], Packed],
    ) -> tuple[Array, ...]:
        own = tuple(unpack(result, process.arena) for result in results)
        for name, packed in changed.items():
            _write(handed, name, unpack(packed, process.arena))
        for earlier, packed in held.items():
            array = self._held.get(earlier)
            if array is not None:
                array[...] = unpack(packed, process.arena)
        for place, result in enumerate(own):
            self._held[number, place] = result
        return own


def _write(handed: Inputs, name: str, after: Array) -> None:
    """What the target made of an input; one that it gave another shape or type takes the place of the input."""
    before = arrays_of(handed)[name]
    if (before.shape, before.dtype) == (after.shape, after.dtype) and before.flags.writeable:
        before[...] = after
    elif name in handed.tensors:
        handed.tensors[name] = after
    else:
        handed.options[name] = after


@dataclass(frozen=True)
class IsolatedCall(Call):
    """A call that is made in the worker."""

    remote: Remote | None = None

    @property
    def lost(self) -> float:
        return self.remote.lost if self.remote is not None else 0.0

    def limit(self, ends: float, seconds: float) -> None:
        if self.remote is not None:
            self.remote.limit(ends, seconds)

    def parts(self, handed: Inputs, shown: Inputs | None = None) -> tuple[Array, ...]:
        assert self.remote is not None
        return self.remote.parts(handed, shown or handed)
