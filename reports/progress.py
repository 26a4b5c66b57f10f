"""Progress of long work on stderr: a bar where a person looks on, plain lines where not, silence where not asked for."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class Steps:
    """A context with a known number of steps; each has a name."""

    def __init__(self, total: int, shown: bool) -> None:
        self._total, self._shown, self._done = total, shown, 0
        self._bar: Progress | None = None

    def __enter__(self) -> Steps:
        if self._shown and sys.stderr.isatty():
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._bar.start()
            self._task = self._bar.add_task("", total=self._total)
        return self

    def start(self, name: str) -> None:
        """The next step begins."""
        if self._bar is not None:
            self._bar.update(self._task, description=name, completed=self._done)
        elif self._shown:
            print(f"[{self._done + 1}/{self._total}] {name}", file=sys.stderr, flush=True)
        self._done += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done if kind is None else self._done - 1)
            self._bar.stop()
