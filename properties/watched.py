"""A worker process under watch: its time, its memory, its end.

Guarantees: a question is answered within its seconds, or the process is killed, with everything that it started; so too if it grows beyond
the limit, dies, closes the connection, or the waiting is interrupted. It does not outlive this process.
Cannot see: memory on a GPU; on systems without ``/proc``, memory at all. Memory is read, not limited: a limit on addresses
(``RLIMIT_AS``) breaks CUDA and JAX.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Literal

from kernelproof.properties.exchange import Arena
from kernelproof.properties.worker import LOST

Cause = Literal["end", "time", "memory"]
#: set in a worker: what it verifies in turn, it verifies in process
INSIDE = "KERNELPROOF_WORKER"
_BOOT = (
    "import sys; given = sys.argv[1:4]; sys.path[:] = sys.argv[4:]; sys.argv[1:] = []; "
    "from kernelproof.properties.worker import main; main(*map(int, given))"
)
_LOOK_EVERY = 10  # milliseconds
#: a message comes and goes in one piece, or its other side is not the worker
PIECE_SECONDS = 5
_MEMORY_EVERY = 16  # calls; longer ones are looked at while they run
_CLOSED = "closed file descriptors that it did not open: the connection to its process is gone"
_WRITTEN = "wrote into a file descriptor that it did not open: the connection to its process"


@dataclass(frozen=True)
class Limits:
    """What a target may use. Bytes are growth since it was loaded; once a call has run out of ``seconds`` or ``memory``, the next
    have ``again`` and ``memory_again``, or a multiple of what calls that came back have taken. A short search gives a call less than
    ``seconds``, never less than ``least``.
    """

    seconds: float = 20.0
    least: float = 5.0
    again: float = 1.0
    load_seconds: float = 120.0
    memory: int = 4 << 30
    memory_again: int = 1 << 30


class Died(Exception):
    """The process is gone; the text goes with "the target" as its subject."""

    def __init__(self, text: str, cause: Cause, limit: float = 0.0) -> None:
        super().__init__(text)
        self.text, self.cause, self.limit = text, cause, limit


class WatchedProcess:
    """One worker, started on creation; an OSError says that none can be."""

    def __init__(self) -> None:
        self._asked = 0
        self._least = 0
        #: growth when last looked at
        self.grown = 0
        self.arena = Arena.create()
        ours, theirs = socket.socketpair()
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            ours.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", PIECE_SECONDS, 0))
        passed = (theirs.fileno(), self.arena.descriptor)
        command = [sys.executable, "-c", _BOOT, *map(str, (*passed, os.getpid())), *sys.path]
        try:
            self._process = subprocess.Popen(
                command,
                pass_fds=passed,
                stdin=subprocess.DEVNULL,
                env={**os.environ, INSIDE: "1"},
                # of its own, so that Ctrl-C in a terminal reaches it through us alone
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            self.arena.close()
            raise
        finally:
            theirs.close()
        self._wire = Connection(ours.detach())
        self._poll = select.poll()
        self._poll.register(self._wire.fileno(), select.POLLIN)
        self.alive = True

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, message: tuple[Any, ...], seconds: float, memory: int) -> tuple[Any, ...]:
        """The answer within these seconds, at no more than these bytes of growth, or :class:`Died`."""
        try:
            try:
                self._wire.send_bytes(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))
            except BlockingIOError:
                raise Died("has left its process unable to take another call", "time", PIECE_SECONDS) from None
            except OSError:
                raise self._end() from None
            return self._answer(seconds, memory)
        except BaseException:
            # also when interrupted: half an answer would be read as the next one
            self.kill()
            raise

    def settled(self) -> None:
        """From here on memory is counted."""
        self._least = self._resident()

    def kill(self) -> None:
        """End the process and all that it started. Nothing happens the second time."""
        if not self.alive:
            return
        self.alive = False
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._wire.close()
        self.arena.close()

    def _answer(self, seconds: float, memory: int) -> tuple[Any, ...]:
        ends = time.perf_counter() + seconds
        while not self._poll.poll(_LOOK_EVERY):
            self._look_at_memory(memory)
            if time.perf_counter() > ends:
                raise Died(f"did not come back within {seconds:g} s", "time", seconds)
            if self._process.poll() is not None and not self._poll.poll(0):
                raise self._end()
        try:
            answer: tuple[Any, ...] = pickle.loads(self._wire.recv_bytes())
        except BlockingIOError:  # a piece of an answer
            raise Died(_WRITTEN, "end") from None
        except (EOFError, OSError):
            raise self._end() from None
        except Exception:
            raise Died(_WRITTEN, "end") from None
        if self._asked % _MEMORY_EVERY == 0:
            self._look_at_memory(memory)
        self._asked += 1
        return answer

    def _look_at_memory(self, most: int) -> None:
        self.grown = self._resident() - self._least
        if self.grown > most:
            raise Died(f"used {_size(self.grown)} of memory more than after it was loaded; the limit is {_size(most)}", "memory", most)

    def _resident(self) -> int:
        try:
            with open(f"/proc/{self._process.pid}/statm") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError, ValueError):
            return 0

    def _end(self) -> Died:
        try:
            code = self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return Died(_CLOSED, "end")
        if code == LOST:
            return Died(_CLOSED, "end")
        if code >= 0:
            return Died(f"ended its process with exit code {code}", "end")
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return Died(f"killed its process: {name}{_SIGNALS.get(name, '')}", "end")


_SIGNALS = {
    "SIGSEGV": " (memory that is not its own)",
    "SIGFPE": " (an arithmetic fault, such as a division of integers by zero)",
    "SIGABRT": " (it aborted itself, as a failed assertion in C does)",
    "SIGILL": " (an instruction that this processor lacks)",
    "SIGBUS": " (memory that is not there)",
    "SIGKILL": " (from outside, perhaps by the system for want of memory)",
}


def _size(count: float) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
