"""The schedule of attention on ordinary arithmetic units: tiles of scores and an online softmax, in memory that grows with the tokens only.

What it does: puts the text of :mod:`tiled_text` and the Python of :mod:`tiled_launch` into the file of an attention, for every format; with
16 bits it takes what the tensor-core kernel does not, and computes in float32; queries and keys that rotary positions turn come to it in
float32 then, so that what is turned is not rounded to 16 bits. Guarantees: a variant that is not in KNOWN has no plan here.
Cannot see: which arguments a call brings; the file decides at run time. No result of these kernels on hardware is known: they are
compiled, and their text is emulated.
"""

from __future__ import annotations

from fractions import Fraction

from kernelproof.numeric.cuda.attention_launch import LOADER
from kernelproof.numeric.cuda.grouped import is_grouped
from kernelproof.numeric.cuda.plan import Contract, CudaPlan
from kernelproof.numeric.cuda.tiled_launch import CALL, CALL_ALONE, LAUNCH, PAIRS, TURN, TURNED
from kernelproof.numeric.cuda.tiled_loads import HEAD, LOADS, MASK
from kernelproof.numeric.cuda.tiled_text import ATTEND, FINISH, KERNEL, MEAN
from kernelproof.numeric.cuda_types import INFINITY, TYPES, literal
from kernelproof.numeric.cupy_launch import WIDENED
from kernelproof.numeric.schedules.attention import licences_of
from kernelproof.numeric.schedules.attention_text import text_for
from kernelproof.symbolic.phase import Derivation, Options

KNOWN = frozenset({"causal_alignment", "fully_masked", "grouped_query", "window", "alibi", "softcap", "sinks", "rotary"})
#: the printer has no kernels for these, but for grouped queries with masks alone
ALONE = frozenset({"fully_masked", "grouped_query", "alibi", "sinks", "rotary"})
LICENCES = (
    "attention.score_shift", "attention.online_tiles_l", "attention.online_tiles_o", "attention.online_step", "attention.online_m",
    "attention.masked_weight",
)
BLOCK, ROWS = 128, 64
#: by C type, then by columns of the result that a block has: blocks on a multiprocessor, and the registers that its 65536 leave to a thread
COLUMNS = {"float": {64: (3, 168), 128: (2, 255)}, "double": {64: (2, 255)}}
SIZES = {"float": 4, "double": 8}
#: functions of the text by C type
CALLS = {
    "float": {"exp": "expf", "tanh": "tanhf", "max": "fmaxf", "fma": "fmaf", "mul": "__fmul_rn"},
    "double": {"exp": "exp", "tanh": "tanh", "max": "fmax", "fma": "fma", "mul": "__dmul_rn"},
}
#: a mask's number, not -inf: in float32 a finite number stays one
FINITE = {"float": "value < (T)-3.0e38 ? -3.0e38f : (kp_real)value", "double": "(kp_real)value"}


def contract(real: str, columns: int) -> Contract:
    """The launch of the kernel: weights, and a tile of values, lie in shared memory."""
    blocks, registers = COLUMNS[real][columns]
    return Contract(ROWS, BLOCK, blocks, (ROWS * 64 + 64 * columns) * SIZES[real], registers)


def name(columns: int) -> str:
    """The name of the kernel for a number of columns."""
    return f"attention_tiled{columns}"


def needs_of(variant: Options, dtype: str) -> frozenset[str]:
    """What the text must have for a variant in a format; "turned": queries and keys come in the format computed in."""
    needs = {
        "window": variant.get("window") is not None, "alibi": bool(variant.get("alibi")), "sink": bool(variant.get("sinks")),
        "steps": variant.get("softcap") is not None, "mean": variant.get("fully_masked") == "mean",
        "nan": variant.get("fully_masked") == "nan", "grouped": bool(variant.get("grouped_query")),
        "turned": bool(variant.get("rotary")) and TYPES[dtype].converts,
    }
    return frozenset(need for need, wanted in needs.items() if wanted)


def cuda_text(variant: Options, dtype: str) -> str:
    """The CUDA text: types, masks, loads, the attention of a block, and an entry point for each number of columns."""
    types, needs = TYPES[dtype], needs_of(variant, dtype)
    real, quiet = types.real, {"float": "__int_as_float(0x7fffffff)", "double": "__longlong_as_double(0x7fffffffffffffffLL)"}
    names = {
        **CALLS[real], "real": real, "stored": types.stored, "asked": real if "turned" in needs else types.stored, "widen": types.widen,
        "narrow": types.narrow, "minus_infinity": f"-{INFINITY[real]}", "nan": quiet[real], "finite": FINITE[real],
        "zero": literal(Fraction(0), real), "one": literal(Fraction(1), real),
    }
    attend = (ATTEND + FINISH.lstrip("\n")).replace("MEAN_OF_VALUES\n", MEAN.lstrip("\n") if "mean" in needs else "")
    if "window" in needs:
        attend = attend.replace("BEHIND", str(min(int(str(variant["window"])), 2**30)))  # no key is further away
    if "steps" in needs:
        attend = attend.replace("CAP", literal(Fraction(float(str(variant["softcap"]))), real))
    parts = [f"#include <{types.header}>"] if types.header else []
    parts += [text_for(text, needs, **names).strip("\n") for text in (HEAD, MASK, LOADS, attend)]
    for columns in COLUMNS[real]:
        made = contract(real, columns)
        entry = text_for(KERNEL, needs, name=name(columns), columns=str(columns), rows=str(made.rows))
        parts.append(entry.replace("{block}", str(made.block)).replace("{blocks}", str(made.blocks)).strip("\n"))
    return "\n" + "\n\n".join(parts) + "\n"


def attention_in_tiles(derivation: Derivation, dtype: str) -> CudaPlan | None:
    """The plan of an attention, or None."""
    return tiles_for(derivation.variant, dtype) if derivation.phase == "attention" else None


def tiles_for(variant: Options, dtype: str, phase: str = "attention", held: str = "STORED") -> CudaPlan | None:
    """The plan for a variant of attention, or None for one that is not known. ``phase`` is what messages name; ``held`` the name of the
    format that the kernel's arrays have, in the source.
    """
    layout = variant.get("rotary")
    if any(value for key, value in variant.items() if key not in KNOWN):
        return None
    needs, real = needs_of(variant, dtype), TYPES[dtype].real
    given, whole = ", sinks" if "sink" in needs else "", bool(ALONE & set(variant)) and not is_grouped(variant)
    offset = "m - n" if variant.get("causal_alignment") == "bottom_right" else "0"
    names = ", ".join(f'{columns}: "{name(columns)}"' for columns in COLUMNS[real])
    pair = PAIRS[str(layout)] if layout else ()
    launch = text_for(LAUNCH, needs, more=given, offset=offset, held=held, phase=phase)
    turned = (TURNED.replace("FIRST", pair[0]).replace("SECOND", pair[1]),) if pair else ()
    turned = (WIDENED, *turned) if pair and dtype == "bfloat16" else turned
    lines = (*(TURN if layout else ()), *CALL_ALONE) if whole else CALL
    part = {"bfloat16": "_widened(part)", "float16": "part.astype(COMPUTE)"}.get(dtype, "part")
    return CudaPlan(
        constants=(
            f"TILED_CUDA = r'''{cuda_text(variant, dtype)}'''", "",
            "# rows of the result and threads of a block, blocks on a multiprocessor, bytes of dynamic shared memory; registers, local",
            "TILED_LAUNCH = {", *(f'    "{name(columns)}": {contract(real, columns)},' for columns in COLUMNS[real]), "}",
            f"TILED_NAMES = {{{names}}}  # by columns of the result that a block has", "",
            'TILED_MODULE = cp.RawModule(code=TILED_CUDA, options=("-std=c++17",))  # compiled when a call fits it',
        ),
        helpers=(*((LOADER,) if TYPES[dtype].converts else ()), *turned, launch),
        lines=tuple(line.replace("{more}", given).replace("{part}", part) for line in lines),
        loader="_stored" if TYPES[dtype].converts else "cp.asarray",
        licences=(*LICENCES, *licences_of(needs), *(("attention.rotary",) if layout else ())),
        whole=whole,
    )
