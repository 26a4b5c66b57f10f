"""``kernelproof bench``: not built yet, and it says so."""

from __future__ import annotations

import argparse

from kernelproof import __version__


def execute(arguments: argparse.Namespace) -> int:
    from kernelproof.symbolic.errors import NotBuiltYet

    raise NotBuiltYet(
        f"measuring speed is not built yet in version {__version__}; time a generated kernel by hand instead"
    )
