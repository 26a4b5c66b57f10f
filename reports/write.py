"""A report on disk, whole or not at all.

Guarantees: everything is written beside the destination and moved into place at the end; a failure or an interrupt
leaves nothing behind and an older report as it was. A directory is replaced only if a report wrote all its files.
Cannot see: a process that is killed outright. It leaves a hidden ``.NAME.…`` directory beside the destination; between
the two renames that swap an old report for a new one, the old report is in there.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kernelproof.reports.html import render_html
from kernelproof.reports.markdown import render_markdown
from kernelproof.reports.model import Report
from kernelproof.symbolic.errors import InputError

MARKER = ".kernelproof-report"

_TITLE = "kernelproof report; these files are replaced by the next one:"
_LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})  # what file browsers leave behind


def write_report(report: Report, directory: Path) -> Path:
    """Write ``report`` as ``directory`` and return the path of its ``index.html``."""
    contents = _contents(report)
    target = check_destination(directory)
    try:
        with _parents(target), _workshop(target) as workshop:
            new = workshop / "new"
            for name, data in contents.items():
                path = new / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            _swap(new, target, workshop / "old")
    except OSError as error:
        raise InputError(
            f"writing the report {str(directory)!r}: {error.strerror or error}, expected a place to write to; "
            "nothing was changed, name another directory"
        ) from error
    return directory / "index.html"


def check_destination(directory: Path) -> Path:
    """The real path of ``directory``, if a report may be written there; call it early, before the work of a run."""
    where = f"writing the report {str(directory)!r}"
    try:
        target = Path(os.path.realpath(directory))
        if not os.path.lexists(target):
            _check_parent(target, where)
            return target
        if not target.is_dir():
            raise InputError(f"{where}: it is a file, expected a new directory or a report; name another directory")
        if Path(os.path.realpath(os.curdir)).is_relative_to(target) or os.path.ismount(target):
            # it would be moved away under the feet of the shell, or cannot be moved
            raise InputError(f"{where}: the directory is in use, expected one to replace; name a new one inside it")
        _check_ours(target, where)
        _check_parent(target, where)
    except OSError as error:
        raise InputError(
            f"{where}: {error.strerror or error}, expected a directory to write; name another directory"
        ) from error
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{where}: no path can have this name, expected a directory; name another") from None
    return target


def _check_ours(target: Path, where: str) -> None:
    if not any(target.iterdir()):
        return
    marker = target / MARKER
    known = marker.read_text("utf-8").splitlines() if marker.is_file() else []
    if known[:1] != [_TITLE]:
        raise InputError(f"{where}: not empty and not a report of kernelproof, so it is kept; name another directory")
    for folder, _, names in os.walk(target):
        for name in names:
            relative = (Path(folder) / name).relative_to(target).as_posix()
            if relative not in known[1:] and relative != MARKER and name not in _LITTER:
                raise InputError(
                    f"{where}: it holds {relative!r}, which no report wrote, so it is kept; "
                    "move that file away or name another directory"
                )


def _check_parent(target: Path, where: str) -> None:
    parent = next(folder for folder in target.parents if os.path.lexists(folder))
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise InputError(f"{where}: {str(parent)!r} is no directory that can be written to; name another directory")


def _contents(report: Report) -> dict[str, bytes]:
    """Every file of the report by its path, rendered before anything on disk is touched."""
    contents = {"index.html": render_html(report).encode(), "report.md": render_markdown(report).encode()}
    for section in report.sections:
        for figure in section.figures:
            _add(contents, f"figures/{figure.name}.png", figure.png)
        for source in section.sources:
            _add(contents, f"kernels/{source.name}", source.text.encode())
    listing = "".join(f"{line}\n" for line in [_TITLE, *sorted(contents)])
    return contents | {MARKER: listing.encode()}


def _add(contents: dict[str, bytes], path: str, data: bytes) -> None:
    # without regard to case, since some file systems have none
    same = next((known for known in contents if known.casefold() == path.casefold()), path)
    if contents.setdefault(same, data) != data or same != path:
        raise ValueError(f"two different files of the report are called {path!r}")


@contextmanager
def _parents(target: Path) -> Iterator[None]:
    """Make the folders above ``target``; take back the new ones if the block fails."""
    missing = [folder for folder in target.parents if not folder.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for folder in missing:  # innermost first
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        raise


@contextmanager
def _workshop(target: Path) -> Iterator[Path]:
    """A private folder beside ``target``, on the same disk so that a rename is enough; gone afterwards."""
    workshop = Path(tempfile.mkdtemp(prefix=f".{target.name[:100]}.", dir=target.parent))
    try:
        yield workshop
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def _swap(new: Path, target: Path, old: Path) -> None:
    """Put ``new`` in the place of ``target``; whatever happens, ``target`` is one of the two afterwards."""
    try:
        if target.exists():
            os.rename(target, old)
        os.rename(new, target)
    except BaseException:
        if old.exists() and not target.exists():
            os.rename(old, target)
        raise
