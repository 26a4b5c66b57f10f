"""How a kernel is called: for each phase of the contract its signature, and the lines between the user's arguments and the formal
parameters of the definition.

What it does: data. ``{np}`` stands for the array module. The conventions of the contract (causal alignment, masks, default scale,
flattening of batch axes) live here and nowhere else in the generated files; they are *not* derived, they are what the definition's
parameters are set to. Messages say what was being done, the value, and what was expected.
"""

from __future__ import annotations

from dataclasses import dataclass

MASK = '''
def _mask(causal, mask, shape, work):
    """A mask of scores of this shape as (allow, bias): True = may attend; a floating mask is added, -inf hides; causal is top left."""
    allow = bias = None
    if mask is not None:
        mask = {np}.asarray(mask)
        if mask.dtype.kind not in "bf" and mask.dtype.name != "bfloat16":
            raise TypeError(f"PHASE: mask of dtype {mask.dtype}; expected bool (True = may attend) or floating (added to the scores)")
        padded = (1,) * (len(shape) - mask.ndim) + mask.shape
        if len(padded) != len(shape) or any(have not in (1, want) for have, want in zip(padded, shape)):
            raise ValueError(f"PHASE: mask of shape {mask.shape}; expected one that broadcasts to the scores' shape {shape}")
        mask = mask.reshape(padded)
        if mask.dtype.kind == "b":
            allow = mask
        else:
            allow, least = ~{np}.isneginf(mask), {4: -3.0e38}.get(work.itemsize, -math.inf)  # a finite number stays one
            bias = {np}.where(allow, {np}.maximum(mask, least), 0).astype(work)
    if causal:
        lower = {np}.tri(shape[-2], shape[-1], dtype=bool)
        allow = lower if allow is None else allow & lower
    return allow, bias
'''


@dataclass(frozen=True)
class Signature:
    """The call of a kernel and what leads from it to the formal parameters.

    ``arrays`` are array arguments brought to the working type, ``before`` lines that run first (checks and sizes), ``after`` the
    lines that make the result ``out`` of shape and type promised. ``unbatched`` are arrays without leading batch axes. With ``cache``
    the call may bring earlier keys and values, and all of them are given back.
    """

    call: str
    arrays: tuple[str, ...]
    shapes: tuple[str, ...]
    before: tuple[str, ...]
    result: str = "{out}"
    after: tuple[str, ...] = ()
    unbatched: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    helpers: tuple[str, ...] = ()
    cache: bool = False


def axes_checked(array: str, axes: str, count: int) -> tuple[str, ...]:
    """Check that an array has at least so many axes."""
    return (
        f"if {array}.ndim < {count}:",
        f'    raise ValueError(f"{{NAME}}: {array} has shape {{{{{array}.shape}}}}; expected (..., {axes})")',
    )


def _exactly(**shapes: str) -> tuple[str, ...]:
    """Check that arrays without batch axes have these shapes, written in sizes that are known by then."""
    rows = ", ".join(f'("{name}", {name}, ({shape}))' for name, shape in shapes.items())
    return (
        f"for label, array, expected in ({rows}{',' if len(shapes) == 1 else ''}):",
        "    if array.shape != expected:",
        '        raise ValueError(f"{NAME}: {{label}} has shape {{array.shape}}; expected {{expected}}")',
    )


def _mask_of(phase: str, shape: str) -> tuple[tuple[str, ...], str]:
    """The helper for masks, with the name of the phase in its messages, and the line that calls it."""
    return (MASK.replace("PHASE", phase),), f"allow, bias = _mask(causal, mask, {shape}, work)"


HEADS = (
    "n, d = x.shape[-2:]",
    "heads = int(n_heads)",
    "if heads != n_heads or heads < 1 or d % heads:",
    '    raise ValueError(f"{NAME}: width {{d}} and n_heads={{n_heads}}; expected a whole number of heads that divides the width")',
    "f = d // heads",
)
BASE = (
    "base, start = float(base), float(start)",
    "if not 0 < base < math.inf or not math.isfinite(start):",
    '    raise ValueError(f"{NAME}: base {{base}} and start {{start}}; expected a positive number and a finite one")',
)
EPS = (
    "d, eps = x.shape[-1], float(eps)",
    "if not eps >= 0:",
    '    raise ValueError(f"{NAME}: eps {{eps}}; expected a number from 0 up")',
)
PARAMS = ("w_q", "w_k", "w_v", "w_o", "w1", "b1", "w2", "b2", "gain1", "bias1", "gain2", "bias2")
WEIGHTS = frozenset(PARAMS)
SQUARE = dict.fromkeys(("w_q", "w_k", "w_v", "w_o"), "d, d")
NARROWING = {"b1": "h,", "w2": "h, d", "b2": "d,"}
NORMS = dict.fromkeys(("gain1", "bias1", "gain2", "bias2"), "d,")
PARAMS_SHAPES = "w_q w_k w_v w_o (d, d), w1 (d, h), b1 (h,), w2 (h, d), b2 (d,), gain1 bias1 gain2 bias2 (d,)"
ATTENTION_MASK, ATTENTION_LINE = _mask_of("attention", "(*lead, n, m)")
HEADS_MASK, SELF_LINE = _mask_of("multi_head_attention", "(*x.shape[:-1], n)")
BLOCK_MASK, _ = _mask_of("encoder_block", "(*x.shape[:-1], n)")

SIGNATURES: dict[str, Signature] = {
    "embedding": Signature(
        call="ids, table",
        arrays=(),
        shapes=("ids integers (...)", "table (vocab, d)", "result (..., d), the dtype of table"),
        before=(
            "ids, table = {np}.asarray(ids), {np}.asarray(table)",
            'if ids.dtype.kind not in "iu":',
            '    raise TypeError(f"{NAME}: ids of dtype {{ids.dtype}}; expected integers")',
            "if table.ndim != 2:",
            '    raise ValueError(f"{NAME}: table has shape {{table.shape}}; expected (vocab, d)")',
            "if ids.size and (int(ids.min()) < 0 or int(ids.max()) >= table.shape[0]):",
            '    raise IndexError(f"{NAME}: ids from {{int(ids.min())}} to {{int(ids.max())}}; expected 0 <= id < {{table.shape[0]}}")',
            "ids = ids.astype({np}.int64, copy=False)",
        ),
        unbatched=frozenset({"table"}),
    ),
    "positional": Signature(
        call="n_positions, d_model, *, base=10000.0, start=0",
        arrays=(),
        shapes=("result (n_positions, d_model)",),
        before=(
            "n, d = int(n_positions), int(d_model)",
            "if n != n_positions or d != d_model or n < 0 or d < 0:",
            '    raise ValueError(f"{NAME}: {{n_positions}} positions of width {{d_model}}; expected whole numbers from 0 up")',
            *BASE,
            "sines, cosines = (d + 1) // 2, d // 2",
        ),
    ),
    "rotary": Signature(
        call="x, *, base=10000.0, start=0",
        arrays=("x",),
        shapes=("x (..., n, d), d even", "result (..., n, d)"),
        before=(
            *axes_checked("x", "n, d", 2),
            "n, d = x.shape[-2:]",
            "if d % 2:",
            '    raise ValueError(f"{NAME}: width {{d}}; expected an even width, channels turn in pairs")',
            "h = d // 2",
            *BASE,
        ),
    ),
    "softmax": Signature(
        call="x", arrays=("x",), shapes=("x (..., n)", "result (..., n)"), before=(*axes_checked("x", "n", 1), "n = x.shape[-1]"),
    ),
    "attention": Signature(
        call="q, k, v, *, causal=False, mask=None, scale=None",
        arrays=("q", "k", "v"),
        shapes=(
            "q (..., n, d)", "k (..., m, d)", "v (..., m, e)", "mask boolean or floating, broadcast to (..., n, m)", "result (..., n, e)",
        ),
        before=(
            *axes_checked("q", "n, d", 2), *axes_checked("k", "m, d", 2), *axes_checked("v", "m, e", 2),
            "if q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:",
            '    raise ValueError(f"{NAME}: q {{q.shape}}, k {{k.shape}}, v {{v.shape}}; expected (..., n, d), (..., m, d), (..., m, e)")',
            "n, d = q.shape[-2:]",
            "m = k.shape[-2]",
            "try:",
            "    lead = {np}.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])",
            "except ValueError:",
            '    message = f"{NAME}: q {{q.shape}}, k {{k.shape}}, v {{v.shape}}; expected leading axes that broadcast to one shape"',
            "    raise ValueError(message) from None",
            "scale = (1.0 / math.sqrt(d) if d else 1.0) if scale is None else float(scale)",
            ATTENTION_LINE,
        ),
        optional=frozenset({"allow", "bias"}),
        helpers=ATTENTION_MASK,
    ),
    "multi_head_attention": Signature(
        call="x, w_q, w_k, w_v, w_o, *, n_heads, causal=False, mask=None",
        arrays=("x", "w_q", "w_k", "w_v", "w_o"),
        shapes=("x (..., n, d)", "w_q, w_k, w_v, w_o (d, d), applied as x @ w", "mask broadcast to (..., n, n)", "result (..., n, d)"),
        before=(*axes_checked("x", "n, d", 2), *HEADS, *_exactly(**SQUARE), SELF_LINE),
        unbatched=WEIGHTS,
        optional=frozenset({"allow", "bias"}),
        helpers=HEADS_MASK,
    ),
    "feed_forward": Signature(
        call="x, w1, b1, w2, b2",
        arrays=("x", "w1", "b1", "w2", "b2"),
        shapes=("x (..., d)", "w1 (d, h)", "b1 (h,)", "w2 (h, d)", "b2 (d,)", "result (..., d)"),
        before=(
            *axes_checked("x", "d", 1),
            "if w1.ndim != 2 or x.shape[-1] != w1.shape[0]:",
            '    raise ValueError(f"{NAME}: x {{x.shape}}, w1 {{w1.shape}}; expected (..., d) and (d, h)")',
            "d, h = w1.shape",
            *_exactly(**NARROWING),
            "shape = x.shape",
            "x = x.reshape((-1, shape[-1])) if x.size else x.reshape((math.prod(shape[:-1]), shape[-1]))",
        ),
        result="({out}).reshape(shape)",
        unbatched=WEIGHTS,
    ),
    "activation": Signature(
        call="x", arrays=("x",), shapes=("x (...)", "result (...)"), before=("shape = x.shape", "x = x.reshape(-1)"),
        result="({out}).reshape(shape)",
    ),
    "layer_norm": Signature(
        call="x, gain, bias, *, eps=1e-5",
        arrays=("x", "gain", "bias"),
        shapes=("x (..., d)", "gain (d,)", "bias (d,)", "result (..., d)"),
        before=(*axes_checked("x", "d", 1), *EPS, *_exactly(gain="d,", bias="d,")),
        unbatched=frozenset({"gain", "bias"}),
    ),
    "rms_norm": Signature(
        call="x, gain, *, eps=1e-5",
        arrays=("x", "gain"),
        shapes=("x (..., d)", "gain (d,)", "result (..., d)"),
        before=(*axes_checked("x", "d", 1), *EPS, *_exactly(gain="d,")),
        unbatched=frozenset({"gain"}),
    ),
    "encoder_block": Signature(
        call="x, params, *, n_heads, causal=False, mask=None",
        arrays=("x", *PARAMS),
        shapes=(
            "x (..., n, d)", f"params: mapping with {PARAMS_SHAPES}", "mask broadcast to (..., n, n)", "result (..., n, d)",
        ),
        before=(
            *axes_checked("x", "n, d", 2), *HEADS, "eps = 1e-5", "h = w1.shape[-1] if w1.ndim else 0",
            *_exactly(**SQUARE, w1="d, h", **NARROWING, **NORMS), SELF_LINE,
        ),
        unbatched=WEIGHTS,
        optional=frozenset({"allow", "bias"}),
        helpers=BLOCK_MASK,
    ),
}
