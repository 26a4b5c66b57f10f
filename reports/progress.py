"""Progress of long work on stderr: a bar where a person looks on, plain lines where not, silence where not asked for.

Guarantees: a line appears when its step is done, and a bar is wiped away if the work fails, so that an error in the first step is
all that is on stderr.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class Steps:
    """A context with a known number of steps; each has a name."""

    def __init__(self, total: int, shown: bool) -> None:
        self._total, self._shown, self._done = total, shown, 0
        self._name, self._started = "", 0.0
        self._bar: Progress | None = None

    def __enter__(self) -> Steps:
        if self._shown and sys.stderr.isatty():
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._bar.start()
            self._task = self._bar.add_task("", total=self._total)
        return self

    def start(self, name: str) -> None:
        """The step before is done, the next one begins."""
        self._finish()
        self._name, self._started = name, time.perf_counter()
        if self._bar is not None:
            self._bar.update(self._task, description=name)

    def detail(self, text: str) -> None:
        """What the present step is doing; only a bar shows it."""
        if self._bar is not None:
            self._bar.update(self._task, description=text)

    def _finish(self) -> None:
        if not self._name:
            return
        self._done += 1
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done)
        elif self._shown:
            took = time.perf_counter() - self._started
            print(f"[{self._done}/{self._total}] {self._name}: {took:.1f} s", file=sys.stderr, flush=True)
        self._name = ""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self._finish()
        if self._bar is not None:
            self._bar.live.transient = kind is not None
            self._bar.stop()

    def interrupt(self) -> None:
        """The step that was begun stays undone."""
        self._name = ""
