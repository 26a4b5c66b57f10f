"""``kernelproof.bound``: right kernels are within it, wrong calls are told apart, and what is unknown is infinite."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import kernelproof
from kernelproof.properties.bound import bound
from kernelproof.properties.model import dtype_named
from kernelproof.properties.shapes import PHASES, phase_shape
from kernelproof.symbolic.errors import InputError

SIZES = {"n": 3, "m": 5, "d": 4, "e": 2, "h": 6, "vocab": 7, "heads": 2}
OPTIONS: dict[str, dict[str, Any]] = {
    "attention": {"causal": True, "scale": 0.5, "mask": np.array([True, True, False, True, True])},
    "multi_head_attention": {"causal": False, "mask": None},
    "layer_norm": {"eps": 1e-3},
    "rms_norm": {"eps": 0},
    "rotary": {"base": 100, "start": 2},
    "positional": {"start": 3, "base": 50.0},
}


def inputs_of(phase: str, dtype: str = "float32") -> dict[str, Any]:
    """A call of the phase on a batch of two."""
    g, shape = np.random.default_rng(1), phase_shape(phase)
    tensors: dict[str, Any] = {}
    for tensor in shape.tensors:
        lengths = tuple(2 if axis == "..." else SIZES[axis] for axis in tensor.axes)
        tensors[tensor.name] = (
            g.integers(0, SIZES[tensor.below], lengths) if tensor.below else g.standard_normal(lengths).astype(dtype_named(dtype))
        )
    if shape.packed:
        name, members = shape.packed
        tensors[name] = {member: tensors.pop(member) for member in members}
    return {**tensors, **{name: SIZES[axis] for name, axis in shape.size_options}, **OPTIONS.get(phase, {})}


@pytest.mark.parametrize("phase", PHASES)
def test_a_generated_kernel_is_within_it_and_a_changed_one_is_not(phase: str) -> None:
    inputs = inputs_of(phase)
    reference, allowed = kernelproof.bound(phase, inputs)
    shape = phase_shape(phase)
    positional = [inputs[name] for name in shape.arguments]
    keywords = {name: value for name, value in inputs.items() if name not in shape.arguments}
    mine = kernelproof.generate(phase)(*positional, **keywords)
    assert mine.shape == reference.shape == allowed.shape
    assert np.isfinite(allowed).all()
    assert (abs(mine - reference) <= allowed).all()
    assert not (abs(mine * np.float32(1.001) - reference) <= allowed).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_it_is_that_of_the_dtype_asked_for(dtype: str) -> None:
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes", reason="NumPy has bfloat16 only through it")
    inputs = inputs_of("softmax", dtype)
    reference, allowed = bound("softmax", inputs, dtype=dtype)
    mine = kernelproof.generate("softmax", dtype=dtype)(inputs["x"])
    assert (abs(mine.astype(reference.dtype) - reference) <= allowed).all()
    unit = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float64": 2.0**-53}[dtype]
    assert (allowed >= unit * reference).all() and (allowed <= 500 * unit).all()
    assert reference.dtype == (np.longdouble if dtype == "float64" else np.float64)
    inferred = bound("softmax", inputs)
    assert np.array_equal(inferred[0], reference) and np.array_equal(inferred[1], allowed)


def test_it_is_the_generated_kernels_own_bound() -> None:
    q, k, v = (np.random.default_rng(2).standard_normal((2, 4, 8)).astype(np.float32) for _ in range(3))
    ours = kernelproof.bound("attention", {"q": q, "k": k, "v": v, "causal": True}, dtype="float32")
    kernels = kernelproof.generate("attention").error_bound(q, k, v, causal=True)
    assert all(np.array_equal(one, other) for one, other in zip(ours, kernels, strict=True))


def test_variants_change_the_reference() -> None:
    x = np.linspace(-2, 2, 9, dtype=np.float32)
    found = {name: bound("activation", {"x": x}, activation=name)[0] for name in ("relu", "silu")}
    assert np.array_equal(found["relu"], np.maximum(x, 0).astype(np.float64))
    assert abs(found["silu"] - x / (1 + np.exp(-x.astype(np.float64)))).max() < 1e-12


def test_heads_of_attention_may_broadcast() -> None:
    q, k, v = (np.ones(shape, np.float32) for shape in ((2, 3, 4, 5), (3, 6, 5), (1, 6, 2)))
    mask = np.zeros((2, 1, 1, 6), np.float32)
    reference, _ = bound("attention", {"q": q, "k": k, "v": v, "mask": mask})
    assert reference.shape == (2, 3, 4, 2) and np.array_equal(reference, np.ones_like(reference))


def test_what_cannot_be_known_is_infinite() -> None:
    reference, allowed = bound("softmax", {"x": np.array([[1, np.nan], [1, 2]], np.float32)})
    assert np.isinf(allowed[0]).all() and np.isfinite(allowed[1]).all() and np.isfinite(reference[1]).all()
    # 1e4 times 10 does not fit into float16
    lists = {"x": [[1e4]], "w1": [[10]], "b1": [0], "w2": [[1]], "b2": [0]}
    _, allowed = bound("feed_forward", {name: np.array(value, np.float16) for name, value in lists.items()})
    assert np.isinf(allowed).all()


def test_the_same_call_gives_the_same_bits() -> None:
    one, other = (bound("layer_norm", inputs_of("layer_norm")) for _ in range(2))
    assert all(a.tobytes() == b.tobytes() for a, b in zip(one, other, strict=True))


F = np.float32
SELF = {name: np.zeros((3, 4), F) for name in "qkv"}
BAD: list[tuple[str, Any, dict[str, Any], str]] = [
    ("softmaxx", {}, {}, "phase 'softmaxx'"),
    ("softmax", {"x": np.zeros(3, F)}, {"colour": "red"}, "variant colour=red of softmax: there is no variant 'colour'; this phase"),
    ("softmax", [1, 2], {}, "bounding softmax: inputs is of type list; expected a mapping with x"),
    ("softmax", {}, {}, "bounding softmax: inputs lacks x; expected x"),
    (
        "attention",
        {**SELF, "maks": None},
        {},
        "bounding attention: inputs has maks, which f(q, k, v, *, causal=False, mask=None, scale=None) does not take; "
        "expected q, k, v, [causal], [mask], [scale]",
    ),
    (
        "softmax",
        {"x": np.zeros(3)},
        {"dtype": "float8"},
        "bounding softmax: dtype 'float8'; expected one of float16, bfloat16, float32, float64",
    ),
    (
        "softmax",
        {"x": np.zeros(3)},
        {"dtype": "float32"},
        "bounding softmax: x is float64; expected float32, the dtype asked for: convert it, and give the kernel what you converted",
    ),
    (
        "attention",
        {**SELF, "v": np.zeros((3, 4))},
        {},
        "bounding attention: v is float64; expected float32, as q is: convert it, and give the kernel what you converted",
    ),
    (
        "softmax",
        {"x": [1, 2]},
        {},
        "bounding softmax: x is int64; expected one of float16, bfloat16, float32, float64: convert it, for the kernel too",
    ),
    (
        "softmax",
        {"x": "abc"},
        {},
        "bounding softmax: x is of type str, which NumPy cannot read (TypeError: expected one array); "
        "give an array of numbers in the CPU's memory",
    ),
    ("softmax", {"x": F(1)}, {}, "bounding softmax: x has shape (); expected x (..., n)"),
    (
        "attention",
        {**SELF, "k": np.zeros((3, 5), F)},
        {},
        "bounding attention: k has shape (3, 5) and q has (3, 4): d would be 4 and 5; expected k (..., m, d) with one d",
    ),
    (
        "layer_norm",
        {"x": np.zeros((2, 3), F), "gain": np.zeros((2, 3), F), "bias": np.zeros(3, F)},
        {},
        "bounding layer_norm: gain has shape (2, 3); expected gain (d)",
    ),
    (
        "attention",
        {name: np.zeros((heads, 3, 4), F) for name, heads in zip("qkv", (2, 3, 2), strict=True)},
        {},
        "bounding attention: q (2, 3, 4), k (3, 3, 4), v (2, 3, 4); expected leading axes that broadcast to one shape",
    ),
    (
        "attention",
        {**SELF, "mask": np.ones((3, 3), int)},
        {},
        "bounding attention: mask is int64; expected bool (True = may attend) or float32 (added to the scores)",
    ),
    (
        "attention",
        {**SELF, "mask": np.ones((4, 3), bool)},
        {},
        "bounding attention: mask has shape (4, 3); expected one that broadcasts to the scores' shape (3, 3)",
    ),
    ("attention", {**SELF, "causal": 1}, {}, "bounding attention: causal is 1; expected True or False"),
    ("attention", {**SELF, "scale": np.inf}, {}, "bounding attention: scale is inf; expected a finite number"),
    (
        "rms_norm",
        {"x": np.zeros(3, F), "gain": np.zeros(3, F), "eps": -1},
        {},
        "bounding rms_norm: eps is -1; expected a finite number from 0 up",
    ),
    ("rotary", {"x": np.zeros((2, 3), F)}, {}, "bounding rotary: width 3; expected an even width, channels go in pairs"),
    ("rotary", {"x": np.zeros((2, 4), F), "base": 0}, {}, "bounding rotary: base is 0; expected a finite positive number"),
    ("positional", {"n_positions": 3, "d_model": 2.5}, {}, "bounding positional: d_model is 2.5; expected a whole number from 0 up"),
    (
        "positional",
        {"n_positions": 3, "d_model": 5},
        {"layout": "halves"},
        "bounding positional: width 5; expected an even width, channels go in pairs",
    ),
    (
        "embedding",
        {"ids": np.array([0, 7]), "table": np.zeros((7, 2), F)},
        {},
        "bounding embedding: ids from 0 to 7; expected 0 <= id < 7, the rows of the table",
    ),
    ("embedding", {"ids": np.zeros(3), "table": np.zeros((7, 2), F)}, {}, "bounding embedding: ids is float64; expected integers"),
    (
        "multi_head_attention",
        {"x": np.zeros((3, 4), F), **{name: np.zeros((4, 4), F) for name in ("w_q", "w_k", "w_v", "w_o")}, "n_heads": 3},
        {},
        "bounding multi_head_attention: width 4 and n_heads 3; expected a number of heads that divides the width",
    ),
    (
        "encoder_block",
        {"x": np.zeros((3, 4), F), "params": 3, "n_heads": 1},
        {},
        "bounding encoder_block: params is of type int; expected a mapping with w_q",
    ),
    (
        "encoder_block",
        {"x": np.zeros((3, 4), F), "params": {}, "n_heads": 1},
        {},
        "bounding encoder_block: params lacks w_q, w_k, w_v, w_o, w1, b1, w2, b2, gain1, bias1, gain2, bias2; expected",
    ),
]


@pytest.mark.parametrize(("phase", "inputs", "more", "text"), BAD, ids=[f"{row[0]}: {row[3].partition(': ')[2][:40]}" for row in BAD])
def test_a_call_that_cannot_be_used_says_why(phase: str, inputs: Any, more: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError) as refused:
        bound(phase, inputs, **more)
    assert text in str(refused.value)
    assert "\n" not in str(refused.value)
