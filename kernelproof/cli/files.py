"""Files that the commands write: refused before the work when they cannot be written, and moved into place when whole.

Cannot see a folder that becomes unwritable during the work: the write itself then says so.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def require_writable(path: Path, what: str) -> None:
    """Refuse, in one line, a file whose folder does not exist or that is itself a folder."""
    from kernelproof.symbolic.errors import InputError

    folder = path.parent
    doing = f"cannot write {what} to {str(path)!r}"
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist"
        raise InputError(f"{doing}: {str(folder)!r} {problem}; name a file in an existing folder")
    if path.is_dir():
        raise InputError(f"{doing}: it is a folder; name a file")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise InputError(f"{doing}: no permission; name a file in a folder that you may write to")


def write(path: Path, text: str) -> None:
    """Write ``text`` beside ``path`` and move it there, so that no half-written file is ever seen."""
    if path.exists() and not path.is_file():  # a device or a pipe cannot be moved onto
        path.write_text(text, encoding="utf-8")
        return
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as beside:
        try:
            beside.write(text)
            beside.close()
            os.chmod(beside.name, 0o666 & ~_umask())
            os.replace(beside.name, path)
        except BaseException:
            os.unlink(beside.name)
            raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
