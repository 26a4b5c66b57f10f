"""Rows in blocks: the kernels that map each row alone, and the activations, entry by entry.

What it does: the leading axes become one axis of rows; blocks of them, as many rows as lie in a cache, are computed where their result
stands, in the order of the derivation and in place (``printer_in_place``), on threads. Guarantees: a block holds what its rows need and
nothing of the others. Softmax, the norms and the activations are defined of one row, or of one entry, so there is nothing to show;
for feed-forward it is ``feed_forward.position_wise``, with the rows of the block as the map, and the hidden entries between its products
go through smaller parts yet (:mod:`hidden`). One block is one call of the same lines without threads. Cannot see: arrays whose leading
axes are no single axis in memory; those are copied.
"""

from __future__ import annotations

from dataclasses import dataclass

from kernelproof.numeric.forms import program_of
from kernelproof.numeric.printer_in_place import InPlacePrinter
from kernelproof.numeric.schedules import erf, hidden, threads
from kernelproof.numeric.schedules.plan import Plan
from kernelproof.numeric.signatures import Signature
from kernelproof.symbolic.phase import Derivation

CACHE = "CACHE_BYTES = 1 << 20  # about half of what a core has for itself"


@dataclass(frozen=True)
class Rows:
    """How a phase is cut: lines that make ``x`` an array of ``rows`` rows, and how many of them are one block."""

    before: tuple[str, ...]
    size: str
    comment: str
    licences: tuple[str, ...] = ()


def _of_width(width: str) -> Rows:
    return Rows(
        ("shape, rows = x.shape, math.prod(x.shape[:-1])", f"x = x.reshape((rows, {width}))"),
        f"max(1, CACHE_BYTES // (work.itemsize * max({width}, 1)))",
        "rows of a block; 0: as many as lie in the cache",
    )


ROWS: dict[str, Rows] = {
    "softmax": _of_width("n"),
    "layer_norm": _of_width("d"),
    "rms_norm": _of_width("d"),
    "activation": Rows(
        ("rows = x.size",), "CACHE_BYTES // work.itemsize", "entries of a block; 0: as many as lie in the cache",
    ),
    # each block reads all weights once, so it is not the cache that says how many rows
    "feed_forward": Rows(
        ("rows = x.shape[0]",), "min(512, max(128, rows // 8))", "rows of a block; 0: an eighth of all, but from 128 to 512",
        ("feed_forward.position_wise",),
    ),
}


def rows(derivation: Derivation, signature: Signature) -> Plan | None:
    """The plan of a phase that maps each row alone."""
    cut = ROWS.get(derivation.phase)
    if cut is None:
        return None
    fed = derivation.phase == "feed_forward"
    made = hidden.HiddenPrinter if fed else InPlacePrinter
    printer = made(program_of(derivation.definition.name), "np", signature.unbatched, signature.optional)
    printer.erf = "_erf"
    printer.run()
    inner = list(hidden.in_parts(printer.lines)) if fed else printer.lines
    lines = [
        *cut.before, f"size = ROW_BLOCK or {cut.size}", *([hidden.FEW] if fed else []),
        *(f"{name} = np.ones({length}, dtype=work)" for name, length in printer.ones.items()),
        "whole, result = x, np.empty(x.shape, dtype=work)", "def block(number):", "    part = slice(number * size, (number + 1) * size)",
        "    x, out = whole[part], result[part]", *(f"    {line}" for line in inner), "_each(-(-rows // size), block)",
        "out = result.reshape(shape)",
    ]
    cache = [CACHE] if fed or "CACHE_BYTES" in cut.size else []
    return Plan(
        lines=tuple(lines),
        imports=(*threads.IMPORTS, threads.OPTIONAL_IMPORT, *((erf.IMPORT,) if printer.uses_erf else ())),
        constants=(*threads.CONSTANTS, *cache, f"ROW_BLOCK = 0  # {cut.comment}", *([hidden.CONSTANT] if fed else [])),
        helpers=(threads.HELPER, *((erf.HELPER,) if printer.uses_erf else ())),
        licences=cut.licences,
    )
