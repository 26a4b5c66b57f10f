"""A report as one HTML page that opens offline: style, figures and equations are inside, and nothing runs.

Guarantees: the page asks for nothing from anywhere (its content security policy forbids it too) and holds no script;
every text of the report is escaped; the same report gives the same page.
Cannot see: the browser. One that draws no MathML shows the letters of an equation in a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from kernelproof.reports.html_phase import Links, chip, chips, section_html, table
from kernelproof.reports.markup import Child, Markup, anchor, tag
from kernelproof.reports.model import THEOREM_STATUSES, VERDICTS, PhaseSection, Report
from kernelproof.reports.verdicts import look, ratio, tally, worst_ratio

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def render_html(report: Report) -> str:
    """The page."""
    style = files("kernelproof.reports").joinpath("style.css").read_text("utf-8")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href="data:,"),  # else a browser asks the server for one
        tag("title", report.title),
        tag("style", Markup(style)),  # our own file, which holds no "</"
    )
    links = Links(report)
    main = tag(
        "main",
        _heading(report),
        _glance(report),
        [section_html(section, number, links) for number, section in enumerate(report.sections, 1)],
        _ending(report),
    )
    body = tag("body", tag("div", _contents(report), main, class_="page"))
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _contents(report: Report) -> Markup:
    entries = [tag("li", tag("a", "At a glance", href="#glance"))]
    for number, section in enumerate(report.sections, 1):
        mark = tag("span", str(number), class_="number")
        link = tag("a", mark, tag("span", section.title), href=f"#{anchor('phase', section.phase)}")
        worst = [look(verdict) for verdict, _ in tally(section.properties)[:1]]
        entries.append(tag("li", link, [tag("span", one.mark, class_=f"mark {one.tone}") for one in worst]))
    entries.append(tag("li", tag("a", "Reproduction", href="#reproduction")))
    title = tag("p", tag("a", report.title, href="#top"), class_="contents-title")
    return tag("nav", title, tag("ol", entries), class_="contents", aria_label="Contents")


def _heading(report: Report) -> Markup:
    rows = [tag("div", tag("dt", key), tag("dd", value)) for key, value in report.overview]
    return tag(
        "header",
        tag("h1", report.title),
        tag("p", report.subtitle, class_="subtitle") if report.subtitle else None,
        tag("dl", rows, class_="overview") if rows else None,
        id="top",
        class_="title",
    )


def _glance(report: Report) -> Markup:
    everything = [row for section in report.sections for row in section.properties]
    heads = [("phase", ""), ("theorems", ""), ("properties", ""), ("worst error / bound", "num"), ("kernels", "")]
    rows = [_glance_row(section) for section in report.sections]
    known = (*VERDICTS, *THEOREM_STATUSES)
    legend = [tag("div", tag("dt", chip(verdict)), tag("dd", look(verdict).meaning)) for verdict in known]
    return tag(
        "section",
        tag("h2", "At a glance"),
        tag("p", f"{len(everything)} properties run: ", chips(everything), class_="totals") if everything else None,
        table(heads, rows) if rows else None,
        tag("details", tag("summary", "What the marks mean"), tag("dl", legend, class_="legend")),
        id="glance",
    )


def _glance_row(section: PhaseSection) -> Sequence[Child]:
    statuses = [theorem.status for theorem in section.theorems]
    counts: list[Child] = []
    for status in (*THEOREM_STATUSES, *sorted(set(statuses) - set(THEOREM_STATUSES))):
        if status in statuses:
            counts += [chip(status, statuses.count(status)), " "]
    return (
        tag("a", section.title, href=f"#{anchor('phase', section.phase)}"),
        counts or "—",
        chips(section.properties) or "—",
        ratio(worst_ratio(section.properties)),
        ", ".join(dict.fromkeys(row.backend for row in section.properties)) or "—",
    )


def _ending(report: Report) -> list[Child]:
    versions = [tag("div", tag("dt", name), tag("dd", version)) for name, version in report.versions]
    parts: list[Child] = [tag("h2", "Reproduction")]
    if report.reproduction:
        parts += [tag("p", "This command makes the report again:"), tag("pre", report.reproduction, class_="command")]
    if versions:
        parts += [tag("h3", "Versions"), tag("dl", versions, class_="versions")]
    if report.notes:
        parts += [tag("h3", "Notes"), tag("ul", [tag("li", note) for note in report.notes])]
    return [tag("section", parts, id="reproduction")]
