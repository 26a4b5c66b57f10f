"""The ratios as a picture: one line for each workload, one mark for each rival, targets as hollow marks.

Guarantees: the same measurement gives the same bytes. Cannot see: spreads; those stand in the table.
"""

from __future__ import annotations

from matplotlib.ticker import FuncFormatter, NullFormatter

from kernelproof.reports.canvas import BLUE, INK, ORANGE, RED, RULE, SOFT, canvas, drawable, looks, png
from kernelproof.reports.speed.model import MEASURED, Table
from kernelproof.reports.speed.rivals import RIVALS
from kernelproof.reports.speed.tables import rivals_of

COLOURS = {"numpy": BLUE, "torch": ORANGE, "onnxruntime": SOFT, "products": RED}
MARKS = {"numpy": "o", "torch": "s", "onnxruntime": "^", "products": "D"}


def ratios_image(table: Table) -> bytes:
    """PNG bytes of the picture."""
    rows = [row for row in table.rows if row.status == MEASURED and any(one.ratio is not None for one in row.comparisons)]
    with looks():
        drawn = canvas(9, 1.6 + 0.3 * max(len(rows), 1))
        axes = drawn.subplots()
        for name in rivals_of(table):
            found = [(one, place) for place, row in enumerate(rows) if (one := row.comparison(name)) and one.ratio is not None]
            measured = [(one.ratio or 0.0, place) for one, place in found]
            aimed = [(one.target, place) for one, place in found if one.target is not None]
            for marks, filled, label in ((measured, "full", RIVALS[name].title), (aimed, "none", None)):
                axes.plot(
                    [x for x, _ in marks], [y for _, y in marks], color=COLOURS[name], marker=MARKS[name], markersize=5.5,
                    linestyle="none", fillstyle=filled, label=label,
                )
        axes.axvline(1.0, color=INK, linewidth=1.0)
        axes.set_yticks(range(len(rows)), [drawable(row.name) for row in rows], fontsize=8)
        axes.set(xscale="log", ylim=(max(len(rows), 1) - 0.5, -0.5), xlabel="time, ours / theirs; hollow: the target")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(axis="y", color=RULE, linewidth=0.5)
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
        axes.set_title("Generated kernels against others")
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)
        return png(drawn)
