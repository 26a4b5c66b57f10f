"""The few device functions that are PTX: one instruction each, all that a text of tensor-core kernels knows of the hardware.

What it does: data. For each 16-bit format the text of ``kp_mma_m16n8k16``, ``kp_ldmatrix_x4``, ``kp_ldmatrix_x4_trans``, ``kp_cp16``,
``kp_cp_commit``, ``kp_cp_wait``, ``kp_exp2``, ``kp_pack`` and of the declaration of dynamic shared memory. Everything else in a kernel is
plain C++. Guarantees: the texts stand between ``#ifndef KP_EMULATED`` and ``#endif``, so that another compiler can bring its own meaning
of the same names and run the rest as it stands. Cannot see: whether hardware does what such a meaning says; without a device these lines
are only compiled.
"""

from __future__ import annotations

#: the type of an mma instruction's factors, by the format of the arrays
FACTORS = {"float16": "f16", "bfloat16": "bf16"}

TEXT = r"""
#ifndef KP_EMULATED
// One instruction of the hardware each; nothing else in this text is.
#define KP_DYNAMIC_SHARED(name) extern __shared__ __align__(128) unsigned char name[]

// c += a·b, a 16×16 by rows, b 16×8 by columns, c 16×8 in float32
static __device__ __forceinline__ void kp_mma_m16n8k16(float (&c)[4], const unsigned (&a)[4], const unsigned b0, const unsigned b1)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.FACTOR.FACTOR.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// four matrices 8×8; lane l brings row l % 8 of matrix l / 8, and has two neighbours of row l / 4 of each
static __device__ __forceinline__ void kp_ldmatrix_x4(unsigned (&part)[4], const void* row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(part[0]), "=r"(part[1]), "=r"(part[2]), "=r"(part[3])
                 : "r"((unsigned)__cvta_generic_to_shared(row))
                 : "memory");
}

// the same of the transposed matrices
static __device__ __forceinline__ void kp_ldmatrix_x4_trans(unsigned (&part)[4], const void* row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(part[0]), "=r"(part[1]), "=r"(part[2]), "=r"(part[3])
                 : "r"((unsigned)__cvta_generic_to_shared(row))
                 : "memory");
}

// starts a copy of 16 bytes: the first `bytes` from `global`, zeros after them
static __device__ __forceinline__ void kp_cp16(void* shared, const void* global, const int bytes)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                 :
                 : "r"((unsigned)__cvta_generic_to_shared(shared)), "l"(global), "r"(bytes)
                 : "memory");
}

// ends a group of copies
static __device__ __forceinline__ void kp_cp_commit()
{
    asm volatile("cp.async.commit_group;" : : : "memory");
}

// waits for this thread's copies, but for those of the last `PENDING` groups
template <int PENDING>
static __device__ __forceinline__ void kp_cp_wait()
{
    asm volatile("cp.async.wait_group %0;" : : "n"(PENDING) : "memory");
}

static __device__ __forceinline__ float kp_exp2(const float x)
{
    float power;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x));
    return power;
}

// two numbers rounded to the stored format, the first in the low half
static __device__ __forceinline__ unsigned kp_pack(const float low, const float high)
{
    unsigned both;
    asm("cvt.rn.FACTORx2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    return both;
}
#endif
"""


def wrappers(dtype: str) -> str:
    """The text for a format."""
    return TEXT.replace("FACTOR", FACTORS[dtype]).strip("\n")
