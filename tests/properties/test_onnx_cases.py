"""ONNX's node cases on generated kernels: some are kept here, all run where ONNX is installed; wrong kernels fail them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kernelproof
from kernelproof.properties import onnx_cases
from kernelproof.properties.onnx_cases import judged, main, save, saved, table
from kernelproof.properties.onnx_posing import OPERATORS, NodeCase
from kernelproof.symbolic.errors import InputError

KEPT = Path(__file__).parent / "fixtures" / "onnx_cases.npz"
#: not applicable may be nothing else
REASONS = {"softmax_precision"}


@pytest.fixture(autouse=True)
def toy_tolerance() -> None:
    """The derived bounds instead of the toy ones of this folder."""


def cases() -> dict[str, NodeCase]:
    return {case.name: case for case in saved(KEPT)[1]}


@pytest.mark.parametrize("name", cases())
def test_a_case_that_is_kept_here(name: str) -> None:
    found = judged(cases()[name])
    if found.verdict == "not_applicable":
        assert found.reason in REASONS
    else:
        assert (found.verdict, found.reason) == ("pass", "") and found.ratio is not None and found.ratio <= 1


def test_those_kept_here_cover_every_operator_and_say_where_they_are_from() -> None:
    source, kept = saved(KEPT)
    assert source.startswith("onnx 1.") and {case.operator for case in kept} == set(OPERATORS)
    with np.load(KEPT) as data:
        assert json.loads(str(data["about"]))["license"] == "Apache-2.0"
    assert KEPT.stat().st_size < 300_000
    assert sum(judged(case).verdict == "not_applicable" for case in kept) == 1


@pytest.mark.slow
def test_every_case_of_an_installed_onnx_passes() -> None:
    pytest.importorskip("onnx")
    version, found = onnx_cases.collected()
    outcomes = [judged(case) for case in found]
    assert [(one.case.name, one.reason) for one in outcomes if one.verdict == "fail"] == []
    assert {one.reason for one in outcomes if one.verdict == "not_applicable"} <= REASONS
    counts = Counter(one.case.operator for one in outcomes)
    assert all(counts[operator] for operator in OPERATORS)
    if version == "1.23.2":
        assert counts == {"Attention": 93, "LayerNormalization": 19, "RMSNormalization": 19, "Softmax": 7, "Gelu": 4}
        assert Counter(one.case.operator for one in outcomes if one.verdict == "pass")["Attention"] == 92


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("test_attention_4d_scaled", lambda out: out * np.float32(1.0001)),
        ("test_attention_3d_gqa_attn_mask", lambda out: out[:, ::-1]),
        ("test_attention_23_boolmask_fullymasked_row_nan_robustness", lambda out: out + np.where(out == 0, np.float32(np.nan), 0)),
        ("test_softmax_large_number", lambda out: out.astype(np.float64)),
        ("test_gelu_tanh_2", lambda out: out.astype(np.float16).astype(np.float32)),
    ],
)
def test_a_wrong_kernel_fails(name: str, spoil: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Spoiled:
        def __init__(self, phase: str, dtype: str, variant: Any) -> None:
            self._right = kernelproof.generate(phase, dtype=dtype, **dict(variant))
            self.variant = self._right.variant

        def __call__(self, *arrays: Any, **options: Any) -> Any:
            return spoil(self._right(*arrays, **options))

    monkeypatch.setattr(onnx_cases, "_kernel", Spoiled)
    found = judged(cases()[name])
    assert found.verdict == "fail" and found.reason


def test_expected_values_that_are_off_are_told() -> None:
    case = cases()["test_softmax_axis_0"]
    off = replace(case, outputs={"Y": case.outputs["Y"] * np.float32(1 + 1e-4)})
    found = judged(off)
    # within ONNX's own tolerance, and beyond the bound
    assert found.verdict == "fail" and "ONNX's own value" in found.reason
    far = replace(case, outputs={"Y": case.outputs["Y"] + np.float32(0.1)})
    assert "Y differs from ONNX's by 0.1" in judged(far).reason
    assert "ONNX expects float32[1]" in judged(replace(case, outputs={"Y": np.zeros(1, np.float32)})).reason
    past = cases()["test_attention_4d_causal_with_past_and_present"]
    other = replace(past, outputs={**past.outputs, "present_key": past.outputs["present_key"] + 1})
    assert "present_key differs" in judged(other).reason


def test_cases_survive_being_written(tmp_path: Path) -> None:
    case = replace(cases()["test_softmax_axis_0"], inputs={"X": np.arange(3, dtype=np.float16)})
    save(tmp_path / "some.npz", "9.9", [case])
    source, (again,) = saved(tmp_path / "some.npz")
    assert source == "onnx 9.9, onnx.backend.test.case.node"
    assert (again.name, again.attributes, again.rtol) == (case.name, case.attributes, case.rtol)
    assert again.inputs["X"].dtype == np.float16 and again.outputs["Y"].tobytes() == case.outputs["Y"].tobytes()


def test_bfloat16_is_kept_as_float32(tmp_path: Path) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    case = replace(cases()["test_softmax_axis_0"], inputs={"X": np.arange(3).astype(ml_dtypes.bfloat16)})
    save(tmp_path / "some.npz", "9.9", [case])
    (again,) = saved(tmp_path / "some.npz")[1]
    assert again.inputs["X"].dtype == ml_dtypes.bfloat16 and again.inputs["X"].tobytes() == case.inputs["X"].tobytes()


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two = ["test_softmax_axis_0", "test_attention_local_window_gqa_rank4_mask"]
    assert main(["--cases", str(KEPT), *two]) == 0
    shown = capsys.readouterr().out
    assert "cases of onnx 1." in shown and "not applicable, softmax_precision: 1 (test_attention_local_window_gqa_rank4_mask)" in shown
    assert main(["--cases", str(KEPT), "--save", str(tmp_path / "two.npz"), *two]) == 0
    assert "2 cases written to" in capsys.readouterr().out
    monkeypatch.setattr(onnx_cases, "judged", lambda case: onnx_cases.Outcome(case, "fail", "because"))
    assert main(["--cases", str(tmp_path / "two.npz")]) == 1
    assert "fail: test_softmax_axis_0: because" in capsys.readouterr().out


def test_what_cannot_be_read_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["--cases", str(KEPT), "nothing"]) == 2
    assert "'nothing' is not among its 18; expected a name such as test_" in capsys.readouterr().err
    assert main(["--cases", str(tmp_path / "none.npz")]) == 2
    np.savez(tmp_path / "other.npz", x=np.zeros(1))
    for path in (tmp_path / "other.npz", Path(__file__)):
        with pytest.raises(InputError, match="give a file that --save wrote"):
            saved(path)
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert main([]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("onnx_cases: collecting ONNX's node cases: ") and "pip install kernelproof[onnx]" in error


def test_it_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kernelproof.properties.onnx_cases", "--cases", str(KEPT), "test_gelu_tanh_2"],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0 and "Gelu" in done.stdout and done.stderr == ""


def test_outputs_that_kernels_do_not_have_are_counted() -> None:
    shown = table([judged(cases()["test_attention_24_fullymasked_qk_matmul_output_mode3_zero"])])
    assert "output qk_matmul_output, which no kernel of the contract has, left out in 1 of the cases that pass" in shown
