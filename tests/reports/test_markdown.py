"""The Markdown file: its tables, equations and links, and text that stays text."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from kernelproof.reports.markdown import render_markdown
from kernelproof.reports.model import Equation, PhaseSection, Report

PROPERTIES = """
| property | theorem | kernel | verdict | examples | error / bound | seconds |
|:---------|:--------|:-------|:--------|---------:|--------------:|--------:|
| `softmax.row_sum_one` | `softmax.row_sum_one` | numpy | ✓ pass | 1,200 | 0.031 | 0.84 |
| `softmax.shift` | `softmax.shift` | numpy | ✗ fail | 14 | 3.2e+07 | 12.5 |
| `softmax.masked` | `softmax.shift` | cupy | – not applicable | 0 | — | 0.00 |
| `softmax.wide` | — | cupy | ≈ inconclusive | 10 | ∞ | 0.10 |
"""


def rows(table: str) -> list[list[str]]:
    """The cells of a table, without their padding, so that widths do not matter."""
    return [[cell.strip() for cell in line.split("|")] for line in table.splitlines() if line.startswith("|")]


def test_table_of_properties(report: Report) -> None:
    (found,) = (block for block in render_markdown(report).split("\n\n") if block.startswith("| property"))
    expected = rows(PROPERTIES)
    assert rows(found)[:1] + rows(found)[2:] == expected[:1] + expected[2:]
    assert [cell.endswith("-:") for cell in rows(found)[1]] == [cell.endswith("-:") for cell in expected[1]]


def test_every_table_is_rectangular(report: Report) -> None:
    blocks = [block for block in render_markdown(report).split("\n\n") if block.startswith("|")]
    assert len(blocks) == 6  # overview, glance, properties, two of arrays, versions
    for block in blocks:
        assert len({line.replace("\\|", "").count("|") for line in block.splitlines()}) == 1


def test_equations_are_display_math(report: Report) -> None:
    text = render_markdown(report)
    assert f"\n\n$$\n{report.sections[0].definitions[0].latex}\n$$\n\n" in text
    assert "given $n > 0$" in text and "Given $n > 0$:" in text


def test_links_are_relative(report: Report) -> None:
    text = render_markdown(report)
    assert "](figures/attention-head-0.png)" in text
    assert "- [`softmax_numpy.py`](kernels/softmax_numpy.py) NumPy kernel" in text


def test_markup_in_text_is_escaped(report: Report) -> None:
    text = render_markdown(report)
    assert "\\<script\\>alert(\"1\")\\</script\\> &amp; \\`x\\` \\| \\$y\\$ \\]\\](javascript:0)" in text


def test_a_fence_within_a_counterexample_does_not_end_it(report: Report) -> None:
    counterexample = report.sections[0].counterexamples[0]
    assert "```" in counterexample
    assert f"\n````\n{counterexample}\n````\n" in render_markdown(report)


def test_code_with_backticks_and_bars() -> None:
    section = PhaseSection("p", "P", "", licences=("a`b|c", "`x"))
    text = render_markdown(Report("R", "", (), (section,), "", ()))
    assert "because of ``a`b\\|c``, `` `x ``." in text


def test_versions_are_not_read_as_numbers(report: Report) -> None:
    assert ["", "numpy", "2.10", ""] in rows(render_markdown(report))


def test_equation_without_latex_is_code() -> None:
    section = PhaseSection("p", "P", "", definitions=(Equation("x = 1", "", ""),))
    assert "```\nx = 1\n```" in render_markdown(Report("R", "", (), (section,), "", ()))


@given(text=st.text(alphabet="ab|`$<>\n\r\t_*[]#\\&~ ", max_size=30))
def test_any_text_keeps_the_tables(text: str) -> None:
    made = render_markdown(Report("R", "", (("k", text), (text, "v")), (), "", ()))
    lines = made.split("\n\n")[1].split("\n")
    assert len(lines) == 4
    assert all(re.fullmatch(r"\|(?:[^|\\]|\\.)*\|(?:[^|\\]|\\.)*\|", line) for line in lines)


def test_same_report_same_file(report: Report) -> None:
    assert render_markdown(report) == render_markdown(report)
    assert render_markdown(report).endswith("\n")
