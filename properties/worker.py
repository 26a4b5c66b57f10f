"""The other side of the isolation: a process that loads one target and calls it, until it is told no more.

Guarantees: it imports no test machinery; it ends with its parent; what the target prints goes to standard error, since standard output is
the report's; a crash leaves no core file.
Cannot see: a target that changes this very module, or writes into the connection.
"""

from __future__ import annotations

import ctypes
import dataclasses
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from kernelproof.properties.call import Call, TargetRaised, arrays_of, one_line
from kernelproof.properties.exchange import Arena, Packed, memory_of, pack, sent, unpack
from kernelproof.properties.model import Inputs
from kernelproof.properties.shapes import phase_shape
from kernelproof.properties.values import Array
from kernelproof.symbolic.errors import InputError

#: exit code of a worker whose connection is gone
LOST = 96
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def main(connection: int, arena: int, parent: int) -> None:
    """Serve the process that holds the other end of the connection."""
    _settle(parent)
    session = _Session(Arena(arena))
    wire = Connection(connection)
    try:
        while True:
            message = pickle.loads(wire.recv_bytes())
            wire.send_bytes(pickle.dumps(session.answer(message), pickle.HIGHEST_PROTOCOL))
    except (EOFError, OSError):
        os._exit(LOST)


class _Session:
    """The target, and those of its results that the parent still holds."""

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self._call: Call | None = None
        #: by the number of the call and the place in its result
        self._held: dict[tuple[int, int], Array] = {}

    def answer(self, message: tuple[Any, ...]) -> tuple[Any, ...]:
        kind, *rest = message
        answers: dict[str, Callable[..., tuple[Any, ...]]] = {
            "name": self._by_name, "function": self._by_value, "call": self._called,
        }
        try:
            return answers[kind](*rest)
        except BaseException as error:  # ours: what the target raises is caught where it is called
            return ("fault", one_line(error))

    def _by_name(self, spec: str, options: Mapping[str, Any]) -> tuple[Any, ...]:
        from kernelproof.properties.targets import load_target

        try:
            target = load_target(spec, **options)
            self._call = target.call
        except InputError as error:
            return ("unusable", str(error))
        except KeyboardInterrupt:
            # Ctrl-C is not heard here: the target raised it
            return ("unusable", f"loading the target {spec!r}: importing it raised KeyboardInterrupt; check that it imports by itself")
        named = {field.name: getattr(target, field.name) for field in dataclasses.fields(target)}
        return ("ready", {name: value for name, value in named.items() if name != "function" and _travels(value)})

    def _by_value(self, function: bytes, phase: str, variant: Mapping[str, object]) -> tuple[Any, ...]:
        try:
            self._call = Call(pickle.loads(function), phase_shape(phase, variant))
        except BaseException as error:
            return ("unusable", one_line(error))
        return ("ready", {})

    def _called(
        self, number: int, alive: frozenset[tuple[int, int]], tensors: Mapping[str, Packed], options: Mapping[str, object]
    ) -> tuple[Any, ...]:
        assert self._call is not None
        self._held = {held: array for held, array in self._held.items() if held in alive}
        packed = {**tensors, **{name: value for name, value in options.items() if isinstance(value, Packed)}}
        own = {name: unpack(value, self._arena) for name, value in packed.items()}
        handed = Inputs({name: own[name] for name in tensors}, {name: own.get(name, value) for name, value in options.items()})
        try:
            results = self._call.parts(handed)
        except TargetRaised as error:
            return ("raised", error.text)
        except KeyboardInterrupt:
            return ("raised", "raised KeyboardInterrupt")
        given = arrays_of(handed)
        changed = [name for name, value in packed.items() if _differs(given[name], value, self._arena)]
        # from here on the inputs in the arena are written over
        self._arena.reset()
        answer = (
            "result",
            [self._plain(result) for result in results],
            {name: self._plain(given[name]) for name in changed},
            {held: self._plain(array) for held, array in self._held.items()},
        )
        self._held |= {(number, place): result for place, result in enumerate(results)}
        return answer

    def _plain(self, array: Array) -> Packed:
        return pack(array.copy(order="C"), self._arena)


def _differs(array: Array, packed: Packed, arena: Arena) -> bool:
    if (array.shape, array.dtype) != (packed.shape, packed.dtype):
        return True
    if packed.data is not None:
        return memory_of(array).tobytes() != packed.data
    return not np.array_equal(memory_of(array), sent(packed, arena))


def _travels(value: object) -> bool:
    try:
        pickle.dumps(value)
    except Exception:
        return False
    return True


def _settle(parent: int) -> None:
    """What a process needs that may be killed at any time, and must not outlive ``parent``."""
    # the parent hears Ctrl-C, and kills
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(2, 1)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")  # if memory runs out, this process goes first
    except (ImportError, OSError, ValueError):
        pass  # a comfort only
    try:
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    except (AttributeError, OSError, TypeError):  # not Linux
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    if os.getppid() != parent:
        os._exit(LOST)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(LOST)
