"""What both kernels of :mod:`attention_gradient_text` are made of: matrices, scores, tiles in shared memory, products.

Guarantees: what lies outside of a matrix is zero, what a mask hides is minus infinity; sums and maxima of a row are the same in all its
threads. Cannot see: barriers; the kernels set them.
"""

from __future__ import annotations

#: as the text that it stands in
LOADS = '''
constexpr int kp_tile = {TILE}, kp_chunk = {CHUNK}, kp_block = {BLOCK};
// a thread has every 8th row of a tile and every 16th column: so many of rows, of columns, and of channels
constexpr int kp_rows = kp_tile / 8, kp_columns = kp_tile / 16, kp_wide = kp_chunk / 16;

// A matrix in memory.
struct kp_matrix {
    const {REAL}* at;
    long long by0, by1;
    long long rows, columns;
};

// What makes a score of a product: query i sees keys j with i + ahead - window < j <= i + ahead.
struct kp_mask {
    const bool* allow;
    long long allow_by0, allow_by1;
    const {REAL}* bias;
    long long bias_by0, bias_by1;
    const {REAL}* slope;
    long long ahead, window, offset, n, m;
    {REAL} scale;
    {REAL} cap;  #? steps
};

// The score of a query and a key, -infinity where it is hidden.
static __device__ __forceinline__ {REAL} kp_score(const kp_mask& mask, {REAL} product, long long i, long long j)  #! steps
static __device__ __forceinline__ {REAL} kp_score(  #? steps
    const kp_mask& mask, {REAL} product, long long i, long long j, {REAL}& steep)  // steep: how it moves with scale * product  #? steps
{
    const bool near = i < mask.n && j < mask.m && j <= i + mask.ahead && j > i + mask.ahead - mask.window;
    if (!near || (mask.allow != nullptr && !mask.allow[i * mask.allow_by0 + j * mask.allow_by1])) {
        return -kp_infinity({REAL}());
    }
    {REAL} added = mask.bias == nullptr ? {ZERO} : mask.bias[i * mask.bias_by0 + j * mask.bias_by1];
    if (mask.slope != nullptr) {
        added += *mask.slope * ({REAL})(j - i - mask.offset);
    }
    return mask.scale * product + added;  #! steps
    const {REAL} bent = {TANH}(mask.scale * product / mask.cap);  #? steps
    steep = {ONE} - bent * bent;  #? steps
    return mask.cap * bent + added;  #? steps
}

// A tile of a matrix to shared memory, zeros outside of it.
static __device__ __forceinline__ void kp_loaded({REAL}* tile, const kp_matrix& from, long long row, long long column)
{
    for (int entry = threadIdx.x; entry < kp_tile * kp_chunk; entry += kp_block) {
        const long long i = row + entry / kp_chunk, c = column + entry % kp_chunk;
        const bool inside = i < from.rows && c < from.columns;
        tile[entry / kp_chunk * (kp_chunk + 1) + entry % kp_chunk] = inside ? from.at[i * from.by0 + c * from.by1] : {ZERO};
    }
}

// Products of rows of one matrix, from `row`, with rows of another, from `other`.
static __device__ __forceinline__ void kp_products(
    {REAL} (&sums)[kp_rows][kp_columns], {REAL}* left, {REAL}* right,
    const kp_matrix& one, long long row, const kp_matrix& another, long long other)
{
    const int ty = threadIdx.x / 16, tx = threadIdx.x % 16;
    #pragma unroll
    for (int a = 0; a < kp_rows; ++a) {
        #pragma unroll
        for (int b = 0; b < kp_columns; ++b) sums[a][b] = {ZERO};
    }
    for (long long column = 0; column < one.columns; column += kp_chunk) {
        __syncthreads();  // nobody reads what was there
        kp_loaded(left, one, row, column);
        kp_loaded(right, another, other, column);
        __syncthreads();
        const int width = one.columns - column < kp_chunk ? (int)(one.columns - column) : kp_chunk;
        for (int c = 0; c < width; ++c) {
            #pragma unroll
            for (int a = 0; a < kp_rows; ++a) {
                const {REAL} factor = left[(ty + 8 * a) * (kp_chunk + 1) + c];
                #pragma unroll
                for (int b = 0; b < kp_columns; ++b) sums[a][b] += factor * right[(tx + 16 * b) * (kp_chunk + 1) + c];
            }
        }
    }
}

// Sum and maximum over the 16 threads that have one row.
static __device__ __forceinline__ {REAL} kp_row_sum({REAL} value)
{
    for (int offset = 8; offset > 0; offset /= 2) value += __shfl_xor_sync(0xffffffffu, value, offset);
    return value;
}

static __device__ __forceinline__ {REAL} kp_row_max({REAL} value)
{
    for (int offset = 8; offset > 0; offset /= 2) {
        const {REAL} other = __shfl_xor_sync(0xffffffffu, value, offset);
        value = other > value ? other : value;
    }
    return value;
}
'''
