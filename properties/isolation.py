"""A target in a process of its own: one that crashes, hangs, exits or eats memory is a failed property, and the suite goes on.

- A target by name is imported in the worker alone; what it supports, and how arrays cross to its library, is found out there.
- A function in memory goes there through cloudpickle; where that is not installed, by its name, if the worker can import it.
- A generated kernel is ours and runs in this process; so does a function that does not travel. ``Target.isolation`` says which.

Guarantees: what a call does to its inputs, and to results of earlier calls that are still held, shows as it does in one process; after a
death the next call has a new worker; after one call that did not come back, the following are given less time, and less memory after
one that took too much.
Cannot see: what the target does to an input after its call; side effects in this process, such as a list it appends to.

A round trip costs about a tenth of a millisecond, an example some: they go one by one.
"""

from __future__ import annotations

import itertools
import math
import os
import pickle
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from types import ModuleType
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from kernelproof.properties.call import Call, TargetDied, TargetRaised, TimeIsUp, arrays_of
from kernelproof.properties.exchange import Packed, pack, unpack
from kernelproof.properties.model import Inputs
from kernelproof.properties.shapes import phase_shape
from kernelproof.properties.targets import Target, load_target
from kernelproof.properties.values import Array
from kernelproof.properties.watched import INSIDE, Died, Limits, WatchedProcess
from kernelproof.symbolic.errors import InputError

PROCESS = "worker process"
#: what a target that compiles at its first calls gets for one
PATIENT_SECONDS = 90.0
#: of the least time that a call gets: one that the end of the run cuts off sooner is not blamed
BLAMED_FROM = 0.8
#: how much slower and larger than any so far a call may be, once one has not come back or has taken too much
_SLOWER, _LARGER = 10, 2
GENERATED = "none (a generated kernel is ours)"


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


@contextmanager
def isolated_target(spec: str, *, limits: Limits | None = None, **options: Any) -> Iterator[Target]:
    """What :func:`load_target` gives for these arguments, loaded in a worker that ends with the block.

    A target that ends, blocks or fills the process while it is imported is an :class:`InputError`.
    """
    if spec.startswith("generated:"):
        yield replace(load_target(spec, **options), isolation=GENERATED)
        return
    if reason := _unable():
        yield replace(load_target(spec, **options), isolation=f"none ({reason})")
        return
    remote = Remote(("name", spec, options), limits or Limits())
    try:
        try:
            kind, found = remote.start()
        except Died as death:
            raise InputError(
                f"loading the target {spec!r}: importing it {death.text}; check that it imports by itself, from this folder, "
                "in this environment"
            ) from None
        if kind == "unusable":
            raise InputError(found)
        if kind != "ready":
            raise RuntimeError(f"in the worker of the target: {found}")
        known = {field.name for field in fields(Target)}
        made = Target(function=_elsewhere, **{name: value for name, value in found.items() if name in known})
        yield _with_call(made, remote)
    finally:
        remote.close()


@contextmanager
def isolated_function(target: Target, *, limits: Limits | None = None) -> Iterator[Target]:
    """A target in memory, its function called in a worker that ends with the block; in this process where it does not travel."""
    if type(target.function).__module__ == "kernelproof.numeric.kernel":
        yield replace(target, isolation=GENERATED)
        return
    reason = _unable()
    remote: Remote | None = None
    try:
        # a function that its module gives away where it is imported needs no copy; any other travels as it is
        for copied in (False, True) if not reason else ():
            try:
                payload = _pickled(target.function, copied)
                if remote is not None:
                    remote.close()
                remote = Remote(("function", payload, target.phase, dict(target.variant)), limits or Limits())
                kind, *rest = remote.start()
            except ImportError:
                reason = "cloudpickle is not installed"
                break
            except Died as death:
                kind, rest = "unusable", [f"loading it {death.text}"]
            except Exception as error:
                kind, rest = "unusable", [f"{type(error).__name__}: {error}"]
            if kind == "ready":
                reason = ""
                break
            reason = f"the function does not travel to a worker: {' '.join(str(rest[0]).split())[:200]}"
        if reason or remote is None:
            yield replace(target, isolation=f"none ({reason})")
        else:
            yield _with_call(target, remote)
    finally:
        if remote is not None:
            remote.close()


def _with_call(target: Target, remote: Remote) -> Target:
    if target.patient:
        remote.wait_long()
    call = IsolatedCall(target.function, phase_shape(target.phase, target.variant), remote=remote)
    return replace(target, isolation=PROCESS, remote=call)


def _unable() -> str:
    """Why there can be no worker here."""
    if os.environ.get(INSIDE) == "1":
        return "this is a worker already"
    if os.name != "posix" or not sys.executable:
        return "no worker can be started on this system"
    return ""


def _pickled(function: Callable[..., Any], copied: bool) -> bytes:
    """The function as bytes; ``copied`` with its module's contents, also while that module is still being imported.

    Without cloudpickle it travels by its name alone.
    """
    try:
        import cloudpickle
    except ImportError:
        if copied:
            raise
        try:
            return pickle.dumps(function, pickle.HIGHEST_PROTOCOL)
        except Exception:
            raise ImportError("cloudpickle") from None
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    if module is None or not (copied or _unfinished(module)) or module.__name__ == "__main__":
        return bytes(cloudpickle.dumps(function, protocol=pickle.HIGHEST_PROTOCOL))
    cloudpickle.register_pickle_by_value(module)
    try:
        return bytes(cloudpickle.dumps(function, protocol=pickle.HIGHEST_PROTOCOL))
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def _unfinished(module: ModuleType) -> bool:
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


def _elsewhere(*arguments: Any, **options: Any) -> Any:
    raise RuntimeError("the function is in a worker process; call it through Target.call")
