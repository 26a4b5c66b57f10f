"""What came out: one verdict a property, one for the target, as text, JSON and JUnit XML.

Guarantees: the JSON object is the contract's, strict, with infinities and NaN as strings; a property that was not
tried, or only vacuously, is never counted as passed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tabulate import tabulate

from kernelproof.numeric.precision import Precision
from kernelproof.properties.model import Case, Finding, Inputs, build
from kernelproof.properties.render import counterexample_text, jsonable, junit_text
from kernelproof.properties.saved import exact
from kernelproof.properties.shapes import forward_of, is_vjp

if TYPE_CHECKING:
    from kernelproof.properties.forensics import Forensics

Outcome = Literal["pass", "fail", "inconclusive", "not_applicable", "error"]
Overall = Literal["pass", "fail", "inconclusive", "error"]


@dataclass(frozen=True, eq=False)
class Counterexample:
    """An input on which the target broke a property. ``given`` are the arrays of the case where they are not those of its recipe."""

    case: Case
    finding: Finding
    reproducer: str
    given: Inputs | None = None

    def to_json(self) -> dict[str, Any]:
        """The contract's object. ``inputs`` also has the dtype, and for ``--replay`` the case and its arrays bit for bit."""
        found = self.finding
        inputs: dict[str, object] = {}
        if found.inputs is not None:
            inputs = {**found.inputs.tensors, **found.inputs.options, **found.inputs.extras}
        own = exact(self.given or build(self.case))
        return {
            "inputs": jsonable({**inputs, "dtype": self.case.dtype, "recipe": self.case.describe(), "exact": own}),
            "observed": jsonable(found.message if found.observed is None else found.observed),
            "expected": jsonable(found.expected),
            "reproducer": self.reproducer,
        }


@dataclass(frozen=True, eq=False)
class PropertyVerdict:
    """The outcome of one property. ``worst`` is the largest |error| / bound seen, None where nothing was measured."""

    id: str
    title: str
    theorem: str
    verdict: Outcome
    examples: int = 0
    worst: float | None = None
    seconds: float = 0.0
    message: str = ""
    counterexample: Counterexample | None = None
    #: whether time ran out before the profile's number of examples
    cut: bool = False

    def to_json(self) -> dict[str, Any]:
        """The contract's object; the text of a fault of our own stands where a counterexample would."""
        shown: dict[str, Any] | None = self.counterexample.to_json() if self.counterexample else None
        if self.verdict == "error":
            shown = {"inputs": {}, "observed": self.message, "expected": "an outcome", "reproducer": ""}
        return {
            "id": self.id,
            "theorem": self.theorem,
            "verdict": self.verdict,
            "examples": self.examples,
            "worst_error_over_bound": jsonable(self.worst),
            "counterexample": shown,
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True, eq=False)
class Verdict:
    """The outcome for a target: true where it passed, printed as a table."""

    target: str
    phase: str
    variant: Mapping[str, object]
    profile: str
    seed: int
    dtype: str
    versions: Mapping[str, str]
    properties: tuple[PropertyVerdict, ...]
    interrupted: bool = False
    #: where the target ran: a worker process, or none and why
    isolation: str = ""
    #: what the adapter of a well-known function assumed
    conventions: tuple[str, ...] = ()
    #: the arithmetic that the bounds are derived for
    precision: Precision | None = None
    #: why the definition was missed
    forensics: Forensics | None = None

    def __bool__(self) -> bool:
        return self.verdict == "pass"

    def count(self, outcome: Outcome) -> int:
        """How many properties came out so."""
        return sum(found.verdict == outcome for found in self.properties)

    @property
    def verdict(self) -> Overall:
        """``fail`` if any failed, else ``error`` if any erred, else ``pass`` if at least one passed, else
        ``inconclusive``.
        """
        for outcome in ("fail", "error", "pass"):
            if self.count(outcome):
                return outcome
        return "inconclusive"

    def exit_code(self, strict: bool = False) -> int:
        """0 where all held, 1 where something did not or nothing was conclusive, 130 where the search was
        interrupted.
        """
        if self.verdict != "pass" or (strict and self.count("inconclusive")):
            return 1
        return 130 if self.interrupted else 0

    def to_json(self) -> dict[str, Any]:
        """The object of ``verify --json``."""
        return {
            "target": self.target,
            "phase": forward_of(self.phase),
            **({"vjp": True} if is_vjp(self.phase) else {}),
            "variant": jsonable(dict(self.variant)),
            "verdict": self.verdict,
            "profile": self.profile,
            "seed": self.seed,
            "versions": {**self.versions, **self._circumstances()},
            **({"conventions": list(self.conventions)} if self.conventions else {}),
            "properties": [self._row(found) for found in self.properties],
        }

    def _circumstances(self) -> dict[str, str]:
        """What the outcome depends on beside versions: where the target ran, the arithmetic that the bounds are for, how it was changed."""
        told = {"isolation": self.isolation}
        if self.precision is not None:
            told |= {"arithmetic": str(self.precision), "precision": self.precision.changes()}
        return {name: value for name, value in told.items() if value}

    def _row(self, found: PropertyVerdict) -> dict[str, Any]:
        """A property as the contract has it; why the definition was missed stands as a comment below its reproducer."""
        row = found.to_json()
        if self.forensics is not None and found.id == self.forensics.property_id and row["counterexample"]:
            row["counterexample"]["reproducer"] += "\n" + "".join(f"# {line}\n" for line in str(self.forensics).splitlines())
        return row

    def json_text(self) -> str:
        """:meth:`to_json` as text; no NaN and no infinity can be in it."""
        return json.dumps(self.to_json(), indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    def table(self) -> str:
        """One line a property."""
        rows = [
            (found.id, found.verdict, found.examples, _ratio(found.worst), f"{found.seconds:.2f}")
            for found in self.properties
        ]
        headers = ("property", "verdict", "examples", "worst error/bound", "seconds")
        # numbers are text already: tabulate would pad them to a common precision
        text: str = tabulate(rows, headers, disable_numparse=True, colalign=("left", "left", "right", "right", "right"))
        told = [f"isolation: {self.isolation}"] if self.isolation else []
        told += [f"assumed: {convention}" for convention in self.conventions]
        told += [f"arithmetic: {self.precision}"] if self.precision else []
        return "\n\n".join([text, *(["\n".join(told)] if told else [])])

    def summary(self) -> str:
        """The overall verdict in one line, with everything that did not pass counted aloud."""
        others = (
            ("fail", "failed"),
            ("error", "erred"),
            ("inconclusive", "inconclusive"),
            ("not_applicable", "not applicable"),
        )
        counts = [f"{self.count('pass')} of {len(self.properties)} properties passed"]
        counts += [f"{self.count(outcome)} {word}" for outcome, word in others if self.count(outcome)]  # type: ignore[arg-type]
        variant = "".join(f", {name}={value}" for name, value in self.variant.items())
        line = f"{self.target} as {self.phase}{variant}, {self.dtype}: {self.verdict} ({'; '.join(counts)}){self._short_of_time()}"
        return line + (" interrupted before the end" if self.interrupted else "")

    def _short_of_time(self) -> str:
        """How much of the profile's search there was no time for; a profile that its seconds bound has nothing to say."""
        cut = [found.examples for found in self.properties if found.cut]
        if not cut:
            return ""
        were = "property was" if len(cut) == 1 else "properties were"
        return f"; {len(cut)} {were} cut short by the time (fewest examples: {min(cut)}): give --max-seconds more"

    def counterexamples_text(self, most: int | None = None) -> str:
        """For every property that failed: what it says, the inputs, observed and expected, and a program that shows it.

        Beyond the first ``most``, one line each.
        """
        failed = [found for found in self.properties if found.counterexample is not None]
        whole = failed if most is None or len(failed) <= most + 1 else failed[:most]
        parts = [
            counterexample_text(
                found.id, found.theorem, found.message, found.counterexample.finding, found.counterexample.reproducer
            )
            for found in whole
            if found.counterexample is not None
        ]
        if rest := failed[len(whole) :]:
            parts.append("\n".join(f"FAILED {found.id}: {found.message}" for found in rest))
        return "\n\n".join(parts)

    def reasons(self) -> str:
        """Why properties are neither passed nor failed, one line for each reason."""
        grouped: dict[tuple[str, str], list[str]] = {}
        for found in self.properties:
            if found.verdict in ("inconclusive", "not_applicable", "error") and found.message:
                grouped.setdefault((found.verdict.replace("_", " "), found.message), []).append(found.id.rpartition(".")[2])
        return "\n".join(f"{verdict}: {', '.join(names)}: {message}" for (verdict, message), names in grouped.items())

    def remarks(self) -> str:
        """Why a property is neither passed nor failed, one line each."""
        told = ("inconclusive", "not_applicable", "error")
        lines = [f"{found.id}: {found.message}" for found in self.properties if found.verdict in told and found.message]
        return "\n".join(lines)

    def junit(self) -> str:
        """JUnit XML: one test case a property; neither inconclusive nor not-applicable ones count as passed."""
        return junit_text(
            f"kernelproof {self.phase} {self.target}",
            [
                (
                    found.id,
                    found.verdict,
                    found.seconds,
                    found.message,
                    found.counterexample.reproducer if found.counterexample else "",
                )
                for found in self.properties
            ],
            {"profile": self.profile, "seed": self.seed, "dtype": self.dtype, **self.variant, **self.versions},
        )

    def __str__(self) -> str:
        parts = (self.table(), self.remarks(), self.counterexamples_text(), str(self.forensics or ""), self.summary())
        return "\n\n".join(part for part in parts if part)


def _ratio(worst: float | None) -> str:
    return "" if worst is None else f"{worst:.3g}"
