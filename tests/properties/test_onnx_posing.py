"""A node case in the contract's words: variants where it has them, a mask for the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kernelproof.properties.onnx_posing import NodeCase, NotApplicable, Posed, pose


def attention(q: tuple[int, ...] = (2, 4, 3, 8), m: int = 3, kv: int = 4, extra: dict[str, Any] | None = None, **attributes: Any) -> Posed:
    g = np.random.default_rng(0)
    shapes = {"Q": q, "K": (2, kv, m, 8), "V": (2, kv, m, 5)} if len(q) == 4 else {"Q": q, "K": (2, m, kv * 8), "V": (2, m, kv * 5)}
    inputs = {name: g.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    return pose(NodeCase("a", "Attention", 25, attributes, inputs | (extra or {}), {}, 1e-3, 1e-7))


def past(length: int) -> dict[str, Any]:
    return {"past_key": np.zeros((2, 4, length, 8), np.float32), "past_value": np.zeros((2, 4, length, 5), np.float32)}


def test_what_the_contract_has_is_said_in_its_words() -> None:
    assert (attention().variant, attention().options) == ({}, {})
    assert (attention(is_causal=1).variant, attention(is_causal=1).options) == ({}, {"causal": True})
    assert attention(q=(2, 8, 3, 8)).variant == {"grouped_query": True}
    assert attention(softcap=2.0).variant == {"softcap": 2.0}
    assert attention(is_causal=1, left_window_size=2).variant == {"window": 3}
    found = attention(is_causal=1, scale=0.5, extra=past(4))
    assert (found.variant, found.options) == ({"causal_alignment": "bottom_right"}, {"causal": True, "scale": 0.5})
    assert found.tensors["k"].shape == (2, 4, 7, 8) and found.given["present_value"].shape == (2, 4, 7, 5)
    assert attention(extra=past(4)).variant == {}


def test_an_offset_that_is_no_alignment_becomes_a_mask() -> None:
    found = attention(m=6, is_causal=1, extra=past(2))
    assert found.variant == {} and "causal" not in found.options
    # query i stands at key i + 2
    assert (found.options["mask"][1, 3] == np.tri(3, 8, 2, dtype=bool)).all()


def test_lengths_and_windows_to_the_right_become_a_mask() -> None:
    lengths = attention(m=5, extra={"nonpad_kv_seqlen": np.array([2, 5])}).options["mask"]
    assert (lengths[0, 0].sum(-1) == 2).all() and lengths[1].all()
    window = attention(m=5, left_window_size=1, right_window_size=2).options["mask"][0, 0]
    assert window.astype(int).tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [0, 1, 1, 1, 1]]
    causal = attention(m=5, is_causal=1, extra={"nonpad_kv_seqlen": np.array([2, 5])}).options["mask"]
    # three queries at the end of two filled keys: the first stands before the first key
    assert causal[0, 0].astype(int).tolist() == [[0] * 5, [1, 0, 0, 0, 0], [1, 1, 0, 0, 0]]


def test_masks_keep_their_kind_and_are_made_long_enough() -> None:
    short = attention(m=5, extra={"attn_mask": np.ones((3, 2), dtype=bool)}).options["mask"]
    assert short.astype(int).tolist() == [[1, 1, 0, 0, 0]] * 3
    numbers = attention(m=5, extra={"attn_mask": np.ones((3, 2), np.float32)}).options["mask"]
    assert numbers.dtype == np.float32 and np.isneginf(numbers[:, 2:]).all() and (numbers[:, :2] == 1).all()
    both = attention(m=5, left_window_size=0, extra={"attn_mask": np.full((3, 5), 2, np.float32)}).options["mask"]
    assert np.isneginf(both[0, 0][1, 0]) and both[0, 0][1, 1] == 2
    one = attention(m=5, extra={"attn_mask": np.ones((3, 1), dtype=bool)}).options["mask"]
    assert one.shape == (3, 1)


def test_heads_come_out_of_the_width_and_go_back() -> None:
    found = attention(q=(2, 3, 32), q_num_heads=4, kv_num_heads=4)
    assert found.tensors["q"].shape == (2, 4, 3, 8) and found.tensors["v"].shape == (2, 4, 3, 5)
    out = np.arange(2 * 4 * 3 * 5).reshape(2, 4, 3, 5)
    assert (found.back(out)[1, 2].reshape(4, 5) == out[1, :, 2]).all()


@pytest.mark.parametrize(("precision", "applies"), [(1, True), (11, False), (16, False)])
def test_a_softmax_in_another_type_than_the_kernels_is_not_applicable(precision: int, applies: bool) -> None:
    if applies:
        assert attention(softmax_precision=precision).variant == {}
        return
    with pytest.raises(NotApplicable, match="softmax_precision"):
        attention(softmax_precision=precision)


def test_norms_flatten_the_axes_they_run_over() -> None:
    x = np.zeros((2, 3, 4), np.float32)
    scale = np.arange(12, dtype=np.float32).reshape(3, 4)
    found = pose(NodeCase("n", "LayerNormalization", 17, {"axis": 1, "epsilon": 0.5}, {"X": x, "Scale": scale}, {}, 0, 0))
    assert found.tensors["x"].shape == (2, 12) and (found.tensors["gain"] == np.arange(12)).all() and not found.tensors["bias"].any()
    assert found.options == {"eps": 0.5} and found.back(found.tensors["x"]).shape == x.shape
    assert set(pose(NodeCase("n", "RMSNormalization", 23, {}, {"X": x, "Scale": scale[0]}, {}, 0, 0)).tensors) == {"x", "gain"}


def test_softmax_over_any_axis_and_both_gelus() -> None:
    x = np.zeros((2, 3, 4), np.float32)
    found = pose(NodeCase("s", "Softmax", 13, {"axis": 1}, {"X": x}, {}, 0, 0))
    assert found.tensors["x"].shape == (2, 4, 3) and found.back(found.tensors["x"]).shape == x.shape
    for attributes, form in (({}, "gelu"), ({"approximate": "tanh"}, "gelu_tanh")):
        assert pose(NodeCase("g", "Gelu", 20, attributes, {"X": x}, {}, 0, 0)).variant == {"activation": form}
