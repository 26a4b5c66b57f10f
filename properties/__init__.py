"""Properties of kernels: theorems, and what algebra does not show, run on any target by Hypothesis.

``suite`` gives them as pytest items; :func:`kernelproof.verify` runs them. Loads on first use: pytest loads this
package's plugin in every run of its environment.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kernelproof.properties.pytest_suite import suite

__all__ = ["suite"]


def __getattr__(name: str) -> Any:
    if name == "suite":
        if os.environ.get("KERNELPROOF_WORKER") == "1":
            # a worker imports the module of the tests to get at the kernel in it, as often as it dies
            return lambda *arguments, **options: None
        # the module has another name: an imported submodule would hide the function
        from kernelproof.properties.pytest_suite import suite

        return suite
    raise AttributeError(f"module 'kernelproof.properties' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
