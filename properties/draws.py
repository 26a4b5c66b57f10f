"""Draws that depend on the seed alone, and choices that are made once."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.internal.conjecture import providers

T = TypeVar("T")


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


def chosen_from(values: Sequence[T]) -> st.SearchStrategy[T]:
    """``sampled_from``, once for the same values: making one and having it checked takes longer than a draw from it."""
    # True and 1 are equal, and not the same
    return _kept(tuple(values), repr(values))


@functools.lru_cache(maxsize=4096)
def _kept(values: tuple[Any, ...], told: str) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)
