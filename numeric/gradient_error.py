"""The rounding-error bound of a gradient kernel, in words and for given arguments.

What it does: ``bound(inputs…, grad_out, **options)`` is (references, bounds), two tuples like the kernel's own, through
``gradient_reference``. Guarantees: \\|gradient − reference\\| ≤ bound, entry by entry, for each. Cannot see: what is wrong with the
arguments beyond their names; the kernel says that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kernelproof.numeric.approx import Approx
from kernelproof.numeric.gradient_reference import gradient_reference
from kernelproof.numeric.gradient_signature import gradient_signature, vjp_name
from kernelproof.numeric.kernel_file import error_bound_text
from kernelproof.numeric.reference import stored
from kernelproof.numeric.rounding import FORMATS, Array, arithmetic_for
from kernelproof.symbolic.errors import InputError

Parts = tuple[Any, ...]


@dataclass(frozen=True)
class GradientErrorBound:
    """The rounding-error bound of each gradient: in words, and for given arguments as (references, bounds)."""

    phase: str
    variant: Mapping[str, object]
    dtype: str

    @property
    def statement(self) -> str:
        """The bound in words."""
        return error_bound_text(self.dtype)

    def __call__(self, *arguments: Any, **options: Any) -> tuple[Any, Any]:
        """(references, bounds), each a tuple as the kernel gives it: |gradient − reference| ≤ bound, entry by entry."""
        tensors, packed = self._tensors(arguments, options)
        found = gradient_reference(self.phase, self.variant, tensors, options, self.dtype)
        floats = [array.dtype for array in tensors.values() if array.dtype.name in FORMATS]
        result = np.result_type(*floats).name
        if FORMATS[result].unit > FORMATS[self.dtype].unit:
            # the kernel gives back the type of its inputs, here a narrower one than its own
            found = {name: self._narrowed(one, result) for name, one in found.items()}
        return self._parts({name: one.value for name, one in found.items()}, packed), self._parts(
            {name: one.error for name, one in found.items()}, packed
        )

    def _narrowed(self, found: Approx, result: str) -> Approx:
        on = arithmetic_for(self.dtype, found.value.dtype)
        return stored(replace(on, store=FORMATS[result]), found)

    @staticmethod
    def _parts(arrays: Mapping[str, Array], packed: tuple[str, ...]) -> Parts:
        free = tuple(array for name, array in arrays.items() if name not in packed)
        return (*free, {name: arrays[name] for name in packed}) if packed else free

    def _tensors(self, arguments: tuple[Any, ...], options: dict[str, Any]) -> tuple[dict[str, Array], tuple[str, ...]]:
        """Arrays by name, and the names inside ``params``. InputError for a call that the signature does not have."""
        signature = gradient_signature(self.phase, self.variant)
        positional, _, keywords = signature.call.partition(", *")
        names = [name.strip() for name in positional.split(",")]
        allowed = {part.split("=")[0].strip() for part in keywords.split(",")}
        given = dict(zip(names, arguments, strict=False))
        given |= {name: options.pop(name) for name in names if name not in given and name in options}
        if len(arguments) > len(names) or len(given) < len(names) or set(options) - allowed:
            shown = ", ".join([str(len(arguments)), *options])
            call = f"{vjp_name(self.phase)}({signature.call})"
            raise InputError(f"bounding {vjp_name(self.phase)}: arguments {shown}; expected a call of {call}")
        params = given.pop("params", {})
        packed = signature.arrays[1:-1] if "params" in names else ()
        if missing := [name for name in packed if name not in params]:
            expected = f"expected a mapping with {', '.join(packed)}"
            raise InputError(f"bounding {vjp_name(self.phase)}: params lacks {', '.join(missing)}; {expected}")
        inside = {name: params[name] for name in packed}
        return {name: np.asarray(value) for name, value in {**given, **inside}.items()}, packed
