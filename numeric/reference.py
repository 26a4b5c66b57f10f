"""Reference and tolerance of a whole phase for given inputs.

``reference(phase, variant, tensors, options, dtype)`` runs the kernel form in a wider format and returns the value with a bound on
the error of any faithful kernel of that dtype. The bound is worst case and depends on the inputs; where it is infinite nothing can
be concluded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kernelproof.numeric.formal import formal
from kernelproof.numeric.forms import free_shifts, program_of
from kernelproof.numeric.interpret import Approx, Interpreter
from kernelproof.numeric.precision import Precision, assumed_precision
from kernelproof.numeric.rounding import Arithmetic, Array, arithmetic_of
from kernelproof.symbolic.phase import Derivation
from kernelproof.symbolic.registry import derive


def wide(dtype: str) -> np.dtype[Any]:
    """The format of the reference: float64, or long double for float64 kernels."""
    return np.dtype(np.longdouble if dtype == "float64" else np.float64)


def reference(
    phase: str,
    variant: Mapping[str, object],
    tensors: Mapping[str, Array],
    options: Mapping[str, Any],
    dtype: str,
    errors: Mapping[str, Array] | None = None,
    precision: Precision | None = None,
    only: str = "",
) -> Approx:
    """Value and error bound of a phase for these inputs. ``errors`` bound the errors of the inputs themselves.

    ``precision`` is what is assumed of the kernel (the default: what is assumed here). With ``only``, the rounding of one stage
    alone is counted (:mod:`numeric.staging`).
    """
    derivation = derive(phase, **variant)
    precision = precision or assumed_precision(dtype)
    on = arithmetic_of(precision, wide(dtype))
    given = formal(phase, derivation.variant, tensors, options)
    own = {name: on.unit * count for name, count in given.roundings.items()}
    lost = {**own, **(errors or {})}
    interpreter = Interpreter(on, wide(dtype), given.sizes, given.inputs, lost, free_shifts(), precision=precision, only=only)
    parts = interpreter.run(program_of(derivation.definition.name))
    value, error = (assemble(derivation, [getattr(part, name) for part in parts], given.shape) for name in ("value", "error"))
    if given.undefined is not None:
        error = np.where(given.undefined, np.inf, error)
    return stored(on, Approx(value, error), copied=phase == "embedding" or only not in ("", "storage"))


def assemble(derivation: Derivation, parts: list[Array], shape: tuple[int, ...]) -> Array:
    """The clauses put together as the layout says."""
    if len(parts) == 1:
        return np.broadcast_to(parts[0], _lead(parts[0], shape)).reshape(shape)
    out = np.empty(shape, dtype=parts[0].dtype)
    if derivation.variant["layout"] == "interleaved":
        out[..., 0::2], out[..., 1::2] = parts
    else:
        half = parts[0].shape[-1]
        out[..., :half], out[..., half:] = parts
    return out


def _lead(part: Array, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with batch axes of length one filled, where a part was computed once for all."""
    return shape if part.ndim == len(shape) else part.shape


def stored(on: Arithmetic, found: Approx, copied: bool = False) -> Approx:
    """The rounding to the storage format, unless entries are only copied."""
    value, error = found.value, found.error
    if copied or on.store == on.compute:
        return found
    error = error + on.store.unit * (np.abs(value) + error) + on.store.tiny * on.store.unit
    return Approx(value, np.where(np.abs(value) + error > on.store.largest, np.inf, error))
