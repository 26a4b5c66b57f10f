"""What a report holds: plain values, ready to print. The renderers read nothing else.

Guarantees: frozen, and a figure's or source's name is usable as a file name on every system, checked when it is made.
Cannot see: whether a status or verdict is deserved. It is printed as given; the layers below answer for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

THEOREM_STATUSES = ("proved", "checked", "instance", "sampled", "assumed")
VERDICTS = ("pass", "fail", "inconclusive", "not_applicable", "error")

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Equation:
    """One formula in three notations; ``mathml`` is presentational, with or without ``<math>`` around it, or empty."""

    text: str
    latex: str
    mathml: str


@dataclass(frozen=True)
class Step:
    """One line of a derivation: the equation reached, the rule that reached it, and what the rule needed."""

    title: str
    equation: Equation
    rule: str
    hypotheses: tuple[Equation, ...]
    status: str  # one of THEOREM_STATUSES


@dataclass(frozen=True)
class TheoremEntry:
    """A theorem with everything it rests on."""

    id: str
    title: str
    statement: Equation
    hypotheses: tuple[Equation, ...]
    axioms: tuple[str, ...]
    status: str  # one of THEOREM_STATUSES
    rules: int  # applications of rules in its proof


@dataclass(frozen=True)
class PropertyRow:
    """One property, run on one kernel."""

    id: str
    theorem: str  # the id of the theorem that the property is
    verdict: str  # one of VERDICTS
    examples: int
    worst_error_over_bound: float | None  # above 1 the kernel broke its bound; None: the property measures no error
    seconds: float
    backend: str


@dataclass(frozen=True)
class ArrayShape:
    """One array of the run."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    meaning: str


@dataclass(frozen=True)
class Figure:
    """A picture, already drawn. ``alt`` says in words what it shows."""

    name: str  # the file is figures/NAME.png
    title: str
    caption: str
    png: bytes = field(repr=False)
    alt: str

    def __post_init__(self) -> None:
        _check_file_name("figure", self.name)


@dataclass(frozen=True)
class SourceFile:
    """A generated file, as text."""

    name: str  # the file is kernels/NAME
    language: str  # python, cuda, json, …: names the highlighting
    text: str
    caption: str

    def __post_init__(self) -> None:
        _check_file_name("source file", self.name)


@dataclass(frozen=True)
class PhaseSection:
    """Everything about one phase, in the order of the page. Any part may be empty and is then left out."""

    phase: str
    title: str
    summary: str
    definitions: tuple[Equation, ...] = ()
    steps: tuple[Step, ...] = ()
    gradient_definitions: tuple[Equation, ...] = ()
    gradient_steps: tuple[Step, ...] = ()
    theorems: tuple[TheoremEntry, ...] = ()
    licences: tuple[str, ...] = ()  # ids of the theorems that license the kernel's form
    properties: tuple[PropertyRow, ...] = ()
    counterexamples: tuple[str, ...] = ()  # each a text of some lines, with its reproducer
    shapes: tuple[ArrayShape, ...] = ()
    figures: tuple[Figure, ...] = ()
    sources: tuple[SourceFile, ...] = ()


@dataclass(frozen=True)
class Report:
    """A whole report."""

    title: str
    subtitle: str
    overview: tuple[tuple[str, str], ...]  # key, value
    sections: tuple[PhaseSection, ...]
    reproduction: str  # the shell command that makes this report again
    versions: tuple[tuple[str, str], ...]  # package, version
    notes: tuple[str, ...] = ()


def _check_file_name(kind: str, name: str) -> None:
    if not _FILE_NAME.fullmatch(name):
        raise ValueError(f"{kind} name {name!r}: expected letters, digits, '.', '_' and '-' only, as it names a file")
