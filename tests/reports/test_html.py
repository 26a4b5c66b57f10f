"""The HTML page: well formed, self-contained, safe with any text, and saying everything that the report holds."""

from __future__ import annotations

import base64
from dataclasses import replace
from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st

from kernelproof.reports.html import render_html
from kernelproof.reports.markup import anchor, escape
from kernelproof.reports.model import Equation, PhaseSection, Report, TheoremEntry

VOID = {"meta", "link", "img", "br", "hr", "wbr"}
LOADS = {"src", "href", "srcset", "action", "data", "poster", "background", "formaction", "xlink:href"}


class Page(HTMLParser):
    """What a parser sees in a page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.loads: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name == "id":
                self.ids.append(value or "")
            if name in LOADS:
                self.loads.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_balanced_and_named_once(report: Report) -> None:
    page = Page(render_html(report))
    assert len(page.ids) == len(set(page.ids))


def test_nothing_comes_from_outside(report: Report) -> None:
    text = render_html(report)
    page = Page(text)
    assert page.loads
    for address in page.loads:
        assert address.startswith(("#", "data:image/png;base64,")) or address == "data:,"
    assert "script" not in page.tags
    assert not any(name.startswith("on") for name in page.attributes)
    assert "url(" not in text and "@import" not in text
    assert "default-src &#x27;none&#x27;" in text


def test_links_within_the_page_lead_somewhere(report: Report) -> None:
    page = Page(render_html(report))
    for address in page.loads:
        if address.startswith("#"):
            assert address[1:] in page.ids


def test_a_theorem_of_the_same_name_is_linked_in_its_own_section(report: Report) -> None:
    text = render_html(report)
    assert f'href="#{anchor("theorem", "softmax", "softmax.shift")}"' in text
    assert "elsewhere.<wbr>unknown</code>" in text
    assert "elsewhere.<wbr>unknown</code></a>" not in text


def test_a_token_that_is_markup_stays_text(report: Report, nasty: str) -> None:
    text = render_html(report)
    assert "<script" not in text
    assert escape(nasty) in text
    assert nasty in Page(text).text


@settings(deadline=None)
@given(st.text() | st.text(alphabet="<>&\"'/!-=scripta "))
def test_any_text_is_safe(text: str) -> None:
    def page(text: str) -> Page:
        equation = Equation(text, text, text)
        section = PhaseSection(text, text, text, definitions=(equation,), counterexamples=(text,))
        return Page(render_html(Report(text, text, ((text, text),), (section,), text, ((text, text),), (text,))))

    harmless = page("word")
    assert page(text).tags - {"math", "semantics", "annotation"} <= harmless.tags | {"code", "wbr"}
    assert page(text).attributes <= harmless.attributes | {"encoding", "display", "aria-label"}


def test_everything_is_said(report: Report) -> None:
    text = Page(render_html(report)).text
    for section in report.sections:
        for words in (section.title, section.summary, *section.counterexamples):
            assert words in text
        for step in section.steps:
            assert step.title in text and step.rule in text
        for theorem in section.theorems:
            assert theorem.id in text and theorem.title in text
        for row in section.properties:
            assert row.id in text and f"{row.examples:,}" in text
        for source in section.sources:
            assert source.text in text
    for key, value in (*report.overview, *report.versions):
        assert key in text and value in text
    assert report.reproduction in text


def test_verdicts_are_words_and_marks_not_colour_alone(report: Report) -> None:
    text = Page(render_html(report)).text
    for words in ("✗ fail", "✓ pass", "– not applicable", "≈ inconclusive", "■ proved", "◧ instance", "△ assumed"):
        assert words in text


def test_a_verdict_of_a_later_version_is_still_shown(report: Report) -> None:
    section = report.sections[0]
    odd = replace(section, properties=(replace(section.properties[0], verdict="undecided"),))
    assert "? undecided" in Page(render_html(replace(report, sections=(odd,)))).text


def test_figures_are_inside(report: Report) -> None:
    text = render_html(report)
    for section in report.sections:
        for figure in section.figures:
            assert base64.b64encode(figure.png).decode() in text


def test_same_report_same_page(report: Report) -> None:
    assert render_html(report) == render_html(report)


def test_an_empty_report_is_a_page() -> None:
    text = render_html(Report("Empty", "", (), (), "", ()))
    assert "<table" not in text
    assert "Empty" in Page(text).text


def test_hypotheses_and_axioms_are_shown(report: Report) -> None:
    entry = report.sections[0].theorems[0]
    assert isinstance(entry, TheoremEntry)
    text = Page(render_html(report)).text
    assert "12 rule applications; axioms: exp_positive" in text
    assert "1 rule application; no axioms" in text
