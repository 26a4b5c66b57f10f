"""All wrong kernels, and the rows of the catalogue of real bugs that none of them stands for, with the reason."""

from __future__ import annotations

from kernelproof.properties.mutants import attention, blocks, rows, tables
from kernelproof.properties.mutants.parts import Wrong

WRONG: tuple[Wrong, ...] = (*attention.WRONG, *blocks.WRONG, *rows.WRONG, *tables.WRONG)
#: the five that the first user is shown
SHOWN = (
    ("softmax", "softmax over the wrong axis"),
    ("attention", "unscaled"),
    ("positional", "base 1000"),
    ("feed_forward", "tokens mixed"),
    ("layer_norm", "variance with ddof=1"),
)

_GRADIENT = "gradient kernels are not built yet"
_RANGE = "what an id out of range gives is a convention, and no property draws one: not covered"
NOT_COVERED = {
    "B17": "grouped heads are not built yet",
    "B22": "NaN or infinity in a masked value: a convention, no verdict",
    "B24": "the soft-cap is not built yet",
    "B27": "the contract has no option for lengths",
    "B29": "bitwise independence of the batch is no property: within rounding it holds",
    **dict.fromkeys(("B32", "B33", "B34", "B35", "B36", "B42", "B58"), _GRADIENT),
    **dict.fromkeys(("B37", "B38", "B39"), _RANGE),
    "B51": "the contract has no option for the smallest time scale",
    "B52": "the caller adds the encoding, no kernel does",
    "B53": "whether a constant is trained is not a matter of the forward kernel",
    "B63": "a fault of a test harness: see the property of the right kernels",
}
