"""Small rows, and a device on the CPU: real kernels and rivals on the arrays of NumPy; only the seconds are made up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from kernelproof.numeric.kernel import Kernel, generate
from kernelproof.reports.speed.cuda.workloads import CUDA_WORKLOADS, CudaWorkload

SMALL = {"attention": {"heads": 3, "n": 16, "d": 8}, "layer_norm": {"rows": 9, "d": 8}, "positional": {"n": 12, "d": 8}}


def small(kind: str, dtype: str = "float32", **changes: Any) -> CudaWorkload:
    """The first row of the registry of this kind and format, with small sizes."""
    row = next(row for row in CUDA_WORKLOADS if row.kind == kind and row.dtype == dtype and row.constants == changes.get("constants", {}))
    return replace(row, **{"sizes": SMALL[row.phase], **changes})


@dataclass
class OnCpu:
    """Arrays of NumPy are on the device; each call takes the next of ``times``, or a second."""

    capability: int = 90
    living: bool = True
    bytes: int = 100
    times: list[float] = field(default_factory=list)
    hosts: list[float] = field(default_factory=list)
    freed: int = 0

    def upload(self, array: Any) -> Any:
        return np.array(array)

    def download(self, array: Any) -> Any:
        return np.array(array)

    def zeros_like(self, array: Any) -> Any:
        return np.zeros_like(array)

    def host_seconds(self, call: Callable[[], object]) -> float:
        call()
        return 0.001

    def seconds(self, call: Callable[[], object], host_seconds: float) -> float:
        call()
        self.hosts.append(host_seconds)
        return self.times.pop(0) if self.times else 1.0

    def peak(self, call: Callable[[], object]) -> int:
        call()
        return self.bytes

    def alive(self) -> bool:
        return self.living

    def free(self) -> None:
        self.freed += 1


def numpy_kernel(phase: str, backend: str, dtype: str, vjp: bool = False, **variant: object) -> Kernel:
    """The NumPy kernel, where a bench asks for that of CuPy."""
    assert backend == "cupy"
    return generate(phase, "numpy", dtype, vjp, **variant)
