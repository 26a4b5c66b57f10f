"""Parts of a session are run to their limits, with small programs: nothing here needs a device, and no clock of this machine decides."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


@pytest.fixture(scope="module")
def run(neighbour: Callable[[str], ModuleType]) -> ModuleType:
    return neighbour("device_parts")


def python(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", text)


def session(run: ModuleType, folder: Path, **more: Any) -> Any:
    return run.Session(folder, dict(os.environ), folder, **more)


def statuses(made: Any) -> dict[str, str]:
    return {one.job: one.status for one in made.outcomes}


#: writes that it has begun, then sleeps for long; an interrupt makes it write what it has
SLEEPER = """
import pathlib, time
try:
    pathlib.Path("begun").write_text("")
    time.sleep(600)
except KeyboardInterrupt:
    pathlib.Path("kept").write_text("what there was")
"""
DEAF = """
import pathlib, signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
pathlib.Path("begun").write_text("")
time.sleep(600)
"""


def test_every_job_is_run_whatever_became_of_the_ones_before(run: ModuleType, tmp_path: Path) -> None:
    said: list[str] = []
    made = session(run, tmp_path, say=said.append)
    jobs = (
        run.Job("good", python("print('fine')")), run.Job("bad", python("print('first'); print('the reason'); raise SystemExit(3)")),
        run.Job("absent", ("/no/such/program",)), run.Job("left out", python("1 / 0"), missing="it was not found"),
        run.Job("last", python("pass")),
    )
    made.run([run.Part("one", "all of them", 1, jobs)], 3600)
    assert statuses(made) == {"good": "done", "bad": "failed", "absent": "failed", "left out": "not run", "last": "done"}
    assert (tmp_path / "one" / "good.log").read_text(encoding="utf-8") == "fine\n"
    assert made.summary() == [
        "one: 2 of 5 done", "  failed: bad: exit code 3: the reason",
        "  failed: absent: /no/such/program cannot be started: No such file or directory", "  not run: left out: it was not found",
    ]
    assert said[0] == "one: all of them" and not made.ok


def test_what_became_of_a_job_is_on_disk_before_the_next_begins(run: ModuleType, tmp_path: Path) -> None:
    reads = python("import json, pathlib; print([one['job'] for one in json.loads(pathlib.Path('outcomes.json').read_text())])")
    made = session(run, tmp_path)
    made.run([run.Part("one", "", 1, (run.Job("first", python("pass")), run.Job("second", reads)))], 3600)
    assert (tmp_path / "one" / "second.log").read_text(encoding="utf-8") == "['first']\n" and made.ok


def test_results_of_an_earlier_run_are_not_taken_for_those_of_this_one(run: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    for name in ("old.json", "old.log", "notes.txt"):
        (tmp_path / "one" / name).write_text("", encoding="utf-8")
    session(run, tmp_path).run([run.Part("one", "", 1, (run.Job("new", python("pass")),))], 3600)
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == ["new.log", "notes.txt"]


def clock_of(folder: Path, late: float = 100.0) -> Callable[[], float]:
    """Late as soon as a job has begun."""
    return lambda: late if (folder / "begun").exists() else 0.0


@pytest.mark.parametrize(("limit", "seconds"), [(1e9, 10.0), (50.0, 1e6)], ids=["of the part", "of the job"])
def test_a_job_beyond_its_time_is_interrupted_and_keeps_what_it_has(run: ModuleType, tmp_path: Path, limit: float, seconds: float) -> None:
    made = session(run, tmp_path, clock=clock_of(tmp_path), grace=60.0)
    made.run([run.Part("one", "", 1, (run.Job("sleeper", python(SLEEPER), limit),))], seconds)
    (found,) = made.outcomes
    assert (found.status, found.seconds, found.why) == ("timed out", 100.0, "interrupted; what it wrote by then is there")
    assert (tmp_path / "kept").read_text(encoding="utf-8") == "what there was"


def test_a_job_that_an_interrupt_does_not_end_is_killed(run: ModuleType, tmp_path: Path) -> None:
    made = session(run, tmp_path, clock=clock_of(tmp_path), grace=0.1)
    made.run([run.Part("one", "", 1, (run.Job("deaf", python(DEAF)), run.Job("next", python("pass"))))], 10.0)
    assert [(one.job, one.status, one.why) for one in made.outcomes] == [
        ("deaf", "timed out", "killed, for an interrupt did not end it"), ("next", "not run", "the part's time was over"),
    ]


class Deaf:
    """A process that hears nothing but SIGKILL, or not even that; it takes as long as it is waited for."""

    pid = 0

    def __init__(self, now: list[float], killed: float = 0.0) -> None:
        self.now, self.left, self.killed = now, 1e9, killed

    def wait(self, timeout: float) -> None:
        self.now[0] += min(timeout, self.left)
        if self.left > timeout:
            raise subprocess.TimeoutExpired("deaf", timeout)


@pytest.mark.parametrize(("killed", "took", "why"), [(0.0, 8.0, ""), (1e9, 8.0 + 3 * 5.0, ", and it has not gone")])
def test_jobs_that_are_stopped_have_one_grace_together(
    run: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: float, took: float, why: str
) -> None:
    now = [0.0]
    monkeypatch.setattr(run, "time", SimpleNamespace(monotonic=lambda: now[0]))
    jobs = [run._Running(run.Job(name, ()), Deaf(now, killed), 0.0, 0.0) for name in "abc"]

    def signalled(process: Deaf, which: signal.Signals) -> None:
        process.left = process.killed if which == signal.SIGKILL else process.left

    monkeypatch.setattr(run, "_signal", signalled)
    made = session(run, tmp_path, clock=lambda: now[0])
    made._stop(run.Part("one", "", 1, ()), jobs, list(jobs), run.TIMED_OUT)
    assert now == [took]
    assert [(one.job, one.why) for one in made.outcomes] == [(name, f"killed, for an interrupt did not end it{why}") for name in "abc"]


def test_a_job_has_its_share_of_what_the_part_has_left(run: ModuleType, tmp_path: Path) -> None:
    """A quarter of 100 seconds; then half of the 90 that are left when the first took 10; then all of the rest, up to its limit."""
    now, until = [0.0], []

    class Seen(run.Session):  # type: ignore[name-defined, misc]
        def _ended(self, part: Any, one: Any) -> None:
            until.append(one.until)
            now[0] += 10.0
            super()._ended(part, one)

    jobs = (
        run.Job("a", python("pass"), share=2), run.Job("b", python("pass"), share=3), run.Job("c", python("pass"), share=3),
        run.Job("d", python("pass")), run.Job("e", python("pass"), limit=5),
    )
    Seen(tmp_path, dict(os.environ), tmp_path, clock=lambda: now[0]).run([run.Part("one", "", 1, jobs)], 100.0)
    assert until == [25.0, 10 + 45.0, 100.0, 100.0, 45.0]


@pytest.mark.parametrize(
    ("at", "expected"), [("  job of first", {"first": "done", "second": "done"}), ("first", {"first": "not run", "second": "done"})]
)
def test_what_a_part_does_not_need_the_next_ones_have(run: ModuleType, tmp_path: Path, at: str, expected: dict[str, str]) -> None:
    """Each has 50 seconds of the 100, and it is 60: after the first, which the second one has time for, or before, which was over then."""
    now = [0.0]

    def said(text: str) -> None:
        now[0] = 60.0 if text.startswith(at) else now[0]

    made = session(run, tmp_path, clock=lambda: now[0], say=said)
    made.run([run.Part(name, "", 1, (run.Job(f"job of {name}", python("pass")),)) for name in ("first", "second")], 100.0)
    assert {one.part: one.status for one in made.outcomes} == expected


def test_jobs_of_a_part_are_run_together(run: ModuleType, tmp_path: Path) -> None:
    """Each waits for the other."""
    waits = "import pathlib, time\npathlib.Path({0!r}).write_text('')\nwhile not pathlib.Path({1!r}).exists(): time.sleep(0.01)"
    jobs = tuple(run.Job(own, python(waits.format(own, other))) for own, other in (("a", "b"), ("b", "a")))
    made = session(run, tmp_path)
    made.run([run.Part("one", "", 1, jobs, together=2)], 300)
    assert made.ok


def test_ctrl_c_ends_what_runs_and_names_what_was_not_begun(run: ModuleType, tmp_path: Path) -> None:
    def clock() -> float:
        if (tmp_path / "begun").exists() and not (tmp_path / "kept").exists():
            raise KeyboardInterrupt
        return 0.0

    finished: list[Path] = []
    made = session(run, tmp_path, clock=clock, grace=60.0)
    first = run.Part("one", "", 1, (run.Job("sleeper", python(SLEEPER)), run.Job("next", python("pass"))), finish=finished.append)
    with pytest.raises(KeyboardInterrupt):
        made.run([first, run.Part("two", "", 1, (run.Job("later", python("pass")),))], 10.0)
    assert statuses(made) == {"sleeper": "interrupted", "next": "not run", "later": "not run"}
    assert (tmp_path / "kept").exists() and finished == [tmp_path], "results are put together all the same"
    assert {one["job"] for one in json.loads((tmp_path / "outcomes.json").read_text(encoding="utf-8"))} == {"sleeper", "next", "later"}


def test_results_that_cannot_be_put_together_are_an_outcome(run: ModuleType, tmp_path: Path) -> None:
    def finish(folder: Path) -> None:
        raise ValueError("no file")

    made = session(run, tmp_path)
    made.run([run.Part("one", "", 1, (run.Job("good", python("pass")),), finish=finish), run.Part("two", "", 1, ())], 10.0)
    assert made.summary() == ["one: 1 of 2 done", "  failed: putting the results together: ValueError: no file"] and not made.ok


def test_jobs_with_the_same_reason_are_told_as_one(run: ModuleType, tmp_path: Path) -> None:
    made = session(run, tmp_path)
    made.outcomes += [run.Outcome("one", name, run.NOT_RUN, why="why") for name in "ab"]
    assert made.summary() == ["one: 0 of 2 done", "  not run: a, b: why"]
