"""The CUDA text of attention's gradient in tiles of scores: one kernel goes through the keys of a tile of queries, one the other way round.

What it does: scores and slopes dP of a tile are computed anew wherever they are needed, from rows that lie in shared memory in pieces of
CHUNK channels. *queries* passes over the keys twice: for the maximum m, the sum l and the mean Δ of each row, rescaled from tile to tile,
and for dQ = scale·Σ_j P·(dP − Δ)·k. *keys* passes over the queries once, with m, l and Δ from memory, for dK and dV. A block has one piece
of CHUNK columns of what it writes, so that heads may have any width. Guarantees: no atomic additions; nothing of queries × keys is kept in
memory; key tiles that no query of a tile sees are left out. A soft-cap bends scores, and slopes by 1 − tanh²; a sink is the first key of
a row, without a value; the gradient of a row that sees no key and gave the mean of all values goes to all of them alike. Lines that end
in ``#? NAME`` stand only with that need. Cannot see: speed; scores are computed once more for every CHUNK channels.
"""

from __future__ import annotations

from kernelproof.numeric.cuda.attention_gradient_loads import LOADS
from kernelproof.numeric.schedules.attention_text import text_for

#: {REAL}, {EXP}, {ZERO}, {ONE}: of the C type; {TILE} rows and columns of a tile, {CHUNK} channels, {BLOCK} threads, {BLOCKS}, {NAME}
TEXT = LOADS + '''
// one block for each tile of queries and piece of channels; d_q, and for each query the maximum of its scores, their sum and Δ
extern "C" __global__ void __launch_bounds__({BLOCK}, {BLOCKS}) {NAME}_queries(
    const long long lead0_size, const long long lead1_size, const long long lead2_size,
    const long long ahead, const long long d, const long long e, const long long m, const long long n, const long long offset,
    const long long window, const {REAL} scale,
    const {REAL} cap,  #? steps
{INPUTS},
    const {REAL}* __restrict__ sinks, const long long sinks_lead0, const long long sinks_lead1, const long long sinks_lead2,  #? sink
    {REAL}* __restrict__ d_q, const long long d_q_lead0, const long long d_q_lead1, const long long d_q_lead2,
    const long long d_q_by0, const long long d_q_by1,
    {REAL}* __restrict__ tops, const long long tops_lead0, const long long tops_lead1, const long long tops_lead2, const long long tops_by0,
    {REAL}* __restrict__ totals, const long long totals_lead0, const long long totals_lead1, const long long totals_lead2,
    const long long totals_by0,
    {REAL}* __restrict__ means, const long long means_lead0, const long long means_lead1, const long long means_lead2,
    const long long means_by0)  #! sink
    const long long means_by0,  #? sink
    {REAL}* __restrict__ sunk, const long long sunk_lead0, const long long sunk_lead1, const long long sunk_lead2,  #? sink
    const long long sunk_by0)  #? sink
{
    __shared__ {REAL} left[kp_tile * (kp_chunk + 1)], right[kp_tile * (kp_chunk + 1)], slopes_of[kp_tile * (kp_tile + 1)];
    const int ty = threadIdx.x / 16, tx = threadIdx.x % 16;
    const long long chunks = d > kp_chunk ? (d + kp_chunk - 1) / kp_chunk : 1, tiles = (n + kp_tile - 1) / kp_tile;
    for (long long at = blockIdx.x; at < lead0_size * lead1_size * lead2_size * tiles * chunks; at += gridDim.x) {
        const long long piece = at % chunks * kp_chunk, first = at / chunks % tiles * kp_tile, batch = at / chunks / tiles;
{OPENED}
        const long long low = first + ahead - window + 1, high = first + kp_tile + ahead;
        const long long begin = low > 0 ? low / kp_tile * kp_tile : 0, end = high < m ? high : m;
        const {REAL} sink = sinks[lead0 * sinks_lead0 + lead1 * sinks_lead1 + lead2 * sinks_lead2];  #? sink
        {REAL} scores[kp_rows][kp_columns], slopes_here[kp_rows][kp_columns], top[kp_rows], total[kp_rows], mean[kp_rows];
        {REAL} steep;  #? steps
        #pragma unroll
        for (int a = 0; a < kp_rows; ++a) {
            top[a] = -kp_infinity({REAL}());  #! sink
            total[a] = mean[a] = {ZERO};  #! sink
            top[a] = sink;  // the first key, without a value  #? sink
            total[a] = sink == -kp_infinity({REAL}()) ? {ZERO} : {ONE};  #? sink
            mean[a] = {ZERO};  #? sink
        }
        for (long long key = begin; key < end; key += kp_tile) {
            kp_products(scores, left, right, queries, first, keys, key);
            kp_products(slopes_here, left, right, gradient, first, values, key);
            #pragma unroll
            for (int a = 0; a < kp_rows; ++a) {
                {REAL} highest = top[a];
                #pragma unroll
                for (int b = 0; b < kp_columns; ++b) {
                    scores[a][b] = kp_score(mask, scores[a][b], first + ty + 8 * a, key + tx + 16 * b{STEEP});
                    highest = scores[a][b] > highest ? scores[a][b] : highest;
                }
                highest = kp_row_max(highest);
                // what was summed up from another maximum; nothing was, where that is -infinity
                const {REAL} factor = top[a] == -kp_infinity({REAL}()) ? {ZERO} : {EXP}(top[a] - highest);
                {REAL} sum = {ZERO}, weighted = {ZERO};
                #pragma unroll
                for (int b = 0; b < kp_columns; ++b) {
                    if (scores[a][b] != -kp_infinity({REAL}())) {
                        const {REAL} weight = {EXP}(scores[a][b] - highest);
                        sum += weight;
                        weighted += weight * slopes_here[a][b];
                    }
                }
                total[a] = total[a] * factor + kp_row_sum(sum);
                mean[a] = mean[a] * factor + kp_row_sum(weighted);
                top[a] = highest;
            }
        }
        {REAL} sums[kp_rows][kp_wide];
        #pragma unroll
        for (int a = 0; a < kp_rows; ++a) {
            mean[a] = mean[a] / kp_divisor(total[a]);
            #pragma unroll
            for (int c = 0; c < kp_wide; ++c) sums[a][c] = {ZERO};
        }
        for (long long key = begin; key < end; key += kp_tile) {
            kp_products(scores, left, right, queries, first, keys, key);
            kp_products(slopes_here, left, right, gradient, first, values, key);
            #pragma unroll
            for (int a = 0; a < kp_rows; ++a) {
                #pragma unroll
                for (int b = 0; b < kp_columns; ++b) {
                    const {REAL} score = kp_score(mask, scores[a][b], first + ty + 8 * a, key + tx + 16 * b{STEEP});
                    const bool seen = score != -kp_infinity({REAL}());
                    const {REAL} weight = seen ? {EXP}(score - top[a]) / kp_divisor(total[a]) : {ZERO};
                    slopes_of[(ty + 8 * a) * (kp_tile + 1) + tx + 16 * b] = seen ? weight * (slopes_here[a][b] - mean[a]){BENT} : {ZERO};
                }
            }
            __syncthreads();  // nobody reads the values any more
            kp_loaded(right, keys, key, piece);
            __syncthreads();
            for (int j = 0; j < kp_tile; ++j) {
                #pragma unroll
                for (int a = 0; a < kp_rows; ++a) {
                    const {REAL} slope = slopes_of[(ty + 8 * a) * (kp_tile + 1) + j];
                    #pragma unroll
                    for (int c = 0; c < kp_wide; ++c) sums[a][c] += slope * right[j * (kp_chunk + 1) + tx + 16 * c];
                }
            }
            __syncthreads();  // the slopes have been read
        }
        #pragma unroll
        for (int a = 0; a < kp_rows; ++a) {
            const long long i = first + ty + 8 * a;
            #pragma unroll
            for (int c = 0; c < kp_wide; ++c) {
                const long long column = piece + tx + 16 * c;
                if (i < n && column < d) {
                    d_q[lead0 * d_q_lead0 + lead1 * d_q_lead1 + lead2 * d_q_lead2 + i * d_q_by0 + column * d_q_by1] = scale * sums[a][c];
                }
            }
            if (piece == 0 && tx == 0 && i < n) {
                tops[lead0 * tops_lead0 + lead1 * tops_lead1 + lead2 * tops_lead2 + i * tops_by0] = top[a];
                totals[lead0 * totals_lead0 + lead1 * totals_lead1 + lead2 * totals_lead2 + i * totals_by0] = total[a];
                means[lead0 * means_lead0 + lead1 * means_lead1 + lead2 * means_lead2 + i * means_by0] = mean[a];
                // what the weight of the sink adds to the sink's gradient  #? sink
                const {REAL} weight = sink == -kp_infinity({REAL}()) ? {ZERO} : {EXP}(sink - top[a]) / kp_divisor(total[a]);  #? sink
                sunk[lead0 * sunk_lead0 + lead1 * sunk_lead1 + lead2 * sunk_lead2 + i * sunk_by0] = -weight * mean[a];  #? sink
            }
        }
    }
}

// one block for each tile of keys and piece of channels; d_k and d_v
extern "C" __global__ void __launch_bounds__({BLOCK}, {BLOCKS}) {NAME}_keys(
    const long long lead0_size, const long long lead1_size, const long long lead2_size,
    const long long ahead, const long long d, const long long e, const long long m, const long long n, const long long offset,
    const long long window, const {REAL} scale,
    const {REAL} cap,  #? steps
{INPUTS},
    const {REAL}* __restrict__ tops, const long long tops_lead0, const long long tops_lead1, const long long tops_lead2,
    const long long tops_by0,
    const {REAL}* __restrict__ totals, const long long totals_lead0, const long long totals_lead1, const long long totals_lead2,
    const long long totals_by0,
    const {REAL}* __restrict__ means, const long long means_lead0, const long long means_lead1, const long long means_lead2,
    const long long means_by0,
    {REAL}* __restrict__ d_k, const long long d_k_lead0, const long long d_k_lead1, const long long d_k_lead2,
    const long long d_k_by0, const long long d_k_by1,
    {REAL}* __restrict__ d_v, const long long d_v_lead0, const long long d_v_lead1, const long long d_v_lead2,
    const long long d_v_by0, const long long d_v_by1)
{
    __shared__ {REAL} left[kp_tile * (kp_chunk + 1)], right[kp_tile * (kp_chunk + 1)];
    __shared__ {REAL} slopes_of[kp_tile * (kp_tile + 1)], weights_of[kp_tile * (kp_tile + 1)];
    const int ty = threadIdx.x / 16, tx = threadIdx.x % 16;
    const long long width = d > e ? d : e, tiles = (m + kp_tile - 1) / kp_tile;
    const long long chunks = width > kp_chunk ? (width + kp_chunk - 1) / kp_chunk : 1;
    for (long long at = blockIdx.x; at < lead0_size * lead1_size * lead2_size * tiles * chunks; at += gridDim.x) {
        const long long piece = at % chunks * kp_chunk, first = at / chunks % tiles * kp_tile, batch = at / chunks / tiles;
{OPENED}
        const {REAL}* own_tops = tops + lead0 * tops_lead0 + lead1 * tops_lead1 + lead2 * tops_lead2;
        const {REAL}* own_totals = totals + lead0 * totals_lead0 + lead1 * totals_lead1 + lead2 * totals_lead2;
        const {REAL}* own_means = means + lead0 * means_lead0 + lead1 * means_lead1 + lead2 * means_lead2;
        const long long low = first - ahead, high = first + kp_tile - 1 + window - ahead;
        const long long begin = low > 0 ? low / kp_tile * kp_tile : 0, end = high < n ? high : n;
        {REAL} scores[kp_rows][kp_columns], slopes_here[kp_rows][kp_columns], of_keys[kp_rows][kp_wide], of_values[kp_rows][kp_wide];
        {REAL} steep;  #? steps
        {REAL} lost[kp_wide];  // gradients of rows that see no key and gave the mean of all values  #? mean
        #pragma unroll  #? mean
        for (int c = 0; c < kp_wide; ++c) lost[c] = {ZERO};  #? mean
        for (long long i = 0; i < n; ++i) {  #? mean
            if (own_totals[i * totals_by0] != {ZERO}) continue;  #? mean
            #pragma unroll  #? mean
            for (int c = 0; c < kp_wide; ++c) {  #? mean
                const long long column = piece + tx + 16 * c;  #? mean
                lost[c] += column < e ? gradient.at[i * gradient.by0 + column * gradient.by1] : {ZERO};  #? mean
            }  #? mean
        }  #? mean
        #pragma unroll
        for (int a = 0; a < kp_rows; ++a) {
            #pragma unroll
            for (int c = 0; c < kp_wide; ++c) of_keys[a][c] = of_values[a][c] = {ZERO};  #! mean
            for (int c = 0; c < kp_wide; ++c) {  #? mean
                of_keys[a][c] = {ZERO};  #? mean
                of_values[a][c] = lost[c] / ({REAL})m;  #? mean
            }  #? mean
        }
        for (long long query = begin; query < end; query += kp_tile) {
            kp_products(scores, left, right, queries, query, keys, first);
            kp_products(slopes_here, left, right, gradient, query, values, first);
            #pragma unroll
            for (int a = 0; a < kp_rows; ++a) {
                const long long i = query + ty + 8 * a;
                const bool inside = i < n;
                const {REAL} top = inside ? own_tops[i * tops_by0] : {ZERO}, mean = inside ? own_means[i * means_by0] : {ZERO};
                const {REAL} divisor = inside ? kp_divisor(own_totals[i * totals_by0]) : {ONE};
                #pragma unroll
                for (int b = 0; b < kp_columns; ++b) {
                    const {REAL} score = kp_score(mask, scores[a][b], i, first + tx + 16 * b{STEEP});
                    const bool seen = score != -kp_infinity({REAL}());
                    const {REAL} weight = seen ? {EXP}(score - top) / divisor : {ZERO};
                    weights_of[(ty + 8 * a) * (kp_tile + 1) + tx + 16 * b] = weight;
                    slopes_of[(ty + 8 * a) * (kp_tile + 1) + tx + 16 * b] = seen ? weight * (slopes_here[a][b] - mean){BENT} : {ZERO};
                }
            }
            __syncthreads();  // nobody reads gradients and values any more
            kp_loaded(left, queries, query, piece);
            kp_loaded(right, gradient, query, piece);
            __syncthreads();
            for (int i = 0; i < kp_tile; ++i) {
                #pragma unroll
                for (int a = 0; a < kp_rows; ++a) {
                    const {REAL} slope = slopes_of[i * (kp_tile + 1) + ty + 8 * a], weight = weights_of[i * (kp_tile + 1) + ty + 8 * a];
                    #pragma unroll
                    for (int c = 0; c < kp_wide; ++c) {
                        of_keys[a][c] += slope * left[i * (kp_chunk + 1) + tx + 16 * c];
                        of_values[a][c] += weight * right[i * (kp_chunk + 1) + tx + 16 * c];
                    }
                }
            }
            __syncthreads();  // slopes and weights have been read
        }
        #pragma unroll
        for (int a = 0; a < kp_rows; ++a) {
            const long long j = first + ty + 8 * a;
            #pragma unroll
            for (int c = 0; c < kp_wide; ++c) {
                const long long column = piece + tx + 16 * c;
                if (j < m && column < d) {
                    d_k[lead0 * d_k_lead0 + lead1 * d_k_lead1 + lead2 * d_k_lead2 + j * d_k_by0 + column * d_k_by1] = scale * of_keys[a][c];
                }
                if (j < m && column < e) {
                    d_v[lead0 * d_v_lead0 + lead1 * d_v_lead1 + lead2 * d_v_lead2 + j * d_v_by0 + column * d_v_by1] = of_values[a][c];
                }
            }
        }
    }
}
'''
#: arrays of both kernels, each with strides of three batch axes and its own
INPUTS = (("q", 2), ("k", 2), ("v", 2), ("grad_out", 2), ("allow", 2), ("bias", 2), ("slopes", 0))
#: what both kernels open for an entry of the batch
OPENED = '''
        const long long lead2 = batch % lead2_size, lead1 = batch / lead2_size % lead1_size, lead0 = batch / lead2_size / lead1_size;
        const kp_matrix queries = {q + lead0 * q_lead0 + lead1 * q_lead1 + lead2 * q_lead2, q_by0, q_by1, n, d};
        const kp_matrix keys = {k + lead0 * k_lead0 + lead1 * k_lead1 + lead2 * k_lead2, k_by0, k_by1, m, d};
        const kp_matrix values = {v + lead0 * v_lead0 + lead1 * v_lead1 + lead2 * v_lead2, v_by0, v_by1, m, e};
        const kp_matrix gradient = {
            grad_out + lead0 * grad_out_lead0 + lead1 * grad_out_lead1 + lead2 * grad_out_lead2, grad_out_by0, grad_out_by1, n, e};
        const kp_mask mask = {
            allow == nullptr ? allow : allow + lead0 * allow_lead0 + lead1 * allow_lead1 + lead2 * allow_lead2, allow_by0, allow_by1,
            bias == nullptr ? bias : bias + lead0 * bias_lead0 + lead1 * bias_lead1 + lead2 * bias_lead2, bias_by0, bias_by1,
            slopes == nullptr ? slopes : slopes + lead0 * slopes_lead0 + lead1 * slopes_lead1 + lead2 * slopes_lead2,
            ahead, window, offset, n, m, scale};  #! steps
            ahead, window, offset, n, m, scale, cap};  #? steps
'''


def cuda_text(name: str, real: str, tile: int, chunk: int, block: int, blocks: int, needs: frozenset[str] = frozenset()) -> str:
    """The text of both kernels for a C type; so many ``blocks`` fit a multiprocessor."""
    inputs = []
    for array, own in INPUTS:
        strides = [f"const long long {array}_lead{at}" for at in range(3)] + [f"const long long {array}_by{at}" for at in range(own)]
        inputs.append(f"    const {'bool' if array == 'allow' else real}* __restrict__ {array}, {', '.join(strides)}")
    suffix, steps = "f" if real == "float" else "", "steps" in needs
    places = {
        "INPUTS": ",\n".join(inputs), "OPENED": text_for(OPENED.strip("\n"), needs), "REAL": real, "EXP": f"exp{suffix}",
        "TANH": f"tanh{suffix}", "ZERO": f"0.0{suffix}", "ONE": f"1.0{suffix}", "TILE": str(tile), "CHUNK": str(chunk), "BLOCK": str(block),
        "BLOCKS": str(blocks), "NAME": name, "STEEP": ", steep" if steps else "", "BENT": " * steep" if steps else "",
    }
    return text_for(TEXT.strip(), needs, **places)
