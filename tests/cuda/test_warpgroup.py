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


def test_it_is_off_until_it_is_switched_on_and_for_one_architecture(emulation: ModuleType, compiler: Any, cases: ModuleType) -> None:
    source, draw = cupy_source(derive("attention"), "float16"), cases.Draw("float16", 3)
    call = cases.Call({name: draw(20, 64) for name in "qkv"})
    for text, capability, here in ((source, "90", False), (switched(source), "90", True), (switched(source), "100", False)):
        module = emulation.stand_in(compiler, capability=capability)
        emulation.namespace_of(text, module)["attention"](*cases.arguments("attention", call, "float16"))
        assert (module.RawModule.counts[0] == 0) == here, "ldmatrix is the other kernel's"


@pytest.mark.parametrize("dtype", FORMATS)
def test_it_compiles_within_its_contract(dtype: str, neighbour: Any) -> None:
    """No spills, no local memory, nothing that the compiler makes wait; the wanted instructions as often as the tiles say."""
    nvrtc = neighbour("nvrtc")
    found = nvrtc.constants(cupy_source(derive("attention"), dtype), "WARPGROUP_CUDA", "WARPGROUP_LAUNCH")
    contract = found["WARPGROUP_LAUNCH"]
    ptx = nvrtc.compiled(found["WARPGROUP_CUDA"], contract, "sm_90a", nvrtc.MOST_SHARED_90)
    assert not re.search(r"\.f64\b|\.local\b", ptx)
    for name, kernel in contract.items():
        assert kernel["blocks"] * kernel["block"] * kernel["registers"] <= 65536
        width = int(name.removeprefix("attention_warpgroup"))
        own = ptx.partition(f".entry {name}(")[2].partition(".entry ")[0]
        assert own.count("wgmma.mma_async.sync.aligned") == width // 16 + 8
        assert own.count("wgmma.wait_group") == 2 and own.count("fence.proxy.async") == 1
    with pytest.raises(nvrtc.CompileError, match="wgmma"):
        nvrtc.compiled(found["WARPGROUP_CUDA"], contract, "sm_90")


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


@pytest.mark.parametrize("dtype", FORMATS)
def test_wrappers_are_the_golden_ones(dtype: str) -> None:
    """No other tier sees what a wrapper's instruction does: a change has to be meant, and looked up in the PTX manual."""
    golden = Path(__file__).with_name(f"warpgroup_{dtype}.golden").read_text(encoding="utf-8").strip()
    assert warpgroup_wrappers(dtype) == golden
    bodies = golden.split("__forceinline__")[1:]
    assert len(bodies) == 10 and all(body.count("asm") <= 1 and body.count(";\\n") <= 3 for body in bodies)


#: two matrices put into shared memory entry by entry, by the formulas of the manual written down once more, and their product
LAID = r"""
#include <cuda_fp16.h>
extern "C" __global__ void laid(const unsigned short* a, const unsigned short* b, float* out)
{
    KP_DYNAMIC_SHARED(memory);
    const unsigned long long skip = (1024 - kp_shared_address(memory) % 1024) % 1024;
    unsigned char* base = memory + skip;
    for (int at = threadIdx.x; at < 64 * 64; at += 128) {
        const int row = at / 64, column = at % 64, byte = row * 128 + column * 2;
        *reinterpret_cast<unsigned short*>(base + (byte ^ (row % 8 * 16))) = a[at];
    }
    for (int at = threadIdx.x; at < 64 * 128; at += 128) {  // TURNED ? 64 rows of 128 columns, in two panels : 128 rows of 64
        const int row = TURNED ? at / 128 : at / 64, column = TURNED ? at % 128 : at % 64;
        const int byte = (TURNED ? column / 64 * 8192 : 0) + row * 128 + column % 64 * 2;
        *reinterpret_cast<unsigned short*>(base + 8192 + (byte ^ (row % 8 * 16))) = b[at];
    }
    kp_proxy_fence();
    __syncthreads();
    const unsigned long long start = kp_shared_address(base) / 16, rest = 64ull << 32 | 1ull << 62;
    float c[16][4];
    unsigned left[4][4];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for (int step = 0; step < 4; ++step) {
        for (int part = 0; part < 4; ++part) {
            const int row = warp * 16 + lane / 4 + part % 2 * 8, column = step * 16 + lane % 4 * 2 + part / 2 * 8;
            left[step][part] = a[row * 64 + column] | (unsigned)a[row * 64 + column + 1] << 16;
        }
    }
    kp_wgmma_fence();
    for (int step = 0; step < 4; ++step) {
        if (TURNED) {
            kp_wgmma_values(c, left[step], (start + 512 + step * 128) | 512ull << 16 | rest, step > 0);
        } else {
            kp_wgmma_scores(c, (start + step * 2) | 1ull << 16 | rest, (start + 512 + step * 2) | 1ull << 16 | rest, step > 0);
        }
    }
    kp_wgmma_commit();
    kp_wgmma_wait<0>();
    for (int at = 0; at < 64; ++at) {
        out[(warp * 16 + lane / 4 + at / 2 % 2 * 8) * 128 + at / 4 * 8 + lane % 4 * 2 + at % 2] = c[at / 4][at % 4];
    }
}
"""


@pytest.mark.parametrize("turned", [False, True])
def test_a_product_of_a_warpgroup_is_the_product_of_matrices(turned: bool, neighbour: Any, compiler: Any) -> None:
    random = np.random.default_rng(0)
    a = random.integers(-8, 9, (64, 64)).astype(np.float16)
    b = random.integers(-8, 9, (64, 128) if turned else (128, 64)).astype(np.float16)
    out = np.full((64, 128), np.nan, dtype=np.float32)
    text = LAID.replace("TURNED", str(int(turned)))
    error, counts = neighbour("test_emulator").run(compiler, text, "laid", 128, 8192 * 3 + 1024, a, b, out)
    assert error == "" and counts.tolist() == [0, 0, 4 * 4]
    assert (out == a.astype(np.float32) @ (b if turned else b.T).astype(np.float32)).all()


#: what must be reported, with a part of the report; one group, `from` a place in global memory
FAULTY = {
    "no fence": ("START", "no kp_wgmma_fence came before"),
    "not waited for": ("kp_wgmma_fence(); START kp_wgmma_commit();", "was not waited for"),
    "not ended": ("kp_wgmma_fence(); START kp_wgmma_wait<0>();", "was not waited for"),
    "memory written in flight": (
        "kp_wgmma_fence(); START kp_wgmma_commit(); __syncthreads(); memory[1024 + threadIdx.x] = 1; __syncthreads(); kp_wgmma_wait<0>();",
        "shared memory was written before",
    ),
    "a factor written in flight": (
        "kp_wgmma_fence(); kp_wgmma_values(c, left, B, 0); left[1] = 7; kp_wgmma_commit(); kp_wgmma_wait<0>();",
        "of a left factor was written",
    ),
    "sums written in flight": (
        "kp_wgmma_fence(); START c[3][1] = 0; kp_wgmma_commit(); kp_wgmma_wait<0>();", "sums in flight were written",
    ),
    "sums written between two products": (
        "kp_wgmma_fence(); START c[3][1] = 0; START kp_wgmma_commit(); kp_wgmma_wait<0>();", "sums in flight were written",
    ),
    "another exchange": ("kp_wgmma_fence(); kp_wgmma_scores(c, A, B & ~(3ull << 62), 0);", "another exchange"),
    "outside": ("kp_wgmma_fence(); kp_wgmma_scores(c, A, B + 2048, 0);", "reads outside shared memory"),
    "not shown": (
        "kp_cp16(memory + 1024 + threadIdx.x * 16, from, 16); kp_cp_commit(); kp_cp_wait<0>(); __syncthreads(); kp_wgmma_fence(); START",
        "no kp_proxy_fence",
    ),
    "shown before it was there": (
        "kp_cp16(memory + 1024 + threadIdx.x * 16, from, 16); kp_cp_commit(); kp_proxy_fence(); kp_cp_wait<0>(); __syncthreads(); "
        "kp_wgmma_fence(); START", "no kp_proxy_fence",
    ),
    "one warp alone": (
        "if (threadIdx.x < 32) { kp_wgmma_fence(); START kp_wgmma_commit(); kp_wgmma_wait<0>(); }", "start different products",
    ),
}


@pytest.mark.parametrize("schedule", [0, 2])
@pytest.mark.parametrize("name", FAULTY)
def test_what_must_be_reported_is(name: str, schedule: int, neighbour: Any, compiler: Any) -> None:
    start = "(1ull << 62 | 64ull << 32 | 1ull << 16 | (kp_shared_address(memory) + 896) / 16)"
    texts = [body.replace("START", "kp_wgmma_scores(c, A, B, 0);") for body, _ in FAULTY.values()]
    body = "".join(
        f'extern "C" __global__ void faulty{at}(const unsigned char* from)\n{{\nKP_DYNAMIC_SHARED(memory); float c[16][4] = {{}}; '
        f"unsigned left[4] = {{}};\nconst unsigned long long A = {start}, B = {start} + 512; (void)A, (void)B, (void)left;\n"
        f"for (int at = threadIdx.x; at < 32768; at += 128) memory[at] = 0;\n__syncthreads();\n{text}\n}}\n"
        for at, text in enumerate(texts)
    )
    names = tuple(f"faulty{at}" for at in range(len(FAULTY)))
    library = compiler.library(f"#include <cuda_fp16.h>\n{body}", names)
    error = neighbour("test_emulator").launched(library, names[list(FAULTY).index(name)], 128, 32768, schedule)
    assert FAULTY[name][1] in error
