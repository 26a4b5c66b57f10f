"""Reading the user's text: what comes back is the file's characters, and every bad file has one clear line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelproof import text as text_module
from kernelproof.symbolic.errors import InputError
from kernelproof.text import MAX_BYTES, read_text


def message(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_text(path)
    line = str(caught.value)
    assert "\n" not in line
    return line.replace(repr(str(path)), "PATH")


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "input.txt"
    path.write_bytes(data)
    return path


def test_characters_are_kept(tmp_path: Path) -> None:
    assert read_text(written(tmp_path, "one\r\ntwo\té\n \n".encode())) == "one\r\ntwo\té\n \n"


def test_one_character_is_enough(tmp_path: Path) -> None:
    assert read_text(written(tmp_path, b"a")) == "a"


def test_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    assert read_text(written(tmp_path, b"\xef\xbb\xbfhello")) == "hello"


def test_missing_file(tmp_path: Path) -> None:
    assert message(tmp_path / "absent.txt") == (
        "reading the text file PATH: there is no such file, expected a UTF-8 text file; check the path"
    )


def test_directory(tmp_path: Path) -> None:
    assert message(tmp_path) == (
        "reading the text file PATH: it is a directory, expected a UTF-8 text file; name a file inside it"
    )


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf"])
def test_empty_file(tmp_path: Path, data: bytes) -> None:
    assert message(written(tmp_path, data)) == (
        "reading the text file PATH: it is empty, expected at least one character; name another file"
    )


def test_binary_file_names_the_offset(tmp_path: Path) -> None:
    assert message(written(tmp_path, b"GIF89a\0\1")) == (
        "reading the text file PATH: binary (zero byte at byte offset 6), expected UTF-8 text; name a text file"
    )


@pytest.mark.parametrize(("data", "offset"), [(b"caf\xe9 noir", 3), (b"\xef\xbb\xbfab\xff", 5)])
def test_not_utf8_names_the_offset_in_the_file(tmp_path: Path, data: bytes, offset: int) -> None:
    assert message(written(tmp_path, data)) == (
        f"reading the text file PATH: not UTF-8 at byte offset {offset} (byte 0x{data[offset]:02x}), "
        "expected UTF-8 text; convert it, for example with `iconv -t UTF-8`, or name a text file"
    )


def test_utf16_says_how_to_convert(tmp_path: Path) -> None:
    assert "looks like UTF-16" in message(written(tmp_path, "hello".encode("utf-16")))


def test_too_large_is_refused_before_reading(tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    with path.open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)  # sparse: takes no disk, and reading it would say "zero byte"
    assert message(path) == (
        "reading the text file PATH: it has 67108865 bytes, expected at most 67108864 bytes (64 MiB); "
        "take a part of it, for example by `head -c`"
    )


def test_the_limit_itself_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_module, "MAX_BYTES", 4)
    assert read_text(written(tmp_path, b"abcd")) == "abcd"
    assert "it has 5 bytes, expected at most 4 bytes" in message(written(tmp_path, b"abcde"))


def test_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    assert "not a regular file, expected a UTF-8 text file; save it to a file first" in message(path)


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, b"secret")
    path.chmod(0)
    if os.access(path, os.R_OK):  # the superuser may read it all the same
        def refuse(*_: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(text_module, "open", refuse, raising=False)
    assert message(path) == (
        "reading the text file PATH: permission denied, expected a readable file; change its permissions"
    )


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "one\ntwo"])
def test_odd_names_still_give_one_line(name: str) -> None:
    assert "reading the text file PATH" in message(Path(name))


def test_link_to_itself(tmp_path: Path) -> None:
    path = tmp_path / "loop"
    path.symlink_to(path)
    assert "reading the text file PATH" in message(path)


@given(st.text(min_size=1).filter(lambda text: "\0" not in text and not text.startswith("\ufeff")))
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes(text.encode())
    assert read_text(path) == text
