"""Calls of attention for the kernels in tiles: ragged lengths and widths around 4, 32 and 64, every variant, masks in every format.

What it does: strided, broadcast, misaligned and backward inputs, more leading axes than a launch takes, rows that may attend to nothing,
scores so large that exponentials would overflow, scores that grow from tile to tile. A variant with heads gets an axis of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

#: queries, keys, channels, columns
SIZES = (
    (1, 1, 1, 1), (63, 65, 33, 5), (65, 64, 32, 64), (5, 130, 7, 66), (70, 50, 4, 3), (0, 3, 2, 2), (3, 0, 2, 2), (3, 4, 0, 2),
    (2, 3, 5, 0),
)
#: heads, of them those that share keys and values
HEADS, GROUP = 2, 2


class Maker:
    """Makes calls of a variant in a format."""

    def __init__(self, cases: Any, dtype: str, variant: dict[str, object], seed: int = 0) -> None:
        self.cases, self.draw, self.variant = cases, cases.Draw(dtype, seed), variant
        self.grouped = bool(variant.get("grouped_query"))
        self.headed = self.grouped or bool(variant.get("sinks") or variant.get("alibi"))
        self.queries = HEADS * GROUP if self.grouped else HEADS

    def tensors(self, n: int, m: int, d: int, e: int, lead: tuple[int, ...] = (), scale: float = 1.0) -> dict[str, np.ndarray]:
        """Queries, keys, values, and sinks where the variant has them."""
        d += d % 2 if self.variant.get("rotary") else 0
        draw, (own, kept) = self.draw, ((self.queries,), (HEADS,)) if self.headed else ((), ())
        made = {"q": draw(*lead, *own, n, d, scale=scale), "k": draw(*lead, *kept, m, d, scale=scale), "v": draw(*lead, *kept, m, e)}
        return self.with_sinks(made)

    def with_sinks(self, made: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The tensors, and sinks where the variant has them."""
        return {**made, **({"sinks": self.draw(self.queries)} if self.variant.get("sinks") else {})}

    def call(self, tensors: dict[str, np.ndarray], **options: Any) -> Any:
        return self.cases.Call(tensors, options)


def calls(cases: Any, dtype: str, variant: dict[str, object], seed: int = 0) -> Iterator[Any]:
    """All calls of a variant."""
    make = Maker(cases, dtype, variant, seed)
    for n, m, d, e in SIZES:
        yield make.call(make.tensors(n, m, d, e), causal=n > 3)
    yield make.call(make.tensors(66, 131, 8, 4, (2,)), causal=True)
    yield from _masked(make)
    yield from _values(make)
    if not make.headed:
        yield from _layouts(make)


def few(cases: Any, dtype: str, variant: dict[str, object], seed: int = 0) -> Iterator[Any]:
    """A few calls, for what is slow: a sanitizer, a wrong kernel."""
    make = Maker(cases, dtype, variant, seed)
    yield make.call(make.tensors(80, 130, 35, 66), causal=True)
    yield make.call(make.tensors(66, 50, 8, 4), causal=True)
    yield make.call(make.tensors(5, 69, 6, 3, (2,)), mask=make.draw.choice(5, 69), scale=0.75)
    yield make.call(make.tensors(3, 70, 0, 5), mask=_added(make, 3, 70))
    # rows in fours with an end that is none
    part: Any = lambda _, array: array[..., :6]  # noqa: E731
    yield make.cases.Call(make.tensors(9, 11, 8, 8), {}, dict.fromkeys("qkv", part))
    yield next(_values(make))


def _added(make: Maker, n: int, m: int) -> np.ndarray:
    """A mask that is added, with a row that hides all."""
    numbers = np.random.default_rng(2).standard_normal((n, m)).astype(np.float16)
    numbers = np.where(make.draw.choice(n, m), numbers, -np.inf)
    numbers[n // 2] = -np.inf
    return numbers.astype(np.float16)


def _masked(make: Maker) -> Iterator[Any]:
    n, m = 9, 69
    tensors = make.tensors(n, m, 6, 5, (2,))
    nothing = make.draw.choice(n, m)
    nothing[n // 2 :] = False
    wide = np.where(make.draw.choice(n, m), -1e300, 0.0)
    wide[3] = -1e300  # all far away alike, and none hidden
    for mask in (nothing, make.draw.choice(m), make.draw.choice(1, m), make.draw.choice(n, 1), _added(make, n, m)):
        yield make.call(tensors, mask=mask, causal=mask.ndim == 2, scale=0.75)
    yield make.call(tensors, mask=_added(make, n, m).astype(np.float32), scale=-0.5)
    # below the least normal float16, and of some weight beside scores of 0
    still = {**tensors, "q": np.zeros_like(tensors["q"])}
    yield make.call(still, mask=(np.random.default_rng(5).integers(-1023, 1024, (n, m)) * 2.0**-24).astype(np.float16))
    yield make.call(tensors, mask=wide if make.draw.dtype == "float64" else np.maximum(wide, -2.9e38))
    # every second row and third key of a larger mask, backwards
    yield make.call(tensors, mask=make.draw.choice(2 * n, 3 * m)[::-2, ::3], causal=True)
    count = make.queries if make.headed else 1
    yield make.call(tensors, mask=make.draw.choice(2, count, n, m) if make.headed else make.draw.choice(2, n, m))
    yield make.call(tensors, mask=make.draw.choice(2, 1, 1, m) if make.headed else make.draw.choice(2, 1, m))


def _values(make: Maker) -> Iterator[Any]:
    # scores that grow from key to key: the maximum moves in every tile, and weights of earlier tiles vanish
    growing = make.tensors(40, 150, 4, 5)
    growing["q"] = make.draw.exact(np.ones_like(growing["q"]) / 4)
    growing["k"] = make.draw.exact(np.broadcast_to(np.linspace(0, 90, 150)[:, None], growing["k"].shape))
    yield make.call(growing)
    yield make.call(make.tensors(9, 80, 4, 3, scale=100.0), scale=1.0)
    large = 250.0
    alike = make.tensors(3, 70, 4, 3)
    alike["q"], alike["k"] = (make.draw.exact(np.full_like(alike[name], size)) for name, size in (("q", large), ("k", -large)))
    yield make.call(alike)
    hidden = make.tensors(5, 33, 4, 2)
    hidden["q"] = make.draw.exact(np.ones_like(hidden["q"]))
    hidden["k"][..., 7, :] = 3e4
    yield make.call(hidden, mask=np.arange(33) != 7)
    yield make.call(make.tensors(4, 5, 2, 2), scale=0.0)


def _layouts(make: Maker) -> Iterator[Any]:
    draw, call = make.draw, make.cases.Call
    yield call({"q": draw(2, 3, 20, 8), "k": draw(2, 1, 70, 8), "v": draw(70, 5)}, {"causal": True, "mask": draw.choice(3, 1, 70)})
    # positions before heads, as a projection leaves them
    yield call({name: draw(33, 2, 8) for name in "qkv"}, {"causal": True}, dict.fromkeys("qkv", lambda _, part: part.swapaxes(0, 1)))
    # rows backwards, channels by steps, rows whose addresses are no multiple of 16 bytes
    yield call({name: draw(40, 8) for name in "qkv"}, {}, {"k": lambda _, part: part[::-1], "v": lambda _, part: part[::-1, ::-1]})
    yield call({"q": draw(18, 19), "k": draw(35, 8), "v": draw(35, 8)}, {}, {"q": lambda _, part: part[:, 3::2]})
    yield call({"q": draw(18, 11), "k": draw(35, 8), "v": draw(35, 8)}, {}, {"q": lambda _, part: part[:, 3:]})
    yield call({"q": draw(8, 18), "k": draw(35, 8), "v": draw(8, 35)}, {}, {"q": lambda _, part: part.T, "v": lambda _, part: part.T})
    # rows in fours with an end that is none
    yield call({"q": draw(9, 12), "k": draw(9, 12), "v": draw(9, 8)}, {}, dict.fromkeys("qkv", lambda _, part: part[:, :6]))
    # four leading axes that do not merge, and five
    tensors = {"q": draw(2, 2, 1, 3, 6), "k": draw(1, 2, 2, 4, 6), "v": draw(2, 1, 1, 1, 4, 6)}
    yield call(tensors, {"mask": draw.choice(2, 1, 1, 2, 1, 4)})
