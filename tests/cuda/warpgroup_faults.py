"""Seeded faults of attention by products of warpgroups, as rows for ``faults``.

Cannot see: what only hardware can say, whether a descriptor means there what the emulator takes it for.
"""

from __future__ import annotations

from typing import Any

#: those that a push tries; the others are tried at night
PUSHED = frozenset({
    "the barrier is missing", "copies are not shown to products", "products on registers without a fence", "scores are not waited for",
    "shared memory begins anywhere", "rows are not exchanged", "all groups have the first one's queries", "a wrapper does not transpose",
})
#: a product on registers, started before all of them are written
EARLY = (
    "        kp_wgmma_fence();\n        kp_wgmma_values(result, weight[0], kp_matrix(value_tile, KEYS * 128), 1);\n"
    "        weight[0][0] = weight[1][0];\n"
)
_WAIT, _SCORES = r"        kp_wgmma_wait<0>\(\);\n", r"        kp_hold_all\(score\);"


def _row(name: str, pattern: str, change: str, tier: str = "T2") -> tuple[Any, ...]:
    return f"of warpgroups: {name}", "attention", "float16", pattern, change, tier, "warpgroup", name in PUSHED


ROWS = (
    # what is asynchronous
    _row("the barrier is missing", r"__syncthreads\(\);  // all threads' copies of this tile", "// all threads' copies"),
    _row("the wait for copies leaves a group out", r"kp_cp_wait<0>", "kp_cp_wait<1>"),
    _row("copies are not shown to products", r"        kp_proxy_fence\(\);\n", ""),
    _row("copies are shown before they are there", r"(        kp_cp_wait<0>\(\);\n)(        kp_proxy_fence\(\);\n)", r"\2\1"),
    _row("products on registers without a fence", r"(float score\[[^\n]*\n)        kp_wgmma_fence\(\);\n", r"\1"),
    _row("scores are not waited for", rf"{_WAIT}({_SCORES})", r"\1"),
    _row("results are not waited for", rf"{_WAIT}(        kp_hold_all\(result\);\n    }})", r"\1"),
    _row("scores are one group late", rf"kp_wgmma_wait<0>(\(\);\n{_SCORES})", r"kp_wgmma_wait<1>\1"),
    _row("a group of products is not ended", rf"        kp_wgmma_commit\(\);\n({_WAIT}{_SCORES})", r"\1"),
    _row(
        "the next tile is started before the barrier",
        r"(        __syncthreads\(\);  // all threads' copies[^\n]*\n)((?:.*\n)*?        kp_cp_commit\(\);\n)", r"\2\1",
    ),
    _row("weights are written while they are multiplied", r"        kp_hold_all\(result\);\n(        kp_wgmma_fence)", rf"{EARLY}\1"),
    _row("a warp without queries returns before the barrier", r"(    float result\[WIDTH)", r"    if (first + row >= n) return;\n\1"),
    _row(
        "a warp without queries starts no products", r"(        kp_wgmma_fence\(\);\n)(        #pragma unroll\n        for \(int c)",
        r"\1        if (first + row < n)\n\2",
    ),
    # descriptors and places
    _row("shared memory begins anywhere", r"\+ \(1024 - kp_shared_address\(memory\) % 1024\) % 1024", "+ 0"),
    _row("eight rows are 512 bytes apart", r"1024ull / 16 << 32", "512ull / 16 << 32"),
    _row("a descriptor exchanges nothing", r" \| 1ull << 62", ""),
    _row("rows are not exchanged", r"\(\(piece % 8\) \^ \(row & 7\)\) \* 8", "(piece % 8) * 8"),
    _row("all groups have the first one's queries", r"\(c / 4 \* ROWS \+ group\)", "(c / 4 * ROWS)"),
    _row("columns are multiplied twice", r"c % 4 \* 16", "c % 4 * 8"),
    _row("values are of other keys", r"value_tile \+ 16 \* j \* 64", "value_tile + 8 * j * 64"),
    _row("scores are added to what was there", r"column, 16\), c > 0\)", "column, 16), 1)"),
    _row("the weights of the first keys serve all", r"kp_wgmma_values\(result, weight\[j\]", "kp_wgmma_values(result, weight[0]"),
    _row("the values of the first tile serve all", r"values \+ \(step & 1\) \* KEYS \* WIDTH;\n        kp_cp", "values;\n        kp_cp"),
    _row(
        "the tail is loaded without zeros", r"\(there \? first \+ row : 0\)([^\n]*\n[^\n]*64 \+[^\n]*)there \? 16 : 0",
        r"(first + row)\g<1>16",
    ),
    _row("rows past a tile are loaded", r"PIECES % THREADS == 0 \|\| row < ROWS", "true"),
    # masks and ends
    _row("the mask of the tail is missing", r"column >= m \|\| ", ""),
    _row("tiles on the diagonal are not masked", r"min\(m, first \+ ahead \+ 1\)", "m"),
    _row("a row too many is written", r"if \(line < n\)", "if (line <= n)"),
    _row("the results are not scaled again", r"result\[f\]\[2 \* half \+ 1\] \*= again;", ""),
    # resources, and what is in the wrappers
    _row("shared memory is 1024 bytes too small", r'"shared": 91136', '"shared": 90112'),
    _row("more blocks are asked for than registers allow", r"__launch_bounds__\(384, 1\)", "__launch_bounds__(384, 2)", "T1"),
    _row("an instruction is misspelt", r"wgmma\.commit_group\.sync", "wgmma.commit.sync", "T1"),
    _row("a wrapper does not transpose", r"added, 1, 1, 1;", "added, 1, 1, 0;", "T0"),
    _row("a wrapper waits for one group less", r'(wgmma\.wait_group[^\n]*)"n"\(PENDING\)', r'\1"n"(PENDING + 1)', "T0"),
)


def faults(fault: type) -> tuple[Any, ...]:
    """The rows, made of the dataclass of ``faults``."""
    return tuple(fault(*row) for row in ROWS)
