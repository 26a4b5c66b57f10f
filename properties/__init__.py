"""Properties of kernels: theorems, and what algebra does not show, run on any target by Hypothesis.

Everything loads on first use: pytest loads the plugin of this package in every run of its environment.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kernelproof.properties.suite import suite
    from kernelproof.properties.verify import verify, verify_target

__all__ = ["suite", "verify", "verify_target"]

_HOMES = {"suite": "suite", "verify": "verify", "verify_target": "verify"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"kernelproof.properties.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'kernelproof.properties' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
