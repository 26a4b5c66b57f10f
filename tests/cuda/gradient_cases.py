"""Calls of every gradient at ragged sizes, and the comparison of each gradient with its derived bound.

What it does: the calls of ``cases``, each with a gradient of the result; calls with heads for the variants that need them. The gradient of
an input is compared under the input's name. The tolerance is kernelproof's own bound; where it is infinite nothing is compared, and the
share is counted.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from kernelproof.numeric.gradient_reference import gradient_reference
from kernelproof.numeric.precision import read_precision
from kernelproof.symbolic.phase import Gradient

cases = sys.modules["kernelproof_cuda_cases"]
#: variants of attention that give the definition an axis of heads
HEADED = frozenset({"grouped_query", "sinks", "alibi"})
#: calls of a phase that are enough where the program does not depend on the values: the first so many
MOST = {"attention": 22, "encoder_block": 3}
#: shapes of a few calls: rows longer than a warp has lanes, more rows than a block has warps
FEW: dict[str, tuple[dict[str, tuple[int, ...]], ...]] = {
    "layer_norm": ({"x": (40, 5), "gain": (5,), "bias": (5,)},),
    "rms_norm": ({"x": (40, 5), "gain": (5,)}, {"x": (3, 40), "gain": (40,)}),
    "softmax": ({"x": (3, 40)}, {"x": (2, 2, 5)}),
    "activation": ({"x": (3, 47)},),
    "rotary": ({"x": (2, 33, 6)}, {"x": (3, 2)}),
    "feed_forward": (
        {"x": (33, 5), "w1": (5, 7), "b1": (7,), "w2": (7, 5), "b2": (5,)},
        {"x": (2, 3, 4), "w1": (4, 40), "b1": (40,), "w2": (40, 4), "b2": (4,)},
    ),
}


def calls(phase: str, variant: dict[str, object], dtype: str, seed: int = 0) -> Iterator[Any]:
    """The calls of a gradient: those of its phase, with a gradient of the result as the last tensor."""
    draw = cases.Draw(dtype, seed + 1)
    own = _headed(draw, variant) if HEADED & set(variant) else _even(cases.calls(phase, variant, dtype, seed), variant)
    for call in itertools.islice(own, MOST.get(phase)):
        call.tensors["grad_out"] = draw(*_result_shape(phase, variant, call.seen()))
        yield call
    if phase == "attention" and not variant.get("rotary") and not HEADED & set(variant):
        yield from _wide(draw)
    if phase == "softmax":
        # a gradient that is broadcast, and one in another order of axes
        yield cases.Call({"x": draw(5, 33), "grad_out": draw(1, 33)}, {}, {"grad_out": lambda module, g: module.broadcast_to(g, (5, 33))})
        yield cases.Call({"x": draw(5, 33), "grad_out": draw(33, 5)}, {}, {"grad_out": lambda _, g: g.T})


def _wide(draw: Any) -> Iterator[Any]:
    """Attention with heads wider than what lies in shared memory at once, and more queries and keys than a tile has."""
    for n, m, d, e, options in ((33, 34, 3, 66, {"causal": True}), (3, 65, 67, 0, {"mask": draw.choice(3, 65)})):
        wide = {"q": draw(n, d), "k": draw(1, m, d), "v": draw(m, e), "grad_out": draw(1, n, e)}
        yield cases.Call(wide, {**options, "scale": 0.1})


def _even(given: Iterator[Any], variant: dict[str, object]) -> Iterator[Any]:
    """Calls whose heads have an even width, where channels turn in pairs."""
    for call in given:
        seen = call.seen()
        if not variant.get("rotary") or seen["q"].shape[-1] % 2 == 0:
            yield call


def _headed(draw: Any, variant: dict[str, object]) -> Iterator[Any]:
    grouped = bool(variant.get("grouped_query"))
    for keys, group, n, m in ((2, 3, 5, 33), (1, 2, 33, 7), (3, 1, 4, 4), (2, 2, 0, 3), (2, 2, 3, 0), (0, 1, 3, 3)):
        heads = keys * (group if grouped else 1)
        sinks = {"sinks": draw(heads)} if variant.get("sinks") else {}
        for lead, options in (((), {"causal": n > m}), ((2,), {"mask": draw.choice(heads, n, m), "scale": 0.75})):
            own = {"q": draw(*lead, heads, n, 4), "k": draw(*lead, keys, m, 4), "v": draw(*lead, keys, m, 3)}
            yield cases.Call({**own, **sinks}, dict(options))
        # keys and values of all entries of the batch are one
        yield cases.Call({"q": draw(3, heads, n, 4), "k": draw(1, keys, m, 4), "v": draw(keys, m, 2), **sinks})


def _result_shape(phase: str, variant: dict[str, object], seen: dict[str, np.ndarray]) -> tuple[int, ...]:
    if phase == "embedding":
        return (*seen["ids"].shape, seen["table"].shape[1])
    if phase != "attention":
        return seen["x"].shape
    own = 3 if HEADED & set(variant) else 2
    q, k, v = (seen[name].shape for name in "qkv")
    return (*np.broadcast_shapes(q[:-own], k[:-own], v[:-own]), *q[-own:-1], v[-1])


def few(phase: str, dtype: str, variant: dict[str, object]) -> list[Any]:
    """A few calls that meet every branch of a text, for what is slow: a sanitizer, a wrong kernel."""
    draw = cases.Draw(dtype, 3)
    if phase == "embedding":
        return [cases.Call({"ids": np.array([[4, 0, 4], [2, 4, 8]]), "table": draw(9, 3), "grad_out": draw(2, 3, 3)})]
    if phase in FEW:
        made = [{name: draw(*shape) for name, shape in (*shapes.items(), ("grad_out", shapes["x"]))} for shapes in FEW[phase]]
        return [cases.Call(tensors, {"start": 3} if phase == "rotary" else {}) for tensors in made]
    own, kept, sinks = ((2,), (2,), {"sinks": draw(2)}) if variant.get("sinks") else ((), (), {})
    near, far, calls = draw.choice(34, 35), draw.choice(5, 40), []
    near[5] = far[1] = far[4] = False  # queries that see no key, the last one among them
    sizes: tuple[tuple[int, int, int, int, tuple[int, ...], dict[str, Any]], ...] = (
        (34, 35, 4, 66, (), {"causal": True, "mask": near}), (5, 40, 66, 2, (), {"mask": far}), (40, 40, 0, 0, (), {}),
        (3, 4, 4, 3, (2,), {}),  # keys and values are broadcast along the entries of a batch
    )
    for n, m, d, e, lead, options in sizes:
        keys = draw.exact(draw(*kept, m, d) * np.linspace(1, 3, m)[:, None])  # scores grow, so that the maximum moves from tile to tile
        tensors = {"q": draw(*lead, *own, n, d), "k": keys, "v": draw(*kept, m, e), **sinks}
        calls.append(cases.Call({**tensors, "grad_out": draw(*tensors["q"].shape[:-1], e)}, options))
    return calls


def arguments(phase: str, call: Any, dtype: str, module: Any = np) -> tuple[Any, ...]:
    """The positional arguments of a gradient kernel, arrays made by the module."""
    found = cases.arguments(phase, call, dtype, module)
    if phase != "encoder_block":
        return found
    x, params = found
    return x, params, params.pop("grad_out")


def flat(result: tuple[Any, ...]) -> list[Any]:
    """The gradients in the order of the inputs."""
    return [part for one in result for part in (one.values() if isinstance(one, dict) else [one])]


class Bounds:
    """Compares gradients with the reference of a derived gradient."""

    def __init__(self, found: Gradient, dtype: str, precision: str | None = None) -> None:
        """The default assumes that nothing between the inputs and the gradients is kept in 16 bits."""
        self.found, self.dtype, self.total = found, dtype, cases.Comparison()
        own = "probability=float32,intermediate=float32" if dtype in ("float16", "bfloat16") else ""
        self.precision = read_precision(f"{cases.FLUSHED},{own if precision is None else precision}", dtype)

    def check(self, call: Any, results: list[np.ndarray]) -> None:
        """Each gradient lies within the bound of the reference, and has its input's shape."""
        expected = gradient_reference(
            self.found.phase, self.found.variant, call.seen(), call.options, self.dtype, precision=self.precision
        )
        assert len(results) == len(expected)
        for result, (name, wanted) in zip(results, expected.items(), strict=True):
            assert result.shape == wanted.value.shape == call.seen()[name].shape, name
            known = np.isfinite(wanted.error)
            self._within(call, name, cases.values_of(result, self.dtype), wanted.value, wanted.error, known)
            self.total.compared += int(known.sum())
            self.total.inconclusive += int((~known).sum())

    def _within(self, call: Any, name: str, value: np.ndarray, other: np.ndarray, bound: np.ndarray, known: np.ndarray) -> None:
        with np.errstate(invalid="ignore"):
            off = np.abs(value - other)
            good = (off <= bound) | ~known
            ratio = np.where(known & (off > 0), off / np.where(bound > 0, bound, 1), 0)
        shapes = {tensor: array.shape for tensor, array in call.seen().items()}
        told = f"{self.found.phase} {dict(self.found.variant)} {self.dtype}, gradient of {name}, {shapes} {call.options}"
        assert good.all(), f"{told}: off by {off[~good].max()}, bound {bound[~good].min()}"
        self.total.worst = max(self.total.worst, float(ratio.max(initial=0)))

