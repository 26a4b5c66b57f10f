"""Attention's gradient on tensor cores: its instructions; executed on the CPU, it is within the derived bound of its arithmetic.

The bound assumes that P and dS are rounded to the stored format where they meet a matrix, and that nothing else is. The emulator's mma adds
in float32 in the order of k; how hardware rounds inside is not seen here. A push runs some of the calls; with ``KERNELPROOF_CUDA_PROFILE``
all pairs of lengths in both alignments, formats and widths.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from kernelproof.numeric.cuda.tensor_gradient import LICENCES, WIDTHS
from kernelproof.numeric.cupy_gradient_file import cupy_gradient_licences, cupy_gradient_source
from kernelproof.numeric.rounding import arithmetic_for
from kernelproof.symbolic.registry import gradient

pytestmark = pytest.mark.cuda
EVERY = bool(os.environ.get("KERNELPROOF_CUDA_PROFILE"))
#: format, width, alignment
PUSHED = [("float16", 64, "top_left"), ("bfloat16", 128, "bottom_right")]
TARGETS = list(itertools.product(("float16", "bfloat16"), (64, 128), ("top_left", "bottom_right"))) if EVERY else PUSHED
GROUPED: dict[str, object] = {"grouped_query": True, "causal_alignment": "bottom_right"}


@pytest.fixture(scope="module")
def given(neighbour: Callable[[str], ModuleType]) -> Any:
    """The modules with calls beside this file."""
    names = ("cases", "tensor_cases", "tensor_gradient_cases", "tensor_gradient_faults", "gradient_cases")
    return SimpleNamespace(**{name: neighbour(name) for name in names})


def source_of(given: Any, variant: dict[str, object], dtype: str, width: int) -> str:
    """The file, with the kernels of one width only: a push compiles no others; the property suite runs the whole file."""
    source = cupy_gradient_source(gradient("attention", **variant), dtype)
    return source if EVERY else str(given.tensor_gradient_faults.of_width(source, width))


def bounds_of(given: Any, variant: dict[str, object], dtype: str) -> Any:
    return given.gradient_cases.Bounds(gradient("attention", **variant), dtype, given.tensor_gradient_cases.precision(dtype))


def run(kernel: Any, call: Any, given: Any, dtype: str) -> list[Any]:
    with np.errstate(all="ignore"):
        return given.gradient_cases.flat(kernel(*given.gradient_cases.arguments("attention", call, dtype), **call.options))


@pytest.mark.tier("T1", kernel="attention gradient on tensor cores")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_text_has_the_wanted_instructions(dtype: str, neighbour: Callable[..., Any]) -> None:
    """In the PTX, as often as the tiles say; nothing of double, no local memory. ``test_compiled`` compiles it for all architectures."""
    nvrtc = neighbour("nvrtc")
    found = nvrtc.constants(cupy_gradient_source(gradient("attention"), dtype), "TENSOR_CUDA", "TENSOR_LAUNCH")
    ptx = nvrtc.compiled(found["TENSOR_CUDA"], found["TENSOR_LAUNCH"], "sm_90")
    assert not re.search(r"\.f64\b|\.local\b", ptx)
    for name, kernel in found["TENSOR_LAUNCH"].items():
        # a multiprocessor of the smallest of these has 65536 registers and 164 KiB of shared memory, 1 KiB of it for each block
        blocks = kernel["blocks"]
        assert blocks * kernel["block"] * kernel["registers"] <= 65536 and blocks * (kernel["shared"] + 1024) <= 164 * 1024
        kind, width = re.fullmatch(r"attention_vjp_tensor_(queries|keys)(\d+)", name).groups()
        tile, steps = WIDTHS[kind][int(width)][0], int(width) // 16
        own = ptx.partition(f".entry {name}(")[2].partition(".entry ")[0]
        products = 3 if kind == "queries" else 4  # of a step, each of steps · tile / 16 pairs of fragments
        assert own.count("mma.sync.aligned.m16n8k16") == 2 * products * steps * tile // 16
        assert own.count("ldmatrix.sync.aligned.m8n8.x4.trans") == (products - 2) * steps * tile // 16
        assert own.count("ldmatrix.sync.aligned.m8n8.x4.shared") == 2 * steps * (1 + tile // 16)


@pytest.mark.tier("T2", kernel="attention gradient on tensor cores")
@pytest.mark.parametrize(("dtype", "width", "alignment"), TARGETS)
@pytest.mark.parametrize("which", ["ragged", "layouts"])
def test_every_call_keeps_its_bound(
    which: str, dtype: str, width: int, alignment: str, given: Any, emulation: ModuleType, compiler: Any
) -> None:
    module, variant = emulation.stand_in(compiler, 7), {"causal_alignment": alignment}
    kernel = emulation.namespace_of(source_of(given, variant, dtype, width), module)["attention_vjp"]
    bounds, own = bounds_of(given, variant, dtype), given.tensor_gradient_cases
    handed = {"ragged": (given.cases, dtype, width, EVERY), "layouts": (given.cases, given.tensor_cases, dtype, width)}
    used = 0
    for call in getattr(own, which)(*handed[which]):
        before = module.RawModule.counts.copy()
        results = run(kernel, call, given, dtype)
        loads, conflicts, products = module.RawModule.counts - before
        assert conflicts == 0, f"{conflicts} banks met twice"
        used += bool(loads > 0 and products > 0)
        assert (loads > 0 and products > 0) or alignment == "bottom_right", "the tensor-core kernels were not used"
        bounds.check(call, results)
        _blind_rows_are_zero(call, results, alignment)
    assert used > 0, "the tensor-core kernels were not used"
    assert bounds.total.compared > 0
    assert bounds.total.inconclusive <= 0.2 * (bounds.total.compared + bounds.total.inconclusive)


def _blind_rows_are_zero(call: Any, results: list[Any], alignment: str) -> None:
    """Queries that see no key have no gradient, nor have keys that no query sees, whatever the bound says of them."""
    if not call.options.get("causal") or call.options.get("mask") is not None:
        return
    n, m = call.seen()["q"].shape[-2], call.seen()["k"].shape[-2]
    ahead = 0 if alignment == "top_left" else m - n
    assert not results[0][..., : max(-ahead, 0), :].any()
    assert not any(part[..., max(n + ahead, 0) :, :].any() for part in results[1:])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"] if EVERY else ["float16"])
def test_heads_that_share_keys_are_summed_in_float32(dtype: str, given: Any, emulation: ModuleType, compiler: Any) -> None:
    module = emulation.stand_in(compiler)
    kernel = emulation.namespace_of(source_of(given, GROUPED, dtype, 64), module)["attention_vjp"]
    bounds = bounds_of(given, GROUPED, dtype)
    for call in given.tensor_gradient_cases.grouped(given.cases, dtype, 64):
        before = module.RawModule.counts.copy()
        results = run(kernel, call, given, dtype)
        loads, conflicts, _ = module.RawModule.counts - before
        assert loads > 0 and conflicts == 0
        bounds.check(call, results)
    assert bounds.total.compared > 0 and bounds.total.inconclusive == 0


@pytest.mark.tier("T2", kernel="attention gradient on tensor cores")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"] if EVERY else ["float16"])
def test_the_order_of_threads_does_not_matter(dtype: str, given: Any, emulated: Any) -> None:
    source = source_of(given, GROUPED, dtype, 64)
    kernels = [emulated(source, "attention_vjp", schedule) for schedule in (0, 1, 2, 7)]
    for call in given.tensor_gradient_cases.few(given.cases, dtype, 64):
        results = [b"".join(part.tobytes() for part in run(kernel, call, given, dtype)) for kernel in kernels]
        assert len(set(results)) == 1, "the gradients depend on the order in which threads run"


def test_what_does_not_fit_goes_another_way(given: Any, emulation: ModuleType, compiler: Any) -> None:
    dtype, variant = "float16", dict[str, object]()
    source, draw, bounds = cupy_gradient_source(gradient("attention"), dtype), given.cases.Draw(dtype, 3), bounds_of(given, variant, dtype)
    names = ("q", "k", "v", "grad_out")
    fitting = {name: draw(5, 64) for name in names}
    others = [
        ({**fitting}, {"mask": draw.choice(5, 5)}, "90"), ({**fitting}, {"scale": -0.5}, "90"), ({**fitting}, {"scale": 0.0}, "90"),
        ({name: draw(5, 32) for name in names}, {}, "90"), ({**fitting, "v": draw(5, 3), "grad_out": draw(5, 3)}, {}, "90"),
        ({**fitting, "q": draw(0, 64), "grad_out": draw(0, 64)}, {}, "90"), ({**fitting, "k": draw(0, 64), "v": draw(0, 64)}, {}, "90"),
        ({**fitting}, {}, "75"),
    ]
    for tensors, options, capability in others:
        module, call = emulation.stand_in(compiler, capability=capability), given.cases.Call(tensors, options)
        results = run(emulation.namespace_of(source, module)["attention_vjp"], call, given, dtype)
        assert not module.RawModule.counts.any(), "the tensor-core kernels were used"
        bounds.check(call, results)


def test_a_call_that_is_wrong_is_told_as_before(emulated: Any, given: Any) -> None:
    kernel = emulated(cupy_gradient_source(gradient("attention"), "float16"), "attention_vjp")
    wrong = np.zeros((5, 64), np.float16)
    with pytest.raises(ValueError, match=r"grad_out has shape \(4, 64\); expected \(5, 64\), that of the result"):
        kernel(wrong, wrong, wrong, wrong[:4])
    with pytest.raises(ValueError, match=r"q has shape \(64,\); expected"):
        kernel(wrong[0], wrong, wrong, wrong)
    with pytest.raises(ValueError, match="expected leading axes that broadcast"):
        kernel(np.stack([wrong] * 2), np.stack([wrong] * 3), wrong, wrong)
    grouped = emulated(cupy_gradient_source(gradient("attention", **GROUPED), "float16"), "attention_vjp")
    heads = np.zeros((3, 5, 64), np.float16)
    with pytest.raises(ValueError, match="expected a multiple of as many key and value heads"):
        grouped(heads, heads[:2], heads[:2], heads)


@pytest.mark.tier(kernel="attention gradient on tensor cores")
@pytest.mark.parametrize("sanitizer", ["address", "thread"])
def test_sanitizers_find_nothing(sanitizer: str, given: Any, emulation: ModuleType, compiler: Any) -> None:
    dtype = "float16"
    for width in (64, 128) if EVERY else (64,):
        module = emulation.stand_in(compiler, 2, sanitizer)
        kernel = emulation.namespace_of(source_of(given, GROUPED, dtype, width), module)["attention_vjp"]
        bounds = bounds_of(given, GROUPED, dtype)
        for call in itertools.islice(given.tensor_gradient_cases.few(given.cases, dtype, width), 0, None, 1 if EVERY else 2):
            bounds.check(call, run(kernel, call, given, dtype))


def test_large_scores_leave_weights_that_sum_to_one(emulated: Any, given: Any) -> None:
    """Equal scores of 10^10, where no bound is finite: the rows of P sum to one, so that Σ_j dV is Σ_i dO.

    A weight is rounded to 16 bits, and before in a logarithm, a difference, an exponential; then sums, and the results' rounding.
    """
    source, draw = source_of(given, {}, "float16", 64), given.cases.Draw("float16", 6)
    on, n, m = arithmetic_for("float16", np.dtype(np.float64)), 5, 70
    q, k = np.full((n, 64), 28000, np.float16), np.full((m, 64), 28000, np.float16)
    v, grad = (draw(rows, 64).astype(np.float16) for rows in (m, n))
    bound = ((1 + on.store.unit) ** 2 * (1 + on.gamma(n + m + 40)) - 1) * np.abs(grad.astype(np.float64)).sum(axis=0) + m * n * 2.0**-24

    def within(text: str) -> bool:
        with np.errstate(all="ignore"):
            found = emulated(text, "attention_vjp")(q, k, v, grad)[2].astype(np.float64)
        return bool((np.abs(found.sum(axis=0) - grad.astype(np.float64).sum(axis=0)) <= bound).all())

    assert within(source)
    shift = r"fmaf\(score\[j\]\[at\] - (sum_tile\[line\]), unit, -(.*?\])\)"
    late = re.sub(shift, r"fmaf(score[j][at], unit, -fmaf(\1, unit, \2))", source)
    assert late != source and not within(late), "where the maximum is taken away after the factor, its last place is seen"


def test_the_file_names_its_theorems_and_has_the_golden_wrappers(neighbour: Callable[..., Any]) -> None:
    here = os.path.dirname(__file__)
    for dtype in ("float16", "bfloat16"):
        found = gradient("attention")
        assert set(LICENCES) <= set(cupy_gradient_licences(found, dtype))
        with open(os.path.join(here, f"wrappers_{dtype}.golden"), encoding="utf-8") as golden:
            assert golden.read().strip() in cupy_gradient_source(found, dtype)
    assert "attention.power_of_two" not in cupy_gradient_licences(gradient("attention"), "float32")
    assert "TENSOR" not in cupy_gradient_source(gradient("attention", window=3), "float16"), "a window has no tensor-core kernel"
