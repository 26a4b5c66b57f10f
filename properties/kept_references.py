"""References kept while many kernels are tried on the same inputs; outside :func:`keeping_references` nothing is kept.

What it does: ``reference`` and ``gradient_reference`` of ``numeric``, asked once for equal inputs. Guarantees: inputs are equal when all
their bits, types, shapes and options and the assumed
precision are; what is kept cannot be written to. Cannot see: what is assumed in other ways than by a precision.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from kernelproof.numeric import gradient_reference as of_gradients
from kernelproof.numeric import reference as of_phases
from kernelproof.numeric.interpret import Approx
from kernelproof.numeric.precision import assumed_precision
from kernelproof.properties.values import Array

#: bytes that are kept at most
MOST = 300 << 20


class _Kept:
    def __init__(self) -> None:
        self.found: OrderedDict[bytes, tuple[Any, int]] = OrderedDict()
        self.bytes = 0

    def of(self, key: bytes, make: Callable[[], Any]) -> Any:
        if key in self.found:
            self.found.move_to_end(key)
            return self.found[key][0]
        value = make()
        size = 0
        for part in value.values() if isinstance(value, dict) else [value]:
            for array in (part.value, part.error):
                if isinstance(array, np.ndarray):
                    array.flags.writeable = False
                    size += array.nbytes
        self.found[key] = (value, size)
        self.bytes += size
        while self.bytes > MOST and len(self.found) > 1:
            self.bytes -= self.found.popitem(last=False)[1][1]
        return value


_KEPT: ContextVar[_Kept | None] = ContextVar("kept references", default=None)


@contextmanager
def keeping_references() -> Iterator[None]:
    """Keep references until the block ends."""
    token = _KEPT.set(_Kept())
    try:
        yield
    finally:
        _KEPT.reset(token)


def reference(
    phase: str,
    variant: Mapping[str, object],
    tensors: Mapping[str, Array],
    options: Mapping[str, Any],
    dtype: str,
    errors: Mapping[str, Array] | None = None,
) -> Approx:
    """:func:`kernelproof.numeric.reference.reference` with what is assumed of kernels here."""
    kept = _KEPT.get()
    if kept is None:
        return of_phases.reference(phase, variant, tensors, options, dtype, errors)
    found: Approx = kept.of(
        _key(phase, variant, tensors, options, dtype, errors),
        lambda: of_phases.reference(phase, variant, tensors, options, dtype, errors),
    )
    return found


def gradient_reference(
    phase: str,
    variant: Mapping[str, object],
    tensors: Mapping[str, Array],
    options: Mapping[str, Any],
    dtype: str,
    errors: Mapping[str, Array] | None = None,
) -> dict[str, Approx]:
    """:func:`kernelproof.numeric.gradient_reference.gradient_reference`."""
    kept = _KEPT.get()
    if kept is None:
        return of_gradients.gradient_reference(phase, variant, tensors, options, dtype, errors)
    found: dict[str, Approx] = kept.of(
        _key(f"{phase}.vjp", variant, tensors, options, dtype, errors),
        lambda: of_gradients.gradient_reference(phase, variant, tensors, options, dtype, errors),
    )
    return dict(found)


def _assumed() -> str:
    return assumed_precision("float32").changes()


def _key(phase: str, variant: Mapping[str, object], *rest: Any) -> bytes:
    digest = hashlib.blake2b(repr((phase, sorted(variant.items(), key=str), _assumed())).encode(), digest_size=16)
    for part in rest:
        for name, value in sorted(part.items()) if isinstance(part, Mapping) else [("", part)]:
            digest.update(name.encode())
            if isinstance(value, np.ndarray):
                digest.update(f"{value.dtype} {value.shape}".encode())
                digest.update(np.ascontiguousarray(value).tobytes())
            else:
                digest.update(repr(value).encode())
    return digest.digest()
