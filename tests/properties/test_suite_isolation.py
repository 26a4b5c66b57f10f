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
import ctypes, os, threading
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

def hangs(x):
    while not x.flags.c_contiguous:
        pass
    return softmax(x) / 1.01

def counts_its_calls(x):
    counts_its_calls.calls += 1
    return softmax(x) / 1.01
counts_its_calls.calls = 0

test_wrong = kernelproof.properties.suite("softmax", softmax)
test_crash = kernelproof.properties.suite("softmax", crashes)
test_hang = kernelproof.properties.suite("softmax", hangs)
test_here = kernelproof.properties.suite("softmax", counts_its_calls, isolated=False)

def made(lock):
    def kernel(x):
        with lock:
            return softmax(x) / 1.01
    return kernel

def coarse(x):
    return (softmax(x) / 1.01).astype(np.float16).astype(x.dtype)

test_coarse = kernelproof.properties.suite("softmax", coarse)
test_said = kernelproof.properties.suite("softmax", coarse, precision="probability=float16")

# a lock does not travel to another process
test_locked = kernelproof.properties.suite("softmax", made(threading.Lock()))

def test_it_ran_in_this_process():
    assert counts_its_calls.calls > 10 and str(os.getpid()) in open({calls!r}).read().split()
"""
CHOSEN = "wrong and matches_definition or crash and (matches_definition or deterministic)"
THERE = "test_it_ran_in_this_process"


def run(folder: Path, chosen: str = CHOSEN) -> tuple[dict[str, ElementTree.Element | None], list[str]]:
    """The outcomes by item, and the processes in which the kernel was called."""
    pytest.importorskip("cloudpickle", reason="functions in memory travel through cloudpickle")
    calls = folder / "calls"
    calls.write_text("")
    (folder / "test_mine.py").write_text(MODULE.format(calls=str(calls)))
    (folder / ".hypothesis").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=out.xml", "test_mine.py", "-k", chosen]
    # on CI servers Hypothesis keeps nothing of its own accord
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "HYPOTHESIS_PROFILE")}
    with (folder / "printed").open("w") as printed:
        subprocess.run(command, cwd=folder, env={**environment, "PYTHONPATH": str(ROOT)}, stdout=printed, check=False)
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


def test_a_hang_is_a_failed_item_and_the_next_runs_and_who_runs_with_the_tests_says_so(tmp_path: Path) -> None:
    chosen = (
        "hang and (views_equal_copies or batch_independent) or (here or locked) and inputs_unchanged or this_process "
        "or (coarse or said) and row_sum_one"
    )
    outcomes, _ = run(tmp_path, chosen)
    hung = outcomes.pop("test_hang[softmax.views_equal_copies]")
    assert hung is not None and hung.tag == "failure"
    assert "did not come back within" in str(hung.text) and "\nx = " in str(hung.text)
    assert outcomes.pop("test_coarse[softmax.row_sum_one]") is not None
    assert outcomes.pop("test_said[softmax.row_sum_one]") is None
    assert outcomes == dict.fromkeys(
        ("test_hang[softmax.batch_independent]", *(f"test_{name}[softmax.inputs_unchanged]" for name in ("here", "locked")), THERE)
    )
    printed = (tmp_path / "printed").read_text()
    assert printed.count("runs in the process of the tests, which it can end: none (the function does not travel") == 1, printed


def test_any_text_is_a_seed_of_hypothesis() -> None:
    def option(**given: Any) -> Any:
        return lambda name, default: given.get(name.lstrip("-").replace("-", "_"), default)

    assert chosen_seed(option(), 7) == 7
    assert chosen_seed(option(hypothesis_seed="5"), 7) == 5
    assert chosen_seed(option(hypothesis_seed="5", kernelproof_seed=9), 7) == 9
    assert chosen_seed(option(hypothesis_seed="random"), 7) == chosen_seed(option(hypothesis_seed="random"), 8) != 7
