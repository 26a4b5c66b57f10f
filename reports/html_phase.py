"""The HTML of one phase: definition, derivation, theorems, properties, arrays, figures, sources.

Guarantees: parts that are empty are left out; a theorem's id links to its theorem where the report has it, and is plain
otherwise.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence

from kernelproof.reports.highlight import highlight
from kernelproof.reports.markup import Child, Markup, anchor, identifier, tag
from kernelproof.reports.mathml import equation_html
from kernelproof.reports.model import (
    Equation,
    Figure,
    PhaseSection,
    PropertyRow,
    Report,
    SourceFile,
    Step,
    TheoremEntry,
)
from kernelproof.reports.verdicts import look, ratio, seconds, tally


class Links:
    """Where each theorem stands on the page."""

    def __init__(self, report: Report) -> None:
        self._places: dict[str, str] = {}
        for section in report.sections:
            for theorem in section.theorems:
                self._places.setdefault(theorem.id, section.phase)

    def theorem(self, name: str, section: PhaseSection) -> Markup:
        """The id of a theorem, linked; the one of the same section if there are several."""
        here = any(theorem.id == name for theorem in section.theorems)
        place = section.phase if here else self._places.get(name)
        code = identifier(name)
        return code if place is None else tag("a", code, href=f"#{anchor('theorem', place, name)}")


def section_html(section: PhaseSection, number: int, links: Links) -> Markup:
    """One phase."""
    parts: list[Child] = [
        tag(
            "header",
            tag("p", f"Phase {number} · ", tag("code", section.phase), class_="kicker"),
            tag("h2", section.title),
            tag("p", section.summary, class_="summary") if section.summary else None,
        )
    ]
    if section.definitions:
        equations = [equation_html(equation) for equation in section.definitions]
        parts += [tag("h3", "Definition"), tag("div", equations, class_="definition")]
    if section.steps or section.licences:
        parts += [tag("h3", "From the definition to the kernel"), _derivation(section, links)]
    if section.gradient_steps:
        stages = tag("div", [equation_html(equation) for equation in section.gradient_definitions], class_="definition")
        steps = tag("ol", [_step(step) for step in section.gradient_steps], class_="steps")
        count = f"Definitions and derivation, {len(section.gradient_steps)} steps"
        parts += [tag("h3", "Gradient"), tag("details", tag("summary", count), stages, steps)]
    if section.theorems:
        theorems = [_theorem(theorem, section) for theorem in section.theorems]
        parts += [tag("h3", "Theorems"), tag("div", theorems, class_="theorems")]
    if section.properties or section.counterexamples:
        parts += [tag("h3", "Properties, run on the kernels"), _properties(section, links)]
    if section.shapes:
        parts += [tag("h3", "Arrays of this run"), _shapes(section)]
    if section.figures:
        parts += [_figure(figure) for figure in section.figures]
    if section.sources:
        parts += [tag("h3", "Generated source"), [_source(source) for source in section.sources]]
    return tag("section", parts, id=anchor("phase", section.phase), class_="phase")


def chip(verdict: str, count: int | None = None) -> Markup:
    """A verdict as a small label: mark, words, colour; with a count in front where there is one."""
    shown = look(verdict)
    mark = tag("span", shown.mark, aria_hidden="true")
    words = shown.words if count is None else f"{count} {shown.words}"
    return tag("span", mark, f" {words}", class_=f"chip {shown.tone}", title=shown.meaning)


def chips(rows: Iterable[PropertyRow]) -> list[Child]:
    """How many rows have each verdict."""
    return [item for verdict, count in tally(rows) for item in (chip(verdict, count), " ")]


def table(heads: Sequence[tuple[str, str]], rows: Iterable[Sequence[Child]]) -> Markup:
    """A table; each head is its words and the class of its column (``num`` for numbers)."""
    head = tag("tr", [tag("th", words, class_=kind or None, scope="col") for words, kind in heads])
    kinds = [kind or None for _, kind in heads]
    body = [tag("tr", [tag("td", cell, class_=kind) for cell, kind in zip(row, kinds, strict=True)]) for row in rows]
    return tag("div", tag("table", tag("thead", head), tag("tbody", body)), class_="table")


def _derivation(section: PhaseSection, links: Links) -> list[Child]:
    parts: list[Child] = []
    if section.steps:
        count = f"{len(section.steps)} step{'s' if len(section.steps) > 1 else ''}"
        steps = tag("ol", [_step(step) for step in section.steps], class_="steps")
        parts.append(tag("details", tag("summary", f"Derivation, {count}"), steps, open=True))
    if section.licences:
        names: list[Child] = []
        for name in section.licences:
            names += [", " if names else None, links.theorem(name, section)]
        parts.append(tag("p", "The last line is the kernel, and may be, because of ", names, ".", class_="licence"))
    return parts


def _step(step: Step) -> Markup:
    by = tag("span", "by ", tag("code", step.rule), class_="rule") if step.rule else None
    words = tag("div", tag("span", step.title, class_="step-title"), " ", by)
    head = tag("div", words, chip(step.status), class_="step-head")
    return tag("li", head, equation_html(step.equation), _given(step.hypotheses))


def _given(hypotheses: Sequence[Equation]) -> Markup | None:
    if not hypotheses:
        return None
    separated: list[Child] = []
    for hypothesis in hypotheses:
        separated += [", " if separated else None, equation_html(hypothesis, display=False)]
    return tag("p", "given ", separated, class_="given")


def _theorem(theorem: TheoremEntry, section: PhaseSection) -> Markup:
    size = f"{theorem.rules} rule application{'' if theorem.rules == 1 else 's'}"
    axioms: list[Child] = ["; no axioms"]
    if theorem.axioms:
        axioms = ["; axioms: "]
        for name in theorem.axioms:
            axioms += [", " if len(axioms) > 1 else None, tag("code", name)]
    return tag(
        "article",
        tag("div", tag("h4", theorem.title), chip(theorem.status), class_="theorem-head"),
        tag("code", theorem.id, class_="theorem-id"),
        equation_html(theorem.statement),
        _given(theorem.hypotheses),
        tag("p", size, axioms, class_="rests-on"),
        id=anchor("theorem", section.phase, theorem.id),
        class_="theorem",
    )


def _properties(section: PhaseSection, links: Links) -> list[Child]:
    # most properties have the name of their theorem; then one column says both
    apart = any(row.theorem != row.id for row in section.properties)
    heads = [("property", ""), ("theorem", "")] if apart else [("property and theorem", "")]
    heads += [("kernel", ""), ("verdict", ""), ("examples", "num"), ("error / bound", "num"), ("seconds", "num")]
    rows: list[Sequence[Child]] = [
        (
            *([identifier(row.id)] if apart else []),
            links.theorem(row.theorem, section) if row.theorem else "—",
            row.backend,
            chip(row.verdict),
            f"{row.examples:,}",
            ratio(row.worst_error_over_bound),
            seconds(row.seconds),
        )
        for row in section.properties
    ]
    parts: list[Child] = [table(heads, rows)] if rows else []
    for text in section.counterexamples:
        shown = (tag("summary", "Counterexample"), tag("pre", text))
        parts.append(tag("details", *shown, open=True, class_="counterexample"))
    return parts


def _shapes(section: PhaseSection) -> Markup:
    heads = [("array", ""), ("shape", "num"), ("dtype", ""), ("meaning", "")]
    rows: list[Sequence[Child]] = []
    for shape in section.shapes:
        size = " × ".join(str(length) for length in shape.shape) or "scalar"
        rows.append((tag("code", shape.name), size, tag("code", shape.dtype), shape.meaning))
    return table(heads, rows)


def _figure(figure: Figure) -> Markup:
    data = base64.b64encode(figure.png).decode("ascii")
    image = tag("img", src=f"data:image/png;base64,{data}", alt=figure.alt, loading="lazy")
    return tag("figure", image, tag("figcaption", tag("strong", figure.title), " ", figure.caption))


def _source(source: SourceFile) -> Markup:
    lines = len(source.text.splitlines())
    size = tag("span", f"{lines:,} line{'' if lines == 1 else 's'}", class_="quiet-note")
    summary = tag("summary", tag("code", source.name), f" {source.caption} ", size)
    return tag("details", summary, tag("pre", tag("code", highlight(source.text, source.language))), class_="source")
