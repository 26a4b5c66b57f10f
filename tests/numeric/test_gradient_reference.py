"""The reference of every gradient against differences of the phase's own reference, and its bound against kernels that round on purpose."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kernelproof.numeric.gradient_reference import GRAD_OUT, gradient_reference
from kernelproof.numeric.reference import reference
from kernelproof.properties.mutants.gradient_block_parts import right_gradient
from kernelproof.symbolic.errors import InputError
from kernelproof.symbolic.phases.attention_options import VARIANTS

G = np.random.default_rng(7)
B, N, M, D, E, H, F = (2,), 3, 4, 5, 2, 6, 2


def normal(*shape: int) -> Any:
    return G.standard_normal(shape)


WIDTH = 2 * F
BLOCK = {
    **{name: normal(WIDTH, WIDTH) / 2 for name in ("w_q", "w_k", "w_v", "w_o")},
    "w1": normal(WIDTH, H),
    "b1": normal(H),
    "w2": normal(H, WIDTH),
    "b2": normal(WIDTH),
    **{name: normal(WIDTH) for name in ("gain1", "bias1", "gain2", "bias2")},
}
MASK = np.array([[True, False, True, True], [False, False, False, False], [True, True, True, False]])
SWIGLU: dict[str, object] = {"activation": "silu", "gated": True}
#: variants beside those that tables go through
COMBINED: tuple[dict[str, object], ...] = (
    {"rotary": "interleaved", "sinks": True, "softcap": 1.5}, {"fully_masked": "mean", "grouped_query": True, "window": 2},
    {"alibi": True, "fully_masked": "nan"}, {"alibi": True, "softcap": 2.0, "causal_alignment": "bottom_right"},
)


def _gated(*names: str) -> dict[str, Any]:
    """Parameters of a gated feed-forward or block by name, in the contract's order."""
    order = ("w_q", "w_k", "w_v", "w_o", "w1", "b1", "w_gate", "w2", "b2", "gain1", "bias1", "gain2", "bias2")
    known = {**BLOCK, "w_gate": normal(WIDTH, H)}
    return {name: known[name] for name in order if name in names}


def _of_variant(variant: Any) -> tuple[str, dict[str, object], dict[str, Any], dict[str, Any], tuple[int, ...]]:
    """A call of attention with rows without keys, and with heads where the variant has them; three queries of each key head in a group."""
    keys = (2,) if {"grouped_query", "sinks", "alibi"} & set(variant) else ()
    queries = (6,) if variant.get("grouped_query") else keys
    tensors = {"q": normal(*B, *queries, N, 4), "k": normal(*B, *keys, M, 4), "v": normal(*B, *keys, M, E)}
    tensors |= {"sinks": normal(*queries)} if variant.get("sinks") else {}
    options = {"mask": MASK} if variant.get("fully_masked") != "nan" else {"causal": True}
    return "attention", dict(variant), tensors, options, (*B, *queries, N, E)


#: phase, variant, tensors, options, shape of the result
CASES: list[tuple[str, dict[str, object], dict[str, Any], dict[str, Any], tuple[int, ...]]] = [
    ("softmax", {}, {"x": normal(*B, N)}, {}, (*B, N)),
    ("attention", {}, {"q": normal(*B, N, D), "k": normal(*B, M, D), "v": normal(*B, M, E)}, {"causal": True}, (*B, N, E)),
    ("attention", {}, {"q": normal(*B, N, D), "k": normal(*B, M, D), "v": normal(*B, M, E)}, {"mask": MASK, "scale": 0.3}, (*B, N, E)),
    ("attention", {}, {"q": normal(3, *B, N, D), "k": normal(M, D), "v": normal(1, *B, M, E)}, {}, (3, *B, N, E)),
    ("embedding", {}, {"ids": np.array([[1, 3, 1], [0, 1, 3]]), "table": normal(4, D)}, {}, (*B, 3, D)),
    ("rotary", {"layout": "halves"}, {"x": normal(*B, N, 4)}, {"start": 3, "base": 50.0}, (*B, N, 4)),
    ("rotary", {"layout": "interleaved"}, {"x": normal(*B, N, 4)}, {}, (*B, N, 4)),
    ("layer_norm", {}, {"x": normal(*B, N, D), "gain": normal(D), "bias": normal(D)}, {"eps": 0.1}, (*B, N, D)),
    ("rms_norm", {}, {"x": normal(*B, N, D), "gain": normal(D)}, {}, (*B, N, D)),
    *(("activation", {"activation": name}, {"x": normal(*B, N)}, {}, (*B, N)) for name in ("relu", "gelu", "gelu_tanh", "silu")),
    (
        "feed_forward",
        {"activation": "silu"},
        {"x": normal(*B, N, WIDTH), **{name: BLOCK[name] for name in ("w1", "b1", "w2", "b2")}},
        {},
        (*B, N, WIDTH),
    ),
    (
        "multi_head_attention",
        {},
        {"x": normal(*B, N, WIDTH), **{name: BLOCK[name] for name in ("w_q", "w_k", "w_v", "w_o")}},
        {"n_heads": 2, "causal": True},
        (*B, N, WIDTH),
    ),
    ("encoder_block", {"norm": "post", "activation": "gelu"}, {"x": normal(*B, N, WIDTH), **BLOCK}, {"n_heads": 2}, (*B, N, WIDTH)),
    ("encoder_block", {"norm": "pre", "activation": "relu"}, {"x": normal(*B, N, WIDTH), **BLOCK}, {"n_heads": 2}, (*B, N, WIDTH)),
    *(_of_variant(variant) for variant in (*VARIANTS, *COMBINED)),
    ("feed_forward", SWIGLU, {"x": normal(*B, N, WIDTH), **_gated("w1", "b1", "w_gate", "w2", "b2")}, {}, (*B, N, WIDTH)),
    ("encoder_block", {"norm": "pre", **SWIGLU}, {"x": normal(*B, N, WIDTH), **_gated(*BLOCK, "w_gate")}, {"n_heads": 2}, (*B, N, WIDTH)),
]


def _name(case: Any) -> str:
    return "-".join([case[0], *map(str, case[1].values()), *map(str, case[3])])


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_every_gradient_is_the_slope_of_the_phase(case: Any) -> None:
    """Central differences of the phase's reference in long double, in a random direction for each input."""
    phase, variant, tensors, options, shape = case
    grad_out = normal(*shape)
    found = gradient_reference(phase, variant, {**tensors, GRAD_OUT: grad_out}, options, "float32")
    step = 1e-5
    assert set(found) == {name for name in tensors if name != "ids"}
    for name, approx in found.items():
        assert approx.value.shape == approx.error.shape == tensors[name].shape
        direction = normal(*tensors[name].shape)
        ahead, back = (
            reference(phase, variant, {**tensors, name: tensors[name] + sign * step * direction}, options, "float32").value
            for sign in (1, -1)
        )
        slope = (grad_out * (ahead - back)).sum() / (2 * step)
        assert abs((approx.value * direction).sum() - slope) <= 1e-7 * (1 + np.abs(approx.value * direction).sum())


@pytest.mark.parametrize("case", [case for case in CASES if case[0] != "encoder_block"], ids=_name)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_plain_kernel_is_within_the_bound_and_a_rounder_one_is_not(case: Any, dtype: str) -> None:
    phase, variant, tensors, options, shape = case
    if phase == "activation" and variant["activation"] == "relu":
        pytest.skip("exact: one product")
    if phase == "attention" and not variant and tensors["k"].ndim == 2:
        pytest.skip("the plain kernel has no broadcast leading axes")
    given = {name: array if name == "ids" else array.astype(dtype) for name, array in {**tensors, GRAD_OUT: normal(*shape)}.items()}
    found = gradient_reference(phase, variant, given, options, dtype)
    observed = dict(zip(found, right_gradient(phase, variant)(*given.values(), **options), strict=True))
    coarse = np.float16 if dtype == "float32" else np.float32
    for name, approx in found.items():
        assert np.isfinite(approx.error).all()
        assert (np.abs(observed[name] - approx.value) <= approx.error).all()
        rounded = observed[name].astype(coarse).astype(approx.value.dtype)
        if rounded.size < 4:
            # so few numbers may by chance be nearly the coarse ones: off by one unit instead
            rounded = approx.value * (1 + float(np.finfo(coarse).eps))
        assert (np.abs(rounded - approx.value) > approx.error).any(), f"the bound of {name} does not see {coarse.__name__}"


def test_rows_that_may_attend_to_nothing_get_and_give_exactly_nothing() -> None:
    _, variant, tensors, options, shape = CASES[2]
    found = gradient_reference("attention", variant, {**tensors, GRAD_OUT: normal(*shape)}, options, "float32")
    # what underflow may leave is all that is allowed
    assert not found["q"].value[:, 1].any() and (found["q"].error[:, 1] < 1e-30).all()


def test_an_input_that_is_broadcast_gets_the_sum() -> None:
    q, k, v, g = normal(2, N, D), normal(M, D), normal(M, E), normal(2, N, E)
    both = gradient_reference("attention", {}, {"q": q, "k": k, "v": v, GRAD_OUT: g}, {}, "float32")
    each = [gradient_reference("attention", {}, {"q": q[b], "k": k, "v": v, GRAD_OUT: g[b]}, {}, "float32") for b in range(2)]
    for name in ("k", "v"):
        assert np.allclose(both[name].value, sum(one[name].value for one in each), rtol=1e-12, atol=1e-12)
        assert (both[name].error >= sum(one[name].error for one in each)).all()


def test_errors_of_the_inputs_are_carried() -> None:
    tensors = {"x": normal(N), GRAD_OUT: normal(N)}
    plain = gradient_reference("softmax", {}, tensors, {}, "float32")["x"]
    errors = {"x": np.full(N, 1e-3), GRAD_OUT: np.zeros(N)}
    carried = gradient_reference("softmax", {}, tensors, {}, "float32", errors)["x"]
    moved = gradient_reference("softmax", {}, {**tensors, "x": tensors["x"] + 1e-3 * np.array([1, -1, 1])}, {}, "float32")["x"]
    assert (carried.error > plain.error).all() and (np.abs(moved.value - plain.value) <= carried.error).all()


def test_a_slope_where_rounding_decides_is_unknown() -> None:
    for x, unknown in ((0.0, True), (1e-3, False), (-1e-3, False)):
        tensors = {"x": np.array([x]), GRAD_OUT: np.array([2.0])}
        error = gradient_reference("activation", {"activation": "relu"}, tensors, {}, "float32")["x"].error
        assert (error >= 2.0).all() == unknown


def test_of_rows_that_are_nan_by_convention_nothing_is_claimed() -> None:
    """Nor of the keys and values that they would read; the derived gradient is zero there."""
    _, variant, tensors, _, shape = _of_variant({"fully_masked": "nan"})
    given = {**tensors, GRAD_OUT: normal(*shape)}
    mask = np.broadcast_to(np.arange(M) < 2, (*B, N, M)).copy()
    mask[1, 0] = False
    found = gradient_reference("attention", variant, given, {"mask": mask}, "float32")
    assert np.isinf(found["q"].error[1, 0]).all() and np.isfinite(found["q"].error[1, 1:]).all() and not found["q"].value[1, 0].any()
    for name in ("k", "v"):
        assert np.isinf(found[name].error[1]).all() and np.isfinite(found[name].error[0]).all()


def test_a_weight_that_underflows_beside_a_sink_is_known() -> None:
    """The shift is the largest of scores and sink: nothing overflows for a sink of 1000, and its gradient is nearly nothing."""
    _, variant, tensors, _, shape = _of_variant({"sinks": True})
    far = {**tensors, "sinks": np.array([1e3, -1e3]), GRAD_OUT: normal(*shape)}
    found = gradient_reference("attention", variant, far, {}, "float32")
    assert all(np.isfinite(one.error).all() for one in found.values())
    assert not found["q"].value[:, 0].any() and found["q"].value[:, 1].any()


def test_earlier_keys_get_no_gradient() -> None:
    _, _, tensors, _, shape = CASES[1]
    with pytest.raises(InputError, match="gradient of attention with past_k and past_v: earlier keys and values get no gradient"):
        past = {"past_k": tensors["k"], "past_v": tensors["v"]}
        gradient_reference("attention", {}, {**tensors, GRAD_OUT: normal(*shape)}, past, "float32")


def test_overflow_is_no_claim() -> None:
    tensors = {"x": np.array([1.0, 2.0]), GRAD_OUT: np.array([3e38, -3e38])}
    assert np.isinf(gradient_reference("softmax", {}, tensors, {}, "float32")["x"].error).any()


def test_a_phase_without_gradients() -> None:
    with pytest.raises(InputError, match="no differentiable input"):
        gradient_reference("positional", {}, {GRAD_OUT: np.zeros((2, 2))}, {"n_positions": 2, "d_model": 2}, "float32")
