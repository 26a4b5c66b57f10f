"""Check a file and print what it proves: ``python -m kernelproof.symbolic.checker FILE``, or ``python -m checker FILE`` in a copy.

The file holds a document of proofs, or what ``kernelproof derive PHASE --format json`` writes, which has one under ``proofs``. Exit code
0 means that every step holds; 1 that one does not, or that the file cannot be read.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .document import check
from .errors import CheckError
from .printing import render, render_definition
from .shape import parsed


def main(arguments: list[str] | None = None) -> int:
    """Print the definitions and the verified statements of a file."""
    parser = argparse.ArgumentParser(prog="python -m kernelproof.symbolic.checker", description=main.__doc__)
    parser.add_argument("file", metavar="FILE", type=Path, help="a document of proofs as JSON")
    chosen = parser.parse_args(arguments)
    try:
        document = parsed(chosen.file.read_text(encoding="utf-8"))
        if isinstance(document, dict) and "format" not in document and "proofs" in document:
            document = document["proofs"]
        report = check(document)
        lines = [f"definition {render_definition(definition)}" for definition in report.definitions.values()]
        lines += [f"{name if name.isprintable() else ascii(name)}: {render(found)}" for name, found in report.theorems.items()]
    except (CheckError, OSError, UnicodeDecodeError) as problem:
        print(f"{chosen.file}: not verified: {problem}", file=sys.stderr)
        return 1
    print(*lines, f"verified: {len(report.theorems)} theorems, {report.steps} steps, {len(report.definitions)} definitions", sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
