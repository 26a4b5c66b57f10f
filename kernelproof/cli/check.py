"""``kernelproof check``: check a certificate from scratch."""

from __future__ import annotations

import argparse


def execute(arguments: argparse.Namespace) -> int:
    from kernelproof.numeric.certificate import check

    result = check(arguments.certificate)
    print("\n".join(result.lines))
    return 0 if result.ok else 1
