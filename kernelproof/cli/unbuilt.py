"""Refusal of what the contract names and this version does not do yet: it never pretends."""

from __future__ import annotations

from collections.abc import Mapping

from kernelproof import __version__


def refuse(options: Mapping[str, bool]) -> None:
    """Raise ``NotBuiltYet`` for the first option that was given."""
    from kernelproof.symbolic.errors import NotBuiltYet

    for option, given in options.items():
        if given:
            raise NotBuiltYet(f"{option} is not built yet in version {__version__}; leave it out")
