"""The emulator itself: fragments against formulas of the PTX manual written down a second time here, and what it must report."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.cuda
HEAD = "#include <cuda_fp16.h>\n"

#: one warp: matrices from global memory to fragments entry by entry, as the manual numbers them, their product, and back
PRODUCT = HEAD + r"""
extern "C" __global__ void product(const unsigned short* a, const unsigned short* b, const float* c, float* out)
{
    const int group = threadIdx.x >> 2, member = threadIdx.x & 3;
    unsigned left[4], right[2];
    float sum[4];
    for (int i = 0; i < 8; ++i) {
        const int row = i < 2 || (4 <= i && i < 6) ? group : group + 8, column = member * 2 + (i & 1) + (i < 4 ? 0 : 8);
        left[i / 2] = (i & 1 ? left[i / 2] : 0) | (unsigned)a[row * 16 + column] << 16 * (i & 1);
    }
    for (int i = 0; i < 4; ++i) {
        const int row = member * 2 + (i & 1) + (i < 2 ? 0 : 8);
        right[i / 2] = (i & 1 ? right[i / 2] : 0) | (unsigned)b[row * 8 + group] << 16 * (i & 1);
    }
    for (int i = 0; i < 4; ++i) {
        sum[i] = c[(i < 2 ? group : group + 8) * 8 + member * 2 + (i & 1)];
    }
    kp_mma_m16n8k16(sum, left, right[0], right[1]);
    for (int i = 0; i < 4; ++i) {
        out[(i < 2 ? group : group + 8) * 8 + member * 2 + (i & 1)] = sum[i];
    }
}
"""

#: one warp: four matrices 8×8 from shared memory, rows of 16 bytes one behind the other, `apart` bytes from row to row
LOADS = HEAD + r"""
extern "C" __global__ void loads(unsigned* plain, unsigned* turned, int apart)
{
    KP_DYNAMIC_SHARED(memory);
    for (int at = 0; at < 8; ++at) {
        reinterpret_cast<unsigned short*>(memory + threadIdx.x * apart)[at] = threadIdx.x * 8 + at;
    }
    __syncthreads();
    unsigned part[4];
    kp_ldmatrix_x4(part, memory + threadIdx.x * apart);
    for (int at = 0; at < 4; ++at) plain[threadIdx.x * 4 + at] = part[at];
    kp_ldmatrix_x4_trans(part, memory + threadIdx.x * apart);
    for (int at = 0; at < 4; ++at) turned[threadIdx.x * 4 + at] = part[at];
}
"""

#: what must be reported, with a part of the report
FAULTY = {
    "returned before a barrier": ("if (threadIdx.x < 7) return; __syncthreads();", "have returned and the others wait at __syncthreads"),
    "two barriers": (
        "if (threadIdx.x < 32) {\n__syncthreads();\n} else {\n__syncthreads();\n}", "threads of a block wait at different __syncthreads",
    ),
    "parted at a shuffle": (
        "if (threadIdx.x % 2) { __shfl_xor_sync(0xffffffffu, 1.0f, 1); } else { __syncthreads(); }", "lanes of a warp part",
    ),
    "two exchanges": (
        "if (threadIdx.x % 2) { __shfl_xor_sync(0xffffffffu, 1.0f, 1); } else { __syncwarp(); }", "meet at different instructions",
    ),
    "behind shared memory": ("KP_DYNAMIC_SHARED(memory); memory[1024 + threadIdx.x] = 1;", "wrote behind its shared memory"),
    "a copy outside": ("KP_DYNAMIC_SHARED(memory); kp_cp16(memory + 1024, out, 16);", "cp.async outside shared memory"),
    "a copy across": ("KP_DYNAMIC_SHARED(memory); kp_cp16(memory + 8, out, 16);", "misaligned: cp.async"),
    "a load across": ("KP_DYNAMIC_SHARED(memory); unsigned part[4]; kp_ldmatrix_x4(part, memory + 8);", "misaligned: ldmatrix"),
}

#: copies that have not been waited for are not there, and zeros follow the bytes asked for
LATE = HEAD + r"""
extern "C" __global__ void late(const unsigned char* from, unsigned char* out)
{
    KP_DYNAMIC_SHARED(memory);
    if (threadIdx.x == 0) {
        for (int group = 0; group < 3; ++group) {
            kp_cp16(memory + 16 * group, from + 16 * group, group == 0 ? 5 : 16);
            kp_cp_commit();
        }
        kp_cp_wait<2>();
        for (int at = 0; at < 48; ++at) out[at] = memory[at];
        kp_cp_wait<0>();
        for (int at = 0; at < 48; ++at) out[48 + at] = memory[at];
    }
}
"""


def run(compiler: Any, text: str, name: str, threads: int, shared: int, *arguments: Any, schedule: int = 0) -> tuple[str, np.ndarray]:
    """What is reported of a launch of one block, and its counts of loads, conflicts and products."""
    library = compiler.library(text, (name,))
    held = [
        ctypes.c_void_p(argument.ctypes.data) if isinstance(argument, np.ndarray) else ctypes.c_int(argument) for argument in arguments
    ]
    pointers = (ctypes.c_void_p * len(held))(*(ctypes.addressof(item) for item in held))
    failed = getattr(library, f"launch_{name}")(1, threads, shared, schedule, pointers)
    counts = np.zeros(3, dtype=np.int64)
    library.emulator_counts(ctypes.c_void_p(counts.ctypes.data))
    return library.emulator_error().decode() if failed else "", counts


def launched(library: ctypes.CDLL, name: str, threads: int, shared: int, schedule: int) -> str:
    """What is reported of a launch with a place of 64 bytes; it must fail."""
    out = np.zeros(64, dtype=np.uint8)
    pointer = ctypes.c_void_p(out.ctypes.data)
    parameters = (ctypes.c_void_p * 1)(ctypes.addressof(pointer))
    assert getattr(library, f"launch_{name}")(1, threads, shared, schedule, parameters) == 1
    return str(library.emulator_error().decode())


def test_a_product_of_fragments_is_the_product_of_matrices(compiler: Any) -> None:
    random = np.random.default_rng(0)
    a, b, c = (random.integers(-8, 9, shape).astype(np.float32) for shape in ((16, 16), (16, 8), (16, 8)))  # exact in every order
    out = np.full((16, 8), np.nan, dtype=np.float32)
    bits = [part.astype(np.float16).view(np.uint16) for part in (a, b)]
    error, counts = run(compiler, PRODUCT, "product", 32, 0, *bits, c, out)
    assert error == "" and counts.tolist() == [0, 0, 1]
    assert (out == a @ b + c).all()


@pytest.mark.parametrize(("apart", "conflicts"), [(16, 0), (32, 2 * 4 * 4), (128, 2 * 4 * 7), (144, 0)])
def test_loads_of_matrices_and_their_banks(apart: int, conflicts: int, compiler: Any) -> None:
    """Rows 128 bytes apart lie in one bank, 32 apart in four, 144 apart in eight."""
    plain, turned = (np.zeros((32, 4), dtype=np.uint32) for _ in range(2))
    error, counts = run(compiler, LOADS, "loads", 32, 32 * apart, plain, turned, apart)
    assert error == "" and counts.tolist() == [2, conflicts, 0]
    matrices = np.arange(256).reshape((4, 8, 8))
    for lane in range(32):
        for at in range(4):
            pair = [int(plain[lane, at] & 0xFFFF), int(plain[lane, at] >> 16)]
            assert pair == matrices[at, lane // 4, 2 * (lane % 4) : 2 * (lane % 4) + 2].tolist()
            pair = [int(turned[lane, at] & 0xFFFF), int(turned[lane, at] >> 16)]
            assert pair == matrices[at].T[lane // 4, 2 * (lane % 4) : 2 * (lane % 4) + 2].tolist()


def test_a_copy_is_late_and_ends_in_zeros(compiler: Any) -> None:
    given, out = np.arange(1, 49, dtype=np.uint8), np.zeros(96, dtype=np.uint8)
    error, _ = run(compiler, LATE, "late", 32, 48, given, out)
    first = [*range(1, 6), *[0] * 11]
    assert error == ""
    assert out[:48].tolist() == [*first, *[255] * 32], "only the first group is there"
    assert out[48:].tolist() == [*first, *range(17, 49)]


@pytest.mark.parametrize("schedule", [0, 1, 2, 5])
@pytest.mark.parametrize("name", FAULTY)
def test_what_must_be_reported_is(name: str, schedule: int, compiler: Any) -> None:
    expected = FAULTY[name][1]
    text = "".join(
        f'extern "C" __global__ void faulty{at}(unsigned char* out)\n{{\n{part}\n}}\n' for at, (part, _) in enumerate(FAULTY.values())
    )
    names = tuple(f"faulty{at}" for at in range(len(FAULTY)))
    library = compiler.library(HEAD + text, names)
    assert expected in launched(library, names[list(FAULTY).index(name)], 64, 1024, schedule)


def test_shared_memory_is_full_of_nan(compiler: Any) -> None:
    body = "KP_DYNAMIC_SHARED(memory); out[threadIdx.x] = reinterpret_cast<float*>(memory)[threadIdx.x];"
    text = f'{HEAD}extern "C" __global__ void fresh(float* out)\n{{\n{body}\n}}\n'
    out = np.zeros(32, dtype=np.float32)
    assert run(compiler, text, "fresh", 32, 128, out)[0] == "" and np.isnan(out).all()


def test_numbers_below_the_least_normal_one_are_zeros_in_float_alone(compiler: Any) -> None:
    """CuPy compiles with -ftz=true: operands and results, not what is only moved, and not double."""
    body = "out[0] = in[0] * in[1]; out[1] = in[2] * in[3]; out[2] = in[2]; out[3] = in[2] > KIND(0) ? in[2] : KIND(0);"
    for kind, number in (("float", np.float32), ("double", np.float64)):
        least = np.finfo(number).tiny
        text = f'{HEAD}extern "C" __global__ void small(const KIND* in, KIND* out)\n{{\n{body}\n}}\n'.replace("KIND", kind)
        given, out = np.array([least, 0.5, least / 4, 8], number), np.zeros(4, number)
        assert run(compiler, text, "small", 32, 0, given, out)[0] == ""
        assert out.tolist() == ([0, 0, least / 4, 0] if kind == "float" else [least / 2, least * 2, least / 4, least / 4])


def test_sixteen_bits_keep_their_small_numbers(compiler: Any) -> None:
    """Conversions are not flushed: the least bfloat16 is far below the least normal float."""
    text = '#include <cuda_bf16.h>\nextern "C" __global__ void kept(const __nv_bfloat16* in, __nv_bfloat16* out)\n'
    text += "{\n    out[threadIdx.x] = __float2bfloat16_rn(__bfloat162float(in[threadIdx.x]));\n}\n"
    given, out = np.arange(32, dtype=np.uint16), np.zeros(32, dtype=np.uint16)
    assert run(compiler, text, "kept", 32, 0, given, out)[0] == "" and (out == given).all()
