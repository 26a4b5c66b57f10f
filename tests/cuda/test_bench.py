"""Rows of the benchmark with the CuPy kernels themselves: emulated, with the constants a row sets, and on a device where there is one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from kernelproof.numeric.kernel import Kernel
from kernelproof.reports.speed.checking import WITHIN
from kernelproof.reports.speed.cuda.measuring import CudaBench
from kernelproof.reports.speed.cuda.workloads import CUDA_WORKLOADS, CudaWorkload
from kernelproof.reports.speed.model import MEASURED
from kernelproof.reports.speed.paired import Effort

pytestmark = pytest.mark.cuda
SIZES = {"attention": {"heads": 2, "n": 70, "d": 64}, "layer_norm": {"rows": 40, "d": 33}, "positional": {"n": 33, "d": 6}}
KINDS = sorted({(row.kind, row.dtype, bool(row.constants)) for row in CUDA_WORKLOADS})


def row(kind: str, dtype: str, switched: bool) -> CudaWorkload:
    """A small row of this kind."""
    found = next(one for one in CUDA_WORKLOADS if (one.kind, one.dtype, bool(one.constants)) == (kind, dtype, switched))
    return replace(found, sizes=SIZES[found.phase])


@dataclass
class Emulated:
    """A device whose kernels g++ runs; it tells no time."""

    module: ModuleType
    capability: int = 90

    def upload(self, array: Any) -> Any:
        return self.module.asarray(array)

    def download(self, array: Any) -> Any:
        return np.array(array)

    def zeros_like(self, array: Any) -> Any:
        return self.upload(np.zeros_like(np.asarray(array)))

    def host_seconds(self, call: Callable[[], object]) -> float:
        return 0.0

    def seconds(self, call: Callable[[], object], host_seconds: float) -> float:
        return 1.0

    def peak(self, call: Callable[[], object]) -> int:
        return 0

    def alive(self) -> bool:
        return True

    def free(self) -> None:
        pass


@pytest.mark.parametrize(("kind", "dtype", "switched"), KINDS, ids=str)
def test_every_kind_of_row_passes_its_check_emulated(
    kind: str, dtype: str, switched: bool, emulation: ModuleType, compiler: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = emulation.stand_in(compiler)
    sources = []

    def function(kernel: Kernel) -> Callable[..., Any]:
        sources.append(kernel.source)
        return emulation.namespace_of(kernel.source, module)[kernel.name]  # type: ignore[no-any-return]

    monkeypatch.setattr(Kernel, "function", property(function))
    found = CudaBench((), Emulated(module)).row(row(kind, dtype, switched))
    assert (found.status, found.check, found.error) == (MEASURED, WITHIN, "")
    assert found.worst_error_over_bound is not None and found.worst_error_over_bound > 0
    assert all(("\nON_WARPGROUPS = True\n" in source) == switched for source in sources) and sources


@pytest.mark.parametrize(("kind", "dtype", "switched"), KINDS, ids=str)
def test_every_kind_of_row_is_measured_on_a_device(kind: str, dtype: str, switched: bool, cupy: ModuleType) -> None:
    if not cupy.cuda.is_available():
        pytest.skip("no GPU: cupy.cuda.is_available() is false; the row was only emulated")
    from kernelproof.reports.speed.cuda.device import Device, described

    device, work = Device(), row(kind, dtype, switched)
    if work.capability not in (0, device.capability):
        pytest.skip("products of warpgroups are of compute capability 9.0")
    found = CudaBench((), device, Effort(seconds=0, least=1, most=1)).row(work)
    assert (found.status, found.check, found.error) == (MEASURED, WITHIN, "") and found.seconds
    assert described(device)["device"]


def test_the_names_that_the_benchmark_takes_from_cupy_are_there(cupy: ModuleType) -> None:
    """What can be seen of the module for devices without one."""
    cuda = cupy.cuda
    taken = ("Device", "Event", "MemoryPool", "using_allocator", "get_elapsed_time", "get_current_stream")
    assert all(hasattr(cuda, name) for name in taken)
    runtime = ("memsetAsync", "getDeviceProperties", "driverGetVersion", "runtimeGetVersion")
    assert all(hasattr(cuda.runtime, name) for name in runtime) and hasattr(cuda.nvrtc, "getVersion")
    assert all(hasattr(cuda.Device, name) for name in ("attributes", "compute_capability", "mem_info", "synchronize"))
    assert all(hasattr(cuda.MemoryPool, name) for name in ("malloc", "total_bytes"))
    assert {"record", "synchronize"} <= set(dir(cuda.Event)) and hasattr(cupy.get_default_memory_pool(), "free_all_blocks")
    assert all(hasattr(cupy, name) for name in ("asnumpy", "zeros_like", "tri", "where", "copyto", "from_dlpack"))
