"""Tables of a measurement: for the terminal, for docs/speed.md, and the short one between two markers of README.md.

Guarantees: the same measurement gives the same text; every number comes from it; rows that were not measured stand in the table with their
reason. Ratios are ours / theirs: below one, the generated kernel is faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tabulate import tabulate

from kernelproof.reports.speed.machine import narrow_products
from kernelproof.reports.speed.model import MEASURED, MET, MISSED, Comparison, Row, Table
from kernelproof.reports.speed.rivals import RIVALS
from kernelproof.reports.speed.workloads import WORKLOADS
from kernelproof.symbolic.errors import InputError

BEGIN, END = "<!-- speed: begin -->", "<!-- speed: end -->"
SIGNS = {MET: "met", MISSED: "missed", "": ""}


def ratio_text(one: Comparison | None, spread: bool = False) -> str:
    """1.23, with quartiles, target and verdict; – where there is no number."""
    if one is None:
        return ""
    if one.ratio is None:
        return "–"
    text = f"{one.ratio:.2f}"
    if spread and one.low is not None and one.high is not None:
        text += f" ({one.low:.2f}–{one.high:.2f})"
    return text + (f" ≤ {one.target:.4g} {SIGNS[one.verdict]}" if one.target is not None else "")


def time_text(seconds: float | None) -> str:
    """In the unit that fits; nothing where there is no time."""
    if seconds is None:
        return ""
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.1f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f} µs"


def rivals_of(table: Table) -> list[str]:
    """The rivals that were asked for, in order."""
    return [name for name in RIVALS if any(row.comparison(name) for row in table.rows)]


def _cells(row: Row, rivals: Sequence[str], spread: bool) -> list[str]:
    if row.status != MEASURED:
        return [row.name, row.kernel, "", row.status, *([""] * (len(rivals) - 1))]
    return [row.name, row.kernel, time_text(row.seconds), *(ratio_text(row.comparison(name), spread) for name in rivals)]


def text_table(table: Table) -> str:
    """For the terminal: the table, what lies beside time, and the remarks."""
    rivals = rivals_of(table)
    headers = ["work", "kernel", "time", *(RIVALS[name].title for name in rivals)]
    body = tabulate([_cells(row, rivals, False) for row in table.rows], headers=headers, disable_numparse=True)
    return "\n".join((body, "", *(f"  {line}" for line in remarks(table)), "", summary(table)))


def remarks(table: Table) -> list[str]:
    """Aims beside time, missed targets with their causes, and what was not measured."""
    found: list[str] = []
    for row in table.rows:
        if row.error:
            found.append(f"{row.name}: {row.status}: {row.error}")
        for aim in row.aims:
            note = f" ({aim.note})" if aim.note else ""
            found.append(f"{row.name}: {aim.name} {aim.value:.3g} ≤ {aim.target:.3g} {SIGNS[aim.verdict]}{note}")
        for one in row.comparisons:
            if one.verdict == MISSED:
                floor = f", floor {one.floor:.2f}" if one.floor is not None else ""
                found.append(f"{row.name}: {one.ratio:.2f} of {RIVALS[one.rival].title} misses {one.target:.4g}{floor}: {one.cause}")
    return found + _absent(table)


def _absent(table: Table) -> list[str]:
    """Why a comparison is missing: each reason once, with what it concerns."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in table.rows:
        for one in row.comparisons:
            if one.status != MEASURED:
                reasons.setdefault((one.rival, one.what), []).append(row.name)
    total = len(table.rows)
    return [
        f"{RIVALS[rival].title}: {what}" + ("" if len(rows) == total else f" – {'; '.join(rows)}")
        for (rival, what), rows in reasons.items()
    ]


def summary(table: Table) -> str:
    """The last line."""
    met, missed = table.counted()
    measured = sum(row.status == MEASURED for row in table.rows)
    ended = "" if table.complete else "; interrupted"
    return f"{measured} of {len(table.rows)} rows measured; targets: {met} met, {missed} missed{ended}"


def head(table: Table) -> list[str]:
    """What the measurement was made on."""
    found = table.machine
    caches = ", ".join(f"{level} {size}" for level, size in found["caches"].items()) or "unknown"
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    missing = f"; not installed: {', '.join(found['not installed'])}" if found["not installed"] else ""
    threads = f", PyTorch {found['torch threads']} threads" if found["torch threads"] is not None else ""
    return [
        f"Measured on {found['date']}: {found['processor']}, {found['cores']} cores, {found['system']}, caches {caches}.",
        f"Threads: {'; '.join(found['blas']) or 'no BLAS seen'}{threads}; the kernels share blocks among {found['cores']} threads, "
        "with BLAS on one in each.",
        f"Versions: {versions}{missing}.",
        *([f"Set: {_settings(table)}."] if found.get("settings") else []),
        *([NARROW_PRODUCTS] if narrow_products(found) else []),
        *([f"Rows of a GPU: not run: {found['cuda']}."] if found.get("cuda") else []),
    ]


NARROW_PRODUCTS = (
    "OpenBLAS did not know this processor and took kernels without AVX-512, which it has: OPENBLAS_CORETYPE=SkylakeX, set before Python "
    "starts, makes it take those with it."
)


def _settings(table: Table) -> str:
    """Environment variables, as a shell takes them."""
    return " ".join(f"{name}={value}" for name, value in table.machine.get("settings", {}).items())


HOW = """Ratios are times ours / theirs (below one: the generated kernel is faster), the median over rounds of one run with the quartiles in
brackets; each round times both sides once, in alternating order, after at least one untimed call whenever the side changes. Inputs are
float32, random normal from a fixed seed. `kernel` is the start of the SHA-256 of the source that was timed, after its result on this very
work was held to its derived bound. Gradients of PyTorch are forward and backward together, as ours compute the forward anew. *Bare
products* are the matrix products that the work cannot do without, nothing else, in row tiles of 512 on the same threads; where there are
none, one NumPy pass over the arrays. The *floor* of a missed target is the ratio that those alone would have."""


def markdown(table: Table, plot: str = "") -> str:
    """docs/speed.md."""
    rivals = rivals_of(table)
    headers = ["work", "kernel", "time", *(RIVALS[name].title for name in rivals)]
    body = tabulate([_cells(row, rivals, True) for row in table.rows], headers=headers, tablefmt="github", disable_numparse=True)
    lines = ["# Speed", "", "Written by a command, see the end for how to make it anew.", "", *listed(head(table)), "", HOW, "", body, ""]
    if plot:
        lines += [f"![Ratios of time to each rival, with targets]({plot})", ""]
    lines += ["## Targets missed, aims beside time, and what is not there", "", *listed(remarks(table)), "", f"{summary(table)}.", ""]
    absent = [workload.name for workload in WORKLOADS if workload.name not in {row.name for row in table.rows}]
    if absent:
        lines += [f"Rows of the benchmark that are not in this measurement: {'; '.join(absent)}.", ""]
    lines += ["## How each kernel was checked before it was timed", "", *listed(checks(table)), ""]
    files = f"docs/{plot.removesuffix('.png') or 'speed'}"
    lines += [
        "## Anew", "", "```sh", f"{_settings(table)} kernelproof bench --json {files}.json".strip(),
        f"python -m kernelproof.reports.speed --from {files}.json --docs {files}.md --plot {files}.png{_readme(files)}",
        "```", "",
    ]
    return "\n".join(lines)


def _readme(files: str) -> str:
    """README.md has the one table; those of other processors stand beside it."""
    return " --readme README.md" if files == "docs/speed" else ""


def listed(lines: Sequence[str]) -> list[str]:
    """A list in Markdown."""
    return [f"- {line}" for line in lines] or ["- nothing"]


def checks(table: Table) -> list[str]:
    """How each kernel was checked, and how close it came."""
    said = []
    for row in table.rows:
        if row.checked:
            worst = "no finite bound" if row.worst_error_over_bound is None else f"worst error over bound {row.worst_error_over_bound:.2g}"
            said.append(f"{row.name} ({row.kernel}): {row.checked}: {worst}")
    return said


def readme_block(table: Table) -> str:
    """The short table of README.md: the rows that have a target, each with its verdicts."""
    rivals = [name for name in rivals_of(table) if any(one.target is not None for row in table.rows if (one := row.comparison(name)))]
    rows: list[list[Any]] = []
    for row in table.rows:
        aimed = any(one.target is not None for one in row.comparisons)
        if row.status == MEASURED and aimed:
            rows.append([row.name, time_text(row.seconds), *(ratio_text(row.comparison(name)) for name in rivals)])
        elif row.status == MEASURED and row.aims:
            said = "; ".join(f"{aim.name} {aim.value:.3g} ≤ {aim.target:.3g} {SIGNS[aim.verdict]}" for aim in row.aims)
            rows.append([row.name, time_text(row.seconds), said, *([""] * (len(rivals) - 1))])
    body = tabulate(rows, headers=["work", "time", *(RIVALS[name].title for name in rivals)], tablefmt="github", disable_numparse=True)
    found = table.machine
    where = f"{found['processor']}, {found['cores']} cores, {found['date']}, NumPy {found['versions']['numpy']}"
    return "\n".join((BEGIN, f"Time ours / theirs in float32 ({where}); [the whole table](docs/speed.md).", "", body, END))


def with_block(readme: str, table: Table) -> str:
    """README.md with the table between its markers. InputError where they are missing."""
    before, begun, rest = readme.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not begun or not ended:
        raise InputError(f"writing the table of speed: the text has no lines '{BEGIN}' and '{END}'; put them where it shall stand")
    return before + readme_block(table) + after
