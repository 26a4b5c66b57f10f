"""Attention on tensor cores, executed on the CPU: within the derived bound, whatever the order of threads, and only where arguments fit.

The emulator's mma adds in float32 in the order of k; how hardware rounds inside is not seen here.
"""

from __future__ import annotations

import itertools
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from kernelproof.numeric.cupy_file import cupy_source
from kernelproof.numeric.rounding import arithmetic_for
from kernelproof.symbolic.registry import derive

pytestmark = pytest.mark.cuda
ALIGNMENTS = ("top_left", "bottom_right")


@pytest.fixture(scope="module")
def tensor_cases(neighbour: Any) -> ModuleType:
    return neighbour("tensor_cases")  # type: ignore[no-any-return]


@pytest.mark.tier("T2", kernel="attention on tensor cores")
@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize(("dtype", "width"), [*itertools.product(("float16", "bfloat16"), (64, 128))])
def test_every_call_keeps_its_bound(
    dtype: str, width: int, alignment: str, emulation: ModuleType, compiler: Any, cases: ModuleType, tensor_cases: ModuleType
) -> None:
    derivation = derive("attention", causal_alignment=alignment)
    module = emulation.stand_in(compiler)
    kernel = emulation.namespace_of(cupy_source(derivation, dtype), module)["attention"]
    bounds = cases.Bounds(derivation, dtype, "")
    for call in tensor_cases.calls(cases, dtype, width):
        before = module.RawModule.counts.copy()
        with np.errstate(all="ignore"):
            result = kernel(*cases.arguments("attention", call, dtype), **call.options)
        loads, conflicts, products = module.RawModule.counts - before
        seen = call.seen()
        bounds.check(call, result, None)
        assert conflicts == 0, f"{conflicts} banks met twice"
        if result.size and seen["k"].shape[-2] and not call.options.get("causal"):
            assert loads > 0 and products > 0, "the tensor-core kernel was not used"
    assert bounds.total.compared > 0
    assert bounds.total.inconclusive <= 0.2 * (bounds.total.compared + bounds.total.inconclusive)


@pytest.mark.tier("T2", kernel="attention on tensor cores")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_order_of_threads_does_not_matter(
    dtype: str, emulated: Any, cases: ModuleType, tensor_cases: ModuleType
) -> None:
    source = cupy_source(derive("attention"), dtype)
    kernels = [emulated(source, "attention", schedule) for schedule in (0, 1, 2, 7, 8)]
    for call in tensor_cases.few(cases, dtype, 64):
        results = [kernel(*cases.arguments("attention", call, dtype), **call.options).tobytes() for kernel in kernels]
        assert len(set(results)) == 1, "the result depends on the order in which threads run"


def test_what_does_not_fit_goes_another_way(emulation: ModuleType, compiler: Any, cases: ModuleType) -> None:
    derivation, dtype = derive("attention"), "float16"
    source, draw, bounds = cupy_source(derivation, dtype), cases.Draw("float16", 3), cases.Bounds(derivation, dtype, "")
    fitting = {name: draw(20, 64) for name in "qkv"}
    others = [
        (cases.Call(fitting, {"mask": draw.choice(20, 20)}), "90"), (cases.Call(fitting, {"scale": -0.5}), "90"),
        (cases.Call({name: draw(20, 32) for name in "qkv"}), "90"), (cases.Call({**fitting, "v": draw(20, 5)}), "90"),
        (cases.Call(fitting, {"scale": 0.0}), "90"), (cases.Call(fitting), "75"),
    ]
    for call, capability in others:
        module = emulation.stand_in(compiler, capability=capability)
        kernel = emulation.namespace_of(source, module)["attention"]
        bounds.check(call, kernel(*cases.arguments("attention", call, dtype), **call.options), None)
        assert not module.RawModule.counts.any(), "the tensor-core kernel was used"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_heads_of_queries_share_keys_and_values(dtype: str, emulation: ModuleType, compiler: Any, cases: ModuleType) -> None:
    """A variant whose heads are an axis: keys and values are read by index, no copy of them is made."""
    derivation = derive("attention", grouped_query=True)
    module, bounds = emulation.stand_in(compiler), cases.Bounds(derivation, dtype, "")
    kernel = emulation.namespace_of(cupy_source(derivation, dtype), module)["attention"]
    for call in cases.grouped(cases.Draw(dtype, 4), 64):
        before = module.RawModule.counts.copy()
        result = kernel(*cases.arguments("attention", call, dtype), **call.options)
        bounds.check(call, result, None)
        fits = "mask" not in call.options and result.size and call.seen()["k"].size
        assert bool(fits) == bool((module.RawModule.counts - before)[2]), "masks go another way, all else to the tensor cores"


def test_wrong_arguments_are_told_as_before(emulated: Any) -> None:
    kernel = emulated(cupy_source(derive("attention"), "float16"), "attention")
    q, k = np.zeros((2, 4, 64), np.float16), np.zeros((3, 4, 64), np.float16)
    with pytest.raises(ValueError, match="expected leading axes that broadcast"):
        kernel(q, k, k)
    with pytest.raises(ValueError, match=r"expected \(\.\.\., n, d\), \(\.\.\., m, d\)"):
        kernel(q, q, q[:, :3])
    with pytest.raises(TypeError, match="q of dtype float32; expected float16"):
        kernel(q.astype(np.float32), q, q)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_log_sum_exp_of_each_row(dtype: str, alignment: str, emulation: ModuleType, compiler: Any, cases: ModuleType) -> None:
    """Held to a bound from the rounding of each step: the product, the scale and the shift of a score, the sum, and the logarithm."""
    space = emulation.namespace_of(cupy_source(derive("attention", causal_alignment=alignment), dtype), emulation.stand_in(compiler))
    draw, on = cases.Draw(dtype, 5), arithmetic_for(dtype, np.dtype(np.float64))
    for (n, m), causal in itertools.product(((77, 130), (90, 70), (3, 0)), (False, True)):
        call = cases.Call({"q": draw(2, n, 64), "k": draw(2, m, 64), "v": draw(2, m, 64)}, {"causal": causal, "scale": 0.5})
        out, sums = space["attention_with_sums"](*cases.arguments("attention", call, dtype), **call.options)
        assert out.tobytes() == space["attention"](*cases.arguments("attention", call, dtype), **call.options).tobytes()
        q, k = call.tensors["q"], call.tensors["k"]
        scores, sizes = (0.5 * one @ other.swapaxes(-1, -2) for one, other in ((q, k), (abs(q), abs(k))))
        ahead = (0 if alignment == "top_left" else m - n) if causal else m
        hidden = np.arange(m) > np.arange(n)[:, None] + ahead
        exact = np.logaddexp.reduce(np.where(hidden, -np.inf, scores), axis=-1, initial=-np.inf)
        # a score: the product of 64 terms, the scale put on it and rounded itself, the shift rounded; a term of the sum: an exponential
        # of 3 ulp and one more for each tile's rescaling; then the product of the maximum and two numbers, a logarithm of 4 ulp, a sum
        largest = np.max(np.where(hidden, 0, sizes), axis=-1, initial=0)
        tiles = -(-m // 64)
        off = (on.gamma(64) + 4 * on.unit) * largest + on.gamma(m + 2) + 8 * on.unit * (tiles + 1)
        bound = off + 4 * on.unit * largest + 9 * on.unit * np.log(max(m, 2)) + 2 * on.unit * abs(exact)
        nothing = np.isneginf(exact)
        assert sums.dtype == np.float32 and sums.shape == exact.shape
        assert np.isneginf(sums[nothing]).all() and (abs(sums[~nothing] - exact[~nothing]) <= bound[~nothing]).all()
        assert not out.any(axis=-1)[nothing].any(), "a row that sees no key gives zeros"


def test_large_scores_leave_results_between_the_values(emulated: Any, cases: ModuleType) -> None:
    """attention.hull_above and attention.hull_below, where the bound of the definition is infinite: equal scores of 10^10.

    A weight is rounded once to 16 bits where it meets a value, not in the sum; then sums, a reciprocal, a product, the result's rounding.
    """
    source, draw = cupy_source(derive("attention"), "float16"), cases.Draw("float16", 6)
    on = arithmetic_for("float16", np.dtype(np.float64))
    q, k = np.full((5, 64), 28000, np.float16), np.full((70, 64), 28000, np.float16)
    v = draw.exact(1 + np.abs(np.tanh(draw(70, 64)))).astype(np.float16)
    most = (1 + on.store.unit) ** 2 * (1 + on.gamma(2 * 70 + 4))

    def between(text: str) -> bool:
        with np.errstate(all="ignore"):
            found = emulated(text, "attention")(q, k, v).astype(np.float64)
        return bool(((v.min(axis=0) / most <= found) & (found <= v.max(axis=0) * most)).all())

    assert between(source)
    assert not between(source.replace("fabsf(shift) > 1048576.0f", "false")), "without the guard the last place of the shift is seen"


@pytest.mark.tier(kernel="attention on tensor cores")
@pytest.mark.parametrize("sanitizer", ["address", "thread"])
def test_sanitizers_find_nothing(
    sanitizer: str, emulation: ModuleType, compiler: Any, cases: ModuleType, tensor_cases: ModuleType
) -> None:
    derivation, dtype = derive("attention", causal_alignment="bottom_right"), "float16"
    module = emulation.stand_in(compiler, 2, sanitizer)
    kernel, bounds = emulation.namespace_of(cupy_source(derivation, dtype), module)["attention"], cases.Bounds(derivation, dtype, "")
    for call in tensor_cases.few(cases, dtype, 64):
        bounds.check(call, kernel(*cases.arguments("attention", call, dtype), **call.options), None)
    for call in itertools.islice(tensor_cases.few(cases, dtype, 128), 1):
        bounds.check(call, kernel(*cases.arguments("attention", call, dtype), **call.options), None)
