"""The emulated check can fail: seeded faults in the CUDA text and in its launch are each caught by the ordinary calls.

Each fault is a change of the generated text by a regular expression that must match. Some write or read outside an array, which the
guard zones show; some are wrong only for lengths that are no multiple of a warp, for masked rows, or for strided arrays.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from kernelproof.numeric.cupy_file import cupy_source
from kernelproof.symbolic.registry import derive

pytestmark = pytest.mark.cuda

FAULTS = [
    ("a shuffle step is missing", "softmax", "float32", r"offset = 16;", "offset = 8;"),
    ("a row too few", "softmax", "float32", r"row < (lead0_size)", r"row + 1 < \1"),
    ("a row too many", "layer_norm", "float32", r"row < (lead0_size \* lead1_size \* lead2_size)", r"row <= \1"),
    ("an entry too few in a row", "rms_norm", "float32", r"(\w+) < d;", r"\1 < d - 1;"),
    ("an entry too many in a row", "softmax", "float32", r"(j\d+) < n;", r"\1 <= n;"),
    ("the guard of x/0 is missing", "attention", "float32", r"value == 0\.0f \? [^;]*;", "value;"),
    ("the guard of the maximum is missing", "attention", "float32", r"if \(value_\d+\) (top_1)", r"\1"),
    ("the mask is forgotten", "attention", "float32", r"value_\d+ \? (power_1) : 0\.0f", r"\1"),
    ("the maximum is not taken away", "softmax", "float32", r"(value_\d+) - top_1", r"\1"),
    ("a maximum of lanes is not joined", "softmax", "float32", r"top_1 = kp_warp_max\(top_1\);", ""),
    ("a sum of lanes is not joined", "layer_norm", "float32", r"total_2 = kp_warp_sum\(total_2\);", ""),
    ("a wrong stride of an entry", "softmax", "float32", r"(j\d+) \* x_by0", r"\1"),
    ("a wrong stride of a batch axis", "softmax", "float32", r"lead1 \* x_lead1", "lead1 * x_lead2"),
    ("a mask is not broadcast", "attention", "float32", r"lead2 \* allow_lead2", "lead2 * (allow_lead2 + 1)"),
    ("an absent mask is read as one that hides", "attention", "float32", r"allow == nullptr \|\|", "allow != nullptr &&"),
    ("a lane starts too late", "rms_norm", "float32", r"(\w+) = lane;", r"\1 = lane + 1;"),
    ("lanes step too far", "softmax", "float32", r"(k3) \+= 32", r"\1 += 33"),
    ("pairs are taken from neighbours", "rotary", "float32", r"h \+ i3", "1 + i3"),
    ("cosine for sine", "positional", "float32", r"= sin\(", "= cos("),
    ("a bit of the mantissa is lost", "softmax", "float16", r"__float2half_rn\(", "__float2half_rn(1.001f * "),
    ("the bias is forgotten", "feed_forward", "float32", r"product1\[.*\];", "0.0f;"),
    ("heads and positions are swapped", "multi_head_attention", "float32", r"(\w+) = row % n;", r"\1 = row % heads;"),
    ("sizes are handed over in another order", "attention", "float32", r"n, \(m, n\),", "n, (n, m),"),
    ("lanes return before a shuffle", "softmax", "float32", r"(float total_1 = 0\.0f;)", r"\1 if (lane > 20) return;"),
]


@pytest.mark.parametrize(("phase", "dtype", "pattern", "fault"), [fault[1:] for fault in FAULTS], ids=[fault[0] for fault in FAULTS])
def test_a_seeded_fault_is_caught(
    phase: str, dtype: str, pattern: str, fault: str, emulated: Callable[..., Any], cases: ModuleType
) -> None:
    derivation = derive(phase)
    source = cupy_source(derivation, dtype)
    changed, count = re.subn(pattern, fault, source)
    assert count, f"the text has nothing like {pattern}"
    kernel, bounds = emulated(changed, phase, 1), cases.Bounds(derivation, dtype)
    with pytest.raises(AssertionError), np.errstate(all="ignore"):
        for call in cases.calls(phase, derivation.variant, dtype):
            bounds.check(call, kernel(*cases.arguments(phase, call, dtype), **call.options), None)
