"""The HTML builder: plain strings cannot become anything but text."""

from __future__ import annotations

from html import unescape

from hypothesis import given
from hypothesis import strategies as st

from kernelproof.reports.markup import Markup, anchor, escape, identifier, join, tag


def test_children_are_escaped_unless_they_are_markup() -> None:
    assert tag("p", "<b>", Markup("<i></i>"), ["&", None]) == "<p>&lt;b&gt;<i></i>&amp;</p>"


def test_attributes() -> None:
    made = tag("a", "x", class_="big", aria_label='say "x"', open=True, title=None, hidden=False)
    assert made == '<a class="big" aria-label="say &quot;x&quot;" open>x</a>'


def test_void_elements_are_not_closed() -> None:
    assert tag("img", src="data:,", alt="") == '<img src="data:," alt="">'


def test_control_characters_are_replaced() -> None:
    assert escape("a\x00\x1b\ud800b\n") == "a\ufffd\ufffd\ufffdb\n"


@given(st.text(alphabet=st.characters(exclude_categories=["C"])))
def test_escaping_is_reversible_and_leaves_no_markup(text: str) -> None:
    escaped = escape(text)
    assert unescape(escaped) == text
    assert not set("<>\"'") & set(escaped)
    assert join(escaped) == escaped  # never twice


def test_names_may_break_after_dots_and_underscores() -> None:
    assert identifier("softmax.row_sum<") == "<code>softmax.<wbr>row_<wbr>sum&lt;</code>"


@given(st.text(), st.text())
def test_anchors_differ_where_texts_do(one: str, other: str) -> None:
    assert (anchor("p", one) == anchor("p", other)) == (one == other)
    assert all(character.isascii() and (character.isalnum() or character in "._-") for character in anchor(one))
