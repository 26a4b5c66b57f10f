"""What a tolerance assumes of a kernel's arithmetic, as one record that can be printed, given in words and varied.

What it does: names the formats in which a kernel computes, accumulates and keeps what lies between its inputs and its result, the
accuracy of its elementary functions, and how finely an online softmax may be tiled. A bound is derived for one such record; which one
is printed beside every verdict. ``numeric.staging`` says which values of a program each field speaks of.

Guarantees: every field that is coarser makes every bound larger or equal. Cannot see: what a kernel really does; a record is an
assumption, and ``properties.forensics`` asks which assumption would explain an error.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

from kernelproof.numeric.ulps import ANY, LIBRARIES, OWN, Ulps
from kernelproof.symbolic.errors import InputError


@dataclass(frozen=True)
class Format:
    """A floating-point format: unit roundoff, smallest normal number, largest number."""

    name: str
    unit: float
    tiny: float
    largest: float


_FLOAT32 = (2 - 2.0**-23) * 2.0**127
#: of inputs and results
FORMATS = {
    "float16": Format("float16", 2.0**-11, 2.0**-14, 65504.0),
    "bfloat16": Format("bfloat16", 2.0**-8, 2.0**-126, (2 - 2.0**-7) * 2.0**127),
    "float32": Format("float32", 2.0**-24, 2.0**-126, _FLOAT32),
    "float64": Format("float64", 2.0**-53, 2.0**-1022, (2 - 2.0**-52) * 2.0**1023),
}
#: what lies between may be in these too; tfloat32 has float32's exponents, and its unit is a whole last place, since hardware may cut
#: digits off instead of rounding them
KEPT_FORMATS = {
    "float8_e4m3": Format("float8_e4m3", 2.0**-4, 2.0**-6, 448.0),
    "tfloat32": Format("tfloat32", 2.0**-10, 2.0**-126, _FLOAT32),
    **FORMATS,
}
#: fields that are formats of values between the inputs and the result
KEPT = ("accumulate", "products", "score", "probability", "intermediate")
WORDS = ("compute", *KEPT, "ulps", "tile", "weights", "subnormals")
#: how weights may be found: also from a rounded log-sum-exp, or only by dividing by their own sum
WEIGHTS = ("any", "normalised")
#: what becomes of an input below the least normal number: it is computed with, or read as zero (only where float32 is computed in)
SUBNORMALS = ("kept", "flushed")


@dataclass(frozen=True)
class Precision:
    """The arithmetic that a bound assumes.

    ``compute`` is the format of all that is not named, ``output`` that of inputs and result. ``accumulate`` is the format of the
    partial sums, ``products`` the one that the factors of a sum of products are rounded to, ``score`` the one that the scores of an
    attention are kept in, ``probability`` its weights where they meet the values, ``intermediate`` what lies between two products
    (projections, a hidden layer, a residual sum). ``ulps`` names a table of :mod:`kernelproof.numeric.ulps`. ``tile`` is the least
    number of keys after which an online softmax may rescale; 0: it is not online. ``weights`` is ``normalised`` where they are
    divided by their own sum, so that a row sums to one more closely than weights from a log-sum-exp do (``any``). ``subnormals`` are
    ``flushed`` where an input below the least normal number of float32 is read as zero. ``changed`` are units that differ from the table.
    """

    compute: str
    output: str
    accumulate: str
    products: str
    score: str
    probability: str
    intermediate: str
    ulps: str = "any"
    tile: int = 1
    weights: str = "any"
    subnormals: str = "kept"
    changed: tuple[tuple[str, float], ...] = ()

    @property
    def functions(self) -> Ulps:
        """Assumed worst errors of elementary functions, in units in the last place of ``compute``."""
        return {**LIBRARIES[self.ulps].ulps, **dict(self.changed)}

    @property
    def flushes(self) -> bool:
        """Whether inputs may be read as zero: what vendors call flushing is of float32 alone."""
        return self.subnormals == "flushed" and self.compute == "float32"

    def format(self, name: str) -> Format:
        """The format that a field names."""
        return KEPT_FORMATS[getattr(self, name)]

    def changes(self) -> str:
        """What differs from the default for this output, as :meth:`with_changes` reads it; empty where nothing does."""
        plain = default_precision(self.output)
        named = [name for name in WORDS if getattr(self, name) != getattr(plain, name)]
        return ",".join([*(f"{name}={getattr(self, name)}" for name in named), *(f"{name}={ulp:g}" for name, ulp in self.changed)])

    def with_changes(self, text: str) -> Precision:
        """The record with ``NAME=VALUE,…`` changed: a field, or the units of a function. InputError for what there is not."""
        given = self
        for pair in filter(None, (part.strip() for part in text.split(","))):
            name, _, value = pair.partition("=")
            if name in ANY:
                given = replace(given, changed=(*((at, ulp) for at, ulp in given.changed if at != name), (name, _units(name, value))))
            elif name in WORDS:
                given = replace(given, **{name: _value(name, value)})  # type: ignore[arg-type]
            else:
                known = ", ".join((*WORDS, *ANY))
                raise InputError(f"reading precision {pair!r}: expected NAME=VALUE with NAME one of {known}, for example score=bfloat16")
        return given

    def __str__(self) -> str:
        formats = [f"{name} {getattr(self, name)}" for name in KEPT if getattr(self, name) != self.compute]
        ulps = ", ".join(f"{name} {ulp:g}" for name, ulp in self.functions.items())
        tiles = (
            "no online softmax" if not self.tile else f"online softmax in tiles of {self.tile} key{'s' if self.tile > 1 else ''} or more"
        )
        kept = f"; {', '.join(formats)}" if formats else ""
        stored = f", stored as {self.output}" if self.output != self.compute else ""
        read = "; subnormal inputs read as zero" if self.flushes else ""
        return f"computed in {self.compute}{stored}{kept}{read}; sums in any order; {tiles}; ulp ({self.ulps}): {ulps}"


def _units(name: str, value: str) -> float:
    try:
        ulp = float(value)
    except ValueError:
        ulp = math.nan
    if not 0 <= ulp < math.inf:
        raise InputError(f"reading precision {name}={value}: expected a number of units in the last place from 0 up")
    return ulp


def _value(name: str, value: str) -> str | int:
    if name == "tile":
        if not value.isdecimal():
            raise InputError(f"reading precision tile={value}: expected a whole number from 0 up")
        return int(value)
    known: tuple[str, ...] = {"ulps": tuple(LIBRARIES), "weights": WEIGHTS, "subnormals": SUBNORMALS}.get(name, tuple(KEPT_FORMATS))
    if value not in known:
        raise InputError(f"reading precision {name}={value}: expected one of {', '.join(known)}")
    return value


def default_precision(dtype: str) -> Precision:
    """The contract's: 16-bit formats are storage, also of weights and of what lies between two products, sums are float32."""
    compute = "float32" if dtype in ("float16", "bfloat16") else dtype
    return Precision(compute, dtype, compute, compute, compute, probability=dtype, intermediate=dtype)


def read_precision(text: str, dtype: str) -> Precision:
    """The default for a dtype with ``NAME=VALUE,…`` changed."""
    return default_precision(dtype).with_changes(text)


_ASSUMED: ContextVar[str] = ContextVar("assumed", default="")


@contextmanager
def assuming(changes: str) -> Iterator[None]:
    """Within it, bounds are derived for the default with these changes."""
    read_precision(changes, "float32")
    token = _ASSUMED.set(changes)
    try:
        yield
    finally:
        _ASSUMED.reset(token)


@contextmanager
def assuming_library(libraries: Iterable[str]) -> Iterator[None]:
    """Within it, what is said of the first of these libraries that has a table of its own is assumed, unless something else was said."""
    own, said = next((name for name in libraries if name in OWN), ""), _ASSUMED.get()
    parts = ("" if "ulps=" in said else f"ulps={own}", LIBRARIES[own].assumes) if own else ()
    with assuming(",".join(filter(None, (*parts, said)))):
        yield


def assumed_precision(dtype: str) -> Precision:
    """The record that bounds for this dtype are derived for here: the default, or what :func:`assuming` changed."""
    return read_precision(_ASSUMED.get(), dtype)
