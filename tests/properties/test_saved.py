"""Arrays in JSON come back bit for bit; a file that is no verdict is one line and exit 2."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kernelproof.__main__ import main
from kernelproof.properties.model import dtype_named
from kernelproof.properties.render import jsonable
from kernelproof.properties.saved import packed, unpacked


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_every_float_comes_back_bit_for_bit(dtype: str) -> None:
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes", reason="NumPy has bfloat16 only through it")
    kind = dtype_named(dtype)
    whole = np.dtype(f"u{kind.itemsize}")
    top = np.iinfo(whole).max
    # all ones is a NaN with a payload; 1 the smallest subnormal; the top bit alone is -0
    bits = np.array([0, 1, top, top // 2, top // 2 + 1, 0x7C01, 0xFC00], whole)
    infinities = np.array([np.inf, -np.inf, -0.0, np.nan], np.float64).astype(kind)
    array = np.concatenate([bits.view(kind), infinities])
    for one in (array, array[::-2], array[3], array.reshape(1, -1), array[:0].reshape(0, 3), np.stack([array, array]).T):
        text = json.dumps(packed(np.asarray(one)), allow_nan=False)
        back = unpacked(json.loads(text))
        assert (back.dtype, back.shape, back.tobytes()) == (kind, np.shape(one), np.asarray(one).tobytes())
        assert back.flags.writeable


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", "bool"])
def test_ids_and_masks_come_back(dtype: str) -> None:
    array = np.array([[0, 1, 1], [1, 0, 127]]).astype(dtype)
    back = unpacked(json.loads(json.dumps(packed(array))))
    assert back.dtype == array.dtype and np.array_equal(back, array)


def test_a_long_double_is_shown_as_the_nearest_float64() -> None:
    assert jsonable(np.array([0.1, np.inf], np.longdouble)) == [0.1, "inf"]
    assert jsonable(np.longdouble(0.5)) == 0.5


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "there is no such file; name one that 'kernelproof verify --json FILE' wrote"),
        (b"def f(): pass", "not JSON (JSONDecodeError: Expecting value"),
        (b"\xff\xfe", "not JSON (UnicodeDecodeError"),
        (b"[" * 100_000, "not JSON (RecursionError"),
        (b"[]", "no counterexample in it"),
        (b"3", "no counterexample in it"),
        (b'{"properties": [3, {"counterexample": null}]}', "no counterexample in it"),
        (b'{"properties": {"a": 3}}', "no counterexample in it"),
    ],
)
def test_what_is_no_verdict_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, text: str
) -> None:
    path = tmp_path / "odd.json"
    if content is not None:
        path.write_bytes(content)
    assert main(["verify", "generated:softmax", "--phase", "softmax", "--replay", str(path)]) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.count("\n") == 1
    assert shown.err.startswith(f"kernelproof verify: reading counterexamples from {str(path)!r}: {text}")
