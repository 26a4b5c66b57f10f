"""The kill table: who convicts whom, what np.allclose would have said, and an exit code that is honest about it."""

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
from kernelproof.properties import power
from kernelproof.properties.mutants.parts import Wrong
from kernelproof.properties.mutants.registry import WRONG
from kernelproof.symbolic.errors import InputError


@pytest.fixture(autouse=True)
def toy_tolerance() -> Iterator[None]:
    """The derived bounds instead of the toy ones of this folder; one thread, as the products are tiny."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def softmax() -> power.KillTable:
    return power.kill_table(["softmax"])


def test_every_wrong_kernel_of_the_phase_has_a_row_and_is_convicted(softmax: power.KillTable) -> None:
    assert [row.mutant.id for row in softmax.rows] == [mutant.id for mutant in WRONG if mutant.phase in ("softmax", "softmax.vjp")]
    assert softmax.ok
    for row in softmax.rows:
        named = {f"{row.mutant.phase}.{name}" for name in row.mutant.names}
        assert row.examples > 0 and (row.property_id in named or (not named and row.property_id is not None))


def test_what_the_usual_checks_would_have_said(softmax: power.KillTable) -> None:
    caught = {row.mutant.id: [name for name in power.CHECKS if row.caught[name]] for row in softmax.rows}
    assert caught["zeros"] == ["1e-2", "1e-3", "1e-4", "default"]
    # one part in two thousand of each weight
    assert caught["total in float16"] == ["default"]
    # needs scores beyond fifty, which no standard normal input has
    assert caught["scores clipped"] == []
    assert all(names == list(power.CHECKS)[len(power.CHECKS) - len(names) :] for names in caught.values())


def test_a_check_that_rejects_the_generated_kernel_is_named() -> None:
    assert not any(power.usual(kernelproof.generate("softmax"), "softmax", {}, 0).values())

    def generated(phase: str, **options: Any) -> Any:
        """Attention off by four parts in 10⁵, as sums in another order may be where entries cancel: that differs between processors."""
        made = kernelproof.generate(phase, **options)
        return (lambda *given, **said: made(*given, **said) * np.float32(1 + 4e-5)) if phase == "attention" else made

    assert power.usual(generated("attention"), "attention", {}, 0) == {"1e-2": False, "1e-3": False, "1e-4": False, "default": True}
    mutant = next(mutant for mutant in WRONG if mutant.phase == "attention" and mutant.id == "unscaled")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(power, "generate", generated)
        patch.setattr(power, "WRONG", (mutant, next(one for one in WRONG if one.id == "zeros" and one.phase == "softmax")))
        table = power.kill_table()
    assert table.false_alarms == {"1e-2": (), "1e-3": (), "1e-4": (), "default": ("attention",)}
    assert "default on one random input: 2 of 2; it rejects the generated kernel of attention too: without these 1 of 1" in str(table)


def test_the_usual_test_catches_what_raises_or_has_another_shape() -> None:
    def raising(x: Any) -> Any:
        raise ValueError

    assert all(power.usual(raising, "softmax", {}, 0).values())
    assert all(power.usual(lambda x: x[..., :-1], "softmax", {}, 0).values())


def test_options_are_used_by_the_usual_test() -> None:
    """A causal flag that does nothing is seen."""
    right = kernelproof.generate("attention")

    def ignoring(q: Any, k: Any, v: Any, *, causal: bool = False, mask: Any = None, scale: Any = None) -> Any:
        return right(q, k, v, mask=mask, scale=scale)

    assert power.usual(ignoring, "attention", {}, 0)["1e-2"]


def test_the_same_seed_gives_the_same_table(softmax: power.KillTable) -> None:
    again = power.kill_table(["softmax"])
    assert again.to_json() == softmax.to_json() and str(again) == str(softmax)


def test_an_unknown_phase_is_an_input_error() -> None:
    with pytest.raises(InputError, match="making the kill table: phase 'sofmax' is not known; choose from embedding, "):
        power.kill_table(["sofmax"])


def test_the_command_prints_and_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str], softmax: power.KillTable) -> None:
    path = tmp_path / "power.json"
    assert main(["bench", "softmax", "--power", "--json", str(path)]) == 0
    shown = capsys.readouterr()
    assert shown.out == f"{softmax}\n" and shown.err == ""
    assert f"convicted by a property that names the fault: {len(softmax.rows)} of {len(softmax.rows)}" in shown.out
    assert json.loads(path.read_text(encoding="utf-8")) == softmax.to_json()


def test_a_wrong_kernel_that_nothing_sees_makes_it_fail(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def right(x: Any) -> Any:
        e = np.exp(x - x.max(-1, keepdims=True, initial=-np.inf))
        return e / e.sum(-1, keepdims=True)

    monkeypatch.setattr(power, "WRONG", (Wrong("not wrong at all", "softmax", "own", right, ("row_sum_one",)),))
    assert main(["bench", "--power"]) == 1
    shown = capsys.readouterr().out
    assert "not convicted" in shown and "convicted by a property that names the fault: 0 of 1" in shown


@pytest.mark.parametrize("more", [["--against", "numpy"], ["--tune"]])
def test_it_measures_properties_and_not_speed(more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "softmax", "--power", *more]) == 2
    assert "bench --power: it measures properties, not speed" in capsys.readouterr().err


def test_a_gradient_has_a_table_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plain gradient kernel stands for the generated one; a name with ``.vjp`` chooses the gradients alone."""
    monkeypatch.setattr(power, "WRONG", tuple(one for one in WRONG if one.phase.startswith("rms_norm") and one.reference == "own"))
    table = power.kill_table(["rms_norm.vjp"])
    assert table.ok and {row.mutant.phase for row in table.rows} == {"rms_norm.vjp"}
    assert table.false_alarms == dict.fromkeys(power.CHECKS, ())
    assert "rms_norm.vjp: " in str(table) and " vjp." in str(table)
