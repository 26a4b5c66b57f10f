"""Names of number types without their rounding: float16 to float64, bfloat16, integers, bool.

What it does: what a kernel file asks of a dtype (``name``, ``kind``, the type that results), where no value is ever rounded to one.
Guarantees: the result of mixing types is NumPy's. bfloat16 is here without the package ml_dtypes, with that package's answers; mixed
with integers it is refused. Cannot see: range and precision, which are what these names stand for elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

BFLOAT16 = "bfloat16"


class NotExact(TypeError):
    """A value that was rounded, or that would be, met the exact arithmetic."""


@dataclass(frozen=True)
class Kind:
    """A number type by name; calling it makes a number of that type out of one, exactly where it is floating."""

    name: str

    @property
    def kind(self) -> str:
        """The letter of the kind as NumPy and ml_dtypes have it: f, i, u, b, and V for bfloat16."""
        return "V" if self.name == BFLOAT16 else np.dtype(self.name).kind

    @property
    def floating(self) -> bool:
        """Whether values are real numbers, or complex ones."""
        return self.kind in "fVc"

    @property
    def itemsize(self) -> int:
        """Bytes of a number of this type."""
        return 2 if self.name == BFLOAT16 else np.dtype(self.name).itemsize

    def __call__(self, value: Any) -> Any:
        from kernelproof.numeric.exact_array import exact

        return exact(value).astype(self)

    def __str__(self) -> str:
        return self.name


FLOAT64, COMPLEX128, INT64, BOOL = Kind("float64"), Kind("complex128"), Kind("int64"), Kind("bool")
#: the types of real and imaginary parts
PARTS = {Kind("complex64"): Kind("float32"), COMPLEX128: FLOAT64}
KINDS = {name: Kind(name) for name in ("float16", "float32", "float64", "complex64", "complex128", "int32", "int64", BFLOAT16)}


def kind_of(dtype: Any) -> Kind:
    """The type of a name, a NumPy dtype, or ``bool``; NotExact for any other."""
    if isinstance(dtype, Kind):
        return dtype
    if dtype is bool:
        return BOOL
    try:
        found = Kind(np.dtype(dtype).name)
    except TypeError:
        raise NotExact(f"dtype {dtype!r}; expected a floating, integer or boolean type of NumPy") from None
    if found not in PARTS and (found.kind not in "fiub" or np.dtype(found.name).itemsize > 8):
        raise NotExact(f"dtype {dtype!r}; expected a floating, integer or boolean type of NumPy")
    return found


def promoted(kinds: list[Kind], weak: list[object]) -> Kind:
    """The type that results from arrays of these types and Python numbers, which are weak: 0, 0.0, 0j or False stands for each."""
    if not any(kind.name == BFLOAT16 for kind in kinds):
        return Kind(np.result_type(*(np.dtype(kind.name) for kind in kinds), *weak).name)  # type: ignore[arg-type]
    if not all(kind.floating or kind == BOOL for kind in kinds):
        raise NotExact(f"bfloat16 mixed with {', '.join(map(str, kinds))}; expected floating types")
    others = [kind for kind in kinds if kind.floating and kind.name != BFLOAT16]
    if not others:
        return Kind(BFLOAT16)
    # neither half holds the other, so both go to float32
    return promoted([Kind("float32"), *others], [])
