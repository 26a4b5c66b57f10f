"""Figures: real PNGs, the same bytes every time, no warning for any text, honest captions."""

from __future__ import annotations

import io
import math
import struct
import subprocess
import sys
import warnings
import zlib
from collections.abc import Iterator

import matplotlib
import numpy as np
import pytest

from kernelproof.reports.canvas import BOX, drawable
from kernelproof.reports.figures import (
    MOST_BARS,
    attention_image,
    distribution_image,
    encoding_image,
    error_over_bound_image,
)
from kernelproof.reports.model import Figure, PropertyRow

ODD_PIECES = ["·", "$x_1$", "日本", "\u0301", "\x07", "\U0001f600", "a" * 99, "\\xe2", "<b>", "", "\ud800", "⏎\n"]


@pytest.fixture(autouse=True)
def warnings_are_errors() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def row(worst: float | None, name: str = "softmax.row_sum_one", backend: str = "numpy") -> PropertyRow:
    return PropertyRow(name, "t", "pass", 10, worst, 0.1, backend)


def check_png(figure: Figure) -> tuple[int, int]:
    """Parse the PNG, check its sums, and give its size."""
    stream = io.BytesIO(figure.png)
    assert stream.read(8) == b"\x89PNG\r\n\x1a\n"
    kinds, size = [], (0, 0)
    while head := stream.read(8):
        length, kind = struct.unpack(">I4s", head)
        data = stream.read(length)
        assert struct.unpack(">I", stream.read(4))[0] == zlib.crc32(kind + data)
        kinds.append(kind)
        if kind == b"IHDR":
            size = struct.unpack(">II", data[:8])
    assert kinds[0] == b"IHDR" and kinds[-1] == b"IEND" and b"IDAT" in kinds
    assert b"tEXt" not in kinds and b"tIME" not in kinds
    assert min(size) > 100
    return size


def everything() -> list[Figure]:
    values = np.linspace(-1, 1, 60)
    return [
        encoding_image(np.sin(np.outer(values, values)), "Encoding"),
        attention_image(np.tril(np.ones((12, 12))), ODD_PIECES, 2),
        distribution_image({"before": values, "after": values**3}, "Layer norm"),
        error_over_bound_image([row(0.5), row(0.0), row(math.inf), row(math.nan), row(20.0), row(None)], "Errors"),
    ]


def test_real_pngs_with_words() -> None:
    for figure in everything():
        check_png(figure)
        assert figure.title and figure.caption.endswith(".") and figure.alt.endswith(".")
    assert len({figure.name for figure in everything()}) == 4


def test_same_bytes_in_this_process_and_another() -> None:
    ours = [zlib.crc32(figure.png) for figure in everything()]
    assert [zlib.crc32(figure.png) for figure in everything()] == ours
    code = (
        "import numpy as np; from kernelproof.reports.figures import encoding_image; import zlib;"
        "values = np.linspace(-1, 1, 60);"
        "print(zlib.crc32(encoding_image(np.sin(np.outer(values, values)), 'Encoding').png))"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert int(other.stdout) == ours[0]


def test_settings_of_the_user_change_nothing_and_are_kept() -> None:
    before = encoding_image(np.eye(3), "E").png
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "text.parse_math": True}):
        assert encoding_image(np.eye(3), "E").png == before
        assert matplotlib.rcParams["font.size"] == 30


def test_pyplot_is_not_touched() -> None:
    code = (
        "import sys; from kernelproof.reports.figures import encoding_image;"
        "encoding_image([[1.0]], 'E'); print('matplotlib.pyplot' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120).stdout
    assert out.strip() == "False"


@pytest.mark.parametrize("table", [[[0.0]], [[1.0, -2.0]], [[1.0], [2.0]], [[math.nan, math.inf]], np.zeros((512, 3))])
def test_encodings_of_any_size(table: list[list[float]]) -> None:
    check_png(encoding_image(table, "$E$"))


def test_attention_over_one_token() -> None:
    figure = attention_image([[1.0]], ["a"], 0)
    check_png(figure)
    assert figure.caption == "Each row is one token's weights over the tokens it may attend to; darker is more."


def test_attention_is_cut_and_says_so() -> None:
    figure = attention_image(np.full((50, 50), 0.02), ["a"] * 50, 1)
    assert "The first 32 of 50 tokens are shown, so a row may not add up to one here." in figure.caption
    assert max(check_png(figure)) < 2000
    assert figure.png == attention_image(np.full((50, 50), 0.02), ["a"] * 50, 1).png


def test_attention_says_that_a_glyph_is_missing() -> None:
    assert BOX in attention_image(np.eye(2), ["a", "日"], 0).caption
    assert BOX not in attention_image(np.eye(2), ["a", "é"], 0).caption


def test_attention_with_fewer_keys_than_queries() -> None:
    check_png(attention_image(np.ones((5, 2)) / 2, list("abcde"), 0))
    with pytest.raises(ValueError, match=r"shape \(5, 2\) have more tokens than the 2 given"):
        attention_image(np.ones((5, 2)), ["a", "b"], 0)


@pytest.mark.parametrize("bad", [np.zeros((0, 3)), np.zeros(3), np.zeros((1, 2, 3))])
def test_arrays_that_are_no_picture(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected a non-empty array of 2 axes"):
        encoding_image(bad, "E")


def test_distributions_of_anything() -> None:
    for values in ([1.0], [1.0, 1.0], [], [math.nan, math.inf], [1e300, -1e300], np.zeros((2, 3, 4)), [0.0, 5e-324]):
        check_png(distribution_image(values, "Values"))
    assert "2 values are not finite and left out." in distribution_image([math.nan, math.inf, 1.0], "V").caption


def test_errors_counts_every_property() -> None:
    rows = [row(0.5), row(2.0), row(None), row(math.inf, backend="cupy")]
    figure = error_over_bound_image(rows, "Errors")
    assert figure.caption == "3 of 4 properties measured an error; 2 went beyond the bound."
    many = error_over_bound_image([row(i / 100, f"p{i}") for i in range(200)], "Errors")
    assert f"the {MOST_BARS} largest are shown" in many.caption
    check_png(many)
    check_png(error_over_bound_image([], "None"))
    for extreme in (5e-324, 1e308):
        check_png(error_over_bound_image([row(extreme)], "Extreme"))


def test_drawable_text() -> None:
    assert drawable("a$é") == "a$é"
    assert drawable("日\n\ud800") == BOX * 3
