"""Counterexamples in a file: written into the JSON of a verdict, read back bit for bit.

What it does: beside the readable ``inputs`` stand ``recipe``, the case that they were made from, and ``exact``, its arrays as base64 of
their compressed little-endian bytes. Guarantees: what is read back has the same dtype, shape and bits, whatever the values (NaN with
its payload, infinities, both zeros, 16-bit types); nothing in a file is executed.
Cannot see: inputs that a property makes for itself beside its case (the second set of ``deterministic`` and of the mask properties):
they come again from the case's seed, the same under the same streams of NumPy.
"""

from __future__ import annotations

import base64
import json
import sys
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kernelproof.properties.call import one_line
from kernelproof.properties.model import DTYPES, Case, Inputs, build, case_from, dtype_named
from kernelproof.properties.values import Array
from kernelproof.symbolic.errors import InputError

#: no counterexample comes near; a file that unpacks to more is not one of ours
MOST_BYTES = 1 << 30


@dataclass(frozen=True, eq=False)
class Saved:
    """A counterexample from a file: the property it broke, its case, the arrays of the case."""

    property_id: str
    case: Case
    inputs: Inputs


def packed(array: Array) -> dict[str, Any]:
    """An array as strict JSON."""
    plain = np.ascontiguousarray(array)
    data = (plain if sys.byteorder == "little" else plain.byteswap()).tobytes()
    return {"dtype": array.dtype.name, "shape": list(array.shape), "data": base64.b64encode(zlib.compress(data, 9)).decode()}


def unpacked(found: Mapping[str, Any]) -> Array:
    """The array that :func:`packed` wrote; ValueError, KeyError or TypeError where it is none."""
    name = found["dtype"]
    dtype = dtype_named(name) if name in DTYPES else np.dtype(str(name))
    if dtype.kind not in "fiubV":
        raise ValueError(f"dtype {name} is no number")
    shape = tuple(int(length) for length in found["shape"])
    unpacker = zlib.decompressobj()
    data = unpacker.decompress(base64.b64decode(found["data"], validate=True), MOST_BYTES)
    if not unpacker.eof:
        raise ValueError("the data is cut off or too long")
    made = np.frombuffer(data, dtype=dtype).reshape(shape)
    return made.copy() if sys.byteorder == "little" else made.byteswap()


def exact(inputs: Inputs) -> dict[str, Any]:
    """All arrays by name: tensors, masks, extras."""
    return {name: packed(array) for name, array in _arrays(inputs).items()}


def _arrays(inputs: Inputs) -> dict[str, Array]:
    named = {**inputs.tensors, **inputs.options, **inputs.extras}
    return {name: value for name, value in named.items() if isinstance(value, np.ndarray)}


def read_saved(path: Path, phase: str, variant: Mapping[str, object], dtype: str | None = None) -> tuple[list[Saved], dict[str, Any]]:
    """The counterexamples of a file and the whole of it; InputError where it holds none for this phase, variant and dtype.

    The file is what ``verify --json`` writes, or one of its ``properties``.
    """
    reading = f"reading counterexamples from {str(path)!r}"
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{reading}: there is no such file; name one that 'kernelproof verify --json FILE' wrote") from None
    except OSError as error:
        raise InputError(f"{reading}: {error.strerror or error}; name a file that can be read") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{reading}: not JSON ({one_line(error)}); name a file that 'kernelproof verify --json FILE' wrote") from None
    rows = list(_rows(whole))
    if not rows:
        raise InputError(f"{reading}: no counterexample in it; name a file that 'kernelproof verify --json FILE' wrote on a failure")
    found = [saved_row(reading, row) for row in rows]
    for one in found:
        other = [
            (name, have, want)
            for name, have, want in (
                ("phase", one.case.phase, phase),
                ("variant", dict(one.case.variant), dict(variant)),
                ("dtype", one.case.dtype, dtype or found[0].case.dtype),
            )
            if have != want
        ]
        for name, have, want in other:
            raise InputError(f"{reading}: {one.property_id} is of {name} {_told(have)}, not {_told(want)}; choose that of the file")
    return found, whole


def _told(value: object) -> str:
    if isinstance(value, dict):
        return ",".join(f"{name}={item}" for name, item in value.items()) or "(none)"
    return str(value)


def _rows(whole: Any) -> Iterator[Mapping[str, Any]]:
    """The property objects that have a counterexample; a fault of our own is none."""
    rows = whole.get("properties", [whole]) if isinstance(whole, dict) else []
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict) and isinstance(row.get("counterexample"), dict) and row.get("verdict") != "error":
            yield row


def saved_row(reading: str, row: Mapping[str, Any]) -> Saved:
    """The counterexample of one of the ``properties`` of a file; InputError, which begins with ``reading``, where it cannot be read."""
    name = str(row.get("id"))
    try:
        inputs = row["counterexample"]["inputs"]
        case = case_from(inputs["recipe"])
        hash(case)  # a list where a number belongs
        arrays = {key: unpacked(value) for key, value in inputs["exact"].items()}
        made = build(case)
        own = _arrays(made)
    except InputError as error:
        raise InputError(f"{reading}: {name}: {error}") from None
    except Exception as error:
        # whatever a file holds, it is the file that is wrong
        raise InputError(f"{reading}: {name} cannot be read ({one_line(error)}); write the file again with --json") from None
    for key, array in own.items():
        if key not in arrays or (arrays[key].shape, arrays[key].dtype) != (array.shape, array.dtype):
            raise InputError(f"{reading}: {name}: {key} does not fit its recipe; write the file again with --json")
    held = Inputs(
        {key: arrays[key] for key in made.tensors},
        {key: arrays.get(key, value) for key, value in made.options.items()},
        {key: arrays[key] for key in made.extras},
    )
    return Saved(name, case, held)
