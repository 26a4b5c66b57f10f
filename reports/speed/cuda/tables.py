"""Tables of the rows of a GPU: for the terminal, and a page of the docs.

Guarantees: as of the other tables, the same measurement gives the same text and every number comes from it. Ratios are times ours / theirs;
a rate is the work's operations or bytes over our time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

from kernelproof.reports.speed.model import MEASURED, Row, Table
from kernelproof.reports.speed.rivals import RIVALS
from kernelproof.reports.speed.tables import checks, listed, ratio_text, remarks, rivals_of, summary, time_text

HOW = """Ratios are times ours / theirs (below one: the generated kernel is faster; 1.667 is 0.6 of the other's throughput), the median over
rounds of one run with the quartiles in brackets; each round times both sides once by CUDA events, in alternating order, after the L2
cache was written over. `host` is what the call costs in Python, which those writes hide. Inputs are random normal from a fixed seed.
`kernel` is the start of the SHA-256 of the source that was timed, after its result was held to its derived bound. Operations are 4 n² d a
head, half where causal, 2.5 times as many for a gradient; a gradient is compared with the backward alone of a kept forward, while ours
computes what it needs of the forward anew. *Matrix product* and *copy* are those rates on the same device, for the operations or the bytes
of the work. The *floor* of a missed target is the ratio that those would have."""


def rate(row: Row) -> str:
    """TFLOP/s of a row with products, GB/s of another; nothing where it was not timed."""
    if row.status != MEASURED or not row.seconds:
        return ""
    if "operations" in row.figures:
        return f"{row.figures['operations'] / row.seconds / 1e12:.0f} TFLOP/s"
    return f"{row.figures['bytes'] / row.seconds / 1e9:.0f} GB/s"


def _cells(row: Row, rivals: Sequence[str], spread: bool) -> list[str]:
    if row.status != MEASURED:
        return [row.name, row.kernel, row.status, "", "", *("" for _ in rivals)]
    ratios = (ratio_text(row.comparison(name), spread) for name in rivals)
    return [row.name, row.kernel, time_text(row.seconds), rate(row), time_text(row.figures["host_seconds"]), *ratios]


def _table(table: Table, style: str, spread: bool) -> str:
    rivals = rivals_of(table)
    headers = ["work on the GPU", "kernel", "time", "rate", "host", *(RIVALS[name].title for name in rivals)]
    return str(tabulate([_cells(row, rivals, spread) for row in table.rows], headers=headers, tablefmt=style, disable_numparse=True))


def text_table(table: Table) -> str:
    """For the terminal."""
    return "\n".join((*head(table), "", _table(table, "simple", False), "", *(f"  {line}" for line in remarks(table)), "", summary(table)))


def head(table: Table) -> list[str]:
    """What it was measured on."""
    found = table.machine
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return [
        f"Measured on {found['date']}: {found['device']}, compute capability {found['capability'] / 10:.1f}, "
        f"{found['multiprocessors']} multiprocessors, L2 {found['L2'] >> 20} MiB, memory {found['memory'] / 1e9:.0f} GB.",
        f"CUDA: driver {found['driver']}, runtime {found['runtime']}, NVRTC {'.'.join(map(str, found['nvrtc']))}"
        + (f", PyTorch's {found['torch cuda']}" if found["torch cuda"] else "") + f". Versions: {versions}.",
        f"nvidia-smi before: {_said(found['nvidia-smi'])}; after: {_said(found['nvidia-smi after'])}.",
    ]


def _said(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in found.items()) or "not there"


def section(table: Table) -> list[str]:
    """Lines of a page: what it was measured on, the table, what was missed, the checks."""
    return [
        *listed(head(table)), "", HOW, "", _table(table, "github", True), "",
        "## Targets missed, aims beside time, and what is not there", "", *listed(remarks(table)), "", f"{summary(table)}.", "",
        "## How each kernel was checked before it was timed", "", *listed(checks(table)), "",
    ]


def markdown(table: Table, name: str) -> str:
    """A page of the docs of its own: ``docs/NAME.md`` from ``docs/NAME.json``."""
    rivals = ",".join(rivals_of(table))
    lines = ["# Speed on a GPU", "", "Written by a command, see the end for how to make it anew.", "", *section(table)]
    anew = (f"kernelproof bench --against {rivals} --json docs/{name}.json",
            f"python -m kernelproof.reports.speed --from docs/{name}.json --cuda-docs docs/{name}.md")
    return "\n".join((*lines, "## Anew", "", "```sh", *anew, "```", ""))
