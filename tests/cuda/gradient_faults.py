"""Seeded faults of CUDA gradients, as rows for ``faults``.

What it does: faults in the embedding's segments, in sums over leading axes, in attention's tiles, and in what a variant adds to these: a
soft-cap, a sink and rotary positions in one file, the mean of rows without keys in another. Cannot see: as ``faults``.
"""

from __future__ import annotations

from typing import Any

#: faults that a push tries; the others are tried at night
PUSHED = frozenset({
    "the last token of a segment is left out", "tokens are read without their order", "warps over tokens are not joined",
    "the sum is not rescaled", "the mask is forgotten", "the last tile of keys is left out", "only one piece of channels",
    "threads part at a barrier", "tiles are written while they are read", "keys are loaded over values that are read",
    "slopes are those without a cap", "the sink is not in the sum", "gradients are turned on instead of back",
    "a row without keys gives its values nothing",
})


def _row(kernel: str, phase: str = "attention", tier: str = "T2") -> Any:
    """What makes a row of a name and a change."""

    def made(name: str, pattern: str, change: str, seen: str = tier) -> tuple[Any, ...]:
        return f"gradient: {name}", phase, "float32", pattern, change, seen, kernel, name in PUSHED

    return made


_embedding, _norm, _plain = (_row("gradient", phase) for phase in ("embedding", "layer_norm", "attention"))
_race, _bent, _mean = _row("gradient", tier="T3t"), _row("gradient bent"), _row("gradient mean")

ROWS = (
    _embedding("the last token of a segment is left out", r"at < end; \+\+at", "at + 1 < end; ++at"),
    _embedding("a segment begins where the one before does", r"starts\[v \*", "starts[(v > 0 ? v - 1 : v) *"),
    _embedding("tokens are read without their order", r"grad_out\[order\[at \* order_by0\]", "grad_out[at"),
    _embedding("a row too many of the table", r"entry < vocab \* d", "entry < vocab * d + 1"),
    _norm("warps over tokens are not joined", r"total_1 = kp_lines_sum\(sums, total_1\);", ""),
    _norm("a half of the warps is not joined", r"half = blockDim\.x / 64", "half = blockDim.x / 128"),
    _norm("a token too few in the sum of the gain", r"(?s)(_columns2\(.*?)batch < leading", r"\1batch + 1 < leading"),
    _norm("a warp takes tokens of the next one", r"batch = line;", "batch = line / 2;"),
    _norm("sums of warps are read before they are there", r"(sums\[threadIdx\.x\] = value;\n) *__syncthreads\(\);", r"\1", "T3t"),
    _norm("a row too many of columns is written", r"if \(line == 0 && row < d\)", "if (line == 0 && row <= d)"),
    _plain("a maximum is not joined", r"highest = kp_row_max\(highest\);", ""),
    _plain("the sum is not rescaled", r"total\[a\] \* factor", "total[a]"),
    _plain("the mean is not rescaled", r"mean\[a\] \* factor", "mean[a]"),
    _plain("the mean is forgotten", r"slopes_here\[a\]\[b\] - mean\[a\]", "slopes_here[a][b]"),
    _plain("the mask is forgotten", r"!mask\.allow\[", "false && !mask.allow["),
    _plain("a key ahead is seen", r"j <= i \+ mask\.ahead", "j <= i + mask.ahead + 1"),
    _plain("the last tile of keys is left out", r"end = high < m \? high : m;", "end = (high < m ? high : m) - 32;"),
    _plain("a tile of queries too late", r"kp_tile : 0, end = high < n", "kp_tile + kp_tile : 0, end = high < n"),
    _plain("only one piece of channels", r"at % chunks \* kp_chunk", "0"),
    _plain("the scale is left out of the keys", r"= scale \* of_keys", "= of_keys"),
    _plain("threads part at a barrier", r"(kp_loaded\(right, another, other, column\);)", r"\1 if (tx == 3) continue;"),
    _race("tiles are written while they are read", r"__syncthreads\(\);  // nobody reads what was there", ""),
    _race("slopes are written while they are read", r"__syncthreads\(\);  // the slopes have been read", ""),
    _race("weights are written while they are read", r"__syncthreads\(\);  // slopes and weights have been read", ""),
    _race("keys are loaded over values that are read", r"__syncthreads\(\);  // nobody reads the values any more", ""),
    # sums over what an input was broadcast along
    _plain("stretches of a sum are one row short", r"row < end; row \+= lines", "row + 1 < end; row += lines"),
    _plain("a half of a block is not added", r"half = lines / 2; half > 0", "half = lines / 2; half > 1"),
    _plain("a column of a sum is another's", r"column \* x_by2", "(column ^ 1) * x_by2"),
    _race("sums of threads are read before they are there", r"(sums\[threadIdx\.x\] = sum;\n) *__syncthreads\(\);", r"\1"),
    _race("halves of a block are added without a barrier", r"(sums\[threadIdx\.x \+ half[^\n]*\n) *__syncthreads\(\);", r"\1"),
    # soft-cap, sinks and rotary positions
    _bent("slopes are those without a cap", r"steep = 1\.0f - bent \* bent", "steep = 1.0f"),
    _bent("the slope of the cap is left out of the keys", r"- mean\) \* steep", "- mean)"),
    _bent("the slope of the cap is left out of the queries", r"- mean\[a\]\) \* steep", "- mean[a])"),
    _bent("scores are not bent", r"return mask\.cap \* bent \+ added", "return mask.scale * product + added"),
    _bent("the cap divides but does not multiply", r"return mask\.cap \* bent", "return bent"),
    _bent("the sink is not in the sum", r"total\[a\] = sink == [^;]*;", "total[a] = 0.0f;"),
    _bent("the sink is in the sum, and not in the maximum", r"top\[a\] = sink;", "top[a] = -kp_infinity(float());"),
    _bent(
        "Δ is divided by the sum without the sink", r"mean\[a\] / kp_divisor\(total\[a\]\)",
        "mean[a] / kp_divisor(total[a] - expf(sink - top[a]))",
    ),
    _bent("the sink's gradient has the other sign", r"= -weight \* mean\[a\]", "= weight * mean[a]"),
    _bent("the sink's gradient is without its weight", r"= -weight \* mean\[a\]", "= -mean[a]"),
    _bent("the sink of another head", r"lead2 \* sinks_lead2", "0 * sinks_lead2"),
    _bent("gradients are turned on instead of back", r"_turned\(d_q, -sine_q", "_turned(d_q, sine_q"),
    _bent("the gradients of keys are not turned back", r", _turned\(d_k, -sine_k, cosine_k\)", ", d_k"),
    _bent("keys are turned as queries one further", r"cp\.arange\(m, dtype=cp\.float64\)", "1 + cp.arange(m, dtype=cp.float64)"),
    # the mean of a row without keys
    _mean("a row without keys gives its values nothing", r"lost\[c\] / \(float\)m", "0.0f"),
    _mean("its gradient is not divided by the number of keys", r"lost\[c\] / \(float\)m", "lost[c]"),
    _mean("rows with keys count as such without", r"if \(own_totals\[i \* totals_by0\] != 0\.0f\) continue;", ""),
    _mean(
        "only keys that some query sees get it", r"for \(long long i = 0; i < n; \+\+i\) {\n(\s+if \(own_totals)",
        r"for (long long i = begin; i < end; ++i) {\n\1",
    ),
    _mean("the gradient's columns end one too late", r"lost\[c\] \+= column < e", "lost[c] += column <= e", "T3a"),
)


def faults(fault: type) -> tuple[Any, ...]:
    """The rows, made of the dataclass of ``faults``."""
    return tuple(fault(*row) for row in ROWS)
