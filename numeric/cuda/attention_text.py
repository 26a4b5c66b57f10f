"""The text of attention on tensor cores, for kernel files.

What it does: a block has 16 queries a warp and goes through the keys in tiles of 64. Keys and values come by asynchronous copies, the
next tile while this one is computed; scores, weights and results stay in registers. The softmax is that of :mod:`online_softmax`. Tiles
that no query of the block sees are not visited, and only tiles with an end of the visible keys in them are masked.
Guarantees: any number of queries and keys, 0 included; rows of shared memory are exchanged by their number (XOR), so that the eight rows
that one load reads lie in different banks; entries past an end are zeros and nothing outside an array is read or written. A row that sees
no key gives zeros, and -inf as its log-sum-exp. Needs: scale > 0, rows of 16-byte pieces at 16-byte addresses, fewer than 2^30 queries
and keys; the Python that launches sees to it. Weights are rounded to the stored format before they meet the values.
Cannot see: speed, which no test looks at; the sizes of tiles are not tuned.
"""

from __future__ import annotations

from kernelproof.numeric.cuda.online_softmax import MINUS_INFINITY, SOFTMAX

_PLACES = r"""
// Where piece `piece` (8 entries) of a row lies: pieces change places by the number of the row.
template <int WIDTH>
static __device__ __forceinline__ int kp_place(const int row, const int piece)
{
    return row * WIDTH + ((piece ^ (row & 7)) * 8);
}

// Starts copies of rows first, first + 1, … of an array; zeros from `end` on.
template <int ROWS, int WIDTH, int THREADS>
static __device__ __forceinline__ void kp_load(
    kp_stored* tile, const kp_stored* array, const long long by_row, const int first, const int end)
{
    #pragma unroll
    for (int at = 0; at < ROWS * WIDTH / 8; at += THREADS) {
        const int row = (at + threadIdx.x) / (WIDTH / 8), piece = (at + threadIdx.x) % (WIDTH / 8);
        const bool there = first + row < end;
        const kp_stored* from = array + (there ? first + row : 0) * by_row + piece * 8;
        kp_cp16(tile + kp_place<WIDTH>(row, piece), from, there ? 16 : 0);
    }
}
"""

#: what lies in shared memory, and how it comes there; the gradient's text has it too
TILES = MINUS_INFINITY + _PLACES

TEXT = SOFTMAX + _PLACES + r"""
// softmax(scale·q·k)·v of one block of queries; unit is scale·log2(e), and query i sees the keys up to i + ahead.
template <int WIDTH, int WARPS>
static __device__ __forceinline__ void kp_attend(
    const kp_stored* q, const long long q_by, const kp_stored* k, const long long k_by, const kp_stored* v, const long long v_by,
    kp_stored* out, const long long out_by, float* sums, const int first, const int n, const int m, const int ahead, const float unit)
{
    constexpr int ROWS = 16 * WARPS, KEYS = KEY_TILE, THREADS = 32 * WARPS;
    KP_DYNAMIC_SHARED(memory);
    kp_stored* queries = reinterpret_cast<kp_stored*>(memory);
    kp_stored* keys = queries + ROWS * WIDTH;  // two tiles, and two of values
    kp_stored* values = keys + 2 * KEYS * WIDTH;
    const int lane = threadIdx.x % 32, row = threadIdx.x / 32 * 16;
    // what lies beyond the keys that the last query sees is skipped (attention.masked_weight)
    const int seen = max(min(m, min(first + ROWS, n) + ahead), 0), steps = (seen + KEYS - 1) / KEYS;
    const int unmasked = min(m, first + ahead + 1);
    if (steps > 0) {
        kp_load<ROWS, WIDTH, THREADS>(queries, q, q_by, first, n);
        kp_load<KEYS, WIDTH, THREADS>(keys, k, k_by, 0, m);
        kp_load<KEYS, WIDTH, THREADS>(values, v, v_by, 0, m);
    }
    kp_cp_commit();
    unsigned query[WIDTH / 16][4];
    float result[WIDTH / 8][4];
    float top[2] = {kp_minus_infinity(), kp_minus_infinity()}, total[2] = {0.0f, 0.0f};
    #pragma unroll
    for (int f = 0; f < WIDTH / 8; ++f) {
        #pragma unroll
        for (int at = 0; at < 4; ++at) {
            result[f][at] = 0.0f;
        }
    }
    for (int step = 0; step < steps; ++step) {
        const int start = step * KEYS;
        const kp_stored* key_tile = keys + (step & 1) * KEYS * WIDTH;
        const kp_stored* value_tile = values + (step & 1) * KEYS * WIDTH;
        kp_cp_wait<0>();
        __syncthreads();  // all threads' copies of this tile are there, and all are done with the one before
        if (step + 1 < steps) {
            kp_load<KEYS, WIDTH, THREADS>(keys + (~step & 1) * KEYS * WIDTH, k, k_by, start + KEYS, m);
            kp_load<KEYS, WIDTH, THREADS>(values + (~step & 1) * KEYS * WIDTH, v, v_by, start + KEYS, m);
        }
        kp_cp_commit();
        if (step == 0) {
            #pragma unroll
            for (int c = 0; c < WIDTH / 16; ++c) {
                kp_ldmatrix_x4(query[c], queries + kp_place<WIDTH>(row + lane % 16, 2 * c + lane / 16));
            }
        }

        float score[KEYS / 8][4];
        #pragma unroll
        for (int j = 0; j < KEYS / 8; ++j) {
            #pragma unroll
            for (int at = 0; at < 4; ++at) {
                score[j][at] = 0.0f;
            }
        }
        #pragma unroll
        for (int c = 0; c < WIDTH / 16; ++c) {
            #pragma unroll
            for (int j = 0; j < KEYS / 16; ++j) {
                unsigned key[4];
                kp_ldmatrix_x4(key, key_tile + kp_place<WIDTH>(16 * j + lane % 8 + lane / 16 * 8, 2 * c + lane / 8 % 2));
                kp_mma_m16n8k16(score[2 * j], query[c], key[0], key[1]);
                kp_mma_m16n8k16(score[2 * j + 1], query[c], key[2], key[3]);
            }
        }
        if (start + KEYS > unmasked) {
            kp_hide(score, start, first + row, m, ahead);
        }

        float again[2];
        kp_weigh(score, again, top, total, unit);
        kp_again(result, again);
        #pragma unroll
        for (int j = 0; j < KEYS / 16; ++j) {
            unsigned weight[4];
            kp_packed(weight, score, j);
            #pragma unroll
            for (int f = 0; f < WIDTH / 16; ++f) {
                unsigned value[4];
                kp_ldmatrix_x4_trans(value, value_tile + kp_place<WIDTH>(16 * j + lane % 16, 2 * f + lane / 16));
                kp_mma_m16n8k16(result[2 * f], weight, value[0], value[1]);
                kp_mma_m16n8k16(result[2 * f + 1], weight, value[2], value[3]);
            }
        }
    }

    kp_store(out, out_by, sums, result, top, total, first + row, n, unit);
}
"""

#: one entry point for each width of a head
KERNEL = r"""
// a block has {rows} queries of one head, the last ones first: under a causal mask they have the most to do
extern "C" __global__ void __launch_bounds__({block}, {blocks}) {name}(
    const long long lead1_size, const long long lead2_size, const int n, const int m, const int ahead, const float unit,
    const kp_stored* __restrict__ q, const long long q_lead0, const long long q_lead1, const long long q_lead2, const long long q_by,
    const kp_stored* __restrict__ k, const long long k_lead0, const long long k_lead1, const long long k_lead2, const long long k_by,
    const kp_stored* __restrict__ v, const long long v_lead0, const long long v_lead1, const long long v_lead2, const long long v_by,
    kp_stored* __restrict__ out, const long long out_lead0, const long long out_lead1, const long long out_lead2, const long long out_by,
    float* __restrict__ sums)
{{
    const int blocks = (n + {rows} - 1) / {rows};
    const long long head = blockIdx.x / blocks;
    const long long lead2 = head % lead2_size, lead1 = head / lead2_size % lead1_size, lead0 = head / lead2_size / lead1_size;
    kp_attend<{width}, {warps}>(
        q + lead0 * q_lead0 + lead1 * q_lead1 + lead2 * q_lead2, q_by, k + lead0 * k_lead0 + lead1 * k_lead1 + lead2 * k_lead2, k_by,
        v + lead0 * v_lead0 + lead1 * v_lead1 + lead2 * v_lead2, v_by,
        out + lead0 * out_lead0 + lead1 * out_lead1 + lead2 * out_lead2, out_by, sums == nullptr ? sums : sums + head * n,
        (blocks - 1 - (int)(blockIdx.x % blocks)) * {rows}, n, m, ahead, unit);
}}
"""
