"""``python -m kernelproof.reports.speed --from docs/speed.json …``: what a measurement looks like in the docs, README.md and a picture.

Several files may be given to ``--from``: a row of a later one replaces the row of that name, so that a long table can be measured in
pieces on one machine. Guarantees: nothing is measured here and nothing typed by hand; pieces from different processors are refused.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kernelproof.reports.speed.cuda import tables as cuda_tables
from kernelproof.reports.speed.cuda.workloads import CUDA_WORKLOADS
from kernelproof.reports.speed.model import Row, Table, read_table
from kernelproof.reports.speed.plot import ratios_image
from kernelproof.reports.speed.tables import markdown, text_table, with_block
from kernelproof.reports.speed.workloads import WORKLOADS
from kernelproof.symbolic.errors import InputError


def merged(tables: Sequence[Table]) -> Table:
    """The rows of all, a later one in the place of an earlier one of the same name, in the order of the registry; so of a GPU's rows."""
    found = _merged(tables, ("processor", "cores", "versions"), [row.name for row in WORKLOADS])
    on_gpu = [table.cuda for table in tables if table.cuda is not None]
    if not on_gpu:
        return found
    return replace(found, cuda=_merged(on_gpu, ("device", "driver", "runtime", "versions"), [row.name for row in CUDA_WORKLOADS]))


def _merged(tables: Sequence[Table], same: Sequence[str], order: Sequence[str]) -> Table:
    first = tables[0]
    for table in tables[1:]:
        for key in same:
            if table.machine.get(key) != first.machine.get(key):
                raise InputError(
                    f"putting measurements together: {key} is {table.machine.get(key)} in one and {first.machine.get(key)} in another; "
                    "take those of one machine and environment"
                )
    rows: dict[str, Row] = {row.name: row for table in tables for row in table.rows}
    place = {name: at for at, name in enumerate(order)}
    ordered = sorted(rows.values(), key=lambda row: place.get(row.name, len(place)))
    date = max(table.machine["date"] for table in tables)
    return replace(first, machine={**first.machine, "date": date}, rows=tuple(ordered), complete=all(table.complete for table in tables))


def _gpu(table: Table) -> Table:
    if table.cuda is None:
        raise InputError("writing the rows of a GPU: the measurement has none; measure on a GPU with 'kernelproof bench --json'")
    return table.cuda


def main(argv: Sequence[str] | None = None) -> int:
    """Read, write what was asked for, or print the table."""
    parser = argparse.ArgumentParser("kernelproof.reports.speed", description="tables and a picture of measurements")
    parser.add_argument("--from", dest="source", type=Path, nargs="+", required=True, metavar="FILE", help="JSON of kernelproof bench")
    parser.add_argument("--json", type=Path, help="write the measurements, put together, as JSON")
    parser.add_argument("--docs", type=Path, help="write the whole table as Markdown")
    parser.add_argument("--cuda-docs", type=Path, help="write the table of the rows of a GPU as Markdown")
    parser.add_argument("--plot", type=Path, help="write the picture as PNG")
    parser.add_argument("--readme", type=Path, help="put the short table between the markers of this file")
    arguments = parser.parse_args(argv)
    try:
        table = merged([read_table(path) for path in arguments.source])
        if arguments.json:
            arguments.json.write_text(table.to_json(), encoding="utf-8")
        if arguments.plot:
            arguments.plot.write_bytes(ratios_image(table))
        if arguments.docs:
            plot = os.path.relpath(arguments.plot, arguments.docs.parent) if arguments.plot else ""
            arguments.docs.write_text(markdown(table, plot), encoding="utf-8")
        if arguments.cuda_docs:
            arguments.cuda_docs.write_text(cuda_tables.markdown(_gpu(table), arguments.cuda_docs.stem), encoding="utf-8")
        if arguments.readme:
            arguments.readme.write_text(with_block(arguments.readme.read_text(encoding="utf-8"), table), encoding="utf-8")
        if not any((arguments.json, arguments.docs, arguments.cuda_docs, arguments.plot, arguments.readme)):
            shown = [text_table(table)] if table.rows or table.cuda is None else []
            print("\n\n".join((*shown, *([cuda_tables.text_table(table.cuda)] if table.cuda else []))))
    except (InputError, OSError) as error:
        print(f"kernelproof.reports.speed: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
