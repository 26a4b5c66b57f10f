"""Calls of attention's gradient that fit the tensor-core kernels, and what a bound assumes of these.

What it does: the calls of ``tensor_cases``, each with a gradient of the result; ragged lengths around fragments (16) and tiles (32, 64);
heads that share keys; gradients that are large and tiny. Values are drawn so that the stored format holds them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

LENGTHS = (1, 15, 63, 64, 65, 77, 130)
#: of all pairs of lengths, what a push tries
PUSHED = ((1, 1), (1, 130), (15, 64), (63, 65), (64, 63), (77, 130), (130, 77))


def precision(dtype: str) -> str:
    """The arithmetic of these kernels: what meets in a product is in 16 bits, everything else in float32."""
    return f"products={dtype},probability=float32,intermediate=float32"


def with_gradient(call: Any, draw: Any, scale: float = 1.0) -> Any:
    """The call of a gradient kernel for a call of attention."""
    seen = call.seen()
    q, k, v = (seen[name].shape for name in "qkv")
    call.tensors["grad_out"] = draw(*np.broadcast_shapes(q[:-2], k[:-2], v[:-2]), q[-2], v[-1], scale=scale)
    return call


def ragged(cases: Any, dtype: str, width: int, every: bool) -> Iterator[Any]:
    """Lengths, causal and not; ``every`` pair of them or some."""
    draw = cases.Draw(dtype, 1)
    for n, m in itertools.product(LENGTHS, repeat=2) if every else PUSHED:
        for causal in (False, True):
            yield with_gradient(cases.Call({"q": draw(n, width), "k": draw(m, width), "v": draw(m, width)}, {"causal": causal}), draw)


def layouts(cases: Any, tensor_cases: Any, dtype: str, width: int) -> Iterator[Any]:
    """Strided, broadcast and misaligned inputs, scores that grow; the last gradients are as large and as small as the format lets them."""
    draw = cases.Draw(dtype, 2)
    for call in itertools.islice(tensor_cases.calls(cases, dtype, width), 2 * len(tensor_cases.LENGTHS), None):
        if np.abs(call.tensors["q"]).max() < 1000:  # beyond, no bound is finite
            yield with_gradient(call, draw)
    turned = {"q": draw(9, 2, width), "k": draw(17, 2, width), "v": draw(2, 17, width), "grad_out": draw(9, 2, width)}
    yield cases.Call(turned, {"causal": True}, dict.fromkeys(("q", "k", "grad_out"), lambda _, part: part.swapaxes(0, 1)))
    for scale in (300.0, 2.0**-16):
        call = cases.Call({"q": draw(20, width), "k": draw(40, width), "v": draw(40, width)}, {"scale": 1.0})
        yield with_gradient(call, draw, scale)
    # in float16 some dS are infinite: their rows and columns have infinite bounds, the others have not
    call = cases.Call({"q": draw(20, width), "k": draw(40, width), "v": draw(40, width, scale=3.0)})
    call = with_gradient(call, draw)
    call.tensors["grad_out"][7] = draw.exact(np.where(np.arange(width) % 2, 3e4, -3e4))
    yield call


def grouped(cases: Any, dtype: str, width: int) -> Iterator[Any]:
    """Heads of queries that share keys and values; also along another axis, and with leading axes that do not merge."""
    draw = cases.Draw(dtype, 3)
    sizes = (((), 2, 3, 33, 70, True), ((), 1, 2, 70, 33, True), ((2,), 2, 2, 9, 65, False), ((), 3, 1, 66, 40, True))
    for lead, keys, group, n, m, causal in sizes:
        of_queries, of_keys = (*lead, keys * group, n, width), (*lead, keys, m, width)
        given = {"q": draw(*of_queries), "k": draw(*of_keys), "v": draw(*of_keys), "grad_out": draw(*of_queries)}
        yield cases.Call(given, {"causal": causal})
    of_queries = (2, 2, 4, 5, width)
    given = {"q": draw(*of_queries), "k": draw(2, 1, 2, 7, width), "v": draw(2, 2, 7, width), "grad_out": draw(*of_queries)}
    yield cases.Call(given)
    # positions before heads, as a projection leaves them
    given = {"q": draw(21, 4, width), "k": draw(35, 2, width), "v": draw(35, 2, width), "grad_out": draw(21, 4, width)}
    yield cases.Call(given, {"causal": True}, dict.fromkeys(given, lambda _, part: part.swapaxes(0, 1)))


def few(cases: Any, dtype: str, width: int) -> Iterator[Any]:
    """A few calls of grouped queries, for what is slow: a sanitizer, a wrong kernel. Between them they meet every branch of the text."""
    draw = cases.Draw(dtype, 4)
    for keys, group, n, m, causal in ((1, 2, 70, 66, True), (2, 1, 70, 5, True), (1, 1, 40, 100, True), (1, 1, 66, 9, False)):
        of_queries, of_keys = (keys * group, n, width), (keys, m, width)
        # scores of different sizes from key to key, so that the maximum moves and tiles count
        given = {"q": draw(*of_queries, scale=2.0), "k": draw(*of_keys), "v": draw(*of_keys), "grad_out": draw(*of_queries)}
        yield cases.Call(given, {"causal": causal})
    # the second tile's scores are larger by 3: what was summed before it counts less, and is no longer alone
    rising = np.where(np.arange(100) < 64, 0.0, 1.5)[None, :, None] * np.ones((1, 1, width))
    given = {"q": draw.exact(np.full((1, 20, width), 0.25)), "k": draw.exact(rising), "v": draw(1, 100, width)}
    yield cases.Call({**given, "grad_out": draw(1, 20, width)}, {"scale": 0.125})
