"""What a bad call says: one line on stderr, exit code 2, no traceback, and nothing left behind."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kernelproof.__main__ import main
from kernelproof.cli import bench

ROOT = Path(__file__).parents[2]

BAD_ARGUMENTS = [
    ([], "kernelproof: the following arguments are required: COMMAND; see 'kernelproof --help'"),
    (["run"], "kernelproof run: the following arguments are required: TEXT_FILE; see 'kernelproof run --help'"),
    (
        ["report", "softmax"],
        "kernelproof report: the following arguments are required: -o/--output; see 'kernelproof report --help'",
    ),
    (
        ["run", "a.txt", "--max-tokens", "0"],
        "kernelproof run: argument --max-tokens: '0' is not a whole number from 1 up; see 'kernelproof run --help'",
    ),
    (
        ["verify", "m:f", "--phase", "softmax", "--seed", "-1"],
        "kernelproof verify: argument --seed: '-1' is not a whole number from 0 up; see 'kernelproof verify --help'",
    ),
    (
        ["verify", "m:f", "--phase", "softmax", "--max-seconds", "nan"],
        "kernelproof verify: argument --max-seconds: 'nan' is not a positive number of seconds; "
        "see 'kernelproof verify --help'",
    ),
    (
        ["verify", "m:f", "--phase", "attention", "--supports", "causal,,mask"],
        "kernelproof verify: argument --supports: 'causal,,mask' has an empty name in it; "
        "separate names by single commas; see 'kernelproof verify --help'",
    ),
    (
        ["check", ""],
        "kernelproof check: argument CERTIFICATE: an empty path; give the name of a file or folder; "
        "see 'kernelproof check --help'",
    ),
]

NOT_BUILT = [
    (["derive", "positional", "--vjp"], "derive: gradient of positional: it has no differentiable input; leave --vjp out"),
    (
        ["generate", "positional", "--vjp", "--backend", "cupy", "-o", "k.py"],
        "generate: gradient of positional: it has no differentiable input; leave --vjp out",
    ),
    (
        ["generate", "positional", "--vjp", "-o", "k.py"],
        "generate: gradient of positional: it has no differentiable input; leave --vjp out",
    ),
]

UNKNOWN_NAMES = [
    (["derive", "softmaxx"], "softmaxx"),
    (["generate", "softmaxx", "-o", "k.py"], "softmaxx"),
    (["verify", "generated:softmax", "--phase", "softmaxx"], "softmaxx"),
    (["report", "softmaxx", "-o", "report"], "softmaxx"),
    (["derive", "positional", "--variant", "colour=red"], "colour"),
    (["derive", "positional", "--variant", "layout=diagonal"], "diagonal"),
    (["derive", "positional", "--variant", "layout"], "layout"),
    (["verify", "generated:softmax", "--phase", "softmax", "--supports", "flying"], "flying"),
    (["verify", "no_such_file.py:f", "--phase", "softmax"], "no_such_file.py"),
    (["verify", "no_such_module:f", "--phase", "softmax"], "no_such_module"),
    (["verify", "nothing", "--phase", "softmax"], "nothing"),
    (["verify", "generated:softmax", "--phase", "softmax", "--against", "no_such_file.py:f"], "no_such_file.py"),
    (["verify", "generated:softmax", "--phase", "softmax", "--replay", "no_such.json"], "no_such.json"),
    (["check", "no_such.certificate.json"], "no_such.certificate.json"),
    (["bench", "softmaxx", "--power"], "softmaxx"),
    (["bench", "softmaxx"], "softmaxx"),
    (["bench", "softmaxx", "--tune"], "softmaxx"),
    (["bench", "softmax", "--against", "nunpy"], "nunpy"),
]


@pytest.fixture
def complaint(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[list[str]], str]:
    """Run a bad call in an empty folder and return its one line."""
    monkeypatch.chdir(tmp_path)
    before = {path.name for path in tmp_path.iterdir()}

    def call(argv: list[str]) -> str:
        code = main(argv)
        captured = capsys.readouterr()
        assert code == 2
        assert captured.out == ""
        assert captured.err.endswith("\n") and captured.err.count("\n") == 1
        assert "Traceback" not in captured.err
        assert {path.name for path in tmp_path.iterdir()} - before <= {"input"}
        return captured.err.rstrip("\n")

    return call


@pytest.mark.parametrize(("argv", "text"), BAD_ARGUMENTS)
def test_bad_arguments(complaint: Callable[[list[str]], str], argv: list[str], text: str) -> None:
    assert complaint(argv) == text


def test_an_unknown_command_names_the_eight(complaint: Callable[[list[str]], str]) -> None:
    text = complaint(["prove"])
    for name in ("prove", "phases", "derive", "generate", "verify", "check", "report", "bench", "run"):
        assert name in text


@pytest.mark.parametrize(("argv", "text"), NOT_BUILT)
def test_what_is_not_built_says_so(complaint: Callable[[list[str]], str], argv: list[str], text: str) -> None:
    assert complaint(argv) == f"kernelproof {text}"


@pytest.mark.parametrize(("argv", "value"), UNKNOWN_NAMES)
def test_unknown_names_are_repeated(complaint: Callable[[list[str]], str], argv: list[str], value: str) -> None:
    text = complaint(argv)
    assert text.startswith(f"kernelproof {argv[0]}: ")
    assert value in text
    assert "a fault of kernelproof" not in text


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("missing/k.py", "'missing' does not exist; name a file in an existing folder"),
        (".", "it is a folder; name a file"),
    ],
)
def test_unwritable_outputs(complaint: Callable[[list[str]], str], path: str, problem: str) -> None:
    start = f"cannot write the kernel to {path!r}: "
    assert complaint(["generate", "softmax", "-o", path]) == f"kernelproof generate: {start}{problem}"
    start = f"cannot write the verdict to {path!r}: "
    call = ["verify", "generated:softmax", "--phase", "softmax", "--json", path]
    assert complaint(call) == f"kernelproof verify: {start}{problem}"


def make_text(path: Path, content: bytes, size: int | None = None) -> None:
    path.write_bytes(content)
    if size is not None:
        os.truncate(path, size)


@pytest.mark.parametrize(
    ("content", "size", "extra"),
    [
        (None, None, []),
        (b"", None, []),
        (b"\x7fELF\x00\x01\x02\xff\xfe", None, []),
        (b"a", 200 << 20, []),
        (b"some text", None, ["--tokenizer", "no_such_tokenizer.json"]),
    ],
    ids=["missing", "empty", "binary", "200 MiB", "missing tokenizer"],
)
def test_bad_texts_leave_no_report(
    complaint: Callable[[list[str]], str], tmp_path: Path, content: bytes | None, size: int | None, extra: list[str]
) -> None:
    if content is not None:
        make_text(tmp_path / "input", content, size)
    text = complaint(["run", "input", "-o", "out", *extra])
    assert (extra[-1] if extra else "input") in text
    assert "a fault of kernelproof" not in text


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            RuntimeError("two\nlines"),
            "a fault of kernelproof, not of your call: RuntimeError: two lines; please report",
        ),
        (PermissionError(13, "Permission denied", "out"), "cannot use 'out': Permission denied; "),
        (ModuleNotFoundError("No module named 'scipy'", name="scipy.special"), "the package 'scipy' that this command"),
        (ModuleNotFoundError("No module named 'kernelproof.x'", name="kernelproof.x"), "a fault of kernelproof"),
    ],
)
def test_faults_are_one_line(
    complaint: Callable[[list[str]], str], monkeypatch: pytest.MonkeyPatch, error: Exception, text: str
) -> None:
    monkeypatch.delenv("KERNELPROOF_DEBUG", raising=False)
    monkeypatch.setattr(bench, "execute", raising(error))
    assert complaint(["bench"]).startswith(f"kernelproof bench: {text}")


def test_debug_adds_the_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("KERNELPROOF_DEBUG", "1")
    monkeypatch.setattr(bench, "execute", raising(RuntimeError("broken")))
    assert main(["bench"]) == 2
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_interruption(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(bench, "execute", raising(KeyboardInterrupt()))
    assert main(["bench"]) == 130
    assert capsys.readouterr().err == "kernelproof bench: interrupted\n"


def test_a_reader_that_went_away_is_no_fault() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "kernelproof", "phases"], cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, timeout=60
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_terminal_without_unicode_is_no_fault() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kernelproof", "derive", "softmax"],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()


def raising(error: BaseException) -> Callable[[argparse.Namespace], int]:
    def execute(arguments: argparse.Namespace) -> int:
        raise error

    return execute
