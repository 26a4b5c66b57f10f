"""Runs the parts of a session on a device: programs with a limit of time, whatever becomes of the ones before.

What it does: a part is some jobs, a job is a command whose output goes into a file of its own. A job that takes too long is interrupted
as by Ctrl-C, so that it writes what it has, and killed where that does not end it. Guarantees: the outcome of a job is on disk as soon as
it has one; a job that fails, hangs or dies changes nothing for the others; Ctrl-C ends what runs, and what was not begun is named. Cannot
see: whether a device that a job left in a bad state is well again; each job is a process of its own, which is what can be done.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

DONE, FAILED, TIMED_OUT, INTERRUPTED, NOT_RUN = "done", "failed", "timed out", "interrupted", "not run"
#: seconds that an interrupted job has to write what it has
GRACE = 8.0
#: seconds that a killed one has to go
KILLED = 5.0
Clock = Callable[[], float]


@dataclass(frozen=True)
class Job:
    """A command; ``name`` is that of its log too. ``missing`` says why it cannot be run; ``limit`` are its seconds at most. ``share`` is
    what it may have of the seconds that its part has left when it begins, beside those of the jobs that wait; 0: all of them.
    """

    name: str
    command: tuple[str, ...]
    limit: float = 1e9
    missing: str = ""
    share: float = 0.0


@dataclass(frozen=True)
class Part:
    """Jobs that belong together, ``together`` of them at a time. ``share`` is its part of all seconds, ``finish`` what makes of results."""

    name: str
    what: str
    share: float
    jobs: tuple[Job, ...]
    together: int = 1
    finish: Callable[[Path], None] | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a job."""

    part: str
    job: str
    status: str
    seconds: float = 0.0
    why: str = ""


@dataclass
class Session:
    """The folder of results, and what became of every job so far."""

    folder: Path
    environment: dict[str, str]
    root: Path
    clock: Clock = time.monotonic
    say: Callable[[str], None] = lambda _: None
    grace: float = GRACE
    outcomes: list[Outcome] = field(default_factory=list)

    def run(self, parts: Sequence[Part], seconds: float) -> None:
        """All parts within so many seconds; what a part does not need, the ones after it have. KeyboardInterrupt is passed on."""
        begun, shares, due = self.clock(), sum(part.share for part in parts), 0.0
        for at, part in enumerate(parts):
            due += part.share
            try:
                self._part(part, begun + seconds * due / shares)
            except KeyboardInterrupt:
                for later in parts[at + 1 :]:
                    self._keep(*(Outcome(later.name, job.name, NOT_RUN, why="interrupted before") for job in later.jobs))
                raise

    def _part(self, part: Part, deadline: float) -> None:
        self.say(f"{part.name}: {part.what}")
        self._emptied(part)
        waiting, running = list(part.jobs), list[_Running]()
        try:
            while waiting or running:
                while waiting and len(running) < part.together and self.clock() < deadline:
                    job = waiting.pop(0)
                    self._start(part, job, running, deadline, sum(later.share for later in waiting))
                late = [one for one in running if self.clock() >= one.until]
                self._stop(part, late, running, TIMED_OUT)
                for one in [one for one in running if one.process.poll() is not None]:
                    running.remove(one)
                    self._ended(part, one)
                if waiting and not running and self.clock() >= deadline:
                    self._keep(*(Outcome(part.name, job.name, NOT_RUN, why="the part's time was over") for job in waiting))
                    waiting.clear()
                if running:
                    time.sleep(0.02)
        except KeyboardInterrupt:
            self._stop(part, list(running), running, INTERRUPTED)
            self._keep(*(Outcome(part.name, job.name, NOT_RUN, why="interrupted before") for job in waiting))
            raise
        finally:
            if part.finish is not None:
                self._finish(part)

    def _emptied(self, part: Part) -> None:
        """The part's folder, without what an earlier run left there, which would be taken for results of this one."""
        folder = self.folder / part.name
        folder.mkdir(parents=True, exist_ok=True)
        for path in (*folder.glob("*.json"), *folder.glob("*.log")):
            path.unlink()

    def _start(self, part: Part, job: Job, running: list[_Running], deadline: float, others: float) -> None:
        if job.missing:
            self._keep(Outcome(part.name, job.name, NOT_RUN, why=job.missing))
            return
        try:
            with (self.folder / part.name / f"{job.name}.log").open("w", encoding="utf-8") as log:
                # a session of its own, so that Ctrl-C reaches it through us alone, and it with all that it started
                process = subprocess.Popen(
                    job.command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=self.root, env=self.environment,
                    start_new_session=True,
                )
        except OSError as error:
            self._keep(Outcome(part.name, job.name, FAILED, why=f"{job.command[0]} cannot be started: {error.strerror}"))
            return
        now = self.clock()
        of_part = (deadline - now) * (job.share / (job.share + others) if job.share else 1.0)
        running.append(_Running(job, process, now, now + min(of_part, job.limit)))

    def _stop(self, part: Part, some: Sequence[_Running], running: list[_Running], status: str) -> None:
        """Interrupt them all; they have the grace together, not each."""
        for one in some:
            _signal(one.process, signal.SIGINT)
        over = time.monotonic() + self.grace
        for one in some:
            running.remove(one)
            why = "interrupted; what it wrote by then is there"
            if not _waited(one.process, over - time.monotonic()):
                _signal(one.process, signal.SIGKILL)
                why = "killed, for an interrupt did not end it"
                if not _waited(one.process, KILLED):  # a driver may hold it; the session goes on without it
                    why += ", and it has not gone"
            self._keep(Outcome(part.name, one.job.name, status, self.clock() - one.begun, why))

    def _ended(self, part: Part, one: _Running) -> None:
        code = one.process.returncode
        why = "" if code == 0 else f"exit code {code}: {_last_line(self.folder / part.name / f'{one.job.name}.log')}"
        self._keep(Outcome(part.name, one.job.name, DONE if code == 0 else FAILED, self.clock() - one.begun, why))

    def _finish(self, part: Part) -> None:
        assert part.finish is not None
        try:
            part.finish(self.folder)
        except Exception as error:  # a part without results must not end the session
            self._keep(Outcome(part.name, "putting the results together", FAILED, why=f"{type(error).__name__}: {error}"))

    def _keep(self, *outcomes: Outcome) -> None:
        for one in outcomes:
            self.outcomes.append(one)
            took = f" in {one.seconds:.0f} s" if one.seconds else ""
            self.say(f"  {one.job}: {one.status}{took}" + (f": {one.why}" if one.why else ""))
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "outcomes.json").write_text(json.dumps([asdict(one) for one in self.outcomes], indent=1) + "\n", encoding="utf-8")

    def summary(self) -> list[str]:
        """A line for each part: how many jobs are done, and those that are not."""
        lines = []
        for name in dict.fromkeys(one.part for one in self.outcomes):
            own = [one for one in self.outcomes if one.part == name]
            done = sum(one.status == DONE for one in own)
            lines.append(f"{name}: {done} of {len(own)} done")
            lines += [f"  {one.status}: {one.job}" + (f": {one.why}" if one.why else "") for one in _told(own)]
        return lines

    @property
    def ok(self) -> bool:
        """Whether every job that could be run is done."""
        return all(one.status == DONE for one in self.outcomes) and bool(self.outcomes)


@dataclass(frozen=True)
class _Running:
    job: Job
    process: subprocess.Popen[bytes]
    begun: float
    until: float


def _told(outcomes: Sequence[Outcome]) -> Iterator[Outcome]:
    """Those that are not done, jobs with the same reason as one."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for one in outcomes:
        if one.status != DONE:
            reasons.setdefault((one.status, one.why), []).append(one.job)
    for (status, why), jobs in reasons.items():
        yield Outcome("", ", ".join(jobs), status, why=why)


def _waited(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether it has ended within so many seconds."""
    try:
        process.wait(max(0.0, seconds))
    except subprocess.TimeoutExpired:
        return False
    return True


def _signal(process: subprocess.Popen[bytes], which: signal.Signals) -> None:
    """To the job and what it started; its number is also that of its group, since it has a session of its own."""
    try:
        os.killpg(process.pid, which)
    except ProcessLookupError:
        return


def _last_line(path: Path) -> str:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    except OSError:
        return "no output"
    return lines[-1][:200] if lines else "no output"
