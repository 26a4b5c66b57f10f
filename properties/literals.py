"""Arrays as Python source.

Guarantees: evaluated, the text gives the array's own bits (which NaN a NaN is aside): that is tried before a literal
is returned.
"""

from __future__ import annotations

import base64
import textwrap
import zlib
from typing import Any

import numpy as np

from kernelproof.properties.values import Array

#: larger arrays are packed
MOST_LITERALS = 256


def packed(array: Array) -> str:
    """The bytes of an array, compressed."""
    text = base64.b64encode(zlib.compress(np.ascontiguousarray(array).tobytes(), 9)).decode()
    return (
        f"np.frombuffer(zlib.decompress(base64.b64decode({text!r})), dtype={type_text(array)})"
        f".reshape({array.shape!r}).copy()"
    )


def literal(array: Array) -> str:
    """``np.array([...], dtype=...)`` with the same bits; large arrays packed."""
    if array.size > MOST_LITERALS:
        return packed(array)
    if not array.size:
        return f"np.zeros({array.shape!r}, dtype={type_text(array)})"
    for spell in (str, lambda x: repr(float(x))):
        text = f"np.array({_nested(array, spell)}, dtype={type_text(array)})"
        if _read_back(text, array):
            return text
    return packed(array)


def _nested(array: Array, spell: Any) -> str:
    if array.ndim == 0:
        return str(array[()]) if array.dtype.kind in "biu" else spell(array[()])
    return f"[{', '.join(_nested(np.asarray(part), spell) for part in array)}]"


def _read_back(text: str, array: Array) -> bool:
    names: dict[str, Any] = {"np": np, "inf": np.inf, "nan": np.nan}
    if "ml_dtypes" in text:
        names["ml_dtypes"] = __import__("ml_dtypes")
    made = eval(text, names)
    return bool(made.tobytes() == array.tobytes() or np.array_equal(made, array, equal_nan=True))


def type_text(array: Array) -> str:
    """The name of the array's dtype."""
    return f"ml_dtypes.{array.dtype.name}" if array.dtype.kind == "V" else f"np.{array.dtype.name}"


def wrapped(text: str) -> str:
    """Source broken at blanks."""
    return textwrap.fill(text, 110, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
