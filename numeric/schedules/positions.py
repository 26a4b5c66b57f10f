"""Positions by rotation: sines and cosines once for a block of positions, and for each block one row that turns them.

What it does: with PE[p + k] a rotation of PE[p] (``positional.rotation_sine``, ``positional.rotation_cosine``), sin and cos of position
start + first + t are one complex product: the row sin + i·cos at start + first, times cos − i·sin at t. A table of n rows takes the sines
and cosines of about 2·√n. Angles, factors and products are float64; entries are rounded once, where they are stored. Rotary encoding
turns its pairs with the same tables, block by block; its gradient is turned back by the same angles, with minus the sines.

Guarantees: the absolute error of a table is that of the angle in float64, which is that of the direct form, and 6 roundings of float64
from the product, below 2⁻⁵⁰; with the rounding to float32 that is within 2⁻²⁴ + 2⁻²⁷ at positions up to 10⁷. No block has positions on
both sides of 0, and one before 0 is turned from its last row backwards: the angles of both factors are at most the angle itself, so the
six roundings are also small beside what the angle may lose, and the bound of the direct form holds for float64 too. Cannot see: angles
so large that float64 has no digits after the point.
"""

from __future__ import annotations

from kernelproof.numeric.schedules import threads
from kernelproof.numeric.schedules.plan import Plan
from kernelproof.numeric.schedules.rows import CACHE
from kernelproof.numeric.signatures import Signature
from kernelproof.symbolic.phase import Derivation

HELPER = '''
def _turned(n, size, frequencies, start):
    """The blocks of n rows, and a function: sin + i·cos of the angles of a block's positions, into ``out``.

    Each block lies on one side of 0 and is turned away from 0: both angles are at most the one that they make.
    """
    angles = np.arange(size, dtype=np.float64)[:, None] * frequencies
    turns = np.cos(angles) - 1j * np.sin(angles)
    below = min(n, int(-start) + (start + int(-start) < 0)) if start < 0 else 0  # rows before position 0
    back = (turns.real - 1j * turns.imag)[::-1] if below else turns
    ends = [*range(0, below, size), *range(below, n, size), n]
    blocks = [slice(first, stop) for first, stop in zip(ends[:-1], ends[1:])]

    def turned(rows, out=None):
        count, ahead = rows.stop - rows.start, rows.start >= below
        angle = (start + (rows.start if ahead else rows.stop - 1)) * frequencies
        return np.multiply(turns[:count] if ahead else back[size - count :], np.sin(angle) + 1j * np.cos(angle), out=out)

    return blocks, turned
'''
LICENCES = ("positional.rotation_sine", "positional.rotation_cosine")
#: columns of sine and cosine i in each layout
COLUMNS = {"interleaved": ("0::2", "1::2"), "halves": (":h", "h:")}


def positions(derivation: Derivation, _: Signature) -> Plan | None:
    """The plan of the position table and of rotary encoding."""
    made = {"positional": _table, "rotary": turned_lines}.get(derivation.phase)
    return None if made is None else plan_with(made(str(derivation.variant["layout"])))


def plan_with(lines: tuple[str, ...]) -> Plan:
    """The plan of lines that call ``turned``."""
    return Plan(
        lines=lines,
        imports=(*threads.IMPORTS, threads.OPTIONAL_IMPORT),
        constants=(
            *threads.CONSTANTS, CACHE, "POSITION_BLOCK = 0  # positions of a block; 0: the root of all, but no more than lie in the cache",
        ),
        helpers=(threads.HELPER, HELPER),
        licences=LICENCES,
    )


def _sized(pairs: str, steps: str, row: str, least: int) -> list[str]:
    """Lines: frequencies, how many positions are a block, and the function that gives their sines and cosines.

    For a block another row of sines costs as much as one position of the first; the calls, about eight times that.
    """
    most = f"CACHE_BYTES // ({row})"
    return [
        f"frequencies = np.exp(-(np.arange({pairs}, dtype=np.float64) / ({steps} or math.inf)) * math.log(base))",
        f"size = POSITION_BLOCK or min(3 * int(math.sqrt(n)), {f'max({least}, {most})' if least else most})",
        "size = max(1, min(n, size))",
        "blocks, turned = _turned(n, size, frequencies, start)",
    ]


def _table(layout: str) -> tuple[str, ...]:
    """Sine and cosine of a pair are the parts of one entry, or go to the halves from there."""
    if layout == "interleaved":
        return (
            *_sized("sines", "steps", "16 * max(sines, 1)", 0), "work = np.result_type(DTYPE, np.float32)",
            "pairs = np.empty((n, sines), dtype=np.result_type(work, np.complex64))", "def block(number):",
            "    turned(blocks[number], pairs[blocks[number]])", "_each(len(blocks), block)",
            "out = pairs.view(work)[:, :d].astype(DTYPE, order=\"C\", copy=False)",
        )
    return (
        *_sized("sines", "steps", "16 * max(sines, 1)", 0), "out = np.empty((n, d), dtype=DTYPE)",
        "def block(number):", "    part, found = out[blocks[number]], turned(blocks[number])",
        "    part[:, :sines] = found.real", "    part[:, sines:] = found.imag", "_each(len(blocks), block)",
    )


def turned_lines(layout: str, sign: str = "") -> tuple[str, ...]:
    """All leading axes of a block of positions at once, with tables of that block; with "-" turned back."""
    first, second = COLUMNS[layout]
    return (
        *_sized("h", "h", "16 * max(h, 1) + 2 * work.itemsize * (x.size // max(n, 1))", 16),
        "shape = x.shape", "x = x.reshape((math.prod(shape[:-2]), n, d))", "whole, result = x, np.empty(x.shape, dtype=work)",
        "def block(number):", "    x, out = whole[:, blocks[number]], result[:, blocks[number]]",
        "    found = turned(blocks[number])", f"    sine, cosine = {sign}found.real.astype(work), found.imag.astype(work)",
        f"    one, other = x[..., {first}], x[..., {second}]", f"    left, right = out[..., {first}], out[..., {second}]",
        "    product = other * sine", "    np.multiply(one, cosine, out=left)", "    np.subtract(left, product, out=left)",
        "    np.multiply(other, cosine, out=product)", "    np.multiply(one, sine, out=right)", "    np.add(right, product, out=right)",
        "_each(len(blocks), block)", "out = result.reshape(shape)",
    )
