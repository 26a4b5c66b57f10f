"""``suite`` in real runs of pytest: the kernel has a process of its own, seeds are honoured, counterexamples come first the next time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from kernelproof.properties.pytest_suite import chosen_seed

ROOT = Path(__file__).parents[2]
MODULE = """\
import ctypes, os
import numpy as np
from hypothesis import settings
import kernelproof
settings.register_profile("kept", database=settings.get_profile("default").database)
settings.load_profile("kept")

def softmax(x):
    with open({calls!r}, "a") as calls:
        calls.write(f"{{os.getpid()}}\\n")
    e = np.exp(x - x.max(-1, keepdims=True))
    return 1.01 * e / e.sum(-1, keepdims=True)

def crashes(x):
    if x.shape[-1] > 6:
        ctypes.string_at(0)
    return softmax(x) / 1.01

test_wrong = kernelproof.properties.suite("softmax", softmax)
test_crash = kernelproof.properties.suite("softmax", crashes)
"""


def run(folder: Path) -> tuple[dict[str, ElementTree.Element | None], list[str]]:
    """The outcomes by item, and the processes in which the kernel was called."""
    pytest.importorskip("cloudpickle", reason="functions in memory travel through cloudpickle")
    calls = folder / "calls"
    calls.write_text("")
    (folder / "test_mine.py").write_text(MODULE.format(calls=str(calls)))
    (folder / ".hypothesis").mkdir(exist_ok=True)
    chosen = ["-k", "wrong and matches_definition or crash and (matches_definition or deterministic)"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=out.xml", "test_mine.py", *chosen]
    # on CI servers Hypothesis keeps nothing of its own accord
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "HYPOTHESIS_PROFILE")}
    subprocess.run(command, cwd=folder, env={**environment, "PYTHONPATH": str(ROOT)}, capture_output=True, check=False)
    cases = ElementTree.parse(folder / "out.xml").iter("testcase")
    return {str(case.get("name")): next(iter(case), None) for case in cases}, calls.read_text().splitlines()


def test_a_crash_is_a_failed_item_and_a_counterexample_is_tried_first_the_next_time(tmp_path: Path) -> None:
    outcomes, calls = run(tmp_path)
    assert len(outcomes) == 3
    for name in ("matches_definition", "deterministic"):
        failure = outcomes[f"test_crash[softmax.{name}]"]
        assert failure is not None and failure.tag == "failure"
        assert "SIGSEGV" in str(failure.text)
        assert "from test_mine import crashes as target" in str(failure.text)
        assert "child = os.fork()" in str(failure.text)
    wrong = outcomes["test_wrong[softmax.matches_definition]"]
    assert wrong is not None and "times the bound" in str(wrong.text)
    assert (tmp_path / ".hypothesis" / "examples").exists()
    again, fewer = run(tmp_path)
    assert {name: found is not None and found.tag for name, found in again.items()} == dict.fromkeys(outcomes, "failure")
    assert len(fewer) < len(calls) / 2, "it was searched again"


def test_any_text_is_a_seed_of_hypothesis() -> None:
    def option(**given: Any) -> Any:
        return lambda name, default: given.get(name.lstrip("-").replace("-", "_"), default)

    assert chosen_seed(option(), 7) == 7
    assert chosen_seed(option(hypothesis_seed="5"), 7) == 5
    assert chosen_seed(option(hypothesis_seed="5", kernelproof_seed=9), 7) == 9
    assert chosen_seed(option(hypothesis_seed="random"), 7) == chosen_seed(option(hypothesis_seed="random"), 8) != 7
