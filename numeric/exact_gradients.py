"""Gradient kernels in many digits: calls with a gradient of the result, and the gradients by the derived definitions.

What it does: each call of :mod:`exact_calls` without earlier keys gets a ``grad_out`` of the shape of its result; the definition of each
gradient is evaluated entry by entry for each slice of the leading axes, summed over them for inputs that have none, and over those
that an input is only broadcast along. Guarantees: neither lowering nor a printer is used. Cannot see: as :mod:`exact_definition`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import mpmath
import numpy as np

from kernelproof.numeric.approx import size_value
from kernelproof.numeric.evaluation import World
from kernelproof.numeric.exact_array import ExactArray
from kernelproof.numeric.exact_calls import Call, Draw, calls
from kernelproof.numeric.exact_definition import entry, fill, lengths_of, numbers
from kernelproof.numeric.exact_refusals import refusals
from kernelproof.numeric.formal import formal
from kernelproof.numeric.gradient_forms import FLAT, GradientProgram, gradient_program
from kernelproof.numeric.gradient_signature import GRAD_OUT
from kernelproof.numeric.rounding import Array
from kernelproof.numeric.signature_variants import signature
from kernelproof.symbolic.functions import Definition
from kernelproof.symbolic.phase import Derivation, Gradient


def gradient_calls(phase: str, variant: Mapping[str, object], dtype: str, seed: int) -> list[Call]:
    """The calls of a phase with gradients of their results."""
    draw = Draw(seed + 1000, dtype)
    found = [call for call in calls(phase, variant, dtype, seed) if call.options.get("past_k") is None]
    return [_with(call, draw.array(*formal(phase, variant, call.tensors, call.options).shape)) for call in found]


def gradient_refusals(phase: str, variant: Mapping[str, object]) -> list[Call]:
    """Bad calls: those of the phase, with a gradient that fits where there is one, and good calls with bad gradients."""
    bad = [call for call in refusals(phase, variant) if not {"past_k", "past_v"} & set(call.options)]
    found = [_with(call, np.zeros(_likely(call), dtype=np.float32)) for call in bad]
    good = calls(phase, variant, "float32", 0)[0]
    shape = formal(phase, variant, good.tensors, good.options).shape
    wrong: list[Array] = [np.zeros((*shape, 1), np.float32), np.zeros((1, *shape), np.float32), np.zeros(shape, np.int64)]
    wrong.append(np.zeros((*shape[:-1], shape[-1] + 1), np.float32))
    found += [replace(_with(good, one), label=f"bad grad_out {one.dtype}{one.shape}") for one in wrong]
    return found


def _likely(call: Call) -> tuple[int, ...]:
    """The shape of the result of a bad call, as far as it has one."""
    given = call.given
    if "ids" in given:
        return (*np.shape(given["ids"]), *np.shape(given["table"])[1:2])
    if "x" in given:
        return np.shape(given["x"])
    return (*np.shape(given["q"])[:-1], *np.shape(given["v"])[-1:])


def _with(call: Call, gradient: Array) -> Call:
    return replace(call, given={**call.given, GRAD_OUT: gradient}, vjp=True)


# -- by definition ----------------------------------------------------------------------------------------------------------------


def gradients_by_definition(
    derivation: Derivation, found: Gradient, tensors: Mapping[str, Array], options: Mapping[str, Any], digits: int
) -> dict[str, Array]:
    """The gradients as arrays of mpmath numbers, by input, each of the shape of its input."""
    made = gradient_program(found.phase, found.variant)
    own = {name: array for name, array in tensors.items() if name != GRAD_OUT}
    given = formal(derivation.phase, derivation.variant, own, options)
    single = signature(found.phase, found.variant, cache=False).unbatched
    stages = {name: _stage(found, name) for name in made.inputs}
    with mpmath.workdps(digits):
        scalars, tables = numbers(derivation, given, options)
        tail = tuple(size_value(axis, given.sizes) for axis in made.result.axes)
        lead = () if made.phase in FLAT else given.shape[: len(given.shape) - len(tail)]
        tables[made.result.name] = tensors[GRAD_OUT].reshape((*lead, *tail))
        axes = {parameter.name: len(parameter.axes) for parameter in (*derivation.definition.parameters, made.result)}
        full = {name: np.broadcast_to(table, (*lead, *table.shape[table.ndim - axes[name] :])) for name, table in tables.items()}
        parts = {
            name: [np.empty((*lead, *lengths_of(clause, scalars)), dtype=object) for clause in stage.clauses]
            for name, stage in stages.items()
        }
        for at in np.ndindex(lead):
            world = World(0, dict(scalars), {name: entry(table[at]) for name, table in full.items()})
            for name, stage in stages.items():
                for clause, part in zip(stage.clauses, parts[name], strict=True):
                    fill(part[at], stage.call({}, *clause.pattern), clause, world)
        whole = {}
        for name, some in parts.items():
            shape = tuple(size_value(axis, given.sizes) for axis in made.axes[name])
            whole[name] = _assembled(found, some).reshape((*lead, *shape))
        return {name: _to_shape(array, tensors[name].shape, len(lead) if name in single else 0) for name, array in whole.items()}


def _stage(found: Gradient, name: str) -> Definition:
    return next(stage for stage in found.definitions if stage.name == found.results[name])


def _assembled(found: Gradient, parts: list[Array]) -> Array:
    """Channels of pairs, which have a clause for the first ones and one for the second, put together."""
    if len(parts) == 1:
        return parts[0]
    half = parts[0].shape[-1]
    whole = np.empty((*parts[0].shape[:-1], 2 * half), dtype=object)
    alternate = "interleaved" in (found.variant.get("layout"), found.variant.get("rotary"))
    places = (np.s_[..., 0::2], np.s_[..., 1::2]) if alternate else (np.s_[..., :half], np.s_[..., half:])
    for place, part in zip(places, parts, strict=True):
        whole[place] = part
    return whole


def _to_shape(array: Array, shape: tuple[int, ...], led: int) -> Array:
    """Summed over the first ``led`` axes, and over leading axes that the input is only broadcast along."""
    found = np.empty(array.shape[led:], dtype=object)
    found[...] = mpmath.mpf(0)
    for at in np.ndindex(array.shape[:led]):
        found = found + array[at]
    if found.size == np.prod(shape, dtype=int) and found.ndim <= len(shape):
        return found.reshape(shape)
    extra = found.ndim - len(shape)
    places = tuple(at for at in range(found.ndim) if at < extra or shape[at - extra] != found.shape[at])
    summed = np.asarray(found.sum(axis=places, initial=mpmath.mpf(0)) if places else found, dtype=object)
    return summed.reshape(shape)


# -- what a kernel gave -------------------------------------------------------------------------------------------------------------


def parts_of(result: Any, made: GradientProgram) -> dict[str, ExactArray] | str:
    """The gradients by input, or what is wrong with the result."""
    names = list(made.inputs)
    if not isinstance(result, tuple):
        return f"the result is of type {type(result).__name__}; expected a tuple"
    flat: list[Any] = []
    for part in result:
        flat += [part[name] for name in names[len(flat) :] if name in part] if isinstance(part, dict) else [part]
    if len(flat) != len(names) or not all(isinstance(part, ExactArray) for part in flat):
        return f"the result has {len(flat)} gradients; expected arrays for {', '.join(names)}"
    return dict(zip(names, flat, strict=True))
