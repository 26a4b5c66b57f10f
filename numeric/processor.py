"""The processor's name: what a measurement or a tuning was made on."""

from __future__ import annotations

import platform
from pathlib import Path

UNKNOWN = "unknown"


def processor(path: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's model name; ``unknown`` where the system does not tell."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names and names[0] else platform.processor() or UNKNOWN
