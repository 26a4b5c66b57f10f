"""Kernelproof: transformer kernels derived, generated and tested from the same theorems.

The public face. Everything here loads on first use: the pytest plugin costs nothing, and the layers stay layers in
fact, since importing a lower one runs this file, which must not pull in a higher one.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kernelproof import numeric, properties, reports, symbolic
    from kernelproof.main_job import run
    from kernelproof.numeric.kernel import generate
    from kernelproof.properties.bound import bound
    from kernelproof.properties.verify import verify
    from kernelproof.reports.build import report
    from kernelproof.symbolic.registry import derive, gradient

__version__ = "0.1.0"
__all__ = [
    "__version__",
    "bound",
    "derive",
    "generate",
    "gradient",
    "numeric",
    "properties",
    "report",
    "reports",
    "run",
    "symbolic",
    "verify",
]

#: function -> the module that holds it
_FUNCTIONS = {
    "bound": "kernelproof.properties.bound",
    "derive": "kernelproof.symbolic.registry",
    "gradient": "kernelproof.symbolic.registry",
    "generate": "kernelproof.numeric.kernel",
    "verify": "kernelproof.properties.verify",
    "report": "kernelproof.reports.build",
    "run": "kernelproof.main_job",
}
_LAYERS = ("symbolic", "numeric", "properties", "reports")

# In the repository the layers lie beside this folder, not in it: a plain import from its root finds them here.
_HERE = os.path.dirname(os.path.abspath(__file__))
_ROOT = os.path.dirname(_HERE)
if not os.path.isdir(os.path.join(_HERE, "symbolic")) and os.path.isdir(os.path.join(_ROOT, "symbolic")):
    __path__.append(_ROOT)


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(_FUNCTIONS[name]), name)
    if name in _LAYERS:
        return importlib.import_module(f"kernelproof.{name}")
    raise AttributeError(f"module 'kernelproof' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
