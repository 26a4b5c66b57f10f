"""``gradient_bound``: what the gradients of a phase are for inputs and a ``grad_out`` of yours, and how far off rounding can take a kernel.

Guarantees: as ``bound``, whose checks of names, shapes, types and options these are. Cannot see: as ``bound``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kernelproof.numeric.gradient_reference import gradient_reference
from kernelproof.numeric.precision import read_precision
from kernelproof.properties import bound as forward
from kernelproof.properties.call import gradient_slots
from kernelproof.properties.model import DTYPES
from kernelproof.properties.shapes import GRAD_OUT, PhaseShape, phase_shape, vjp_of
from kernelproof.properties.values import Array
from kernelproof.symbolic.errors import InputError
from kernelproof.symbolic.registry import check_variant

Parts = tuple[Any, ...]


def gradient_bound(
    phase: str, inputs: Mapping[str, Any], profile: str = "", dtype: str | None = None, **variant: object
) -> tuple[Parts, Parts]:
    """(references, bounds): every gradient of a right kernel of this dtype is within its bound of its reference, entry by entry.

    ``inputs`` has the arguments of the contract by name, ``grad_out``, of the shape of the result, among them. Both tuples have one array
    for each differentiable input, in the contract's order; for ``encoder_block`` the second part is a mapping like ``params``.

    Raises InputError as ``bound`` does, and for a phase without gradients.
    """
    chosen = check_variant(phase, variant)
    shape = phase_shape(vjp_of(phase), chosen)
    if dtype is not None and dtype not in DTYPES:
        raise InputError(f"bounding {shape.phase}: dtype {dtype!r}; expected one of {', '.join(DTYPES)}")
    given = forward._by_name(shape, inputs)
    tensors = {tensor.name: forward._array(shape, tensor.name, given.pop(tensor.name)) for tensor in shape.tensors}
    forward._check_types(shape, tensors, dtype)
    sizes, lead = forward._check_shapes(shape, tensors)
    options = {
        name: forward._option(shape, name, value) for name, value in given.items() if value is not None or name not in forward.MAY_BE_NONE
    }
    forward._check_sizes(shape, {**sizes, **{axis: options[name] for name, axis in shape.size_options}}, options)
    for tensor in shape.tensors:
        if tensor.below:
            forward._check_ids(shape, tensor, tensors[tensor.name], sizes[tensor.below])
    expected = (*lead, *(sizes[axis] for axis in shape.output if axis != "..."))
    if tensors[GRAD_OUT].shape != expected:
        raise InputError(f"bounding {shape.phase}: grad_out has shape {tensors[GRAD_OUT].shape}; expected {expected}, that of the result")
    found_type = dtype or tensors[GRAD_OUT].dtype.name
    if "mask" in options:
        scores = (*lead, *(sizes[axis] for axis in shape.score_axes))
        options["mask"] = forward._mask(shape, options["mask"], scores, found_type)
    precision = read_precision(profile, found_type)
    found = gradient_reference(phase, chosen, tensors, options, found_type, precision=precision)
    return _parts(shape, {name: one.value for name, one in found.items()}), _parts(shape, {name: one.error for name, one in found.items()})


def _parts(shape: PhaseShape, arrays: Mapping[str, Array]) -> Parts:
    """As a gradient kernel gives them."""
    inside = shape.packed[1] if shape.packed else ()
    return tuple(arrays[slot] if slot in arrays else {name: np.asarray(arrays[name]) for name in inside} for slot in gradient_slots(shape))
