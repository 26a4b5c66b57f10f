"""Draws that depend on the seed alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis.internal.conjecture import providers


@contextmanager
def same_draws_everywhere() -> Iterator[None]:
    """Draws that depend on the seed alone.

    Hypothesis mixes constants from the source of whatever modules are loaded into its draws (since 6.131); the same seed would search
    otherwise in another process, and a conviction come and go with an import.
    """
    hooks = vars(providers)
    own = hooks.get("_get_local_constants")
    if own is None:
        yield
        return
    none = hooks["Constants"]()
    hooks["_get_local_constants"] = lambda: none
    hooks["CONSTANTS_CACHE"].cache.clear()
    try:
        yield
    finally:
        hooks["_get_local_constants"] = own
        hooks["CONSTANTS_CACHE"].cache.clear()
