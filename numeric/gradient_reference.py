"""Reference and tolerance of the gradients of a phase for given inputs and a given gradient of the result.

``gradient_reference(phase, variant, tensors, options, dtype)`` gives for every differentiable input the value of its gradient and a
bound on the error of any faithful gradient kernel of that dtype: weights recomputed or kept, Δ from either of its recipes, any order of
every sum, sums over all leading axes for what has none. 16-bit types are storage, as in ``reference``.

Guarantees: an infinite bound where nothing can be concluded. Cannot see: tight bounds where an input is broadcast over leading axes that
others have; what is summed there is bounded from the slices.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from kernelproof.numeric.approx import Approx, size_value
from kernelproof.numeric.formal import Formal, formal
from kernelproof.numeric.forms import free_shifts
from kernelproof.numeric.gradient_forms import FLAT, GradientProgram, gradient_program
from kernelproof.numeric.gradient_interpret import GradientInterpreter
from kernelproof.numeric.lower_stages import LEADING
from kernelproof.numeric.precision import Precision, assumed_precision
from kernelproof.numeric.reference import stored, wide
from kernelproof.numeric.rounding import Arithmetic, Array, arithmetic_of
from kernelproof.numeric.signature_variants import signature
from kernelproof.symbolic.errors import InputError
from kernelproof.symbolic.registry import derive

#: the argument that a gradient kernel has beside those of the phase
GRAD_OUT = "grad_out"


def gradient_reference(
    phase: str,
    variant: Mapping[str, object],
    tensors: Mapping[str, Array],
    options: Mapping[str, Any],
    dtype: str,
    errors: Mapping[str, Array] | None = None,
    precision: Precision | None = None,
) -> dict[str, Approx]:
    """Values and error bounds by input; ``tensors`` has ``grad_out`` too. ``errors`` bound the errors of the tensors themselves.
    ``precision`` is what is assumed of the kernel (the default: what is assumed here).

    Raises InputError for a phase without gradients, and for a call with earlier keys and values.
    """
    if options.get("past_k") is not None:
        raise InputError(f"gradient of {phase} with past_k and past_v: earlier keys and values get no gradient; leave them out")
    made = gradient_program(phase, variant)
    precision = precision or assumed_precision(dtype)
    on = arithmetic_of(precision, wide(dtype))
    own = {name: array for name, array in tensors.items() if name != GRAD_OUT}
    given = formal(phase, derive(phase, **variant).variant, own, options)
    sizes, inputs = _arranged(made, given, given.inputs, tensors[GRAD_OUT])
    lost: dict[str, Any] | None = None
    own_errors = {name: on.unit * count for name, count in given.roundings.items()}
    if errors is not None or own_errors:
        rest = {**own_errors, **{name: error for name, error in (errors or {}).items() if name != GRAD_OUT}}
        spread = {name: np.reshape(error, np.shape(given.inputs[name])) for name, error in rest.items()}
        _, lost = _arranged(made, given, spread, (errors or {}).get(GRAD_OUT, np.zeros_like(tensors[GRAD_OUT], dtype=wide(dtype))))
    run = GradientInterpreter(on, wide(dtype), sizes, inputs, lost, free_shifts(), precision=precision)
    parts = iter(run.run(made.program))
    found = {}
    for name, count in zip(made.inputs, made.clauses, strict=True):
        clauses = [next(parts) for _ in range(count)]
        value, error = (_shaped(made, given, name, tensors[name].shape, [getattr(one, field) for one in clauses], variant)
                        for field in ("value", "error"))
        if given.undefined is not None:
            error = np.where(_undefined(made, given, name), np.inf, error)
        found[name] = stored(on, _to_shape(on, Approx(value, error), tensors[name].shape))
    return found


def _arranged(
    made: GradientProgram, given: Formal, arrays: Mapping[str, Array | float], gradient: Array
) -> tuple[dict[str, int], dict[str, Any]]:
    """Sizes and inputs of the program: the gradient of the result under its name, leading axes as one where the program has one."""
    sizes = dict(given.sizes)
    own = tuple(size_value(axis, sizes) for axis in made.result.axes)
    lead = () if made.phase in FLAT else _lead(made, given)
    inputs: dict[str, Any] = {**arrays, made.result.name: gradient.reshape((*lead, *own))}
    if not made.leading:
        return sizes, inputs
    sizes[LEADING.name] = math.prod(lead)
    for operation in made.program.operations:
        if operation.kind == "input" and operation.axes and operation.axes[0].size is LEADING and operation.detail[0] in inputs:
            name = operation.detail[0]
            tail = tuple(size_value(axis.size, sizes) for axis in operation.axes[1:])
            inputs[name] = np.broadcast_to(np.asarray(inputs[name]), (*lead, *tail)).reshape((sizes[LEADING.name], *tail))
    return sizes, inputs


def _shaped(
    made: GradientProgram, given: Formal, name: str, shape: tuple[int, ...], parts: list[Array], variant: Mapping[str, object]
) -> Array:
    """A gradient along the leading axes of the call and its input's own axes: channels of pairs put together, pairs of axes made one."""
    if len(parts) > 1:
        whole = np.empty((*parts[0].shape[:-1], 2 * parts[0].shape[-1]), dtype=parts[0].dtype)
        half = parts[0].shape[-1]
        alternate = "interleaved" in (variant.get("layout"), variant.get("rotary"))
        places = (np.s_[..., 0::2], np.s_[..., 1::2]) if alternate else (np.s_[..., :half], np.s_[..., half:])
        for place, part in zip(places, parts, strict=True):
            whole[place] = part
        parts = [whole]
    (part,) = parts
    if made.phase in FLAT or name in signature(made.phase, variant, cache=False).unbatched:
        return part.reshape(shape)
    own = _own_shape(made, given, name)
    if made.leading:
        return part.reshape((*_lead(made, given), *own))
    frame = made.program.frames[sum(made.clauses[: made.inputs.index(name)])]
    return part.reshape((*part.shape[: part.ndim - len(frame)], *own))


def _own_shape(made: GradientProgram, given: Formal, name: str) -> tuple[int, ...]:
    """The sizes of an input's own axes."""
    return tuple(size_value(axis, given.sizes) for axis in made.axes[name])


def _lead(made: GradientProgram, given: Formal) -> tuple[int, ...]:
    """The leading axes of the call."""
    return given.shape[: len(given.shape) - len(made.result.axes)]


def _undefined(made: GradientProgram, given: Formal, name: str) -> Array:
    """Where nothing is claimed of a gradient, since rows are NaN by convention: in these rows of queries, and in the keys that they read.

    The derived gradient is zero there, as where such a row gives zeros; a kernel that gives NaN for the row may pass it on.
    """
    rows: Array = np.broadcast_to(np.asarray(given.undefined), (*given.shape[:-1], 1))
    if name == "q":
        return rows
    found: Array = np.asarray(rows.any(axis=-2, keepdims=True))
    heads, group = given.sizes.get("heads"), given.sizes.get("group")
    if heads is None or group is None:
        return found
    return np.asarray(found.reshape((*found.shape[:-3], heads, group, 1, 1)).any(axis=-3))


def _to_shape(on: Arithmetic, found: Approx, shape: tuple[int, ...]) -> Approx:
    """Summed over the leading axes along which the input was only broadcast.

    A slice's bound e is at least what its own sum of n terms may lose, γ_{n−1}·Σ|t|; a kernel that sums all B slices at once loses at most
    γ_{nB−1}·Σ|t| <= 2B·e.
    """
    value, error = found.value, found.error
    extra = value.ndim - len(shape)
    axes = tuple(at for at in range(value.ndim) if at < extra or (shape[at - extra] == 1 and value.shape[at] != 1))
    if not axes:
        return found
    count = math.prod(value.shape[at] for at in axes)
    reach = (np.abs(value) + error).sum(axis=axes).reshape(shape)
    lost = (1 + 2 * count) * error.sum(axis=axes).reshape(shape) + on.gamma(count) * reach + count * on.tiny
    return Approx(value.sum(axis=axes).reshape(shape), np.where(reach > on.compute.largest, np.inf, lost * on.slack(count)))
