"""Comparing with another function: within twice the rounding bound, on inputs that both take, and never a verdict on what is unknown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import kernelproof
from kernelproof.__main__ import main
from kernelproof.properties.against import against_property, compared
from kernelproof.properties.model import Setting
from kernelproof.properties.profiles import PROFILES
from kernelproof.properties.runner import run_property
from kernelproof.properties.targets import memory_target
from kernelproof.properties.verdict import PropertyVerdict
from kernelproof.symbolic.errors import InputError
from kernelproof.symbolic.registry import check_variant

PLAIN = """\
import numpy as np


def stable(x):
    e = np.exp(x - x.max(-1, keepdims=True, initial=-np.inf))
    return e / e.sum(-1, keepdims=True)


def inverted(x):
    e = np.exp(x - x.max(-1, keepdims=True, initial=-np.inf))
    return e * (1 / e.sum(-1, keepdims=True))


def hotter(x):
    return stable(x * x.dtype.type(0.5))


def raising(x):
    raise ValueError("not today")
"""


@pytest.fixture(autouse=True)
def toy_tolerance() -> Iterator[None]:
    """The derived bounds instead of the toy ones of this folder; one thread, as the products are tiny."""
    with threadpool_limits(1):
        yield


def judged(target: Any, other: Any, phase: str = "softmax", dtype: str = "float32", seed: int = 0) -> PropertyVerdict:
    """The verdict of the property alone, in this process."""
    chosen = check_variant(phase, {})
    mine, theirs = (memory_target(function, phase=phase, variant=chosen) for function in (target, other))
    setting = Setting(phase, chosen, dtype, mine.capabilities, PROFILES["quick"])
    found, _ = run_property(
        against_property(theirs), mine.call, setting, seed=seed, seconds=600.0, reproduce=lambda *_: "assert False\n"
    )
    return found


def stable(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True, initial=-np.inf))
    return e / e.sum(-1, keepdims=True)


def beside(factor: float) -> Any:
    """The definition's value, this many bounds away; in float64, so that nothing is rounded on the way."""

    def function(x: Any) -> Any:
        reference, bound = kernelproof.bound("softmax", {"x": x})
        return reference + factor * bound

    return function


def test_twice_the_bound_is_the_tolerance() -> None:
    within = judged(beside(1.5), beside(-0.49))
    assert within.verdict == "pass" and within.worst == pytest.approx(0.995, abs=1e-3)
    beyond = judged(beside(1.5), beside(-0.51))
    assert beyond.verdict == "fail" and beyond.worst == pytest.approx(1.005, abs=1e-3)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_two_right_kernels_agree_in_every_dtype(dtype: str) -> None:
    generated = kernelproof.generate("softmax", dtype=dtype)
    found = judged(stable if dtype != "float16" else generated, generated, dtype=dtype)
    assert found.verdict == "pass" and found.examples == 25


def test_a_difference_is_a_failure_that_shows_both() -> None:
    found = judged(stable, lambda x: stable(x * x.dtype.type(0.5)))
    assert found.verdict == "fail" and found.id == "softmax.against"
    assert "'s, the bound twice the phase's)" in found.message
    finding = found.counterexample.finding  # type: ignore[union-attr]
    x = finding.inputs.tensors["x"]  # type: ignore[union-attr]
    assert np.array_equal(finding.observed, stable(x))  # type: ignore[arg-type]
    assert np.array_equal(finding.expected, stable(x * np.float32(0.5)))  # type: ignore[arg-type]
    again = judged(stable, lambda x: stable(x * x.dtype.type(0.5)))
    assert (again.examples, again.worst, again.message) == (found.examples, found.worst, found.message)


def test_a_convention_of_both_agrees_though_the_phase_has_another() -> None:
    """NaN where nothing may be attended to: the definition's property fails, the comparison does not."""
    generated = kernelproof.generate("attention")

    def nan_rows(q: Any, k: Any, v: Any, *, mask: Any = None) -> Any:
        allow = np.ones((q.shape[-2], k.shape[-2]), bool) if mask is None else mask
        if allow.dtype != bool:
            allow = ~np.isneginf(allow)
        result = generated(q, k, v, mask=mask)
        return np.where(np.broadcast_to(allow, (*result.shape[:-1], k.shape[-2])).any(-1)[..., None], result, np.float32(np.nan))

    assert judged(nan_rows, nan_rows, "attention").verdict == "pass"
    one_sided = judged(nan_rows, generated, "attention", seed=3)
    assert one_sided.verdict == "fail" and "not finite" in one_sided.message


def test_only_options_that_both_take_are_drawn() -> None:
    seen: set[str] = set()
    generated = kernelproof.generate("attention")

    def mine(q: Any, k: Any, v: Any, *, causal: bool = False, scale: float | None = None) -> Any:
        seen.update({"causal"} if causal else (), {"scale"} if scale is not None else ())
        return generated(q, k, v, causal=causal, scale=scale)

    assert judged(mine, lambda q, k, v, *, scale=None: generated(q, k, v, scale=scale), "attention").verdict == "pass"
    assert seen == {"scale"}


def test_where_the_other_raises_nothing_is_concluded() -> None:
    def raising(x: Any) -> Any:
        raise ValueError("not today")

    found = judged(stable, raising)
    assert (found.verdict, found.worst) == ("inconclusive", None)
    assert found.message.startswith("in every example: ") and found.message.endswith("raising raised ValueError: not today")
    # the target's own failure is one
    assert judged(raising, stable).verdict == "fail"


def test_another_shape_is_a_failure() -> None:
    found = judged(stable, lambda x: stable(x)[..., None])
    assert found.verdict == "fail" and found.worst == np.inf
    assert found.message.startswith("the result has shape [1], that of ") and found.message.endswith(" [1, 1]")


def test_from_python() -> None:
    same = kernelproof.verify(stable, phase="softmax", profile="quick", against=kernelproof.generate("softmax"))
    assert same and same.properties[-1].id == "softmax.against" and same.properties[-1].verdict == "pass"
    assert "tested; what it computes is not derived" in same.properties[-1].theorem
    without = kernelproof.verify(stable, phase="softmax", profile="quick")
    assert [found.id for found in without.properties] == [found.id for found in same.properties[:-1]]
    with pytest.raises(InputError, match="comparing against another function: reading the signature of the target"):
        kernelproof.verify(stable, phase="softmax", against=lambda: None)


def test_nothing_to_compare_with() -> None:
    with compared(None, "softmax", {}, "float32") as also:
        assert also == ()


# -- the command line ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def kernels(tmp_path: Path) -> Path:
    path = tmp_path / "kernels.py"
    path.write_text(PLAIN)
    return path


def words(kernels: Path, function: str, *more: object) -> list[str]:
    return ["verify", f"{kernels}:{function}", "--phase", "softmax", "--profile", "quick", *map(str, more)]


@pytest.mark.parametrize(
    ("other", "code", "outcome"),
    [
        ("{}:inverted", 0, "pass"),
        ("generated:softmax", 0, "pass"),
        ("{}:hotter", 1, "fail"),
        ("{}:raising", 0, "inconclusive"),
    ],
)
def test_exit_codes(kernels: Path, capsys: pytest.CaptureFixture[str], other: str, code: int, outcome: str) -> None:
    assert main(words(kernels, "stable", "--against", other.format(kernels))) == code
    shown = capsys.readouterr().out
    rows = {line.split()[0]: line.split()[1] for line in shown.splitlines() if line.startswith("softmax.") and len(line.split()) > 3}
    assert rows["softmax.against"] == outcome
    assert ("raising raised ValueError: not today" in shown) == (outcome == "inconclusive")
    # what the target itself is does not depend on OTHER
    assert rows["softmax.matches_definition"] == "pass"


def test_strict_counts_what_could_not_be_compared(kernels: Path) -> None:
    assert main(words(kernels, "stable", "--against", f"{kernels}:raising", "--strict")) == 1


@pytest.mark.parametrize(
    ("other", "text"),
    [
        ("gone.py:f", "there is no file 'gone.py'; give the path of a Python file"),
        ("{}:missing", "has no 'missing'; its functions are hotter, inverted, raising, stable"),
        ("no_such_module:f", "importing module 'no_such_module' raised ModuleNotFoundError"),
        ("nothing", "reading the target 'nothing': expected module:function, path/to/file.py:function"),
        ("generated:attention", "it names 'attention', but the phase is 'softmax'; give one phase"),
    ],
)
def test_another_function_that_cannot_be_loaded_is_one_line(
    kernels: Path, capsys: pytest.CaptureFixture[str], other: str, text: str
) -> None:
    assert main(words(kernels, "stable", "--against", other.format(kernels))) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.count("\n") == 1
    assert shown.err.startswith("kernelproof verify: comparing against another function: ") and text in shown.err


def test_a_difference_is_saved_and_replayed_against_the_same_function(
    kernels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "verdict.json"
    assert main(words(kernels, "hotter", "--against", f"{kernels}:stable", "--json", path)) == 1
    whole = json.loads(path.read_text(encoding="utf-8"))
    whole["properties"] = [row for row in whole["properties"] if row["id"] == "softmax.against"]
    path.write_text(json.dumps(whole))
    capsys.readouterr()
    assert main(words(kernels, "hotter", "--replay", path)) == 2
    assert capsys.readouterr().err == (
        "kernelproof verify: replaying softmax.against: softmax has no such property here; give --against OTHER, as when it was saved\n"
    )
    assert main(words(kernels, "hotter", "--replay", path, "--against", f"{kernels}:stable")) == 1
    assert main(words(kernels, "inverted", "--replay", path, "--against", f"{kernels}:stable")) == 0
