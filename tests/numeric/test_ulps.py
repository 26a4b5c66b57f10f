"""Tables of units: the default covers every library, and measuring finds what is off."""

from __future__ import annotations

import numpy as np
import pytest

from kernelproof.numeric import ulps_measured
from kernelproof.numeric.precision import assumed_precision, assuming, assuming_library
from kernelproof.numeric.ulps import ANY, LIBRARIES, OWN


def test_the_default_is_no_better_than_any_library_that_has_no_table_of_its_own() -> None:
    for name, library in LIBRARIES.items():
        assert set(library.ulps) == set(ANY) and library.source
        assert (name in OWN) == (bool(library.assumes) or any(library.ulps[function] > ANY[function] for function in ANY)), name


def test_targets_of_a_library_that_is_less_accurate_are_judged_by_its_table() -> None:
    with assuming_library(("onnxruntime", "onnx")):
        assert assumed_precision("float32").functions["tanh"] == LIBRARIES["onnxruntime"].ulps["tanh"] > ANY["tanh"]
    with assuming_library(("torch",)):
        assert assumed_precision("float32").changes() == ""
    with assuming("ulps=torch,score=float16"), assuming_library(("jax",)):
        assert assumed_precision("float32").changes() == "score=float16,ulps=torch"


def test_this_numpy_is_within_its_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """All float32 numbers of two binades; the module's command does all of them."""
    monkeypatch.setitem(ulps_measured.FUNCTIONS, "exp", ("exp", 5, 6, True))
    monkeypatch.setattr(ulps_measured, "SPARSE", 100_003)
    found = ulps_measured.measured("numpy", "exp")
    assert 0.4 < found.ulps <= LIBRARIES["numpy"].ulps["exp"] and found.tried > 2**24 - 2


def test_this_numpy_is_within_its_table_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ulps_measured, "SAMPLE", 20_000)
    found = ulps_measured.measured("numpy", "tanh", "float64")
    assert 0.4 < found.ulps <= LIBRARIES["numpy"].ulps["tanh"] and found.tried >= 20_000


def test_a_bent_function_is_seen_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ulps_measured, "SAMPLE", 20_000)
    monkeypatch.setattr(ulps_measured, "library_function", lambda library, name: lambda x: np.sin(x) * (1 + 8 * 2.0**-52))
    assert 8 <= ulps_measured.measured("numpy", "sin", "float64").ulps < 17


def test_a_bent_function_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ulps_measured.FUNCTIONS, "sqrt", ("sqrt", 0, 1, False))
    monkeypatch.setattr(ulps_measured, "SPARSE", 100_003)
    monkeypatch.setattr(ulps_measured, "library_function", lambda library, name: lambda x: np.sqrt(x) * np.float32(1 + 8 * 2.0**-23))
    assert 8 <= ulps_measured.measured("numpy", "sqrt").ulps < 17


def test_the_command_says_what_it_cannot_do(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        ulps_measured.main(["numpy", "gamma"])
    assert left.value.code == 2 and "function 'gamma': expected one of exp, exp2, log" in capsys.readouterr().err
