"""What a measurement was made on: processor, cache, threads, versions, date.

Guarantees: every entry is read from the machine at hand; what cannot be read says ``unknown``.
"""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kernelproof import __version__
from kernelproof.numeric.processor import UNKNOWN, processor
from kernelproof.reports.speed.rivals import version_of

#: environment variables that change which kernels a matrix library takes, and on how many threads
SETTINGS = ("OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "MKL_ENABLE_INSTRUCTIONS")
#: the kernels of OpenBLAS for processors without AVX-512
NARROW = ("Haswell", "Zen", "Sandybridge", "Nehalem")
PACKAGES = ("numpy", "scipy", "threadpoolctl", "torch", "onnx", "onnxruntime")


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def caches(folder: Path = Path("/sys/devices/system/cpu/cpu0/cache")) -> dict[str, str]:
    """The caches of the first core by level, such as L2: 2048K."""
    found = {}
    for index in sorted(folder.glob("index*")) if folder.is_dir() else ():
        try:
            kind, level, size = ((index / name).read_text().strip() for name in ("type", "level", "size"))
        except OSError:
            continue
        found[f"L{level}{'d' if kind == 'Data' else 'i' if kind == 'Instruction' else ''}"] = size
    return found


def blas() -> list[str]:
    """The BLAS libraries that are loaded, with their threads and the instruction set they chose."""
    from threadpoolctl import threadpool_info

    return [
        f"{one['internal_api']} {one.get('version') or ''} ({one.get('architecture', UNKNOWN)}, {one['num_threads']} threads)"
        for one in threadpool_info()
        if one.get("user_api") == "blas"
    ]


def has_avx512(path: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor says so; False where the system does not tell."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return False
    return any("avx512f" in line.split() for line in lines if line.startswith("flags"))


def narrow_products(found: Mapping[str, Any]) -> bool:
    """Whether OpenBLAS leaves the AVX-512 of the measured machine unused, as it does on processors that it does not know."""
    return bool(found.get("avx512")) and any(f"({name}," in one for one in found["blas"] if "openblas" in one for name in NARROW)


def torch_threads() -> int | None:
    """The threads of PyTorch, None where it is not installed."""
    if not version_of("torch"):
        return None
    import torch

    return int(torch.get_num_threads())


def machine() -> dict[str, Any]:
    """All of it, for the head of a table."""
    np.ones((2, 2)) @ np.ones((2, 2))
    return {
        "date": datetime.date.today().isoformat(),
        "processor": processor(),
        "cores": cores(),
        "caches": caches(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {
            "kernelproof": __version__,
            "python": platform.python_version(),
            **{name: found for name in PACKAGES if (found := version_of(name))},
        },
        "not installed": [name for name in PACKAGES if not version_of(name)],
        "blas": blas(),
        "avx512": has_avx512(),
        "settings": {name: os.environ[name] for name in SETTINGS if os.environ.get(name)},
        "torch threads": torch_threads(),
    }
