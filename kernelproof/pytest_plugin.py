"""The pytest plugin: two options. It is loaded by every pytest run of its environment, so it imports nothing.

``kernelproof.properties.suite`` reads them; without them a suite keeps the profile and the seed that it was made with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("kernelproof", "kernel properties")
    group.addoption(
        "--kernelproof-profile",
        choices=("quick", "standard", "thorough"),
        default=None,
        help="how hard suites of kernelproof search, whatever profile they were made with",
    )
    group.addoption(
        "--kernelproof-seed",
        type=int,
        default=None,
        metavar="N",
        help="seed of the search of suites of kernelproof (default: that of --hypothesis-seed, else the suite's own, 0)",
    )
