"""Block sizes of one machine, found by ``kernelproof bench --tune`` and set in the executed module of a generated kernel.

The file is ``$KERNELPROOF_TUNING``, else ``kernelproof/blocks.json`` in the user's folder of settings::

    {"format": "kernelproof blocks 1", "processor": "…", "phases": {"attention": {"QUERY_BLOCK": 512}, "attention.vjp": {…}}}

Guarantees: only whole numbers of constants that the kernel has, called …BLOCK, …TILE, …CHUNK or CACHE_BYTES, are set, and only in memory:
text and certificate stay as they are, and a kernel's result is within its bound for any block size. A file of another processor is left
alone; one that cannot be read is named in one warning, and the kernel runs with its own sizes. Cannot see: whether the sizes are still
the best.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from kernelproof.numeric.processor import processor

FORMAT = "kernelproof blocks 1"
VARIABLE = "KERNELPROOF_TUNING"
#: a tile or block needs some bytes
LEAST_BYTES = 4096
_TUNABLE = re.compile(r"(?=[A-Z])[A-Z0-9_]*(BLOCK|TILE|CHUNK)[A-Z0-9_]*|CACHE_BYTES")
_LOG = logging.getLogger("kernelproof.tuning")


class BadTuning(Exception):
    """A file of block sizes that cannot be used; the text says why."""


def tuning_path() -> Path:
    """Where the file of block sizes is or would be."""
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given)
    if sys.platform == "win32":
        folder = Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        folder = Path.home() / "Library" / "Application Support"
    else:
        folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return folder / "kernelproof" / "blocks.json"


def read(path: Path) -> dict[str, dict[str, int]]:
    """Sizes by phase, nothing where the file is of another processor. BadTuning for a file that is none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadTuning(" ".join(str(error).split())) from None
    if not isinstance(data, dict) or data.get("format") != FORMAT or not isinstance(data.get("phases"), dict):
        raise BadTuning(f"expected an object with format {FORMAT!r} and phases")
    for phase, sizes in data["phases"].items():
        if not isinstance(sizes, dict):
            raise BadTuning(f"phases.{phase}: expected an object of constants and whole numbers")
        for name, size in sizes.items():
            if not tunable(name, size):
                raise BadTuning(
                    f"phases.{phase}.{name} = {size!r}: expected a constant such as QUERY_BLOCK and a whole number from 0 up, of bytes "
                    f"from {LEAST_BYTES} up"
                )
    return dict(data["phases"]) if data.get("processor") == processor() else {}


def tunable(name: str, value: Any) -> bool:
    """Whether a module constant is a block size."""
    least = LEAST_BYTES if name.endswith("_BYTES") else 0
    return _TUNABLE.fullmatch(name) is not None and isinstance(value, int) and not isinstance(value, bool) and value >= least


def constants_of(namespace: Mapping[str, Any]) -> dict[str, int]:
    """The block sizes among the names of an executed kernel."""
    return {name: value for name, value in namespace.items() if tunable(name, value)}


def tuned(kind: str) -> dict[str, int]:
    """The sizes found for a phase (``PHASE.vjp``: its gradient) on this processor."""
    try:
        path = tuning_path()
        changed = path.stat().st_mtime_ns
    except (OSError, ValueError, RuntimeError):  # no file, no path of such a name, no home
        return {}
    return _kept(str(path), changed).get(kind, {})


@cache
def _kept(path: str, changed: int) -> dict[str, dict[str, int]]:
    try:
        return read(Path(path))
    except BadTuning as error:
        _LOG.warning("kernelproof: the block sizes in %s are not used: %s; mend or delete that file", path, error)
        return {}


def apply(kind: str, namespace: dict[str, Any]) -> dict[str, int]:
    """Set the sizes found for a phase in an executed kernel; those that were set."""
    known = constants_of(namespace)
    found = {name: size for name, size in tuned(kind).items() if name in known}
    namespace.update(found)
    return found


def write(path: Path, phases: Mapping[str, Mapping[str, int]]) -> None:
    """Write the sizes of some phases, keeping those of others that the file has for this processor. OSError where it cannot be written."""
    try:
        kept = read(path)
    except BadTuning:
        kept = {}
    data = {"format": FORMAT, "processor": processor(), "phases": {**kept, **{phase: dict(sizes) for phase, sizes in phases.items()}}}
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(beside, path)
