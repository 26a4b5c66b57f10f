"""The schedule of attention's gradient in 16-bit formats: two kernels on tensor cores for each width of a head.

What it does: puts the text of :mod:`tensor_gradient_text` and :mod:`tensor_gradient_keys_text` and the Python of
:mod:`tensor_gradient_launch` into the file of a gradient of plain attention, for both alignments of causality and for grouped queries.
Guarantees: variants that do something else to the scores have no plan here; a call that does not fit goes on to the schedule after this
one; dQ is a pass of its own, nothing is added atomically. Cannot see: which arguments a call brings; the file decides at run time. No
result of these kernels on hardware is known: they are compiled, and their text is emulated.
"""

from __future__ import annotations

from kernelproof.numeric.cuda.attention import KNOWN, PLAIN
from kernelproof.numeric.cuda.attention_launch import ROWS
from kernelproof.numeric.cuda.gradient_plan import GradientPlan
from kernelproof.numeric.cuda.plan import Contract
from kernelproof.numeric.cuda.tensor_gradient_keys_text import KEYS, KEYS_KERNEL
from kernelproof.numeric.cuda.tensor_gradient_launch import GROUPED, LAUNCH, PLAIN_LINES
from kernelproof.numeric.cuda.tensor_gradient_text import QUERIES, QUERIES_KERNEL, SHARED
from kernelproof.numeric.cuda.wrappers import wrappers
from kernelproof.numeric.cuda_types import TYPES
from kernelproof.numeric.gradient_signature import vjp_name
from kernelproof.numeric.signatures import Signature
from kernelproof.symbolic.phase import Gradient

LICENCES = (
    "attention.recomputed_weights", "attention.online_step", "attention.online_m", "attention.online_tiles_l", "attention.online_tiles_o",
    "attention.masked_weight", "attention.power_of_two",
)
WARPS = 4
#: by kernel and width of a head: rows of the other side in a tile, blocks on a multiprocessor, and the registers that leaves to a thread
WIDTHS = {
    "queries": {64: (64, 2, 255), 128: (32, 2, 255)},
    "keys": {64: (64, 2, 255), 128: (32, 2, 255)},
}


def contract(kind: str, width: int) -> Contract:
    """The launch of a kernel: its own two tiles, and two of each of two arrays, lie in shared memory; *keys* has three sums a query."""
    tile, blocks, registers = WIDTHS[kind][width]
    rows = 16 * WARPS
    shared = (2 * rows + 4 * tile) * width * 2 + (2 * 3 * tile * 4 if kind == "keys" else 0)
    return Contract(rows, 32 * WARPS, blocks, shared, registers)


def name(phase: str, kind: str, width: int) -> str:
    """The name of the kernel for a width."""
    return f"{vjp_name(phase)}_tensor_{kind}{width}"


def cuda_text(phase: str, dtype: str) -> str:
    """The CUDA text: wrappers, the gradients of a block, and an entry point for each width."""
    types = TYPES[dtype]
    head, entries = f"#include <{types.header}>\n\ntypedef {types.stored} kp_stored;\n", []
    for kind, entry in (("queries", QUERIES_KERNEL), ("keys", KEYS_KERNEL)):
        for width, (tile, _, _) in WIDTHS[kind].items():
            made = contract(kind, width)
            entries.append(entry.format(
                name=name(phase, kind, width), width=width, warps=WARPS, tile=tile, rows=made.rows, block=made.block, blocks=made.blocks,
            ))
    parts = (SHARED, QUERIES, KEYS, *entries)
    return "\n".join(("", head, wrappers(dtype), *(part.rstrip() for part in parts), ""))


def gradient_on_tensor_cores(found: Gradient, signature: Signature, dtype: str) -> GradientPlan | None:
    """The plan of a gradient of attention in a 16-bit format, or None."""
    variant = found.variant
    unknown = any(key not in KNOWN and value != PLAIN.get(key) and value for key, value in variant.items())
    if found.phase != "attention" or dtype not in ("float16", "bfloat16") or unknown:
        return None
    ahead = "m - n" if variant.get("causal_alignment") == "bottom_right" else "0"
    launches = [(name(found.phase, kind, width), contract(kind, width)) for kind in WIDTHS for width in WIDTHS[kind]]
    pairs = [(width, *(f'"{name(found.phase, kind, width)}"' for kind in ("queries", "keys"))) for width in WIDTHS["keys"]]
    names = ", ".join(f"{width}: ({queries}, {keys})" for width, queries, keys in pairs)
    return GradientPlan(
        kernels=(), lines=(), licences=(f"{found.phase}.vjp", *LICENCES),
        constants=(
            f"TENSOR_CUDA = r'''{cuda_text(found.phase, dtype)}'''", "",
            "# rows of the result and threads of a block, blocks on a multiprocessor, bytes of dynamic shared memory; registers, local",
            "TENSOR_LAUNCH = {", *(f'    "{kernel}": {launch},' for kernel, launch in launches), "}",
            f"TENSOR_NAMES = {{{names}}}  # by width of a head", "",
            'TENSOR_MODULE = cp.RawModule(code=TENSOR_CUDA, options=("-std=c++17",))  # compiled when a call fits it',
        ),
        texts=(ROWS, LAUNCH.replace("AHEAD", ahead)),
        early=GROUPED if variant.get("grouped_query") else PLAIN_LINES,
    )
