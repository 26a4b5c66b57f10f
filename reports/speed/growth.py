"""``python -m kernelproof.reports.speed.growth``: time and memory of attention as the length grows, from 128 to 65536.

What it does: one head, d = 64, float32; the generated kernel, the textbook and PyTorch each in a fresh process for every length, which
calls it once for warmth on 64 tokens and once on the work, with tracemalloc on, reads the peak of the resident set, and times short calls
again (:mod:`kernelproof.reports.speed.memory`). Guarantees: peaks are beyond the inputs, and hold the result; a length that the textbook
cannot have in memory is left out, and the table says so. Cannot see: the spread of a long call, which is made once; ratios are the
business of ``bench``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.ticker import FuncFormatter, NullFormatter
from tabulate import tabulate

from kernelproof.reports.canvas import BLUE, INK, ORANGE, SOFT, canvas, looks, png
from kernelproof.reports.speed.machine import machine
from kernelproof.reports.speed.memory import measured_apart
from kernelproof.reports.speed.rivals import missing_packages
from kernelproof.reports.speed.workloads import Workload

FORMAT = "kernelproof growth 1"
LENGTHS = tuple(1 << power for power in range(7, 17))
WIDTH = 64
WHO = {"kernel": "generated kernel", "numpy": "textbook NumPy", "torch": "PyTorch"}
#: score matrices that the textbook holds at once: scores, differences, exponentials
TEXTBOOK_COPIES = 3
Measure = Callable[[Workload, str], "dict[str, Any] | None"]


def workload(n: int) -> Workload:
    """Attention of one head over n tokens."""
    return Workload("attention", {"heads": 1, "n": n, "d": WIDTH})


def available() -> int:
    """The bytes of memory that are free for programs; none known: none."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), 0)


def grown(lengths: Sequence[int], measure: Measure = measured_apart, memory: int | None = None) -> list[dict[str, Any]]:
    """A row for each length and each who; what was not run has a reason."""
    memory = available() if memory is None else memory
    rows = []
    for n in lengths:
        for who in WHO:
            row: dict[str, Any] = {"n": n, "who": who, "seconds": None, "traced": None, "resident": None, "reason": ""}
            needed = 4 * n * n * TEXTBOOK_COPIES
            if who != "kernel" and missing_packages(who):
                row["reason"] = "not installed"
            elif who == "numpy" and needed > memory // 2:
                row["reason"] = f"needs {needed / 1e9:.0f} GB for {TEXTBOOK_COPIES} score matrices"
            elif (found := measure(workload(n), who)) is None:
                row["reason"] = "ended without a result"
            else:
                row |= {name: found[name] for name in ("seconds", "traced", "resident")}
            print(_told(row), file=sys.stderr, flush=True)
            rows.append(row)
    return rows


def _told(row: dict[str, Any]) -> str:
    return f"n = {row['n']}, {WHO[row['who']]}: " + (row["reason"] or f"{row['seconds']:.3f} s")


def table(rows: Sequence[dict[str, Any]], style: str = "simple") -> str:
    """Seconds and megabytes by length."""
    def cells(row: dict[str, Any]) -> list[str]:
        peaks = (row["resident"], None if row["who"] == "torch" else row["traced"])
        return [str(row["n"]), WHO[row["who"]], row["reason"] if row["reason"] else f"{row['seconds']:.4f}",
                *("" if peak is None else f"{peak / 1e6:.1f}" for peak in peaks)]

    headers = ["n", "", "seconds", "peak resident beyond inputs, MB", "the same by tracemalloc, MB"]
    return str(tabulate([cells(row) for row in rows], headers=headers, tablefmt=style, disable_numparse=True))


def image(rows: Sequence[dict[str, Any]]) -> bytes:
    """Two panels: seconds and peak resident megabytes over n, both axes logarithmic."""
    colours = dict(zip(WHO, (BLUE, SOFT, ORANGE), strict=True))
    with looks():
        drawn = canvas(10, 4.2)
        panels = drawn.subplots(1, 2)
        shown = (("seconds", 1.0, "seconds"), ("resident", 1e-6, "peak beyond the inputs, MB"))
        for axes, (field, scale, label) in zip(panels, shown, strict=True):
            for who, title in WHO.items():
                # on a logarithmic axis what is below a page cannot be drawn
                found = [(row["n"], max(row[field] * scale, 1e-6)) for row in rows if row["who"] == who and row[field]]
                if found:
                    axes.plot(*zip(*found, strict=True), marker="o", markersize=4, color=colours[who], label=title)
            axes.set(xscale="log", yscale="log", xlabel="length n", ylabel=label)
            axes.set_xticks([row["n"] for row in rows if row["who"] == "kernel"])
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.tick_params(axis="x", rotation=60, labelsize=8)
        panels[0].set_title("Time of one attention head, d = 64")
        panels[1].set_title("Memory")
        panels[1].axhline(300, color=INK, linewidth=0.8, linestyle="--")
        panels[0].legend(frameon=False, fontsize=8)
        return png(drawn)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, or draw what was measured."""
    parser = argparse.ArgumentParser("kernelproof.reports.speed.growth", description="attention's time and memory as n grows")
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS, help="the lengths (default: 128, 256, … 65536)")
    parser.add_argument("--from", dest="source", type=Path, nargs="+", help="measure nothing: read these files, one after the other")
    parser.add_argument("--json", type=Path, help="write the measurements")
    parser.add_argument("--plot", type=Path, help="write the picture as PNG")
    arguments = parser.parse_args(argv)
    try:
        if arguments.source:
            parts = [json.loads(path.read_text(encoding="utf-8")) for path in arguments.source]
            rows = sorted((row for part in parts for row in part["rows"]), key=lambda row: (row["n"], list(WHO).index(row["who"])))
            where = parts[0]["machine"]
        else:
            rows, where = grown(arguments.lengths), machine()
        if arguments.json:
            data = {"format": FORMAT, "machine": where, "rows": rows}
            arguments.json.write_text(json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
        if arguments.plot:
            arguments.plot.write_bytes(image(rows))
    except (OSError, ValueError, KeyError) as error:
        print(f"kernelproof.reports.speed.growth: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
