"""A report as one Markdown file, for a repository or a terminal.

Guarantees: text of the report cannot become markup, break a table or end a code block; the same report gives the same
file. Figures and sources are named by the relative paths that :mod:`kernelproof.reports.write` gives them.
Cannot see: the reader's Markdown; tables are GitHub's, equations ``$$…$$``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tabulate import tabulate

from kernelproof.reports.model import ArrayShape, Equation, PhaseSection, PropertyRow, Report, Step, TheoremEntry
from kernelproof.reports.verdicts import look, ratio, seconds, tally, worst_ratio

_SPECIAL = re.compile(r"([\\`*\[\]<>|$~#]|(?<![^\W_])_|_(?![^\W_]))")


def render_markdown(report: Report) -> str:
    """The file."""
    blocks = [f"# {_plain(report.title)}"]
    if report.subtitle:
        blocks.append(f"*{_plain(report.subtitle)}*")
    blocks.append(_table(("", ""), [(_plain(key), _plain(value)) for key, value in report.overview]))
    blocks += ["## At a glance", _glance(report)]
    for number, section in enumerate(report.sections, 1):
        blocks += _section(section, number)
    blocks.append("## Reproduction")
    if report.reproduction:
        blocks.append(_fence(report.reproduction, "sh"))
    versions = [(_plain(name), _plain(version)) for name, version in report.versions]
    blocks.append(_table(("package", "version"), versions))
    blocks.append("\n".join(f"- {_plain(note)}" for note in report.notes))
    return "\n\n".join(block for block in blocks if block) + "\n"


def _glance(report: Report) -> str:
    heads = ("phase", "theorems", "properties", "worst error / bound")
    rows = []
    for section in report.sections:
        verdicts = ", ".join(f"{count} {look(verdict).words}" for verdict, count in tally(section.properties))
        worst = ratio(worst_ratio(section.properties))
        rows.append((_plain(section.title), str(len(section.theorems)), verdicts, worst))
    return _table(heads, rows)


def _section(section: PhaseSection, number: int) -> list[str]:
    blocks = [f"## {number}. {_plain(section.title)}", _plain(section.summary)]
    if section.definitions:
        blocks += ["### Definition", *map(_display, section.definitions)]
    if section.steps or section.licences:
        blocks.append("### From the definition to the kernel")
        for count, step in enumerate(section.steps, 1):
            blocks += _step(step, count)
    if section.licences:
        names = ", ".join(_code(name) for name in section.licences)
        blocks.append(f"The last line is the kernel, and may be, because of {names}.")
    if section.gradient_steps:
        blocks += ["### Gradient", *map(_display, section.gradient_definitions)]
        for count, step in enumerate(section.gradient_steps, 1):
            blocks += _step(step, count)
    if section.theorems:
        blocks.append("### Theorems")
        for theorem in section.theorems:
            blocks += _theorem(theorem)
    if section.properties or section.counterexamples:
        blocks += ["### Properties, run on the kernels", _properties(section.properties)]
        blocks += [f"Counterexample:\n\n{_fence(text)}" for text in section.counterexamples]
    if section.shapes:
        blocks += ["### Arrays of this run", _shapes(section.shapes)]
    for figure in section.figures:
        blocks.append(f"![{_plain(figure.alt)}](figures/{figure.name}.png)")
        blocks.append(f"**{_plain(figure.title)}** {_plain(figure.caption)}")
    if section.sources:
        links = [f"- [{_code(file.name)}](kernels/{file.name}) {_plain(file.caption)}" for file in section.sources]
        blocks += ["### Generated source", "\n".join(links)]
    return blocks


def _step(step: Step, count: int) -> list[str]:
    rule = f"by {_code(step.rule)}; " if step.rule else ""
    given = "; given " + ", ".join(_inline(hypothesis) for hypothesis in step.hypotheses) if step.hypotheses else ""
    return [f"**{count}.** {_plain(step.title)} ({rule}{look(step.status).words}{given})", _display(step.equation)]


def _theorem(theorem: TheoremEntry) -> list[str]:
    given = ", ".join(_inline(hypothesis) for hypothesis in theorem.hypotheses)
    axioms = ", ".join(_code(name) for name in theorem.axioms) or "none"
    status = f"{look(theorem.status).mark} {_plain(look(theorem.status).words)}"
    return [
        f"#### {_plain(theorem.title)}",
        f"{_code(theorem.id)} {status}; rule applications: {theorem.rules}; axioms: {axioms}",
        f"Given {given}:" if given else "",
        _display(theorem.statement),
    ]


def _properties(rows: Iterable[PropertyRow]) -> str:
    heads = ("property", "theorem", "kernel", "verdict", "examples", "error / bound", "seconds")
    cells = [
        (
            _code(row.id),
            _code(row.theorem) if row.theorem else "—",
            _plain(row.backend),
            f"{look(row.verdict).mark} {_plain(look(row.verdict).words)}",
            f"{row.examples:,}",
            ratio(row.worst_error_over_bound),
            seconds(row.seconds),
        )
        for row in rows
    ]
    return _table(heads, cells, numbers=(4, 5, 6))


def _shapes(shapes: Iterable[ArrayShape]) -> str:
    rows = []
    for shape in shapes:
        size = " × ".join(str(length) for length in shape.shape) or "scalar"
        rows.append((_code(shape.name), size, _code(shape.dtype), _plain(shape.meaning)))
    return _table(("array", "shape", "dtype", "meaning"), rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    if not rows:
        return ""
    align = ["right" if column in numbers else "left" for column in range(len(heads))]
    # numparse would rewrite a version or a verdict that looks like a number
    return str(tabulate(rows, headers=heads, tablefmt="pipe", disable_numparse=True, colalign=align))


def _display(equation: Equation) -> str:
    if not equation.latex:
        return _fence(equation.text)
    return f"$$\n{_one_line(equation.latex)}\n$$"


def _inline(equation: Equation) -> str:
    return f"${_one_line(equation.latex)}$" if equation.latex else _code(equation.text)


def _plain(text: str) -> str:
    """Text on one line, with every character that Markdown reads escaped."""
    return _SPECIAL.sub(r"\\\1", _one_line(text)).replace("&", "&amp;")


def _code(text: str) -> str:
    """Code in a line, also inside a table."""
    line = _one_line(text).replace("|", "\\|")
    runs = [len(run) for run in re.findall("`+", line)]
    marks = "`" * (max(runs, default=0) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{marks}{pad}{line}{pad}{marks}" if line else ""


def _fence(text: str, language: str = "") -> str:
    marks = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text)), 3)
    return f"{marks}{language}\n{text.rstrip()}\n{marks}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
