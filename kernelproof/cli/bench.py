"""``kernelproof bench``: how fast the generated kernels are; with ``--power`` what the properties are worth; with ``--tune`` block sizes.

Exit code 1 where a kernel was beyond its bound or nothing could be measured; a missed target is a result, not a failure.
"""

from __future__ import annotations

import argparse
import json
import sys

from kernelproof.cli.files import require_writable, write

INTERRUPTED = 130


def execute(arguments: argparse.Namespace) -> int:
    from kernelproof.symbolic.errors import InputError

    if arguments.power and (arguments.against or arguments.tune):
        raise InputError("bench --power: it measures properties, not speed, so --against and --tune say nothing to it; leave them out")
    if arguments.tune and arguments.against:
        raise InputError("bench --tune: it looks for block sizes of our own kernels; leave --against out")
    if arguments.power:
        return _power(arguments)
    return _tune(arguments) if arguments.tune else _speed(arguments)


def _power(arguments: argparse.Namespace) -> int:
    if arguments.json is not None:
        require_writable(arguments.json, "the kill table")
    from kernelproof.properties.power import kill_table

    table = kill_table(arguments.phases, show=_show)
    _show("")
    if arguments.json is not None:
        write(arguments.json, json.dumps(table.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    print(table)
    return 0 if table.ok else 1


def _speed(arguments: argparse.Namespace) -> int:
    from kernelproof.reports.progress import Steps
    from kernelproof.reports.speed import measuring
    from kernelproof.reports.speed.cuda.run import OnGpu
    from kernelproof.reports.speed.machine import machine
    from kernelproof.reports.speed.model import Row, Table
    from kernelproof.reports.speed.rivals import check_rivals
    from kernelproof.reports.speed.tables import head, text_table
    from kernelproof.reports.speed.workloads import chosen

    names = arguments.against or ()
    rivals = check_rivals(names)
    workloads = chosen(arguments.phases) if rivals else []
    gpu = OnGpu(arguments.phases, names, alone=not rivals)
    if arguments.json is not None:
        require_writable(arguments.json, "the measurements")
    rows: list[Row] = []

    def table(complete: bool, ended: bool = True) -> Table:
        return Table({**machine(), **gpu.note()}, tuple(rows), complete, gpu.table(complete, ended))

    complete = True
    with Steps(len(workloads) + len(gpu.workloads), shown=True) as steps:
        bench = measuring.Bench(rivals, say=steps.detail)
        try:
            for workload in workloads:
                steps.start(workload.name)
                rows.append(bench.row(workload))
            for on_gpu in gpu.workloads:
                steps.start(on_gpu.name)
                gpu.measure(on_gpu, steps.detail)
                if arguments.json is not None:  # a device that hangs ends the process, and with it what is not written
                    write(arguments.json, table(False, ended=False).to_json())
        except KeyboardInterrupt:
            steps.interrupt()
            complete = False
    found = table(complete)
    if arguments.json is not None:
        write(arguments.json, found.to_json())
    if rivals:
        print("\n".join((*head(found), "", text_table(found))))
    if found.cuda is not None:
        from kernelproof.reports.speed.cuda.tables import text_table as gpu_table

        print("\n" * bool(rivals) + gpu_table(found.cuda))
    if not complete:
        return INTERRUPTED
    return 0 if found.ok else 1


def _tune(arguments: argparse.Namespace) -> int:
    from kernelproof.numeric.tuning import tuning_path
    from kernelproof.reports.progress import Steps
    from kernelproof.reports.speed import tune
    from kernelproof.symbolic.errors import InputError

    workloads = tune.tunable_workloads(arguments.phases)
    path = tuning_path()
    if arguments.json is not None:
        require_writable(arguments.json, "the block sizes")
    interrupted = False
    with Steps(len(workloads), shown=True) as steps:
        tuning = tune.Tuning(say=steps.detail)
        try:
            for kind, group in workloads.items():
                steps.start(kind)
                tuning.tune(kind, group)
        except KeyboardInterrupt:
            steps.interrupt()
            interrupted = True
    try:
        tuning.write(path)
    except OSError as error:
        raise InputError(f"bench --tune: {path} cannot be written ({error.strerror}); set KERNELPROOF_TUNING to a file that can") from None
    if arguments.json is not None:
        write(arguments.json, json.dumps(tuning.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    print(tuning.table())
    print(f"written to {path}; delete it to go back to the kernels' own sizes" if tuning.found else "nothing was better; no file written")
    return INTERRUPTED if interrupted else 0


def _show(text: str) -> None:
    """One line on a terminal, written over by the next."""
    if sys.stderr.isatty():
        print(f"\r{text[:78]:<78}\r", end="", file=sys.stderr, flush=True)
