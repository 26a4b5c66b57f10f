"""The signatures of the contract as data: one row a phase, with the axes of its tensors, its options and its output.

Sizes have the names that the definitions in ``symbolic/phases`` give them: n, m, d, e, h, f, heads, vocab.
Variants that change a signature (gated, sinks, grouped heads, halves) change the row; all others leave it alone.
``PHASE.vjp`` names the gradient of a phase: its row is that of the phase with ``grad_out``, of the shape of the result, as last argument.

Cannot see: what a phase computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from kernelproof.symbolic.errors import InputError

#: what a tensor is used for, which decides how large its entries may be
ROLES = ("logit", "score", "value", "weight", "affine", "ids")


#: the last argument of a gradient kernel
GRAD_OUT = "grad_out"
_VJP = ".vjp"


@dataclass(frozen=True)
class Tensor:
    """``axes`` are names of sizes, ``...`` all leading axes; ``below`` names the size that bounds integer entries."""

    name: str
    axes: tuple[str, ...]
    role: str = "value"
    below: str = ""


@dataclass(frozen=True)
class PhaseShape:
    """One row of the contract."""

    phase: str
    signature: str
    tensors: tuple[Tensor, ...]
    output: tuple[str, ...]
    #: keyword options that a target may lack
    options: tuple[str, ...] = ()
    #: options that are the length of an axis; ``positional`` names those that are passed by position
    size_options: tuple[tuple[str, str], ...] = ()
    positional: tuple[str, ...] = ()
    #: the tensors that are passed as one mapping
    packed: tuple[str, tuple[str, ...]] | None = None
    #: sizes that are products of drawn sizes or numbers
    derived: tuple[tuple[str, tuple[str | int, ...]], ...] = ()
    #: axes over which a reduction needs an element; length 0 needs the capability ``empty``
    reduced: frozenset[str] = frozenset()
    #: token axes that the contract counts among the leading ones
    lead: tuple[str, ...] = ()
    #: queries and keys of a mask
    score_axes: tuple[str, str] = ("n", "n")
    #: of a gradient kernel: the inputs that it gives a gradient of, in order; none for the phase itself
    gradients: tuple[str, ...] = ()

    def tensor(self, name: str) -> Tensor:
        """The tensor of that name."""
        return next(tensor for tensor in self.tensors if tensor.name == name)

    @property
    def arguments(self) -> tuple[str, ...]:
        """The positional arguments in the contract's order; the packed mapping is one of them."""
        inside = self.packed[1] if self.packed else ()
        last = (GRAD_OUT,) if self.gradients else ()
        free = tuple(tensor.name for tensor in self.tensors if tensor.name not in (*inside, *last))
        return (*self.positional, *free, *((self.packed[0],) if self.packed else ()), *last)

    @property
    def batched_mask(self) -> bool:
        """Whether a mask may have the leading axes: not where heads stand between them and the scores."""
        return self.output == ("...", "n", "e")

    @property
    def head_axes(self) -> tuple[str, ...]:
        """The axis of heads before the scores, where there is one; a mask may have it too."""
        return self.output[1:-2] if self.score_axes == ("n", "m") else ()

    @property
    def required(self) -> tuple[str, ...]:
        """Keyword arguments that every target must take."""
        return tuple(name for name, _ in self.size_options if name not in self.positional)

    @property
    def sizes(self) -> tuple[str, ...]:
        """The sizes to draw, in order of appearance."""
        derived = dict(self.derived)
        named = [axis for tensor in self.tensors for axis in (*tensor.axes, tensor.below) if axis not in ("...", "")]
        named += [*self.lead, *(size for _, size in self.size_options)]
        drawn = [part for size in named for part in derived.get(size, (size,)) if isinstance(part, str)]
        return tuple(dict.fromkeys(drawn))


def _tensors(rows: str) -> tuple[Tensor, ...]:
    """``name role axis axis…`` a line."""
    parts = [line.split() for line in rows.strip().splitlines()]
    return tuple(Tensor(name, tuple(axes), role) for name, role, *axes in parts)


_FFN = _tensors(
    """
    w1 weight d h
    b1 affine h
    w2 weight h d
    b2 affine d
    """
)
_PROJECTIONS = _tensors(
    """
    w_q weight d d
    w_k weight d d
    w_v weight d d
    w_o weight d d
    """
)
_NORMS = _tensors(
    """
    gain1 affine d
    bias1 affine d
    gain2 affine d
    bias2 affine d
    """
)
_HEADS = (("d", ("heads", "f")),)

_ROWS = {
    row.phase: row
    for row in (
        PhaseShape(
            "embedding",
            "f(ids, table)",
            (Tensor("ids", ("...",), "ids", below="vocab"), Tensor("table", ("vocab", "d"))),
            ("...", "d"),
            lead=("n",),
            reduced=frozenset({"vocab"}),
        ),
        PhaseShape(
            "positional",
            "f(n_positions, d_model, *, base=10000.0, start=0)",
            (),
            ("n", "d"),
            options=("base", "start"),
            size_options=(("n_positions", "n"), ("d_model", "d")),
            positional=("n_positions", "d_model"),
            reduced=frozenset({"d"}),
        ),
        PhaseShape("softmax", "f(x)", _tensors("x logit ... n"), ("...", "n"), reduced=frozenset({"n"})),
        PhaseShape(
            "attention",
            "f(q, k, v, *, causal=False, mask=None, scale=None)",
            _tensors("q score ... n d\nk score ... m d\nv value ... m e"),
            ("...", "n", "e"),
            options=("causal", "mask", "scale"),
            reduced=frozenset({"m", "d"}),
            score_axes=("n", "m"),
        ),
        PhaseShape(
            "multi_head_attention",
            "f(x, w_q, w_k, w_v, w_o, *, n_heads, causal=False, mask=None)",
            (*_tensors("x value ... n d"), *_PROJECTIONS),
            ("...", "n", "d"),
            options=("causal", "mask"),
            size_options=(("n_heads", "heads"),),
            derived=_HEADS,
            reduced=frozenset({"n", "f"}),
        ),
        PhaseShape(
            "feed_forward",
            "f(x, w1, b1, w2, b2)",
            (*_tensors("x value ... d"), *_FFN),
            ("...", "d"),
            lead=("n",),
            reduced=frozenset({"d", "h"}),
        ),
        PhaseShape(
            "layer_norm",
            "f(x, gain, bias, *, eps=1e-5)",
            _tensors("x value ... d\ngain affine d\nbias affine d"),
            ("...", "d"),
            options=("eps",),
            lead=("n",),
            reduced=frozenset({"d"}),
        ),
        PhaseShape(
            "rms_norm",
            "f(x, gain, *, eps=1e-5)",
            _tensors("x value ... d\ngain affine d"),
            ("...", "d"),
            options=("eps",),
            lead=("n",),
            reduced=frozenset({"d"}),
        ),
        PhaseShape("activation", "f(x)", _tensors("x value ..."), ("...",), lead=("n",)),
        PhaseShape(
            "rotary",
            "f(x, *, base=10000.0, start=0)",
            _tensors("x value ... n d"),
            ("...", "n", "d"),
            options=("base", "start"),
            derived=(("d", ("h", 2)),),
            reduced=frozenset({"h"}),
        ),
        PhaseShape(
            "encoder_block",
            "f(x, params, *, n_heads, causal=False, mask=None)",
            (*_tensors("x value ... n d"), *_PROJECTIONS, *_FFN, *_NORMS),
            ("...", "n", "d"),
            options=("causal", "mask"),
            size_options=(("n_heads", "heads"),),
            packed=("params", tuple(tensor.name for tensor in (*_PROJECTIONS, *_FFN, *_NORMS))),
            derived=_HEADS,
            reduced=frozenset({"n", "f", "h"}),
        ),
    )
}
PHASES = tuple(_ROWS)


def vjp_of(phase: str) -> str:
    """The name under which the gradient of a phase has its row and its properties."""
    return f"{phase}{_VJP}"


def is_vjp(phase: str) -> bool:
    """Whether a name is that of a gradient."""
    return phase.endswith(_VJP)


def forward_of(phase: str) -> str:
    """The phase that a name or the name of its gradient speaks of."""
    return phase.removesuffix(_VJP)


def phase_shape(phase: str, variant: Mapping[str, object] | None = None) -> PhaseShape:
    """The row of a phase, or of its gradient, under a variant, or an :class:`InputError` that lists the phases."""
    if is_vjp(phase):
        return _gradient(phase_shape(forward_of(phase), variant))
    if phase not in _ROWS:
        raise InputError(f"looking up the phase {phase!r}: not known; choose one of {', '.join(PHASES)}")
    row, chosen = _ROWS[phase], variant or {}
    if phase == "feed_forward" and chosen.get("gated"):
        x, w1, b1, w2, b2 = row.tensors
        tensors = (x, w1, b1, Tensor("w_gate", ("d", "h"), "weight"), w2, b2)
        row = replace(row, tensors=tensors, signature="f(x, w1, b1, w_gate, w2, b2)")
    if phase == "encoder_block" and chosen.get("gated"):
        at = row.tensors.index(row.tensor("b1")) + 1
        gated = (*row.tensors[:at], Tensor("w_gate", ("d", "h"), "weight"), *row.tensors[at:])
        row = replace(row, tensors=gated, packed=("params", tuple(tensor.name for tensor in gated if tensor.name != "x")))
    if phase == "positional" and chosen.get("layout") == "halves":
        row = replace(row, derived=(("d", ("h", 2)),), reduced=frozenset({"h"}))
    if phase == "attention":
        row = _attention(row, chosen)
    return row


def _attention(row: PhaseShape, variant: Mapping[str, object]) -> PhaseShape:
    grouped, sinks = bool(variant.get("grouped_query")), bool(variant.get("sinks"))
    if variant.get("rotary"):
        row = replace(row, derived=(("d", ("h", 2)),), reduced=frozenset({"m", "h"}))
    if not grouped and not sinks and not variant.get("alibi"):
        return row
    # heads become an axis of their own; a group of query heads shares one head of k and v
    query = ("query_heads",) if grouped else ("heads",)
    q, k, v = (
        replace(tensor, axes=("...", *(query if tensor.name == "q" else ("heads",)), *tensor.axes[1:]))
        for tensor in row.tensors
    )
    tensors = (q, k, v, Tensor("sinks", query, "affine")) if sinks else (q, k, v)
    return replace(
        row,
        tensors=tensors,
        output=("...", *query, "n", "e"),
        signature=row.signature.replace("v, *", "v, sinks, *") if sinks else row.signature,
        derived=(*row.derived, *((("query_heads", ("heads", "group")),) if grouped else ())),
    )


def _gradient(row: PhaseShape) -> PhaseShape:
    """The row of a phase's gradient kernel."""
    inputs = tuple(tensor.name for tensor in row.tensors if not tensor.below)
    if not inputs:
        raise InputError(f"gradient of {row.phase}: it has no differentiable input; leave --vjp out")
    before, star, after = row.signature.removesuffix(")").partition(", *")
    return replace(
        row,
        phase=vjp_of(row.phase),
        signature=f"{before}, {GRAD_OUT}{star}{after})",
        tensors=(*row.tensors, Tensor(GRAD_OUT, row.output)),
        gradients=inputs,
    )
