"""Other ways of asking for the same: option at its default or left out, one mask in several forms, one batch in parts.

What it does: from the inputs of a case, the calls that must give the same together. Each rewrite is a row of ``REWRITES``. Guarantees: in
real numbers both sides are equal, by the meaning of the options in the contract; where a rewrite computes with other numbers (a scale put
on the queries) it says so, and is left out where that would round. Cannot see: options that the target does not take.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kernelproof.numeric.formal import masks
from kernelproof.properties.model import Case, Inputs
from kernelproof.properties.values import Array

Capabilities = frozenset[str]
Join = Callable[[list[Array]], Array]
DEFAULTS: dict[str, Any] = {"causal": False, "eps": 1e-5, "base": 10000.0, "start": 0}
#: so far a start is written as a longer table
LONGEST_START = 7
#: variants for which the number of a query matters beyond causality
PLACING = {"rotary", "window", "alibi"}


def _only(parts: list[Array]) -> Array:
    return parts[0]


@dataclass(frozen=True, eq=False)
class Rewrite:
    """Calls whose joined results are the result of the case; ``text`` joins them in Python, ``{0}`` is the first.

    ``same_numbers``: the calls compute with the case's own numbers, so its bound is theirs; if not, ``join_errors`` joins their own bounds.
    """

    name: str
    calls: tuple[Inputs, ...]
    join: Join = _only
    text: str = "{0}"
    same_numbers: bool = True
    join_errors: Join = _only


def causal_offset(case: Case) -> int:
    """How many keys more than its own number plus one a query may see under causality."""
    queries, keys = (case.size(axis) for axis in case.shape.score_axes)
    return keys - queries if dict(case.variant).get("causal_alignment") == "bottom_right" else 0


def rewrites(case: Case, inputs: Inputs, capabilities: Capabilities) -> Iterator[Rewrite]:
    """All rewrites that the case and the target allow."""
    for rewrite in REWRITES:
        yield from rewrite(case, inputs, capabilities)


def _with(inputs: Inputs, **options: object) -> Inputs:
    return Inputs(inputs.tensors, {**inputs.options, **options})


# -- options ------------------------------------------------------------------------------------------------------------------------


def _defaults(case: Case, inputs: Inputs, capabilities: Capabilities) -> Iterator[Rewrite]:
    """An option that is left out is its default."""
    known = dict(DEFAULTS)
    if "scale" in case.shape.options:
        known["scale"] = 1 / math.sqrt(case.size("d"))
    for name, value in known.items():
        if name in case.shape.options and name in capabilities and name not in inputs.options:
            yield Rewrite(f"{name} left out, and given as {value:.6g}", (_with(inputs, **{name: value}),))


def _no_mask(case: Case, inputs: Inputs, capabilities: Capabilities) -> Iterator[Rewrite]:
    """No mask is a mask that allows all, and a mask that adds nothing."""
    if "mask" not in case.shape.options or "mask" in inputs.options:
        return
    scores = tuple(case.size(axis) for axis in case.shape.score_axes)
    if "mask_bool" in capabilities:
        yield Rewrite("no mask, and a mask that is all True", (_with(inputs, mask=np.ones(scores, dtype=bool)),))
    if "mask_float" in capabilities:
        yield Rewrite("no mask, and a mask of zeros", (_with(inputs, mask=np.zeros(scores, dtype=_dtype(inputs))),))


def _triangle(case: Case, inputs: Inputs, capabilities: Capabilities) -> Iterator[Rewrite]:
    """Causality as part of the mask."""
    if not inputs.options.get("causal") or not {"mask_bool", "mask_float"} & capabilities:
        return
    queries, keys = (case.size(axis) for axis in case.shape.score_axes)
    rest = Inputs(inputs.tensors, {name: value for name, value in inputs.options.items() if name != "causal"})
    allow, bias = masks(inputs.options, queries, keys, dict(case.variant))
    if "mask_bool" in capabilities and not bias.any():
        yield Rewrite("causal, and as a boolean mask", (_with(rest, mask=allow.copy()),))
    if "mask_float" in capabilities:
        added = np.where(allow, bias, -np.inf).astype(_dtype(inputs))
        yield Rewrite("causal, and as a mask of numbers", (_with(rest, mask=added),))


def _added(case: Case, inputs: Inputs, capabilities: Capabilities) -> Iterator[Rewrite]:
    """A boolean mask as zeros and −∞."""
    mask = inputs.options.get("mask")
    if isinstance(mask, np.ndarray) and mask.dtype == bool and "mask_float" in capabilities:
        yield Rewrite("a boolean mask, and as numbers", (_with(inputs, mask=np.where(mask, 0, -np.inf).astype(_dtype(inputs))),))


def _scaled(case: Case, inputs: Inputs, capabilities: Capabilities) -> Iterator[Rewrite]:
    """A scale on the queries, where that is exact."""
    scale = inputs.options.get("scale")
    if not isinstance(scale, float):
        return
    q = inputs.tensors["q"]
    factor = q.dtype.type(scale)
    with np.errstate(all="ignore"):
        moved = q * factor
        exact = float(factor) == scale and np.isfinite(moved.astype(np.float64)).all() and (moved / factor == q).all()
    if exact and math.frexp(scale)[0] == 0.5:
        other = replace(_with(inputs, scale=1.0), tensors={**inputs.tensors, "q": moved})
        yield Rewrite(f"scale={scale}, and queries times {scale} with scale=1", (other,), same_numbers=False)


def _start(case: Case, inputs: Inputs, capabilities: Capabilities) -> Iterator[Rewrite]:
    """Positions from a start on are the last rows of more positions from zero."""
    start = inputs.options.get("start")
    if not isinstance(start, int) or not 0 < start <= LONGEST_START:
        return
    options = {**inputs.options, "start": 0}
    tensors = dict(inputs.tensors)
    if case.phase == "positional":
        options["n_positions"] = case.size("n") + start
    else:
        x = tensors["x"]
        tensors["x"] = np.concatenate([np.zeros((*x.shape[:-2], start, x.shape[-1]), x.dtype), x], axis=-2)
    name = f"start={start}, and the last rows of a call from 0"
    yield Rewrite(name, (Inputs(tensors, options),), lambda parts: parts[0][..., start:, :], f"np.asarray({{0}})[..., {start}:, :]")


def _affine(case: Case, inputs: Inputs, capabilities: Capabilities) -> Iterator[Rewrite]:
    """Gain and bias outside: they come last."""
    if "gain" not in inputs.tensors:
        return
    gain = inputs.tensors["gain"].astype(np.float64)
    bias = inputs.tensors["bias"].astype(np.float64) if "bias" in inputs.tensors else np.zeros_like(gain)
    plain = {"gain": np.ones_like(inputs.tensors["gain"])}
    text = "np.asarray({0}).astype(np.float64) * gain"
    if "bias" in inputs.tensors:
        plain["bias"] = np.zeros_like(inputs.tensors["bias"])
        text += " + bias"
    yield Rewrite(
        "gain and bias inside, and outside",
        (Inputs({**inputs.tensors, **plain}, inputs.options),),
        lambda parts: parts[0].astype(np.float64) * gain + bias,
        text,
        same_numbers=False,
        join_errors=lambda errors: _outside(errors[0], gain, bias),
    )


def _outside(error: Array, gain: Array, bias: Array) -> Array:
    """The error after product and sum, which are made in float64."""
    with np.errstate(invalid="ignore"):
        return np.asarray(error * np.abs(gain) * (1 + 2.0**-50) + 2.0**-51 * np.abs(bias))


def _id_types(case: Case, inputs: Inputs, capabilities: Capabilities) -> Iterator[Rewrite]:
    """The type of whole numbers does not matter."""
    if "ids" in inputs.tensors:
        ids = inputs.tensors["ids"]
        other = ids.astype(np.int32 if ids.dtype == np.int64 else np.int64)
        yield Rewrite(f"ids of type {ids.dtype}, and {other.dtype}", (Inputs({**inputs.tensors, "ids": other}, inputs.options),))


# -- batches ------------------------------------------------------------------------------------------------------------------------


def _dtype(inputs: Inputs) -> Any:
    return next(array.dtype for array in inputs.tensors.values())


def _regrouped(case: Case, inputs: Inputs, change: Callable[[Array, tuple[int, ...]], Array]) -> Inputs:
    """The inputs with ``change(array, leading axes)`` made to all that has leading axes."""
    leading = case.leading
    tensors = {
        name: change(array, leading) if case.shape.tensor(name).axes[:1] == ("...",) else array for name, array in inputs.tensors.items()
    }
    options = dict(inputs.options)
    mask = options.get("mask")
    own = 2 + len(case.shape.head_axes)
    if isinstance(mask, np.ndarray) and mask.ndim > own:
        options["mask"] = change(np.broadcast_to(mask, (*leading, *mask.shape[-own:])), leading)
    return Inputs(tensors, options)


def _batches(case: Case, inputs: Inputs, capabilities: Capabilities) -> Iterator[Rewrite]:
    """A batch in two parts, in one axis, in one axis more."""
    leading = case.leading
    if not any(tensor.axes[:1] == ("...",) for tensor in case.shape.tensors):
        return
    if leading and leading[0] > 1:
        half = (leading[0] + 1) // 2
        parts = tuple(_regrouped(case, inputs, lambda x, _, at=at: x[at].copy()) for at in (slice(None, half), slice(half, None)))  # type: ignore[misc]
        yield Rewrite("one batch, and two halves", parts, np.concatenate, "np.concatenate([{0}, {1}])")
    if len(leading) > 1:
        flat = _regrouped(case, inputs, lambda x, lead: x.reshape((math.prod(lead), *x.shape[len(lead) :])))
        shape = case.lengths(case.shape.output)
        text = f"np.asarray({{0}}).reshape({shape})"
        yield Rewrite("leading axes, and one axis for all", (flat,), lambda parts: parts[0].reshape(shape), text)
    more = _regrouped(case, inputs, lambda x, _: x[None])
    yield Rewrite("the inputs, and one more axis of length one", (more,), lambda parts: parts[0][0], "np.asarray({0})[0]")


def _queries(case: Case, inputs: Inputs, capabilities: Capabilities) -> Iterator[Rewrite]:
    """Queries in two parts, where their places do not matter."""
    placed = inputs.options.get("causal") or PLACING & dict(case.variant).keys()
    if case.phase != "attention" or placed or case.size("n") < 2:
        return
    half = (case.size("n") + 1) // 2
    parts = []
    for at in (slice(None, half), slice(half, None)):
        options = dict(inputs.options)
        mask = options.get("mask")
        if isinstance(mask, np.ndarray) and mask.ndim > 1 and mask.shape[-2] > 1:
            options["mask"] = mask[..., at, :].copy()
        parts.append(Inputs({**inputs.tensors, "q": inputs.tensors["q"][..., at, :].copy()}, options))
    yield Rewrite(
        "all queries, and two halves",
        tuple(parts),
        lambda results: np.concatenate(results, axis=-2),
        "np.concatenate([{0}, {1}], axis=-2)",
    )


REWRITES: tuple[Callable[[Case, Inputs, Capabilities], Iterator[Rewrite]], ...] = (
    _defaults, _no_mask, _triangle, _added, _scaled, _start, _affine, _id_types, _batches, _queries,
)
