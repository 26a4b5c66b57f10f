"""Grouped queries for CuPy files: the kernels of plain attention, to which heads that share keys and values are one more leading axis.

What it does: the array program of plain attention, and the lines that give queries an axis of heads and one of members; keys and values are
broadcast along the second, which is a stride of 0 and no copy. Guarantees: licensed by ``attention.grouped``: each query head is plain
attention with the keys and values of its group; only where that theorem speaks of the variant, with masks and windows as they are.
Cannot see: soft-caps, sinks and what else changes scores; these are refused.
"""

from __future__ import annotations

from kernelproof.numeric.forms import program_of
from kernelproof.numeric.program import Program
from kernelproof.symbolic.phase import Derivation, Options
from kernelproof.symbolic.registry import derive

LICENCE = "attention.grouped"
#: options beside which plain attention is what the theorem speaks of: they are masks
MASKS = frozenset({"grouped_query", "causal_alignment", "window"})
SPLIT = (
    "q = q.reshape((*q.shape[:-3], heads, group, n, d))  # attention.grouped: heads of queries by the head of keys that they share",
    "k, v = k[..., None, :, :], v[..., None, :, :]",
    "allow, bias = (part if part is None else part.reshape((*part.shape[:-3], heads, group, n, m)) for part in (allow, bias))",
)
#: the same for the tensor-core kernel, before shapes are checked
TENSOR = (
    "if min(q.ndim, k.ndim, v.ndim) > 2 and k.shape[-3] == v.shape[-3] > 0 and q.shape[-3] % k.shape[-3] == 0:",
    "    split = q.reshape((*q.shape[:-3], k.shape[-3], q.shape[-3] // k.shape[-3], *q.shape[-2:]))",
    "    out = _on_tensor_cores(split, k[..., None, :, :], v[..., None, :, :], causal, mask, scale)",
    "    if out is not None:",
    "        return out.reshape((*out.shape[:-4], q.shape[-3], *out.shape[-2:]))",
)


def is_grouped(variant: Options) -> bool:
    """Whether a variant is grouped queries and nothing but masks beside."""
    return bool(variant.get("grouped_query")) and all(name in MASKS or not value for name, value in variant.items())


def plain_program(derivation: Derivation) -> Program:
    """The program of the attention that each head of queries is."""
    others = {name: value for name, value in derivation.variant.items() if name != "grouped_query"}
    return program_of(derive(derivation.phase, **others).definition.name)
