"""Seeded faults of attention by products of warpgroups, as rows for ``faults``.

Cannot see: what only hardware can say, whether a descriptor or a map means there what the emulator takes it for.
"""

from __future__ import annotations

from typing import Any

#: those that a push tries; the others are tried at night
PUSHED = frozenset({
    "barriers are not shown to loads", "a slot is loaded before it is empty", "a slot of keys is left before its products are done",
    "a barrier expects half of the bytes", "the last tile is not loaded", "pieces are not exchanged by the map", "a fence stands too early",
    "scores are not held after the wait", "rows past the end are in the map", "a wrapper does not transpose",
})
_LEAVE_VALUES = r"        if \(step > 0\) \{\n            kp_leave\(empty \+ value % SLOTS\);\n        \}\n"


def _row(name: str, pattern: str, change: str, tier: str = "T2") -> tuple[Any, ...]:
    return f"of warpgroups: {name}", "attention", "float16", pattern, change, tier, "warpgroup", name in PUSHED


#: barriers, and the ring of slots
BARRIERS = (
    _row("barriers are not shown to loads", r"        kp_barrier_show\(\);\n", ""),
    _row("barriers are used before they are made", r"    __syncthreads\(\);  // the last one[^\n]*\n", ""),
    _row("a barrier of the block where warps have parted", r"(        kp_hold_all\(score\);\n)", r"        __syncthreads();\n\1"),
    _row("a barrier expects half of the bytes", r"ROWS \* WIDTH \* 2\);", "ROWS * WIDTH);"),
    _row("a barrier expects twice the bytes", r"ROWS \* WIDTH \* 2\);", "ROWS * WIDTH * 4);"),
    _row(
        "one warp of four leaves a slot",
        r"threadIdx\.x % 32 == 0\) \{\n        kp_barrier_arrive", "threadIdx.x % 128 == 0) {\n        kp_barrier_arrive",
    ),
    _row(
        "two lanes of a warp leave a slot",
        r"threadIdx\.x % 32 == 0\) \{\n        kp_barrier_arrive", "threadIdx.x % 16 == 0) {\n        kp_barrier_arrive",
    ),
    _row("a slot is empty without the last warp", r"empty \+ slot, 4 \* GROUPS\)", "empty + slot, 4 * GROUPS - 1)", "T3t"),
    _row("a slot waits for loading warps too", r"empty \+ slot, 4 \* GROUPS\)", "empty + slot, 4 * GROUPS + 4)"),
    _row("a full slot has always the first parity", r"key / SLOTS & 1", "0"),
    _row("an empty slot has the other parity", r"~\(at / SLOTS\) & 1", "at / SLOTS & 1"),
    _row("a wait takes no for an answer", r"while \(!kp_barrier_over\(barrier, parity\)\) \{\n    \}", "kp_barrier_over(barrier, parity);"),
    _row("slots do not begin again", r"slot = at % SLOTS;", "slot = at;"),
    _row("slots that are read do not begin again", r"full \+ key % SLOTS, (.*\n.*tiles \+ )key % SLOTS", r"full + key, \1key"),
    _row("a slot is loaded before it is empty", r"                    kp_barrier_wait\(empty[^\n]*\n", ""),
    _row("keys are read before they are there", r"        kp_barrier_wait\(full \+ key[^\n]*\n", ""),
    _row(
        "values are read before they are there", r"            kp_barrier_wait\(full \+ value[^\n]*\n(            kp_start_results)", r"\1",
    ),
    _row("queries are read before they are there", r"        kp_barrier_wait\(full \+ SLOTS, 0\);\n", ""),
    _row(
        "a slot of keys is left before its products are done",
        r"(        if \(step > 0\) \{\n            kp_barrier_wait(?:.*\n)*?)(        kp_leave\(empty \+ key % SLOTS\);\n)", r"\2\1",
    ),
    _row(
        "a slot of values is left before its products are done",
        rf"(        kp_wgmma_wait<0>\(\);\n        kp_hold_all\(result\);\n)({_LEAVE_VALUES})", r"\2\1",
    ),
    _row("a slot of values is never left", _LEAVE_VALUES, ""),
    _row(
        "the last tile is not loaded",
        r"step < steps; \+\+step\) \{\n                #pragma", "step < steps - 1; ++step) {\n                #pragma",
    ),
    _row(
        "a tile too many is loaded",
        r"step < steps; \+\+step\) \{\n                #pragma", "step <= steps; ++step) {\n                #pragma",
    ),
    _row(
        "a warp without queries returns early",
        r"(    kp_more_registers<MANY>\(\);\n)", r"\1    if (first + threadIdx.x / 32 * 16 >= n) return;\n",
    ),
    _row("barriers lie on the last tile", r"\(tiles \+ SLOTS \* TILE\)", "(tiles + SLOTS * TILE - 512)"),
)
#: loads, and maps
LOADS = (
    _row("tiles begin a row late", r"step \* KEYS, full \+ slot", "step * KEYS + 1, full + slot"),
    _row("the second tile is the first one", r"step \* KEYS, full \+ slot", "0, full + slot"),
    _row("axes of heads are exchanged", r"from\.lead2, from\.lead1, from\.lead0", "from.lead0, from.lead1, from.lead2"),
    _row("heads that share values have their own", r"lead2 \* v_lead2", "lead2"),
    _row("all heads have the first one's keys", r"lead2 \* k_lead2", "0"),
    _row("pieces are not exchanged by the map", r"0, 3, 3, 0,", "0, 0, 3, 0,"),
    _row("a box has half of the rows", r"ints\(64, rows, 1", "ints(64, rows // 2, 1"),
    _row("a box has half of the columns", r"ints\(64, rows, 1", "ints(32, rows, 1"),
    _row("rows past the end are in the map", r"sizes = \[d, n,", "sizes = [d, n + 1,"),
    _row("the last row is not in the map", r"sizes = \[d, n,", "sizes = [d, max(n - 1, 1),"),
    _row("a map is of a misaligned place", r"room\[begin : begin \+ 16\]", "room[begin + 1 : begin + 17]"),
    _row("strides of a map are in entries", r"\(step or d\) \* array\.itemsize", "(step or d)"),
    _row("shared memory begins anywhere", r"\+ \(1024 - kp_shared_address\(memory\) % 1024\) % 1024", "+ 0"),
    _row("shared memory is 136 bytes too small", r'"shared": 91208', '"shared": 91072'),
)
#: asynchronous products, and registers
PRODUCTS = (
    _row("scores without a fence", r"(const kp_stored\* keys\)\n\{\n)    kp_wgmma_fence\(\);\n", r"\1"),
    _row(
        "a fence stands too early",
        r"(const kp_stored\* values\)\n\{\n)    kp_wgmma_fence\(\);\n((?:.*\n)*?)(        kp_again)", r"\1\2        kp_wgmma_fence();\n\3",
    ),
    _row("scores are not held after the wait", r"        kp_hold_all\(score\);\n", ""),
    _row("weights are not held before the fence", r"        kp_hold_all\(weight\);\n", ""),
    _row("results are not held after the wait", r"(        kp_wgmma_wait<0>\(\);\n)        kp_hold_all\(result\);\n(        if)", r"\1\2"),
    _row("results are not held before the fence", r"(        kp_hold_all\(weight\);\n)        kp_hold_all\(result\);\n", r"\1"),
    _row("the last results are not held", r"        kp_hold_all\(result\);\n(    \}\n\n    kp_store)", r"\1"),
    _row("scores are not waited for", r"            kp_wgmma_wait<1>\(\);\n", ""),
    _row("scores are one group late", r"kp_wgmma_wait<1>\(\);", "kp_wgmma_wait<2>();"),
    _row(
        "the first scores are not waited for",
        r"        \} else \{\n            kp_wgmma_wait<0>\(\);\n", "        } else {\n            kp_wgmma_wait<1>();\n",
    ),
    _row("results are not waited for", r"        kp_wgmma_wait<0>\(\);\n(        kp_hold_all\(result\);\n        if)", r"\1"),
    _row("a group of products is not ended", r"(c > 0\);\n    \}\n)    kp_wgmma_commit\(\);\n", r"\1"),
    _row(
        "scores are packed when the next ones are started",
        r"(        kp_start_scores<[^\n]*\n)((?:.*\n)*?)(        #pragma unroll\n        for \(int j = 0; j < KEYS / 16; \+\+j\) \{\n"
        r"            kp_packed[^\n]*\n        \}\n        kp_hold_all\(weight\);\n)", r"\1\3\2",
    ),
    _row(
        "weights are written while they are multiplied", r"(16 \* STEPS \* 128\), 1\);\n    \}\n)", r"\1    weight[0][0] = weight[1][0];\n",
    ),
    _row(
        "results are scaled while they are added to",
        r"(        kp_wgmma_wait<0>\(\);\n        kp_hold_all\(result\);\n(?:.*\n){3})(        kp_again[^\n]*\n)", r"\2\1",
    ),
    _row("a warp without queries starts no products", r"        kp_start_scores<", "        if (first + row < n) kp_start_scores<"),
    _row("eight rows are 512 bytes apart", r"1024ull / 16 << 32", "512ull / 16 << 32"),
    _row("a descriptor exchanges nothing", r" \| 1ull << 62", ""),
    _row("all groups have the first one's queries", r"queries \+ threadIdx\.x / 128 \* 64 \* 64", "queries"),
    _row("columns are multiplied twice", r"c % 4 \* 16", "c % 4 * 8"),
    _row("values are of other keys", r"values \+ 16 \* j \* 64", "values + 8 * j * 64"),
    _row("scores are added to what was there", r"column, 16\), c > 0\)", "column, 16), 1)"),
    _row("the weights of the first keys serve all", r"kp_wgmma_values\(result, weight\[j\]", "kp_wgmma_values(result, weight[0]"),
    _row("the values of the first tile serve all", r"weight, tiles \+ value % SLOTS \* TILE", "weight, tiles + TILE"),
    _row("registers are not given up", r"        kp_fewer_registers<FEW>\(\);\n", ""),
    _row("more registers are asked for than there are", r"kp_attend<64, 3, 32, 160>", "kp_attend<64, 3, 32, 168>"),
)
#: masks and ends, resources, and what is in the wrappers
OTHERS = (
    _row("the last tile that is seen is skipped", r"\(seen \+ KEYS - 1\) / KEYS", "seen / KEYS"),
    _row("the last key that is seen is skipped", r"n\) \+ ahead\), 0\)", "n) + ahead - 1), 0)"),
    _row("the mask of the tail is missing", r"column >= m \|\| ", ""),
    _row("tiles on the diagonal are not masked", r"min\(m, first \+ ahead \+ 1\)", "m"),
    _row("a row too many is written", r"if \(line < n\)", "if (line <= n)"),
    _row("the results are not scaled again", r"        kp_again\(result, again\);\n", ""),
    _row("the last values are not added", r"(    if \(steps > 0\) \{\n        const int value = 2 \* steps - )1", r"\g<1>3"),
    _row("more blocks are asked for than registers allow", r"__launch_bounds__\(512, 1\)", "__launch_bounds__(512, 2)", "T1"),
    _row("too few registers to multiply with", r"kp_attend<64, 3, 32, 160>", "kp_attend<64, 3, 32, 128>", "T1"),
    _row("an instruction is misspelt", r"wgmma\.commit_group\.sync", "wgmma.commit.sync", "T1"),
    _row("a wrapper does not transpose", r"added, 1, 1, 1;", "added, 1, 1, 0;", "T0"),
    _row("a wrapper waits for one group less", r'(wgmma\.wait_group[^\n]*)"n"\(PENDING\)', r'\1"n"(PENDING + 1)', "T0"),
    _row("a wrapper has rows for columns", r"\{%3, %4, %5, %6, %7\}", "{%4, %3, %5, %6, %7}", "T0"),
    _row("a wrapper's wait does not acquire", r"try_wait\.parity\.acquire\.cta", "try_wait.parity.relaxed.cta", "T0"),
)
ROWS = (*BARRIERS, *LOADS, *PRODUCTS, *OTHERS)


def faults(fault: type) -> tuple[Any, ...]:
    """The rows, made of the dataclass of ``faults``."""
    return tuple(fault(*row) for row in ROWS)
