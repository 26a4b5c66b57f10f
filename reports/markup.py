"""HTML by construction: text is escaped unless it is already :class:`Markup`, and every element is closed.

Guarantees: what a plain string holds can never become an element, an attribute or an entity.
Cannot see: whether an element is allowed where it is put.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

_VOID = {"meta", "link", "img", "br", "hr", "wbr"}
# HTML has no way to write these, escaped or not; the parser of a browser drops or replaces them
_NOT_IN_HTML = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


class Markup(str):
    """A string that is HTML already."""

    __slots__ = ()


Child = str | None | Iterable["Child"]


def tag(element: str, /, *children: Child, **attributes: str | bool | None) -> Markup:
    """One element. ``class_`` is ``class``, ``a_b`` is ``a-b``; True: without a value; None, False: left out."""
    opening = [element]
    for key, value in attributes.items():
        attribute = key.strip("_").replace("_", "-")
        if value is True:
            opening.append(attribute)
        elif value is not None and value is not False:
            opening.append(f'{attribute}="{escape(value)}"')
    if element in _VOID:
        return Markup(f"<{' '.join(opening)}>")
    return Markup(f"<{' '.join(opening)}>{join(children)}</{element}>")


def join(children: Child) -> Markup:
    """Children one after another; strings escaped, None left out."""
    if children is None:
        return Markup("")
    if isinstance(children, str):
        return children if isinstance(children, Markup) else escape(children)
    return Markup("".join(join(child) for child in children))


def escape(text: str) -> Markup:
    """``text`` as HTML, for content and for quoted attributes alike; characters that HTML lacks become U+FFFD."""
    return Markup(html.escape(_NOT_IN_HTML.sub("\ufffd", text), quote=True))


def identifier(name: str) -> Markup:
    """A dotted name as code that may break after its dots and underscores."""
    parts = re.split(r"(?<=[._/])(?=.)", name)
    return tag("code", [(tag("wbr") if place else None, part) for place, part in enumerate(parts)])


def anchor(*parts: str) -> str:
    """An id for the page from any text; different texts give different ids."""
    return "-".join(re.sub(r"[^A-Za-z0-9.]", lambda found: f"_{ord(found.group()):x}_", part) for part in parts)
