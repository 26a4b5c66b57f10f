"""Names in the model become file names, so they are checked when they are given."""

from __future__ import annotations

import dataclasses

import pytest

from kernelproof.reports.model import Figure, Report, SourceFile


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "../a", "a\\b", "a b", "é", "a\n", "x" * 101, "-o"])
def test_names_that_are_no_file_names(name: str) -> None:
    with pytest.raises(ValueError, match="expected letters, digits"):
        Figure(name, "", "", b"", "")
    with pytest.raises(ValueError, match="expected letters, digits"):
        SourceFile(name, "python", "", "")


def test_frozen(report: Report) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.title = "other"  # type: ignore[misc]
