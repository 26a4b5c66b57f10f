"""A report on disk: complete, or as if nobody had tried; and nobody else's files are ever lost."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from kernelproof.reports import write as module
from kernelproof.reports.html import render_html
from kernelproof.reports.markdown import render_markdown
from kernelproof.reports.model import Report
from kernelproof.reports.write import MARKER, check_destination, write_report
from kernelproof.symbolic.errors import InputError


def tree(directory: Path) -> dict[str, bytes]:
    """Every file below a directory, and empty folders as well."""
    found: dict[str, bytes] = {}
    for path in directory.rglob("*"):
        name = path.relative_to(directory).as_posix()
        found[name] = path.read_bytes() if path.is_file() else b"a folder"
    return found


def refusal(report: Report, directory: Path) -> str:
    before = tree(directory.parent) if directory.parent.is_dir() else None
    with pytest.raises(InputError) as caught:
        write_report(report, directory)
    if before is not None:
        assert tree(directory.parent) == before
    line = str(caught.value)
    assert "\n" not in line
    return line.replace(repr(str(directory)), "PATH")


def test_files(report: Report, tmp_path: Path) -> None:
    index = write_report(report, tmp_path / "out")
    assert index == tmp_path / "out" / "index.html"
    assert index.read_text("utf-8") == render_html(report)
    files = {name: data for name, data in tree(tmp_path / "out").items() if data != b"a folder"}
    assert set(files) == {
        MARKER, "index.html", "report.md", "figures/attention-head-0.png", "figures/encoding-encoding.png",
        "kernels/softmax_numpy.py", "kernels/positional.cu",
    }  # fmt: skip
    assert files["report.md"].decode() == render_markdown(report)
    assert files["kernels/softmax_numpy.py"].decode() == report.sections[0].sources[0].text
    assert os.listdir(tmp_path) == ["out"]  # nothing is left beside it


def test_others_may_read_it(report: Report, tmp_path: Path) -> None:
    write_report(report, tmp_path / "out")
    (tmp_path / "plain").mkdir()
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_same_report_same_bytes(report: Report, tmp_path: Path) -> None:
    write_report(report, tmp_path / "one")
    write_report(report, tmp_path / "two")
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_an_older_report_is_replaced_whole(report: Report, tmp_path: Path) -> None:
    write_report(report, tmp_path / "out")
    (tmp_path / "out" / ".DS_Store").touch()
    write_report(replace(report, sections=report.sections[:1], title="Newer"), tmp_path / "out")
    files = tree(tmp_path / "out")
    assert "kernels/positional.cu" not in files and ".DS_Store" not in files
    assert b"Newer" in files["index.html"]
    assert os.listdir(tmp_path) == ["out"]


def test_an_empty_directory_is_taken(report: Report, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert write_report(report, tmp_path / "out").is_file()


def test_missing_parents_are_made(report: Report, tmp_path: Path) -> None:
    assert write_report(report, tmp_path / "a" / "b" / "out").is_file()


def test_a_link_is_followed(report: Report, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert write_report(report, tmp_path / "link") == tmp_path / "link" / "index.html"
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real" / "index.html").is_file()


def test_a_relative_path(report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert write_report(report, Path("out")) == Path("out/index.html")
    assert write_report(report, Path("out")).is_file()


def test_someone_elses_directory_is_refused(report: Report, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    assert refusal(report, tmp_path / "out") == (
        "writing the report PATH: not empty and not a report of kernelproof, so it is kept; name another directory"
    )


def test_a_file_put_into_a_report_is_kept(report: Report, tmp_path: Path) -> None:
    write_report(report, tmp_path / "out")
    (tmp_path / "out" / "kernels" / "mine.py").write_text("x = 1")
    assert refusal(report, tmp_path / "out") == (
        "writing the report PATH: it holds 'kernels/mine.py', which no report wrote, so it is kept; "
        "move that file away or name another directory"
    )


def test_a_foreign_marker_is_refused(report: Report, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / MARKER).write_text("")
    assert "not a report of kernelproof" in refusal(report, tmp_path / "out")


def test_a_file_is_refused(report: Report, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("text")
    assert refusal(report, tmp_path / "out") == (
        "writing the report PATH: it is a file, expected a new directory or a report; name another directory"
    )
    assert "is no directory that can be written to" in refusal(report, tmp_path / "out" / "deeper")


@pytest.mark.parametrize("name", [".", "..", "/"])
def test_the_current_directory_is_refused(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    with pytest.raises(InputError, match="the directory is in use, expected one to replace; name a new one inside it"):
        write_report(report, Path(name))


@pytest.mark.parametrize("name", ["a\0b", "x" * 300])
def test_impossible_names(report: Report, tmp_path: Path, name: str) -> None:
    assert refusal(report, tmp_path / name).startswith("writing the report PATH: ")


def test_a_folder_without_permission(report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    monkeypatch.setattr(os, "access", lambda *_: False)  # the superuser may write everywhere
    line = refusal(report, tmp_path / "locked" / "out")
    assert line.endswith("/locked' is no directory that can be written to; name another directory")


def test_check_destination_changes_nothing(tmp_path: Path) -> None:
    assert check_destination(tmp_path / "a" / "out") == tmp_path.resolve() / "a" / "out"
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device"), MemoryError()])
@pytest.mark.parametrize("older", [False, True])
def test_an_interrupted_write_leaves_nothing(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, older: bool
) -> None:
    target = tmp_path / "new" / "out"
    if older:
        write_report(replace(report, title="Older"), target)
    before = tree(tmp_path)
    written: list[Path] = []
    write_bytes = Path.write_bytes

    def fails_the_third_time(path: Path, data: bytes) -> int:
        written.append(path)
        if len(written) == 3:
            raise error
        return write_bytes(path, data)

    monkeypatch.setattr(Path, "write_bytes", fails_the_third_time)
    with pytest.raises(InputError if isinstance(error, OSError) else type(error)) as caught:
        write_report(report, target)
    assert len(written) == 3
    assert tree(tmp_path) == before
    if isinstance(error, OSError):
        assert str(caught.value) == (
            f"writing the report {str(target)!r}: No space left on device, expected a place to write to; "
            "nothing was changed, name another directory"
        )


@pytest.mark.parametrize("when", [1, 2])
@pytest.mark.parametrize("done", [False, True])
def test_an_interrupt_between_the_renames_keeps_one_report(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: int, done: bool
) -> None:
    write_report(replace(report, title="Older"), tmp_path / "out")
    older = tree(tmp_path)
    rename = os.rename
    calls: list[object] = []

    def interrupted(source: Path, target: Path) -> None:
        calls.append(source)
        if len(calls) != when:
            return rename(source, target)
        if done:
            rename(source, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_report(report, tmp_path / "out")
    monkeypatch.undo()
    if when == 2 and done:  # the new report was in place already
        write_report(report, tmp_path / "other")
        assert tree(tmp_path / "out") == tree(tmp_path / "other")
        shutil.rmtree(tmp_path / "other")
    else:
        assert tree(tmp_path) == older
    assert os.listdir(tmp_path) == ["out"]


def test_two_files_of_one_name_are_our_fault(report: Report, tmp_path: Path) -> None:
    first, second = report.sections
    clash = replace(second, sources=(replace(second.sources[0], name="Softmax_numpy.py"),))
    with pytest.raises(ValueError, match=r"two different files .* are called 'kernels/Softmax_numpy\.py'"):
        write_report(replace(report, sections=(first, clash)), tmp_path / "out")
    assert os.listdir(tmp_path) == []


def test_one_file_in_two_sections(report: Report, tmp_path: Path) -> None:
    first, second = report.sections
    shared = replace(second, sources=first.sources, figures=first.figures)
    assert write_report(replace(report, sections=(first, shared)), tmp_path / "out").is_file()


def test_the_contents_are_rendered_before_the_disk_is_touched(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Report) -> str:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(module, "render_markdown", broken)
    with pytest.raises(RuntimeError):
        write_report(report, tmp_path / "a" / "out")
    assert os.listdir(tmp_path) == []
