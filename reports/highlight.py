"""Source text with coloured keywords, strings, numbers and comments.

Guarantees: the text of the result is the source, character for character; text of an unknown language, or that does not
parse, is shown plain.
Cannot see: names; a call of a function looks like any other name.
"""

from __future__ import annotations

import io
import keyword
import re
import token
import tokenize

from kernelproof.reports.markup import Child, Markup, escape, join, tag

_C_LIKE = re.compile(
    r"(?P<c>//[^\n]*|/\*[\s\S]*?\*/)|(?P<s>\"(?:\\.|[^\"\\\n])*\")|(?P<n>\b\d[\w.]*)|"
    r"(?P<k>\b(?:__global__|__device__|__shared__|__restrict__|bool|break|const|continue|double|else|extern|float|for|half|if|"
    r"inline|int|long|return|size_t|static|template|typename|unsigned|void|while)\b|^[ \t]*\#\w+)",
    re.MULTILINE,
)
_JSON = re.compile(
    r"(?P<k>\"(?:\\.|[^\"\\\n])*\"(?=\s*:))|(?P<s>\"(?:\\.|[^\"\\\n])*\")|(?P<n>-?\b\d[\d.eE+-]*|\b(?:true|false|null)\b)"
)


def highlight(text: str, language: str) -> Markup:
    """``text`` as HTML, with ``<span class="k|s|n|c">`` around what is known in ``language``."""
    if language == "python":
        return _python(text)
    pattern = {"cuda": _C_LIKE, "c": _C_LIKE, "c++": _C_LIKE, "json": _JSON}.get(language)
    return escape(text) if pattern is None else _by_pattern(text, pattern)


def _by_pattern(text: str, pattern: re.Pattern[str]) -> Markup:
    parts: list[Child] = []
    end = 0
    for found in pattern.finditer(text):
        parts += [text[end : found.start()], tag("span", found.group(), class_=found.lastgroup)]
        end = found.end()
    return join([*parts, text[end:]])


def _python(text: str) -> Markup:
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    parts: list[Child] = []
    end = 0
    try:
        for kind, string, (row, column), _, _ in tokenize.generate_tokens(io.StringIO(text).readline):
            style = _style(kind, string)
            start = starts[row - 1] + column if style else 0
            if style and text[start : start + len(string)] == string and start >= end:
                parts += [text[end:start], tag("span", string, class_=style)]
                end = start + len(string)
    except (tokenize.TokenError, SyntaxError, IndexError):
        return escape(text)
    return join([*parts, text[end:]])


def _style(kind: int, string: str) -> str | None:
    if kind == token.NAME:
        return "k" if keyword.iskeyword(string) else None
    if kind == token.STRING or token.tok_name[kind].startswith("FSTRING"):
        return "s"
    return {token.NUMBER: "n", tokenize.COMMENT: "c"}.get(kind)
