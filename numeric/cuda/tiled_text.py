"""The text of attention in tiles on ordinary arithmetic units, for kernel files.

What it does: a block has 64 queries and goes through the keys in tiles of 64; a thread has 8 queries and 4 keys of a tile of scores in
registers, and as many queries and 4 or 8 columns of the result. Queries and keys come through shared memory 32 channels at a time, so any
width is right; columns of values beyond a block's own are another block's. The softmax is online: a running maximum, a running sum, and
results scaled again when the maximum grows. Tiles that no query of the block sees are not visited. A mask is read where it lies, tile by
tile, through the memory that the weights take afterwards. Lines that end in ``#? NAME`` stand only with that need.

Guarantees: memory beside the arrays does not grow with queries × keys; nothing outside an array is read or written. A score is rounded
once before a shift is taken away (``__fmul_rn``), so that no fused operation of a compiler makes two shifts of one number. Needs: fewer
than 2^30 queries, keys and channels; the Python that launches sees to it. Cannot see: speed, which no test looks at; the sizes of tiles
are not tuned.
"""

from __future__ import annotations

ATTEND = r"""
// softmax(scale·q·k)·v of one block of queries, columns from `from` on; query i sees the keys up to i + ahead.  #! window
// softmax(scale·q·k)·v of one block of queries, columns from `from` on; query i sees the last BEHIND keys up to i + ahead.  #? window
template <int COLUMNS>
static __device__ __forceinline__ void kp_attend(
    const kp_matrix<kp_asked> q, const kp_matrix<kp_asked> k, const kp_matrix<kp_stored> v, kp_stored* out, const void* mask,
    const int kind, const long long mask_by_row, const long long mask_by_key, const int first, const int from, const int n, const int m,
    const int d, const int e, const int ahead,
    const kp_real slope, const int offset,  #? alibi
    const kp_real sink,  #? sink
    const kp_real scale)
{
    KP_DYNAMIC_SHARED(memory);
    kp_real* queries = reinterpret_cast<kp_real*>(memory);
    kp_real* keys = queries + CHUNK * ROWS;
    kp_real* weights = queries;  // once the scores of a tile are there, its queries and keys are no longer needed
    kp_real* values = queries + KEYS * ROWS;
    static_assert(2 * CHUNK * ROWS == KEYS * ROWS, "weights take the memory of queries and keys");
    const int row = (int)threadIdx.x / 16 * 8, column = (int)threadIdx.x % 16 * 4;
    // what lies beyond the keys that the last query sees is skipped (attention.masked_weight)
    const int seen = max(min(m, min(first + ROWS, n) + ahead), 0);
    const int unmasked = min(m, first + ahead + 1);
    const int low = max(first + ahead - BEHIND + 1, 0) / KEYS * KEYS;  // and before those that the first one does  #? window
    const int low = 0;  #! window
    kp_real result[8][COLUMNS / 16], top[8], total[8];
    #pragma unroll
    for (int i = 0; i < 8; ++i) {
        top[i] = kp_minus_infinity();  #! sink
        total[i] = {zero};  #! sink
        top[i] = sink;  // the first key, without a value (attention.sinks)  #? sink
        total[i] = column == 0 && sink != kp_minus_infinity() ? {one} : {zero};  #? sink
        #pragma unroll
        for (int f = 0; f < COLUMNS / 16; ++f) {
            result[i][f] = {zero};
        }
    }
    for (int start = low; start < seen; start += KEYS) {
        kp_real score[8][4];
        #pragma unroll
        for (int i = 0; i < 8; ++i) {
            #pragma unroll
            for (int j = 0; j < 4; ++j) {
                score[i][j] = {zero};
            }
        }
        for (int chunk = 0; chunk < d; chunk += CHUNK) {
            __syncthreads();  // all are done with the weights, or with the chunk before
            kp_load_turned(queries, q, first, n, chunk, d);
            kp_load_turned(keys, k, start, m, chunk, d);
            __syncthreads();
            const int channels = min(CHUNK, d - chunk);
            #pragma unroll 2
            for (int four = 0; four < channels; four += 4) {
                #pragma unroll
                for (int c = four; c < four + 4; ++c) {
                    const kp_quad key = kp_four(keys, kp_place(c, column));
                    #pragma unroll
                    for (int half = 0; half < 2; ++half) {
                        const kp_quad query = kp_four(queries, kp_place(c, row + 4 * half));
                        #pragma unroll
                        for (int i = 0; i < 4; ++i) {
                            #pragma unroll
                            for (int j = 0; j < 4; ++j) {
                                score[4 * half + i][j] = {fma}(query.at[i], key.at[j], score[4 * half + i][j]);
                            }
                        }
                    }
                }
            }
        }
        __syncthreads();  // all are done with the queries and keys whose memory the mask and the weights take
        if (kind != 0) {
            #pragma unroll 1
            for (int at = (int)threadIdx.x; at < KEYS * ROWS; at += THREADS) {
                const int key = at % KEYS, line = at / KEYS;
                const bool there = start + key < m && first + line < n;
                const long long place = (first + line) * mask_by_row + (start + key) * mask_by_key;
                weights[kp_place(key, line)] = there ? kp_mask(mask, kind, place) : {zero};
            }
            __syncthreads();
        }
        const bool cut = start + KEYS > unmasked;  #! window
        const bool cut = start + KEYS > unmasked || start <= first + ROWS - 1 + ahead - BEHIND;  #? window
        #pragma unroll
        for (int j = 0; j < 4; ++j) {
            #pragma unroll
            for (int half = 0; half < 2; ++half) {
                kp_quad added = {};
                if (kind != 0) {
                    added = kp_four(weights, kp_place(column + j, row + 4 * half));
                }
                #pragma unroll
                for (int i = 0; i < 4; ++i) {
                    const int key = start + column + j, line = first + row + 4 * half + i;
                    kp_real found = {mul}(score[4 * half + i][j], scale);
                    found = {mul}(CAP, {tanh}(found / CAP));  #? steps
                    found = {fma}(slope, (kp_real)(key - line - offset), found);  #? alibi
                    if (kind != 0) {
                        found = added.at[i] == kp_minus_infinity() ? added.at[i] : found + added.at[i];
                    }
                    if (cut && (key >= m || key > line + ahead)) {  #! window
                    if (cut && (key >= m || key > line + ahead || key <= line + ahead - BEHIND)) {  #? window
                        found = kp_minus_infinity();
                    }
                    score[4 * half + i][j] = found;
                }
            }
        }
        #pragma unroll
        for (int i = 0; i < 8; ++i) {
            const kp_real highest = kp_largest({max}({max}({max}(top[i], score[i][0]), {max}(score[i][1], score[i][2])), score[i][3]));
            const kp_real shift = highest == kp_minus_infinity() ? {zero} : highest;  // no key seen yet
            const kp_real again = {exp}(top[i] - shift);
            top[i] = highest;
            total[i] *= again;
            #pragma unroll
            for (int f = 0; f < COLUMNS / 16; ++f) {
                result[i][f] *= again;
            }
            #pragma unroll
            for (int j = 0; j < 4; ++j) {
                score[i][j] = {exp}(score[i][j] - shift);
                total[i] += score[i][j];  // a thread's own keys; the sum of all 16 threads comes at the end
            }
        }
        // each thread writes where it alone has read the mask
        #pragma unroll
        for (int j = 0; j < 4; ++j) {
            #pragma unroll
            for (int half = 0; half < 2; ++half) {
                kp_quad weight;
                #pragma unroll
                for (int i = 0; i < 4; ++i) {
                    weight.at[i] = score[4 * half + i][j];
                }
                *reinterpret_cast<kp_quad*>(weights + kp_place(column + j, row + 4 * half)) = weight;
            }
        }
        kp_load_rows<COLUMNS>(values, v, start, m, from, e);
        __syncthreads();
        const int there = min(KEYS, m - start);
        #pragma unroll 1
        for (int four = 0; four < there; four += 4) {
            #pragma unroll
            for (int j = four; j < four + 4; ++j) {
                const kp_quad low_weight = kp_four(weights, kp_place(j, row)), high_weight = kp_four(weights, kp_place(j, row + 4));
                #pragma unroll
                for (int f = 0; f < COLUMNS / 64; ++f) {
                    const kp_quad value = kp_four(values, j * COLUMNS + 64 * f + column);
                    #pragma unroll
                    for (int i = 0; i < 8; ++i) {
                        #pragma unroll
                        for (int c = 0; c < 4; ++c) {
                            const kp_real weight = i < 4 ? low_weight.at[i % 4] : high_weight.at[i % 4];
                            result[i][4 * f + c] = {fma}(weight, value.at[c], result[i][4 * f + c]);
                        }
                    }
                }
            }
        }
    }
"""

#: where a row of a thread sees no key: the mean of all values
MEAN = r"""
    if (blind) {  // then it gives the mean of the values (attention.fully_masked_mean)
        #pragma unroll
        for (int f = 0; f < COLUMNS / 16; ++f) {
            mean[f] = {zero};
        }
        #pragma unroll 1
        for (int key = 0; key < m; ++key) {
            #pragma unroll
            for (int f = 0; f < COLUMNS / 64; ++f) {
                const kp_quad value = kp_read(v, key, true, from + 64 * f + column, e);
                #pragma unroll
                for (int c = 0; c < 4; ++c) {
                    mean[4 * f + c] += value.at[c];
                }
            }
        }
    }
"""

FINISH = r"""
    kp_real mean[COLUMNS / 16];  #? mean
    bool blind = false;  // whether a row of this thread sees no key  #? mean
    #pragma unroll
    for (int i = 0; i < 8; ++i) {
        total[i] = kp_summed(total[i]);
        blind = blind || total[i] == {zero};  #? mean
    }
MEAN_OF_VALUES
    #pragma unroll
    for (int i = 0; i < 8; ++i) {
        if (first + row + i < n) {
            kp_stored* to = out + (long long)(first + row + i) * e + from + column;
            #pragma unroll
            for (int f = 0; f < COLUMNS / 64; ++f) {
                kp_stored_quad found;
                #pragma unroll
                for (int c = 0; c < 4; ++c) {
                    kp_real value = result[i][4 * f + c] / total[i];
                    if (total[i] == {zero}) {  // a row that sees no key
                        value = {zero};  #! mean #! nan
                        value = m > 0 ? mean[4 * f + c] / (kp_real)m : {zero};  #? mean
                        value = {nan};  #? nan
                    }
                    found.at[c] = kp_narrowed(value);
                }
                const int left = e - (from + 64 * f + column);
                if (left >= 4 && e % 4 == 0) {
                    *reinterpret_cast<kp_stored_quad*>(to + 64 * f) = found;
                } else {
                    #pragma unroll
                    for (int c = 0; c < 4; ++c) {
                        if (c < left) {
                            to[64 * f + c] = found.at[c];
                        }
                    }
                }
            }
        }
    }
}
"""

#: one entry point for each number of columns
KERNEL = r"""
// a block has {rows} queries of one head, the last ones first: under a causal mask they have the most to do
extern "C" __global__ void __launch_bounds__({block}, {blocks}) {name}(
    const long long lead1_size, const long long lead2_size, const int n, const int m, const int d, const int e, const int ahead,
    const int offset,  #? alibi
    const int wide, const int kind, const kp_real scale,
    const kp_asked* __restrict__ q, const long long q_lead0, const long long q_lead1, const long long q_lead2, const long long q_by0,
    const long long q_by1,
    const kp_asked* __restrict__ k, const long long k_lead0, const long long k_lead1, const long long k_lead2, const long long k_by0,
    const long long k_by1,
    const kp_stored* __restrict__ v, const long long v_lead0, const long long v_lead1, const long long v_lead2, const long long v_by0,
    const long long v_by1,
    const void* __restrict__ mask, const long long mask_lead0, const long long mask_lead1, const long long mask_lead2,
    const long long mask_by0, const long long mask_by1,
    const kp_stored* __restrict__ sinks, const long long sinks_lead0, const long long sinks_lead1, const long long sinks_lead2,  #? sink
    const kp_real* __restrict__ slopes, const long long slopes_lead0, const long long slopes_lead1, const long long slopes_lead2,  #? alibi
    kp_stored* __restrict__ out, const long long out_lead0, const long long out_lead1, const long long out_lead2)
{
    const int parts = (e + {columns} - 1) / {columns}, blocks = (n + {rows} - 1) / {rows};
    const int from = (int)(blockIdx.x % parts) * {columns}, block = (int)(blockIdx.x / parts % blocks);
    const long long head = blockIdx.x / parts / blocks;
    const long long lead2 = head % lead2_size, lead1 = head / lead2_size % lead1_size, lead0 = head / lead2_size / lead1_size;
    const long long size = kind == 1 ? 1 : kind < 4 ? 2 : kind == 4 ? 4 : 8;
    kp_attend<{columns}>(
        {q + lead0 * q_lead0 + lead1 * q_lead1 + lead2 * q_lead2, q_by0, q_by1, (wide & 1) != 0},
        {k + lead0 * k_lead0 + lead1 * k_lead1 + lead2 * k_lead2, k_by0, k_by1, (wide & 2) != 0},
        {v + lead0 * v_lead0 + lead1 * v_lead1 + lead2 * v_lead2, v_by0, v_by1, (wide & 4) != 0},
        out + lead0 * out_lead0 + lead1 * out_lead1 + lead2 * out_lead2,
        static_cast<const char*>(mask) + (lead0 * mask_lead0 + lead1 * mask_lead1 + lead2 * mask_lead2) * size, kind, mask_by0, mask_by1,
        (blocks - 1 - block) * {rows}, from, n, m, d, e, ahead,
        slopes[lead0 * slopes_lead0 + lead1 * slopes_lead1 + lead2 * slopes_lead2], offset,  #? alibi
        kp_widened(sinks[lead0 * sinks_lead0 + lead1 * sinks_lead1 + lead2 * sinks_lead2]),  #? sink
        scale);
}
"""
