"""The hidden entries of feed-forward, part by part: what stands between two products goes through parts that stay in the cache.

What it does: prints a program in place, as :mod:`printer_in_place` does, so that each product and what is made of it end in one array;
then puts the lines between products into a loop over a few rows of that array, with slices of it in place of the array. A block of rows
is as long as the products want it, and its hidden entries are no longer carried through memory at each of the many passes of an
activation. Guarantees: these lines act entry by entry, or add a vector of the columns, so each row needs its own entries alone; what a
part makes for itself is read in that part only, or the text is refused here. Cannot see: whether a part fits in the cache.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby

from kernelproof.numeric.printer_in_place import InPlacePrinter
from kernelproof.numeric.program import Operation

CONSTANT = "HIDDEN_BLOCK = 0  # rows whose hidden entries are computed at once; 0: as many as lie in the cache"
#: an activation has about five arrays of hidden entries under way; parts much smaller make threads wait for one another between calls
FEW = "few = HIDDEN_BLOCK or max(1, CACHE_BYTES // (4 * work.itemsize * max(h, 1)))"
PRODUCT = re.compile(r"\bnp\.matmul\(")
MADE = re.compile(r"(\w+) = ")
FULL = re.compile(r"\bproduct(\d+)\b")


class HiddenPrinter(InPlacePrinter):
    """Prints so that what is made of a product lies where the product lay, and a product never where a part may have made its own."""

    def _place(self, operation: Operation, batched: bool, aliased: bool) -> str | None:
        if operation.kind == "map":
            first = sorted(operation.operands, key=lambda ref: FULL.fullmatch(self._arrays.get(ref.value, "")) is None)
            return super()._place(replace(operation, operands=tuple(first)), batched, aliased)
        whole = self._free
        self._free = {form: [name for name in names if name == self.result or FULL.fullmatch(name)] for form, names in whole.items()}
        place = super()._place(operation, batched, aliased)
        self._free = {form: [name for name in names if name != place] for form, names in whole.items()}
        return place


def in_parts(lines: Iterable[str]) -> Iterator[str]:
    """The lines, those between products in loops over ``few`` rows."""
    made: set[str] = set()
    for product, run in groupby(lines, key=lambda line: PRODUCT.search(line) is not None):
        group = list(run)
        names = dict.fromkeys(name for line in group for name in FULL.findall(line.split("  # ")[0]))
        assert not any(re.search(rf"\b{name}\b", line.split("  # ")[0]) for name in made for line in group), group
        if product or not names:
            yield from group
            continue
        yield f"for first in range(0, len(product{next(iter(names))}), few):"
        yield from (f"    hidden{name} = product{name}[first : first + few]" for name in names)
        yield from ("    " + FULL.sub(r"hidden\1", line) for line in group)
        made |= {found[1] for line in group if (found := MADE.match(line))}
