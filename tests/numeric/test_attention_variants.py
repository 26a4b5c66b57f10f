"""Generated kernels of the variants of attention against a plain NumPy one in float64, and within their own bound.

The other kernel repeats key heads and hides with −∞; it shares nothing with the generator. Calls that do not fit a variant are refused.
"""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest

from kernelproof.numeric.cupy_file import cupy_source
from kernelproof.numeric.kernel import generate
from kernelproof.numeric.validation import validate
from kernelproof.symbolic.registry import derive, phase, variants_of

SAMPLES = [variant for variant in variants_of("attention") if variant]
TOGETHER: list[dict[str, object]] = [
    {"grouped_query": True, "sinks": True, "alibi": True, "softcap": 1.5, "window": 2},
    {"alibi": True, "sinks": True, "causal_alignment": "bottom_right"},
    {"grouped_query": True, "alibi": True, "fully_masked": "mean", "window": 1},
    {"grouped_query": True, "rotary": "halves", "sinks": True, "window": 3, "softcap": 1.5},
]
GATED = [(name, dict(variant)) for name in ("feed_forward", "encoder_block") for variant in phase(name).samples]


def name_of(value: object) -> str:
    return "-".join(f"{key}_{part}" for key, part in value.items()) if isinstance(value, dict) else str(value)


def slopes(heads: int) -> list[float]:
    """Of a power of two of heads: 2^(−8/heads) and its powers; else as the paper fills up."""
    if math.log2(heads).is_integer():
        return [2.0 ** (-8 * (head + 1) / heads) for head in range(heads)]
    power = 2 ** math.floor(math.log2(heads))
    return slopes(power) + slopes(2 * power)[0::2][: heads - power]


def turned(x: Any, layout: str, first: int = 0) -> Any:
    """Pairs of channels as complex numbers, times e^(i·position·10000^(−pair/pairs))."""
    h = x.shape[-1] // 2
    one, two = (x[..., 0::2], x[..., 1::2]) if layout == "interleaved" else (x[..., :h], x[..., h:])
    whole = (one + 1j * two) * np.exp(1j * (first + np.arange(x.shape[-2]))[:, None] * 10000.0 ** (-np.arange(h) / h))
    return np.concatenate([whole.real, whole.imag], -1)


def plain(
    variant: dict[str, Any], q: Any, k: Any, v: Any, sinks: Any = None, *, causal: bool = False, mask: Any = None, scale: Any = None,
    past: int = 0,
) -> Any:
    """One row at a time, over the keys that it sees."""
    heads, n, d = q.shape[-3:]
    if "rotary" in variant:
        q, k = turned(q, variant["rotary"], past), turned(k, variant["rotary"])
    m = k.shape[-2]
    out = np.zeros((*q.shape[:-1], v.shape[-1]))
    group = heads // k.shape[-3]
    mask = np.broadcast_to(True if mask is None else mask, (*q.shape[:-1], m))
    for *lead, head, i in np.ndindex(q.shape[:-1]):
        at, other = (*lead, head), (*lead, head // group)
        s = k[other] @ q[(*at, i)] * (1 / math.sqrt(d) if scale is None else scale)
        if "softcap" in variant:
            s = variant["softcap"] * np.tanh(s / variant["softcap"])
        ahead = np.arange(m) - i - (m - n if variant.get("causal_alignment") else 0)
        s = s + slopes(heads)[head] * ahead if variant.get("alibi") else s
        row = mask[(*at, i)]
        seen, s = (row, s) if row.dtype == bool else (np.isfinite(row), s + np.where(np.isfinite(row), row, 0))
        seen = seen & (ahead <= 0) if causal or "window" in variant else seen
        seen = seen & (ahead > -variant["window"]) if "window" in variant else seen
        if not seen.any():
            out[(*at, i)] = {"mean": v[other].mean(0), "nan": np.nan}.get(variant.get("fully_masked", ""), 0.0)
            continue
        weights = np.exp(s[seen] - s[seen].max())
        rest = np.exp(sinks[head] - s[seen].max()) if sinks is not None else 0.0
        out[(*at, i)] = weights @ v[other][seen] / (weights.sum() + rest)
    return out


@pytest.mark.parametrize("variant", [*SAMPLES, *TOGETHER], ids=name_of)
def test_a_variant_is_what_it_says_within_its_bound(variant: dict[str, object]) -> None:
    kernel, rng = generate("attention", dtype="float64", **variant), np.random.default_rng(7)
    for (keys, group), (n, m) in product(((1, 1), (2, 3), (3, 2), (5, 1)), ((4, 6), (5, 3))):
        heads = keys * group if variant.get("grouped_query") else keys
        q, k, v = (rng.standard_normal((2, count, *shape)) for count, shape in ((heads, (n, 4)), (keys, (m, 4)), (keys, (m, 3))))
        given = [q, k, v, *([rng.standard_normal(heads)] if variant.get("sinks") else [])]
        added = np.where(rng.random((heads, n, m)) < 0.6, rng.standard_normal((heads, n, m)), -np.inf)
        for options in ({}, {"causal": True}, {"mask": rng.random((2, heads, n, m)) < 0.5, "scale": 0.7}, {"mask": added, "causal": True}):
            found, expected = kernel(*given, **options), plain(variant, *given, **options)
            assert found.shape == expected.shape and (np.isnan(found) == np.isnan(expected)).all()
            assert np.allclose(found, expected, rtol=0, atol=1e-13, equal_nan=True)
            reference, bound = kernel.error_bound(*given, **options)
            claimed = ~np.isnan(expected)
            assert (abs(found - reference)[claimed] <= bound[claimed]).all() and (bound[claimed] < 1e-11).all()
            assert np.isinf(bound[~claimed]).all()


@pytest.mark.parametrize("variant", [{}, *SAMPLES, *TOGETHER], ids=name_of)
def test_keys_and_values_come_one_by_one_as_all_at_once(variant: dict[str, object]) -> None:
    """Three tokens, then one, then two: the rows of the causal whole; what is given back is what is to be handed in next."""
    kernel, rng = generate("attention", dtype="float64", **variant), np.random.default_rng(3)
    q, k, v = (rng.standard_normal((2, count, 6, 4)) for count in (6 if variant.get("grouped_query") else 3, 3, 3))
    sinks = [rng.standard_normal(q.shape[1])] if variant.get("sinks") else []
    whole, rows = plain(variant, q, k, v, *sinks, causal=True), []
    earlier: dict[str, Any] = {"past_k": np.zeros((2, 3, 0, 4)), "past_v": np.zeros((2, 3, 0, 4))}
    for at in (slice(0, 3), slice(3, 4), slice(4, 6)):
        given = (q[..., at, :], k[..., at, :], v[..., at, :], *sinks)
        reference, bound = kernel.error_bound(*given, causal=True, **earlier)
        out, keys, values = kernel(*given, causal=True, **earlier)
        assert (keys == k[..., : at.stop, :]).all() and (values == v[..., : at.stop, :]).all()
        assert (abs(out - reference) <= bound).all()
        rows.append(out)
        earlier = {"past_k": keys, "past_v": values}
    assert np.allclose(np.concatenate(rows, -2), whole, rtol=0, atol=1e-13)


def test_earlier_keys_keep_the_dtype_and_go_with_values() -> None:
    kernel, x = generate("attention", dtype="float32"), np.ones((2, 3), np.float16)
    out, keys, values = kernel(x, x, x, past_k=x, past_v=x)
    assert (out.dtype, keys.dtype, values.dtype) == (np.float16,) * 3 and keys.shape == (4, 3)
    with pytest.raises(ValueError, match="attention: one of past_k and past_v is given; expected both or neither"):
        kernel(x, x, x, past_k=x)
    with pytest.raises(ValueError, match=r"attention: past_v \(1, 3\) for \(2, 3\); expected .* as many past_k"):
        kernel(x, x, x, past_k=x, past_v=x[:1])


@pytest.mark.parametrize(("name", "variant"), [*(("attention", variant) for variant in SAMPLES), *GATED], ids=name_of)
def test_the_source_agrees_with_the_definition_in_many_digits(name: str, variant: dict[str, object]) -> None:
    found = validate(generate(name, **variant))  # type: ignore[arg-type]
    assert found.passed and found.refused == found.bad, "\n".join(found.remarks)


def test_heads_that_do_not_fit_are_refused() -> None:
    q, k, sinks = np.zeros((4, 3, 2)), np.zeros((3, 3, 2)), np.zeros(3)
    with pytest.raises(ValueError, match=r"attention: heads \(axis -3\) of q \(4, 3, 2\), k \(3, 3, 2\).* a multiple of as many"):
        generate("attention", grouped_query=True)(q, k, k)
    with pytest.raises(ValueError, match=r"attention: sinks has shape \(3,\); expected \(4,\), one for each query head"):
        generate("attention", sinks=True)(q, q, q, sinks)
    with pytest.raises(ValueError, match=r"attention: q has shape \(3, 2\); expected \(..., heads, n, d\)"):
        generate("attention", alibi=True)(q[0], q[0], q[0])


def test_an_odd_width_cannot_be_turned() -> None:
    with pytest.raises(ValueError, match="attention: q and k have width 3; expected an even width, channels turn in pairs"):
        generate("attention", rotary="halves")(np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((2, 1)))


def test_no_heads_and_no_members_of_a_group() -> None:
    kernel = generate("attention", grouped_query=True)
    for keys, queries in ((2, 0), (0, 0)):
        assert kernel(np.zeros((queries, 3, 2)), np.zeros((keys, 4, 2)), np.zeros((keys, 4, 5))).shape == (queries, 3, 5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_what_is_turned_stays_in_the_format_computed_in(dtype: str) -> None:
    """Rotary positions on CuPy: rounded to 16 bits before they meet a key, queries would lose what the bound does not allow."""
    source = cupy_source(derive("attention", rotary="halves"), dtype)
    assert "attention.rotary" in source and "typedef float kp_asked;" in source
    assert "typedef float kp_asked;" not in cupy_source(derive("attention", window=3), dtype)


def test_the_default_kernel_has_no_trace_of_the_variants() -> None:
    source = generate("attention").source
    assert generate("attention", window=None, sinks=False, causal_alignment="top_left").source == source
    words = ("behind", "cap =", "sink", "_slopes", "finish", "math.nan", "grouped")
    assert not any(word in source.partition("import math")[2] for word in words)
