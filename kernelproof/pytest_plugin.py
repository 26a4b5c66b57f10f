"""The pytest plugin: one option. It is loaded by every pytest run of its environment, so it imports nothing.

``kernelproof.properties.suite`` reads the option; without it a suite keeps the profile it was made with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("kernelproof", "kernel properties").addoption(
        "--kernelproof-profile",
        choices=("quick", "standard", "thorough"),
        default=None,
        help="how hard suites of kernelproof search, whatever profile they were made with",
    )
