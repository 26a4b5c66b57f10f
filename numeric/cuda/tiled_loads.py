"""What attention in tiles reads and where it lays it, as text for kernel files: types, masks, tiles in shared memory.

What it does: data. A mask's number is read in its own format and brought to the arithmetic of the kernel; a tile comes in pieces of four
entries, at once where rows lie in one piece at fitting addresses, one by one where they do not. Guarantees: entries past an end are zeros
and are not read; turned tiles change places in groups of four (XOR), so that in float32 neither the threads that store one nor those that
read it meet at a bank. Cannot see: whether a compiler makes one instruction of four entries.
"""

from __future__ import annotations

HEAD = r"""
#ifndef KP_EMULATED
#define KP_DYNAMIC_SHARED(name) extern __shared__ __align__(128) unsigned char name[]
#endif

typedef {real} kp_real;
typedef {stored} kp_stored;
typedef {asked} kp_asked;  // of queries and keys

constexpr int ROWS = 64, KEYS = 64, CHUNK = 32, THREADS = 128;

// Four entries, read or written at once.
template <class T>
struct alignas(4 * sizeof(T) < 16 ? 8 : 16) kp_four_of {
    T at[4];
};
typedef kp_four_of<kp_real> kp_quad;
typedef kp_four_of<kp_stored> kp_stored_quad;

// A matrix of an array; wide: four entries of a row may be read at once, at every fourth entry.
template <class T>
struct kp_matrix {
    const T* entry;
    long long by_row, by_column;
    bool wide;
};

static __device__ __forceinline__ kp_real kp_minus_infinity()
{
    return {minus_infinity};
}

static __device__ __forceinline__ kp_real kp_widened(const kp_stored value)
{
    return {widen}(value);
}
  #? turned
static __device__ __forceinline__ kp_real kp_widened(const kp_real value)  #? turned
{  #? turned
    return value;  #? turned
}  #? turned

static __device__ __forceinline__ kp_stored kp_narrowed(const kp_real value)
{
    return {narrow}(value);
}
"""

MASK = r"""
// A number of a mask as it is added to a score: -inf hides, and only that.
template <class T>
static __device__ __forceinline__ kp_real kp_added(const T value)
{
    return value == (T)kp_minus_infinity() ? kp_minus_infinity() : {finite};
}

static __device__ __forceinline__ float kp_of_half(const unsigned short bits)
{
    const int sized = (bits & 0x7fff) << 13;  // exponent and fraction at their places, 2^112 too small
    float size = __int_as_float(sized + 0x38000000);
    if ((bits & 0x7c00) == 0x7c00) {
        size = __int_as_float(0x7f800000 | sized);
    } else if ((bits & 0x7c00) == 0) {  // counted, for a float that small would be read as zero
        size = (float)(bits & 0x3ff) * 5.9604644775390625e-8f;
    }
    return bits & 0x8000 ? -size : size;
}

// An entry of a mask of a kind: 1 boolean (true: may attend), 2 float16, 3 bfloat16, 4 float32, 5 float64.
static __device__ __forceinline__ kp_real kp_mask(const void* mask, const int kind, const long long at)
{
    switch (kind) {
        case 1: return static_cast<const unsigned char*>(mask)[at] ? {zero} : kp_minus_infinity();
        case 2: return kp_added(kp_of_half(static_cast<const unsigned short*>(mask)[at]));
        case 3: return kp_added(__int_as_float((int)((unsigned)static_cast<const unsigned short*>(mask)[at] << 16)));
        case 4: return kp_added(static_cast<const float*>(mask)[at]);
        default: return kp_added(static_cast<const double*>(mask)[at]);
    }
}
"""

LOADS = r"""
// Where an entry of a tile of lines of 64 lies: groups of four change places by the line's own group of four.
static __device__ __forceinline__ int kp_place(const int line, const int at)
{
    return line * 64 + (at ^ ((line >> 2 & 7) << 2));
}

static __device__ __forceinline__ const kp_quad& kp_four(const kp_real* tile, const int place)
{
    return *reinterpret_cast<const kp_quad*>(tile + place);
}

// Entries from, …, from + 3 of a row; zeros where the row is not there, and past its width.
template <class T>
static __device__ __forceinline__ kp_quad kp_read(
    const kp_matrix<T> given, const int row, const bool there, const int from, const int width)
{
    kp_quad found;
    const T* entry = given.entry + (there ? row : 0) * given.by_row;
    if (there && given.wide && from + 4 <= width) {
        const kp_four_of<T> stored = *reinterpret_cast<const kp_four_of<T>*>(entry + from);
        #pragma unroll
        for (int at = 0; at < 4; ++at) {
            found.at[at] = kp_widened(stored.at[at]);
        }
    } else {
        #pragma unroll
        for (int at = 0; at < 4; ++at) {
            found.at[at] = there && from + at < width ? kp_widened(entry[(from + at) * given.by_column]) : {zero};
        }
    }
    return found;
}

// CHUNK channels of 64 rows, turned: a line of the tile is a channel.
template <class T>
static __device__ __forceinline__ void kp_load_turned(
    kp_real* tile, const kp_matrix<T> given, const int first, const int end, const int from, const int width)
{
    #pragma unroll 2
    for (int at = 0; at < ROWS * CHUNK / 4; at += THREADS) {
        const int row = (at + (int)threadIdx.x) / (CHUNK / 4), piece = (at + (int)threadIdx.x) % (CHUNK / 4);
        const kp_quad found = kp_read(given, first + row, first + row < end, from + 4 * piece, width);
        #pragma unroll
        for (int entry = 0; entry < 4; ++entry) {
            tile[kp_place(4 * piece + entry, row)] = found.at[entry];
        }
    }
}

// COLUMNS columns of KEYS rows, as they are.
template <int COLUMNS, class T>
static __device__ __forceinline__ void kp_load_rows(
    kp_real* tile, const kp_matrix<T> given, const int first, const int end, const int from, const int width)
{
    #pragma unroll 2
    for (int at = 0; at < KEYS * COLUMNS / 4; at += THREADS) {
        const int row = (at + (int)threadIdx.x) / (COLUMNS / 4), piece = (at + (int)threadIdx.x) % (COLUMNS / 4);
        const kp_quad found = kp_read(given, first + row, first + row < end, from + 4 * piece, width);
        *reinterpret_cast<kp_quad*>(tile + row * COLUMNS + 4 * piece) = found;
    }
}

// Every one of the 16 threads that share a row gets the largest of their numbers, or the sum.
static __device__ __forceinline__ kp_real kp_largest(kp_real value)
{
    #pragma unroll
    for (int apart = 1; apart < 16; apart *= 2) {
        value = {max}(value, __shfl_xor_sync(0xffffffffu, value, apart));
    }
    return value;
}

static __device__ __forceinline__ kp_real kp_summed(kp_real value)
{
    #pragma unroll
    for (int apart = 1; apart < 16; apart *= 2) {
        value += __shfl_xor_sync(0xffffffffu, value, apart);
    }
    return value;
}
"""
