"""Small calls of each phase for translation validation: every option, every kind of shape, and calls that must be refused.

What it does: data, and random numbers of the dtype. Guarantees: for each phase there are sizes of 1, sizes that no block of 2 or 3
divides, n ≠ m, empty axes, batches, and each optional argument given and left out. Cannot see: large sizes, and values outside a few
units, which are not what algebra depends on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kernelproof.numeric.exact_array import exact
from kernelproof.numeric.exact_kinds import BFLOAT16, KINDS, Kind
from kernelproof.numeric.formal import HEADED
from kernelproof.numeric.rounding import Array
from kernelproof.numeric.signature_variants import names_of
from kernelproof.numeric.signatures import PARAMS
from kernelproof.symbolic.errors import InputError

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Call:
    """Arguments by name and options; values of bfloat16 are held in float32. With ``vjp`` it is a call of the gradient kernel."""

    label: str
    given: Mapping[str, Any]
    options: Mapping[str, Any]
    dtype: str
    variant: Mapping[str, object] = field(default_factory=dict)
    vjp: bool = False

    @property
    def tensors(self) -> dict[str, Any]:
        """Arguments as :func:`formal` takes them: a mapping is its entries."""
        flat = {name: value for name, value in self.given.items() if not isinstance(value, Mapping)}
        return {name: np.asarray(value) for name, value in {**flat, **self.given.get("params", {})}.items()}

    def arguments(self, phase: str) -> tuple[Any, ...]:
        """Arguments in the order of the signature, as the kernel takes them."""
        names = (*names_of(phase, self.variant)[0], *(("grad_out",) if self.vjp else ()))
        return tuple(self._of_type(self.given[name]) for name in names)

    def keywords(self) -> dict[str, Any]:
        """Options as the kernel takes them."""
        return {name: self._of_type(value) for name, value in self.options.items()}

    def kinds(self, phase: str) -> list[Kind]:
        """The types of the arrays among the arguments."""
        flat: list[Any] = []
        for value in self.arguments(phase):
            flat += value.values() if isinstance(value, Mapping) else [value]
        return [exact(value).dtype for value in flat if not isinstance(value, (int, float))]

    def _of_type(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: self._of_type(entry) for name, entry in value.items()}
        if self.dtype == BFLOAT16 and isinstance(value, np.ndarray) and value.dtype == np.float32:
            return exact(value).astype(KINDS[BFLOAT16])
        return value


class Draw:
    """Random arguments of a dtype."""

    def __init__(self, seed: int, dtype: str) -> None:
        self.rng = np.random.default_rng(seed)
        self.dtype = dtype

    def array(self, *shape: int, size: float = 1.0) -> Array:
        found = np.asarray(self.rng.standard_normal(shape) * size)
        if self.dtype != BFLOAT16:
            return found.astype(self.dtype)
        # the upper half of a float32 is a bfloat16
        return (found.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)

    def mask(self, kind: str, lead: Shape, n: int, m: int) -> Array | None:
        """None, or a mask; the first row of ``hidden`` and ``floating`` may attend to nothing."""
        if kind == "none":
            return None
        shapes = {"keys": (m,), "batch": (*lead, n, m), "bias": (*(1 for _ in lead), n, m)}
        allowed = np.asarray(self.rng.random(shapes.get(kind, (n, m))) < 0.6)
        if kind in ("hidden", "floating"):
            allowed[:1] = False
        if kind in ("keys", "hidden"):
            return allowed
        shown = self.array(*allowed.shape, size=2.0)
        return shown if kind == "bias" else np.where(allowed, shown, np.array(-np.inf, dtype=shown.dtype))

    def attention(self, sizes: Shape, lead: Shape, mask: str, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        n, m, d, e = sizes
        leads = [lead, lead, lead] if mask != "batch" else [lead[:1] + (1,) * (len(lead) - 1), lead[1:], ()]
        if options.pop("turned", False):
            leads = leads[1:] + leads[:1]
        arrays = {name: self.array(*at, *shape) for name, at, shape in zip("qkv", leads, ((n, d), (m, d), (m, e)), strict=True)}
        return arrays, {"mask": self.mask(mask, lead, n, m), **options}

    def attention_by_heads(
        self, variant: Mapping[str, object], sizes: Shape, heads: Shape, lead: Shape, mask: str, **options: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Arguments with the axis of heads. With the mask "heads" each query head has a mask of its own, with "batch" each of each slice,
        and the slices share their keys."""
        n, m, d, e = sizes
        count, lead_k = heads[0] * heads[1] if variant.get("grouped_query") else heads[0], () if mask == "batch" else lead
        arrays = {"q": self.array(*lead, count, n, d), "k": self.array(*lead_k, heads[0], m, d), "v": self.array(*lead, heads[0], m, e)}
        arrays |= {"sinks": self.array(count)} if variant.get("sinks") else {}
        shown = self.mask("batch", (count,), n, m) if mask == "heads" else self.mask(mask, (*lead, count), n, m)
        return arrays, {"mask": shown, **options}

    def heads(self, sizes: Shape, lead: Shape, mask: str, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        (n, heads, f), size = sizes[:3], options.pop("size", 1.0)
        d = heads * f
        squares = {name: self.array(d, d) for name in ("w_q", "w_k", "w_v", "w_o")}
        return {"x": self.array(*lead, n, d, size=size), **squares}, {"n_heads": heads, "mask": self.mask(mask, lead, n, n), **options}

    def block(self, sizes: Shape, lead: Shape, mask: str, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        arrays, keywords = self.heads(sizes, lead, mask, **options)
        if "size" in options:
            arrays["w_q"] = arrays["w_q"] * arrays["w_q"].dtype.type(options["size"])  # norms take the size of x away
        d, h = sizes[1] * sizes[2], sizes[3]
        shapes = {"w1": (d, h), "b1": (h,), "w2": (h, d), "b2": (d,)}
        rest = {name: self.array(*shapes.get(name, (d,))) for name in PARAMS if name not in arrays}
        return {"x": arrays.pop("x"), "params": {**arrays, **rest}}, keywords

    def of_pairs(self, given: dict[str, Any]) -> dict[str, Any]:
        """The arguments with queries and keys twice as wide."""
        return {**given, **{name: self.array(*given[name].shape[:-1], 2 * given[name].shape[-1]) for name in "qk"}}

    def after(self, given: dict[str, Any], options: dict[str, Any], length: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """The call after ``length`` earlier keys and values, without its mask."""
        earlier = {f"past_{name}": self.array(*given[name].shape[:-2], length, given[name].shape[-1]) for name in "kv"}
        return given, {**options, "mask": None, "causal": True, **earlier}

    def gates(self, given: dict[str, Any]) -> dict[str, Any]:
        """The arguments with a map to the gates, of the shape of w1."""
        if "params" in given:
            return {**given, "params": self.gates(given["params"])}
        return {**given, "w_gate": self.array(*given["w1"].shape)}

    def fed(self, lead: Shape, d: int, h: int) -> dict[str, Any]:
        return {"x": self.array(*lead, d), "w1": self.array(d, h), "b1": self.array(h), "w2": self.array(h, d), "b2": self.array(d)}

    def normed(self, phase: str, lead: Shape, d: int) -> dict[str, Any]:
        affine = {"gain": self.array(d), **({"bias": self.array(d)} if phase == "layer_norm" else {})}
        return {"x": self.array(*lead, d), **affine}


#: sizes n m d e, leading axes, mask, options; with the mask "batch" those of q, k and v differ and broadcast, "turned" exchanges them
ATTENTION: tuple[tuple[Shape, Shape, str, dict[str, Any]], ...] = (
    ((5, 7, 2, 3), (), "none", {}), ((4, 3, 3, 1), (2,), "hidden", {}), ((5, 5, 2, 2), (), "floating", {"causal": True}),
    ((3, 7, 2, 1), (), "none", {"causal": True, "scale": 0.3}), ((7, 4, 1, 2), (2,), "bias", {"scale": -1.5}),
    ((1, 1, 1, 1), (), "keys", {"causal": True}), ((2, 3, 2, 2), (2, 3), "batch", {"causal": False}), ((3, 2, 0, 1), (), "none", {}),
    ((3, 5, 1, 2), (2,), "none", {"causal": True}), ((2, 4, 2, 1), (3,), "none", {}), ((2, 1, 1, 2), (2, 3), "batch", {"turned": True}),
    ((0, 3, 2, 2), (), "none", {}), ((3, 0, 2, 2), (), "floating", {}), ((2, 3, 2, 0), (), "none", {}),
    ((4, 3, 2, 2), (2,), "none", {"causal": True, "scale": 300.0}), ((4, 3, 2, 2), (2,), "none", {"causal": True, "scale": -300.0}),
)
#: sizes n m d e, heads of keys and query heads of each (one where they are not grouped), leading axes, mask, options
BY_HEADS: tuple[tuple[Shape, Shape, Shape, str, dict[str, Any]], ...] = (
    ((4, 5, 2, 3), (2, 3), (), "none", {}), ((3, 4, 2, 1), (3, 1), (2,), "hidden", {}),
    ((3, 3, 1, 2), (1, 2), (), "floating", {"causal": True}), ((2, 3, 2, 1), (2, 1), (), "none", {"causal": True}),
    ((4, 3, 2, 2), (2, 2), (), "heads", {"causal": True, "scale": 0.3}), ((2, 3, 2, 1), (2, 1), (2,), "bias", {"scale": -1.5}),
    ((1, 1, 1, 1), (1, 1), (), "keys", {}), ((2, 2, 0, 1), (2, 2), (1,), "none", {}), ((0, 3, 2, 2), (2, 2), (), "none", {}),
    ((3, 0, 2, 2), (1, 2), (), "floating", {}), ((2, 3, 2, 0), (2, 1), (), "none", {}), ((2, 3, 2, 2), (0, 1), (), "none", {}),
    ((2, 3, 2, 2), (2, 0), (), "none", {}), ((2, 3, 2, 1), (2, 2), (2,), "batch", {}),
    ((3, 4, 2, 1), (2, 2), (), "none", {"causal": True, "scale": 300.0}),
    ((3, 4, 2, 1), (2, 2), (), "none", {"causal": True, "scale": -300.0}),
)
#: sizes n heads f h, leading axes, mask, options
HEADS: tuple[tuple[Shape, Shape, str, dict[str, Any]], ...] = (
    ((4, 2, 2, 3), (), "none", {}), ((3, 2, 1, 2), (2,), "hidden", {}), ((5, 1, 2, 1), (), "floating", {"causal": True}),
    ((1, 1, 1, 1), (), "keys", {"causal": True}), ((3, 3, 1, 2), (2,), "bias", {}), ((3, 1, 2, 2), (), "none", {"causal": True}),
    ((2, 2, 1, 1), (3,), "none", {}), ((3, 2, 1, 1), (1, 2), "none", {"causal": True}),
    ((2, 2, 1, 1), (2,), "batch", {}), ((0, 2, 1, 2), (), "none", {}), ((2, 2, 0, 2), (), "none", {}), ((2, 1, 0, 1), (), "bias", {}),
    ((2, 1, 2, 0), (), "none", {}),
    ((4, 2, 2, 1), (2,), "none", {"causal": True, "size": 30.0}),
)


def calls(phase: str, variant: Mapping[str, object], dtype: str, seed: int) -> list[Call]:
    """The calls of a phase. InputError for a phase that has none here."""
    draw, found = Draw(seed, dtype), list[tuple[dict[str, Any], dict[str, Any]]]()
    if phase == "attention":
        found = [draw.attention(sizes, lead, mask, **options) for sizes, lead, mask, options in ATTENTION]
        if any(variant.get(name) for name in HEADED):
            found = [
                draw.attention_by_heads(variant, sizes, heads, lead, mask, **options) for sizes, heads, lead, mask, options in BY_HEADS
            ]
    elif phase == "multi_head_attention":
        found = [draw.heads(sizes, lead, mask, **options) for sizes, lead, mask, options in HEADS]
    elif phase == "encoder_block":
        found = [draw.block(sizes, lead, mask, **options) for sizes, lead, mask, options in HEADS]
    elif phase == "embedding":
        shapes: tuple[tuple[Shape, int, int], ...] = (((4,), 5, 3), ((2, 3), 2, 1), ((), 3, 2), ((0,), 2, 2), ((7,), 1, 2), ((2,), 3, 0))
        kinds = ("int64", "int32", "uint8", "int64", "int64", "int64")
        for (shape, vocab, width), kind in zip(shapes, kinds, strict=True):
            found.append(({"ids": draw.rng.integers(0, vocab, shape).astype(kind), "table": draw.array(vocab, width)}, {}))
    elif phase == "positional":
        widths = (6, 4, 2, 0, 8, 6) if variant["layout"] == "halves" else (6, 7, 1, 0, 3, 5)
        options: tuple[dict[str, Any], ...] = ({}, {"base": 7.5, "start": 3}, {"start": 0.5}, {}, {"base": 2}, {"base": 0.5, "start": -4.5})
        for n, width, option in zip((5, 4, 3, 2, 0, 7), widths, options, strict=True):
            found.append(({"n_positions": n, "d_model": width}, option))
    elif phase == "rotary":
        options = ({}, {"base": 7.5, "start": 3}, {"start": 0.5}, {}, {"base": 2}, {"base": 0.5, "start": -4.5})
        for shape, option in zip(((5, 6), (2, 3, 4), (1, 2), (0, 4), (3, 0), (7, 8)), options, strict=True):
            found.append(({"x": draw.array(*shape)}, option))
    elif phase in ("softmax", "activation"):
        found = [({"x": draw.array(*shape, size=4.0)}, {}) for shape in ((5,), (2, 3), (1,), (3, 0), (2, 1, 7))]
        found.append(({"x": np.asarray(np.round(draw.array(4)), dtype=draw.array(1).dtype) * 0}, {}))  # ties, and zeros
        found += [({"x": draw.array()}, {})] if phase == "activation" else []
    elif phase == "feed_forward":
        fed = (((4,), 3, 2), ((2, 3), 1, 5), ((), 2, 1), ((0,), 2, 3), ((2, 0), 2, 1), ((2,), 0, 2), ((3,), 2, 0))
        found = [(draw.fed(lead, d, h), {}) for lead, d, h in fed]
    elif phase in ("layer_norm", "rms_norm"):
        norms: tuple[tuple[Shape, int, dict[str, Any]], ...] = (
            ((3,), 5, {}), ((2, 2), 3, {"eps": 0.5}), ((), 4, {"eps": 0}), ((2,), 1, {"eps": 0}), ((2,), 0, {}), ((0,), 2, {}),
        )
        found = [(draw.normed(phase, lead, d), option) for lead, d, option in norms]
        found.append(({**draw.normed(phase, (2,), 3), "x": np.zeros((2, 3), dtype=draw.array(1).dtype)}, {"eps": 0.0}))
    else:
        raise InputError(f"validating {phase}: no calls of it are known; add some to numeric/exact_calls.py")
    if variant.get("rotary"):
        found = [(draw.of_pairs(given), options) for given, options in found]
    if phase == "attention":
        found += [draw.after(given, options, length) for (given, options), length in zip(found, (3, 1, 2, 0), strict=False)]
    if variant.get("gated"):
        found = [(draw.gates(given), options) for given, options in found]
    return [Call(_label(given, options), given, options, dtype, variant) for given, options in found]


def _label(given: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """Shapes and options of a call, for a message."""
    return ", ".join(f"{name} {_shown(value)}" for name, value in (*given.items(), *options.items()) if value is not None)


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"of {len(value)} arrays"
    return f"{value.dtype}{value.shape}" if isinstance(value, np.ndarray) else str(value)
