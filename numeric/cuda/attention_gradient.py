"""The schedule of attention's gradient in CUDA: tiles of scores, without a matrix of queries × keys in memory.

What it does: puts the text of :mod:`attention_gradient_text` into the file of a gradient of attention for variants that are masks or ALiBi,
and the lines that launch it; heads that share keys and values are one more leading axis, along which keys and values are broadcast, and
their gradients summed. Guarantees: masks keep their own shape; causality, windows and ALiBi are numbers that the tiles are told; any width
of a head. Variants that do something else to scores (soft-cap, sinks, rotary positions, the mean of a row without keys) have no plan here
and are computed with whole matrices of scores. Cannot see: speed; 16-bit inputs are widened before, and no tensor cores are used.
"""

from __future__ import annotations

from kernelproof.numeric.cuda.attention_gradient_text import cuda_text
from kernelproof.numeric.cuda.gradient_plan import GradientPlan
from kernelproof.numeric.cuda_kernel import KernelText
from kernelproof.numeric.cuda_types import TYPES
from kernelproof.numeric.gradient_signature import vjp_name
from kernelproof.numeric.schedules.attention_signature import tiled
from kernelproof.numeric.signatures import Signature
from kernelproof.symbolic.phase import Gradient, Options

#: options that the text has a form for; of the others this value changes nothing
KNOWN = frozenset({"causal_alignment", "grouped_query", "window", "alibi"})
PLAIN = {"fully_masked": ("zeros", "nan")}
#: channels that lie in shared memory at once, threads of a block; rows and columns of a tile by C type
CHUNK, BLOCK = 64, 128
TILES = {"float": 32, "double": 16}
#: blocks that fit a multiprocessor of 65536 registers, and what is left for a thread
BLOCKS, REGISTERS = 3, 168
LICENCES = (
    "attention.recomputed_weights", "attention.online_step", "attention.online_m", "attention.online_tiles_l", "attention.online_tiles_o",
    "attention.masked_weight",
)
SPLIT = (
    "queries, grad = (part.reshape((*part.shape[:-3], heads, group, n, part.shape[-1])) for part in (q, grad_out))",
    "keys, values = k[..., None, :, :], v[..., None, :, :]  # the members of a group share them: a stride of 0, and no copy",
    "allow, bias = (part if part is None else part.reshape((*part.shape[:-3], heads, group, n, m)) for part in (allow, bias))",
)
JOINED = (
    "d_q = d_q.reshape((*lead, heads * group, n, d))", "d_k, d_v = (cp.sum(part, axis=-3) for part in (d_k, d_v))",
)


def attention_gradient(found: Gradient, signature: Signature, dtype: str) -> GradientPlan | None:
    """The plan of a gradient of attention, or None for an option that is not known here."""
    variant = found.variant
    unknown = any(value and name not in KNOWN and value not in PLAIN.get(name, ()) for name, value in variant.items())
    if found.phase != "attention" or unknown:
        return None
    name, real = vjp_name(found.phase), TYPES[dtype].real
    text = cuda_text(name, real, TILES[real], CHUNK, BLOCK, BLOCKS)
    # the text has both kernels; the second one's own is empty
    launch = {"block": BLOCK, "lanes": BLOCK, "shared": 0, "registers": REGISTERS, "local": 0}
    kernels = tuple(KernelText(f"{name}_{part}", own, (), (), (), (), (), launch) for part, own in (("queries", text), ("keys", "")))
    return GradientPlan(
        kernels=kernels,
        lines=tuple(_lines(name, variant, real)),
        licences=(f"{found.phase}.vjp", *LICENCES, *(("attention.outside_window",) if variant.get("window") is not None else ())),
        helpers=frozenset({("kp_infinity", real), ("kp_divisor", real)}),
        widened=signature.arrays,
        signature=tiled(name, variant, signature),
    )


def _lines(name: str, variant: Options, real: str) -> list[str]:
    """From the inputs to their gradients."""
    grouped, window = bool(variant.get("grouped_query")), variant.get("window")
    offset = "m - n" if variant.get("causal_alignment") == "bottom_right" else "0"
    arrays = ("queries", "keys", "values", "grad") if grouped else ("q", "k", "v", "grad_out")
    given = [f"({array}, ({shape}), True)" for array, shape in zip(arrays, ("n, d", "m, d", "m, e", "n, e"), strict=True)]
    given += ["(allow, (n, m), True)", "(bias, (n, m), True)", f"({'slopes' if variant.get('alibi') else 'None'}, (), True)"]
    kept = [f"({array}, (n,), True)" for array in ("tops", "totals", "means")]
    tile, sums = TILES[real], ", ".join(["(None, (n,), work)"] * 3)
    return [
        *(SPLIT if grouped else ()),
        "e = v.shape[-1]",
        f"offset = {offset}  # the number of keys before the first query",
        f"ahead = {'offset' if window is not None else 'offset if causal else m'}  # query i sees keys j <= i + ahead",
        f"window = {window if window is not None else 'n + m + 1'}  # and j > i + ahead - window",
        "given = (", f"    {', '.join(given[:4])},", f"    {', '.join(given[4:])},", ")",
        "sizes, numbers = (ahead, d, e, m, n, offset, window), (COMPUTE(scale),)",
        "(d_q, tops, totals, means) = _launch(",
        f'    "{name}_queries", -(-n // {tile}) * max(-(-d // {CHUNK}), 1), sizes, numbers, given,',
        f"    ((None, (n, d), work), {sums}),",
        ")",
        f"given += ({', '.join(kept)})",
        "(d_k, d_v) = _launch(",
        f'    "{name}_keys", -(-m // {tile}) * max(-(-d // {CHUNK}), -(-e // {CHUNK}), 1), sizes, numbers, given,',
        "    ((None, (m, d), work), (None, (m, e), work)),",
        ")",
        *(JOINED if grouped else ()),
    ]
