"""Names of theorems, for readers: where a named theorem is used, a derivation says its name instead of its whole proof.

Guarantees: nothing; the core never reads them, and a log always holds the whole proof.
"""

from __future__ import annotations

from kernelproof.symbolic.core.theorem import Theorem

_NAMES: dict[Theorem, str] = {}


def named(name: str, theorem: Theorem) -> Theorem:
    """The same theorem, known by this name from now on."""
    _NAMES.setdefault(theorem, name)
    return theorem


def name_of(theorem: Theorem) -> str | None:
    """Its name, if it has one."""
    return _NAMES.get(theorem)
