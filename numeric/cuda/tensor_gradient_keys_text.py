"""The text of attention's gradient on tensor cores, second half: the kernel that has a tile of keys.

What it does: a block has 64 keys, 16 a warp, and goes through the queries that see any of them, of every head that shares the keys, in
tiles. Scores and slopes are computed transposed, Sᵀ = K·Qᵀ and dPᵀ = V·dOᵀ: then the registers that hold Pᵀ and dSᵀ are, rounded, the left
side of dV += Pᵀ·dO and dK += dSᵀ·Q as they stand, and a tile of queries in shared memory serves once by rows and once transposed. Maximum,
log2 of the sum and Δ of each query come with the tile. Guarantees: members of a group are added in float32, in one order, none atomically;
tiles of queries that see no key of the block are not visited. Keys beyond m are not masked: their rows of dK and dV are no one's, and
queries beyond n are zeros. Needs: the sums of the queries' kernel, at 16-byte addresses, whole tiles of them.
Cannot see: as the queries' kernel; the scores are to be those that it had, which rests on one instruction's rounding of a·b and b·a.
"""

from __future__ import annotations

KEYS = r"""
// Starts copies of maximum, logarithm of the sum and Δ of a tile of queries.
template <int QUERIES>
static __device__ __forceinline__ void kp_load_sums(float* tile, const float* rows, const int padded, const int first)
{
    if (threadIdx.x < 3 * QUERIES / 4) {
        const int kind = threadIdx.x / (QUERIES / 4), piece = threadIdx.x % (QUERIES / 4);
        kp_cp16(tile + kind * QUERIES + piece * 4, rows + (long long)kind * padded + first + piece * 4, 16);
    }
}

// dK and dV of one block of keys; `group` heads of queries share them, at steps of q_member and g_member.
template <int WIDTH, int WARPS, int QUERIES>
static __device__ __forceinline__ void kp_gradient_of_keys(
    const kp_stored* q, const long long q_member, const long long q_by, const kp_stored* k, const long long k_by,
    const kp_stored* v, const long long v_by, const kp_stored* g, const long long g_member, const long long g_by,
    const float* rows, const int padded, const int group, float* d_k, float* d_v,
    const int first, const int n, const int m, const int ahead, const float unit, const float scale)
{
    constexpr int ROWS = 16 * WARPS, THREADS = 32 * WARPS;
    KP_DYNAMIC_SHARED(memory);
    kp_stored* keys = reinterpret_cast<kp_stored*>(memory);
    kp_stored* values = keys + ROWS * WIDTH;
    kp_stored* queries = values + ROWS * WIDTH;  // two tiles, two of gradients, and two of sums
    kp_stored* gradients = queries + 2 * QUERIES * WIDTH;
    float* sums = reinterpret_cast<float*>(gradients + 2 * QUERIES * WIDTH);
    const int lane = threadIdx.x % 32, row = threadIdx.x / 32 * 16;
    // queries before the first that sees a key of the block are skipped (attention.masked_weight)
    const int begin = max(first - ahead, 0) / QUERIES * QUERIES, steps = n > begin ? (n - begin + QUERIES - 1) / QUERIES : 0;
    if (steps > 0) {
        kp_load<ROWS, WIDTH, THREADS>(keys, k, k_by, first, m);
        kp_load<ROWS, WIDTH, THREADS>(values, v, v_by, first, m);
        kp_load<QUERIES, WIDTH, THREADS>(queries, q, q_by, begin, n);
        kp_load<QUERIES, WIDTH, THREADS>(gradients, g, g_by, begin, n);
        kp_load_sums<QUERIES>(sums, rows, padded, begin);
    }
    kp_cp_commit();
    float of_keys[WIDTH / 8][4], of_values[WIDTH / 8][4];
    kp_cleared(of_keys);
    kp_cleared(of_values);
    int start = begin, turn = 0, member = steps > 0 ? 0 : group;
    while (member < group) {
        const kp_stored* query_tile = queries + turn * QUERIES * WIDTH;
        const kp_stored* gradient_tile = gradients + turn * QUERIES * WIDTH;
        const float* sum_tile = sums + turn * 3 * QUERIES;
        const int last = start + QUERIES >= n;
        const int next = last ? begin : start + QUERIES, then = member + last;
        kp_cp_wait<0>();
        __syncthreads();  // all threads' copies of this tile are there, and all are done with the one before
        turn ^= 1;
        if (then < group) {
            kp_load<QUERIES, WIDTH, THREADS>(queries + turn * QUERIES * WIDTH, q + then * q_member, q_by, next, n);
            kp_load<QUERIES, WIDTH, THREADS>(gradients + turn * QUERIES * WIDTH, g + then * g_member, g_by, next, n);
            kp_load_sums<QUERIES>(sums + turn * 3 * QUERIES, rows + then * 3LL * padded, padded, next);
        }
        kp_cp_commit();

        float score[QUERIES / 8][4], slope[QUERIES / 8][4];
        unsigned own[WIDTH / 16][4];
        kp_fragments<WIDTH>(own, keys, row);
        kp_products<WIDTH>(score, own, query_tile);
        kp_fragments<WIDTH>(own, values, row);
        kp_products<WIDTH>(slope, own, gradient_tile);
        if (first + ROWS - 1 > start + ahead) {
            #pragma unroll
            for (int j = 0; j < QUERIES / 8; ++j) {
                #pragma unroll
                for (int at = 0; at < 4; ++at) {
                    const int key = first + row + lane / 4 + at / 2 * 8, line = start + 8 * j + lane % 4 * 2 + at % 2;
                    if (key > line + ahead) {
                        score[j][at] = kp_minus_infinity();
                    }
                }
            }
        }
        #pragma unroll
        for (int j = 0; j < QUERIES / 8; ++j) {
            #pragma unroll
            for (int at = 0; at < 4; ++at) {
                const int line = 8 * j + lane % 4 * 2 + at % 2;
                score[j][at] = kp_exp2(fmaf(score[j][at] - sum_tile[line], unit, -sum_tile[QUERIES + line]));
                slope[j][at] = score[j][at] * (slope[j][at] - sum_tile[2 * QUERIES + line]);
            }
        }
        kp_added<WIDTH>(of_values, score, gradient_tile);
        kp_added<WIDTH>(of_keys, slope, query_tile);
        start = next;
        member = then;
    }
    kp_written<WIDTH>(d_k, of_keys, scale, first + row, m);
    kp_written<WIDTH>(d_v, of_values, 1.0f, first + row, m);
}
"""

#: one entry point for each width of a head
KEYS_KERNEL = r"""
// a block has {rows} keys of one head
extern "C" __global__ void __launch_bounds__({block}, {blocks}) {name}(
    const long long lead1_size, const long long lead2_size, const int n, const int m, const int ahead, const int padded,
    const float unit, const float scale, const int group, const long long q_member, const long long g_member,
    const kp_stored* __restrict__ q, const long long q_lead0, const long long q_lead1, const long long q_lead2, const long long q_by,
    const kp_stored* __restrict__ k, const long long k_lead0, const long long k_lead1, const long long k_lead2, const long long k_by,
    const kp_stored* __restrict__ v, const long long v_lead0, const long long v_lead1, const long long v_lead2, const long long v_by,
    const kp_stored* __restrict__ g, const long long g_lead0, const long long g_lead1, const long long g_lead2, const long long g_by,
    const float* __restrict__ rows, float* __restrict__ d_k, float* __restrict__ d_v)
{{
    const int blocks = (m + {rows} - 1) / {rows};
    const long long head = blockIdx.x / blocks;
    const long long lead2 = head % lead2_size, lead1 = head / lead2_size % lead1_size, lead0 = head / lead2_size / lead1_size;
    kp_gradient_of_keys<{width}, {warps}, {tile}>(
        q + lead0 * q_lead0 + lead1 * q_lead1 + lead2 * q_lead2, q_member, q_by, k + lead0 * k_lead0 + lead1 * k_lead1 + lead2 * k_lead2,
        k_by, v + lead0 * v_lead0 + lead1 * v_lead1 + lead2 * v_lead2, v_by, g + lead0 * g_lead0 + lead1 * g_lead1 + lead2 * g_lead2,
        g_member, g_by, rows + head * group * 3 * padded, padded, group, d_k + head * m * {width}, d_v + head * m * {width},
        (int)(blockIdx.x % blocks) * {rows}, n, m, ahead, unit, scale);
}}
"""
