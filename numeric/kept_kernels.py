"""Generated sources kept on disk, so that a kernel is there without being derived anew.

The folder is ``$KERNELPROOF_CACHE`` (``off``: none), else ``kernelproof`` in the user's folder of caches. An entry is found by the SHA-256
of kernelproof's own source files of the layers that make kernels (symbolic and numeric) together with phase, variant, backend, dtype and
whether it is the gradient: a changed line of ours finds nothing. It holds the source, the fingerprint of the derivation that the source
came from, and the licences. Guarantees: an entry is used only if its own hash is right and it is what was asked for; anything else is
generated anew and written over; entries appear whole (written beside, then renamed); a folder that cannot be written is done without.
What needs the derivation itself makes it, and is told the fingerprint to compare. Nothing is kept once our files differ from those that
this process started with. ``kernelproof check`` never reads here. Cannot see: somebody who may write to the folder and wishes harm; they
could change the user's Python files as well.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernelproof import __version__

FORMAT = "kernelproof kept kernel 1"
VARIABLE = "KERNELPROOF_CACHE"
OFF = "off"
LAYERS = ("symbolic", "numeric")
MOST = 1000  # entries; the oldest go


@dataclass(frozen=True)
class Kept:
    """A source, the fingerprint of its derivation, and the licences of its form."""

    source: str
    derivation: str
    licences: tuple[str, ...]


@dataclass(frozen=True)
class Wanted:
    """What a kernel is generated for."""

    phase: str
    variant: tuple[tuple[str, object], ...]
    backend: str
    dtype: str
    vjp: bool

    def described(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "phase": self.phase, "variant": {name: str(value) for name, value in self.variant}, "backend": self.backend,
            "dtype": self.dtype, "vjp": self.vjp, "version": __version__, "sources": SOURCES,
        }


def cache_folder() -> Path | None:
    """Where kernels are kept; None where that is switched off or there is no home."""
    given = os.environ.get(VARIABLE)
    if given:
        return None if given.lower() == OFF else Path(given).expanduser()
    try:
        if sys.platform == "win32":
            base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        elif sys.platform == "darwin":
            base = Path.home() / "Library" / "Caches"
        else:
            base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return None
    return base / "kernelproof"


def sources_hash(root: Path) -> str:
    """The SHA-256 of our own source files, their names among it; it changes with every line. Empty where they cannot be read."""
    digest = hashlib.sha256()
    try:
        for path in sorted(path for layer in LAYERS for path in (root / layer).rglob("*.py")):
            data = path.read_bytes()
            digest.update(f"{path.relative_to(root).as_posix()} {len(data)}\n".encode())
            digest.update(data)
    except OSError:
        return ""
    return digest.hexdigest()


_ROOT = Path(__file__).resolve().parent.parent
#: of the files that this process loads
SOURCES = sources_hash(_ROOT)


def _hash(data: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(data, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def _path(folder: Path, wanted: Wanted) -> Path:
    return folder / f"{wanted.phase}{'.vjp' if wanted.vjp else ''}.{_hash(wanted.described())[:32]}.json"


def kept(wanted: Wanted) -> Kept | None:
    """The entry for what is wanted, None where there is none that can be used."""
    folder = cache_folder()
    if folder is None or not SOURCES:
        return None
    try:
        path = _path(folder, wanted)
        if not path.is_file():  # to read a pipe would wait for a writer
            return None
        data = json.loads(path.read_text(encoding="utf-8"))
        own = data.pop("hash")
        if own != _hash(data) or data["format"] != FORMAT or data["wanted"] != wanted.described():
            return None
        return Kept(str(data["source"]), str(data["derivation"]), tuple(str(name) for name in data["licences"]))
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return None


def keep(wanted: Wanted, found: Kept) -> None:
    """Write an entry; where that cannot be done, nothing happens."""
    folder = cache_folder()
    if folder is None or not SOURCES or sources_hash(_ROOT) != SOURCES:
        return
    data: dict[str, Any] = {
        "format": FORMAT, "wanted": wanted.described(), "source": found.source, "derivation": found.derivation,
        "licences": list(found.licences),
    }
    with suppress(OSError, ValueError):
        folder.mkdir(parents=True, exist_ok=True)
        target = _path(folder, wanted)
        _write(target, json.dumps({**data, "hash": _hash(data)}, ensure_ascii=False))
        _forget_oldest(folder)


def _write(target: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as beside:
            beside.write(text)
        os.replace(name, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def _forget_oldest(folder: Path) -> None:
    entries = list(folder.glob("*.json"))
    if len(entries) > MOST:
        entries.sort(key=lambda path: path.stat().st_mtime)
        for path in entries[: len(entries) - MOST]:
            path.unlink(missing_ok=True)
