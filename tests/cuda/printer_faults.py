"""Seeded faults of the printer's kernels that ``forward_faults`` leaves thin, as rows for ``faults``.

What it does: for each phase and gradient a few: an end that is missed or overrun, a wrong index, sign or constant, a combination of lanes
or of warps left out, a barrier left out. Guarantees: a few calls see each. Cannot see: as ``faults``.
"""

from __future__ import annotations

from typing import Any


def _row(phase: str, kernel: str = "") -> Any:
    """What makes a row of a name and a change; only the nightly table tries it."""
    prefix = f"gradient of {phase}" if kernel else phase
    return lambda name, pattern, change, tier="T2": (f"{prefix}: {name}", phase, "float32", pattern, change, tier, kernel, False)


_embedding, _positional, _rotary, _activation, _forward, _norm = (
    _row(phase) for phase in ("embedding", "positional", "rotary", "activation", "feed_forward", "rms_norm")
)
_softmax_back, _rotary_back, _activation_back = (_row(phase, "gradient apart") for phase in ("softmax", "rotary", "activation"))
_forward_back, _norm_back = (_row(phase, "gradient") for phase in ("feed_forward", "rms_norm"))

ENTRIES = (
    _embedding("rows are taken in the order of tokens", r"table\[value_1 ", "table[t3 "),
    _embedding("the row before is taken", r"table\[value_1 ", "table[(value_1 - 1) "),
    _embedding("a column's stride is missing", r"c4 \* table_by1", "c4"),
    _embedding("the last entry is left out", r"\* n \* d; entry", "* n * d - 1; entry"),
    _positional("the last row of cosines is left out", r"entry < n \* cosines", "entry < (n - 1) * cosines"),
    _positional("a row too many of sines is written", r"entry < n \* sines", "entry < (n + 1) * sines"),
    _positional("sines count from one", r"\(double\)p0;", "(double)(p0 + 1);"),
    _positional("frequencies grow", r"= -value_2;", "= value_2;"),
    _positional("the logarithm is to base two", r"math\.log\(base\)", "math.log2(base)"),
    _rotary("the second channel is turned the other way", r"value_7 - value_9", "value_7 + value_9"),
    _rotary("the start is forgotten", r"start \+ \(double\)p2", "(double)p2"),
    _rotary("the last pair is left out", r"\* n \* h; entry", "* n * h - 1; entry"),
    _rotary("the second half is written one further", r"i3 \* out1_by1", "(i3 + 1) * out1_by1"),
    _activation("the last entry is left out", r"lead2_size \* n; entry", "lead2_size * n - 1; entry"),
    _activation("entries are written one further", r"i1 \* out_by0", "(i1 + 1) * out_by0"),
    _activation("the larger one is the smaller one", r"left > right", "left < right"),
    _activation("it is cut at another constant", r"kp_max\(0\.0f", "kp_max(0.5f"),
    _forward("the second bias is forgotten", r"(?s)(entries2\(.*?)value_1 \+ value_2", r"\1value_1"),
    _forward("a bias is that of the token", r"b1\[u10 ", "b1[t8 "),
    _forward("hidden entries are not cut at zero", r"kp_max\(0\.0f, value_3\)", "value_3"),
    _forward("the last hidden entry is left out", r"\* n \* h; entry", "* n * h - 1; entry"),
)

ROWS = (
    _norm("the mean of squares is a sum", r"total_1 / number_1", "total_1"),
    _norm("a sum of lanes is not joined", r"total_1 = kp_warp_sum\(total_1\);", ""),
    _norm("eps is forgotten", r"value_4 \+ eps", "value_4"),
    _norm("a gain is that of the next column", r"gain\[c2 ", "gain[(c2 + 1) "),
)

BACK = (
    _softmax_back("the mean of gradients is forgotten", r"value_12 - total_2", "value_12"),
    _softmax_back("a sum of lanes is not joined", r"total_2 = kp_warp_sum\(total_2\);", ""),
    _softmax_back("an entry too few in the mean", r"k7 < n;", "k7 < n - 1;"),
    _softmax_back("an entry too many is written", r"j3 < n;", "j3 <= n;"),
    _rotary_back("the first channel is turned on instead of back", r"value_7 \+ value_9", "value_7 - value_9"),
    _rotary_back("the start is forgotten", r"start \+ \(double\)p4", "(double)p4"),
    _rotary_back("the last pair is left out", r"\* n \* h; entry", "* n * h - 1; entry"),
    _rotary_back("pairs are taken from neighbours", r"h \+ i5", "1 + i5"),
    _activation_back("slopes are those of the other side", r"0\.0f < value_1", "value_1 < 0.0f"),
    _activation_back("the last entry is left out", r"entry < n;", "entry < n - 1;"),
    _activation_back("an entry too many is written", r"entry < n;", "entry <= n;"),
    _forward_back("slopes are without the bias", r"value_2 \+ value_3", "value_2"),
    _forward_back("the last token is left out of the first bias", r"i30 < n;", "i30 < n - 1;"),
    _forward_back("a column too many of the second bias is written", r"if \(line == 0 && row < d\)", "if (line == 0 && row <= d)"),
    _forward_back("hidden entries are not cut at zero", r"kp_max\(0\.0f, value_4\)", "value_4"),
    _forward_back(
        "halves of the warps are added without a barrier", r"(\+ 32 \* half\];\n        }\n) *__syncthreads\(\);", r"\1", "T3t",
    ),
    _norm_back("the mean of products is forgotten", r"value_13 - value_17", "value_13"),
    _norm_back("the sum of squares is one lane's", r"total_1 = kp_warp_sum\(total_1\);", ""),
    _norm_back("warps over tokens are not joined", r"total_1 = kp_lines_sum\(sums, total_1\);", ""),
    _norm_back("a token too many has its squares written", r"row < leading;", "row <= leading;"),
    _norm_back("the last column of the gain is left out", r"if \(line == 0 && row < d\)", "if (line == 0 && row < d - 1)"),
)


def faults(fault: type) -> tuple[Any, ...]:
    """The rows, made of the dataclass of ``faults``."""
    return tuple(fault(*row) for row in ENTRIES + ROWS + BACK)
