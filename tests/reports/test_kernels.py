"""The table of generated kernels: every one of the registry, what was tried and nothing else, a bad one by name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kernelproof.reports.kernels import Row, hash_of, jobs, main, page
from kernelproof.symbolic.registry import has_gradient, phases, variants_of

FOUND = Row("", "ab" * 32, 60, "pass", 5, 1, 0, (), 40, 0.25, "s")


def test_every_kernel_of_the_registry_is_a_job() -> None:
    every = list(jobs(list(phases()), ["float32"], "quick"))
    assert len({job.key for job in every}) == len(every)
    expected = sum(len(variants_of(name)) * (1 + has_gradient(name)) for name in phases())
    assert len(every) == expected and len({job.name for job in every}) == expected


def test_a_kernel_that_fails_is_named() -> None:
    first, second, third = list(jobs(["rms_norm", "softmax"], ["float32"], "quick"))[:3]
    bad, wrong = replace(FOUND, verdict="fail", failed=("softmax.finite",)), replace(FOUND, digits=0)
    text = page([(first, FOUND), (second, bad), (third, wrong)], 4, "quick")
    assert "3 of 4 kernels were tried: 1 pass both, 2 do not." in text
    assert f"- {second.name}: softmax.finite\n" in text and f"- {third.name}: pass; not in 60 digits\n" in text
    assert [line.split("|")[6].strip() for line in text.splitlines() if "abababababab" in line] == ["60", "60", "FAIL"]


def test_a_record_is_kept_until_the_kernel_changes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record, output = tmp_path / "kernels.jsonl", tmp_path / "kernels.md"
    asked = ["rms_norm", "--profile", "quick", "--only", "forward", "--record", str(record), "-o", str(output)]
    (job,) = jobs(["rms_norm"], ["float32"], "quick", (False,))
    assert main(asked) == 0
    (line,) = record.read_text().splitlines()
    assert json.loads(line)["sha256"] == hash_of(job) and "1 of 1 kernels were tried: 1 pass both" in output.read_text()
    marked = json.loads(line) | {"examples": 12345}
    record.write_text(json.dumps(marked) + "\n")
    assert main(asked) == 0 and "12345" in output.read_text()
    record.write_text(json.dumps(marked | {"sha256": "0" * 64}) + "\n")
    assert main(asked) == 0 and "12345" not in output.read_text() and len(record.read_text().splitlines()) == 2
    capsys.readouterr()


def test_an_unknown_phase_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sofmax"]) == 2
    assert capsys.readouterr().err.startswith("kernelproof: phase 'sofmax': there is no such phase; expected one of embedding, ")
