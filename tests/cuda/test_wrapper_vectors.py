"""Wrappers asked with numbers: the emulator's answers are those of a device, where one has been asked, and can be told from wrong ones."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.cuda
FORMATS = ("float16", "bfloat16")
#: what ex2.approx may be off by, in units in the last place (PTX manual: 2^-22 relative)
UNITS = 4


@pytest.fixture(scope="module")
def vectors(neighbour: Any) -> ModuleType:
    return neighbour("wrapper_vectors")  # type: ignore[no-any-return]


def same(name: str, one: np.ndarray, other: np.ndarray) -> bool:
    """Equal words; powers of two within what the instruction may be off."""
    if name != "kp_exp2":
        return one.tolist() == other.tolist()
    left, right = (words.view(np.float32).astype(np.float64) for words in (one, other))
    with np.errstate(invalid="ignore"):
        return bool(((left == right) | (np.abs(left - right) <= UNITS * np.spacing(right.astype(np.float32)))).all())


@pytest.mark.parametrize("dtype", FORMATS)
def test_every_wrapper_is_asked(dtype: str, vectors: ModuleType, emulation: ModuleType, compiler: Any) -> None:
    """No device: the emulator answers every question, and none with what was there before."""
    found = dict(vectors.asked(emulation.stand_in(compiler), dtype, 90))
    assert set(found) == set(vectors.BODIES)
    for name, words in found.items():
        assert len(np.unique(words)) > 16, f"{name} was asked too little"
        assert not same(name, words, np.roll(words, 1)), "an answer in a wrong place would not be seen"


@pytest.mark.parametrize(("architecture", "warpgroup"), [("sm_80", False), ("sm_90a", True)])
def test_questions_compile_for_the_device(architecture: str, warpgroup: bool, vectors: ModuleType, neighbour: Any) -> None:
    names = [name for name in vectors.BODIES if (name in vectors.WARPGROUP) == warpgroup]
    contract = {f"ask_{name}": {"registers": 255, "local": 1024} for name in names}
    ptx = neighbour("nvrtc").compiled(vectors.text_of(names, "float16"), contract, architecture)
    assert ptx.count(".entry ") == len(names)


@pytest.mark.parametrize("dtype", FORMATS)
def test_the_emulator_answers_as_the_device_did(dtype: str, vectors: ModuleType, emulation: ModuleType, compiler: Any) -> None:
    if not vectors.FIXTURE.is_file():
        pytest.skip("no device has been asked: run tests/cuda/wrapper_vectors.py on one")
    kept = json.loads(vectors.FIXTURE.read_text(encoding="utf-8"))[dtype]
    for name, words in vectors.asked(emulation.stand_in(compiler), dtype, 90 if "kp_wgmma_scores" in kept else 80):
        assert same(name, words, np.array(kept[name], dtype=np.uint32)), name


def test_a_wrapper_that_ends_it_all_leaves_what_was_answered(vectors: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(module: Any, dtype: str, capability: int) -> Any:
        yield "kp_pack", np.array([len(dtype)])
        if dtype == "float16":
            raise RuntimeError("an illegal\ninstruction")

    kept: list[str] = []
    monkeypatch.setattr(vectors, "asked", asked)
    failed = vectors.answers(np, 90, lambda found: kept.append(json.dumps(found)))
    assert failed == ["float16, after kp_pack: RuntimeError: an illegal instruction"]
    assert json.loads(kept[0]) == {"float16": {"kp_pack": [7]}}
    assert json.loads(kept[1]) == {"float16": {"kp_pack": [7]}, "bfloat16": {"kp_pack": [8]}}


@pytest.mark.parametrize("dtype", FORMATS)
def test_the_device_answers_as_the_emulator_does(
    dtype: str, vectors: ModuleType, emulation: ModuleType, compiler: Any, cupy: ModuleType
) -> None:
    if not cupy.cuda.is_available():
        pytest.skip("no GPU: cupy.cuda.is_available() is false")
    capability = int(cupy.cuda.Device().compute_capability)
    here = dict(vectors.asked(emulation.stand_in(compiler), dtype, capability))
    for name, words in vectors.asked(cupy, dtype, capability):
        assert same(name, words, here[name]), name
