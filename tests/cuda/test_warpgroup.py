"""Attention by products of warpgroups, executed on the CPU: within the derived bound, in any order of threads, and only if switched on.

The emulator's products add in float32 in the order of k; how hardware rounds inside, and whether it does what the wrappers are taken for,
is not seen here.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from kernelproof.numeric.cuda.warpgroup import WIDTHS
from kernelproof.numeric.cuda.warpgroup_wrappers import warpgroup_wrappers
from kernelproof.numeric.cupy_file import cupy_source
from kernelproof.symbolic.registry import derive

pytestmark = pytest.mark.cuda
ALIGNMENTS = ("top_left", "bottom_right")
FORMATS = ("float16", "bfloat16")


@pytest.fixture(scope="module")
def tensor_cases(neighbour: Any) -> ModuleType:
    return neighbour("tensor_cases")  # type: ignore[no-any-return]


def switched(source: str) -> str:
    """The file with its switch on."""
    assert source.count("\nON_WARPGROUPS = False\n") == 1
    return source.replace("\nON_WARPGROUPS = False\n", "\nON_WARPGROUPS = True\n")


@pytest.mark.tier("T2", kernel="attention by products of warpgroups")
@pytest.mark.parametrize(
    ("dtype", "width", "alignment"), [("float16", 64, "bottom_right"), ("float16", 128, "top_left"), ("bfloat16", 64, "top_left")]
)
def test_every_call_keeps_its_bound(
    dtype: str, width: int, alignment: str, emulation: ModuleType, compiler: Any, cases: ModuleType, tensor_cases: ModuleType
) -> None:
    derivation = derive("attention", causal_alignment=alignment)
    module, bounds = emulation.stand_in(compiler), cases.Bounds(derivation, dtype, "")
    kernel = emulation.namespace_of(switched(cupy_source(derivation, dtype)), module)["attention"]
    for call in itertools.chain(tensor_cases.calls(cases, dtype, width), tensor_cases.long(cases, dtype, width)):
        before = module.RawModule.counts.copy()
        with np.errstate(all="ignore"):
            result = kernel(*cases.arguments("attention", call, dtype), **call.options)
        loads, _, products = module.RawModule.counts - before
        bounds.check(call, result, None)
        if result.size and call.seen()["k"].shape[-2] and not call.options.get("causal"):
            assert products > 0 and loads == 0, "another kernel was used"
    assert bounds.total.compared > 0
    assert bounds.total.inconclusive <= 0.2 * (bounds.total.compared + bounds.total.inconclusive)


@pytest.mark.tier("T2", kernel="attention by products of warpgroups")
@pytest.mark.parametrize("dtype", FORMATS)
def test_the_order_of_threads_does_not_matter(dtype: str, emulated: Any, cases: ModuleType, tensor_cases: ModuleType) -> None:
    kernels = [emulated(switched(cupy_source(derive("attention"), dtype)), "attention", schedule) for schedule in (0, 1, 2, 7)]
    for call in itertools.islice(tensor_cases.few(cases, dtype, 64), 3):
        results = [kernel(*cases.arguments("attention", call, dtype), **call.options).tobytes() for kernel in kernels]
        assert len(set(results)) == 1, "the result depends on the order in which threads run"


def test_both_kernels_give_the_same_log_sum_exp(emulation: ModuleType, compiler: Any, cases: ModuleType) -> None:
    """Each is held to a bound by ``test_tensor_cores``; these two differ by the order of a sum in float32."""
    draw, source = cases.Draw("float16", 5), cupy_source(derive("attention", causal_alignment="bottom_right"), "float16")
    spaces = [emulation.namespace_of(text, emulation.stand_in(compiler)) for text in (source, switched(source))]
    for (n, m), causal in itertools.product(((77, 130), (90, 70), (3, 0)), (False, True)):
        call = cases.Call({"q": draw(2, n, 64), "k": draw(2, m, 64), "v": draw(2, m, 64)}, {"causal": causal, "scale": 0.5})
        (_, one), (_, other) = (
            space["attention_with_sums"](*cases.arguments("attention", call, "float16"), **call.options) for space in spaces
        )
        largest = 0.5 * np.abs(call.tensors["q"]).sum(-1).max(initial=0) * np.abs(call.tensors["k"]).max(initial=0)
        seen = ~np.isneginf(one)
        assert (seen == ~np.isneginf(other)).all()
        assert (np.abs(one[seen] - other[seen]) <= (2 * 64 + 16 + 2 * m) * 2.0**-24 * (largest + np.log(m + 1) + 1)).all()


def test_it_is_off_until_it_is_switched_on_and_needs_the_device_and_the_driver(
    emulation: ModuleType, compiler: Any, cases: ModuleType
) -> None:
    source, draw = cupy_source(derive("attention"), "float16"), cases.Draw("float16", 3)
    call = cases.Call({name: draw(20, 64) for name in "qkv"})
    on = switched(source)
    rows = ((source, "90", True, False), (on, "90", True, True), (on, "100", True, False), (on, "90", False, False))
    for text, capability, driver, here in rows:
        module = emulation.stand_in(compiler, capability=capability, driver=driver)
        emulation.namespace_of(text, module)["attention"](*cases.arguments("attention", call, "float16"))
        assert (module.RawModule.counts[0] == 0) == here, "ldmatrix is the other kernel's"


@pytest.mark.tier("T1", kernel="attention by products of warpgroups")
@pytest.mark.parametrize("dtype", FORMATS)
def test_it_compiles_within_its_contract(dtype: str, neighbour: Any) -> None:
    """No spills, no local memory, nothing that the compiler makes wait; the wanted instructions as often as the tiles say."""
    nvrtc = neighbour("nvrtc")
    found = nvrtc.constants(cupy_source(derive("attention"), dtype), "WARPGROUP_CUDA", "WARPGROUP_LAUNCH")
    contract = found["WARPGROUP_LAUNCH"]
    ptx, registers = nvrtc.measured(found["WARPGROUP_CUDA"], contract, "sm_90a", nvrtc.MOST_SHARED_90)
    assert not re.search(r"\.f64\b|\.local\b", ptx)
    for name, kernel in contract.items():
        width = int(name.removeprefix("attention_warpgroup"))
        groups, at_launch, few, many = WIDTHS[width]
        # with fewer at the launch, warps that ask for more would wait for ever
        assert registers[name] == kernel["registers"] == at_launch and kernel["block"] == 128 * (groups + 1)
        assert 128 * (few + groups * many) <= kernel["block"] * at_launch <= 65536
        own = ptx.partition(f".entry {name}(")[2].partition(".entry ")[0]
        assert own.count("wgmma.mma_async.sync.aligned") == width // 16 + 2 * 8
        assert own.count("cp.async.bulk.tensor.5d") == 3 * width // 64 and own.count("setmaxnreg") == 2
    with pytest.raises(nvrtc.CompileError, match="wgmma"):
        nvrtc.compiled(found["WARPGROUP_CUDA"], contract, "sm_90")
    without = found["WARPGROUP_CUDA"].replace("    kp_wgmma_fence();\n", "", 1)
    with pytest.raises(nvrtc.CompileError, match=r"\(C75"):
        nvrtc.compiled(without, contract, "sm_90a", nvrtc.MOST_SHARED_90)


def test_cupy_hands_the_architecture_on(neighbour: Any, cupy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """CuPy adds ``-arch=sm_90`` behind a file's options; NVRTC takes sm_90a, in which alone the text compiles."""
    from cupy.cuda import compiler

    nvrtc = neighbour("nvrtc")
    text = nvrtc.constants(cupy_source(derive("attention"), "float16"), "WARPGROUP_CUDA")["WARPGROUP_CUDA"]
    monkeypatch.setattr(compiler, "_get_arch_for_options_for_nvrtc", lambda arch=None: (f"-arch=sm_{arch}", "cubin"))
    assert compiler._preprocess("", ("-std=c++17", "-arch=sm_90a", "-ftz=true"), "90", "nvrtc"), "CuPy does so first, compute_90 behind"
    made, _ = compiler.compile_using_nvrtc(text, options=("-std=c++17", "-arch=sm_90a", *nvrtc.includes()), arch="90")
    assert made
    with pytest.raises(compiler.CompileException, match="wgmma"):
        compiler.compile_using_nvrtc(text, options=("-std=c++17", *nvrtc.includes()), arch="90")


@pytest.mark.tier(kernel="attention by products of warpgroups")
@pytest.mark.parametrize("sanitizer", ["address", "thread"])
def test_sanitizers_find_nothing(
    sanitizer: str, emulation: ModuleType, compiler: Any, cases: ModuleType, tensor_cases: ModuleType
) -> None:
    derivation, dtype = derive("attention", causal_alignment="bottom_right"), "float16"
    module = emulation.stand_in(compiler, 2, sanitizer)
    kernel = emulation.namespace_of(switched(cupy_source(derivation, dtype)), module)["attention"]
    bounds = cases.Bounds(derivation, dtype, "")
    for call in itertools.chain(itertools.islice(tensor_cases.few(cases, dtype, 64), 1), tensor_cases.long(cases, dtype, 64)):
        bounds.check(call, kernel(*cases.arguments("attention", call, dtype), **call.options), None)


@pytest.mark.tier("T0", kernel="attention by products of warpgroups")
@pytest.mark.parametrize("dtype", FORMATS)
def test_wrappers_are_the_golden_ones(dtype: str) -> None:
    """No other tier sees what a wrapper's instruction does: a change has to be meant, and looked up in the PTX manual."""
    golden = Path(__file__).with_name(f"warpgroup_{dtype}.golden").read_text(encoding="utf-8").strip()
    assert warpgroup_wrappers(dtype) == golden
    bodies = golden.split("__forceinline__")[1:]
    assert len(bodies) == 17 and all(body.count("asm") <= 1 and body.count(";\\n") <= 3 for body in bodies)
