"""The text of attention by products of warpgroups (compute capability 9.0), for kernel files.

What it does: as :mod:`attention_text`, with other products: four warps together multiply 64 queries with 128 keys, factors are read from
shared memory by the hardware itself, and only weights, as a left factor, come from registers. Shared memory is laid out in panels of 64
columns, rows of 128 bytes whose eight pieces are exchanged by the number of the row, as the hardware's 128-byte exchange has it. Copies
are asynchronous, the next tile while this one is computed. Guarantees: those of :mod:`attention_text`; what a product reads is made visible
to it (``kp_proxy_fence``), ordered before it (a barrier) and not written again before the product is waited for. Needs: as there, and a
device of compute capability 9.0. Cannot see: speed. There is no tensor memory accelerator here: its maps are made by the driver's
interface, which CuPy does not hand on, and a file stands alone; products are not laid over the softmax of the same warps.
"""

from __future__ import annotations

ATTEND = r"""
// Starts copies of rows first, first + 1, … of an array into panels of 64 columns; zeros from `end` on.
template <int ROWS, int WIDTH, int THREADS>
static __device__ __forceinline__ void kp_load(
    kp_stored* tile, const kp_stored* array, const long long by_row, const int first, const int end)
{
    constexpr int PIECES = ROWS * WIDTH / 8;
    #pragma unroll
    for (int at = 0; at < PIECES; at += THREADS) {
        const int row = (at + threadIdx.x) / (WIDTH / 8), piece = (at + threadIdx.x) % (WIDTH / 8);
        if (PIECES % THREADS == 0 || row < ROWS) {
            const bool there = first + row < end;
            const kp_stored* from = array + (there ? first + row : 0) * by_row + piece * 8;
            kp_cp16(tile + (piece / 8 * ROWS + row) * 64 + ((piece % 8) ^ (row & 7)) * 8, from, there ? 16 : 0);
        }
    }
}

// How a product finds a matrix: where it begins, `panel` bytes from 64 columns to the next ones (where columns are not multiplied away),
// 1024 bytes from eight rows to the next ones, and that pieces are exchanged in rows of 128 bytes.
static __device__ __forceinline__ unsigned long long kp_matrix(const kp_stored* first, const int panel)
{
    const unsigned long long start = kp_shared_address(first) / 16 % 16384;
    return start | (unsigned long long)(panel / 16) << 16 | 1024ull / 16 << 32 | 1ull << 62;
}

template <int FRAGMENTS>
static __device__ __forceinline__ void kp_hold_all(float (&x)[FRAGMENTS][4])
{
    #pragma unroll
    for (int j = 0; j < FRAGMENTS; ++j) {
        #pragma unroll
        for (int at = 0; at < 4; ++at) {
            kp_hold(x[j][at]);
        }
    }
}

// softmax(scale·q·k)·v of one block of queries; unit is scale·log2(e), and query i sees the keys up to i + ahead.
template <int WIDTH, int WARPS>
static __device__ __forceinline__ void kp_attend(
    const kp_stored* q, const long long q_by, const kp_stored* k, const long long k_by, const kp_stored* v, const long long v_by,
    kp_stored* out, const long long out_by, float* sums, const int first, const int n, const int m, const int ahead, const float unit)
{
    constexpr int ROWS = 16 * WARPS, KEYS = KEY_TILE, THREADS = 32 * WARPS;
    KP_DYNAMIC_SHARED(memory);
    // the hardware exchanges pieces by their address: rows 0, 8, 16, … lie at multiples of 1024
    kp_stored* queries = reinterpret_cast<kp_stored*>(memory + (1024 - kp_shared_address(memory) % 1024) % 1024);
    kp_stored* keys = queries + ROWS * WIDTH;  // two tiles, and two of values
    kp_stored* values = keys + 2 * KEYS * WIDTH;
    const int row = threadIdx.x / 32 * 16, group = threadIdx.x / 128 * 64;
    // what lies beyond the keys that the last query sees is skipped (attention.masked_weight)
    const int seen = max(min(m, min(first + ROWS, n) + ahead), 0), steps = (seen + KEYS - 1) / KEYS;
    const int unmasked = min(m, first + ahead + 1);
    if (steps > 0) {
        kp_load<ROWS, WIDTH, THREADS>(queries, q, q_by, first, n);
        kp_load<KEYS, WIDTH, THREADS>(keys, k, k_by, 0, m);
        kp_load<KEYS, WIDTH, THREADS>(values, v, v_by, 0, m);
    }
    kp_cp_commit();
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
        kp_proxy_fence();
        __syncthreads();  // all threads' copies of this tile are there, and all are done with the one before
        if (step + 1 < steps) {
            kp_load<KEYS, WIDTH, THREADS>(keys + (~step & 1) * KEYS * WIDTH, k, k_by, start + KEYS, m);
            kp_load<KEYS, WIDTH, THREADS>(values + (~step & 1) * KEYS * WIDTH, v, v_by, start + KEYS, m);
        }
        kp_cp_commit();

        float score[KEYS / 8][4];
        kp_wgmma_fence();
        #pragma unroll
        for (int c = 0; c < WIDTH / 16; ++c) {
            const int column = c % 4 * 16;
            const unsigned long long query = kp_matrix(queries + (c / 4 * ROWS + group) * 64 + column, 16);
            kp_wgmma_scores(score, query, kp_matrix(key_tile + c / 4 * KEYS * 64 + column, 16), c > 0);
        }
        kp_wgmma_commit();
        kp_wgmma_wait<0>();
        kp_hold_all(score);
        if (start + KEYS > unmasked) {
            kp_hide(score, start, first + row, m, ahead);
        }

        kp_weigh(score, result, top, total, unit);
        unsigned weight[KEYS / 16][4];
        #pragma unroll
        for (int j = 0; j < KEYS / 16; ++j) {
            kp_packed(weight[j], score, j);
            #pragma unroll
            for (int at = 0; at < 4; ++at) {
                kp_hold(weight[j][at]);
            }
        }
        kp_hold_all(result);
        kp_wgmma_fence();
        #pragma unroll
        for (int j = 0; j < KEYS / 16; ++j) {
            kp_wgmma_values(result, weight[j], kp_matrix(value_tile + 16 * j * 64, KEYS * 128), 1);
        }
        kp_wgmma_commit();
        kp_wgmma_wait<0>();
        kp_hold_all(result);
    }

    kp_store(out, out_by, sums, result, top, total, first + row, n, unit);
}
"""
