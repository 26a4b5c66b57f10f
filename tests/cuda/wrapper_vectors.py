"""What each one-instruction wrapper does with numbers: asked of a device, or of the emulator, by the same text.

    python tests/cuda/wrapper_vectors.py -o tests/cuda/wrapper_vectors.json        on a GPU; the fixture that the emulator must reproduce

What it does: kernels of one block that do nothing but call a wrapper and store what it gave. Inputs are drawn from a fixed seed: whole
numbers, whose products and sums are exact in every order, for fragments and descriptors; numbers of all sizes for conversions and powers.
Guarantees: the texts of the wrappers are those of generated files; those of compute capability 9.0 alone are asked last, each in a process
of its own with a limit, so that one that hangs or ends its context takes no answer along. Cannot see: rounding inside a product of other
than whole numbers.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from kernelproof.numeric.cuda.warpgroup_launch import FORMATS as MAP_FORMATS
from kernelproof.numeric.cuda.warpgroup_launch import TEXT as MAPS
from kernelproof.numeric.cuda.warpgroup_wrappers import warpgroup_wrappers
from kernelproof.numeric.cuda.wrappers import wrappers
from kernelproof.numeric.cuda_types import TYPES

FORMATS = ("float16", "bfloat16")
FIXTURE = Path(__file__).with_name("wrapper_vectors.json")
#: seconds that a process has for its question, CuPy's start and a compilation among them
LIMIT = 20.0
#: all words of an answer, where a barrier was asked as often as a copy could ever need and was not over
NEVER = 0xFFFFFFFF
#: compute capability 9.0 alone
WARPGROUP = frozenset({"kp_wgmma_scores", "kp_wgmma_values64", "kp_wgmma_values128", "kp_copy_box"})


def _values(columns: int) -> tuple[int, int, int, str]:
    """A row of BODIES: a product of weights in registers with values of so many columns."""
    return 128, 25600, columns // 2, f"""
        LAID(64, 128)
        float c[{columns // 8}][4];
        unsigned a[4];
        for (int at = 0; at < 4; ++at) {{ a[at] = in[threadIdx.x * 4 + at]; kp_hold(a[at]); }}
        kp_wgmma_fence();
        kp_wgmma_values(c, a, MATRIX(2048, 8192), 0);
        kp_wgmma_commit();
        kp_wgmma_wait<0>();
        for (int at = 0; at < {columns // 2}; ++at) {{ kp_hold(c[at / 4][at % 4]); out[at] = __float_as_uint(c[at / 4][at % 4]); }}"""


#: by wrapper: threads, bytes of shared memory, words that a thread stores, the body; `in` are 32-bit words, `out` is a thread's own place
BODIES: dict[str, tuple[int, int, int, str]] = {
    "kp_mma_m16n8k16": (32, 0, 4, """
        unsigned a[4];
        float c[4];
        for (int at = 0; at < 4; ++at) { a[at] = in[threadIdx.x * 8 + at]; c[at] = (float)(int)(in[threadIdx.x * 8 + at] % 17); }
        kp_mma_m16n8k16(c, a, in[threadIdx.x * 8 + 4], in[threadIdx.x * 8 + 5]);
        for (int at = 0; at < 4; ++at) out[at] = __float_as_uint(c[at]);"""),
    "kp_ldmatrix_x4": (32, 512, 4, """
        KP_DYNAMIC_SHARED(memory);
        for (int at = 0; at < 4; ++at) reinterpret_cast<unsigned*>(memory)[threadIdx.x * 4 + at] = in[threadIdx.x * 4 + at];
        __syncthreads();
        unsigned part[4];
        kp_ldmatrix_x4(part, memory + 16 * (threadIdx.x ^ 5));
        for (int at = 0; at < 4; ++at) out[at] = part[at];"""),
    "kp_ldmatrix_x4_trans": (32, 512, 4, """
        KP_DYNAMIC_SHARED(memory);
        for (int at = 0; at < 4; ++at) reinterpret_cast<unsigned*>(memory)[threadIdx.x * 4 + at] = in[threadIdx.x * 4 + at];
        __syncthreads();
        unsigned part[4];
        kp_ldmatrix_x4_trans(part, memory + 16 * (threadIdx.x ^ 5));
        for (int at = 0; at < 4; ++at) out[at] = part[at];"""),
    "kp_cp16": (32, 512, 4, """
        KP_DYNAMIC_SHARED(memory);
        kp_cp16(memory + 16 * threadIdx.x, in + 4 * (threadIdx.x ^ 3), threadIdx.x % 17);
        kp_cp_commit();
        kp_cp_wait<0>();
        __syncthreads();
        for (int at = 0; at < 4; ++at) out[at] = reinterpret_cast<unsigned*>(memory)[(threadIdx.x ^ 1) * 4 + at];"""),
    "kp_pack": (32, 0, 8, """
        const unsigned* own = in + threadIdx.x * 8;
        for (int at = 0; at < 8; ++at) out[at] = kp_pack(__uint_as_float(own[at]), __uint_as_float(own[at ^ 1]));"""),
    # approximate: equal only to some units in the last place
    "kp_exp2": (32, 0, 8, """
        for (int at = 0; at < 8; ++at) out[at] = __float_as_uint(kp_exp2(__uint_as_float(in[threadIdx.x * 8 + at])));"""),
    "kp_wgmma_scores": (128, 25600, 64, """
        LAID(64, 128)
        float c[16][4];
        kp_wgmma_fence();
        kp_wgmma_scores(c, MATRIX(0, 16), MATRIX(8192, 16), 0);
        kp_wgmma_scores(c, MATRIX(32, 16), MATRIX(8192 + 32, 16), 1);
        kp_wgmma_commit();
        kp_wgmma_wait<0>();
        for (int at = 0; at < 64; ++at) { kp_hold(c[at / 4][at % 4]); out[at] = __float_as_uint(c[at / 4][at % 4]); }"""),
    "kp_wgmma_values64": _values(64),
    "kp_wgmma_values128": _values(128),
    # 24 rows of the second of two matrices, and 40 rows past its end, as they come to lie
    "kp_copy_box": (128, 10240, 16, """
        KP_DYNAMIC_SHARED(memory);
        unsigned char* base = memory + (1024 - kp_shared_address(memory) % 1024) % 1024;
        unsigned long long* barrier = reinterpret_cast<unsigned long long*>(base + 8192);
        if (threadIdx.x == 0) { kp_barrier_init(barrier, 1); kp_barrier_show(); }
        __syncthreads();
        if (threadIdx.x == 0) { kp_barrier_expect(barrier, 8192); kp_copy_box(base, &map, 0, 72, 0, 0, 1, barrier); }
        int left = 1 << 14;
        while (!kp_barrier_over(barrier, 0) && --left) {}
        for (int at = 0; at < 16; ++at) out[at] = left ? reinterpret_cast<unsigned*>(base)[threadIdx.x * 16 + at] : 0xFFFFFFFF;"""),
}
#: 24 KiB of the input as they are, from a multiple of 1024 bytes on; a descriptor of a place among them
HEAD = r"""
#ifndef KP_EMULATED
static __device__ __forceinline__ void kp_proxy_fence() { asm volatile("fence.proxy.async.shared::cta;" : : : "memory"); }
#endif
#define LAID(rows, columns) KP_DYNAMIC_SHARED(memory); \
    unsigned char* base = memory + (1024 - kp_shared_address(memory) % 1024) % 1024; \
    for (int at = threadIdx.x; at < 6144; at += 128) reinterpret_cast<unsigned*>(base)[at] = in[at]; \
    kp_proxy_fence(); \
    __syncthreads();
#define MATRIX(byte, panel) \
    ((unsigned long long)((kp_shared_address(base) + (byte)) / 16) | (panel) / 16ull << 16 | 64ull << 32 | 1ull << 62)
"""


def text_of(names: Sequence[str], dtype: str) -> str:
    """The CUDA text of kernels, one for each of these wrappers."""
    parts = [f"#include <{TYPES[dtype].header}>", wrappers(dtype), *([warpgroup_wrappers(dtype), HEAD] if names[0] in WARPGROUP else [])]
    for name in names:
        _, _, words, body = BODIES[name]
        by_map = ", const __grid_constant__ kp_map map" * (name == "kp_copy_box")
        head = f'extern "C" __global__ void ask_{name}(const unsigned* in, unsigned* all{by_map})'
        parts.append(f"{head}\n{{\n    unsigned* out = all + threadIdx.x * {words};{body}\n}}")
    return "\n".join((*parts, ""))


def given(name: str, dtype: str) -> np.ndarray:
    """The input of a kernel: whole numbers from -8 to 8 in a 16-bit format, or float32 of all sizes."""
    random = np.random.default_rng(7)
    if name in ("kp_pack", "kp_exp2"):
        sizes = np.ldexp(1 + random.random(6144), random.integers(-30, 17 if name == "kp_pack" else 7, 6144))
        return (np.float32(sizes) * np.float32(random.choice((-1, 1), 6144))).view(np.uint32)
    whole = random.integers(-8, 9, 2 * 6144).astype(np.float32)
    bits = whole.astype(np.float16).view(np.uint16) if dtype == "float16" else (whole.view(np.uint32) >> 16).astype(np.uint16)
    return bits.view(np.uint32)


def _map(module: ModuleType, array: Any, dtype: str) -> Any:
    """A map of two matrices for boxes of 64 rows, made as generated files make it."""
    space: dict[str, Any] = {"np": getattr(module, "numpy", np)}
    exec(MAPS.replace("FORMAT", str(MAP_FORMATS[dtype])), space)
    return space["_tensor_map"](space["_map_encoder"](), "in", array, [(2, 96 * 64), (1, 0), (1, 0)], 64)


def had(capability: int) -> tuple[list[str], list[str]]:
    """The wrappers that a device of this capability has: those of all devices, those of 9.0 alone."""
    return [name for name in BODIES if name not in WARPGROUP], [name for name in BODIES if name in WARPGROUP and capability == 90]


def asked(module: ModuleType, dtype: str, wanted: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    """(wrapper, the words it gave) for these wrappers of a format."""
    for group, options in zip(had(90), ((), ("-arch=sm_90a",)), strict=True):
        names = [name for name in group if name in wanted]
        if not names:
            continue
        texts = module.RawModule(code=text_of(names, dtype), options=("-std=c++17", *options))
        for name in names:
            threads, shared, words, _ = BODIES[name]
            kernel = texts.get_function(f"ask_{name}")
            kernel.max_dynamic_shared_size_bytes = shared
            out = module.asarray(np.zeros(threads * words, dtype=np.uint32))
            asked_of = module.asarray(given(name, dtype))
            boxes = asked_of.view(np.uint16).reshape(2, 96, 64)
            maps = (_map(module, boxes, dtype),) if name == "kp_copy_box" else ()
            kernel((1,), (threads,), (asked_of, out, *maps), shared_mem=shared)
            words = np.asarray(out.get() if hasattr(out, "get") else out)
            if (words == NEVER).all():
                raise RuntimeError(f"{name}: its barrier was never over")
            yield name, words


def apart(name: str, dtype: str, limit: float = LIMIT) -> list[int]:
    """The words that one wrapper gives in a process of its own."""
    command = [sys.executable, str(Path(__file__).resolve()), "--ask", name, dtype]
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
    if done.returncode:
        said = done.stderr.strip().rpartition("\n")[2] or "no output"
        raise RuntimeError(f"exit code {done.returncode}: {said}")
    return [int(word) for word in json.loads(done.stdout)]


def answers(
    module: ModuleType, capability: int, keep: Callable[[dict[str, Any]], None], one: Callable[[str, str], list[int]] = apart
) -> list[str]:
    """Ask for all formats, and say what failed; ``keep`` is told after every answer. ``one`` asks for a wrapper of 9.0."""
    found: dict[str, Any] = {dtype: {} for dtype in FORMATS}
    failed = []
    plain, untried = had(capability)
    for dtype in FORMATS:
        try:
            for name, words in asked(module, dtype, plain):
                found[dtype][name] = words.tolist()
                keep(found)
        except Exception as error:
            failed.append(f"{dtype}, after {', '.join(found[dtype]) or 'nothing'}: {_why(error)}")
    for name, dtype in ((name, dtype) for name in untried for dtype in FORMATS):
        try:
            found[dtype][name] = one(name, dtype)
            keep(found)
        except Exception as error:
            failed.append(f"{dtype}, {name}: {_why(error)}")
    return failed


def _why(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=FIXTURE)
    parser.add_argument("--ask", nargs=2, metavar=("WRAPPER", "FORMAT"), help="print the words of one alone, and write no file")
    arguments = parser.parse_args()
    import cupy

    if arguments.ask:
        name, dtype = arguments.ask
        print(json.dumps(dict(asked(cupy, dtype, [name]))[name].tolist()))
        return
    device = cupy.cuda.Device()
    about: dict[str, Any] = {"device": cupy.cuda.runtime.getDeviceProperties(device.id)["name"].decode(), "cupy": cupy.__version__}
    about |= {"driver": cupy.cuda.runtime.driverGetVersion(), "runtime": cupy.cuda.runtime.runtimeGetVersion()}

    def keep(found: dict[str, Any]) -> None:
        arguments.output.write_text(json.dumps(about | found) + "\n", encoding="utf-8")

    if failed := answers(cupy, int(device.compute_capability), keep):
        raise SystemExit("wrappers that did not answer:\n" + "\n".join(failed))


if __name__ == "__main__":
    main()
