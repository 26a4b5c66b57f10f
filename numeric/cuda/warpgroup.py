"""Attention by products of warpgroups: the second kernel of attention in 16-bit formats, for compute capability 9.0.

What it does: the constants of a file that hold the text of :mod:`warpgroup_text`, its launch contract and the switch that lets a call use
it. Guarantees: the results have the bound of the other tensor-core kernel, whose conventions they share. The switch is off
in a generated file: no result of this kernel on hardware is known, so nothing says where it pays. Cannot see: speed.
"""

from __future__ import annotations

from kernelproof.numeric.cuda.online_softmax import SOFTMAX
from kernelproof.numeric.cuda.plan import Contract
from kernelproof.numeric.cuda.warpgroup_text import ATTEND, KERNEL
from kernelproof.numeric.cuda.warpgroup_wrappers import warpgroup_wrappers
from kernelproof.numeric.cuda.wrappers import wrappers
from kernelproof.numeric.cuda_types import TYPES

KEYS, SLOTS = 128, 4
#: by width of a head: groups of four warps that multiply; registers of a thread at the launch, of one that loads, of one that multiplies
WIDTHS = {64: (3, 128, 32, 160), 128: (2, 168, 24, 240)}


def contract(width: int) -> Contract:
    """The launch of the kernel for a width, with one group of warps more than multiply. Queries and the ring of tiles lie in shared memory
    from a multiple of 1024 bytes on, barriers behind them.
    """
    groups, registers, _, _ = WIDTHS[width]
    rows = 64 * groups
    return Contract(rows, 128 * (groups + 1), 1, 1024 + (rows + SLOTS * KEYS) * width * 2 + 8 * (2 * SLOTS + 1), registers)


def name(width: int) -> str:
    """The name of the kernel for a width."""
    return f"attention_warpgroup{width}"


def cuda_text(dtype: str) -> str:
    """The CUDA text: wrappers, the attention of a block, and an entry point for each width."""
    types, entries = TYPES[dtype], []
    for width, (groups, _, few, many) in WIDTHS.items():
        made = contract(width)
        entries.append(KERNEL.format(name=name(width), width=width, rows=made.rows, block=made.block, groups=groups, few=few, many=many))
    head = f"#include <{types.header}>\n\ntypedef {types.stored} kp_stored;\n"
    attend = (SOFTMAX + ATTEND.replace("KEY_TILE", str(KEYS)).replace("RING", str(SLOTS))).rstrip()
    return "\n".join(("", head, wrappers(dtype), "", warpgroup_wrappers(dtype), attend, *(entry.rstrip() for entry in entries), ""))


def warpgroup_constants(dtype: str) -> tuple[str, ...]:
    """Lines of a module: switch, text, contract, names and the module, which is compiled when a call uses it."""
    names = ", ".join(f'{width}: "{name(width)}"' for width in WIDTHS)
    return (
        "# True: devices of compute capability 9.0 use the kernel of warpgroups. It was not run on hardware, and its speed is not known.",
        "ON_WARPGROUPS = False", "",
        f"WARPGROUP_CUDA = r'''{cuda_text(dtype)}'''", "",
        "WARPGROUP_LAUNCH = {", *(f'    "{name(width)}": {contract(width)},' for width in WIDTHS), "}",
        f"WARPGROUP_NAMES = {{{names}}}  # by width of a head", f"WARPGROUP_KEYS = {KEYS}  # of a tile", "",
        'WARPGROUP_MODULE = cp.RawModule(code=WARPGROUP_CUDA, options=("-std=c++17", "-arch=sm_90a"))',
    )
