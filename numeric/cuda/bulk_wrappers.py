"""The device functions for compute capability 9.0 that load tiles of arrays and wait for them: PTX, one instruction each.

What it does: data. A barrier is eight bytes of shared memory: a phase of it is over when as many arrivals came as it was made for, and as
many bytes as arrivals announced. ``kp_copy_box`` has a box of an array copied by the hardware, which finds it by a map that the driver made
(``kp_map``, handed over by value) and tells a barrier of the bytes. ``kp_fewer_registers`` and ``kp_more_registers`` are of four warps
together. Guarantees and what it cannot see: as in :mod:`wrappers`; the type of a map is plain C++.
"""

from __future__ import annotations

MAP = r"""
// what the driver makes of an array for the hardware's loads (cuTensorMapEncodeTiled); by value, for it is read as a constant
struct __align__(128) kp_map {
    unsigned long long words[16];
};
"""

TEXT = r"""
static __device__ __forceinline__ void kp_barrier_init(unsigned long long* barrier, const unsigned arrivals)
{
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" : : "r"(kp_shared_address(barrier)), "r"(arrivals) : "memory");
}

// barriers that this thread made are seen by copies
static __device__ __forceinline__ void kp_barrier_show()
{
    asm volatile("fence.mbarrier_init.release.cluster;" : : : "memory");
}

static __device__ __forceinline__ void kp_barrier_arrive(unsigned long long* barrier)
{
    asm volatile("mbarrier.arrive.release.cta.shared::cta.b64 _, [%0];" : : "r"(kp_shared_address(barrier)) : "memory");
}

// arrives, and the phase is not over before copies brought so many bytes
static __device__ __forceinline__ void kp_barrier_expect(unsigned long long* barrier, const unsigned bytes)
{
    asm volatile("mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 _, [%0], %1;"
                 : : "r"(kp_shared_address(barrier)), "r"(bytes) : "memory");
}

// whether the phase of this parity, 0 for the first one, is over; it may wait for a while
static __device__ __forceinline__ bool kp_barrier_over(unsigned long long* barrier, const unsigned parity)
{
    unsigned over;
    asm volatile("{\n.reg .pred over;\nmbarrier.try_wait.parity.acquire.cta.shared::cta.b64 over, [%1], %2;\n"
                 "selp.u32 %0, 1, 0, over;\n}"
                 : "=r"(over) : "r"(kp_shared_address(barrier)), "r"(parity) : "memory");
    return over;
}

// starts a copy of the map's box that begins at these places; what lies outside the array comes as zeros
static __device__ __forceinline__ void kp_copy_box(
    void* shared, const kp_map* map, const int column, const int row, const int lead2, const int lead1, const int lead0,
    unsigned long long* barrier)
{
    asm volatile("cp.async.bulk.tensor.5d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, %6, %7}], [%2];"
                 : : "r"(kp_shared_address(shared)), "l"(map), "r"(kp_shared_address(barrier)),
                   "r"(column), "r"(row), "r"(lead2), "r"(lead1), "r"(lead0) : "memory");
}

template <int COUNT>
static __device__ __forceinline__ void kp_fewer_registers()
{
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" : : "n"(COUNT) : "memory");
}

template <int COUNT>
static __device__ __forceinline__ void kp_more_registers()
{
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" : : "n"(COUNT) : "memory");
}
"""
