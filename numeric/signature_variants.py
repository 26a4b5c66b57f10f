"""How a kernel of a variant is called: the signature of its phase, with the lines that the variant changes.

What it does: data and text, as :mod:`signatures`. Who may attend to whom (alignment, window) and what is added to scores (ALiBi) are set
here, as values of the definition's ``allow`` and ``bias``; a definition with heads gets their numbers, and a mask for each of them.
Guarantees: the default variant has the text of :data:`SIGNATURES`. Cannot see: what is derived; these lines are conventions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from kernelproof.numeric.signatures import ATTENTION_LINE, MASK, SIGNATURES, Signature, axes_checked
from kernelproof.symbolic.phase import Options

SLOPES = '''
def _slopes(count):
    """ALiBi's slope of each head: 2^(-8/p), 2^(-16/p), … for p heads, p the largest power of two, then every other one of 2·p heads."""
    power = 1 << max(count.bit_length() - 1, 0)
    head = {np}.arange(count, dtype={np}.float64)
    return {np}.power(2.0, {np}.where(head < power, -8.0 * (head + 1), -4.0 * (2 * (head - power) + 1)) / power)
'''
#: earlier keys and values in front of those given
JOINED = (
    "if (past_k is None) != (past_v is None):",
    '    raise ValueError("{NAME}: one of past_k and past_v is given; expected both or neither")',
    "if past_k is not None:",
    "    past_k, past_v = {np}.asarray(past_k), {np}.asarray(past_v)",
    '    for label, array, new in (("past_k", past_k, k), ("past_v", past_v, v)):',
    '        if array.dtype.kind != "f" and array.dtype.name != "bfloat16":',
    '            raise TypeError(f"{NAME}: {{label}} of dtype {{array.dtype}}; expected floating point")',
    "        fits = array.shape[:-2] == new.shape[:-2] and array.shape[-1:] == new.shape[-1:] and array.ndim > 1",
    "        if not fits or array.shape[-2] != past_k.shape[-2]:",
    '            message = f"{NAME}: {{label}} {{array.shape}} for {{new.shape}}; expected the same axes but for keys, and as many past_k"',
    "            raise ValueError(message)",
    "    k = {np}.concatenate([past_k.astype(work), k], axis=-2)",
    "    v = {np}.concatenate([past_v.astype(work), v], axis=-2)",
)
#: the number of keys before the first query, by alignment
OFFSET = {"top_left": "0", "bottom_right": "shape[-1] - shape[-2]"}


def signature(phase: str, variant: Options, cache: bool = True) -> Signature:
    """The signature of a phase under a variant; attention takes earlier keys and values unless ``cache`` is left out."""
    found = SIGNATURES[phase]
    if variant.get("gated"):
        return _gated(found)
    if phase == "attention":
        return _with_cache(_attention(found, variant, "offset"), variant) if cache else _attention(found, variant)
    return found


def _with_cache(plain: Signature, variant: Options) -> Signature:
    """With earlier keys and values in front of those given; the last query then stands at the last key."""
    before, sizes = list(plain.before), plain.before.index("n, d = q.shape[-2:]")
    mask = next(at for at, line in enumerate(before) if line.startswith("allow, bias = _mask("))
    placed = "m - n" if variant.get("causal_alignment") == "bottom_right" else "m - n if past_k is not None else 0"
    before[mask : mask + 1] = [f"offset = {placed}", before[mask].replace(", work)", ", work, offset)")]
    before[sizes:sizes] = JOINED
    shapes = list(plain.shapes)
    shapes[-1] += "; with past_k (..., l, d) and past_v (..., l, e) before k and v: (result, all keys, all values)"
    helpers = (plain.helpers[0].replace("shape, work)", "shape, work, offset)"), *plain.helpers[1:])
    return replace(
        plain, call=f"{plain.call}, past_k=None, past_v=None", before=tuple(before), helpers=helpers, shapes=tuple(shapes), cache=True,
    )


def _gated(plain: Signature) -> Signature:
    """With the map to the gates after b1, of the shape of w1."""
    at = plain.arrays.index("b1") + 1
    before = tuple(line.replace('("b1", b1,', '("w_gate", w_gate, (d, h)), ("b1", b1,') for line in plain.before)
    shapes = [part.replace("b1 (h,)", "b1 (h,), w_gate (d, h)") for part in plain.shapes]
    return replace(
        plain, call=plain.call.replace("b1, w2", "b1, w_gate, w2"), arrays=(*plain.arrays[:at], "w_gate", *plain.arrays[at:]),
        shapes=tuple(shapes), before=before, unbatched=plain.unbatched | {"w_gate"},
    )


def _attention(plain: Signature, variant: Options, offset: str = "") -> Signature:
    """The lines of a variant; ``offset`` is the name of the number of keys before the first query, where it is known only then."""
    grouped, sinks = bool(variant.get("grouped_query")), bool(variant.get("sinks"))
    made = replace(plain, helpers=(_mask(variant, offset), *((SLOPES,) if variant.get("alibi") else ())))
    before, count = list(made.before), "heads * group" if grouped else "heads"
    if grouped or sinks or variant.get("alibi"):
        before = [*_heads(grouped), *before[before.index("n, d = q.shape[-2:]") :]]
        before[before.index(ATTENTION_LINE)] = f"allow, bias = _mask(causal, mask, (*lead, {count}, n, m), work)"
        before = [line.replace("shape[:-2]", "shape[:-3]") for line in before]
        widened = f"{{np}}.broadcast_to(part, (*part.shape[:-3], {count}, n, m))"
        before.append(f"allow, bias = (part if part is None else {widened} for part in (allow, bias))")
        shapes = [part.replace("..., n", "..., heads, n").replace("..., m", "..., heads, m") for part in plain.shapes]
        if grouped:
            shapes[0] = shapes[0].replace("heads", "heads * group")
            shapes[-2:] = [part.replace("heads", "heads * group") for part in shapes[-2:]]
            made = replace(made, result="({out}).reshape((*lead, heads * group, n, v.shape[-1]))")
        made = replace(made, shapes=tuple(shapes))
    if sinks:
        before.insert(before.index("n, d = q.shape[-2:]"), f"if sinks.shape != ({count},):")
        before.insert(
            before.index("n, d = q.shape[-2:]"),
            f'    raise ValueError(f"{{NAME}}: sinks has shape {{{{sinks.shape}}}}; expected ({{{{{count}}}}},), one for each query head")',
        )
        made = replace(
            made, call=made.call.replace("v, *", "v, sinks, *"), arrays=(*made.arrays, "sinks"), unbatched=frozenset({"sinks"}),
            shapes=(*made.shapes[:3], f"sinks ({count},)", *made.shapes[3:]),
        )
    masked = variant.get("fully_masked", "zeros")
    if masked == "mean":
        place = next(at for at, line in enumerate(before) if line.startswith("allow, bias = _mask(")) + 1
        before.insert(place, "allow = ({np}.ones((n, m), dtype=bool) if allow is None else allow).astype(work)")
    elif masked == "nan":
        before.append("seen = ({np}.asarray(True) if allow is None else {np}.sum(allow, axis=-1)[..., None] > 0) & (m > 0)")
        made = replace(made, result=f"{{np}}.where(seen, {made.result}, math.nan)")
    if variant.get("rotary"):
        before += [
            "if d % 2:",
            '    raise ValueError(f"{NAME}: q and k have width {{d}}; expected an even width, channels turn in pairs")',
            f"h, base, past = d // 2, 10000.0, {'float(m - n) if past_k is not None else 0.0' if offset else '0.0'}",
        ]
    if variant.get("softcap") is not None:
        before.append(f"cap = {variant['softcap']!r}")
    if variant.get("alibi"):
        before += _alibi(variant, count, offset)
    given = {name for name, option in (("allow", "window"), ("bias", "alibi")) if variant.get(option)}
    given |= {"allow"} if masked == "mean" else set()
    return replace(made, before=tuple(before), optional=made.optional - given)


def _mask(variant: Options, name: str) -> str:
    """The helper for masks, with the alignment and the window of the variant."""
    offset = name or OFFSET[str(variant.get("causal_alignment", "top_left"))]
    made = MASK.replace("PHASE", "attention")
    if offset != "0":
        seen = "causal: query i sees the first offset + i + 1 keys" if name else "causal: the last query sees the last key"
        made = made.replace("causal is top left", seen)
        made = made.replace("shape[-1], dtype", f"shape[-1], {offset}, dtype")
    if variant.get("window") is not None:
        width = variant["window"]
        near, far = (f"{{np}}.tri(shape[-2], shape[-1], {at}, dtype=bool)" for at in (offset, f"{offset} - {width}"))
        lines = f"    near = {near} & ~{far}\n    allow = near if allow is None else allow & near\n"
        made = made.replace("    return allow, bias", f"{lines}    return allow, bias")
    return made


def _heads(grouped: bool) -> list[str]:
    """Checks and sizes where heads are an axis of the definition."""
    lines = [*axes_checked("q", "heads, n, d", 3), *axes_checked("k", "heads, m, d", 3), *axes_checked("v", "heads, m, e", 3)]
    lines += [
        "if q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:",
        '    raise ValueError(f"{NAME}: q {{q.shape}}, k {{k.shape}}, v {{v.shape}}; expected (..., n, d), (..., m, d), (..., m, e)")',
        "heads = k.shape[-3]",
    ]
    fits = "q.shape[-3] % heads if heads else q.shape[-3]" if grouped else "q.shape[-3] != heads"
    meant = "a multiple of as many key and value heads" if grouped else "as many"
    lines += [
        f"if v.shape[-3] != heads or ({fits}):",
        f'    raise ValueError(f"{{NAME}}: heads (axis -3) of q {{{{q.shape}}}}, k {{{{k.shape}}}}, v {{{{v.shape}}}}; expected {meant}")',
    ]
    return [*lines, "group = q.shape[-3] // heads if heads else 1"] if grouped else lines


def _alibi(variant: Options, count: str, offset: str) -> list[str]:
    """Lines that add slope·(key − query) to the bias, for each head of axis −3."""
    aligned = "" if variant.get("causal_alignment", "top_left") == "top_left" else " + (m - n)"
    at = f" + {offset}" if offset else aligned
    lines = [
        f"distance = {{np}}.arange(m, dtype={{np}}.float64) - ({{np}}.arange(n, dtype={{np}}.float64){at})[:, None]",
        f"alibi = (_slopes({count})[:, None, None] * distance).astype(work)",
    ]
    return [*lines, "bias = alibi if bias is None else bias + alibi"]


def names_of(phase: str, variant: Mapping[str, object]) -> tuple[list[str], set[str]]:
    """The names of the positional arguments and of the keywords of a call."""
    positional, _, keywords = signature(phase, variant).call.partition(", *")
    return [name.strip() for name in positional.split(",")], {part.split("=")[0].strip() for part in keywords.split(",")}
