"""Kernels kept on disk: found again, never trusted when anything about them is off, and never in the way."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernelproof.numeric import kept_kernels, kernel
from kernelproof.numeric.certificate import check
from kernelproof.numeric.kept_kernels import Kept, Wanted, cache_folder, keep, kept, sources_hash
from kernelproof.numeric.kernel import Kernel, generate
from kernelproof.symbolic.errors import InputError

WANTED = Wanted("softmax", (), "numpy", "float32", False)
FOUND = Kept("the source", "the fingerprint", ("a.theorem",))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = tmp_path / "cache"
    monkeypatch.setenv("KERNELPROOF_CACHE", str(found))
    return found


@pytest.fixture
def underived(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be derived."""

    def derive(*_: Any, **__: Any) -> Any:
        raise AssertionError("derived")

    monkeypatch.setattr(kernel, "derive", derive)
    monkeypatch.setattr(kernel, "gradient_of", derive)


def test_what_was_kept_is_found_again(folder: Path) -> None:
    assert kept(WANTED) is None
    keep(WANTED, FOUND)
    assert kept(WANTED) == FOUND
    (entry,) = folder.iterdir()
    assert entry.name.startswith("softmax.") and entry.suffix == ".json"


@pytest.mark.parametrize(
    "other",
    [
        Wanted("rms_norm", (), "numpy", "float32", False), Wanted("softmax", (("a", 1),), "numpy", "float32", False),
        Wanted("softmax", (), "cupy", "float32", False), Wanted("softmax", (), "numpy", "float64", False),
        Wanted("softmax", (), "numpy", "float32", True),
    ],
    ids=str,
)
def test_something_else_is_not_found(other: Wanted, folder: Path) -> None:
    keep(WANTED, FOUND)
    assert kept(other) is None


def test_a_changed_line_of_ours_finds_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    keep(WANTED, FOUND)
    monkeypatch.setattr(kept_kernels, "SOURCES", "0" * 64)
    assert kept(WANTED) is None
    for layer in ("symbolic", "numeric"):
        (tmp_path / layer / "deep").mkdir(parents=True)
        (tmp_path / layer / "deep" / "a.py").write_text("1\n", encoding="utf-8")
    first = sources_hash(tmp_path)
    assert first == sources_hash(tmp_path)
    (tmp_path / "numeric" / "deep" / "a.py").write_text("2\n", encoding="utf-8")
    second = sources_hash(tmp_path)
    (tmp_path / "numeric" / "deep" / "a.py").rename(tmp_path / "numeric" / "deep" / "b.py")
    assert len({first, second, sources_hash(tmp_path)}) == 3


def test_nothing_is_kept_once_our_files_have_changed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process runs what it loaded; what lies there now may be something else."""
    monkeypatch.setattr(kept_kernels, "sources_hash", lambda root: "0" * 64)
    keep(WANTED, FOUND)
    assert not folder.exists()


def spoil(entry: Path, **changes: Any) -> None:
    data = json.loads(entry.read_text(encoding="utf-8"))
    entry.write_text(json.dumps({**data, **changes}), encoding="utf-8")


@pytest.mark.parametrize(
    "changes", [{"source": "import os"}, {"derivation": "x"}, {"licences": []}, {"format": "2"}, {"hash": "0"}, {"wanted": {}}], ids=str
)
def test_a_changed_entry_is_not_used(changes: dict[str, Any], folder: Path) -> None:
    keep(WANTED, FOUND)
    spoil(next(folder.iterdir()), **changes)
    assert kept(WANTED) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", "[" * 100_000, '{"hash": 1}'])
def test_what_cannot_be_read_is_generated_anew_and_written_over(text: str, folder: Path) -> None:
    keep(WANTED, FOUND)
    (entry,) = folder.iterdir()
    entry.write_text(text, encoding="utf-8")
    assert kept(WANTED) is None
    keep(WANTED, FOUND)
    assert kept(WANTED) == FOUND and list(folder.iterdir()) == [entry]


def test_a_folder_that_cannot_be_written_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for name in (str(tmp_path / "file" / "below"), "\0"):
        monkeypatch.setattr(os, "environ", {**os.environ, "KERNELPROOF_CACHE": name})
        keep(WANTED, FOUND)
        assert kept(WANTED) is None
    monkeypatch.setattr(os, "environ", {**os.environ, "KERNELPROOF_CACHE": "off"})
    assert cache_folder() is None
    keep(WANTED, FOUND)
    assert kept(WANTED) is None


def test_the_oldest_go(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_kernels, "MOST", 2)
    for place, dtype in enumerate(("float16", "float32", "float64")):
        wanted = Wanted("softmax", (), "numpy", dtype, False)
        keep(wanted, FOUND)
        newest = max(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        os.utime(newest, (place, place))
    assert len(list(folder.iterdir())) == 2
    assert kept(Wanted("softmax", (), "numpy", "float16", False)) is None


def made(vjp: bool = False) -> Kernel:
    return generate("activation", vjp=vjp, activation="relu")


@pytest.mark.parametrize("vjp", [False, True])
def test_a_kept_kernel_is_the_same_without_being_derived(vjp: bool, folder: Path, request: pytest.FixtureRequest) -> None:
    first = made(vjp)
    licences = first.licences
    request.getfixturevalue("underived")
    second = made(vjp)
    assert first.kept is None and second.kept is not None
    assert (second.source, second.licences, second.name, second.variant) == (first.source, licences, first.name, first.variant)
    x = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
    for one, other in zip(np.atleast_1d(first(x, *(x,) * vjp)), np.atleast_1d(second(x, *(x,) * vjp)), strict=True):
        assert np.array_equal(one, other)


def test_its_derivation_comes_when_asked_for_and_must_be_the_one(folder: Path) -> None:
    first = made()
    assert made().certificate == first.certificate
    wanted = Wanted("activation", first.options, "numpy", "float32", False)
    found = kept(wanted)
    assert found is not None
    keep(wanted, Kept(found.source, "another fingerprint", found.licences))
    with pytest.raises(InputError, match="came from a derivation with another fingerprint; delete that folder"):
        _ = made().derivation


def test_check_does_not_read_what_is_kept(folder: Path, tmp_path: Path) -> None:
    first = made()
    wanted = Wanted("activation", first.options, "numpy", "float32", False)
    keep(wanted, Kept(first.source + "\n", first.origin.fingerprint(), first.licences))
    file, certificate = made().save(tmp_path / "relu.py")
    assert file.read_text(encoding="utf-8") == first.source + "\n"
    found = check(certificate)
    assert not found.ok and any(line.startswith("FAIL") and "byte for byte" in line for line in found.lines)


def test_block_sizes_of_this_machine_are_set_in_memory_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kernelproof.numeric.tuning import write

    path = tmp_path / "blocks.json"
    monkeypatch.setenv("KERNELPROOF_TUNING", str(path))
    write(path, {"softmax": {"ROW_BLOCK": 3, "NO_SUCH_BLOCK": 1}})
    found = generate("softmax")
    names = found.function.__globals__
    assert names["ROW_BLOCK"] == 3 and "NO_SUCH_BLOCK" not in names
    assert "ROW_BLOCK = 3" not in found.source
    x = np.random.default_rng(0).standard_normal((10, 4), dtype=np.float32)
    expected, bound = found.error_bound(x)
    assert (np.abs(found(x) - expected) <= bound).all()
