"""Seeded faults of what stands around attention inside larger phases, as rows for ``faults``.

What it does: the first two tables change how multi-head attention arranges heads, masks, leading axes and gradients around its kernels, the
third what an encoder block joins together. Guarantees: attention's own kernels stay right. Cannot see: faults in these, which
``forward_faults`` and ``gradient_faults`` have.
"""

from __future__ import annotations

from typing import Any


def _row(prefix: str, phase: str, kernel: str, push: bool) -> Any:
    """What makes a row of a name and a change; ``push`` where every push tries it, else the nightly table alone."""
    return lambda name, pattern, change: (f"{prefix}: {name}", phase, "float32", pattern, change, "T2", kernel, push)


_heads, _heads_back = (_row(key, "multi_head_attention", key, True) for key in ("inside", "gradient inside"))
_block, _block_back = (_row(f"{key} a block", "encoder_block", key, False) for key in ("inside", "gradient inside"))

FORWARD = (
    _heads("heads and their channels are exchanged", r"(product\d = cp\.matmul\(x, w_\w\)\.reshape\(.*)\(heads, f\)", r"\1(f, heads)"),
    _heads("keys have positions before heads", r"cp\.swapaxes\((product2), -3, -2\)", r"\1.reshape((*x.shape[:-2], heads, n, f))"),
    _heads("strides of rows and channels are exchanged", r"(array\.strides\[len\(lead\) :\])", r"\1[::-1]"),
    _heads("a mask's leading axis is that of heads", r"mask\[\.\.\., None, :, :\]", "mask[None]"),
    _heads("the scale is missing", r"1\.0 / \(math\.sqrt\(f\) or math\.inf\), causal", "1.0, causal"),
    _heads("causality is forgotten", r"causal, mask\)\n", "False, mask)\n"),
    _heads("keys are taken for values", r"cp\.swapaxes\(product3", "cp.swapaxes(product2"),
    _heads("heads are not joined in order", r"(heads_last1 = cp\.swapaxes\(attended1)", r"\1[..., ::-1, :, :]"),
)

BACK = (
    _heads_back("each head has the gradient of another", r"(found = _attend_vjp\(q, k, v, grad_out)", r"\1[..., ::-1, :, :]"),
    _heads_back("gradients of keys and values are exchanged", r"return d_q, d_k, d_v", "return d_q, d_v, d_k"),
    _heads_back("the scale is missing", r"(d_values1 = .*), 1\.0 / \(math\.sqrt\(f\) or math\.inf\)", r"\1, 1.0"),
    _heads_back("a mask's leading axis is that of heads", r"part\[\.\.\., None, :, :\]", "part[None]"),
    _heads_back("the result that the gradient needs has no mask", r"bias if allow is None else allow\)", "None)"),
    _heads_back("leading axes are parted in another order", r"\(\*lead, \*part\.shape\[1:\]\)", "(*lead[::-1], *part.shape[1:])"),
    _heads_back("of more leading axes all have the first mask", r"part\[at % len\(part\)\]", "part[0 if part.dtype == bool else at]"),
    _heads_back("causality is forgotten", r"offset if causal else m", "m"),
)

BLOCK = (
    _block("the input is not added to what attention gives", r"= value_\d+ \+ (value_\d+;  // x\[i, c\] \+ multi_head)", r"= \1"),
    _block("feed-forward starts from the input", r"cp\.matmul\(value1, w1\)", "cp.matmul(x, w1)"),
    _block("feed-forward is added to the input", r"\(\(value1, (\(n, heads \* f\), True\), \(product6)", r"((x, \1"),
    _block_back("the gradient along the sum is left out", r"= value_1 \+ (value_6;.*multi_head_attention_dx)", r"= \1"),
    _block_back(
        "sums of the second norm serve the first", r'(_rows4", .*\n.*\n.*)\(total2, (\(leading, n\), False\)), \(total3, ',
        r"\1(total4, \2, (total5, ",
    ),
    _block_back("gradients of the two gains are exchanged", r"out9(?s:(\n.*?d_gain2 = ))out11\n", r"out11\1out9\n"),
)


def faults(fault: type) -> tuple[Any, ...]:
    """The rows, made of the dataclass of ``faults``."""
    return tuple(fault(*row) for row in FORWARD + BACK + BLOCK)
