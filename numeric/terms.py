"""A bound split into the terms of the stages that it comes from.

What it does: derives the bound again with the rounding of one stage alone, for each stage of the phase. Guarantees: a term is a bound
for kernels that round nowhere else; to first order the terms add up to the whole. Cannot see: which stage a kernel's error really came
from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kernelproof.numeric.formal import formal
from kernelproof.numeric.forms import free_shifts, program_of
from kernelproof.numeric.liberties import shifts_in
from kernelproof.numeric.precision import Precision
from kernelproof.numeric.reference import reference
from kernelproof.numeric.rounding import Array
from kernelproof.numeric.staging import STAGES, staging
from kernelproof.symbolic.binding import canonical
from kernelproof.symbolic.registry import derive


def terms(
    phase: str, variant: Mapping[str, object], tensors: Mapping[str, Array], options: Mapping[str, Any], dtype: str, precision: Precision
) -> dict[str, Array]:
    """The bound's terms by stage, in the order of the computation; stages that round nothing are left out."""
    found = {}
    for stage in stages_of(phase, variant, tensors, options, precision):
        error = reference(phase, variant, tensors, options, dtype, precision=precision, only=stage).error
        if (error > 0).any():
            found[stage] = error
    return found


def stages_of(
    phase: str, variant: Mapping[str, object], tensors: Mapping[str, Array], options: Mapping[str, Any], precision: Precision
) -> list[str]:
    """The stages that a phase has, and storage where anything is kept in another format than it is computed in."""
    derivation = derive(phase, **variant)
    program = program_of(derivation.definition.name)
    free = frozenset(canonical(term) for term in free_shifts())
    shifts = shifts_in(program, free, formal(phase, derivation.variant, tensors, options).sizes)
    names = set(staging(program, shifts).names.values())
    if any(getattr(precision, name) != precision.compute for name in ("output", "score", "probability", "products", "intermediate")):
        names.add("storage")
    return [stage for stage in STAGES if stage in names]
