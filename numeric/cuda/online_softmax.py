"""The text of an online softmax on scores in registers, for kernels on tensor cores.

What it does: a thread has two rows of fragments of scores, four neighbours have whole rows. ``kp_hide`` puts -inf where a query does not
see a key, ``kp_weigh`` makes weights of scores, with a running maximum and sum, ``kp_again`` scales the results again where the maximum
grew, ``kp_store`` writes results and, if asked, the log-sum-exp of each row. Exponentials are powers of two of scale·log2(e)·score.
Guarantees: a shift is rounded once, and weights and rescalings are made of the same rounded shifts (attention.online_step); a row that sees
no key gives zeros, and -inf as its log-sum-exp. Cannot see: what order the tiles of keys come in; any one is right.
"""

from __future__ import annotations

MINUS_INFINITY = r"""
static __device__ __forceinline__ float kp_minus_infinity()
{
    return __int_as_float(0xff800000);
}
"""

SOFTMAX = MINUS_INFINITY + r"""
// -infinity for keys that a query does not see: those from m on, and those behind its own place; `first` is the warp's first query.
template <int FRAGMENTS>
static __device__ __forceinline__ void kp_hide(
    float (&score)[FRAGMENTS][4], const int start, const int first, const int m, const int ahead)
{
    const int lane = threadIdx.x % 32;
    #pragma unroll
    for (int j = 0; j < FRAGMENTS; ++j) {
        #pragma unroll
        for (int at = 0; at < 4; ++at) {
            const int column = start + 8 * j + lane % 4 * 2 + at % 2, line = first + lane / 4 + at / 2 * 8;
            if (column >= m || column > line + ahead) {
                score[j][at] = kp_minus_infinity();
            }
        }
    }
}

// From scores to weights; a thread has two rows of scores, four threads have a whole row. What was added before is scaled by `again`.
template <int FRAGMENTS>
static __device__ __forceinline__ void kp_weigh(
    float (&score)[FRAGMENTS][4], float (&again)[2], float (&top)[2], float (&total)[2], const float unit)
{
    #pragma unroll
    for (int half = 0; half < 2; ++half) {
        float highest = top[half];
        #pragma unroll
        for (int j = 0; j < FRAGMENTS; ++j) {
            highest = fmaxf(highest, fmaxf(score[j][2 * half], score[j][2 * half + 1]));
        }
        highest = fmaxf(highest, __shfl_xor_sync(0xffffffffu, highest, 1));
        highest = fmaxf(highest, __shfl_xor_sync(0xffffffffu, highest, 2));
        // not contracted: the shift before must be the very number that its weights had (attention.online_step)
        const float shift = highest == kp_minus_infinity() ? 0.0f : __fmul_rn(highest, unit);
        const bool far = fabsf(shift) > 1048576.0f;  // the last place of the shift is coarse: subtract before the scale
        again[half] = kp_exp2(far ? (top[half] - highest) * unit : __fmul_rn(top[half], unit) - shift);
        top[half] = highest;
        total[half] *= again[half];
        #pragma unroll
        for (int j = 0; j < FRAGMENTS; ++j) {
            #pragma unroll
            for (int at = 2 * half; at < 2 * half + 2; ++at) {
                score[j][at] = kp_exp2(fmaf(far ? score[j][at] - highest : score[j][at], unit, far ? 0.0f : -shift));
                total[half] += score[j][at];
            }
        }
    }
}

template <int PARTS>
static __device__ __forceinline__ void kp_again(float (&result)[PARTS][4], const float (&again)[2])
{
    #pragma unroll
    for (int f = 0; f < PARTS; ++f) {
        #pragma unroll
        for (int at = 0; at < 4; ++at) {
            result[f][at] *= again[at / 2];
        }
    }
}

// Two neighbouring fragments of weights as one of a product's left factor.
template <int FRAGMENTS>
static __device__ __forceinline__ void kp_packed(unsigned (&weight)[4], const float (&score)[FRAGMENTS][4], const int j)
{
    #pragma unroll
    for (int at = 0; at < 4; ++at) {
        weight[at] = kp_pack(score[2 * j + at / 2][at % 2 * 2], score[2 * j + at / 2][at % 2 * 2 + 1]);
    }
}

// The results of a warp's queries, and the log-sum-exp of each if there is a place for it.
template <int PARTS>
static __device__ __forceinline__ void kp_store(
    kp_stored* out, const long long out_by, float* sums, const float (&result)[PARTS][4], const float (&top)[2], float (&total)[2],
    const int first, const int n, const float unit)
{
    const int lane = threadIdx.x % 32;
    #pragma unroll
    for (int half = 0; half < 2; ++half) {
        total[half] += __shfl_xor_sync(0xffffffffu, total[half], 1);
        total[half] += __shfl_xor_sync(0xffffffffu, total[half], 2);
        const int line = first + lane / 4 + 8 * half;
        if (line < n) {
            const float share = total[half] == 0.0f ? 0.0f : 1.0f / total[half];  // a row that sees no key gives zeros
            #pragma unroll
            for (int f = 0; f < PARTS; ++f) {
                const unsigned both = kp_pack(result[f][2 * half] * share, result[f][2 * half + 1] * share);
                *reinterpret_cast<unsigned*>(out + line * out_by + 8 * f + lane % 4 * 2) = both;
            }
            if (sums != nullptr && lane % 4 == 0) {
                sums[line] = total[half] == 0.0f ? kp_minus_infinity() : top[half] * unit * 0.69314718f + logf(total[half]);
            }
        }
    }
}
"""
