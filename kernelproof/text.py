"""The user's text file, read whole, or one clear line on why not.

Guarantees: what is returned is exactly the file's characters (line ends kept, a leading byte-order mark dropped), not
empty, and never more than ``MAX_BYTES`` bytes are read, whatever the file system said about the size. Everything a user
can get wrong here is an :class:`InputError` of one line.
Cannot see: whether UTF-8 is what the author meant; a Latin-1 file that happens to be valid UTF-8 is read as UTF-8.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from kernelproof.symbolic.errors import InputError

MAX_BYTES = 64 * 2**20

_BOM = b"\xef\xbb\xbf"


def read_text(path: Path) -> str:
    """The characters of the text file at ``path``."""
    where = f"reading the text file {str(path)!r}"
    data = read_bytes(path, where, MAX_BYTES, "a UTF-8 text file")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{where}: it looks like UTF-16, expected UTF-8; convert it with `iconv -f UTF-16 -t UTF-8`")
    nul = data.find(b"\0")
    if nul >= 0:
        raise InputError(f"{where}: binary (zero byte at byte offset {nul}), expected UTF-8 text; name a text file")
    start = len(_BOM) if data.startswith(_BOM) else 0
    try:
        text = data[start:].decode("utf-8")
    except UnicodeDecodeError as error:
        bad = start + error.start
        raise InputError(
            f"{where}: not UTF-8 at byte offset {bad} (byte 0x{data[bad]:02x}), expected UTF-8 text; "
            "convert it, for example with `iconv -t UTF-8`, or name a text file"
        ) from None
    if not text:
        raise InputError(f"{where}: it is empty, expected at least one character; name another file")
    return text


def read_bytes(path: Path, where: str, limit: int, expected: str) -> bytes:
    """The bytes of a regular file of at most ``limit`` bytes; ``where`` and ``expected`` word the error's line."""
    most = f"expected at most {limit} bytes ({limit / 2**20:g} MiB); take a part of it, for example by `head -c`"
    try:
        status = os.stat(path)
        if stat.S_ISREG(status.st_mode) and status.st_size <= limit:
            with open(path, "rb") as stream:
                data = stream.read(limit + 1)
    except FileNotFoundError:
        raise InputError(f"{where}: there is no such file, expected {expected}; check the path") from None
    except PermissionError:
        raise InputError(f"{where}: permission denied, expected a readable file; change its permissions") from None
    except OSError as error:
        raise InputError(f"{where}: {error.strerror}, expected {expected}; check the path") from None
    except ValueError:  # what Python says to a zero character inside a path
        raise InputError(f"{where}: no path can have this name, expected {expected}; check the path") from None
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{where}: it is a directory, expected {expected}; name a file inside it")
    if not stat.S_ISREG(status.st_mode):  # a pipe or device has no size to check and may never end
        raise InputError(f"{where}: not a regular file, expected {expected}; save it to a file first")
    if status.st_size > limit:
        raise InputError(f"{where}: it has {status.st_size} bytes, {most}")
    if len(data) > limit:
        raise InputError(f"{where}: it grew while being read, {most}")
    return data
