"""The GPU that rows are measured on: the one module of the benchmark that needs one.

What it does: says why there is none; times a call between two events on CuPy's current stream, after the L2 cache was written over; weighs
what a call takes of memory; states what it all ran on. Guarantees: the writes before a timed call take longer than its own host code does,
so that the device is still busy when the call's work arrives and no wait for Python is timed; memory is counted in a pool of its own.
Cannot see: memory that a library takes without CuPy's allocator; the clock of the device while it is timed, only before and after.
"""

from __future__ import annotations

import datetime
import json
import math
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from kernelproof import __version__
from kernelproof.reports.speed.rivals import version_of

#: the cache is written over by so many times its size
TIMES_L2 = 4
#: the least seconds of the writes before a call, in times of the call's host code
AHEAD = 2.0
MOST_WRITES = 256
PACKAGES = ("numpy", "torch", "triton")
QUERIES = ("name", "driver_version", "clocks.sm", "clocks.max.sm", "clocks.mem", "power.limit", "temperature.gpu")


def missing() -> str:
    """Why there is no GPU to measure on; empty where there is one."""
    try:
        cupy = import_module("cupy")
    except ImportError as error:
        why = " ".join(str(error).split())
        return f"cupy cannot be imported ({why}); on a machine with an NVIDIA GPU 'pip install kernelproof[cuda12]', or [cuda13]"
    try:
        there = bool(cupy.cuda.is_available())
    except Exception as error:
        return f"CuPy cannot use the driver ({' '.join(str(error).split())}); see that nvidia-smi works"
    return "" if there else "there is no GPU that CuPy can use (cupy.cuda.is_available() is false)"


def writes_ahead(host_seconds: float, write_seconds: float) -> int:
    """How often the cache is written over before a call whose host code takes so long."""
    if write_seconds <= 0:
        return 1
    return min(MOST_WRITES, max(1, math.ceil(AHEAD * host_seconds / write_seconds)))


class Device:
    """The current device of CuPy."""

    def __init__(self) -> None:
        self._cupy = import_module("cupy")
        self._device = self._cupy.cuda.Device()
        self.l2 = int(self._device.attributes.get("L2CacheSize", 0)) or 64 << 20
        self._buffer = self._cupy.empty(TIMES_L2 * self.l2, dtype=self._cupy.uint8)
        self._write_seconds = min(self._between(lambda: None, 8) for _ in range(3)) / 8

    @property
    def capability(self) -> int:
        """Compute capability, 90 for 9.0."""
        return int(self._device.compute_capability)

    def upload(self, array: Any) -> Any:
        """The array on the device."""
        return self._cupy.asarray(array)

    def download(self, array: Any) -> Any:
        """The array in NumPy."""
        return self._cupy.asnumpy(array)

    def zeros_like(self, array: Any) -> Any:
        """Zeros on the device."""
        return self._cupy.zeros_like(array)

    def _write(self, times: int) -> None:
        stream = self._cupy.cuda.get_current_stream().ptr
        for value in range(times):
            self._cupy.cuda.runtime.memsetAsync(self._buffer.data.ptr, value % 256, self._buffer.nbytes, stream)

    def _between(self, call: Callable[[], object], writes: int, timed_writes: bool = True) -> float:
        """Seconds between two events around the call, the writes before it among them or not."""
        begun, ended = (self._cupy.cuda.Event() for _ in range(2))
        if not timed_writes:
            self._write(writes)
        begun.record()
        if timed_writes:
            self._write(writes)
        call()
        ended.record()
        ended.synchronize()
        return float(self._cupy.cuda.get_elapsed_time(begun, ended)) / 1e3

    def host_seconds(self, call: Callable[[], object]) -> float:
        """Seconds until the call has handed its work to the device and comes back, which is long before that is done."""
        self.wait()
        started = time.perf_counter()
        call()
        took = time.perf_counter() - started
        self.wait()
        return took

    def seconds(self, call: Callable[[], object], host_seconds: float) -> float:
        """Seconds that the device works for a call, with nothing of its data in the cache."""
        return self._between(call, writes_ahead(host_seconds, self._write_seconds), timed_writes=False)

    def peak(self, call: Callable[[], object]) -> int:
        """Bytes that a call takes at most beyond what was there before, its result among them."""
        pool = self._cupy.cuda.MemoryPool()
        self.wait()
        with self._cupy.cuda.using_allocator(pool.malloc):
            result = call()
            self.wait()
            taken = int(pool.total_bytes())
        del result
        return taken

    def wait(self) -> None:
        """Until the device has done everything, which raises what went wrong."""
        self._device.synchronize()

    def alive(self) -> bool:
        """Whether it still computes: after an access outside of memory nothing does in this process."""
        try:
            self._cupy.asnumpy(self._cupy.zeros(1, dtype=self._cupy.uint8))
        except Exception:
            return False
        return True

    def free(self) -> None:
        """Give back memory that nothing holds."""
        self._cupy.get_default_memory_pool().free_all_blocks()

    def facts(self) -> dict[str, Any]:
        """Device, driver, runtimes, versions, clocks, for the head of a table."""
        runtime = self._cupy.cuda.runtime
        name = runtime.getDeviceProperties(self._device.id)["name"]
        attributes = self._device.attributes
        return {
            "device": name.decode() if isinstance(name, bytes) else str(name), "capability": self.capability, "L2": self.l2,
            "multiprocessors": int(attributes.get("MultiProcessorCount", 0)), "memory": int(self._device.mem_info[1]),
            "driver": runtime.driverGetVersion(), "runtime": runtime.runtimeGetVersion(), "nvrtc": list(self._cupy.cuda.nvrtc.getVersion()),
            "torch cuda": torch_cuda(),
        }


def described(device: Device) -> dict[str, Any]:
    """What a table of the device is measured on, as it is now; later it may answer no more."""
    versions = {"kernelproof": __version__, "python": platform.python_version(), "cupy": import_module("cupy").__version__}
    return {
        "date": datetime.date.today().isoformat(), **device.facts(), "nvidia-smi": asked(),
        "versions": {**versions, **{name: found for name in PACKAGES if (found := version_of(name))}},
    }


def torch_cuda() -> str:
    """The CUDA version that PyTorch was made for; empty where it is not installed."""
    return str(import_module("torch").version.cuda or "none") if version_of("torch") else ""


def asked(queries: Sequence[str] = QUERIES) -> dict[str, str]:
    """What nvidia-smi says of the first device; nothing where it is not there."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return {}
    command = [program, f"--query-gpu={','.join(queries)}", "--format=csv,noheader", "--id=0"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(zip(queries, (word.strip() for word in said.split(",")), strict=False))


if __name__ == "__main__":
    print(json.dumps(described(Device()), indent=1))
