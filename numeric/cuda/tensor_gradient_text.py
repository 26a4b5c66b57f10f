"""The text of attention's gradient on tensor cores, first half: what both kernels share, and the one that has a tile of queries.

What it does: a warp has 16 rows of a product, as in :mod:`attention_text`. *queries*: a block has 64 queries and goes through the keys
twice; first for maximum m, sum l and mean of slopes Δ of each row, online; then for dQ = scale·Σ_j dS·k with dS = P·(dP − Δ), where scores
and slopes dP are computed anew and P = 2^((S − m)·unit − log2 l). It leaves m, log2 l and Δ of each row for the kernel of
:mod:`tensor_gradient_keys_text`. Both passes are one loop with one pipeline of copies.
Guarantees: the maximum is taken away before the factor, so weights are right however large scores are; sums are float32; P and dS are
rounded to the stored format only where they meet a matrix. A row that sees no key gives zeros. Rows of the last tile beyond n are
written to the sums too: these are as long as whole tiles. Needs: what the forward kernel needs, and n, m > 0.
Cannot see: dS beyond the largest number of the format (float16: 65504), which becomes infinite; speed, which no test looks at.
"""

from __future__ import annotations

from kernelproof.numeric.cuda.attention_text import TILES

SHARED = TILES + r"""
// The fragments of 16 rows of a tile, for the left side of a product.
template <int WIDTH>
static __device__ __forceinline__ void kp_fragments(unsigned (&part)[WIDTH / 16][4], const kp_stored* tile, const int row)
{
    #pragma unroll
    for (int c = 0; c < WIDTH / 16; ++c) {
        kp_ldmatrix_x4(part[c], tile + kp_place<WIDTH>(row + threadIdx.x % 32 % 16, 2 * c + threadIdx.x % 32 / 16));
    }
}

template <int FRAGMENTS>
static __device__ __forceinline__ void kp_cleared(float (&sums)[FRAGMENTS][4])
{
    #pragma unroll
    for (int f = 0; f < FRAGMENTS; ++f) {
        #pragma unroll
        for (int at = 0; at < 4; ++at) {
            sums[f][at] = 0.0f;
        }
    }
}

// Products of 16 rows with all rows of a tile.
template <int WIDTH, int FRAGMENTS>
static __device__ __forceinline__ void kp_products(float (&sums)[FRAGMENTS][4], const unsigned (&own)[WIDTH / 16][4], const kp_stored* tile)
{
    const int lane = threadIdx.x % 32;
    kp_cleared(sums);
    #pragma unroll
    for (int c = 0; c < WIDTH / 16; ++c) {
        #pragma unroll
        for (int j = 0; j < FRAGMENTS / 2; ++j) {
            unsigned other[4];
            kp_ldmatrix_x4(other, tile + kp_place<WIDTH>(16 * j + lane % 8 + lane / 16 * 8, 2 * c + lane / 8 % 2));
            kp_mma_m16n8k16(sums[2 * j], own[c], other[0], other[1]);
            kp_mma_m16n8k16(sums[2 * j + 1], own[c], other[2], other[3]);
        }
    }
}

// sums += weights·tile, the weights rounded to the stored format.
template <int WIDTH, int FRAGMENTS>
static __device__ __forceinline__ void kp_added(float (&sums)[WIDTH / 8][4], const float (&weights)[FRAGMENTS][4], const kp_stored* tile)
{
    const int lane = threadIdx.x % 32;
    #pragma unroll
    for (int j = 0; j < FRAGMENTS / 2; ++j) {
        unsigned weight[4];
        #pragma unroll
        for (int at = 0; at < 4; ++at) {
            weight[at] = kp_pack(weights[2 * j + at / 2][at % 2 * 2], weights[2 * j + at / 2][at % 2 * 2 + 1]);
        }
        #pragma unroll
        for (int f = 0; f < WIDTH / 16; ++f) {
            unsigned part[4];
            kp_ldmatrix_x4_trans(part, tile + kp_place<WIDTH>(16 * j + lane % 16, 2 * f + lane / 16));
            kp_mma_m16n8k16(sums[2 * f], weight, part[0], part[1]);
            kp_mma_m16n8k16(sums[2 * f + 1], weight, part[2], part[3]);
        }
    }
}

// 16 rows of a gradient, those before `end`.
template <int WIDTH>
static __device__ __forceinline__ void kp_written(
    float* gradient, const float (&sums)[WIDTH / 8][4], const float factor, const int first, const int end)
{
    const int lane = threadIdx.x % 32;
    #pragma unroll
    for (int half = 0; half < 2; ++half) {
        const int line = first + lane / 4 + 8 * half;
        if (line < end) {
            #pragma unroll
            for (int f = 0; f < WIDTH / 8; ++f) {
                float* const to = gradient + (long long)line * WIDTH + 8 * f + lane % 4 * 2;
                to[0] = factor * sums[f][2 * half];
                to[1] = factor * sums[f][2 * half + 1];
            }
        }
    }
}
"""

QUERIES = r"""
// dQ of one block of queries, and the maximum, the logarithm of the sum and Δ of each row; query i sees the keys up to i + ahead.
template <int WIDTH, int WARPS, int KEYS>
static __device__ __forceinline__ void kp_gradient_of_queries(
    const kp_stored* q, const long long q_by, const kp_stored* k, const long long k_by, const kp_stored* v, const long long v_by,
    const kp_stored* g, const long long g_by, float* d_q, float* rows, const int padded,
    const int first, const int n, const int m, const int ahead, const float unit, const float scale)
{
    constexpr int ROWS = 16 * WARPS, THREADS = 32 * WARPS;
    KP_DYNAMIC_SHARED(memory);
    kp_stored* queries = reinterpret_cast<kp_stored*>(memory);
    kp_stored* gradients = queries + ROWS * WIDTH;
    kp_stored* keys = gradients + ROWS * WIDTH;  // two tiles, and two of values
    kp_stored* values = keys + 2 * KEYS * WIDTH;
    const int lane = threadIdx.x % 32, row = threadIdx.x / 32 * 16;
    // what lies beyond the keys that the last query sees is skipped (attention.masked_weight)
    const int seen = max(min(m, min(first + ROWS, n) + ahead), 0), steps = (seen + KEYS - 1) / KEYS;
    const int unmasked = min(m, first + ahead + 1);
    if (steps > 0) {
        kp_load<ROWS, WIDTH, THREADS>(queries, q, q_by, first, n);
        kp_load<ROWS, WIDTH, THREADS>(gradients, g, g_by, first, n);
        kp_load<KEYS, WIDTH, THREADS>(keys, k, k_by, 0, m);
        kp_load<KEYS, WIDTH, THREADS>(values, v, v_by, 0, m);
    }
    kp_cp_commit();
    unsigned query[WIDTH / 16][4], gradient[WIDTH / 16][4];
    float result[WIDTH / 8][4];
    float top[2] = {kp_minus_infinity(), kp_minus_infinity()}, total[2] = {0.0f, 0.0f}, mean[2] = {0.0f, 0.0f};
    kp_cleared(result);
    for (int step = 0; step < 2 * steps; ++step) {
        const int start = (step < steps ? step : step - steps) * KEYS, next = (step + 1 < steps ? step + 1 : step + 1 - steps) * KEYS;
        const kp_stored* key_tile = keys + (step & 1) * KEYS * WIDTH;
        const kp_stored* value_tile = values + (step & 1) * KEYS * WIDTH;
        kp_cp_wait<0>();
        __syncthreads();  // all threads' copies of this tile are there, and all are done with the one before
        if (step + 1 < 2 * steps) {
            kp_load<KEYS, WIDTH, THREADS>(keys + (~step & 1) * KEYS * WIDTH, k, k_by, next, m);
            kp_load<KEYS, WIDTH, THREADS>(values + (~step & 1) * KEYS * WIDTH, v, v_by, next, m);
        }
        kp_cp_commit();
        if (step == 0) {
            kp_fragments<WIDTH>(query, queries, row);
            kp_fragments<WIDTH>(gradient, gradients, row);
        }
        float score[KEYS / 8][4], slope[KEYS / 8][4];
        kp_products<WIDTH>(score, query, key_tile);
        kp_products<WIDTH>(slope, gradient, value_tile);
        if (start + KEYS > unmasked) {
            #pragma unroll
            for (int j = 0; j < KEYS / 8; ++j) {
                #pragma unroll
                for (int at = 0; at < 4; ++at) {
                    const int column = start + 8 * j + lane % 4 * 2 + at % 2, line = first + row + lane / 4 + at / 2 * 8;
                    if (column >= m || column > line + ahead) {
                        score[j][at] = kp_minus_infinity();
                    }
                }
            }
        }

        if (step < steps) {
            // a thread has two rows of scores, four threads have a whole row
            #pragma unroll
            for (int half = 0; half < 2; ++half) {
                float highest = top[half];
                #pragma unroll
                for (int j = 0; j < KEYS / 8; ++j) {
                    highest = fmaxf(highest, fmaxf(score[j][2 * half], score[j][2 * half + 1]));
                }
                highest = fmaxf(highest, __shfl_xor_sync(0xffffffffu, highest, 1));
                highest = fmaxf(highest, __shfl_xor_sync(0xffffffffu, highest, 2));
                const float base = highest == kp_minus_infinity() ? 0.0f : highest;
                const float again = kp_exp2((top[half] - base) * unit);
                top[half] = highest;
                total[half] *= again;
                mean[half] *= again;
                #pragma unroll
                for (int j = 0; j < KEYS / 8; ++j) {
                    #pragma unroll
                    for (int at = 2 * half; at < 2 * half + 2; ++at) {
                        const float weight = kp_exp2((score[j][at] - base) * unit);
                        total[half] += weight;
                        mean[half] = fmaf(weight, slope[j][at], mean[half]);
                    }
                }
            }
        } else {
            #pragma unroll
            for (int j = 0; j < KEYS / 8; ++j) {
                #pragma unroll
                for (int at = 0; at < 4; ++at) {
                    const float weight = kp_exp2(fmaf(score[j][at] - top[at / 2], unit, -total[at / 2]));
                    slope[j][at] = weight * (slope[j][at] - mean[at / 2]);
                }
            }
            kp_added<WIDTH>(result, slope, key_tile);
        }
        if (step == steps - 1) {
            // from here on `total` is the logarithm of the sum
            #pragma unroll
            for (int half = 0; half < 2; ++half) {
                total[half] += __shfl_xor_sync(0xffffffffu, total[half], 1);
                total[half] += __shfl_xor_sync(0xffffffffu, total[half], 2);
                mean[half] += __shfl_xor_sync(0xffffffffu, mean[half], 1);
                mean[half] += __shfl_xor_sync(0xffffffffu, mean[half], 2);
                const bool some = total[half] != 0.0f;  // numbers for a row that sees no key: its scores are -inf, its weights 0
                top[half] = some ? top[half] : 0.0f;
                mean[half] = some ? mean[half] / total[half] : 0.0f;
                total[half] = some ? log2f(total[half]) : 0.0f;
            }
        }
    }

    kp_written<WIDTH>(d_q, result, scale, first + row, n);
    #pragma unroll
    for (int half = 0; half < 2; ++half) {
        if (lane % 4 == 0) {
            float* const to = rows + first + row + lane / 4 + 8 * half;  // of a block that sees no key nobody reads them
            to[0] = top[half];
            to[padded] = total[half];
            to[2 * padded] = mean[half];
        }
    }
}
"""

#: one entry point for each width of a head
QUERIES_KERNEL = r"""
// a block has {rows} queries of one head, the last ones first: under a causal mask they have the most to do
extern "C" __global__ void __launch_bounds__({block}, {blocks}) {name}(
    const long long lead1_size, const long long lead2_size, const int n, const int m, const int ahead, const int padded,
    const float unit, const float scale,
    const kp_stored* __restrict__ q, const long long q_lead0, const long long q_lead1, const long long q_lead2, const long long q_by,
    const kp_stored* __restrict__ k, const long long k_lead0, const long long k_lead1, const long long k_lead2, const long long k_by,
    const kp_stored* __restrict__ v, const long long v_lead0, const long long v_lead1, const long long v_lead2, const long long v_by,
    const kp_stored* __restrict__ g, const long long g_lead0, const long long g_lead1, const long long g_lead2, const long long g_by,
    float* __restrict__ d_q, float* __restrict__ rows)
{{
    const int blocks = (n + {rows} - 1) / {rows};
    const long long head = blockIdx.x / blocks;
    const long long lead2 = head % lead2_size, lead1 = head / lead2_size % lead1_size, lead0 = head / lead2_size / lead1_size;
    kp_gradient_of_queries<{width}, {warps}, {tile}>(
        q + lead0 * q_lead0 + lead1 * q_lead1 + lead2 * q_lead2, q_by, k + lead0 * k_lead0 + lead1 * k_lead1 + lead2 * k_lead2, k_by,
        v + lead0 * v_lead0 + lead1 * v_lead1 + lead2 * v_lead2, v_by, g + lead0 * g_lead0 + lead1 * g_lead1 + lead2 * g_lead2, g_by,
        d_q + head * n * {width}, rows + head * 3 * padded, padded,
        (blocks - 1 - (int)(blockIdx.x % blocks)) * {rows}, n, m, ahead, unit, scale);
}}
"""
