"""``kernelproof report``: write a report of phases."""

from __future__ import annotations

import argparse


def execute(arguments: argparse.Namespace) -> int:
    from kernelproof.reports.build import report

    print(report(arguments.phases or None, arguments.output, progress=True))
    return 0
