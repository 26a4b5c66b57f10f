"""Calls of every phase at ragged sizes, and the comparison of a result with the derived bound.

What it does: lengths around a warp (0, 1, 31, 32, 33, 77), strided and broadcast inputs, masks of every shape that broadcasts, rows
that may attend to nothing, values far beyond the overflow of exp, constant rows. Values are drawn so that the stored format holds
them exactly. The tolerance is kernelproof's own bound; where it is infinite nothing is compared, and the share is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kernelproof.numeric.precision import read_precision
from kernelproof.numeric.reference import reference
from kernelproof.symbolic.phase import Derivation

LENGTHS = (0, 1, 31, 32, 33, 77)
PARAMS = ("w_q", "w_k", "w_v", "w_o", "w1", "b1", "w2", "b2", "gain1", "bias1", "gain2", "bias2")


#: from an array library and an array to a view of it
View = Callable[[Any, Any], Any]


@dataclass
class Call:
    """Tensors by name, options, and the views in which some tensors are handed over: these are taken after storing, for storing copies."""

    tensors: dict[str, np.ndarray]
    options: dict[str, Any] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)

    def seen(self) -> dict[str, np.ndarray]:
        """What the kernel sees."""
        return {name: self.views[name](np, array) if name in self.views else array for name, array in self.tensors.items()}


class Draw:
    """Random arrays of values that a format holds."""

    def __init__(self, dtype: str, seed: int) -> None:
        self.dtype, self._random = dtype, np.random.default_rng(seed)

    def __call__(self, *shape: int, scale: float = 1.0) -> np.ndarray:
        return self.exact(self._random.standard_normal(shape) * scale)

    def exact(self, values: Any) -> np.ndarray:
        """The nearest values of the format, in float64."""
        return values_of(stored(np.asarray(values, dtype=np.float64), self.dtype), self.dtype)

    def choice(self, *shape: int) -> np.ndarray:
        return self._random.random(shape) < 0.6

    def ids(self, high: int, *shape: int) -> np.ndarray:
        return self._random.integers(0, high, shape)


def stored(values: np.ndarray, dtype: str) -> np.ndarray:
    """An array as a kernel of this dtype is handed it; bfloat16 as its bits."""
    if dtype != "bfloat16":
        return values.astype(dtype)
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def values_of(array: np.ndarray, dtype: str) -> np.ndarray:
    """What an array of this dtype holds, in a format at least as wide as float64."""
    if dtype == "bfloat16":
        return (array.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return array.astype(np.longdouble if dtype == "float64" else np.float64)


def calls(phase: str, variant: dict[str, object], dtype: str, seed: int = 0) -> Iterator[Call]:
    """The calls of a phase."""
    draw = Draw(dtype, seed)
    yield from globals()[f"_{phase}"](draw, variant)


def _softmax(draw: Draw, variant: dict[str, object]) -> Iterator[Call]:
    largest = 6e4 if draw.dtype == "float16" else 1e5
    for length in LENGTHS:
        yield Call({"x": draw(3, length)})
    for x in (draw(77), draw(2, 0, 5), draw.exact(np.where(draw.choice(5, 33), largest, -largest))):
        yield Call({"x": x})
    yield Call({"x": draw.exact(np.broadcast_to([[largest], [-largest], [0.0], [1.5]], (4, 40)))})
    yield Call({"x": draw(2, 3, 2, 33)}, views={"x": lambda _, x: x[:, ::-1, :, ::2]})
    yield Call({"x": draw(33, 2, 3)}, views={"x": lambda _, x: x.T})
    # three batch axes that do not merge
    yield Call({"x": draw(4, 6, 4, 5)}, views={"x": lambda _, x: x[::2, ::2, ::2]})
    # five batch axes that do not merge: the launch has to copy
    yield Call({"x": draw(2, 1, 2, 1, 2, 5)}, views={"x": lambda module, x: module.broadcast_to(x, (2, 3, 2, 3, 2, 5))})


def _activation(draw: Draw, variant: dict[str, object]) -> Iterator[Call]:
    yield from _softmax(draw, variant)
    yield Call({"x": draw.exact(-2.5)})


def _layer_norm(draw: Draw, variant: dict[str, object]) -> Iterator[Call]:
    for call in _softmax(draw, variant):
        width = call.seen()["x"].shape[-1]
        call.tensors |= {"gain": draw(2 * width), "bias": draw(width)}
        call.views["gain"] = lambda _, gain: gain[::2]
        yield call
    yield Call({"x": draw.exact(np.zeros((2, 33))), "gain": draw(33), "bias": draw(33)}, {"eps": 0.0})


def _rms_norm(draw: Draw, variant: dict[str, object]) -> Iterator[Call]:
    for call in _layer_norm(draw, variant):
        del call.tensors["bias"]  # otherwise as a layer norm
        yield call


def _rotary(draw: Draw, variant: dict[str, object]) -> Iterator[Call]:
    for n, d in ((0, 4), (1, 2), (33, 6), (5, 64), (3, 0)):
        yield Call({"x": draw(2, n, d)}, {"start": 3})
    yield Call({"x": draw(4, 2, 7)}, {"base": 500.0}, {"x": lambda _, x: x.T})


def _positional(draw: Draw, variant: dict[str, object]) -> Iterator[Call]:
    for n, d in ((0, 4), (1, 2), (33, 6), (5, 64), (3, 0)):
        yield Call({"n_positions": np.asarray(n), "d_model": np.asarray(d)}, {"start": 5})
    if variant["layout"] == "interleaved":
        yield Call({"n_positions": np.asarray(31), "d_model": np.asarray(7)}, {"base": 100.0})


def _embedding(draw: Draw, variant: dict[str, object]) -> Iterator[Call]:
    for shape, d in (((), 5), ((0,), 3), ((33,), 1), ((2, 3), 77), ((2, 2), 0)):
        yield Call({"ids": draw.ids(9, *shape), "table": draw(9, d)})
    yield Call({"ids": draw.ids(9, 4).astype(np.uint8), "table": draw(9, 8)}, views={"table": lambda _, table: table[:, ::2]})


def _feed_forward(draw: Draw, variant: dict[str, object]) -> Iterator[Call]:
    for shape, h in (((33, 5), 7), ((2, 3, 4), 31), ((0, 3), 4), ((3, 0), 2), ((3, 2), 0), ((4,), 33)):
        d = shape[-1]
        gates = {"w_gate": draw(d, h)} if variant.get("gated") else {}
        yield Call({"x": draw(*shape), "w1": draw(d, h), "b1": draw(h), **gates, "w2": draw(h, d), "b2": draw(d)})


def _masks(draw: Draw, n: int, m: int, lead: tuple[int, ...]) -> Iterator[Any]:
    nothing = draw.choice(n, m)
    nothing[n // 2 :] = False
    floating = np.where(draw.choice(n, m), np.random.default_rng(1).standard_normal((n, m)).astype(np.float16), -np.inf)
    yield from (None, nothing, draw.choice(1, n, m), draw.choice(1, m), draw.choice(m), floating.astype(np.float32))
    if len(lead) == 2:
        yield from (draw.choice(lead[0], 1, n, m), draw.choice(1, lead[1], n, m), draw.choice(*lead, 1, m))


def grouped(draw: Draw, width: int) -> Iterator[Call]:
    """Calls of attention whose heads of queries share keys and values."""
    for keys, group, n, m in ((2, 3, 5, 33), (1, 2, 33, 7), (3, 1, 4, 4), (2, 2, 0, 3), (2, 2, 3, 0), (0, 1, 3, 3), (2, 0, 3, 3)):
        tensors = {"q": draw(keys * group, n, width), "k": draw(keys, m, width), "v": draw(keys, m, width)}
        yield Call(tensors, {"causal": n > m})
        yield Call({**tensors, "q": draw(2, keys * group, n, width)}, {"mask": draw.choice(keys * group, n, m), "scale": 0.75})
    tensors = {"q": draw(5, 4, width), "k": draw(7, 2, width), "v": draw(7, 2, width)}
    yield Call(tensors, {"mask": draw.choice(7)}, dict.fromkeys("qkv", _heads))


def _heads(_: Any, part: Any) -> Any:
    """A view with heads before positions."""
    return part.swapaxes(0, 1)


def _attention(draw: Draw, variant: dict[str, object]) -> Iterator[Call]:
    if variant.get("grouped_query"):
        yield from grouped(draw, 4)
        return
    for n, m, d, e in ((1, 1, 1, 1), (0, 3, 2, 2), (3, 0, 2, 2), (3, 4, 0, 2), (31, 33, 4, 3), (33, 77, 2, 5), (5, 32, 3, 0)):
        yield Call({"q": draw(n, d), "k": draw(m, d), "v": draw(m, e)})
        yield Call({"q": draw(2, n, d), "k": draw(2, m, d), "v": draw(2, m, e)}, {"causal": True})
    for mask in _masks(draw, 5, 33, (2, 3)):
        tensors = {"q": draw(2, 3, 5, 4), "k": draw(2, 1, 33, 4), "v": draw(3, 33, 2)}
        yield Call(tensors, {"mask": mask, "causal": mask is None or mask.ndim == 3, "scale": 0.75})
    yield Call({"q": draw(4, 7), "k": draw(3, 4, 5), "v": draw(5, 6)}, views={"q": lambda _, q: q.T, "k": lambda _, k: k.swapaxes(-1, -2)})
    largest_hidden = np.where(np.arange(33)[:, None] == 7, 3e4, draw(33, 4))
    yield Call({"q": draw.exact(np.ones((5, 4))), "k": draw.exact(largest_hidden), "v": draw(33, 2)}, {"mask": np.arange(33) != 7})
    large = 250.0
    yield Call({"q": draw(9, 4, scale=large), "k": draw(33, 4, scale=large), "v": draw(33, 3)}, {"scale": 1.0})
    yield Call({"q": draw.exact(np.full((3, 4), large)), "k": draw.exact(np.full((40, 4), -large)), "v": draw(40, 3)})


def _multi_head_attention(draw: Draw, variant: dict[str, object]) -> Iterator[Call]:
    for n, d, heads in ((1, 4, 2), (33, 6, 3), (0, 4, 1), (5, 0, 2)):
        yield Call({"x": draw(n, d), **{name: draw(d, d) for name in PARAMS[:4]}}, {"n_heads": heads, "causal": n > 1})
    for mask in _masks(draw, 5, 5, (2,)):
        yield Call({"x": draw(2, 5, 4), **{name: draw(4, 4) for name in PARAMS[:4]}}, {"n_heads": 2, "mask": mask})


def _encoder_block(draw: Draw, variant: dict[str, object]) -> Iterator[Call]:
    for lead, n, d, h, heads, mask in (
        ((), 1, 2, 3, 1, None), ((2,), 7, 4, 5, 2, draw.choice(2, 7, 7)), ((), 33, 6, 2, 3, draw.choice(33)), ((2,), 0, 4, 3, 2, None),
    ):
        views = {"x": lambda _, x: x.swapaxes(-1, -2), "b1": lambda _, b1: b1[::-1]}
        shapes = [(d, d)] * 4 + [(d, h), (h,), (h, d)] + [(d,)] * 5
        tensors = {name: draw(*shape, scale=0.5) for name, shape in zip(PARAMS, shapes, strict=True)}
        tensors |= {"w_gate": draw(d, h, scale=0.5)} if variant.get("gated") else {}
        yield Call({"x": draw(*lead, d, n), **tensors}, {"n_heads": heads, "mask": mask, "causal": mask is None}, views)


def arguments(phase: str, call: Call, dtype: str, module: Any = np) -> tuple[Any, ...]:
    """The positional arguments of a kernel, arrays made by the module."""
    handed = {
        name: int(value) if phase == "positional" else module.asarray(value if name == "ids" else stored(value, dtype))
        for name, value in call.tensors.items()
    }
    handed |= {name: view(module, handed[name]) for name, view in call.views.items() if name in handed}
    if phase != "encoder_block":
        return tuple(handed.values())
    return handed.pop("x"), handed


#: CuPy has every text compiled with -ftz=true, and the emulator does as much
FLUSHED = "subnormals=flushed"


@dataclass
class Comparison:
    """Entries compared, entries with an infinite bound, and the worst error over its bound."""

    compared: int = 0
    inconclusive: int = 0
    worst: float = 0.0


class Bounds:
    """Compares results with the reference of a derivation."""

    def __init__(self, derivation: Derivation, dtype: str, precision: str | None = None) -> None:
        """The default assumes that nothing between the inputs and the result is kept in 16 bits."""
        self.derivation, self.dtype, self.total = derivation, dtype, Comparison()
        own = "probability=float32,intermediate=float32" if dtype in ("float16", "bfloat16") else ""
        self.precision = read_precision(f"{FLUSHED},{own if precision is None else precision}", dtype)

    def check(self, call: Call, found: np.ndarray, other: np.ndarray | None) -> None:
        """The result lies within the bound of the reference, and within twice the bound of another kernel's result."""
        phase, variant = self.derivation.phase, self.derivation.variant
        expected = reference(phase, variant, call.seen(), call.options, self.dtype, precision=self.precision)
        assert found.shape == expected.value.shape
        value, known = values_of(found, self.dtype), np.isfinite(expected.error)
        if phase == "attention":
            # whatever the bound says of them: where weights are kept in 16 bits it says nothing
            blind = value[..., self._blind(call), :]
            match variant.get("fully_masked"):
                case None:
                    assert not blind.any(), "a row that may attend to nothing gives zeros"
                case "nan":
                    assert np.isnan(blind).all(), "a row that may attend to nothing gives NaN"
        self._within(call, value, expected.value, expected.error, known)
        if other is not None:
            assert other.dtype == found.dtype and other.shape == found.shape
            self._within(call, value, values_of(other, self.dtype), 2 * expected.error, known)
        self.total.compared += int(known.sum())
        self.total.inconclusive += int((~known).sum())

    def _blind(self, call: Call) -> np.ndarray:
        """The queries that see no key, as far as lengths and causality say so."""
        seen = call.seen()
        n, m = seen["q"].shape[-2], seen["k"].shape[-2]
        if not call.options.get("causal"):
            return np.full(n, m == 0)
        ahead = m - n if self.derivation.variant.get("causal_alignment") == "bottom_right" else 0
        return np.arange(n) + ahead < 0 if m else np.ones(n, dtype=bool)

    def _within(self, call: Call, value: np.ndarray, other: np.ndarray, bound: np.ndarray, known: np.ndarray) -> None:
        with np.errstate(invalid="ignore"):
            off = np.abs(value - other)
            good = (off <= bound) | ~known
            ratio = np.where(known & (off > 0), off / np.where(bound > 0, bound, 1), 0)
        shapes = {name: array.shape for name, array in call.seen().items()}
        options = {name: getattr(option, "shape", option) for name, option in call.options.items()}
        assert good.all(), f"{self.derivation.phase} {self.dtype} {shapes} {options}: off by {off[~good].max()}, bound {bound[~good].min()}"
        self.total.worst = max(self.total.worst, float(ratio.max(initial=0)))
