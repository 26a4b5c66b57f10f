"""The emulator's asynchronous products, loads and barriers: they do what the PTX manual says, and report what must not be done.

A product of a warpgroup is held to the product of matrices that are laid out by formulas written down a second time; wrong uses of each
wrapper are run on their own, one launch each. Cannot see: whether hardware does the same.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.cuda

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
    for (int at = 0; at < 16; ++at) kp_hold(left[at / 4][at % 4]);
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
        kp_hold(c[at / 4][at % 4]);
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


#: what must be reported, with a part of the report; one group, `from` a place of 64 bytes in global memory
FAULTY = {
    "no fence": ("START", "no kp_wgmma_fence came before"),
    "not waited for": ("kp_wgmma_fence(); START kp_wgmma_commit();", "was not waited for"),
    "not ended": ("kp_wgmma_fence(); START kp_wgmma_wait<0>();", "was not waited for"),
    "memory written in flight": (
        "kp_wgmma_fence(); START kp_wgmma_commit(); __syncthreads(); memory[1024 + threadIdx.x] = 1; __syncthreads(); kp_wgmma_wait<0>();",
        "shared memory was written before",
    ),
    "a factor written in flight": (
        "HOLD kp_wgmma_fence(); kp_wgmma_values(c, left, B, 0); left[1] = 7; kp_wgmma_commit(); kp_wgmma_wait<0>();",
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
        "if (threadIdx.x < 32) { kp_wgmma_fence(); START END HELD }", "start different products",
    ),
    # registers of products
    "sums that nobody holds": ("kp_wgmma_fence(); START END", "never held"),
    "sums written before they are held": ("kp_wgmma_fence(); START END c[1][0] = 7; HELD", "written after they were waited for"),
    "sums taken again before they are held": ("kp_wgmma_fence(); START END kp_wgmma_fence(); START END HELD", "before the next product"),
    "sums to add to that nobody held": ("kp_wgmma_fence(); kp_wgmma_scores(c, A, B, 1); END HELD", "between being written and"),
    "a factor that nobody held": ("kp_wgmma_fence(); kp_wgmma_values(c, left, B, 0); END HELD", "between being written and"),
    "a factor written after the fence": (
        "HOLD kp_wgmma_fence(); left[2] = 7; kp_wgmma_values(c, left, B, 0); END HELD", "between being written and",
    ),
    "a fence that stands too early": (
        "kp_wgmma_fence(); left[2] = 7; HOLD kp_wgmma_values(c, left, B, 0); END HELD", "between being written and",
    ),
    # barriers
    "no barrier": ("FIRST kp_barrier_arrive(barrier + 1);", "no barrier at this place"),
    "a barrier that was not shown": (
        "FIRST kp_barrier_init(barrier + 1, 1); __syncthreads(); if (threadIdx.x == 9) kp_barrier_arrive(barrier + 1);",
        "before kp_barrier_show",
    ),
    "a barrier written over": ("FIRST { *barrier = 0; kp_barrier_arrive(barrier); }", "was written over"),
    "a barrier between two words": ("FIRST kp_barrier_init((unsigned long long*)(memory + 20484), 1);", "misaligned"),
    "an arrival too many": (
        "FIRST kp_barrier_expect(barrier, 64); __syncthreads(); if (threadIdx.x == 9) kp_barrier_arrive(barrier);", "more arrivals",
    ),
    "nobody arrives": ("WAIT", "no arrival and no load ends its phase"),
    "another phase": ("FIRST kp_barrier_arrive(barrier); __syncthreads(); while (!kp_barrier_over(barrier, 1)) {} WAIT", "ends its phase"),
    "no parity": ("kp_barrier_over(barrier, 2);", "a parity is 0 or 1"),
    # loads
    "fewer bytes than are expected": ("FIRST { kp_barrier_expect(barrier, 128); LOAD(0) } WAIT", "no load ends its phase"),
    "more bytes than are expected": ("FIRST { kp_barrier_expect(barrier, 32); LOAD(0) } WAIT", "more bytes"),
    "a load that nobody waits for": ("FIRST { kp_barrier_expect(barrier, 64); LOAD(0) }", "a load was not waited for"),
    "a misaligned load": ("FIRST { kp_barrier_expect(barrier, 64); LOAD(64) }", "misaligned"),
    "a load past shared memory": ("FIRST { kp_barrier_expect(barrier, 64); LOAD(32768) }", "outside"),
    "no map": ("map.mark = 0; FIRST { kp_barrier_expect(barrier, 64); LOAD(0) }", "no map"),
    "pieces exchanged from the wrong row on": (
        "map.exchanged = 1; FIRST { kp_barrier_expect(barrier, 64); LOAD(0) }", "misaligned",
    ),
    # registers of threads
    "more registers that are fewer": ("kp_more_registers<240>();", "fewer registers are more"),
    "registers by 20": ("kp_fewer_registers<20>();", "multiples of 8"),
    "registers of one warp": ("if (threadIdx.x < 32) kp_fewer_registers<24>();", "different counts"),
}
SHORT = {
    "START": "kp_wgmma_scores(c, A, B, 0);", "END": "kp_wgmma_commit(); kp_wgmma_wait<0>();",
    "HOLD": "for (unsigned& x : left) kp_hold(x);",
    "HELD": "for (auto& four : c) for (float& x : four) kp_hold(x);", "FIRST": "if (threadIdx.x == 0)",
    "WAIT": "while (!kp_barrier_over(barrier, 0)) {}",
}
FAULTY_HEAD = r"""
#include <cuda_fp16.h>
#define LOAD(place) kp_copy_box(memory + place, &map, 0, 0, 0, 0, 0, barrier);
#define BEGIN \
    KP_DYNAMIC_SHARED(memory); \
    float c[16][4] = {}; \
    unsigned left[4] = {}; \
    const unsigned long long A = 1ull << 62 | 64ull << 32 | 1ull << 16 | (kp_shared_address(memory) + 896) / 16, B = A + 512; \
    emulator::TensorMap map{emulator::map_mark, (uint64_t)from, {8, 4, 1, 1, 1}, {16, 64, 64, 64}, {8, 4, 1, 1, 1}, 0, {}}; \
    unsigned long long* barrier = (unsigned long long*)(memory + 20480); \
    for (int at = threadIdx.x; at < 20480; at += 128) memory[at] = 0; \
    if (threadIdx.x == 0) { kp_barrier_init(barrier, 1); kp_barrier_show(); } \
    (void)c, (void)left, (void)A, (void)B, (void)map; \
    __syncthreads();
"""


@pytest.mark.parametrize("schedule", [0, 2])
@pytest.mark.parametrize("name", FAULTY)
def test_what_must_be_reported_is(name: str, schedule: int, neighbour: Any, compiler: Any) -> None:
    text = FAULTY_HEAD
    for at, (body, _) in enumerate(FAULTY.values()):
        for short, long in SHORT.items():
            body = re.sub(rf"\b{short}\b", long, body)
        text += f'extern "C" __global__ void faulty{at}(const unsigned char* from)\n{{\nBEGIN\n{body}\n}}\n'
    names = tuple(f"faulty{at}" for at in range(len(FAULTY)))
    error = neighbour("test_emulator").launched(compiler.library(text, names), names[list(FAULTY).index(name)], 128, 32768, schedule)
    assert FAULTY[name][1] in error
