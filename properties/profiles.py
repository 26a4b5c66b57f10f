"""How hard to search: numbers of examples, seconds and sizes, by the name of a profile."""

from __future__ import annotations

from dataclasses import dataclass

from kernelproof.symbolic.errors import InputError


@dataclass(frozen=True)
class Profile:
    """``examples`` are for one property, ``seconds`` for all, ``shrink_seconds`` for making one failure small."""

    name: str
    examples: int
    seconds: float
    shrink_seconds: float
    largest: int
    #: sizes at and beside common block lengths and lengths from which libraries take another kernel; one axis of an example at most has
    #: one of them
    boundaries: tuple[int, ...]

    @property
    def endless(self) -> bool:
        """Whether the seconds bound the search, and not the number of examples."""
        return self.examples >= ENDLESS


ENDLESS = 1_000_000

PROFILES = {
    "quick": Profile("quick", 25, 10.0, 2.0, 40, ()),
    "standard": Profile("standard", 100, 60.0, 5.0, 40, (63, 64, 65, 127, 128, 129)),
    "thorough": Profile(
        "thorough", ENDLESS, 600.0, 20.0, 64, (63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 512, 513, 767, 768, 769, 1023, 1024, 1025)
    ),
}


def profile_named(name: str) -> Profile:
    """The profile, or an :class:`InputError` that lists them."""
    if name not in PROFILES:
        raise InputError(f"choosing a profile: {name!r} is not known; choose one of {', '.join(PROFILES)}")
    return PROFILES[name]
