"""Gradient of multi-head attention, through its heads.

``dA[h, i, g] = Σ_c G[i, c]·w_o[h·f+g, c]`` is the gradient of a head's result; attention's own gradient gives dq, dk, dv of each head;
``dx[i, a] = Σ_h Σ_g dq·w_q[a, h·f+g] + dk·w_k[a, h·f+g] + dv·w_v[a, h·f+g]``, ``dw_q[a, h·f+g] = Σ_i x[i, a]·dq[h, i, g]`` and likewise for
k and v, ``dw_o[h·f+g, c] = Σ_i A[h, i, g]·G[i, c]``. The gradients of the weights are given with the column as the pair (h, g).
"""

from __future__ import annotations

from functools import cache

from kernelproof.symbolic.binding import substitute
from kernelproof.symbolic.core.definitions import define
from kernelproof.symbolic.core.logic import assumption, generalisation, instantiation, replacement, specialisation, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.formulas import Every, Formula, every, positive
from kernelproof.symbolic.functions import Clause, Definition, Parameter
from kernelproof.symbolic.gradients import attention as inner
from kernelproof.symbolic.phase import Extra, Gradient, Options, Statement
from kernelproof.symbolic.phases import attention
from kernelproof.symbolic.phases.multi_head_attention import DEFINITION, HEAD, UNFOLD, D, a, c, f, g, hd, heads, i, n, projected
from kernelproof.symbolic.tactics.calculus import Ranges, T, curve, differentiate, slope_of
from kernelproof.symbolic.tactics.collect import by_sums
from kernelproof.symbolic.tactics.gradients import contracted, moved, straight, valued
from kernelproof.symbolic.tactics.naming import with_names
from kernelproof.symbolic.tactics.rewriting import Line, discharged, everywhere, first, in_order, rewriting, then, unfold
from kernelproof.symbolic.terms import ZERO, Entry, Lambda, Term, TermLike, sqrt, total

X_AXES, OUT_AXES = ((i, n), (a, D)), ((i, n), (c, D))
WEIGHT_AXES = ((a, D), (c, D))
#: curve, derivative, input, direction, axes
MOVING = (
    ("X", "U", "x", "u_x", X_AXES), ("Wq", "Uq", "w_q", "u_q", WEIGHT_AXES), ("Wk", "Uk", "w_k", "u_k", WEIGHT_AXES),
    ("Wv", "Uv", "w_v", "u_v", WEIGHT_AXES), ("Wo", "Uo", "w_o", "u_o", WEIGHT_AXES),
)
CURVES = tuple(curve(tensor, slope, axes) for tensor, slope, _, _, axes in MOVING)
STRAIGHT = {tensor: (slope, plain, direction, axes) for tensor, slope, plain, direction, axes in MOVING}
_WITH_G = (*DEFINITION.parameters, Parameter("grad", (n, D), meaning="gradient of the result"))
ROW = hd * f + g


def _stage(name: str, axes: Ranges, body: Term, meaning: str) -> Definition:
    pattern = tuple(var for var, _ in axes)
    return define(Definition(f"multi_head_attention_{name}", _WITH_G, (Clause(pattern, axes, body),), meaning=meaning))


PER_HEAD = ((hd, heads), (i, n), (g, f))
DA = _stage("da", PER_HEAD, total(c, D, Entry("grad", i, c) * Entry("w_o", ROW, c)), "gradient of a head's result")


def of_head(stage: Definition) -> Term:
    """A gradient of attention in a head, at i, g."""
    given: dict[str, Lambda | Term] = {
        "m": n, "d": f, "e": f, "q": projected("w_q"), "k": projected("w_k"), "v": projected("w_v"), "scale": 1 / sqrt(f),
        "g": Lambda((i, g), DA.call({}, hd, i, g)),
    }
    return stage.call(given, i, g)


DQ, DK, DV = (
    _stage(name, PER_HEAD, of_head(stage), f"gradient of a head's {what}")
    for name, stage, what in (("dq", inner.DQ, "queries"), ("dk", inner.DK, "keys"), ("dv", inner.DV, "values"))
)
_TO_WEIGHTS = ((DQ, "w_q"), (DK, "w_k"), (DV, "w_v"))


def _back(stage: Definition, weights: str) -> Term:
    return stage.call({}, hd, i, g) * Entry(weights, a, ROW)


DX = _stage(
    "dx", X_AXES, total(hd, heads, total(g, f, _back(DQ, "w_q") + _back(DK, "w_k") + _back(DV, "w_v"))), "gradient of the tokens"
)
COLUMN = ((a, D), (hd, heads), (g, f))
DWQ, DWK, DWV = (
    _stage(f"d{weights}", COLUMN, total(i, n, Entry("x", i, a) * stage.call({}, hd, i, g)), f"gradient of {weights}, column h·f+g")
    for stage, weights in _TO_WEIGHTS
)
DWO = _stage(
    "dw_o", ((hd, heads), (g, f), (c, D)), total(i, n, HEAD * Entry("grad", i, c)), "gradient of w_o, row h·f+g"
)
STAGES = (DA, DQ, DK, DV, DX, DWQ, DWK, DWV, DWO)
RESULTS_BUT_LAST = in_order(*(everywhere(unfold(stage.name)) for stage in (DX, DWQ, DWK, DWV)))


def along(at: TermLike) -> dict[str, Lambda | Term]:
    """Tokens and weights of the curves at a time."""
    return {
        plain: Lambda(tuple(var for var, _ in axes), Entry(tensor, at, *(var for var, _ in axes))) for tensor, _, plain, _, axes in MOVING
    }


def there(value: Term, at: TermLike) -> Term:
    """A term with the inputs replaced by their curves at a time."""
    return substitute(value, {}, {name: given for name, given in along(at).items() if isinstance(given, Lambda)})


def start(definition: Definition, *indices: Term) -> Term:
    """A stage at the start of the curves."""
    return definition.call(along(ZERO), *indices)


def _projection_slope(weights: str) -> Theorem:
    """How q, k or v of a head moves: d/dt Σ_a X[t, i, a]·W[t, a, h·f+g]."""
    body = there(projected(weights).body, T)
    return differentiate(Lambda((T,), body), 0, *CURVES, over=((i, n), (g, f), (hd, heads)))


@cache
def _in_head(theorem: Theorem, weighted: bool) -> Theorem:
    """A theorem about attention along curves, for the curves of a head."""
    values = {attention.m: n, attention.d: f, attention.e: f, attention.scale: 1 / sqrt(f), **({} if weighted else {attention.f: g})}
    here = instantiation((theorem,), values, {"g": Lambda((i, g), start(DA, hd, i, g))} if weighted else {})
    axes = ((i, n), (g, f))
    turned = moved(
        here,
        {
            "Q": ("U", axes, _projection_slope("w_q")), "K": ("W", axes, _projection_slope("w_k")),
            "V": ("Z", axes, _projection_slope("w_v")),
        },
    )
    turned = with_names(turned, {attention.f: g})
    divisors = [_divisor(formula) for formula in turned.hypotheses]
    return discharged(turned, *(_some_key(divisor) for divisor in divisors if divisor is not None))


def _divisor(formula: Formula) -> Term | None:
    """What a hypothesis says is positive in every row."""
    return formula.body.terms[0] if isinstance(formula, Every) and formula.body.name == "positive" else None


def _some_key(divisor: Term) -> Theorem:
    """∀ i: the divisor of head h is positive, from the same for all heads."""
    claim = assumption((), every(((hd, heads), (i, n)), positive(divisor)))
    return generalisation((specialisation((claim,), (hd, i)),), ((i, n),))


@cache
def head_slope() -> Theorem:
    """d/dt of a head's result at i, g."""
    return _in_head(inner.slope(), False)


@cache
def slope() -> Theorem:
    """d/dt MHA[i, c] = Σ_h Σ_g A′·w_o + A·w_o′."""
    opened = UNFOLD(DEFINITION.call(along(T), i, c))
    plain = differentiate(Lambda((T,), opened.right), 0, *CURVES, head_slope(), over=(*OUT_AXES, (hd, heads), (g, f)))
    return replacement((plain, symmetry((opened,))), (0, 0))


@cache
def lines_along_curves() -> tuple[Theorem, ...]:
    """The derivative of Σ G·MHA; through the heads' results; through their q, k, v; what multiplies each direction."""
    loss = contracted(Lambda((i, c), Entry("grad", i, c)), OUT_AXES, slope())
    last = total(hd, heads, total(g, f, total(c, D, Entry("Uo", ROW, c) * start(DWO, hd, g, c))))
    heads_moved = total(i, n, total(g, f, start(DA, hd, i, g) * slope_of(head_slope())))
    through_heads = total(hd, heads, heads_moved) + last
    opened = in_order(everywhere(unfold(DA.name)), everywhere(unfold(DWO.name)))
    shown = opened(through_heads)
    first_line = then(by_sums(slope_of(loss), shown.right), symmetry((shown,)))
    in_head = _in_head(inner.adjoint(), True)
    second_line = first(rewriting(in_head))(through_heads)
    target = _directions(last)
    wanted = in_order(RESULTS_BUT_LAST, *(everywhere(unfold(stage.name)) for stage in (DQ, DK, DV)))(target)
    third_line = then(by_sums(second_line.right, wanted.right), symmetry((wanted,)))
    return loss, first_line, second_line, third_line


def _directions(last: Term) -> Term:
    """Σ direction·gradient over all inputs."""
    value: Term = total(i, n, total(a, D, Entry("U", i, a) * start(DX, i, a)))
    for moving, stage in (("Uq", DWQ), ("Uk", DWK), ("Uv", DWV)):
        value = value + total(a, D, total(hd, heads, total(g, f, Entry(moving, a, ROW) * start(stage, a, hd, g))))
    return value + last


@cache
def along_curves() -> Theorem:
    """In every head every row has a key ⊢ d/dt Σ G·MHA = Σ direction·gradient."""
    loss, *others = lines_along_curves()
    return valued(loss, *others)


@cache
def adjoint() -> Theorem:
    """⊢ Σ G·MHA′ = Σ direction·gradient."""
    _, *others = lines_along_curves()
    return then(*others)


def build(variant: Options) -> Gradient:
    """Gradient of multi-head attention."""
    loss, *others = lines_along_curves()
    titles = (
        "collect what multiplies the change of each head's result", "in each head, attention's own gradient",
        "the projections are linear in the tokens and in the weights",
    )
    extras = (Extra("grad", "real", (n, D)), *(Extra(direction, "real", tuple(size for _, size in axes)) for *_, direction, axes in MOVING))
    return Gradient(
        phase="multi_head_attention",
        title="Gradient of multi-head attention",
        variant=dict(variant),
        definitions=(inner.JVP, *inner.STAGES, *STAGES),
        results={"x": DX.name, "w_q": DWQ.name, "w_k": DWK.name, "w_v": DWV.name, "w_o": DWO.name},
        lines=(
            Line("differentiate along straight lines of all inputs", straight(loss, STRAIGHT)),
            *(Line(title, straight(theorem, STRAIGHT)) for title, theorem in zip(titles, others, strict=True)),
        ),
        statements=(
            Statement(
                "multi_head_attention.vjp", "dx and the gradients of the weights pull the gradient of the result back",
                straight(along_curves(), STRAIGHT), (), extras,
            ),
        ),
        along_curves=along_curves(),
    )
