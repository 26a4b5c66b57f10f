"""How accurate elementary functions are assumed to be, by library.

What it does: holds for each library the worst error of a function in units in the last place of the result's format (correctly
rounded is 0.5), and says where the numbers come from. ``any`` is what a bound assumes unless told otherwise. :mod:`numeric.ulps_measured`
measures them on every float32 number.

Guarantees: none; the units are assumed, also where they were measured, since a library dispatches by processor and version.
Cannot see: functions that a library computes inside other operations by other means (PyTorch's vectorised GELU is one).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Ulps = Mapping[str, float]


@dataclass(frozen=True)
class Library:
    """Assumed units for each function, and their source; what else is assumed of its kernels, as changes of a precision."""

    ulps: Ulps
    source: str
    assumes: str = ""


ANY: Ulps = {"exp": 3.0, "log": 4.0, "sin": 2.0, "cos": 2.0, "tanh": 2.0, "erf": 2.0, "sqrt": 1.0, "pow": 2.0}
#: for float32; what is not named there is assumed
_MEASURED = "measured on every float32 number of the range that matters with {}, x86-64 with AVX-512, rounded up; pow assumed"
_TORCH = {"exp": 0.6, "log": 1.0, "sin": 0.7, "cos": 0.7, "tanh": 0.6, "erf": 0.8, "sqrt": 0.8}
LIBRARIES: dict[str, Library] = {
    "any": Library(ANY, "assumed: not less than NumPy and PyTorch were measured at, nor the others but where they have rows here"),
    # the larger of exp (2.6) and exp2, which kernels of attention take where it is vectorised
    "numpy": Library({**ANY, "exp": 2.9, "log": 3.9, "sin": 1.5, "cos": 1.5, "tanh": 1.4}, _MEASURED.format("NumPy 2.4.6")),
    "torch": Library({**ANY, **_TORCH}, _MEASURED.format("PyTorch 2.13.0+cpu")),
    "jax": Library(
        {**ANY, "exp": 5.6, "tanh": 7.5, "erf": 7.0},
        _MEASURED.format("JAX 0.10.2; those within any are any's") + "; its tanh is worst in float64, on a sample (6.93 at 19.998)",
    ),
    "onnxruntime": Library({**ANY, "tanh": 5.6}, _MEASURED.format("ONNX Runtime 1.32.0, one-node models; those within any are any's")),
    "cupy": Library(
        ANY, "assumed: within any by the CUDA programming guide; CuPy hands every text to the compiler with -ftz=true", "subnormals=flushed"
    ),
}
#: libraries whose targets are judged by their own row, since ``any`` does not cover them
OWN = ("jax", "onnxruntime", "cupy")
