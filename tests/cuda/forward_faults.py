"""Seeded faults of forward CUDA kernels, as rows for ``faults``.

What it does: those of the first table are in the kernels of the printer (a warp for each row, a thread for each entry), those of the second
in attention on tensor cores, those of the third in attention in tiles. Cannot see: as ``faults``.
"""

from __future__ import annotations

from typing import Any

#: faults on tensor cores that a push tries; of each family some
PUSHED = frozenset({
    "the barrier is missing", "the wait leaves a group out", "the next tile is started before the barrier",
    "a warp without queries returns before the barrier", "the address of a fragment of values is wrong", "the mask of the tail is missing",
    "a row too many is written", "the results are not scaled again", "shared memory is 16 bytes too small",
    "a piece is stored across 16-byte addresses", "an array of registers is one short", "rows are not exchanged",
    "more blocks are asked for than registers allow", "registers are indexed by a loop", "a wrapper does not transpose",
})


def _simt(name: str, phase: str, dtype: str, pattern: str, change: str) -> tuple[Any, ...]:
    return name, phase, dtype, pattern, change


def _tensor(name: str, pattern: str, change: str, tier: str = "T2") -> tuple[Any, ...]:
    return name, "attention", "float16", pattern, change, tier, "tensor", name in PUSHED


SIMT = (
    _simt("a shuffle step is missing", "softmax", "float32", r"offset = 16;", "offset = 8;"),
    _simt("a row too few", "softmax", "float32", r"row < (lead0_size)", r"row + 1 < \1"),
    _simt("a row too many", "layer_norm", "float32", r"row < (lead0_size \* lead1_size \* lead2_size)", r"row <= \1"),
    _simt("an entry too few in a row", "rms_norm", "float32", r"(\w+) < d;", r"\1 < d - 1;"),
    _simt("an entry too many in a row", "softmax", "float32", r"(j\d+) < n;", r"\1 <= n;"),
    _simt("the guard of x/0 is missing", "attention", "float32", r"value == 0\.0f \? [^;]*;", "value;"),
    _simt("the guard of the maximum is missing", "attention", "float32", r"if \(value_\d+\) (top_1)", r"\1"),
    _simt("the mask is forgotten", "attention", "float32", r"value_\d+ \? (power_1) : 0\.0f", r"\1"),
    _simt("the maximum is not taken away", "softmax", "float32", r"(value_\d+) - top_1", r"\1"),
    _simt("a maximum of lanes is not joined", "softmax", "float32", r"top_1 = kp_warp_max\(top_1\);", ""),
    _simt("a sum of lanes is not joined", "layer_norm", "float32", r"total_2 = kp_warp_sum\(total_2\);", ""),
    _simt("a wrong stride of an entry", "softmax", "float32", r"(j\d+) \* x_by0", r"\1"),
    _simt("a wrong stride of a batch axis", "softmax", "float32", r"lead1 \* x_lead1", "lead1 * x_lead2"),
    _simt("a mask is not broadcast", "attention", "float32", r"lead2 \* allow_lead2", "lead2 * (allow_lead2 + 1)"),
    _simt("an absent mask is read as one that hides", "attention", "float32", r"allow == nullptr \|\|", "allow != nullptr &&"),
    _simt("a lane starts too late", "rms_norm", "float32", r"(\w+) = lane;", r"\1 = lane + 1;"),
    _simt("lanes step too far", "softmax", "float32", r"(k3) \+= 32", r"\1 += 33"),
    _simt("pairs are taken from neighbours", "rotary", "float32", r"h \+ i3", "1 + i3"),
    _simt("cosine for sine", "positional", "float32", r"= sin\(", "= cos("),
    _simt("a bit of the mantissa is lost", "softmax", "float16", r"__float2half_rn\(", "__float2half_rn(1.001f * "),
    _simt("the bias is forgotten", "feed_forward", "float32", r"product1\[.*\];", "0.0f;"),
    _simt("heads and positions are swapped", "multi_head_attention", "float16", r"(\w+) = (\w+) % n;", r"\1 = \2 % heads;"),
    _simt("sizes are handed over in another order", "attention", "float32", r"n, \(m, n\),", "n, (n, m),"),
    _simt("lanes return before a shuffle", "softmax", "float32", r"(float total_1 = 0\.0f;)", r"\1 if (lane > 20) return;"),
)

TENSOR = (
    # barriers and asynchronous copies
    _tensor("the barrier is missing", r"__syncthreads\(\);", ""),
    _tensor("the wait leaves a group out", r"kp_cp_wait<0>", "kp_cp_wait<1>"),
    _tensor("the wait is missing", r"kp_cp_wait<0>\(\);", ""),
    _tensor(
        "the next tile is started before the barrier",
        r"(__syncthreads\(\);)[^\n]*\n((?:.*\n)*?        kp_cp_commit\(\);)", r"\2\n        \1", "T3t",
    ),
    _tensor("a warp without queries returns before the barrier", r"(    unsigned query\[)", r"    if (first + row >= n) return;\n\1"),
    _tensor(
        "lanes beyond the end return before a shuffle",
        r"(        total\[half\] \+= __shfl_xor_sync\(0xffffffffu, total\[half\], 1\);)",
        r"        if (first + lane / 4 + 8 * half >= n) break;\n\1",
    ),
    _tensor("the values of the first tile serve all", r"values \+ \(step & 1\) \* KEYS \* WIDTH", "values"),
    # fragments
    _tensor("a fragment of keys is of other keys", r"key\[0\], key\[1\]", "key[0], key[2]"),
    _tensor("the address of a fragment of values is wrong", r"2 \* f \+ lane / 16", "2 * f + lane / 8 % 2"),
    _tensor("the address of a fragment of queries is wrong", r"row \+ lane % 16", "row + lane / 2"),
    _tensor("the values are not transposed", r"kp_ldmatrix_x4_trans\(value,", "kp_ldmatrix_x4(value,"),
    _tensor("the rows of the weights are exchanged", r"at % 2 \* 2\], score", "(at + 1) % 2 * 2], score"),
    _tensor("the halves of a pair are exchanged", r"kp_pack\((result[^,]*), (result[^)]*)\)", r"kp_pack(\2, \1)"),
    # masks and ends
    _tensor("the mask of the tail is missing", r"column >= m \|\| ", ""),
    _tensor("a key too few is seen", r"column > line \+ ahead", "column >= line + ahead"),
    _tensor("tiles on the diagonal are not masked", r"min\(m, first \+ ahead \+ 1\)", "m"),
    _tensor("the last tile is skipped", r"\(seen \+ KEYS - 1\) / KEYS", "seen / KEYS"),
    _tensor("one tile too many is skipped under a causal mask", r"min\(first \+ ROWS, n\) \+ ahead", "first + ahead"),
    _tensor("the tail is loaded without zeros", r"\(there \? first \+ row : 0\)([^\n]*\n[^\n]*)there \? 16 : 0", r"(first + row)\g<1>16"),
    _tensor("a row too many is written", r"if \(line < n\)", "if (line <= n)"),
    _tensor("a row without keys is divided by 0", r"total\[half\] == 0\.0f \? 0\.0f : 1\.0f / ", "1.0f / "),
    _tensor("the shift of a row without keys is infinite", r"highest == kp_minus_infinity\(\) \? 0\.0f : ", ""),
    # the online softmax
    _tensor("the sum is not scaled again", r"        total\[half\] \*= again\[half\];\n", ""),
    _tensor("the results are not scaled again", r"        kp_again\(result, again\);\n", ""),
    _tensor(
        "the maximum of two lanes is not joined",
        r"        highest = fmaxf\(highest, __shfl_xor_sync\(0xffffffffu, highest, 2\)\);\n", "",
    ),
    _tensor("the sum of two lanes is not joined", r"        total\[half\] \+= __shfl_xor_sync\(0xffffffffu, total\[half\], 2\);\n", ""),
    _tensor("powers of two without log2(e)", r"scale / math\.log\(2\)", "scale"),
    # memory
    _tensor("shared memory is 16 bytes too small", r'"shared": 40960', '"shared": 40944'),
    _tensor("a piece is stored across 16-byte addresses", r"piece \^ \(row & 7\)\) \* 8", "piece ^ (row & 7)) * 8 + 4"),
    _tensor("an array of registers is one short", r"float result\[WIDTH / 8\]", "float result[WIDTH / 8 - 1]", "T3a"),
    _tensor("the stride of keys is that of queries", r"lead2 \* k_lead2", "lead2 * q_lead2"),
    # speed and resources
    _tensor("rows are not exchanged", r"piece \^ \(row & 7\)", "piece"),
    _tensor("rows are exchanged by four", r"row & 7", "row & 3"),
    _tensor("more blocks are asked for than registers allow", r"__launch_bounds__\(128, 3\)", "__launch_bounds__(128, 6)", "T1"),
    _tensor(
        "registers are indexed by a loop",
        r"(    #pragma unroll\n)(        for \(int c = 0; c < WIDTH / 16)", r"    #pragma unroll 1\n\2", "T1",
    ),
    # in the wrappers
    _tensor("an instruction is misspelt", r"ldmatrix\.sync\.aligned\.m8n8\.x4\.trans", "ldmatrix.sync.aligned.m8n8.x4.transposed", "T1"),
    _tensor("a wrapper does not transpose", r"x4\.trans\.shared", "x4.shared", "T0"),
    _tensor("a wrapper multiplies in the other format", r"f32\.f16\.f16\.f32", "f32.bf16.bf16.f32", "T0"),
    _tensor("a wrapper waits for one group less", r'"n"\(PENDING\)', '"n"(PENDING + 1)', "T0"),
)

#: faults of the kernel in tiles that a push tries
TILED_PUSHED = frozenset({
    "the barrier before a chunk is missing", "the barrier behind the weights is missing", "the mask of the tail is missing",
    "the sum is not scaled again", "a row too many is read", "shared memory is 16 bytes too small",
    "the first keys of a window are seen too long", "a mask is not broadcast", "registers are indexed by a loop",
    "weights go to other places than they are read from",
})


def _tiled(name: str, pattern: str, change: str, tier: str = "T2") -> tuple[Any, ...]:
    return f"in tiles: {name}", "attention", "float32", pattern, change, tier, "tiled", name in TILED_PUSHED


TILED = (
    # barriers
    _tiled("the barrier before a chunk is missing", r"__syncthreads\(\);  // all are done with the weights, or[^\n]*", ""),
    _tiled("the barrier behind a chunk is missing", r"(kp_load_turned\(keys, k[^\n]*\n) *__syncthreads\(\);", r"\1"),
    _tiled("the barrier before the weights is missing", r"__syncthreads\(\);  // all are done with the queries[^\n]*", ""),
    _tiled("the barrier behind the weights is missing", r"(kp_load_rows<COLUMNS>\(values[^\n]*\n) *__syncthreads\(\);", r"\1"),
    _tiled("the barrier behind the mask is missing", r"(: 0\.0f;\n            }\n) *__syncthreads\(\);", r"\1"),
    _tiled("threads without queries return", r"(    const int row = \(int\)threadIdx[^\n]*)", r"\1\n    if (first + row >= n) return;"),
    # places
    _tiled(
        "weights go to other places than they are read from", r"(weights \+ )kp_place\(column \+ j, (row \+ 4 \* half)\)\)",
        r"\1(column + j) * 64 + \2)",
    ),
    _tiled("a column of values is another's", r"j \* COLUMNS \+ 64 \* f \+ column", "j * COLUMNS + 64 * f + (column ^ 4)"),
    _tiled("the last chunk of channels is skipped", r"chunk < d;", "chunk + CHUNK <= d;"),
    _tiled("a channel too many is multiplied", r"there && from \+ at < width", "there && from + at <= width"),
    _tiled("four entries are read where they do not lie", r"there && given\.wide &&", "there &&", "T3a"),
    _tiled("four entries are read past the end", r"given\.wide && from \+ 4 <= width", "given.wide && from < width"),
    _tiled("a row too many is read", r"first \+ row < end, from \+ 4", "first + row <= end, from + 4"),
    _tiled("a row too many is written", r"if \(first \+ row \+ i < n\)", "if (first + row + i <= n)"),
    _tiled("the columns of a second part are the first's", r"% parts\) \* 64", "% parts) * 0"),
    # masks and ends
    _tiled("the mask of the tail is missing", r"key >= m \|\| ", ""),
    _tiled("a key too few is seen", r"key > line \+ ahead \|\|", "key >= line + ahead ||"),
    _tiled("tiles on the diagonal are not masked", r"min\(m, first \+ ahead \+ 1\)", "m"),
    _tiled("one tile too many is skipped", r"min\(first \+ ROWS, n\) \+ ahead", "first + ahead"),
    _tiled("the first keys of a window are seen too long", r"key <= line \+ ahead - 70", "key < line + ahead - 70"),
    _tiled("a tile is skipped before the window", r"max\(first \+ ahead - 70 \+ 1, 0\) / KEYS", "(first + ahead) / KEYS"),
    _tiled("a mask is not broadcast", r"lead2 \* mask_lead2", "lead2 * (mask_lead2 + 1)"),
    _tiled(
        "a mask is turned", r"\(first \+ line\) \* mask_by_row \+ \(start \+ key\) \*",
        "(start + key) * mask_by_row + (first + line) *",
    ),
    _tiled("an infinity of float16 is a number", r"\(bits & 0x7c00\) == 0x7c00", "false"),
    _tiled("a row without keys is divided by 0", r"if \(total\[i\] == 0\.0f\)", "if (false)"),
    _tiled("the shift of a row without keys is infinite", r"highest == kp_minus_infinity\(\) \? 0\.0f : ", ""),
    # the online softmax
    _tiled("the sum is not scaled again", r"            total\[i\] \*= again;\n", ""),
    _tiled("the results are not scaled again", r"result\[i\]\[f\] \*= again;", ""),
    _tiled("the maximum of eight lanes is not joined", r"apart < 16(; apart \*= 2\) {\n        value = fmaxf)", r"apart < 8\1"),
    _tiled("the sum of eight lanes is not joined", r"apart < 16(; apart \*= 2\) {\n        value \+=)", r"apart < 8\1"),
    # memory and resources
    _tiled("shared memory is 16 bytes too small", r'"shared": 32768', '"shared": 32752'),
    _tiled("an array of registers is one short", r"result\[8\]\[COLUMNS / 16\]", "result[8][COLUMNS / 16 - 1]", "T3a"),
    _tiled("more blocks are asked for than registers allow", r"__launch_bounds__\(128, 3\)", "__launch_bounds__(128, 5)", "T1"),
    _tiled(
        "registers are indexed by a loop", r"#pragma unroll\n(    for \(int i = 0; i < 8; \+\+i\) {\n        if \(first)",
        r"#pragma unroll 1\n\1", "T1",
    ),
)


def faults(fault: type) -> tuple[Any, ...]:
    """The rows, made of the dataclass of ``faults``."""
    return tuple(fault(*row) for row in SIMT + TENSOR + TILED)
