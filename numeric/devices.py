"""Which accelerator is here, if any. Importing cupy works without a GPU, so its presence says nothing."""

from __future__ import annotations

from functools import cache


@cache
def gpu_name() -> str:
    """The name of the first CUDA device that cupy can use; empty without cupy, driver or device."""
    try:
        import cupy
    except ImportError:
        return ""
    try:
        if not cupy.cuda.is_available():
            return ""
        properties = cupy.cuda.runtime.getDeviceProperties(0)
    except cupy.cuda.runtime.CUDARuntimeError:
        return ""
    name = properties["name"]
    return name.decode() if isinstance(name, bytes) else str(name)
