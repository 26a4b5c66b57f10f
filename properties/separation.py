"""All positions of a table are distinct: decided for every pair, by one pass over offsets, or by hashing every row.

What it does: subtracts what two rows of a faithful kernel may be off by from the smallest distance of two positions
(``positional.distance``: it depends on the offset only). What is left, if positive, keeps all positions apart in every table that
meets its bound; that this one does is checked entry by entry. Where nothing is left, or the table breaks its bound, every row's bits
are hashed and rows with equal digests compared. The table is read in blocks through ``start``.

Guarantees: ``pass`` says that no two of the N rows are equal; ``fail`` shows two equal rows that are further apart than rounding can
hide; equal rows that rounding does explain are ``inconclusive``, and shown. Memory does not grow with N·d if the target takes ``start``.
Cannot see: a target that gives other rows for another ``start`` or the second time; that is for the properties of ``verify``.

Command line: ``python -m kernelproof.properties.separation TARGET --positions 1000000 --d-model 512``, exit codes as ``verify``; the target
runs in a worker process, as there.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from kernelproof.numeric.reference import assemble
from kernelproof.numeric.separation import TURNED_ERROR, Nearest, Turned, ceilings, entries_at, nearest, split_frequencies
from kernelproof.properties.call import TargetRaised, TimeIsUp
from kernelproof.properties.collisions import Repeats, digests, plain, repeats, told_apart
from kernelproof.properties.isolation import PROCESS, isolated_target
from kernelproof.properties.model import DTYPES, Finding
from kernelproof.properties.reading import Rows, peak_memory, read_positions
from kernelproof.properties.targets import Target, memory_target
from kernelproof.properties.values import Array
from kernelproof.properties.watched import Limits
from kernelproof.symbolic.errors import InputError
from kernelproof.symbolic.registry import derive

_ENTRIES = 2**18
_JUDGED = 2**16
#: what one call of a target by name may take; of memory, tables in float64
_CALL_SECONDS, _TABLES = 120.0, 4


@dataclass(frozen=True, eq=False)
class Collision:
    """Two positions with the same row; ``explained`` where rounding alone can make them equal."""

    p: int
    q: int
    row: Array
    explained: bool


@dataclass(frozen=True, eq=False)
class Positions:
    """What is known of N positions, and how. ``separated`` of them are distinct by the theorem alone."""

    target: str
    positions: int
    width: int
    dtype: str
    verdict: Literal["pass", "fail", "inconclusive"]
    decided_by: Literal["separation", "hashing"]
    nearest: Nearest
    subtracted: float
    separated: int
    deviation: float
    outside: tuple[int, int] | None
    collision: Collision | None
    seconds: float
    target_seconds: float
    peak_mib: float | None

    def __bool__(self) -> bool:
        return self.verdict == "pass"

    @property
    def exit_code(self) -> int:
        """As ``verify``: 0 held, 1 failed or nothing was conclusive."""
        return int(self.verdict != "pass")

    def finding(self) -> Finding:
        """The outcome as the finding of a property."""
        rows = None if self.collision is None else np.stack([self.collision.row, self.collision.row])
        failed = self.verdict == "fail"
        return Finding(
            ok=not failed, ratio=math.inf if failed else 0.0 if self else None, vacuous=self.verdict == "inconclusive", observed=rows,
            expected=None if rows is None else "different rows", message=str(self),
        )

    def __str__(self) -> str:
        """The verdict, its reasons and its cost, a line each."""
        return "\n".join(line for line in self._lines() if line)

    def _lines(self) -> list[str]:
        near, margin = self.nearest, self.nearest.distance - self.nearest.error - self.subtracted
        memory = "" if self.peak_mib is None else f", peak memory of the process {self.peak_mib:.0f} MiB"
        time_taken = f"{self.seconds:.1f} s, {self.target_seconds:.1f} s of them in the target"
        return [
            f"{self.verdict}: {self.positions} positions of width {self.width}, {self.target} in {self.dtype}",
            f"  decided by {self.decided_by}",
            f"  smallest distance of two positions {near.distance:.6g}, at offset {near.offset}" if near.offset else "",
            f"  bound subtracted {self.subtracted:.3g} (two rows), "
            + (f"which leaves {margin:.6g}" if margin > 0 else "which leaves nothing" + self._partly()),
            self._measured(),
            self._beyond(),
            self._of_rows(),
            f"  {time_taken}{memory}",
        ]

    def _measured(self) -> str:
        """What this table is off by, which may keep its rows apart without any bound."""
        alone = self.nearest.distance - self.nearest.error > 2 * self.deviation
        said = f"  measured: no row is further than {self.deviation:.3g} from the exact one"
        return said + (", which alone keeps all rows apart" if alone else "")

    def _beyond(self) -> str:
        if self.outside is None:
            return ""
        return f"  the table breaks its rounding bound, first at {list(self.outside)}: the theorem does not apply to it"

    def _partly(self) -> str:
        return f"; the first {self.separated} positions are separated" if self.separated > 1 else ""

    def _of_rows(self) -> str:
        if self.decided_by == "separation":
            return "  every entry is within its bound, so all rows differ"
        if self.collision is None:
            return "  every row's bits hashed: all rows differ"
        one = self.collision
        why = "rounding alone explains it" if one.explained else "they are further apart than rounding can hide"
        row = np.array2string(one.row.astype(np.float64), threshold=8, edgeitems=4, max_line_width=10_000)
        return f"  first collision: positions {one.p} and {one.q} have the same row; {why}\n  both rows: {row}"


def check_positions(
    function: Callable[..., Any],
    n_positions: int,
    d_model: int,
    dtype: str | None = None,
    layout: str = "interleaved",
    denominator: str = "paper",
    base: float = 10000.0,
    start: int = 0,
    supports: Sequence[str] | None = None,
) -> Positions:
    """Whether all N rows of ``function(n_positions, d_model, base=…, start=…)`` differ.

    ``dtype`` is the format under test: the table's own if None; another one is converted to it first.

    >>> print(check_positions(kernelproof.generate("positional"), 1_000_000, 512))  # doctest: +SKIP
    """
    variant = dict(derive("positional", layout=layout, denominator=denominator).variant)
    target = memory_target(function, phase="positional", variant=variant, supports=supports)
    return positions_of(target, n_positions, d_model, dtype, base, start)


def positions_of(
    target: Target,
    count: int,
    width: int,
    dtype: str | None = None,
    base: float = 10000.0,
    start: int = 0,
    until: float = math.inf,
) -> Positions:
    """Whether all rows of a loaded target differ; its variant says the layout and the denominator.

    After the moment ``until`` of ``time.perf_counter`` it gives up with ``TimeIsUp``.
    """
    began = time.perf_counter()
    # the two tables that make all rows are smallest together where both have √N of them
    block = max(min(max(_ENTRIES // max(width, 1), math.isqrt(max(count, 0))), count), 1)
    rows = read_positions(target, count, width, dtype, base, start, block)
    split = split_frequencies(target.variant, width, base)
    near = nearest(split, count, width // 2, block)
    ends = np.minimum(np.arange(block, count + block, block), count) - 1
    limits = ceilings(target.variant, width, base, start + ends, rows.dtype) + TURNED_ERROR
    both = 2 * np.sqrt((np.delete(limits, _unpaired(width), axis=1) ** 2).sum(axis=1)) * (1 + 1e-12)
    certain = near.distance - near.error > both
    turned = Turned(split, count, start, block)
    reading = _read(rows, turned, limits, target, not certain[-1], until)
    decided_by: Literal["separation", "hashing"] = "separation"
    collision = None
    if reading.keys is None and reading.outside is not None:
        reading = _read(rows, turned, limits, target, True, until)
    if reading.keys is not None:
        decided_by = "hashing"
        collision = _collision(rows, repeats(reading.keys), target, base, start)
    failed = collision is not None and not collision.explained
    return Positions(
        target=target.name, positions=count, width=width, dtype=rows.shown, decided_by=decided_by, nearest=near,
        verdict="fail" if failed else "pass" if collision is None else "inconclusive", subtracted=float(both[-1]),
        # a table outside its bound is separated by nothing
        separated=0 if reading.outside or not certain.any() else int(ends[certain][-1]) + 1,
        deviation=reading.deviation, outside=reading.outside, collision=collision, seconds=time.perf_counter() - began,
        target_seconds=rows.seconds, peak_mib=peak_memory(),
    )


@dataclass(frozen=True)
class _Reading:
    """What one pass over the table found."""

    deviation: float
    outside: tuple[int, int] | None
    keys: Array | None


def _unpaired(width: int) -> list[int]:
    """The last sine where d is odd (so interleaved): it has no cosine, the theorem leaves it out, and it can only add distance."""
    return [width - 1] if width % 2 else []


def _read(rows: Rows, turned: Turned, limits: Array, target: Target, hashed: bool, until: float) -> _Reading:
    """Every block against the exact rows; digests if wanted. Without them, the first entry out of bounds ends the pass."""
    derivation, width = derive("positional", **target.variant), limits.shape[1]
    deviation, outside, keys = 0.0, None, []
    for number in range(turned.blocks):
        if time.perf_counter() > until:
            raise TimeIsUp
        table = rows.block(number)
        sines, cosines = turned.rows(number)
        off = table.astype(np.float64)
        with np.errstate(all="ignore"):
            off -= assemble(derivation, [sines, cosines[:, : width // 2]], table.shape)
            np.abs(off, out=off)
            norm = float(np.sqrt(np.einsum("ij,ij->i", off, off).max()))
            deviation = max(deviation, math.inf if math.isnan(norm) else norm + math.sqrt(width) * TURNED_ERROR)
            wrong = ~(off <= limits[number])
        if outside is None and wrong.any():
            p, column = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
            outside = number * turned.block + int(p), int(column)
            if not hashed:
                break
        if hashed:
            keys.append(digests(plain(table)))
    return _Reading(deviation, outside, np.concatenate(keys) if hashed else None)


def _collision(rows: Rows, found: Repeats, target: Target, base: float, start: int) -> Collision | None:
    """The first collision that rounding does not explain, else the first one, else None."""

    def same(p: int, q: int) -> bool:
        return rows.row(p).tobytes() == rows.row(q).tobytes()

    first = found.confirmed(same)
    if first is None:
        return None

    def judged(p: Array, q: Array) -> Array:
        left, right = (entries_at(target.variant, rows.width, base, start + at, rows.dtype) for at in (p, q))
        return told_apart(left, right)

    some = max(_JUDGED // rows.width, 1)
    for at in range(0, len(found), some):
        p, q = found.earlier[at : at + some], found.later[at : at + some]
        for one, other in zip(p[wrong := judged(p, q)].tolist(), q[wrong].tolist(), strict=True):
            if same(one, other):
                return Collision(one, other, rows.row(one), explained=False)
    return Collision(*first, rows.row(first[0]), explained=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Check that all positions of a positional kernel have different rows."""
    parser = argparse.ArgumentParser(prog="python -m kernelproof.properties.separation", description=main.__doc__)
    parser.add_argument("target", metavar="TARGET", help="module:function, path/to/file.py:function or generated:positional")
    parser.add_argument("--positions", type=int, default=1_000_000, metavar="N", help="how many positions (default %(default)s)")
    parser.add_argument("--d-model", type=int, default=512, metavar="D", help="the width of a row (default %(default)s)")
    parser.add_argument("--dtype", choices=DTYPES, help="the format under test; tables of another one are converted (default: the table's)")
    parser.add_argument("--layout", choices=("interleaved", "halves"), default="interleaved")
    parser.add_argument("--denominator", choices=("paper", "half_minus_one"), default="paper")
    parser.add_argument("--base", type=float, default=10000.0)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--backend", choices=("numpy", "cupy"), default="numpy")
    chosen = parser.parse_args(argv)
    try:
        variant = dict(derive("positional", layout=chosen.layout, denominator=chosen.denominator).variant)
        # a target without start makes its whole table in one call
        table = 8 * max(chosen.positions, 0) * max(chosen.d_model, 0)
        limits = Limits(seconds=_CALL_SECONDS, memory=Limits.memory + _TABLES * table)
        with isolated_target(
            chosen.target, limits=limits, phase="positional", variant=variant, backend=chosen.backend, dtype=chosen.dtype or "float32",
        ) as target:
            found = positions_of(target, chosen.positions, chosen.d_model, chosen.dtype, chosen.base, chosen.start)
    except InputError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    except TargetRaised as error:
        print(f"fail: the target {chosen.target} {error.text}")
        return 1
    print(found)
    if target.isolation == PROCESS:
        print("  the target ran in a process of its own, whose memory is not counted here")
    return found.exit_code


if __name__ == "__main__":
    raise SystemExit(main())
