"""Wrappers asked with numbers: the emulator's answers are those of a device, where one has been asked, and can be told from wrong ones."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
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
    found = dict(vectors.asked(emulation.stand_in(compiler), dtype, list(vectors.BODIES)))
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
    assert kept and set(kept) <= set(vectors.BODIES)
    for name, words in vectors.asked(emulation.stand_in(compiler), dtype, list(kept)):
        assert same(name, words, np.array(kept[name], dtype=np.uint32)), name


def test_a_wrapper_that_ends_it_all_leaves_what_was_answered(vectors: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(module: Any, dtype: str, wanted: list[str]) -> Any:
        assert not vectors.WARPGROUP & set(wanted), "those of 9.0 are asked elsewhere"
        yield "kp_pack", np.array([len(dtype)])
        if dtype == "float16":
            raise RuntimeError("an illegal\ninstruction")

    def one(name: str, dtype: str) -> list[int]:
        if name == "kp_wgmma_scores":
            raise TimeoutError("it hangs")
        return [len(name)]

    kept: list[str] = []
    monkeypatch.setattr(vectors, "asked", asked)
    failed = vectors.answers(np, 90, lambda found: kept.append(json.dumps(found)), one)
    assert failed == [
        "float16, after kp_pack: RuntimeError: an illegal instruction",
        *(f"{dtype}, kp_wgmma_scores: TimeoutError: it hangs" for dtype in FORMATS),
    ]
    assert json.loads(kept[0]) == {"float16": {"kp_pack": [7]}, "bfloat16": {}}
    assert json.loads(kept[1]) == {"float16": {"kp_pack": [7]}, "bfloat16": {"kp_pack": [8]}}, "before any that may hang"
    others = {name: [len(name)] for name in vectors.WARPGROUP - {"kp_wgmma_scores"}}
    assert json.loads(kept[-1]) == {dtype: {"kp_pack": [len(dtype)], **others} for dtype in FORMATS}
    kept.clear()
    assert vectors.answers(np, 80, lambda found: kept.append(json.dumps(found)), one) == failed[:1] and len(kept) == 2


FAKE_CUPY = """
import time
import numpy as np
asarray = np.array
class RawModule:
    def __init__(self, code, options): assert options[1:] == ("-arch=sm_90a",) and code.count("__global__") == 1
    def get_function(self, name): return Kernel(name)
class Kernel:
    def __init__(self, name): self.name = name
    def __call__(self, grid, block, arguments, shared_mem):
        if self.name == "ask_kp_wgmma_scores": time.sleep(600)
        if self.name == "ask_kp_wgmma_values64": raise RuntimeError("an illegal address")
        arguments[1][:] = range(len(arguments[1]))
"""


def test_one_wrapper_is_asked_in_a_process_of_its_own(vectors: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cupy.py").write_text(FAKE_CUPY, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), str(Path(__file__).parents[2]))))
    assert vectors.apart("kp_wgmma_values128", "float16") == list(range(128 * 64))
    with pytest.raises(RuntimeError, match="exit code 1: RuntimeError: an illegal address"):
        vectors.apart("kp_wgmma_values64", "bfloat16")
    with pytest.raises(subprocess.TimeoutExpired):
        vectors.apart("kp_wgmma_scores", "bfloat16", limit=0.5)


def test_a_barrier_that_is_never_over_is_no_answer(vectors: ModuleType) -> None:
    class Module:
        asarray = staticmethod(np.array)

        def __init__(self, code: str, options: Any) -> None:
            pass

        RawModule = property(lambda self: Module)

        def get_function(self, name: str) -> Any:
            return type("Kernel", (), {"__call__": lambda _, grid, block, arguments, shared_mem: arguments[1].fill(vectors.NEVER)})()

    with pytest.raises(RuntimeError, match="kp_wgmma_values64: its barrier was never over"):
        list(vectors.asked(Module("", ()), "float16", ["kp_wgmma_values64"]))


@pytest.mark.parametrize("dtype", FORMATS)
def test_the_device_answers_as_the_emulator_does(
    dtype: str, vectors: ModuleType, emulation: ModuleType, compiler: Any, cupy: ModuleType
) -> None:
    if not cupy.cuda.is_available():
        pytest.skip("no GPU: cupy.cuda.is_available() is false")
    capability = int(cupy.cuda.Device().compute_capability)
    wanted = [name for names in vectors.had(capability) for name in names]
    here = dict(vectors.asked(emulation.stand_in(compiler), dtype, wanted))
    for name, words in vectors.asked(cupy, dtype, wanted):
        assert same(name, words, here[name]), name
