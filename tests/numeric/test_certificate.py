"""Certificates: right ones are found right, edited files fail without being run, unusable ones get one line."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numeric_cases import ALL, kernel_of, name_of, variants_of

from kernelproof import __version__
from kernelproof.numeric import certificate
from kernelproof.numeric.certificate import FIELDS, check, worst_ratio
from kernelproof.numeric.instance import InstanceResult
from kernelproof.symbolic.errors import InputError
from kernelproof.symbolic.registry import phases


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, Path]:
    """A softmax kernel and its certificate."""
    return kernel_of("softmax").save(tmp_path / "soft.py")


def edited(path: Path, **changes: Any) -> Path:
    """The certificate with fields changed; None takes one out."""
    data = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps({name: value for name, value in data.items() if value is not None}), encoding="utf-8")
    return path


def failing(path: Path) -> list[str]:
    found = check(path)
    lines = [line for line in found.lines if line.startswith("FAIL")]
    assert found.ok == (not lines)
    return lines


@pytest.mark.parametrize("phase", sorted(phases()))
def test_what_was_saved_is_right(phase: str, tmp_path: Path) -> None:
    _, path = kernel_of(phase, variants_of(phase)[-1]).save(tmp_path / "kernel.py")
    found = check(path)
    assert found.ok, found.lines
    for words in ("derived again", "regenerated: ", "byte for byte", "replayed", "statements hold", "sampled: ", "the source itself"):
        assert sum(words in line for line in found.lines) == 1
    assert any("replayed by the second checker" in line for line in found.lines)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_types_are_right_too(dtype: str, tmp_path: Path) -> None:
    _, path = kernel_of("attention", {}, dtype).save(tmp_path / "kernel.py")
    assert check(path).ok


@pytest.mark.parametrize("vjp", [False, True], ids=["forward", "gradient"])
def test_a_cupy_file_is_compared_and_not_run(vjp: bool, tmp_path: Path) -> None:
    from kernelproof.numeric.kernel import generate

    _, path = generate("softmax", backend="cupy", vjp=vjp).save(tmp_path / "kernel.py")
    found = check(path)
    assert found.ok and any("the cupy backend is not executed" in line for line in found.lines)
    assert not any("sampled" in line for line in found.lines) and "cupy" not in sys.modules


def test_an_edited_file_fails_and_is_not_run(saved: tuple[Path, Path], tmp_path: Path) -> None:
    source, path = saved
    marker = tmp_path / "was run"
    source.write_text(f"open({str(marker)!r}, 'w').close()\n" + source.read_text(encoding="utf-8"), encoding="utf-8")
    assert failing(path) == ["FAIL soft.py equals the regenerated text byte for byte"]
    assert not marker.exists()


@pytest.mark.parametrize(("old", "new"), [(b"np.max", b"np.min"), (b"\n", b"\r\n"), (b"# sha256", b"#  sha256")])
def test_one_changed_byte_is_enough(saved: tuple[Path, Path], old: bytes, new: bytes) -> None:
    source, path = saved
    source.write_bytes(source.read_bytes().replace(old, new))
    assert len(failing(path)) == 1


def test_a_missing_file_fails(saved: tuple[Path, Path]) -> None:
    source, path = saved
    source.unlink()
    assert failing(path) == ["FAIL 'soft.py' is there beside the certificate"]


@pytest.mark.parametrize("name", ["", ".", "..", "no/such", "x" * 300, "a\0b"])
def test_a_name_that_names_no_file_fails(saved: tuple[Path, Path], name: str) -> None:
    assert len(failing(edited(saved[1], file=name))) == 1


def test_a_file_elsewhere_is_not_looked_at(saved: tuple[Path, Path], tmp_path: Path) -> None:
    """The file stands beside the certificate: no path leads out."""
    other = tmp_path / "deeper"
    other.mkdir()
    moved = other / saved[1].name
    moved.write_bytes(saved[1].read_bytes())
    assert len(failing(edited(moved, file="../soft.py"))) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [("derivation", "0" * 64), ("source", "0" * 64), ("licences", ["attention.score_shift"]), ("theorems", ["softmax.row_sum_one"])],
)
def test_a_wrong_field_fails(saved: tuple[Path, Path], field: str, value: object) -> None:
    assert len(failing(edited(saved[1], **{field: value}))) == 1


def test_another_phase_or_type_fails(saved: tuple[Path, Path]) -> None:
    assert len(failing(edited(saved[1], dtype="float64"))) == 2
    assert len(failing(edited(saved[1], phase="rms_norm", dtype="float32"))) >= 3


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        check(path)
    message = str(caught.value)
    assert "\n" not in message and message.startswith(f"checking {path}: ")
    return message


def test_another_version_is_refused_naming_both(saved: tuple[Path, Path]) -> None:
    message = refused(edited(saved[1], version="0.0.9"))
    assert "0.0.9" in message and __version__ in message
    # also where that version wrote other fields
    assert "0.0.9" in refused(edited(saved[1], format="another", variant=None))


@pytest.mark.parametrize("field", FIELDS)
def test_missing_fields_are_named(saved: tuple[Path, Path], field: str) -> None:
    assert field in refused(edited(saved[1], **{field: None}))


@pytest.mark.parametrize("field", FIELDS)
def test_fields_of_a_wrong_type_are_refused(saved: tuple[Path, Path], field: str) -> None:
    refused(edited(saved[1], **{field: 7}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"phase": "nonsense"}, "nonsense"), ({"variant": {"layout": "halves"}}, "layout"), ({"variant": {"dtype": "float32"}}, "dtype"),
        ({"variant": {"phase": "softmax"}}, "phase"), ({"variant": {"vjp": True}}, "vjp"), ({"backend": "fortran"}, "fortran"),
        ({"dtype": "int8"}, "int8"), ({"format": "something else"}, "something else"),
    ],
    ids=str,
)
def test_unknown_values_are_refused(saved: tuple[Path, Path], changes: dict[str, Any], words: str) -> None:
    assert words in refused(edited(saved[1], **changes))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '"text"', "[" * 100_000, "\ud800"], ids=range(8))
def test_what_is_no_certificate_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.certificate.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    refused(path)


def test_no_file_at_all(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.json", tmp_path, tmp_path / ("y" * 300)):
        assert "no such file" in refused(path)


def test_bfloat16_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, path = kernel_of("softmax", {}, "bfloat16").save(tmp_path / "kernel.py")
    monkeypatch.setattr(certificate, "find_spec", lambda name: None)
    assert "pip install ml_dtypes" in refused(path)


def test_a_theorem_that_does_not_hold_fails(saved: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    for verdict in ("fail", "not_applicable"):
        result = InstanceResult("softmax.row_sum_one", verdict, "left 1, right 2")
        monkeypatch.setattr(certificate, "check_statement", lambda derivation, statement, result=result: result)
        (line,) = failing(saved[1])
        assert ("softmax.row_sum_one" in line) == (verdict == "fail")


# -- the samples -----------------------------------------------------------------------------------------------------------------

OUT = "out = result.reshape(shape)"


@pytest.mark.parametrize(("phase", "variant"), ALL, ids=name_of)
def test_right_kernels_stay_within_the_bound(phase: str, variant: dict[str, object]) -> None:
    assert worst_ratio(kernel_of(phase, variant)) <= 1


WRONG = (f"{OUT} * np.nan", f"{OUT} + 1e-4", f"{OUT} * np.inf", f"{OUT}[..., :1]", f"{OUT} * 0")


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_kernels_do_not(wrong: str) -> None:
    """NaN compares with nothing, and must not pass for that."""
    kernel = kernel_of("softmax")
    assert OUT in kernel.source
    assert worst_ratio(replace(kernel, source=kernel.source.replace(OUT, wrong))) > 1


def test_where_the_bound_is_zero_no_error_is_small() -> None:
    kernel = kernel_of("embedding")
    picked = "out = np.take(table, ids, axis=0)"
    assert picked in kernel.source
    assert worst_ratio(replace(kernel, source=kernel.source.replace(picked, f"{picked} + table.dtype.type(1e-6)"))) == np.inf


def test_bounds_that_say_nothing_are_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = kernel_of("softmax")
    bound = type(kernel.error_bound)
    plain = bound.__call__

    def vacuous(self: Any, *arguments: Any, **options: Any) -> tuple[np.ndarray, np.ndarray]:
        value, error = plain(self, *arguments, **options)
        return value, np.full_like(error, np.inf)

    monkeypatch.setattr(bound, "__call__", vacuous)
    assert worst_ratio(kernel) == np.inf
