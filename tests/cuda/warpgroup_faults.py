"""Seeded faults of attention by products of warpgroups, in the form of ``faults``.

Cannot see: what only hardware can say, whether a descriptor means there what the emulator takes it for.
"""

from __future__ import annotations

#: those that a push tries
PUSHED = frozenset({
    "the barrier is missing", "copies are not shown to products", "products on registers without a fence", "scores are not waited for",
    "shared memory begins anywhere", "rows are not exchanged", "all groups have the first one's queries", "a wrapper does not transpose",
})


def _fault(name: str, pattern: str, change: str, tier: str = "T2") -> tuple[str, str, str, str, bool]:
    return name, pattern, change, tier, name in PUSHED


#: name, pattern, change, the tier that is expected to see it, whether a push tries
WARPGROUP = (
    # what is asynchronous
    _fault("the barrier is missing", r"__syncthreads\(\);  // all threads' copies of this tile", "// all threads' copies"),
    _fault("the wait for copies leaves a group out", r"kp_cp_wait<0>", "kp_cp_wait<1>"),
    _fault("copies are not shown to products", r"        kp_proxy_fence\(\);\n", ""),
    _fault("copies are shown before they are there", r"(        kp_cp_wait<0>\(\);\n)(        kp_proxy_fence\(\);\n)", r"\2\1"),
    _fault("products on registers without a fence", r"(float score\[[^\n]*\n)        kp_wgmma_fence\(\);\n", r"\1"),
    _fault("scores are not waited for", r"        kp_wgmma_wait<0>\(\);\n(        kp_hold_all\(score\);)", r"\1"),
    _fault("results are not waited for", r"        kp_wgmma_wait<0>\(\);\n(        kp_hold_all\(result\);\n    })", r"\1"),
    _fault("scores are one group late", r"kp_wgmma_wait<0>(\(\);\n        kp_hold_all\(score\);)", r"kp_wgmma_wait<1>\1"),
    _fault("a group of products is not ended", r"        kp_wgmma_commit\(\);\n(        kp_wgmma_wait<0>\(\);\n        kp_hold_all\(score)", r"\1"),
    _fault(
        "the next tile is started before the barrier",
        r"(        __syncthreads\(\);  // all threads' copies[^\n]*\n)((?:.*\n)*?        kp_cp_commit\(\);\n)", r"\2\1",
    ),
    _fault("weights are packed into one register after another", r"weight\[KEYS / 16\]\[4\];(\n(?:.*\n)*?)\s*kp_hold_all\(result\);", r"weight[KEYS / 16][4];\1"
           "        kp_wgmma_fence();\n        kp_wgmma_values(result, weight[0], kp_matrix(value_tile, KEYS * 128), 1);\n        weight[0][0] = weight[1][0];\n"),
    _fault("a warp without queries returns before the barrier", r"(    float result\[WIDTH)", r"    if (first + row >= n) return;\n\1"),
    _fault("a warp without queries starts no products", r"(        kp_wgmma_fence\(\);\n)(        #pragma unroll\n        for \(int c)", r"\1        if (first + row < n)\n\2"),
    # descriptors and places
    _fault("shared memory begins anywhere", r"\+ \(1024 - kp_shared_address\(memory\) % 1024\) % 1024", "+ 0"),
    _fault("eight rows are 512 bytes apart", r"1024ull / 16 << 32", "512ull / 16 << 32"),
    _fault("a descriptor exchanges nothing", r" \| 1ull << 62", ""),
    _fault("rows are not exchanged", r"\(\(piece % 8\) \^ \(row & 7\)\) \* 8", "(piece % 8) * 8"),
    _fault("all groups have the first one's queries", r"\(c / 4 \* ROWS \+ group\)", "(c / 4 * ROWS)"),
    _fault("columns are multiplied twice", r"c % 4 \* 16", "c % 4 * 8"),
    _fault("values are of other keys", r"value_tile \+ 16 \* j \* 64", "value_tile + 8 * j * 64"),
    _fault("scores are added to what was there", r"column, 16\), c > 0\)", "column, 16), 1)"),
    _fault("the weights of the first keys serve all", r"kp_wgmma_values\(result, weight\[j\]", "kp_wgmma_values(result, weight[0]"),
    _fault("the values of the first tile serve all", r"values \+ \(step & 1\) \* KEYS \* WIDTH", "values"),
    _fault("the tail is loaded without zeros", r"\(there \? first \+ row : 0\)([^\n]*\n[^\n]*)there \? 16 : 0", r"(first + row)\g<1>16"),
    _fault("rows past a tile are loaded", r"PIECES % THREADS == 0 \|\| row < ROWS", "true"),
    # masks and ends
    _fault("the mask of the tail is missing", r"column >= m \|\| ", ""),
    _fault("tiles on the diagonal are not masked", r"min\(m, first \+ ahead \+ 1\)", "m"),
    _fault("a row too many is written", r"if \(line < n\)", "if (line <= n)"),
    _fault("the results are not scaled again", r"result\[f\]\[2 \* half \+ 1\] \*= again;", ""),
    # resources, and what is in the wrappers
    _fault("shared memory is 1024 bytes too small", r'"shared": 91136', '"shared": 90112'),
    _fault("more blocks are asked for than registers allow", r"__launch_bounds__\(384, 1\)", "__launch_bounds__(384, 2)", "T1"),
    _fault("an instruction is misspelt", r"wgmma\.commit_group\.sync", "wgmma.commit.sync", "T1"),
    _fault("a wrapper does not transpose", r"added, 1, 1, 1;", "added, 1, 1, 0;", "T0"),
    _fault("a wrapper waits for one group less", r'(wgmma\.wait_group[^\n]*)"n"\(PENDING\)', r'\1"n"(PENDING + 1)', "T0"),
)
