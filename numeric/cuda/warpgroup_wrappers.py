"""The device functions of the kernel for compute capability 9.0 that are PTX: one instruction each.

What it does: data. A product of a warpgroup (four warps) reads its right factor, and may read its left one, from shared memory by a
descriptor, runs while the threads go on, and is waited for. ``kp_wgmma_scores`` has both factors in shared memory by rows; the functions
``kp_wgmma_values`` have the left one in registers and read the right one transposed. ``kp_hold`` is no instruction: it keeps the compiler
from moving what is done with a register across an asynchronous product that has it. Guarantees: the texts stand between
``#ifndef KP_EMULATED`` and ``#endif``, like those of :mod:`wrappers`. Cannot see: whether hardware does what the emulator's meaning of
these names says; without a device these lines are only compiled, for sm_90a. Loads and barriers are those of :mod:`bulk_wrappers`.
"""

from __future__ import annotations

from kernelproof.numeric.cuda.bulk_wrappers import MAP, TEXT
from kernelproof.numeric.cuda.wrappers import FACTORS

REST = r"""
// before the first product, and before one whose registers were written in between
static __device__ __forceinline__ void kp_wgmma_fence()
{
    asm volatile("wgmma.fence.sync.aligned;" : : : "memory");
}

// ends a group of products
static __device__ __forceinline__ void kp_wgmma_commit()
{
    asm volatile("wgmma.commit_group.sync.aligned;" : : : "memory");
}

// waits for the products, but for those of the last `PENDING` groups
template <int PENDING>
static __device__ __forceinline__ void kp_wgmma_wait()
{
    asm volatile("wgmma.wait_group.sync.aligned %0;" : : "n"(PENDING) : "memory");
}

static __device__ __forceinline__ unsigned kp_shared_address(const void* place)
{
    return (unsigned)__cvta_generic_to_shared(place);
}

// no instruction: nothing that is done with x is moved across
static __device__ __forceinline__ void kp_hold(float& x)
{
    asm volatile("" : "+f"(x) : : "memory");
}

static __device__ __forceinline__ void kp_hold(unsigned& x)
{
    asm volatile("" : "+r"(x) : : "memory");
}
"""


def _product(name: str, columns: int, dtype: str, *, registers: bool) -> str:
    """The text of one product, c of 64 rows; with ``registers`` its left factor is in registers, and its right one transposed."""
    sums, factor = columns // 2, FACTORS[dtype]
    outputs = [f'"+f"(c[{at // 4}][{at % 4}])' for at in range(sums)]
    outputs_text = ",\n                   ".join(", ".join(outputs[at : at + 8]) for at in range(0, sums, 8))
    numbers = ", ".join(f"%{at}" for at in range(sums))
    own, where = (4, "in registers") if registers else (1, "in shared memory, by rows")
    left = ", ".join(f"%{sums + at}" for at in range(own))
    left = f"{{{left}}}" if registers else left
    given = ", ".join(f'"r"(a[{at}])' for at in range(own)) if registers else '"l"(a)'
    lines = (
        f"// c = a·b, and with `add` c += a·b: a 64×16 {where}, b 16×{columns} in shared memory by {'rows' if registers else 'columns'},",
        f"// c 64×{columns} in float32; of four warps",
        f"static __device__ __forceinline__ void {name}(",
        f"    float (&c)[{columns // 8}][4], const {'unsigned (&a)[4]' if registers else 'unsigned long long a'},"
        " const unsigned long long b, const int add)",
        "{",
        rf'    asm volatile("{{\n.reg .pred added;\nsetp.ne.b32 added, %{sums + own + 1}, 0;\n"',
        f'                 "wgmma.mma_async.sync.aligned.m64n{columns}k16.f32.{factor}.{factor} "',
        f'                 "{{{numbers}}}, "',
        rf'                 "{left}, %{sums + own}, added, 1, 1, {"1" if registers else "0, 0"};\n}}"',
        f"                 : {outputs_text}",
        f'                 : {given}, "l"(b), "r"(add)',
        '                 : "memory");',
        "}",
    )
    return "\n".join(lines)


def warpgroup_wrappers(dtype: str) -> str:
    """The text for a format: products for scores of 128 keys and for heads of 64 and 128 columns, what orders them, and loads."""
    products = [_product("kp_wgmma_scores", 128, dtype, registers=False)]
    products += [_product("kp_wgmma_values", columns, dtype, registers=True) for columns in (64, 128)]
    head = "#ifndef KP_EMULATED\n// One instruction of the hardware each, and the predicate that it has; nothing else in this text is."
    return "\n\n".join((MAP.strip("\n"), head, *products, REST.strip("\n"), TEXT.strip("\n"))) + "\n#endif"
