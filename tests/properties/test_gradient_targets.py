"""``--vjp`` from the command line and from Python: targets, worker, JSON, reproducer, replay, comparison."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kernelproof
from kernelproof.__main__ import main
from kernelproof.properties.call import Call, TargetRaised, gradient_slots, gradient_text
from kernelproof.properties.isolation import isolated_target
from kernelproof.properties.model import Inputs
from kernelproof.properties.shapes import GRAD_OUT, phase_shape
from kernelproof.symbolic.errors import InputError

HERE = Path(__file__).parent
FILE = str(HERE / "gradient_kernels.py")
QUICK = ("--vjp", "--profile", "quick")


@pytest.fixture(autouse=True)
def toy_tolerance() -> Iterator[None]:
    """The derived bounds instead of the toy ones of this folder."""
    yield


def verified(target: str, phase: str, *more: str) -> int:
    return main(["verify", target, "--phase", phase, *QUICK, *more])


def test_a_right_kernel_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert verified(f"{FILE}:softmax", "softmax") == 0
    assert "softmax.vjp.gradient_sum" in capsys.readouterr().out


def test_a_wrong_kernel_with_json_reproducer_and_replay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = tmp_path / "verdict.json"
    assert verified(f"{FILE}:uncentred", "softmax", "--json", str(saved)) == 1
    assert "the gradient of x" in capsys.readouterr().out
    found = json.loads(saved.read_text())
    assert (found["phase"], found["vjp"], found["verdict"]) == ("softmax", True, "fail")
    shown = next(row["counterexample"] for row in found["properties"] if row["id"] == "softmax.vjp.matches_definition")
    assert set(shown["inputs"]) >= {"x", "grad_out"}
    done = subprocess.run([sys.executable, "-c", shown["reproducer"]], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "AssertionError: the gradient of x" in done.stderr
    assert "kernelproof" not in shown["reproducer"].replace("kernelproof_target", "")
    mended = shown["reproducer"].replace("module.uncentred", "module.softmax")
    subprocess.run([sys.executable, "-c", mended], check=True, capture_output=True)
    assert verified(f"{FILE}:uncentred", "softmax", "--replay", str(saved)) == 1
    assert verified(f"{FILE}:softmax", "softmax", "--replay", str(saved)) == 0
    capsys.readouterr()
    assert main(["verify", f"{FILE}:softmax", "--phase", "softmax", "--replay", str(saved)]) == 2
    assert "softmax.vjp" in capsys.readouterr().err


def test_a_crash_is_a_failure_and_the_rest_still_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert verified(f"{FILE}:crashing", "softmax", "--max-seconds", "6") == 1
    out = capsys.readouterr().out
    assert "isolation: worker process" in out and "FAILED softmax.vjp." in out


def test_another_kernel_to_compare_with(capsys: pytest.CaptureFixture[str]) -> None:
    assert verified(f"{FILE}:softmax", "softmax", "--against", f"{FILE}:uncentred") == 1
    out = capsys.readouterr().out
    assert "softmax.vjp.against" in out and f"expected is {FILE}:uncentred's" in out


@pytest.mark.parametrize(
    ("target", "phase", "told"),
    [
        (f"{FILE}:softmax", "positional", "positional: it has no differentiable input"),
        ("generated:softmax", "layer_norm", "it names 'softmax', but the phase is 'layer_norm'"),
        (f"{FILE}:softmax", "attention", "f(q, k, v, grad_out, *, causal=False, mask=None, scale=None)"),
        ("model.onnx", "softmax", "leave --vjp out"),
    ],
)
def test_what_cannot_be_verified_is_one_line(target: str, phase: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert verified(target, phase) == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1


def test_from_python() -> None:
    def shifted(x: Any, grad_out: Any) -> Any:
        return (grad_out + np.float32(1),)

    verdict = kernelproof.verify(shifted, phase="activation", vjp=True, profile="quick", max_seconds=10)
    assert not verdict and verdict.phase == "activation.vjp"
    failed = {found.id.removeprefix("activation.vjp.") for found in verdict.properties if found.verdict == "fail"}
    assert {"matches_definition", "linear_in_grad_out", "slope_on_a_grid"} <= failed
    with pytest.raises(InputError, match="no differentiable input"):
        kernelproof.verify(shifted, phase="positional", vjp=True)


def test_a_result_held_from_an_earlier_call_changes_as_in_one_process() -> None:
    """Each gradient of the tuple is followed on its own."""
    inputs = [
        Inputs({"x": np.ones((2, 3), np.float32), "gain": np.ones(3, np.float32), GRAD_OUT: np.full((2, 3), value, np.float32)}, {})
        for value in (1, 2)
    ]
    with isolated_target(f"{FILE}:overwriting", phase="rms_norm.vjp", variant={}) as target:
        dx, dgain = target.call.parts(inputs[0].copy(), inputs[0])
        before = dx.copy(), dgain.copy()
        target.call.parts(inputs[1].copy(), inputs[1])
        assert np.array_equal(dx, before[0]) and not np.array_equal(dgain, before[1])
        assert np.allclose(dgain, 2 * before[1])


def test_signatures() -> None:
    block = phase_shape("encoder_block.vjp", {"norm": "post"})
    assert block.arguments == ("x", "params", GRAD_OUT) and gradient_slots(block) == ("x", "params")
    assert block.signature == "f(x, params, grad_out, *, n_heads, causal=False, mask=None)"
    assert gradient_text(block, "target(…)", "gain2") == "target(…)[1]['gain2']"
    embedding = phase_shape("embedding.vjp")
    assert embedding.gradients == ("table",) and embedding.signature == "f(ids, table, grad_out)"
    assert phase_shape("attention").gradients == ()


def test_a_mapping_of_gradients_must_be_whole() -> None:
    shape = phase_shape("encoder_block.vjp", {})
    arrays = {tensor.name: np.zeros(1, np.float32) for tensor in shape.tensors}
    call = Call(lambda x, params, grad_out, **options: (x, {"w_q": x}), shape)
    with pytest.raises(TargetRaised, match="expected a mapping with w_q, w_k"):
        call.gradients(arrays, {"n_heads": 1})
