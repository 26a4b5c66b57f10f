"""The nightly table: what was run and nothing else, in order, over Ctrl-C and a record."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from kernelproof.numeric.precision import assumed_precision
from kernelproof.properties import campaign
from kernelproof.properties.campaign import main, outcome, source
from kernelproof.properties.campaign_table import campaign_table
from kernelproof.properties.campaign_trials import FOLDER, Trial, library_trials, right_trials, wrong_trials
from kernelproof.properties.mutants.parts import Right, Wrong
from kernelproof.properties.right_libraries import RIGHT_LIBRARIES, RightLibrary

HERE = str(Path(__file__).parent)


@pytest.fixture(autouse=True)
def toy_tolerance() -> Iterator[None]:
    """The derived bounds instead of the toy ones of this folder."""
    with threadpool_limits(1):
        yield


def _softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True, initial=-np.inf))
    return e / e.sum(-1, keepdims=True)


DOUBLED = Wrong("doubled", "softmax", "own", lambda x: 2 * _softmax(x), ("row_sum_one",))
NOT_WRONG = Wrong("not wrong", "softmax", "unseen", _softmax, ("row_sum_one",), profile="standard")
RIGHT = Right("plain", "softmax", _softmax)
STRICT = Right("doubled", "softmax", lambda x: 2 * _softmax(x))
MISSING = RightLibrary("nothing", "softmax", lambda dtype: pytest.fail("made"), needs=("no_such_module_anywhere",))


def table(trials: list[Trial], strict: dict[str, str] | None = None, seeds: int = 1) -> tuple[str, bool]:
    return campaign_table(trials, [outcome(trial, seed) for trial in trials for seed in range(seeds)], strict or {}, {"numpy": "2"}, seeds)


def test_a_wrong_kernel_with_its_property_and_one_that_survives() -> None:
    text, ok = table(wrong_trials([DOUBLED, NOT_WRONG]))
    assert "| softmax | doubled | own | 1 of 1 | row_sum_one | 1 | quick |" in text
    assert "| softmax | not wrong | unseen | 0 of 1 | – | – | – |" in text
    assert "### Not convicted under some seed\n\n- softmax: not wrong: seeds 0" in text
    assert "by someone who had not seen the suite: 1, 1 runs, 0 convicted; seeds: 0." in text
    assert not ok
    assert table(wrong_trials([DOUBLED]))[1]


def test_right_kernels_alarms_and_known_ones() -> None:
    trials = right_trials([RIGHT, STRICT], ("float32",))
    text, ok = table(trials)
    assert not ok and "row_sum_one ×1" in text and "### Alarms" in text
    text, ok = table(trials, {"softmax: doubled": "it doubles"})
    assert ok and "1 with an alarm (1 of them known and explained below)" in text
    assert "- softmax: doubled, float32: known: it doubles" in text


def test_what_was_not_run_is_said() -> None:
    library = library_trials([replace(MISSING, dtypes=("float32",))])
    right = right_trials([RIGHT], ("float32",))
    text, _ = campaign_table([*right, *library], [outcome(one, 0) for one in library], {}, {}, 1)
    assert "- No time: right NumPy kernels in float32: softmax: plain" in text
    assert "- softmax: nothing, float32: trying nothing: no_such_module_anywhere is not installed" in text
    assert "| softmax | plain |" not in text and "| softmax | nothing |" not in text


def test_a_record_is_gone_on_with_and_gives_the_same_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign, "WRONG", (DOUBLED,))
    record, page, other = tmp_path / "record.jsonl", tmp_path / "page.md", tmp_path / "other.md"
    call = ["--seeds", "2", "--phase", "softmax", "--only", "wrong", "--right", HERE, "--record", str(record)]
    assert main([*call, "-o", str(page)]) == 0
    assert len(record.read_text(encoding="utf-8").splitlines()) == 3

    def never(*_: object) -> None:
        pytest.fail("run again")

    monkeypatch.setattr(campaign, "outcome", never)
    assert main([*call, "-o", str(other)]) == 0
    assert other.read_text(encoding="utf-8") == page.read_text(encoding="utf-8")
    assert "2 of 2" in page.read_text(encoding="utf-8")


def test_ctrl_c_writes_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign, "WRONG", (DOUBLED, replace(DOUBLED, id="again")))

    def interrupted(trial: Trial, *rest: Any) -> Any:
        if trial.title == "again":
            raise KeyboardInterrupt
        return outcome(trial, *rest)

    monkeypatch.setattr(campaign, "outcome", interrupted)
    page = tmp_path / "page.md"
    assert main(["--seeds", "1", "--only", "wrong", "--right", HERE, "-o", str(page)]) == 130
    text = page.read_text(encoding="utf-8")
    assert "| softmax | doubled | own | 1 of 1 |" in text and "- No time: wrong kernels in float32: softmax: again" in text


def test_a_record_of_other_versions_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = tmp_path / "record.jsonl"
    record.write_text(json.dumps({"versions": {"numpy": "0"}}) + "\n", encoding="utf-8")
    assert main(["--right", HERE, "--record", str(record)]) == 2
    assert "made with other versions" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--phase", "sofmax"], ["--seeds", "0"], ["--right", "nowhere"]])
def test_wrong_words_are_input_errors(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--right", HERE, *wrong]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("kernelproof: ")


def test_the_libraries_are_a_registry_that_imports_nothing() -> None:
    titles = {(row.title, row.phase, str(row.variant)) for row in RIGHT_LIBRARIES}
    assert len(titles) == len(RIGHT_LIBRARIES)
    assert {title for title, _, _ in titles if "scaled_dot_product" in title} == {
        f"torch.nn.functional:scaled_dot_product_attention, {backend}" for backend in ("FLASH_ATTENTION", "MATH")
    }
    assert FOLDER == "tests/properties"


def test_a_generated_kernel_is_right() -> None:
    (trial,) = [one for one in library_trials() if one.title == "generated:softmax" and one.dtype == "float32"]
    found = outcome(trial, 0)
    assert (found.alarms, found.errors) == ((), ()) and found.tried


def test_a_compressed_record_goes_on_and_the_table_names_the_sources(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record, page = tmp_path / "power.jsonl.gz", tmp_path / "power.md"
    asked = ["--seeds", "1", "--phase", "softmax", "--only", "library", "--dtype", "float32", "--record", str(record), "-o", str(page)]
    main(asked)
    ran = capsys.readouterr().err
    assert "1/" in ran and "generated:softmax" in ran
    main(asked)
    assert capsys.readouterr().err == ""  # nothing left to run
    assert f"Rows by the source of ours that made them: {source()}: " in page.read_text(encoding="utf-8")
    with gzip.open(record, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file][1:]
    assert rows and {row["source"] for row in rows} == {source()}


def test_a_kernel_of_a_library_is_judged_by_the_units_of_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(campaign, "_outcome", lambda *_: seen.append(assumed_precision("float32").ulps))
    for title in ("jax.nn:silu", "onnxruntime Gelu, opset 23", "torch.nn.functional:silu", "generated:softmax"):
        outcome(next(one for one in library_trials() if one.title == title), 0)
    assert seen == ["jax", "onnxruntime", "any", "any"]
