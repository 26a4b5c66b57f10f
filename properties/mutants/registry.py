"""All wrong kernels, and the rows of the catalogue of real bugs that none of them stands for, with the reason."""

from __future__ import annotations

from kernelproof.properties.mutants import (
    attention,
    blocks,
    caches,
    gradient_blocks,
    gradient_rows,
    gradient_variants,
    gradients,
    paths,
    rows,
    sinks_and_gates,
    tables,
    unseen,
    variants,
)
from kernelproof.properties.mutants.parts import Wrong

WRONG: tuple[Wrong, ...] = (
    *attention.WRONG, *blocks.WRONG, *rows.WRONG, *tables.WRONG, *paths.WRONG, *variants.WRONG, *gradients.WRONG, *gradient_rows.WRONG,
    *gradient_blocks.WRONG, *gradient_variants.WRONG, *unseen.WRONG, *sinks_and_gates.WRONG, *caches.WRONG,
)
#: the five that the first user is shown
SHOWN = (
    ("softmax", "softmax over the wrong axis"),
    ("attention", "unscaled"),
    ("positional", "base 1000"),
    ("feed_forward", "tokens mixed"),
    ("layer_norm", "variance with ddof=1"),
)

_RANGE = "a convention: an id out of range may raise, or give a clamped, wrapped or zero row of its own, as long as it repeats itself"
NOT_COVERED = {
    "B22": "NaN or infinity in a masked value: a convention, no verdict",
    "B27": "the contract has no option for lengths",
    **dict.fromkeys(("B37", "B39"), _RANGE),
    "B51": "the contract has no option for the smallest time scale",
    "B52": "the caller adds the encoding, no kernel does",
    "B53": "whether a constant is trained is not a matter of the forward kernel",
    "B63": "a fault of a test harness: see the property of the right kernels",
}
