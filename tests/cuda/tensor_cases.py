"""Calls of attention that fit the tensor-core kernels: ragged lengths around fragments (16) and tiles (64), causal in both alignments.

What it does: strided, broadcast and misaligned inputs, heads that share keys, rows that may attend to nothing, scores so large that the
shift of the softmax has a coarse last place, scores that grow from tile to tile. Values are drawn so that the stored format holds them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

LENGTHS = ((1, 1), (16, 64), (63, 65), (65, 63), (77, 130), (0, 3), (3, 0), (5, 200), (129, 129))


def calls(cases: Any, dtype: str, width: int, seed: int = 0) -> Iterator[Any]:
    """The calls for a width of a head; ``cases`` is the module of that name."""
    draw = cases.Draw(dtype, seed)
    for n, m in LENGTHS:
        for causal in (False, True):
            yield cases.Call({"q": draw(n, width), "k": draw(m, width), "v": draw(m, width)}, {"causal": causal})
    yield from _layouts(cases, draw, width)
    yield from _values(cases, draw, width)


def few(cases: Any, dtype: str, width: int, seed: int = 0) -> Iterator[Any]:
    """A few calls, for what is slow: a sanitizer, a wrong kernel."""
    draw = cases.Draw(dtype, seed)
    for n, m, causal in ((77, 130, True), (5, 200, False), (70, 50, True)):
        yield cases.Call({"q": draw(n, width), "k": draw(m, width), "v": draw(m, width)}, {"causal": causal})
    yield cases.Call({"q": draw(2, 20, width), "k": draw(2, 70, width), "v": draw(70, width)}, {"scale": 0.25})
    yield _growing(cases, draw, width)


def long(cases: Any, dtype: str, width: int, seed: int = 0) -> Iterator[Any]:
    """Calls through four tiles of 128 keys, so that memory of one is taken for another, and with one key in the last tile."""
    draw = cases.Draw(dtype, seed)
    yield cases.Call({"q": draw(1, width), "k": draw(129, width), "v": draw(129, width)}, {"causal": True})
    yield cases.Call({"q": draw(20, width), "k": draw(400, width), "v": draw(400, width)})


def _layouts(cases: Any, draw: Any, width: int) -> Iterator[Any]:
    yield cases.Call({"q": draw(2, 3, 20, width), "k": draw(2, 1, 70, width), "v": draw(70, width)}, {"causal": True, "scale": 0.75})
    # positions before heads, as a projection leaves them
    heads = {name: draw(33, 2, width) for name in "qkv"}
    yield cases.Call(heads, {"causal": True}, dict.fromkeys("qkv", lambda _, part: part.swapaxes(0, 1)))
    # heads of queries that share keys and values
    yield cases.Call({"q": draw(2, 2, 3, 9, width), "k": draw(2, 2, 1, 17, width), "v": draw(2, 2, 1, 17, width)})
    # rows backwards, and rows whose addresses are no multiple of 16 bytes
    yield cases.Call({name: draw(40, width) for name in "qkv"}, {}, {"k": lambda _, part: part[::-1]})
    yield cases.Call({"q": draw(18, width + 3), "k": draw(35, width), "v": draw(35, width)}, {}, {"q": lambda _, part: part[:, 3:]})
    yield cases.Call({"q": draw(width, 18), "k": draw(35, width), "v": draw(35, width)}, {}, {"q": lambda _, part: part.T})
    # four leading axes that do not merge
    yield cases.Call({"q": draw(2, 2, 1, 3, width), "k": draw(1, 2, 2, 4, width), "v": draw(2, 1, 1, 1, 4, width)})


def _growing(cases: Any, draw: Any, width: int) -> Any:
    """Scores that grow from key to key: the maximum moves in every tile, and weights of earlier tiles vanish."""
    growing = np.linspace(0, 6, 150)[:, None] * np.ones(width)
    return cases.Call({"q": draw.exact(np.ones((40, width)) / 4), "k": draw.exact(growing), "v": draw(150, width)})


def _values(cases: Any, draw: Any, width: int) -> Iterator[Any]:
    yield _growing(cases, draw, width)
    yield cases.Call({"q": draw(20, width, scale=30.0), "k": draw(80, width, scale=30.0), "v": draw(80, width)}, {"scale": 1.0})
    large = 3e4  # scores of 10^9 and more
    yield cases.Call({"q": draw(20, width, scale=large / 4), "k": draw(80, width, scale=large / 4), "v": draw(80, width)}, {"scale": 1.0})
    yield cases.Call({"q": draw.exact(np.full((20, width), large)), "k": draw.exact(np.full((80, width), large)), "v": draw(80, width)})
    yield cases.Call({"q": draw.exact(np.full((20, width), large)), "k": draw.exact(np.full((80, width), -large)), "v": draw(80, width)})
    yield cases.Call({"q": draw(20, width), "k": draw(80, width), "v": draw(80, width, scale=1e-4)}, {"scale": 2.0**-50})
