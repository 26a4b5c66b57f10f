"""The text of attention by products of warpgroups (compute capability 9.0), for kernel files.

What it does: as :mod:`attention_text`, with warps that have different parts. One thread of the last four warps has the hardware load the
queries and, one after the other into a ring of slots, tiles of keys and of values; each slot has two barriers, one that its bytes are
there and one that all who read it are done. The other warps multiply, four together 64 queries with 128 keys: factors are read from shared
memory by the hardware itself, and only weights, as a left factor, come from registers. The scores of a tile are started before the values
of the one before are multiplied, so that products run while weights are made. Registers that loading warps do not need go to the others.
Shared memory is laid out in panels of 64 columns, rows of 128 bytes whose eight pieces are exchanged by the number of the row.
Guarantees: those of :mod:`attention_text`; a slot is read after its bytes came, and loaded again after the products that read it were
waited for; what lies past an end comes as zeros. Needs: as there, a device of compute capability 9.0, and a driver that makes the maps by
which the hardware finds tiles. Cannot see: speed; the sizes of tiles and the length of the ring are not tuned.
"""

from __future__ import annotations

ATTEND = r"""
// How a product finds a matrix: where it begins, `panel` bytes from 64 columns to the next ones (where columns are not multiplied away),
// 1024 bytes from eight rows to the next ones, and that pieces are exchanged in rows of 128 bytes.
static __device__ __forceinline__ unsigned long long kp_matrix(const kp_stored* first, const int panel)
{
    const unsigned long long start = kp_shared_address(first) / 16 % 16384;
    return start | (unsigned long long)(panel / 16) << 16 | 1024ull / 16 << 32 | 1ull << 62;
}

template <class T, int FRAGMENTS>
static __device__ __forceinline__ void kp_hold_all(T (&x)[FRAGMENTS][4])
{
    #pragma unroll
    for (int j = 0; j < FRAGMENTS; ++j) {
        #pragma unroll
        for (int at = 0; at < 4; ++at) {
            kp_hold(x[j][at]);
        }
    }
}

static __device__ __forceinline__ void kp_barrier_wait(unsigned long long* barrier, const unsigned parity)
{
    while (!kp_barrier_over(barrier, parity)) {
    }
}

// This warp is done with a slot.
static __device__ __forceinline__ void kp_leave(unsigned long long* empty)
{
    if (threadIdx.x % 32 == 0) {
        kp_barrier_arrive(empty);
    }
}

// An array of which a block loads one head: the map of its boxes, and the head's place.
struct kp_source {
    const kp_map* map;
    int lead2, lead1, lead0;
};

// Starts the copies of rows first, first + 1, … into panels of 64 columns; `there` is over when they came.
template <int ROWS, int WIDTH>
static __device__ __forceinline__ void kp_load(kp_stored* tile, const kp_source& from, const int first, unsigned long long* there)
{
    kp_barrier_expect(there, ROWS * WIDTH * 2);
    #pragma unroll
    for (int column = 0; column < WIDTH; column += 64) {
        kp_copy_box(tile + ROWS * column, from.map, column, first, from.lead2, from.lead1, from.lead0, there);
    }
}

// Starts the products of a group of queries with a tile of keys.
template <int ROWS, int WIDTH, int FRAGMENTS>
static __device__ __forceinline__ void kp_start_scores(float (&score)[FRAGMENTS][4], const kp_stored* queries, const kp_stored* keys)
{
    kp_wgmma_fence();
    #pragma unroll
    for (int c = 0; c < WIDTH / 16; ++c) {
        const int panel = c / 4 * 64, column = c % 4 * 16;
        kp_wgmma_scores(score, kp_matrix(queries + panel * ROWS + column, 16), kp_matrix(keys + panel * 8 * FRAGMENTS + column, 16), c > 0);
    }
    kp_wgmma_commit();
}

// Starts the products of weights with a tile of values, which are added to the results.
template <int PARTS, int STEPS>
static __device__ __forceinline__ void kp_start_results(float (&result)[PARTS][4], unsigned (&weight)[STEPS][4], const kp_stored* values)
{
    kp_wgmma_fence();
    #pragma unroll
    for (int j = 0; j < STEPS; ++j) {
        kp_wgmma_values(result, weight[j], kp_matrix(values + 16 * j * 64, 16 * STEPS * 128), 1);
    }
    kp_wgmma_commit();
}

// softmax(scale·q·k)·v of one block of queries; unit is scale·log2(e), and query i sees the keys up to i + ahead.
template <int WIDTH, int GROUPS, int FEW, int MANY>
static __device__ __forceinline__ void kp_attend(
    const kp_source& q, const kp_source& k, const kp_source& v, kp_stored* out, const long long out_by, float* sums,
    const int first, const int n, const int m, const int ahead, const float unit)
{
    constexpr int ROWS = 64 * GROUPS, KEYS = KEY_TILE, SLOTS = RING, TILE = KEYS * WIDTH;
    KP_DYNAMIC_SHARED(memory);
    // the hardware exchanges pieces by their address: rows 0, 8, 16, … lie at multiples of 1024
    kp_stored* queries = reinterpret_cast<kp_stored*>(memory + (1024 - kp_shared_address(memory) % 1024) % 1024);
    kp_stored* tiles = queries + ROWS * WIDTH;  // keys, values, keys, values, …
    unsigned long long* full = reinterpret_cast<unsigned long long*>(tiles + SLOTS * TILE);  // of each slot, and of the queries
    unsigned long long* empty = full + SLOTS + 1;
    // what lies beyond the keys that the last query sees is skipped (attention.masked_weight)
    const int seen = max(min(m, min(first + ROWS, n) + ahead), 0), steps = (seen + KEYS - 1) / KEYS;
    if (threadIdx.x == 0) {
        for (int slot = 0; slot < SLOTS; ++slot) {
            kp_barrier_init(full + slot, 1);
            kp_barrier_init(empty + slot, 4 * GROUPS);
        }
        kp_barrier_init(full + SLOTS, 1);
        kp_barrier_show();
    }
    __syncthreads();  // the last one of all warps

    if (threadIdx.x >= 128 * GROUPS) {
        kp_fewer_registers<FEW>();
        if (threadIdx.x == 128 * GROUPS && steps > 0) {
            kp_load<ROWS, WIDTH>(queries, q, first, full + SLOTS);
            for (int step = 0; step < steps; ++step) {
                #pragma unroll
                for (int part = 0; part < 2; ++part) {
                    const int at = 2 * step + part, slot = at % SLOTS;
                    kp_barrier_wait(empty + slot, ~(at / SLOTS) & 1);  // at first at once: the phase before the first one is over
                    kp_load<KEYS, WIDTH>(tiles + slot * TILE, part == 0 ? k : v, step * KEYS, full + slot);
                }
            }
        }
        return;
    }
    kp_more_registers<MANY>();

    const int row = threadIdx.x / 32 * 16, unmasked = min(m, first + ahead + 1);
    const kp_stored* own = queries + threadIdx.x / 128 * 64 * 64;
    float result[WIDTH / 8][4], score[KEYS / 8][4];
    unsigned weight[KEYS / 16][4];
    float top[2] = {kp_minus_infinity(), kp_minus_infinity()}, total[2] = {0.0f, 0.0f}, again[2];
    #pragma unroll
    for (int f = 0; f < WIDTH / 8; ++f) {
        #pragma unroll
        for (int at = 0; at < 4; ++at) {
            result[f][at] = 0.0f;
        }
    }
    if (steps > 0) {
        kp_barrier_wait(full + SLOTS, 0);
    }
    // a round has the scores of one tile, and meanwhile the results with the values of the one before
    for (int step = 0; step < steps; ++step) {
        const int key = 2 * step, value = key - 1, start = step * KEYS;
        kp_barrier_wait(full + key % SLOTS, key / SLOTS & 1);
        kp_start_scores<ROWS, WIDTH>(score, own, tiles + key % SLOTS * TILE);
        if (step > 0) {
            kp_barrier_wait(full + value % SLOTS, value / SLOTS & 1);
            kp_start_results(result, weight, tiles + value % SLOTS * TILE);
            kp_wgmma_wait<1>();
        } else {
            kp_wgmma_wait<0>();
        }
        kp_hold_all(score);
        kp_leave(empty + key % SLOTS);
        if (start + KEYS > unmasked) {
            kp_hide(score, start, first + row, m, ahead);
        }
        kp_weigh(score, again, top, total, unit);
        kp_wgmma_wait<0>();
        kp_hold_all(result);
        if (step > 0) {
            kp_leave(empty + value % SLOTS);
        }
        kp_again(result, again);
        #pragma unroll
        for (int j = 0; j < KEYS / 16; ++j) {
            kp_packed(weight[j], score, j);
        }
        kp_hold_all(weight);
        kp_hold_all(result);
    }
    if (steps > 0) {
        const int value = 2 * steps - 1;
        kp_barrier_wait(full + value % SLOTS, value / SLOTS & 1);
        kp_start_results(result, weight, tiles + value % SLOTS * TILE);
        kp_wgmma_wait<0>();
        kp_hold_all(result);
    }

    kp_store(out, out_by, sums, result, top, total, first + row, n, unit);
}
"""

#: one entry point for each width of a head
KERNEL = r"""
// a block has {rows} queries of one head, the last ones first: under a causal mask they have the most to do; _lead is 0 where heads share
extern "C" __global__ void __launch_bounds__({block}, 1) {name}(
    const long long lead1_size, const long long lead2_size, const int n, const int m, const int ahead, const float unit,
    const __grid_constant__ kp_map q, const int q_lead0, const int q_lead1, const int q_lead2,
    const __grid_constant__ kp_map k, const int k_lead0, const int k_lead1, const int k_lead2,
    const __grid_constant__ kp_map v, const int v_lead0, const int v_lead1, const int v_lead2,
    kp_stored* __restrict__ out, const long long out_lead0, const long long out_lead1, const long long out_lead2, const long long out_by,
    float* __restrict__ sums)
{{
    const int blocks = (n + {rows} - 1) / {rows};
    const long long head = blockIdx.x / blocks;
    const int lead2 = head % lead2_size, lead1 = head / lead2_size % lead1_size, lead0 = head / lead2_size / lead1_size;
    kp_attend<{width}, {groups}, {few}, {many}>(
        kp_source{{&q, lead2 * q_lead2, lead1 * q_lead1, lead0 * q_lead0}},
        kp_source{{&k, lead2 * k_lead2, lead1 * k_lead1, lead0 * k_lead0}},
        kp_source{{&v, lead2 * v_lead2, lead1 * v_lead1, lead0 * v_lead0}},
        out + lead0 * out_lead0 + lead1 * out_lead1 + lead2 * out_lead2, out_by, sums == nullptr ? sums : sums + head * n,
        (blocks - 1 - (int)(blockIdx.x % blocks)) * {rows}, n, m, ahead, unit);
}}
"""
