"""``kernelproof bench --power``: what the properties are worth on the registered wrong kernels. Speed is not built yet, and it says so."""

from __future__ import annotations

import argparse
import json
import sys

from kernelproof import __version__
from kernelproof.cli.files import require_writable, write


def execute(arguments: argparse.Namespace) -> int:
    from kernelproof.symbolic.errors import NotBuiltYet

    if not arguments.power or arguments.against or arguments.tune:
        raise NotBuiltYet(f"measuring speed is not built yet in version {__version__}; time a generated kernel by hand instead")
    if arguments.json is not None:
        require_writable(arguments.json, "the kill table")
    from kernelproof.properties.power import kill_table

    table = kill_table(arguments.phases, show=_show)
    _show("")
    if arguments.json is not None:
        write(arguments.json, json.dumps(table.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    print(table)
    return 0 if table.ok else 1


def _show(text: str) -> None:
    """One line on a terminal, written over by the next."""
    if sys.stderr.isatty():
        print(f"\r{text[:78]:<78}\r", end="", file=sys.stderr, flush=True)
