"""Profiles by name."""

from __future__ import annotations

import pytest

from kernelproof.properties.profiles import PROFILES, profile_named
from kernelproof.symbolic.errors import InputError


def test_each_searches_harder_than_the_one_before() -> None:
    quick, standard, thorough = (PROFILES[name] for name in ("quick", "standard", "thorough"))
    assert quick.examples == 25
    assert standard.examples == 100
    assert quick.examples < standard.examples < thorough.examples
    assert quick.seconds < standard.seconds < thorough.seconds
    assert not quick.boundaries
    assert set(standard.boundaries) < set(thorough.boundaries)


def test_unknown_profile_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="'fast' is not known; choose one of quick, standard, thorough"):
        profile_named("fast")
