"""``kernelproof report``: write a report of phases."""

from __future__ import annotations

import argparse


def execute(arguments: argparse.Namespace) -> int:
    from kernelproof.reports.build import report

    written = report(arguments.phases or None, arguments.output, progress=True)
    print(written.path)
    return 130 if written.interrupted else 0 if written.ok else 1
