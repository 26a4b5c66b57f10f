"""The schedule of attention's gradient in CUDA: tiles of scores, without a matrix of queries × keys in memory.

What it does: puts the text of :mod:`attention_gradient_text` into the file of a gradient of attention, and the lines that launch it; heads
that share keys and values are one more leading axis, along which keys and values are broadcast, and their gradients summed. With rotary
positions queries and keys are turned before the tiles and their gradients turned back behind them, in arrays of the tokens' size and in the
format computed in. Guarantees: masks keep their own shape; causality, windows and ALiBi are numbers that the tiles are told; any width of a
head; what a sink and an input that was broadcast get is summed in one order (:mod:`sums`). A variant with another option has no plan here.
Cannot see: speed; 16-bit inputs are widened before, and no tensor cores are used.
"""

from __future__ import annotations

from dataclasses import replace

from kernelproof.numeric.cuda.attention_gradient_text import cuda_text
from kernelproof.numeric.cuda.gradient_plan import GradientPlan
from kernelproof.numeric.cuda.sums import sums
from kernelproof.numeric.cuda_kernel import KernelText
from kernelproof.numeric.cuda_types import TYPES
from kernelproof.numeric.gradient_signature import TO_SHAPE, vjp_name
from kernelproof.numeric.schedules.attention_gradient import KNOWN, TABLES, TURNED_BACK, own_axes, turning
from kernelproof.numeric.schedules.attention_signature import tiled
from kernelproof.numeric.signatures import Signature
from kernelproof.symbolic.phase import Gradient, Options

#: channels that lie in shared memory at once, threads of a block; rows and columns of a tile by C type
CHUNK, BLOCK = 64, 128
TILES = {"float": 32, "double": 16}
#: blocks that fit a multiprocessor of 65536 registers, and what is left for a thread
BLOCKS, REGISTERS = 3, 168
LICENCES = (
    "attention.recomputed_weights", "attention.online_step", "attention.online_m", "attention.online_tiles_l", "attention.online_tiles_o",
    "attention.masked_weight",
)
#: theorems of what only some variants have, by need, and of rotary positions
NAMED = {"window": "attention.outside_window", "sink": "attention.sinks", "mean": "attention.vjp_fully_masked"}
ROTARY = "attention.rotary"
SPLIT = (
    "queries, grad = (part.reshape((*part.shape[:-3], heads, group, n, part.shape[-1])) for part in (q, grad_out))",
    "keys, values = k[..., None, :, :], v[..., None, :, :]  # the members of a group share them: a stride of 0, and no copy",
    "allow, bias = (part if part is None else part.reshape((*part.shape[:-3], heads, group, n, m)) for part in (allow, bias))",
)
JOINED = ("d_q = d_q.reshape((*lead, heads * group, n, d))", "d_k, d_v = (_summed(part, (-3,)) for part in (d_k, d_v))")


def attention_gradient(found: Gradient, signature: Signature, dtype: str) -> GradientPlan | None:
    """The plan of a gradient of attention, or None for an option that is not known here."""
    variant = found.variant
    if found.phase != "attention" or any(name not in KNOWN and value for name, value in variant.items()):
        return None
    name, real, needs = vjp_name(found.phase), TYPES[dtype].real, needs_of(variant)
    text = cuda_text(name, real, TILES[real], CHUNK, BLOCK, BLOCKS, needs)
    # the text has both kernels; the second one's own is empty
    launch = {"block": BLOCK, "lanes": BLOCK, "shared": 0, "registers": REGISTERS, "local": 0}
    kernels = tuple(KernelText(f"{name}_{part}", own, (), (), (), (), (), launch) for part, own in (("queries", text), ("keys", "")))
    summing, summed = sums(f"{name}_sums", real)
    return GradientPlan(
        kernels=(*kernels, summing),
        lines=tuple(_lines(name, variant, real)),
        licences=(
            f"{found.phase}.vjp", *LICENCES, *(theorem for need, theorem in NAMED.items() if need in needs),
            *((ROTARY,) if variant.get("rotary") else ()),
        ),
        helpers=frozenset({("kp_infinity", real), ("kp_divisor", real)}),
        widened=signature.arrays,
        signature=_with_sums(own_axes(tiled(name, variant, signature)), (summed, *(_on_cupy(text) for text in turning(variant)))),
    )


def needs_of(variant: Options) -> frozenset[str]:
    """What the text and the licences of a variant must have."""
    needs = {
        "window": variant.get("window") is not None, "sink": bool(variant.get("sinks")), "steps": variant.get("softcap") is not None,
        "mean": variant.get("fully_masked") == "mean",
    }
    return frozenset(need for need, wanted in needs.items() if wanted)


def _with_sums(given: Signature, texts: tuple[str, ...]) -> Signature:
    """With these helpers, and sums of what was broadcast by them."""
    own = TO_SHAPE.replace("{np}.sum(gradient, axis=axes)", "_summed(gradient, axes)")
    if own == TO_SHAPE or TO_SHAPE not in given.helpers:
        raise ValueError(f"tiling attention_vjp: {TO_SHAPE!r} is no helper that sums as known here")
    return replace(given, helpers=(*texts, *(own if text == TO_SHAPE else text for text in given.helpers)))


def _on_cupy(code: str) -> str:
    """A line or text of the NumPy schedule."""
    return code.replace("np.", "cp.")


def _lines(name: str, variant: Options, real: str) -> list[str]:
    """From the inputs to their gradients."""
    grouped, window, needs = bool(variant.get("grouped_query")), variant.get("window"), needs_of(variant)
    offset = "m - n" if variant.get("causal_alignment") == "bottom_right" else "0"
    arrays = ("queries", "keys", "values", "grad") if grouped else ("q", "k", "v", "grad_out")
    given = [f"({array}, ({shape}), True)" for array, shape in zip(arrays, ("n, d", "m, d", "m, e", "n, e"), strict=True)]
    given += ["(allow, (n, m), True)", "(bias, (n, m), True)", f"({'slopes' if variant.get('alibi') else 'None'}, (), True)"]
    kept = [f"({array}, (n,), True)" for array in ("tops", "totals", "means")]
    results = ["d_q", "tops", "totals", "means", *(("sunk",) if "sink" in needs else ())]
    tile, rows = TILES[real], ", ".join(["(None, (n,), work)"] * (len(results) - 1))
    sinks = f"(sinks{'.reshape((heads, group))' if grouped else ''}, (), True)"
    rotary, numbers = bool(variant.get("rotary")), "COMPUTE(scale), COMPUTE(cap)" if "steps" in needs else "COMPUTE(scale),"
    return [
        *((_on_cupy(line) for line in TABLES) if rotary else ()),
        *(SPLIT if grouped else ()),
        "e = v.shape[-1]",
        f"offset = {offset}  # the number of keys before the first query",
        f"ahead = {'offset' if window is not None else 'offset if causal else m'}  # query i sees keys j <= i + ahead",
        f"window = {window if window is not None else 'n + m + 1'}  # and j > i + ahead - window",
        "given = (", f"    {', '.join(given[:4])},", f"    {', '.join(given[4:])},", ")",
        f"sizes, numbers = (ahead, d, e, m, n, offset, window), ({numbers})",
        f"({', '.join(results)}) = _launch(",
        f'    "{name}_queries", -(-n // {tile}) * max(-(-d // {CHUNK}), 1), sizes, numbers, '
        f"{f'(*given, {sinks})' if 'sink' in needs else 'given'},",
        f"    ((None, (n, d), work), {rows}),",
        ")",
        f"given += ({', '.join(kept)})",
        "(d_k, d_v) = _launch(",
        f'    "{name}_keys", -(-m // {tile}) * max(-(-d // {CHUNK}), -(-e // {CHUNK}), 1), sizes, numbers, given,',
        "    ((None, (m, d), work), (None, (m, e), work)),",
        ")",
        *(JOINED if grouped else ()),
        *((_on_cupy(TURNED_BACK),) if rotary else ()),
        *((f"d_sinks = _summed(sunk.reshape((math.prod(lead), {'heads * group' if grouped else 'heads'}, n)), (0, 2))",)
          if "sink" in needs else ()),
    ]
