"""Calls that a kernel refuses: each error says what was being done, the value, and what was expected."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from numeric_cases import Calls, kernel_of

KERNELS = {
    phase: kernel_of(phase)
    for phase in (
        "embedding", "positional", "rotary", "softmax", "attention", "multi_head_attention", "feed_forward", "activation", "layer_norm",
        "rms_norm", "encoder_block",
    )
}


def f(*shape: int) -> np.ndarray:
    return np.ones(shape, dtype=np.float32)


def params(**changed: Any) -> dict[str, Any]:
    names = dict.fromkeys(("w_q", "w_k", "w_v", "w_o", "w1", "w2"), f(4, 4))
    return {**names, **dict.fromkeys(("b1", "b2", "gain1", "bias1", "gain2", "bias2"), f(4)), **changed}


SQUARE = (f(4, 4),) * 4
INTEGERS = np.ones((2, 4), dtype=np.int64)
REFUSED: list[tuple[str, tuple[Any, ...], dict[str, Any], type[Exception], str]] = [
    ("embedding", (f(2), f(3, 2)), {}, TypeError, "ids of dtype float32; expected integers"),
    ("embedding", (np.array([True]), f(3, 2)), {}, TypeError, "ids of dtype bool; expected integers"),
    ("embedding", (np.array([0]), f(3)), {}, ValueError, "table has shape (3,); expected (vocab, d)"),
    ("embedding", (np.array([0]), INTEGERS), {}, TypeError, "table of dtype int64; expected floating point"),
    ("embedding", (np.array([0, 3]), f(3, 2)), {}, IndexError, "ids from 0 to 3; expected 0 <= id < 3"),
    ("embedding", (np.array([-1]), f(3, 2)), {}, IndexError, "ids from -1 to -1; expected 0 <= id < 3"),
    ("embedding", (np.array([0]), f(0, 2)), {}, IndexError, "ids from 0 to 0; expected 0 <= id < 0"),
    ("positional", (-1, 4), {}, ValueError, "-1 positions of width 4; expected whole numbers from 0 up"),
    ("positional", (2.5, 4), {}, ValueError, "2.5 positions of width 4"),
    ("positional", (2, 4), {"base": -1.0}, ValueError, "base -1.0 and start 0.0; expected a positive number"),
    ("positional", (2, 4), {"base": float("nan")}, ValueError, "base nan"),
    ("positional", (2, 4), {"start": float("inf")}, ValueError, "start inf"),
    ("rotary", (f(3),), {}, ValueError, "x has shape (3,); expected (..., n, d)"),
    ("rotary", (f(2, 3),), {}, ValueError, "width 3; expected an even width"),
    ("rotary", (f(2, 4),), {"base": 0.0}, ValueError, "base 0.0"),
    ("softmax", (f(),), {}, ValueError, "x has shape (); expected (..., n)"),
    ("softmax", (INTEGERS,), {}, TypeError, "x of dtype int64; expected floating point, as from .astype(np.float32)"),
    ("softmax", (np.array(["a"]),), {}, TypeError, "x of dtype <U1"),
    ("softmax", (np.array([1j]),), {}, TypeError, "x of dtype complex128"),
    ("activation", (np.array([None]),), {}, TypeError, "x of dtype object"),
    ("attention", (f(4), f(3, 4), f(3, 2)), {}, ValueError, "q has shape (4,); expected (..., n, d)"),
    ("attention", (f(2, 4), f(4), f(3, 2)), {}, ValueError, "k has shape (4,); expected (..., m, d)"),
    ("attention", (f(2, 4), f(3, 4), f(3)), {}, ValueError, "v has shape (3,); expected (..., m, e)"),
    ("attention", (f(2, 4), f(3, 5), f(3, 2)), {}, ValueError, "q (2, 4), k (3, 5), v (3, 2)"),
    ("attention", (f(2, 4), f(3, 4), f(2, 2)), {}, ValueError, "expected (..., n, d), (..., m, d), (..., m, e)"),
    ("attention", (f(2, 2, 4), f(3, 3, 4), f(3, 2)), {}, ValueError, "expected leading axes that broadcast"),
    ("attention", (f(2, 4), f(3, 4), f(3, 2)), {"mask": np.ones((2, 3), dtype=int)}, TypeError, "mask of dtype int64; expected bool"),
    ("attention", (f(2, 4), f(3, 4), f(3, 2)), {"mask": np.ones((3, 2), dtype=bool)}, ValueError, "mask of shape (3, 2); expected one"),
    ("attention", (f(1, 4), f(3, 4), f(3, 2)), {"mask": np.ones((5, 3), dtype=bool)}, ValueError, "the scores' shape (1, 3)"),
    ("attention", (f(1, 4), f(3, 4), f(3, 2)), {"mask": np.ones((2, 1, 3), dtype=bool)}, ValueError, "the scores' shape (1, 3)"),
    ("multi_head_attention", (f(4), *SQUARE), {"n_heads": 2}, ValueError, "x has shape (4,); expected (..., n, d)"),
    ("multi_head_attention", (f(3, 4), *SQUARE), {"n_heads": 3}, ValueError, "width 4 and n_heads=3; expected a whole number of heads"),
    ("multi_head_attention", (f(3, 4), *SQUARE), {"n_heads": 0}, ValueError, "width 4 and n_heads=0"),
    ("multi_head_attention", (f(3, 4), *SQUARE), {"n_heads": 2.5}, ValueError, "width 4 and n_heads=2.5"),
    ("multi_head_attention", (f(3, 4), *SQUARE[:3], f(4, 7)), {"n_heads": 2}, ValueError, "w_o has shape (4, 7); expected (4, 4)"),
    (
        "multi_head_attention", (f(2, 3, 4), *SQUARE), {"n_heads": 2, "mask": np.ones((2, 1, 3, 3), dtype=bool)}, ValueError,
        "mask of shape (2, 1, 3, 3); expected one that broadcasts to the scores' shape (2, 3, 3)",
    ),
    ("feed_forward", (f(3, 4), f(5, 2), f(2), f(2, 4), f(4)), {}, ValueError, "x (3, 4), w1 (5, 2); expected (..., d) and (d, h)"),
    ("feed_forward", (f(3, 4), f(4, 2), f(1), f(2, 4), f(4)), {}, ValueError, "b1 has shape (1,); expected (2,)"),
    ("feed_forward", (f(3, 4), f(4, 2), f(2), f(2, 5), f(5)), {}, ValueError, "w2 has shape (2, 5); expected (2, 4)"),
    ("feed_forward", (f(3, 4), f(4, 2), f(2), f(2, 4), INTEGERS[0]), {}, TypeError, "b2 of dtype int64"),
    ("layer_norm", (f(), f(1), f(1)), {}, ValueError, "x has shape (); expected (..., d)"),
    ("layer_norm", (f(2, 4), f(1), f(4)), {}, ValueError, "gain has shape (1,); expected (4,)"),
    ("layer_norm", (f(2, 4), f(4), f(2, 4)), {}, ValueError, "bias has shape (2, 4); expected (4,)"),
    ("layer_norm", (f(2, 4), f(4), f(4)), {"eps": -1e-5}, ValueError, "eps -1e-05; expected a number from 0 up"),
    ("rms_norm", (f(2, 4), f(4)), {"eps": float("nan")}, ValueError, "eps nan; expected a number from 0 up"),
    ("rms_norm", (f(2, 4), f(3)), {}, ValueError, "gain has shape (3,); expected (4,)"),
    ("encoder_block", (f(3, 4), {"w_q": f(4, 4)}), {"n_heads": 2}, KeyError, "params lacks ['w_k', 'w_v'"),
    ("encoder_block", (f(3, 4), params(gain2=f(1))), {"n_heads": 2}, ValueError, "gain2 has shape (1,); expected (4,)"),
    ("encoder_block", (f(3, 4), params(w1=f(4))), {"n_heads": 2}, ValueError, "w1 has shape (4,); expected (4, 4)"),
    ("encoder_block", (f(3, 4), params(b1=INTEGERS[0])), {"n_heads": 2}, TypeError, "b1 of dtype int64"),
]


@pytest.mark.parametrize(("phase", "arguments", "options", "error", "words"), REFUSED, ids=[f"{row[0]}-{row[4][:40]}" for row in REFUSED])
def test_refused(phase: str, arguments: tuple[Any, ...], options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=re.escape(words)) as caught:
        KERNELS[phase](*arguments, **options)
    message = str(caught.value)
    assert f"{phase}: " in message and "expected" in message and "\n" not in message


def test_an_odd_width_has_no_halves() -> None:
    with pytest.raises(ValueError, match="width 5; expected an even width in the layout halves"):
        kernel_of("positional", {"layout": "halves"})(2, 5)


@pytest.mark.parametrize("kind", ["int8", "int32", "uint16", "uint64"])
def test_ids_of_every_integer_type(kind: str) -> None:
    ids, table = np.array([[2, 0]], dtype=kind), np.eye(3, dtype=np.float32)
    assert KERNELS["embedding"](ids, table).tolist() == [[[0, 0, 1], [1, 0, 0]]]


@pytest.mark.parametrize("phase", sorted(KERNELS))
def test_right_calls_are_not_refused(phase: str) -> None:
    arguments, options = Calls(0).of(phase, dict(KERNELS[phase].variant))
    assert KERNELS[phase](*arguments, **options) is not None
