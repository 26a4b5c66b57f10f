"""The same examples for many kernels of one phase: drawn once, judged for each.

What it does: what Hypothesis draws for a property depends on the seed, the property and the setting, and on the target only from its first
failure on. So the examples that a search would try are recorded once, with a check that always holds, and every kernel is judged on them in
order. Guarantees: the verdict and the number of examples are those of :func:`kernelproof.properties.runner.run_property` with time enough
and no shrinking (a test compares the two). Cannot see: a hanging kernel; these run in this process, so only known ones belong here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from kernelproof.properties.call import Call
from kernelproof.properties.model import Case, Finding, Property, Setting
from kernelproof.properties.registry import properties_of
from kernelproof.properties.runner import run_property
from kernelproof.properties.search import Fault, Search
from kernelproof.properties.shapes import phase_shape

SECONDS = 3600.0
HELD = Finding(ok=True, ratio=0.0)
Word = Literal["pass", "fail", "inconclusive", "not_applicable", "error"]


@dataclass(frozen=True)
class Judgement:
    """One property on one kernel; ``examples`` up to the failure, with it."""

    property_id: str
    verdict: Word
    examples: int
    message: str = ""


class SharedExamples:
    """The examples of all properties under one setting and seed."""

    def __init__(self, setting: Setting, seed: int) -> None:
        self.setting, self.seed = replace(setting, profile=replace(setting.profile, shrink_seconds=0.0)), seed
        self._cases: dict[str, tuple[Case, ...]] = {}

    @cached_property
    def properties(self) -> tuple[Property, ...]:
        """All properties of the phase under the variant."""
        return tuple(properties_of(self.setting.phase, self.setting.variant))

    def cases(self, subject: Property) -> tuple[Case, ...]:
        """What a search tries on a kernel that never fails."""
        if subject.id not in self._cases:
            seen: list[Case] = []

            def record(call: Call, case: Case, setting: Setting) -> Finding:
                seen.append(case)
                return HELD

            unused = Call(_never, phase_shape(self.setting.phase, self.setting.variant))
            found, interrupted = run_property(
                replace(subject, check=record), unused, self.setting, seed=self.seed, seconds=SECONDS, reproduce=lambda *_: ""
            )
            if interrupted:
                raise KeyboardInterrupt
            if found.verdict == "error":
                raise RuntimeError(f"drawing for {subject.id}: {found.message}")
            self._cases[subject.id] = tuple(seen)
        return self._cases[subject.id]

    def ordered(self, first: Sequence[str] = ()) -> list[Property]:
        """The properties, those whose short names are given first."""
        place = {name: at for at, name in enumerate(first)}
        return sorted(self.properties, key=lambda found: place.get(short(found), len(place)))

    def judged(self, call: Call, properties: Sequence[Property], most: int = 0) -> Iterator[Judgement]:
        """The verdicts, one by one; a failure ends the examples of its property, and so does the number of ``most``, if it is not 0."""
        for subject in properties:
            yield self._judgement(call, subject, most)

    def _judgement(self, call: Call, subject: Property, most: int) -> Judgement:
        if missing := sorted(subject.needs - self.setting.capabilities):
            return Judgement(subject.id, "not_applicable", 0, f"the target does not take {', '.join(missing)}")
        search, vacuous, cases = Search(subject, call, self.setting), 0, self.cases(subject)[: most or None]
        for number, case in enumerate(cases, start=1):
            try:
                finding = search.judge(case)
            except Fault as fault:
                return Judgement(subject.id, "error", number, repr(fault.__cause__ or fault))
            if not finding.ok:
                return Judgement(subject.id, "fail", number, finding.message)
            vacuous += finding.vacuous
        if vacuous == len(cases):
            why = "the rounding bound was vacuous in every example" if cases else "no input meets its premises"
            return Judgement(subject.id, "inconclusive", len(cases), why)
        return Judgement(subject.id, "pass", len(cases))


def short(subject: Property) -> str:
    """The name of a property without its phase."""
    return subject.id.removeprefix(f"{subject.phase}.")


def _never(*_: object) -> object:
    raise AssertionError
