"""``suite`` in a real run of pytest: one item a property, honest outcomes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
MODULE = """\
import numpy as np
import kernelproof
import kernelproof.properties.pytest_suite as under_test
from kernelproof.properties.harness import harness_properties
from kernelproof.properties.model import Finding, Property, build
from kernelproof.properties.strategies import draw_case

def row_sum(call, case, setting):
    inputs = build(case)
    total = call(inputs.tensors, inputs.options).astype(float).sum(-1)
    ok = bool((abs(total - 1) < 1e-3).all())
    shown = dict(observed=total, expected=1.0, bound=1e-3, inputs=inputs)
    return Finding(ok, 0.1, message=f"under {setting.profile.name}", **shown)

def broken(call, case, setting):
    raise ZeroDivisionError("ours")

def vacuous(call, case, setting):
    return Finding(True, vacuous=True)

def properties(phase, variant):
    def of(name, check, **rest):
        return Property(f"softmax.{name}", name, name, phase, lambda d, s: draw_case(d, s), check, **rest)
    needy = of("needy", row_sum, needs=frozenset({"x"}))
    return [of("row_sum_one", row_sum), of("vacuous", vacuous), needy, of("ours", broken)]

under_test.properties_of = lambda phase, variant: [*properties(phase, variant), *harness_properties(phase, variant)]

def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)

test_right = kernelproof.properties.suite("softmax", softmax)
test_wrong = kernelproof.properties.suite("softmax", lambda x: 2 * softmax(x))
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, ElementTree.Element | None]]:
    folder = tmp_path_factory.mktemp("suite")
    (folder / "test_mine.py").write_text(MODULE)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=out.xml", "test_mine.py"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
    found: dict[str, dict[str, ElementTree.Element | None]] = {"test_right": {}, "test_wrong": {}}
    for case in ElementTree.parse(folder / "out.xml").iter("testcase"):
        function, _, name = str(case.get("name")).partition("[softmax.")
        found[function][name.rstrip("]")] = next(iter(case), None)
    return found


HARNESS = {"shape_and_dtype", "inputs_unchanged", "deterministic", "finite", "views_equal_copies", "batch_independent"}


def test_one_item_a_property(outcomes: dict[str, dict[str, ElementTree.Element | None]]) -> None:
    assert set(outcomes["test_right"]) == {"row_sum_one", "vacuous", "needy", "ours", *HARNESS}
    assert set(outcomes["test_wrong"]) == set(outcomes["test_right"])


def test_what_held_passes(outcomes: dict[str, dict[str, ElementTree.Element | None]]) -> None:
    assert [name for name in {"row_sum_one", *HARNESS} if outcomes["test_right"][name] is not None] == []


def test_what_failed_shows_its_counterexample(outcomes: dict[str, dict[str, ElementTree.Element | None]]) -> None:
    failure = outcomes["test_wrong"]["row_sum_one"]
    assert failure is not None
    assert failure.tag == "failure"
    assert "FAILED softmax.row_sum_one" in str(failure.text)
    assert "observed = np.asarray(target(x))" in str(failure.text)
    assert "under quick" in str(failure.text)


def test_what_is_not_conclusive_skips_with_its_reason(
    outcomes: dict[str, dict[str, ElementTree.Element | None]],
) -> None:
    for name, reason in (("vacuous", "inconclusive"), ("needy", "not_applicable")):
        skipped = outcomes["test_right"][name]
        assert skipped is not None
        assert skipped.tag == "skipped"
        assert reason in str(skipped.get("message"))


def test_our_own_fault_is_no_verdict_on_the_kernel(outcomes: dict[str, dict[str, ElementTree.Element | None]]) -> None:
    failure = outcomes["test_right"]["ours"]
    assert failure is not None
    assert "the check itself failed, not the kernel: ZeroDivisionError: ours" in str(failure.text)


def test_the_function_is_not_hidden_by_its_module() -> None:
    import kernelproof.properties
    import kernelproof.properties.pytest_suite
    from kernelproof.properties import suite

    assert callable(kernelproof.properties.suite)
    assert kernelproof.properties.suite is suite


def test_importing_the_package_loads_neither_hypothesis_nor_numpy() -> None:
    program = (
        "import sys, kernelproof.properties; "
        "print([name for name in ('numpy', 'hypothesis', 'pytest', 'sympy') if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
