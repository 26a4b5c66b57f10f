"""Progress: a line for each step that is done, nothing else on stderr when the work fails at once."""

from __future__ import annotations

import io
import re
import sys

import pytest

from kernelproof.reports.progress import Steps


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_appears_when_its_step_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    with Steps(2, True) as steps:
        steps.start("read")
        assert capsys.readouterr().err == ""
        steps.start("write")
        assert re.fullmatch(r"\[1/2\] read: \d+\.\d s\n", capsys.readouterr().err)
    assert re.fullmatch(r"\[2/2\] write: \d+\.\d s\n", capsys.readouterr().err)


def test_a_step_that_fails_or_is_interrupted_has_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError), Steps(2, True) as steps:
        steps.start("read")
        raise ValueError
    with Steps(2, True) as steps:
        steps.start("read")
        steps.interrupt()
    assert capsys.readouterr().err == ""


def test_silence_where_not_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with Steps(1, False) as steps:
        steps.start("read")
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar_that_a_failure_wipes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    kept, wiped = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stderr", kept)
    with Steps(2, True) as steps:
        steps.start("read")
        steps.start("write")
    assert "2/2" in kept.getvalue()
    monkeypatch.setattr(sys, "stderr", wiped)
    with pytest.raises(ValueError), Steps(2, True) as steps:
        steps.start("read")
        raise ValueError
    # the control sequence that clears a line, last
    assert wiped.getvalue().rstrip().endswith("\x1b[2K")
    assert not kept.getvalue().rstrip().endswith("\x1b[2K")
