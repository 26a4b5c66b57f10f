"""The rounding-error bound of a kernel, forward or gradient: in words, and for given arguments.

What it does: ``bound(arguments…, **options)`` takes what the kernel takes and gives (reference, bound), through ``reference`` or
``gradient_reference``; of a gradient kernel both are tuples like the kernel's own. Guarantees: \\|result − reference\\| ≤ bound, entry by
entry. Cannot see: what is wrong with the arguments beyond their names; the kernel says that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kernelproof.numeric.approx import Approx
from kernelproof.numeric.file_parts import error_bound_text
from kernelproof.numeric.gradient_reference import gradient_reference
from kernelproof.numeric.gradient_signature import gradient_signature, vjp_name
from kernelproof.numeric.reference import reference, stored
from kernelproof.numeric.rounding import FORMATS, Array, arithmetic_for
from kernelproof.numeric.signature_variants import signature
from kernelproof.numeric.signatures import Signature
from kernelproof.symbolic.errors import InputError

Parts = tuple[Any, ...]


@dataclass(frozen=True)
class ErrorBound:
    """The rounding-error bound of a kernel: in words, and for given arguments as (reference, bound)."""

    phase: str
    variant: Mapping[str, object]
    dtype: str

    @property
    def statement(self) -> str:
        """The bound in words."""
        return error_bound_text(self.dtype)

    def __call__(self, *arguments: Any, **options: Any) -> tuple[Any, Any]:
        """(reference, bound): |kernel(…) − reference| ≤ bound, entry by entry. Arguments as for the kernel."""
        tensors, _ = _named(self.phase, signature(self.phase, self.variant), arguments, options)
        found = self._stored(reference(self.phase, self.variant, tensors, options, self.dtype), tensors)
        return found.value, found.error

    def _stored(self, found: Approx, tensors: Mapping[str, Array]) -> Approx:
        """The kernel gives back the type of its inputs, which may be a narrower one than its own."""
        floats = [array.dtype for array in tensors.values() if array.dtype.name in FORMATS]
        result = np.result_type(*floats).name if floats else self.dtype
        if result not in FORMATS or FORMATS[result].unit <= FORMATS[self.dtype].unit:
            return found
        on = arithmetic_for(self.dtype, found.value.dtype)
        return stored(replace(on, store=FORMATS[result]), found, copied=self.phase == "embedding" and "grad_out" not in tensors)

    def __str__(self) -> str:
        return self.statement


@dataclass(frozen=True)
class GradientErrorBound(ErrorBound):
    """The rounding-error bound of each gradient: in words, and for given arguments as (references, bounds)."""

    def __call__(self, *arguments: Any, **options: Any) -> tuple[Any, Any]:
        """(references, bounds), each a tuple as the kernel gives it: |gradient − reference| ≤ bound, entry by entry."""
        tensors, packed = _named(vjp_name(self.phase), gradient_signature(self.phase, self.variant), arguments, options)
        found = gradient_reference(self.phase, self.variant, tensors, options, self.dtype)
        kept = {name: self._stored(one, tensors) for name, one in found.items()}
        values, errors = ({name: getattr(one, part) for name, one in kept.items()} for part in ("value", "error"))
        return _parts(values, packed), _parts(errors, packed)


def _parts(arrays: Mapping[str, Array], packed: tuple[str, ...]) -> Parts:
    """A tuple as a gradient kernel gives it."""
    free = tuple(array for name, array in arrays.items() if name not in packed)
    return (*free, {name: arrays[name] for name in packed}) if packed else free


def _named(name: str, of: Signature, arguments: Parts, options: dict[str, Any]) -> tuple[dict[str, Array], tuple[str, ...]]:
    """Arrays by name, taken out of the keywords where they were given so, and the names inside ``params``.

    Raises InputError for a call that the signature does not have.
    """
    positional, _, keywords = of.call.partition(", *")
    names, allowed = [part.strip() for part in positional.split(",")], {part.split("=")[0].strip() for part in keywords.split(",")}
    given = dict(zip(names, arguments, strict=False))
    given |= {name: options.pop(name) for name in names if name not in given and name in options}
    if len(arguments) > len(names) or len(given) < len(names) or set(options) - allowed:
        shown = ", ".join([str(len(arguments)), *options])
        raise InputError(f"bounding {name}: arguments {shown}; expected a call of {name}({of.call})")
    packed = tuple(array for array in of.arrays if array not in names) if "params" in names else ()
    params = given.pop("params", {})
    if missing := [member for member in packed if member not in params]:
        raise InputError(f"bounding {name}: params lacks {', '.join(missing)}; expected a mapping with {', '.join(packed)}")
    inside = {member: params[member] for member in packed}
    return {name: np.asarray(value) for name, value in {**given, **inside}.items()}, packed
