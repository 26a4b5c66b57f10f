"""The schedule of attention's gradient: tiles of scores, passed over twice, heads on threads.

What it does: puts the text of :mod:`attention_gradient_text` into the kernel of a gradient of attention, for variants of the options in
:data:`KNOWN`. With rotary positions queries and keys are turned before the tiles and their gradients turned back behind them. Guarantees:
an option that is not known here has no plan and is printed whole; what a variant does to the scores is read off its options, masks are
those of the forward kernel. Cannot see: speed.
"""

from __future__ import annotations

from dataclasses import replace

from kernelproof.numeric.gradient_forms import GradientProgram
from kernelproof.numeric.schedules import threads
from kernelproof.numeric.schedules.attention_gradient_text import CONSTANTS, helpers
from kernelproof.numeric.schedules.attention_signature import tiled
from kernelproof.numeric.schedules.plan import Plan
from kernelproof.numeric.signatures import Signature
from kernelproof.symbolic.phase import Gradient, Options

#: options that the text or its lines have a form for
KNOWN = frozenset({"causal_alignment", "fully_masked", "grouped_query", "window", "alibi", "softcap", "sinks", "rotary"})
#: heads of queries that share keys and values as an axis of their own
GROUPED = (
    "queries, grad = (part.reshape((*part.shape[:-3], heads, group, n, part.shape[-1])) for part in (q, grad_out))",
    "allow, bias = (part if part is None else part.reshape((*part.shape[:-3], heads, group, n, m)) for part in (allow, bias))",
)
ALONE = (
    "queries, grad = (np.expand_dims(part, -3) for part in (q, grad_out))",
    "allow, bias = (part if part is None else np.expand_dims(part, -3) for part in (allow, bias))",
)
JOINED = "d_q = d_q.reshape((*d_q.shape[:-4], heads * group, n, d))"
FINISH = (
    "def finish(tile, slopes):", '    """Scores from the scaled products of a tile, in place, and how they move with these."""',
    "    np.divide(tile, cap or math.inf, out=tile)", "    np.tanh(tile, out=tile)", "    np.square(tile, out=slopes)",
    "    np.subtract(1.0, slopes, out=slopes)", "    np.multiply(tile, cap, out=tile)", "",
)
#: where the channels of pairs are, by layout
PAIRS = {"halves": (":part.shape[-1] // 2", "part.shape[-1] // 2:"), "interleaved": ("0::2", "1::2")}
TURNED = '''
def _turned(part, sine, cosine):
    """Pairs of channels turned by the angles of their rows; with -sine turned back."""
    turned, one, other = np.empty(part.shape, dtype=part.dtype), part[..., FIRST], part[..., SECOND]
    turned[..., FIRST] = one * cosine - other * sine
    turned[..., SECOND] = one * sine + other * cosine
    return turned
'''
TABLES = (
    "frequencies = np.exp(-(np.arange(h, dtype=np.float64) / (h or math.inf)) * math.log(base))",
    "angles = [at[:, None] * frequencies for at in (past + np.arange(n, dtype=np.float64), np.arange(m, dtype=np.float64))]",
    "(sine_q, sine_k), (cosine_q, cosine_k) = ([turn(angle).astype(work) for angle in angles] for turn in (np.sin, np.cos))",
    "q, k = _turned(q, sine_q, cosine_q), _turned(k, sine_k, cosine_k)",
)
TURNED_BACK = "d_q, d_k = _turned(d_q, -sine_q, cosine_q), _turned(d_k, -sine_k, cosine_k)"


def attention_gradient(found: Gradient, made: GradientProgram, signature: Signature) -> Plan | None:
    """The plan of a gradient kernel of attention, or None for an option that is not known here."""
    variant = found.variant
    if found.phase != "attention" or any(name not in KNOWN and value for name, value in variant.items()):
        return None
    needs = needs_of(variant)
    return Plan(
        _lines(variant, needs),
        imports=(*threads.IMPORTS, threads.OPTIONAL_IMPORT),
        constants=(*CONSTANTS, *threads.CONSTANTS),
        helpers=(*helpers(needs, str(variant["window"]) if "window" in needs else ""), *turning(variant), threads.HELPER),
        licences=licences_of(variant, needs),
        signature=own_axes(tiled(f"{found.phase}_vjp", variant, signature)),
    )


def needs_of(variant: Options) -> frozenset[str]:
    """What the text must have."""
    wanted = {
        "window": variant.get("window") is not None, "alibi": bool(variant.get("alibi")), "sink": bool(variant.get("sinks")),
        "steps": variant.get("softcap") is not None, "mean": variant.get("fully_masked") == "mean",
    }
    needs = frozenset(name for name, needed in wanted.items() if needed)
    return needs if needs & {"alibi", "steps"} else needs | {"exp2"}


def licences_of(variant: Options, needs: frozenset[str]) -> tuple[str, ...]:
    """The theorems that the text rests on."""
    named = {
        "exp2": "attention.power_of_two", "window": "attention.outside_window", "sink": "attention.sinks",
        "mean": "attention.vjp_fully_masked",
    }
    own = tuple(theorem for need, theorem in named.items() if need in needs)
    return ("attention.recomputed_weights", "attention.masked_weight", *own, *(("attention.rotary",) if variant.get("rotary") else ()))


def ahead(variant: Options) -> str:
    """How far a query sees: up to the key at its own place, or all keys."""
    own = _offset(variant)
    return own if variant.get("window") is not None else f"{own} if causal else m"


def _offset(variant: Options) -> str:
    """The number of keys before the first query."""
    return "m - n" if variant.get("causal_alignment") == "bottom_right" else "0"


def _lines(variant: Options, needs: frozenset[str]) -> tuple[str, ...]:
    """From the inputs to their gradients."""
    grouped, rotary = bool(variant.get("grouped_query")), bool(variant.get("rotary"))
    members, heads = ("heads, group", "heads * group") if grouped else ("heads, 1", "heads")
    more, results = list[str](), ["d_q", "d_k", "d_v"]
    if "sink" in needs:
        more.append(f"sinks.reshape(({members}))")
        results.append("d_sinks")
    if "steps" in needs:
        more.append("finish")
    if "alibi" in needs:
        more += [f"slopes.reshape(({members}))", _offset(variant)]
    return (
        *(TABLES if rotary else ()), *(GROUPED if grouped else ALONE), *(FINISH if "steps" in needs else ()),
        f"ahead = {ahead(variant)}  # query i sees keys j <= i + ahead",
        f"{', '.join(results)} = _attend_vjp({', '.join(['queries, k, v, grad, scale, allow, bias, ahead', *more])})",
        JOINED if grouped else "d_q = d_q[..., 0, :, :]", *((TURNED_BACK,) if rotary else ()),
        *((f"d_sinks = np.sum(d_sinks.reshape((math.prod(lead), {heads})), axis=0)",) if "sink" in needs else ()),
    )


def turning(variant: Options) -> tuple[str, ...]:
    """The function that turns pairs, with its places."""
    if not variant.get("rotary"):
        return ()
    first, second = PAIRS[str(variant["rotary"])]
    return (TURNED.replace("FIRST", first).replace("SECOND", second),)


def own_axes(given: Signature) -> Signature:
    """Without the lines that make the leading axes one: tiles go through them as they are."""
    joined = [at for at, line in enumerate(given.before) if line == "leading = math.prod(lead)"]
    if not joined:
        return given
    (at,) = joined
    shapes, *rest = given.before[at + 1 :]
    if not shapes.startswith("q_shape, k_shape, v_shape = ") or len(rest) != 3:
        raise ValueError(f"tiling attention_vjp: {given.before[at:]!r} are no lines that join leading axes as known here")
    helpers = tuple(text for text in given.helpers if "def _led(" not in text)
    return replace(given, before=(*given.before[:at], shapes), helpers=helpers)
