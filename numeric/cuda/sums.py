"""Sums over axes of an array in CUDA, in an order that the shape alone decides.

What it does: a block has up to 32 neighbouring columns and 256 / 32 or more rows at a time, so that neighbouring threads read neighbouring
entries; each thread adds up its rows, then the block adds up its threads by halves. Where there are few columns and many rows, stretches of
the rows are summed on their own first, and their sums by a second launch. Guarantees: the same bits on every run and device; a sum of
nothing is 0; nothing is added atomically. Cannot see: speed; the sizes of stretches are not tuned.
"""

from __future__ import annotations

from kernelproof.numeric.cuda_kernel import KernelText

#: threads of a block, and the registers that leave room for 4 blocks on a multiprocessor of 65536
BLOCK, REGISTERS = 256, 64
KERNEL = '''
// (outer, depth, inner) summed over each of `parts` stretches of its middle axis
extern "C" __global__ void __launch_bounds__({BLOCK}) {NAME}(
    const long long depth, const long long inner, const long long lanes, const long long outer, const long long parts,
    const {REAL}* __restrict__ x, const long long x_by0, const long long x_by1, const long long x_by2,
    {REAL}* __restrict__ out, const long long out_by0, const long long out_by1, const long long out_by2)
{
    __shared__ {REAL} sums[{BLOCK}];
    const int lane = threadIdx.x % (int)lanes, line = threadIdx.x / (int)lanes, lines = {BLOCK} / (int)lanes;
    const long long tiles = (inner + lanes - 1) / lanes, stretch = (depth + parts - 1) / parts;
    for (long long at = blockIdx.x; at < outer * parts * tiles; at += gridDim.x) {
        const long long column = at % tiles * lanes + lane, part = at / tiles % parts, first = at / tiles / parts;
        const long long end = (part + 1) * stretch < depth ? (part + 1) * stretch : depth;
        {REAL} sum = {ZERO};
        if (column < inner) {
            const {REAL}* own = x + first * x_by0 + column * x_by2;
            for (long long row = part * stretch + line; row < end; row += lines) sum += own[row * x_by1];
        }
        sums[threadIdx.x] = sum;
        __syncthreads();
        for (int half = lines / 2; half > 0; half /= 2) {
            if (line < half) sums[threadIdx.x] += sums[threadIdx.x + half * (int)lanes];
            __syncthreads();
        }
        if (line == 0 && column < inner) out[first * out_by0 + part * out_by1 + column * out_by2] = sums[threadIdx.x];
    }
}
'''
#: the Python beside it; a stretch has 512 rows or more, and there are no more blocks of stretches than 512
HELPER = '''
def _summed(array, axes):
    """The sums over axes, one axis after the other from the last, in an order that the shape alone decides."""
    for axis in sorted((axis % array.ndim for axis in axes), reverse=True):
        before, depth, after = array.shape[:axis], array.shape[axis], array.shape[axis + 1 :]
        outer, inner = math.prod(before), math.prod(after)
        lanes = min(1 << max(inner - 1, 0).bit_length(), 32)  # neighbouring columns of a block
        tiles = outer * -(-inner // lanes)
        parts = max(min(depth // 512, 512 // max(tiles, 1)), 1)
        for count in (parts, 1) if parts > 1 else (1,):
            given = (array.reshape((outer, depth, inner)), (outer, depth, inner), False)
            sizes = depth, inner, lanes, outer, count
            (array,) = _launch("{NAME}", tiles * count, sizes, (), (given,), ((None, (outer, count, inner), COMPUTE),))
            depth = count
        array = array.reshape(before + after)
    return array
'''


def sums(name: str, real: str) -> tuple[KernelText, str]:
    """The kernel of this name for a C type, and the text of ``_summed``, which launches it."""
    text = KERNEL.strip()
    zero = "0.0f" if real == "float" else "0.0"
    for place, code in {"{NAME}": name, "{REAL}": real, "{ZERO}": zero, "{BLOCK}": str(BLOCK)}.items():
        text = text.replace(place, code)
    launch = {"block": BLOCK, "lanes": BLOCK, "shared": 0, "registers": REGISTERS, "local": 0}
    return KernelText(name, text, (), (), (), (), (), launch), HELPER.replace("{NAME}", name)
