"""What is measured: one row each, with its shapes and the ratios it should reach.

A workload is data: phase, variant, whether it is the gradient kernel, sizes, keyword options, and for each rival the largest ratio of
times ours / theirs that is aimed at. ``error`` and ``megabytes`` are aims beside time: the largest error of the result against the exact
value, and the peak of memory beyond the inputs. A row without aims is measured all the same. The inputs are random normal numbers from a
fixed seed, never zeros, for zeros are faster to multiply on some machines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelproof.symbolic.registry import phase as phase_of

Array = NDArray[Any]
SEED = 5
TABLE_ERROR = 2.0**-24 + 2.0**-27  # half a unit in the last place at 1, and a little for the angle


@dataclass(frozen=True)
class Workload:
    """One row of the benchmark."""

    phase: str
    sizes: Mapping[str, int]
    vjp: bool = False
    variant: Mapping[str, object] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=dict)
    targets: Mapping[str, float] = field(default_factory=dict)
    error: float | None = None
    megabytes: float | None = None
    #: rivals that are left out, with the reason
    without: Mapping[str, str] = field(default_factory=dict)
    dtype: str = "float32"

    @property
    def kind(self) -> str:
        """``phase``, or ``phase.vjp``."""
        return f"{self.phase}.vjp" if self.vjp else self.phase

    @property
    def causal(self) -> bool:
        """Whether keys after the query are masked."""
        return bool(self.options.get("causal", False))

    @property
    def name(self) -> str:
        """The row's name, unique: kind, what is not at its default, sizes."""
        chosen = [f"{name}={value}" for name, value in self.variant.items()]
        flags = [name if value is True else f"{name}={value}" for name, value in self.options.items()]
        sizes = ", ".join(f"{name} {value}" for name, value in self.sizes.items())
        return " ".join((f"{self.phase} gradient" if self.vjp else self.phase, *chosen, *flags)) + f": {sizes}"


def _attention(heads: int, n: int, d: int, targets: Mapping[str, float], **more: Any) -> Workload:
    return Workload("attention", {"heads": heads, "n": n, "d": d}, targets=targets, **more)


_LONG = {"numpy": 0.6, "torch": 1.0, "products": 1.15}
_LONGEST = {"numpy": 0.32, "torch": 1.0, "products": 1.12}
_CAUSAL = {"numpy": 0.4, "torch": 1.1}
_GRADIENT = {"numpy": 0.5, "torch": 1.3, "products": 1.25}
_FED = {"numpy": 0.7, "torch": 0.75}
_CAUSAL_OPTION = {"causal": True}
_FEED = {"tokens": 4096, "d": 512, "h": 2048}
_ROWS = {"rows": 4096, "d": 512}
_TOO_LONG = "its scores alone are 17 GB"

WORKLOADS: tuple[Workload, ...] = (
    _attention(8, 512, 64, {"numpy": 0.9, "torch": 1.5}),
    _attention(8, 2048, 64, _LONG),
    _attention(8, 2048, 128, _LONG),
    _attention(8, 4096, 64, _LONG),
    _attention(8, 4096, 128, _LONG),
    _attention(2, 8192, 128, _LONGEST),
    _attention(8, 2048, 64, _CAUSAL, options=_CAUSAL_OPTION),
    _attention(8, 2048, 128, _CAUSAL, options=_CAUSAL_OPTION),
    _attention(8, 4096, 64, _CAUSAL, options=_CAUSAL_OPTION),
    _attention(8, 4096, 128, _CAUSAL, options=_CAUSAL_OPTION),
    _attention(2, 8192, 128, _CAUSAL, options=_CAUSAL_OPTION),
    _attention(8, 2048, 64, _GRADIENT, vjp=True),
    _attention(8, 2048, 128, _GRADIENT, vjp=True),
    _attention(8, 2048, 64, _GRADIENT, vjp=True, options=_CAUSAL_OPTION),
    Workload("feed_forward", _FEED, targets=_FED),
    Workload("feed_forward", _FEED, variant={"activation": "gelu"}, targets=_FED),
    Workload("feed_forward", _FEED, vjp=True),
    Workload("layer_norm", _ROWS, targets={"numpy": 0.4, "torch": 6.0}),
    Workload("layer_norm", _ROWS, vjp=True),
    Workload("positional", {"n": 65536, "d": 512}, targets={"numpy": 0.4, "torch": 0.15}, error=TABLE_ERROR),
    Workload("embedding", {"tokens": 1_000_000, "vocab": 50_000, "d": 64}, vjp=True, targets={"numpy": 0.12, "torch": 2.0}),
    Workload(
        "attention", {"heads": 1, "n": 65536, "d": 64}, megabytes=300,
        without={"numpy": _TOO_LONG, **dict.fromkeys(("onnxruntime", "torch", "products"), "only memory is measured")},
    ),
    Workload("softmax", {"rows": 8192, "d": 1024}),
    Workload("rms_norm", _ROWS),
    Workload("activation", {"rows": 4096, "d": 2048}, variant={"activation": "gelu"}),
    Workload("rotary", {"heads": 8, "n": 4096, "d": 64}),
    Workload("embedding", {"tokens": 100_000, "vocab": 50_000, "d": 64}),
    Workload("multi_head_attention", {"n": 2048, "d": 512}, options={"n_heads": 8}),
    Workload("encoder_block", {"n": 2048, "d": 512, "h": 2048}, options={"n_heads": 8}),
)


def chosen(phases: Sequence[str]) -> list[Workload]:
    """The rows of these phases, all without any; InputError for an unknown phase. ``PHASE.vjp`` means its gradient rows alone."""
    for name in phases:
        phase_of(name.removesuffix(".vjp"))
    return [row for row in WORKLOADS if not phases or row.phase in phases or row.kind in phases]


@dataclass(frozen=True)
class Inputs:
    """Arguments of the kernel, in order and by name; the gradient of the result last where it is a gradient kernel."""

    named: Mapping[str, Any]
    options: Mapping[str, object]

    @property
    def arguments(self) -> tuple[Any, ...]:
        """In the kernel's order."""
        return tuple(self.named.values())


def inputs_of(workload: Workload, seed: int = SEED) -> Inputs:
    """Random normal inputs in float32; weights are divided by the root of their length, as in a network."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> Array:
        return rng.standard_normal(shape, dtype=np.float32)

    named = _MAKERS[workload.phase](workload.sizes, normal, rng)
    if workload.vjp:
        named["grad_out"] = normal(*_result_shape(workload))
    return Inputs(named, workload.options)


Normal = Callable[..., Array]


def _weights(sizes: Mapping[str, int], normal: Normal) -> dict[str, Any]:
    d, h = sizes["d"], sizes["h"]
    return {"w1": normal(d, h) / np.float32(sqrt(d)), "b1": normal(h), "w2": normal(h, d) / np.float32(sqrt(h)), "b2": normal(d)}


def _heads(sizes: Mapping[str, int], normal: Normal) -> dict[str, Any]:
    d = sizes["d"]
    return {name: normal(d, d) / np.float32(sqrt(d)) for name in ("w_q", "w_k", "w_v", "w_o")}


def _block(sizes: Mapping[str, int], normal: Normal) -> dict[str, Any]:
    norms = {name: normal(sizes["d"]) for name in ("gain1", "bias1", "gain2", "bias2")}
    return {**_heads(sizes, normal), **_weights(sizes, normal), **norms}


_MAKERS: Mapping[str, Callable[[Mapping[str, int], Normal, np.random.Generator], dict[str, Any]]] = {
    "attention": lambda s, normal, _: {name: normal(s["heads"], s["n"], s["d"]) for name in ("q", "k", "v")},
    "multi_head_attention": lambda s, normal, _: {"x": normal(s["n"], s["d"]), **_heads(s, normal)},
    "feed_forward": lambda s, normal, _: {"x": normal(s["tokens"], s["d"]), **_weights(s, normal)},
    "encoder_block": lambda s, normal, _: {"x": normal(s["n"], s["d"]), "params": _block(s, normal)},
    "layer_norm": lambda s, normal, _: {"x": normal(s["rows"], s["d"]), "gain": normal(s["d"]), "bias": normal(s["d"])},
    "rms_norm": lambda s, normal, _: {"x": normal(s["rows"], s["d"]), "gain": normal(s["d"])},
    "softmax": lambda s, normal, _: {"x": normal(s["rows"], s["d"])},
    "activation": lambda s, normal, _: {"x": normal(s["rows"], s["d"])},
    "rotary": lambda s, normal, _: {"x": normal(s["heads"], s["n"], s["d"])},
    "positional": lambda s, normal, _: {"n_positions": s["n"], "d_model": s["d"]},
    "embedding": lambda s, normal, rng: {"ids": rng.integers(0, s["vocab"], s["tokens"]), "table": normal(s["vocab"], s["d"])},
}


def _result_shape(workload: Workload) -> tuple[int, ...]:
    leading = next(name for name in ("tokens", "rows", "n") if name in workload.sizes)
    heads = (workload.sizes["heads"],) if "heads" in workload.sizes else ()
    return (*heads, workload.sizes[leading], workload.sizes["d"])
