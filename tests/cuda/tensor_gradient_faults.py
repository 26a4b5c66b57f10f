"""Seeded faults of attention's gradient on tensor cores, as data in the form of ``faults``: name, change, and the tier that sees it.

What it does: faults are put into the file of grouped queries in float16, causal up to the last key, with the kernels of one width left.
``QUERIES`` and ``KEYS`` begin a pattern that is to match in that kernel. Cannot see: what no tier can, as in ``faults``.
"""

from __future__ import annotations

import re

PHASE, DTYPE, KERNEL = "attention", "float16", "gradient tensor"
VARIANT: dict[str, object] = {"grouped_query": True, "causal_alignment": "bottom_right"}
#: up to the next match in the kernel that has a tile of queries, or of keys
QUERIES, KEYS = r"(?s)(kp_gradient_of_queries\(.*?)", r"(?s)(kp_gradient_of_keys\(.*?)"
_STARTED = r"(__syncthreads\(\);)[^\n]*\n(.*?        kp_cp_commit\(\);)"
#: name, pattern, change, tier, and whether every push tries
_ROWS = (
    # barriers and asynchronous copies
    ("the barrier of the queries is missing", rf"{QUERIES}__syncthreads\(\);", r"\1", "T2", False),
    ("the barrier of the keys is missing", rf"{KEYS}__syncthreads\(\);", r"\1", "T3t", False),
    ("the queries' wait leaves a group out", rf"{QUERIES}kp_cp_wait<0>", r"\1kp_cp_wait<1>", "T2", False),
    ("the keys' wait leaves a group out", rf"{KEYS}kp_cp_wait<0>", r"\1kp_cp_wait<1>", "T2", True),
    ("the wait is missing", r"kp_cp_wait<0>\(\);", "", "T2", False),
    ("the next keys are started before the barrier", rf"{QUERIES}{_STARTED}", r"\1\3\n        \2", "T3t", False),
    ("the next queries are started before the barrier", rf"{KEYS}{_STARTED}", r"\1\3\n        \2", "T3t", False),
    (
        "the next sums go where this tile's are",
        rf"{KEYS}sums \+ turn \* 3 \* QUERIES, rows", r"\1sums + (turn ^ 1) * 3 * QUERIES, rows", "T2", False,
    ),
    (
        "a warp without keys returns before the barrier",
        rf"{KEYS}(    float of_keys\[)", r"\1    if (first + row >= m) return;\n\2", "T2", True,
    ),
    (
        "a warp without queries returns before the barrier",
        rf"{QUERIES}(    unsigned query\[)", r"\1    if (first + row >= n) return;\n\2", "T2", False,
    ),
    (
        "lanes beyond the end leave before a shuffle", rf"{QUERIES}(                mean\[half\] \+= __shfl_xor_sync)",
        r"\1                if (first + row + lane / 4 + 8 * half >= n) break;\n\2", "T2", False,
    ),
    (
        "the first pass goes on with the first tile's keys",
        rf"{QUERIES}step \+ 1 < steps \? step \+ 1 :", r"\1step + 1 < steps ? 0 :", "T2", False,
    ),
    # fragments
    ("the address of a fragment of the left side is wrong", r"row \+ threadIdx\.x % 32 % 16", "row + threadIdx.x % 32 / 2", "T2", False),
    ("a fragment of the right side is of other rows", r"other\[0\], other\[1\]", "other[0], other[2]", "T2", False),
    ("the right side is not transposed", r"kp_ldmatrix_x4_trans\(part,", "kp_ldmatrix_x4(part,", "T2", True),
    ("the rows of P and dS are exchanged", r"at % 2 \* 2\], weights", "(at + 1) % 2 * 2], weights", "T2", False),
    ("the quarters of P and dS are exchanged", r"at / 2\]\[at % 2 \* 2\], weights", "at % 2][at / 2 * 2], weights", "T2", False),
    (
        "the slopes of the values are those of the keys",
        rf"{KEYS}kp_fragments<WIDTH>\(own, values", r"\1kp_fragments<WIDTH>(own, keys", "T2", False,
    ),
    ("dK is of weights", rf"{KEYS}of_keys, slope", r"\1of_keys, score", "T2", False),
    ("dV is of queries", rf"{KEYS}score, gradient_tile", r"\1score, query_tile", "T2", False),
    (
        "the halves of a pair are exchanged",
        r"to\[0\] = factor \* sums\[f\]\[2 \* half\]", "to[0] = factor * sums[f][2 * half + 1]", "T2", False,
    ),
    # masks, ends and tiles that are skipped
    ("the mask of the tail is missing", r"column >= m \|\| ", "", "T2", False),
    ("a query sees a key too few", r"column > line \+ ahead", "column >= line + ahead", "T2", False),
    ("a key is seen by a query too few", r"key > line \+ ahead", "key >= line + ahead", "T2", False),
    ("tiles of keys on the diagonal are not masked", r"min\(m, first \+ ahead \+ 1\)", "m", "T2", False),
    ("tiles of queries on the diagonal are not masked", r"first \+ ROWS - 1 > start \+ ahead", "first > start + ahead", "T2", False),
    ("the last tile of keys is skipped", r"\(seen \+ KEYS - 1\) / KEYS", "seen / KEYS", "T2", False),
    ("one tile of keys too many is skipped", r"min\(first \+ ROWS, n\) \+ ahead", "first + ahead", "T2", False),
    (
        "one tile of queries too many is skipped",
        r"max\(first - ahead, 0\) / QUERIES", "max(first - ahead + QUERIES - 1, 0) / QUERIES", "T2", True,
    ),
    ("the last tile of queries is skipped", r"last = start \+ QUERIES >= n", "last = start + 2 * QUERIES > n", "T2", False),
    (
        "the tail is loaded without zeros",
        r"\(there \? first \+ row : 0\)([^\n]*\n[^\n]*)there \? 16 : 0", r"(first + row)\g<1>16", "T3a", False,
    ),
    ("a row too many is written", r"if \(line < end\)", "if (line <= end)", "T2", False),
    ("a row without keys has the logarithm of 0", r"some \? log2f\(total\[half\]\) : 0\.0f", "log2f(total[half])", "T2", False),
    ("the base of a row without keys is infinite", r"highest == kp_minus_infinity\(\) \? 0\.0f : ", "", "T2", False),
    # members of a group
    ("the sums of the first member serve all", r"rows \+ then \* 3LL \* padded", "rows", "T2", True),
    ("the queries of the first member serve all", r"q \+ then \* q_member", "q", "T2", False),
    ("the last member is left out", r"while \(member < group\)", "while (member < group - (group > 1))", "T2", False),
    # the softmax and its gradient
    ("the sum is not scaled again", r" *total\[half\] \*= again;\n", "", "T2", False),
    ("the mean is not scaled again", r" *mean\[half\] \*= again;\n", "", "T2", False),
    ("the mean is not divided by the sum", r"mean\[half\] / total\[half\]", "mean[half]", "T2", False),
    ("the mean of two lanes is not joined", r" *mean\[half\] \+= __shfl_xor_sync\(0xffffffffu, mean\[half\], 2\);\n", "", "T2", False),
    ("the sum of two lanes is not joined", r" *total\[half\] \+= __shfl_xor_sync\(0xffffffffu, total\[half\], 1\);\n", "", "T2", False),
    (
        "the maximum of two lanes is not joined",
        r" *highest = fmaxf\(highest, __shfl_xor_sync\(0xffffffffu, highest, 2\)\);\n", "", "T2", False,
    ),
    ("dQ is without Δ", r"slope\[j\]\[at\] - mean\[at / 2\]", "slope[j][at]", "T2", False),
    ("dK is without Δ", r"slope\[j\]\[at\] - sum_tile\[2 \* QUERIES \+ line\]", "slope[j][at]", "T2", True),
    ("weights are not divided by the sum", r"unit, -total\[at / 2\]", "unit, 0.0f", "T2", False),
    ("powers of two without log2(e)", r"scale / math\.log\(2\)", "scale", "T2", False),
    ("the scale is left out of dK", r"of_keys, scale,", "of_keys, 1.0f,", "T2", False),
    # memory
    ("shared memory of the queries is 16 bytes too small", r'"shared": 49152', '"shared": 49136', "T2", False),
    ("shared memory of the keys is 16 bytes too small", r'"shared": 50688', '"shared": 50672', "T2", True),
    ("the sums end with the queries", r"padded = -\(-n // 64\) \* 64", "padded = -(-n // 4) * 4", "T2", False),
    ("a piece is stored across 16-byte addresses", r"piece \^ \(row & 7\)\) \* 8", "piece ^ (row & 7)) * 8 + 4", "T2", False),
    ("an array of registers is left at its end", r"f < FRAGMENTS;", "f <= FRAGMENTS;", "T3a", False),
    ("the stride of keys is that of queries", r"lead2 \* k_lead2", "lead2 * q_lead2", "T2", False),
    # speed and resources
    ("rows are not exchanged", r"piece \^ \(row & 7\)", "piece", "T2", True),
    ("more blocks are asked for than registers allow", r"__launch_bounds__\(128, 2\)", "__launch_bounds__(128, 4)", "T1", True),
    (
        "registers are indexed by a loop",
        r"#pragma unroll\n(    for \(int c = 0; c < WIDTH / 16; \+\+c\) {\n        kp_ldmatrix_x4\(part)",
        r"#pragma unroll 1\n\1", "T1", False,
    ),
)


def faults(fault: type) -> tuple:
    """The table, made of the dataclass of ``faults``."""
    return tuple(
        fault(f"gradient on tensor cores: {name}", PHASE, DTYPE, pattern, change, tier, KERNEL, push)
        for name, pattern, change, tier, push in _ROWS
    )


def of_width(source: str, width: int) -> str:
    """The file with the kernels of one width only: less to compile."""
    other = 192 - width
    source = re.sub(rf'\n// a block has[^\n]*\nextern "C" __global__ void [^\n]*_tensor_[a-z]*{other}\((?:.*\n)*?}}\n', "\n", source)
    source = re.sub(rf'    "[a-z_]*_tensor_[a-z]*{other}": [^\n]*\n', "", source)
    return re.sub(rf'(, )?{other}: \("[^"]*", "[^"]*"\)(?(1)|, )', "", source)
