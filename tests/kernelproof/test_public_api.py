"""The public face as the contract has it: Python functions, the JSON of a verdict, exit codes."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import kernelproof
from kernelproof.__main__ import main
from kernelproof.properties import profiles
from kernelproof.properties.registry import properties_of
from kernelproof.properties.verdict import Verdict
from kernelproof.symbolic.errors import InputError

ROOT = Path(__file__).parents[2]
FIVE = '''\
import numpy as np


def softmax(x):
    e = np.exp(x - x.max(0, keepdims=True, initial=-np.inf))
    return e / e.sum(0, keepdims=True)


def attention(q, k, v):
    s = q @ np.swapaxes(k, -1, -2)
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True) @ v


def positional(n_positions, d_model, *, start=0):
    columns = np.arange(d_model)
    angle = (start + np.arange(n_positions))[:, None] * 1000.0 ** (-(columns // 2 * 2) / max(d_model, 1))
    return np.where(columns % 2, np.cos(angle), np.sin(angle)).astype(np.float32)


def feed_forward(x, w1, b1, w2, b2):
    hidden = np.maximum(x @ w1 + b1, 0)
    return (hidden + np.roll(hidden, 1, -2) if hidden.ndim > 1 else hidden) @ w2 + b2


def layer_norm(x, gain, bias, *, eps=1e-5):
    centred = x - x.mean(-1, keepdims=True)
    variance = (centred**2).sum(-1, keepdims=True) / max(x.shape[-1] - 1, 1)
    return (centred / np.sqrt(variance + np.float32(eps)) * gain + bias).astype(x.dtype)


def right(x):
    e = np.exp(x - x.max(-1, keepdims=True, initial=-np.inf))
    return e / e.sum(-1, keepdims=True)
'''


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The examples of the profile and time enough: a busy machine changes nothing."""
    quick = replace(profiles.PROFILES["quick"], seconds=600.0, shrink_seconds=0.2)
    monkeypatch.setitem(profiles.PROFILES, "quick", quick)
    with threadpool_limits(1):
        yield


@pytest.fixture
def kernels(tmp_path: Path) -> Path:
    path = tmp_path / "kernels.py"
    path.write_text(FIVE)
    return path


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True, initial=-np.inf))
    return e / e.sum(-1, keepdims=True)


def over_the_rows(x: Any) -> Any:
    e = np.exp(x - x.max(0, keepdims=True, initial=-np.inf))
    return e / e.sum(0, keepdims=True)


# -- Python ---------------------------------------------------------------------------------------------------------------------------


def test_derive_takes_a_phase_and_its_variant() -> None:
    derivation = kernelproof.derive("positional", layout="halves")
    assert derivation.variant["layout"] == "halves"
    assert "positional_halves" in derivation.render("text")
    with pytest.raises(InputError, match="diagonal"):
        kernelproof.derive("positional", layout="diagonal")


def test_generate_gives_a_kernel_that_knows_where_it_comes_from(tmp_path: Path) -> None:
    kernel = kernelproof.generate("softmax", backend="numpy", dtype="float64")
    x = np.random.default_rng(0).standard_normal((2, 5))
    assert np.allclose(kernel(x).sum(-1), 1) and kernel(x).dtype == np.float64
    assert {found.id for found in kernel.theorems} >= {"softmax.row_sum_one", "softmax.shift_invariance"}
    value, bound = kernel.error_bound(x)
    assert (abs(kernel(x) - value) <= bound).all() and (bound > 0).all()
    assert kernel.certificate["phase"] == "softmax" and kernel.certificate["dtype"] == "float64"
    source, certificate = kernel.save(tmp_path / "mine.py")
    assert source.read_text(encoding="utf-8") == kernel.source
    assert certificate.name == "mine.certificate.json"
    assert "def softmax_vjp(x, grad_out):" in kernelproof.generate("softmax", backend="cupy", vjp=True).source
    (gradient,) = kernelproof.generate("softmax", dtype="float64", vjp=True)(x, np.ones_like(x))
    assert np.allclose(gradient, 0)


def test_verify_is_true_for_a_right_kernel_and_prints_a_table() -> None:
    found = kernelproof.verify(softmax, phase="softmax", profile="quick")
    assert isinstance(found, Verdict)
    assert found and found.verdict == "pass"
    lines = str(found).splitlines()
    assert lines[0].split() == ["property", "verdict", "examples", "worst", "error/bound", "seconds"]
    assert [line.split()[0] for line in lines[2 : 2 + len(found.properties)]] == [row.id for row in found.properties]


def test_verify_is_false_for_a_wrong_one_and_shows_why() -> None:
    found = kernelproof.verify(over_the_rows, phase="softmax", profile="quick", seed=3)
    assert not found and found.verdict == "fail" and found.seed == 3
    assert "softmax.row_sum_one" in {row.id for row in found.properties if row.verdict == "fail"}
    assert "times the bound" in str(found)


def test_verify_takes_variants() -> None:
    assert kernelproof.verify(lambda x: x * (x > 0), phase="activation", profile="quick", activation="relu")
    assert not kernelproof.verify(lambda x: x * (x > 0), phase="activation", profile="quick", activation="silu")
    with pytest.raises(InputError, match="tanhshrink"):
        kernelproof.verify(softmax, phase="activation", activation="tanhshrink")


def test_the_other_functions_are_there() -> None:
    functions = {"bound", "derive", "generate", "verify", "report", "run"}
    assert set(kernelproof.__all__) >= {*functions, "symbolic", "numeric", "properties", "reports"}
    assert all(getattr(kernelproof, name) is not None for name in kernelproof.__all__)
    with pytest.raises(AttributeError, match="no attribute 'prove'"):
        kernelproof.prove  # noqa: B018


def test_a_report_of_one_phase(tmp_path: Path) -> None:
    written = kernelproof.report(["softmax"], tmp_path / "report", progress=False)
    assert written.ok and not written.interrupted
    assert os.fspath(written) == str(written) == str(tmp_path / "report" / "index.html")
    names = {path.name for path in (tmp_path / "report" / "kernels").iterdir()}
    assert names == {f"softmax_{backend}.{end}" for backend in ("numpy", "cupy") for end in ("py", "certificate.json")}
    with pytest.raises(InputError, match="softmaxx"):
        kernelproof.report(["softmaxx"], tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_suite_gives_one_item_for_each_property(tmp_path: Path) -> None:
    path = tmp_path / "test_mine.py"
    path.write_text(
        f"{FIVE}\nimport kernelproof\n"
        "test_right = kernelproof.properties.suite('softmax', right)\n"
        "test_wrong = kernelproof.properties.suite('softmax', softmax, seed=1)\n"
    )
    # the plugin is installed with the package; without an installation it is named here
    plugin = [] if "kernelproof" in _plugins() else ["-p", "kernelproof.pytest_plugin"]
    command = [sys.executable, "-m", "pytest", *plugin, "-q", "-rA", "--tb=short", "-p", "no:cacheprovider", str(path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=300, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    ids = [found.id for found in properties_of("softmax", {})]
    for name in ids:
        assert f"PASSED test_mine.py::test_right[{name}]" in done.stdout
        assert f"test_mine.py::test_wrong[{name}]" in done.stdout
    assert "FAILED test_mine.py::test_wrong[softmax.row_sum_one]" in done.stdout
    assert "target" in done.stdout and "assert" in done.stdout


def _plugins() -> set[str]:
    from importlib.metadata import entry_points

    return {found.name for found in entry_points(group="pytest11")}


# -- the command line -------------------------------------------------------------------------------------------------------------------


def verify_words(target: str, phase: str, *more: object) -> list[str]:
    return ["verify", target, "--phase", phase, "--profile", "quick", *map(str, more)]


@pytest.mark.parametrize(
    ("phase", "names"),
    [
        ("softmax", {"row_sum_one", "matches_definition"}),
        ("attention", {"matches_definition", "score_shift"}),
        ("positional", {"offset_only", "matches_definition"}),
        ("feed_forward", {"position_wise", "matches_definition"}),
        ("layer_norm", {"mean_square", "matches_definition"}),
    ],
)
def test_the_five_wrong_kernels_exit_with_one_and_are_named(
    kernels: Path, capsys: pytest.CaptureFixture[str], phase: str, names: set[str]
) -> None:
    assert main(verify_words(f"{kernels}:{phase}", phase)) == 1
    shown = capsys.readouterr().out
    for name in names:
        assert any(line.split()[:2] == [f"{phase}.{name}", "fail"] for line in shown.splitlines()), name
        assert f"{phase}.{name}" in shown.partition("\n\n")[2]
    assert "assert" in shown and "target = module" in shown


def is_strict(value: object) -> bool:
    """Nothing that JSON lacks."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_strict(part) for key, part in value.items())
    if isinstance(value, list):
        return all(map(is_strict, value))
    return value is None or isinstance(value, (str, bool, int)) or (isinstance(value, float) and math.isfinite(value))


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def verdict_of(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    return data


@pytest.mark.parametrize(("function", "verdict", "code"), [("right", "pass", 0), ("softmax", "fail", 1)])
def test_the_json_is_the_contracts(kernels: Path, tmp_path: Path, function: str, verdict: str, code: int) -> None:
    path = tmp_path / "verdict.json"
    assert main(verify_words(f"{kernels}:{function}", "softmax", "--json", path, "--seed", 5)) == code
    data = verdict_of(path)
    assert is_strict(data)
    assert list(data) == ["target", "phase", "variant", "verdict", "profile", "seed", "versions", "properties"]
    assert (data["target"], data["phase"], data["variant"]) == (f"{kernels}:{function}", "softmax", {})
    assert (data["verdict"], data["profile"], data["seed"]) == (verdict, "quick", 5)
    assert set(data["versions"]) >= {"kernelproof", "python", "numpy", "hypothesis"}
    assert all(isinstance(version, str) for version in data["versions"].values())
    assert [row["id"] for row in data["properties"]] == [found.id for found in properties_of("softmax", {})]
    for row in data["properties"]:
        assert list(row) == ["id", "theorem", "verdict", "examples", "worst_error_over_bound", "counterexample", "seconds"]
        assert isinstance(row["theorem"], str) and row["theorem"]
        assert row["verdict"] in ("pass", "fail", "inconclusive", "not_applicable", "error")
        assert isinstance(row["examples"], int) and isinstance(row["seconds"], float)
        assert row["worst_error_over_bound"] is None or isinstance(row["worst_error_over_bound"], (float, int, str))
        assert (row["counterexample"] is not None) == (row["verdict"] == "fail")
        if row["counterexample"]:
            assert list(row["counterexample"]) == ["inputs", "observed", "expected", "reproducer"]
            assert isinstance(row["counterexample"]["inputs"], dict) and "x" in row["counterexample"]["inputs"]
            compile(row["counterexample"]["reproducer"], "reproducer", "exec")


def test_a_seed_repeats_the_counterexample_and_another_need_not(kernels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # shrinking is cut short by the clock: here it ends by itself
    patient = replace(profiles.PROFILES["quick"], shrink_seconds=60.0)
    monkeypatch.setitem(profiles.PROFILES, "quick", patient)
    found = []
    for number, seed in enumerate((7, 7, 8)):
        path = tmp_path / f"{number}.json"
        assert main(verify_words(f"{kernels}:layer_norm", "layer_norm", "--json", path, "--seed", seed)) == 1
        rows = verdict_of(path)["properties"]
        found.append([{name: value for name, value in row.items() if name != "seconds"} for row in rows])
    assert found[0] == found[1]
    assert found[0] != found[2]


def test_junit_parses_and_counts(kernels: Path, tmp_path: Path) -> None:
    path = tmp_path / "verdict.xml"
    assert main(verify_words(f"{kernels}:attention", "attention", "--junit", path)) == 1
    root = ElementTree.parse(path).getroot()
    cases = {f"{case.get('classname')}.{case.get('name')}": case for case in root.iter("testcase")}
    assert list(cases) == [found.id for found in properties_of("attention", {})]
    failed = {name for name, case in cases.items() if case.find("failure") is not None}
    skipped = {name for name, case in cases.items() if case.find("skipped") is not None}
    assert "attention.matches_definition" in failed
    # neither causal nor masks: not tried, and so not passed
    assert {"attention.later_tokens_do_not_matter", "attention.mask_forms_agree"} <= skipped


def test_strict_makes_what_is_inconclusive_fail(kernels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def overflowing(phase: str, variant: dict[str, object]) -> list[Any]:
        found = properties_of(phase, variant)
        nothing = replace(found[0], id="softmax.vacuous", check=lambda *_: replace_finding())
        return [*found, nothing]

    def replace_finding() -> Any:
        from kernelproof.properties.model import Finding

        return Finding(ok=True, vacuous=True)

    from kernelproof.properties import verify as verify_module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verify_module, "properties_of", overflowing)
        assert main(verify_words(f"{kernels}:right", "softmax")) == 0
        assert main(verify_words(f"{kernels}:right", "softmax", "--strict")) == 1
    assert "inconclusive" in capsys.readouterr().out
    assert main(verify_words(f"{kernels}:right", "softmax", "--strict")) == 0


def test_nothing_conclusive_exits_with_one(kernels: Path) -> None:
    """No time at all: nothing was tried, and nothing passed."""
    assert main(verify_words(f"{kernels}:right", "softmax", "--max-seconds", "1e-9")) == 1


def test_supports_adds_and_takes_away(kernels: Path, tmp_path: Path) -> None:
    path = tmp_path / "verdict.json"
    assert main(verify_words(f"{kernels}:layer_norm", "layer_norm", "--supports=-eps", "--json", path)) == 1
    verdicts = {row["id"]: row["verdict"] for row in verdict_of(path)["properties"]}
    assert verdicts["layer_norm.scale_invariance"] == "not_applicable"


NOT_BUILT = [
    ["generate", "multi_head_attention", "--backend", "cupy", "--variant", "softcap=30", "-o", "k.py"],
]


@pytest.mark.parametrize("words", NOT_BUILT, ids=" ".join)
def test_what_is_not_built_says_so_and_exits_with_two(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert "not built yet in this version" in captured.err
    assert list(tmp_path.iterdir()) == []
