"""Counterexamples between runs of pytest: kept in the Hypothesis database, tried first the next time.

What it does: a failing item saves its smallest counterexample, bit for bit as ``--replay`` reads it, under its own key in the database
of the Hypothesis profile in force; the next run of the item tries it before it searches, and forgets it once it passes.
Guarantees: the search itself uses no database, so a seed repeats it whatever is remembered; where the profile has ``database=None``,
as Hypothesis has on CI servers, nothing is kept and nothing is tried; what cannot be read any more is forgotten.
Cannot see: a change of the property under the same id.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from typing import Any

from hypothesis import settings

from kernelproof.properties.saved import Saved, saved_row
from kernelproof.properties.verdict import PropertyVerdict
from kernelproof.symbolic.errors import InputError

#: larger ones are not kept
MOST_BYTES = 1 << 20


class Remembered:
    """What the database of Hypothesis knows of one item; ``name`` tells it from all others."""

    def __init__(self, name: str) -> None:
        self._key = f"kernelproof counterexample 1: {name}".encode()
        self._database: Any = settings().database

    def all(self) -> Iterator[tuple[Saved, bytes]]:
        """The counterexamples with their bytes, for :meth:`forget`."""
        for data in sorted(self._database.fetch(self._key) if self._database is not None else ()):
            try:
                yield saved_row("reading a remembered counterexample", json.loads(zlib.decompress(data))), data
            except (InputError, ValueError, zlib.error):
                self.forget(data)

    def keep(self, found: PropertyVerdict) -> None:
        """Remember a failure in place of all before."""
        if self._database is None or found.counterexample is None:
            return
        data = zlib.compress(json.dumps(found.to_json(), allow_nan=False).encode(), 9)
        if len(data) <= MOST_BYTES:
            for old in list(self._database.fetch(self._key)):
                self.forget(old)
            self._database.save(self._key, data)

    def forget(self, data: bytes) -> None:
        """One that passes now."""
        self._database.delete(self._key, data)
