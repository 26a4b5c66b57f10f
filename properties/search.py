"""The search for a counterexample of one property: Hypothesis in short rounds, which may be interrupted and go on later.

Guarantees: a seed repeats a search (no database; the streams of properties are independent of each other); a target's failure is kept
with its smallest input and is never an exception here; a fault of ours is told apart from one of the target.
Cannot see: by itself, a call that does not come back (an isolated one is cut off); time is looked at between examples.
"""

from __future__ import annotations

import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.errors import HypothesisException, InvalidArgument, Unsatisfiable
from hypothesis.strategies import DrawFn

from kernelproof.properties.call import Call, TargetDied, TargetRaised, TimeIsUp, one_line
from kernelproof.properties.deaths import died_finding
from kernelproof.properties.draws import same_draws_everywhere
from kernelproof.properties.model import Case, Finding, Property, Setting
from kernelproof.properties.reproducer import raised_finding

#: why a search ended; after ``time`` it may go on
Ending = Literal["done", "time", "fault", "interrupt"]
LEAST_SHRINK_SECONDS = 0.3
#: examples in one run of Hypothesis, and how many runs without a new one end the search
ROUND = 9
MOST_IDLE = 4
#: workers that one property may use up on the way to a smaller failure
MOST_DEATHS = 24


class Fault(BaseException):
    """Our own code failed; Hypothesis must not shrink that."""


class _Convicted(Exception):
    """What Hypothesis takes for the test's failure, and shrinks."""


@dataclass
class Search:
    """The examples of one property. Times are moments of ``time.perf_counter``."""

    subject: Property
    call: Call
    setting: Setting
    #: seconds that may be lost with workers on the way to a smaller failure
    seconds_of_deaths: float = 8.0
    examples: int = 0
    vacuous: int = 0
    deaths: int = 0
    unknown: str = ""
    worst: float | None = None
    last: tuple[Case, Finding] | None = None
    smallest: tuple[Case, Finding] | None = None
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    _seen: set[int] = field(default_factory=set)
    _rounds: int = 0
    _idle: int = 0
    #: seconds that calls had lost when this piece of the search began, and with the first death of this property
    _lost_before: float = 0.0
    _lost_first: float = 0.0
    _deadline: float = 0.0
    _ends: float = 0.0
    _first_by: float = 0.0
    _enough: int = 0

    def run(self, seed: int, deadline: float, ends: float, enough: int, first_by: float = 0.0) -> Ending:
        """Search until ``enough`` examples or the deadline. What is lost with workers comes on top of it, until ``ends``; the first
        example may begin after the deadline, until ``first_by``.
        """
        started = time.perf_counter()
        self._first_by = first_by
        self.setting = replace(self.setting, ends=ends)
        self._deadline, self._ends, self._lost_before = deadline, ends, self.call.lost
        self._enough = min(enough, self.setting.profile.examples)
        try:
            while True:
                before = self.examples
                ending = self._round(f"{seed} {self.subject.id} {self._rounds}")
                if ending == "time" and self.last is None:
                    # the same stream again next time: what was seen goes by quickly
                    return ending
                self._rounds += 1
                self._idle = 0 if self.examples > before else self._idle + 1
                if ending != "done" or self.last or self.examples >= self.setting.profile.examples or self._idle == MOST_IDLE:
                    return ending
        finally:
            self.seconds += time.perf_counter() - started

    def _round(self, stream: str) -> Ending:
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
            backend="hypothesis",
        )
        @given(cases())
        def search(case: Case) -> None:
            self._example(case)

        try:
            with same_draws_everywhere():
                search()
        except TimeIsUp:
            return "time"
        except Fault as fault:
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

    @property
    def _limit(self) -> float:
        """What is lost with workers has a limit of its own."""
        return min(self._deadline + self.call.lost - self._lost_before, self._ends)

    def _example(self, case: Case) -> None:
        now = time.perf_counter()
        if now >= self._limit and (self.examples or now >= self._first_by):
            raise TimeIsUp
        if self.last is None:
            # every round begins with the simplest example
            if hash(case) in self._seen or self.examples >= self.setting.profile.examples:
                return
            if self.examples >= self._enough:
                raise TimeIsUp
        finding = self.judge(case)
        if self.last is None:
            self._seen.add(hash(case))
            self.examples += 1
            self.vacuous += finding.vacuous
            self.unknown = finding.message if finding.vacuous else self.unknown
        if finding.ratio is not None and not (self.worst is not None and self.worst >= finding.ratio):
            self.worst = finding.ratio
        if finding.ok:
            return
        if self.last is None:
            now = time.perf_counter()
            left = max(LEAST_SHRINK_SECONDS, self._limit - now)
            self._lost_before = self.call.lost
            self._deadline = now + min(self.setting.profile.shrink_seconds, left)
        self.last = (case, finding)
        if self.smallest is None or _weight(finding) <= _weight(self.smallest[1]):
            self.smallest = self.last
        if self._worn():
            raise TimeIsUp
        raise _Convicted

    def _worn(self) -> bool:
        """Whether enough workers have died for this property."""
        return self.deaths >= MOST_DEATHS or (self.deaths > 0 and self.call.lost - self._lost_first > self.seconds_of_deaths)

    def judge(self, case: Case) -> Finding:
        """The finding for one case; what the target raises is a finding too."""
        with _faults_escape():
            try:
                return self.subject.check(self.call, case, self.setting)
            except TargetDied as error:
                self.deaths += 1
                if self.deaths == 1:
                    self._lost_first = self.call.lost
                return died_finding(error, case)
            except TargetRaised as error:
                return raised_finding(error.text, error.inputs, case)


@contextmanager
def _faults_escape() -> Iterator[None]:
    """Turn exceptions of our own code into :class:`Fault`; leave Hypothesis its own control flow."""
    try:
        yield
    except InvalidArgument as error:
        raise Fault from error
    except HypothesisException:
        raise
    except Exception as error:
        raise Fault from error


def _weight(finding: Finding) -> int:
    """How much a reader has to look at."""
    if finding.inputs is None:
        return sys.maxsize
    return sum(array.size for array in finding.inputs.tensors.values())
