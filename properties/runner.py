"""Running properties: a fair share of the time for each, what is left for those that need more, one verdict a property.

What it does: first every property gets one example, so that none goes without because another is slow; then the rest of the time is
shared among those that are not done, again and again while there is some.
Guarantees: a target's failure is ``fail`` and never an exception here, a fault of ours is ``error`` with its text; Ctrl-C keeps what is
there; all in all no more than ``overtime`` beyond the seconds given, which workers that die or block may use up.
Cannot see: how long the last example takes where the target runs in this process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from hypothesis.errors import HypothesisException

from kernelproof.properties.call import Call, TimeIsUp, one_line
from kernelproof.properties.model import Case, Finding, Property, Setting
from kernelproof.properties.progress import shown
from kernelproof.properties.search import Ending, Fault, Search
from kernelproof.properties.verdict import Counterexample, PropertyVerdict

Reproduce = Callable[[Property, Case, Finding], str]
#: examples that every property gets before any gets more
FIRST = 1
#: beyond the seconds given, for workers that die
MOST_OVERTIME, LEAST_OVERTIME = 0.2, 5.0
#: of the seconds given, what a single call may take at most, and what it may take in any case
MOST_OF_ONE_CALL, LEAST_OF_ONE_CALL = 0.3, 5.0
#: seconds lost with workers on the way to a smaller failure, and of the seconds given: the first property that meets a death shows it
#: small, the others hardly have to
SECONDS_OF_DEATHS, MOST_OF_DEATHS, LATER_SECONDS_OF_DEATHS = 8.0, 0.2, 1.0
#: a share of the time too small to try anything in
LEAST_SHARE = 0.02


def overtime(seconds: float) -> float:
    """What a run of so many seconds may take beyond them, in seconds."""
    return MOST_OVERTIME * seconds + LEAST_OVERTIME


def limit_calls(call: Call, began: float, seconds: float) -> float:
    """Let no call of the target outlast the run; returns the moment at which the run ends in any case."""
    ends = began + seconds + overtime(seconds)
    call.limit(ends, max(LEAST_OF_ONE_CALL, MOST_OF_ONE_CALL * seconds))
    return ends


def most_of_deaths(call: Call, seconds: float) -> float:
    """Seconds that the next property may lose with workers, after the first death that it meets."""
    return LATER_SECONDS_OF_DEATHS if call.lost else min(SECONDS_OF_DEATHS, MOST_OF_DEATHS * seconds)


class _Run:
    """One property on its way to a verdict."""

    def __init__(self, subject: Property, call: Call, setting: Setting) -> None:
        self.subject = subject
        self.missing = sorted(subject.needs - setting.capabilities)
        self.search = Search(subject, call, setting)
        self.ending: Ending | None = "done" if self.missing else None
        self._shown: PropertyVerdict | None = None

    @property
    def open(self) -> bool:
        """Whether more time would be of use."""
        return self.ending in (None, "time") and self.search.smallest is None

    @property
    def starved(self) -> bool:
        """Whether nothing can be concluded yet."""
        return self.search.examples == self.search.vacuous

    def go_on(self, seed: int, deadline: float, ends: float, enough: int, first_by: float, reproduce: Reproduce) -> bool:
        """Search until the deadline, or so many examples; whether the user interrupted it."""
        try:
            self.ending = self.search.run(seed, deadline, ends, enough, first_by)
            if self.search.smallest is not None:
                self._shown = self._failure(reproduce, again=self.ending != "interrupt")
        except KeyboardInterrupt:
            self.ending = "interrupt"
            if self.search.smallest is not None:
                self._shown = self._failure(reproduce, again=False)
        return self.ending == "interrupt"

    def verdict(self) -> PropertyVerdict:
        """What can be said now."""
        search = self.search
        if self._shown is not None:
            found = self._shown
        elif self.missing:
            found = verdict_of(self.subject, "not_applicable", message=f"the target does not take {', '.join(self.missing)}")
        elif self.ending == "fault":
            found = verdict_of(self.subject, "error", message=search.notes[-1])
        elif self.ending == "interrupt":
            found = verdict_of(self.subject, "inconclusive", message=f"interrupted after {search.examples} examples")
        elif search.examples == 0:
            reason = "no input meets its premises" if self.ending == "done" else "no time left to try it; give --max-seconds more"
            found = verdict_of(self.subject, "inconclusive", message=reason)
        elif self.starved:
            message = f"in every example: {search.unknown}" if search.unknown else "the rounding bound was vacuous in every example"
            found = verdict_of(self.subject, "inconclusive", message=message)
        else:
            cut = self.ending == "time" and not search.setting.profile.endless
            found = replace(verdict_of(self.subject, "pass"), cut=cut)
        return replace(found, examples=search.examples, worst=search.worst, seconds=search.seconds)

    def _failure(self, reproduce: Reproduce, again: bool) -> PropertyVerdict:
        """The smallest failing case, run ``again`` so that what is shown is what happens."""
        assert self.search.smallest is not None
        case, finding = self.search.smallest
        message = finding.message or "the property does not hold"
        if again:
            try:
                repeated = self.search.judge(case)
                if repeated.ok:
                    message += "; not on every call: the target does not repeat itself"
                else:
                    finding = repeated
                    message = finding.message or message
            except (Fault, HypothesisException, TimeIsUp):
                pass  # the first finding stands
        try:
            program = reproduce(self.subject, case, finding)
        except Exception as error:
            program = f"# no program could be written: {one_line(error)}\n"
        return verdict_of(self.subject, "fail", message=message, counterexample=Counterexample(case, finding, program))


def verdict_of(subject: Property, verdict: str, *, message: str = "", counterexample: Counterexample | None = None) -> PropertyVerdict:
    """A verdict on a property with the words that the property has for itself."""
    return PropertyVerdict(
        id=subject.id,
        title=subject.title,
        theorem=subject.theorem,
        verdict=verdict,  # type: ignore[arg-type]
        message=message,
        counterexample=counterexample,
    )


def run_property(
    subject: Property, call: Call, setting: Setting, *, seed: int, seconds: float, reproduce: Reproduce
) -> tuple[PropertyVerdict, bool]:
    """The verdict on one property, and whether the user interrupted it."""
    began = time.perf_counter()
    ends = limit_calls(call, began, seconds)
    run = _Run(subject, call, setting)
    run.search.seconds_of_deaths = most_of_deaths(call, seconds)
    interrupted = run.open and run.go_on(seed, began + seconds, ends, setting.profile.examples, began + seconds, reproduce)
    return run.verdict(), interrupted


def run_properties(
    properties: Sequence[Property],
    call: Call,
    setting: Setting,
    *,
    seed: int,
    reproduce: Reproduce,
    max_seconds: float | None = None,
    progress: bool = False,
) -> tuple[tuple[PropertyVerdict, ...], bool]:
    """The verdicts on all properties in order, and whether the user interrupted the run."""
    began = time.perf_counter()
    seconds = setting.profile.seconds if max_seconds is None else max_seconds
    ends = limit_calls(call, began, seconds)
    setting = replace(setting, profile=replace(setting.profile, seconds=seconds))
    runs = [_Run(subject, call, setting) for subject in properties]

    def left() -> float:
        given_back = min(call.lost, overtime(seconds))
        return min(began + seconds + given_back, ends) - time.perf_counter()

    interrupted = False
    with shown(progress, len(runs)) as show:
        for turn in range(1_000_000):
            waiting = [run for run in runs if run.open]
            if turn > 1:
                # what is left over goes first to those about which nothing is known yet
                waiting = [run for run in waiting if run.starved] or waiting
            if not waiting or interrupted or (turn and left() < LEAST_SHARE):
                break
            enough = FIRST if turn == 0 else setting.profile.examples
            for number, run in enumerate(waiting):
                show(run.subject.id, sum(not one.open for one in runs))
                now, remaining = time.perf_counter(), max(0.0, left())
                run.search.seconds_of_deaths = most_of_deaths(call, seconds)
                share = remaining / (len(waiting) - number)
                interrupted = run.go_on(seed, now + share, ends, enough, now + remaining, reproduce)
                if interrupted:
                    break
    verdicts = [run.verdict() for run in runs]
    if interrupted:
        untried = "interrupted before it was tried"
        verdicts = [
            replace(found, message=untried) if run.ending is None else found for run, found in zip(runs, verdicts, strict=True)
        ]
    return tuple(verdicts), interrupted
