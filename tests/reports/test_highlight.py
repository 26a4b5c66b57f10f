"""Highlighted source is the source."""

from __future__ import annotations

import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelproof.reports.highlight import highlight
from kernelproof.reports.markup import escape


def shown(html: str) -> str:
    return unescape(re.sub(r"<[^>]*>", "", html))


def test_python() -> None:
    source = 'def f(x):  # one < two\n    """text\n    more"""\n    return 1.5e3 if x else "a"\n'
    made = highlight(source, "python")
    assert shown(made) == source
    assert '<span class="k">def</span> f(x)' in made
    assert '<span class="c"># one &lt; two</span>' in made
    assert '<span class="n">1.5e3</span>' in made
    assert "text\n    more&quot;&quot;&quot;</span>" in made


def test_cuda() -> None:
    source = '#include <cuda.h>\n__global__ void f(float* x) { x[0] = 1.0f; /* a\n b */ } // "no string"\n'
    made = highlight(source, "cuda")
    assert shown(made) == source
    assert '<span class="k">__global__</span>' in made
    assert '<span class="c">// &quot;no string&quot;</span>' in made


def test_json() -> None:
    made = highlight('{"a": "b", "n": -1.5e-3, "t": true}', "json")
    assert '<span class="k">&quot;a&quot;</span>: <span class="s">&quot;b&quot;</span>' in made
    assert '<span class="n">-1.5e-3</span>' in made


def test_unknown_language_and_broken_python_are_plain() -> None:
    assert highlight("def <x>", "prose") == escape("def <x>")
    assert highlight('x = """open', "python") == escape('x = """open')


@pytest.mark.parametrize("language", ["python", "cuda", "json", "none"])
@given(text=st.text(alphabet="ab1.\"'#/\\*\n\t {}()<&é:\f\r\u2028", max_size=60))
def test_no_character_is_lost(language: str, text: str) -> None:
    assert shown(highlight(text, language)) == text
