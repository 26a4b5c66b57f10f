"""The schedule of attention in 16-bit formats: one kernel on tensor cores for each width of a head.

What it does: puts the texts of :mod:`attention_text` and :mod:`warpgroup`, and the Python of :mod:`attention_launch`, into the file of
plain attention, for both alignments of causality. Guarantees: variants that do something else to the scores have no plan here. Cannot see:
which arguments a call brings; the file decides at run time. No result of these kernels on hardware is known: they are compiled, and their
text is emulated.
"""

from __future__ import annotations

from kernelproof.numeric.cuda.attention_launch import LAUNCH, LOADER
from kernelproof.numeric.cuda.attention_text import KERNEL, TEXT
from kernelproof.numeric.cuda.grouped import TENSOR as GROUPED
from kernelproof.numeric.cuda.plan import Contract, CudaPlan
from kernelproof.numeric.cuda.warpgroup import warpgroup_constants
from kernelproof.numeric.cuda.warpgroup_launch import FORMATS
from kernelproof.numeric.cuda.warpgroup_launch import TEXT as MAPS
from kernelproof.numeric.cuda.wrappers import wrappers
from kernelproof.numeric.cuda_types import TYPES
from kernelproof.symbolic.phase import Derivation

#: options with another value than this, and not named in KNOWN, have no plan
PLAIN = {"fully_masked": "zeros"}
KNOWN = frozenset({"causal_alignment", "grouped_query"})
LICENCES = (
    "attention.score_shift", "attention.online_tiles_l", "attention.online_tiles_o", "attention.online_step", "attention.online_m",
    "attention.masked_weight", "attention.power_of_two",
)
PLAIN_LINES = ("out = _on_tensor_cores(q, k, v, causal, mask, scale)", "if out is not None:", "    return out")
WARPS, KEYS = 4, 64
#: by width of a head: blocks on a multiprocessor, and the registers that its 65536 leave to a thread
WIDTHS = {64: (3, 168), 128: (2, 255)}


def contract(width: int) -> Contract:
    """The launch of the kernel for a width: queries, and two tiles of keys and two of values, lie in shared memory."""
    blocks, registers = WIDTHS[width]
    rows = 16 * WARPS
    return Contract(rows, 32 * WARPS, blocks, (rows + 4 * KEYS) * width * 2, registers)


def name(width: int) -> str:
    """The name of the kernel for a width."""
    return f"attention_tensor{width}"


def cuda_text(dtype: str) -> str:
    """The CUDA text: wrappers, the attention of a block, and an entry point for each width."""
    types = TYPES[dtype]
    head = f"#include <{types.header}>\n\ntypedef {types.stored} kp_stored;\n"
    entries = []
    for width in WIDTHS:
        made = contract(width)
        entries.append(KERNEL.format(name=name(width), width=width, warps=WARPS, rows=made.rows, block=made.block, blocks=made.blocks))
    return "\n".join(("", head, wrappers(dtype), TEXT.replace("KEY_TILE", str(KEYS)).rstrip(), *(entry.rstrip() for entry in entries), ""))


def attention_on_tensor_cores(derivation: Derivation, dtype: str) -> CudaPlan | None:
    """The plan of an attention in a 16-bit format, or None."""
    variant = derivation.variant
    unknown = any(key not in KNOWN and value != PLAIN.get(key) and value for key, value in variant.items())
    if derivation.phase != "attention" or dtype not in ("float16", "bfloat16") or unknown:
        return None
    expected = {"bfloat16": "bfloat16, handed over as its bits (uint16)"}.get(dtype, dtype)
    ahead = "m - n" if variant.get("causal_alignment") == "bottom_right" else "0"
    names = ", ".join(f'{width}: "{name(width)}"' for width in WIDTHS)
    return CudaPlan(
        constants=(
            f"TENSOR_CUDA = r'''{cuda_text(dtype)}'''", "",
            "# rows of the result and threads of a block, blocks on a multiprocessor, bytes of dynamic shared memory; registers, local",
            "TENSOR_LAUNCH = {", *(f'    "{name(width)}": {contract(width)},' for width in WIDTHS), "}",
            f"TENSOR_NAMES = {{{names}}}  # by width of a head", "",
            'TENSOR_MODULE = cp.RawModule(code=TENSOR_CUDA, options=("-std=c++17",))  # compiled when a call fits it',
            "", *warpgroup_constants(dtype),
        ),
        helpers=(LOADER, MAPS.replace("FORMAT", str(FORMATS[dtype])), LAUNCH.replace("AHEAD", ahead).replace("EXPECTED", expected)),
        lines=GROUPED if variant.get("grouped_query") else PLAIN_LINES,
        loader="_stored",
        licences=LICENCES,
        numpy=True,
    )
