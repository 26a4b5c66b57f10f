"""Generated kernels pass every property, in every variant and type, and their files pass the check."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

from kernelproof.__main__ import main
from kernelproof.properties import profiles
from kernelproof.properties.capabilities import everything
from kernelproof.properties.model import Setting
from kernelproof.properties.registry import properties_of
from kernelproof.properties.runner import run_property
from kernelproof.properties.shapes import phase_shape
from kernelproof.properties.targets import load_target
from kernelproof.symbolic.registry import phases


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The examples of the profile and time enough: a busy machine changes nothing."""
    monkeypatch.setitem(profiles.PROFILES, "quick", replace(profiles.PROFILES["quick"], seconds=600.0))
    with threadpool_limits(1):
        yield


def verify(phase: str, *more: str) -> int:
    return main(["verify", f"generated:{phase}", "--phase", phase, "--profile", "quick", "--strict", *more])


def variants(phase: str) -> list[dict[str, object]]:
    options = phases()[phase].variants
    return [dict(zip(options, values, strict=True)) for values in itertools.product(*(option.choices for option in options.values()))]


PHASE_VARIANTS = [(phase, variant) for phase in phases() for variant in variants(phase)]
#: the block costs most, and its activations have phases of their own
WHOLLY = [(phase, variant) for phase, variant in PHASE_VARIANTS if phase != "encoder_block" or variant["activation"] == "relu"]


@pytest.mark.parametrize(("phase", "variant"), WHOLLY, ids=str)
def test_generated_kernels_pass_every_property(phase: str, variant: dict[str, object]) -> None:
    words = [word for name, value in variant.items() for word in ("--variant", f"{name}={value}")]
    assert verify(phase, *words) == 0


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize(("phase", "variant"), PHASE_VARIANTS, ids=str)
def test_generated_kernels_match_their_definition_in_every_type(phase: str, variant: dict[str, object], dtype: str) -> None:
    target = load_target(f"generated:{phase}", phase=phase, variant=variant, dtype=dtype)
    setting = Setting(phase, variant, dtype, everything(phase_shape(phase, variant)), profiles.PROFILES["quick"])
    subject = properties_of(phase, variant)[0]
    found, _ = run_property(subject, target.call, setting, seed=0, seconds=60, reproduce=lambda *_: "")
    assert (found.verdict, found.message) == ("pass", "")


@pytest.mark.parametrize("phase", ["softmax", "layer_norm", "positional"])
def test_generated_kernels_pass_in_float64(phase: str) -> None:
    assert verify(phase, "--dtype", "float64") == 0


@pytest.mark.parametrize(("phase", "backend"), [*((phase, "numpy") for phase in phases()), ("softmax", "cupy"), ("positional", "cupy")])
def test_generated_files_pass_the_check(tmp_path: Path, capsys: pytest.CaptureFixture[str], phase: str, backend: str) -> None:
    path = tmp_path / f"{phase}.py"
    assert main(["generate", phase, "--backend", backend, "-o", str(path)]) == 0
    assert main(["check", str(tmp_path / f"{phase}.certificate.json")]) == 0
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert main(["check", str(tmp_path / f"{phase}.certificate.json")]) == 1
    assert "FAIL" in capsys.readouterr().out


def test_a_certificate_of_another_version_exits_with_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "k.py"
    assert main(["generate", "softmax", "-o", str(path)]) == 0
    certificate = tmp_path / "k.certificate.json"
    certificate.write_text(json.dumps({**json.loads(certificate.read_text(encoding="utf-8")), "version": "0.0.1"}))
    assert main(["check", str(certificate)]) == 2
    assert "0.0.1" in capsys.readouterr().err
