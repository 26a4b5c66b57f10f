"""Running properties with Hypothesis: so many examples, so many seconds, the smallest failure.

Guarantees: a seed repeats a run (no database; the streams of properties are independent of each other); a target's
failure is ``fail`` and never an exception here, a fault of ours is ``error`` with its text; the time for all is
shared fairly, and what one property leaves goes to the next; Ctrl-C keeps what is there.
Cannot see: by itself, a call that does not come back (an isolated one is cut off); time is looked at between examples.
"""

from __future__ import annotations

import itertools
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.errors import HypothesisException, InvalidArgument, Unsatisfiable
from hypothesis.strategies import DrawFn

from kernelproof.properties.call import Call, TargetDied, TargetRaised, one_line
from kernelproof.properties.deaths import died_finding
from kernelproof.properties.draws import same_draws_everywhere
from kernelproof.properties.model import Case, Finding, Property, Setting
from kernelproof.properties.reproducer import raised_finding
from kernelproof.properties.verdict import Counterexample, PropertyVerdict

Reproduce = Callable[[Property, Case, Finding], str]
LEAST_SHRINK_SECONDS = 0.3
#: examples in one run of Hypothesis, and how many runs without a new one end the search
ROUND = 9
MOST_IDLE = 4
#: workers that one property may use up on the way to a smaller failure, and seconds; the first that meets a death shows it small, and
#: the others hardly have to
MOST_DEATHS = 24
SECONDS_OF_DEATHS, LATER_SECONDS_OF_DEATHS = 8.0, 1.0
#: of the seconds lost with workers, how many are given back to the other properties
MOST_GIVEN_BACK = 90.0


class _Stop(BaseException):
    """Time is up. Not an Exception, so that Hypothesis lets it through at once."""


class _Fault(BaseException):
    """Our own code failed; Hypothesis must not shrink that."""


class _Convicted(Exception):
    """What Hypothesis takes for the test's failure, and shrinks."""


@dataclass
class _Search:
    """The examples of one property."""

    subject: Property
    call: Call
    setting: Setting
    deadline: float
    examples: int = 0
    vacuous: int = 0
    deaths: int = 0
    #: seconds that calls had lost before, and with the first death of this property
    lost_before: float = 0.0
    lost_first: float = 0.0
    died_before: bool = False
    unknown: str = ""
    worst: float | None = None
    last: tuple[Case, Finding] | None = None
    smallest: tuple[Case, Finding] | None = None
    notes: list[str] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)

    def run(self, seed: int) -> str:
        """Search until done; returns why it ended: ``done``, ``time``, ``fault`` or ``interrupt``."""
        idle = 0
        for number in itertools.count():
            before = self.examples
            ending = self._round(f"{seed} {self.subject.id} {number}")
            idle = 0 if self.examples > before else idle + 1
            if ending != "done" or self.last or self.examples >= self.setting.profile.examples or idle == MOST_IDLE:
                return ending
        raise AssertionError

    def _round(self, stream: str) -> str:
        """One run of Hypothesis. Short ones, since after ten examples it mostly varies earlier ones a little."""

        @st.composite
        def cases(draw: DrawFn) -> Case:
            with _faults_escape():
                return self.subject.draw(draw, self.setting)

        @seeded(zlib.crc32(stream.encode()))
        @settings(
            max_examples=ROUND,
            database=None,
            deadline=None,
            derandomize=False,
            report_multiple_bugs=False,
            print_blob=False,
            verbosity=Verbosity.quiet,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        @given(cases())
        def search(case: Case) -> None:
            self._example(case)

        try:
            with same_draws_everywhere():
                search()
        except _Stop:
            return "time"
        except _Fault as fault:
            self.notes.append(one_line(fault.__cause__ or fault))
            return "fault"
        except KeyboardInterrupt:
            return "interrupt"
        except Unsatisfiable:
            return "done"
        except (_Convicted, HypothesisException) as error:
            if self.last is None:
                self.notes.append(one_line(error))
                return "fault"
            # Hypothesis runs its smallest example last; a target that does not repeat itself ends in Flaky instead
            if isinstance(error, _Convicted):
                self.smallest = self.last
        return "done"

    def _example(self, case: Case) -> None:
        # what is lost with workers has a limit of its own
        if time.perf_counter() > self.deadline + self.call.lost - self.lost_before:
            raise _Stop
        if self.last is None and (hash(case) in self.seen or self.examples >= self.setting.profile.examples):
            # every round begins with the simplest example
            return
        finding = self.judge(case)
        if self.last is None:
            self.seen.add(hash(case))
            self.examples += 1
            self.vacuous += finding.vacuous
            self.unknown = finding.message if finding.vacuous else self.unknown
        if finding.ratio is not None and not (self.worst is not None and self.worst >= finding.ratio):
            self.worst = finding.ratio
        if finding.ok:
            return
        if self.last is None:
            now = time.perf_counter()
            left = max(LEAST_SHRINK_SECONDS, self.deadline + self.call.lost - self.lost_before - now)
            self.lost_before = self.call.lost
            self.deadline = now + min(self.setting.profile.shrink_seconds, left)
        self.last = (case, finding)
        if self.smallest is None or _weight(finding) <= _weight(self.smallest[1]):
            self.smallest = self.last
        if self._worn():
            raise _Stop
        raise _Convicted

    def _worn(self) -> bool:
        """Whether enough workers have died for this property."""
        most = LATER_SECONDS_OF_DEATHS if self.died_before else SECONDS_OF_DEATHS
        return self.deaths >= MOST_DEATHS or (self.deaths > 0 and self.call.lost - self.lost_first > most)

    def judge(self, case: Case) -> Finding:
        """The finding for one case; what the target raises is a finding too."""
        with _faults_escape():
            try:
                return self.subject.check(self.call, case, self.setting)
            except TargetDied as error:
                self.deaths += 1
                if self.deaths == 1:
                    self.lost_first = self.call.lost
                return died_finding(error, case)
            except TargetRaised as error:
                return raised_finding(error.text, error.inputs, case)


@contextmanager
def _faults_escape() -> Iterator[None]:
    """Turn exceptions of our own code into :class:`_Fault`; leave Hypothesis its own control flow."""
    try:
        yield
    except InvalidArgument as error:
        raise _Fault from error
    except HypothesisException:
        raise
    except Exception as error:
        raise _Fault from error


def _weight(finding: Finding) -> int:
    """How much a reader has to look at."""
    if finding.inputs is None:
        return sys.maxsize
    return sum(array.size for array in finding.inputs.tensors.values())


def run_property(
    subject: Property, call: Call, setting: Setting, *, seed: int, seconds: float, reproduce: Reproduce
) -> tuple[PropertyVerdict, bool]:
    """The verdict on one property, and whether the user interrupted it."""
    started = time.perf_counter()
    if missing := sorted(subject.needs - setting.capabilities):
        return _verdict(subject, "not_applicable", message=f"the target does not take {', '.join(missing)}"), False
    search = _Search(subject, call, setting, started + seconds, lost_before=call.lost, died_before=call.lost > 0)
    ending = search.run(seed)
    if search.smallest is not None:
        try:
            found = _failure(search, reproduce, again=ending != "interrupt")
        except KeyboardInterrupt:
            found, ending = _failure(search, reproduce, again=False), "interrupt"
    elif ending == "fault":
        found = _verdict(subject, "error", message=search.notes[-1])
    elif ending == "interrupt":
        found = _verdict(subject, "inconclusive", message=f"interrupted after {search.examples} examples")
    elif search.examples == 0:
        reason = "no time left to try it" if ending == "time" else "no input meets its premises"
        found = _verdict(subject, "inconclusive", message=reason)
    elif search.vacuous == search.examples:
        message = "the rounding bound was vacuous in every example" if not search.unknown else f"in every example: {search.unknown}"
        found = _verdict(subject, "inconclusive", message=message)
    else:
        found = _verdict(subject, "pass")
    elapsed = time.perf_counter() - started
    return replace(found, examples=search.examples, worst=search.worst, seconds=elapsed), ending == "interrupt"


def _failure(search: _Search, reproduce: Reproduce, again: bool) -> PropertyVerdict:
    """The smallest failing case, run ``again`` so that what is shown is what happens."""
    assert search.smallest is not None
    case, finding = search.smallest
    message = finding.message or "the property does not hold"
    if again:
        try:
            repeated = search.judge(case)
            if repeated.ok:
                message += "; not on every call: the target does not repeat itself"
            else:
                finding = repeated
        except (_Fault, HypothesisException):
            pass  # the first finding stands
    try:
        program = reproduce(search.subject, case, finding)
    except Exception as error:
        program = f"# no program could be written: {one_line(error)}\n"
    return _verdict(search.subject, "fail", message=message, counterexample=Counterexample(case, finding, program))


def _verdict(
    subject: Property, verdict: str, *, message: str = "", counterexample: Counterexample | None = None
) -> PropertyVerdict:
    return PropertyVerdict(
        id=subject.id,
        title=subject.title,
        theorem=subject.theorem,
        verdict=verdict,  # type: ignore[arg-type]
        message=message,
        counterexample=counterexample,
    )


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
    ends = time.perf_counter() + (setting.profile.seconds if max_seconds is None else max_seconds)
    verdicts: list[PropertyVerdict] = []
    interrupted = False
    with _shown(progress, len(properties)) as show:
        for number, subject in enumerate(properties):
            if interrupted:
                verdicts.append(_verdict(subject, "inconclusive", message="interrupted before it was tried"))
                continue
            show(subject.id)
            given_back = min(call.lost, MOST_GIVEN_BACK)
            share = max(0.0, ends + given_back - time.perf_counter()) / (len(properties) - number)
            try:
                found, interrupted = run_property(subject, call, setting, seed=seed, seconds=share, reproduce=reproduce)
            except KeyboardInterrupt:
                found, interrupted = _verdict(subject, "inconclusive", message="interrupted"), True
            verdicts.append(found)
    return tuple(verdicts), interrupted


@contextmanager
def _shown(wanted: bool, total: int) -> Iterator[Callable[[str], None]]:
    """A progress display on stderr, where that is a terminal; yields what to call before each property."""
    if not wanted or not sys.stderr.isatty():
        yield lambda name: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        done = iter(range(total + 1))
        yield lambda name: bar.update(task, description=name, completed=next(done))
