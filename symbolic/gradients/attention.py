"""Gradient of attention, stage by stage, with named intermediates as in Dao et al., arXiv:2205.14135, appendix B.

``P`` weights, ``dP[i, j] = Σ_f g[i, f]·v[j, f]``, ``Δ[i] = Σ_j P[i, j]·dP[i, j]``, ``dS = P·(dP − Δ)``, ``dQ = scale·dS·K``,
``dK = scale·dSᵀ·Q``, ``dV = Pᵀ·g``. Derived by differentiating the definition, in any of its forms, along curves of q, k and v (and of the
sink); every row must have a key that it may attend to, or a sink. A row without one gives zeros whatever q, k and v are
(``attention.fully_masked``), so its gradient is zero. The convention that such a row gives NaN is no function to differentiate: its
derivation is this one, with a zero gradient there. Earlier keys and values (a cache) get no gradient. Heads: :mod:`attention_heads`.
"""

from __future__ import annotations

from functools import cache

from kernelproof.symbolic.binding import substitute, tensors
from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.logic import assumption, instantiation, replacement, specialisation, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import derivative, every, nonzero, positive
from kernelproof.symbolic.functions import Definition
from kernelproof.symbolic.gradients.attention_stages import V_AXES, Stages, stages, u_sink
from kernelproof.symbolic.phase import Extra, Gradient, Options, Statement
from kernelproof.symbolic.phases import rotary
from kernelproof.symbolic.phases.attention import c, e, f, form_of, i, j, l, m, n
from kernelproof.symbolic.phases.attention_forms import Form, cap, sink
from kernelproof.symbolic.tactics.calculus import Ranges, T, curve, differentiate, slope_of
from kernelproof.symbolic.tactics.collect import by_sums
from kernelproof.symbolic.tactics.gradients import constant, contracted, straight, valued
from kernelproof.symbolic.tactics.rewriting import (
    Conversion,
    Line,
    discharged,
    everywhere,
    in_order,
    is_operation,
    then,
    tried,
    unfold,
)
from kernelproof.symbolic.terms import ONE, ZERO, Call, Entry, Lambda, Op, Term, TermLike, Var, total

PLAIN = Form()
_PLAIN = stages(PLAIN)
OUT_AXES: Ranges = ((i, n), (f, e))
#: of the plain form, what larger phases are composed of
DELTA, DS, DQ, DK, DV, JVP = _PLAIN.delta, _PLAIN.ds, _PLAIN.dq, _PLAIN.dk, _PLAIN.dv, _PLAIN.jvp
STAGES = _PLAIN.all
#: the curve of a sink
SINK = assumption((), derivative(Lambda((T,), Entry("SINK", T)), 0, u_sink))


def straight_lines(form: Form) -> dict[str, tuple[str, str, str, Ranges]]:
    """Curve -> its derivative, the input, its direction, its axes."""
    of = stages(form)
    return {"Q": ("U", "q", "u_q", of.q_axes), "K": ("W", "k", "u_k", of.k_axes), "V": ("Z", "v", "u_v", V_AXES)}


@cache
def moving(form: Form) -> tuple[Theorem, ...]:
    """Assumed: the inputs move along curves that are differentiable at 0."""
    curves = tuple(curve(tensor, slope, axes) for tensor, (slope, _, _, axes) in straight_lines(form).items())
    return (*curves, SINK) if form.sink else curves


def along(at: TermLike) -> dict[str, Lambda | Term]:
    """Queries, keys and values of the curves at a time."""
    return {
        "q": Lambda((i, c), Entry("Q", at, i, c)), "k": Lambda((j, c), Entry("K", at, j, c)), "v": Lambda((j, f), Entry("V", at, j, f)),
    }


def directions() -> dict[str, Lambda | Term]:
    """The directions of the curves."""
    return {"u_q": Lambda((i, c), Entry("U", i, c)), "u_k": Lambda((j, c), Entry("W", j, c)), "u_v": Lambda((j, f), Entry("Z", j, f))}


def there(value: Term, at: TermLike) -> Term:
    """A term with the inputs replaced by their curves at a time, and the directions by those of the curves."""
    tensors_there = {name: given for name, given in (along(at) | directions()).items() if isinstance(given, Lambda)}
    return substitute(value, {sink: Entry("SINK", at)}, tensors_there)


def start(definition: Definition, *indices: Term) -> Term:
    """A stage at the start of the curves."""
    return there(definition.call({}, *indices), ZERO)


def some_key(form: Form) -> Theorem:
    """Assumed: every row may attend to some key, or has a sink."""
    return assumption((), every(((i, n),), positive(there(stages(form).base.whole, ZERO))))


# -- unfolding ----------------------------------------------------------------------------------------------------------------------------


def opening(form: Form) -> Conversion:
    """dR, dS, Δ and dP become their bodies; the weights stay."""
    return in_order(*(tried(everywhere(unfold(stage.name))) for stage in stages(form).opened))


def by_clause(*names: str) -> Conversion:
    """A call of a gradient that is defined by pairs of channels becomes the body for its channel."""

    def convert(value: Term) -> Theorem:
        if not (isinstance(value, Call) and value.function in names):
            raise ProofError("not such a call")
        return unfold(value.function, int(is_operation(value.indices[-1], "add")))(value)

    return convert


def by_pairs(layout: str, *names: str) -> Conversion:
    """Sums over channels become sums over pairs of them, where these gradients become their bodies."""
    from kernelproof.symbolic.theorems.rotary import paired  # rotary theorems, which the plain form does not need

    return in_order(tried(everywhere(paired(layout))), tried(everywhere(by_clause(*names))))


def to_results(form: Form) -> Conversion:
    """dq, dk and dv become their bodies."""
    of = stages(form)
    values = tuple(tried(everywhere(unfold(stage.name))) for stage in ((of.dv, stages(of.base).dv) if form.mean else (of.dv,)))
    if not form.turned:
        return in_order(*(tried(everywhere(unfold(stage.name))) for stage in (of.dq, of.dk)), *values)
    turned = tuple(tried(everywhere(unfold(stage.name))) for stage in of.turned)
    return in_order(by_pairs(form.turned, of.dq.name, of.dk.name), *turned, *values)


OPEN, RESULTS = opening(PLAIN), to_results(PLAIN)


# -- forward ------------------------------------------------------------------------------------------------------------------------------


def _channels_move(form: Form, key: Var) -> tuple[Theorem, ...]:
    """c < h ⊢ how both channels of pair c move, of query i and of a key."""
    from kernelproof.symbolic.theorems.rotary import channels_in_range

    there_is = [instantiation((found,), {rotary.i: c}, {}) for found in channels_in_range(form.turned)]
    queries, keys, *_ = moving(form)
    return tuple(
        discharged(specialisation((curves,), (row, channel)), inside)
        for curves, row in ((queries, i), (keys, key)) for channel, inside in zip(rotary.pair(form.turned, c), there_is, strict=True)
    )


@cache
def score_moves(form: Form, key: Var) -> Theorem:
    """d/dt S[i, key]; with a soft-cap, cap ≠ 0."""
    known = _channels_move(form, key) if form.turned else ()
    made = differentiate(Lambda((T,), there(form.score(i, key), T)), 0, *moving(form), *known, over=((i, n), (key, m)))
    signs = (assumption((), nonzero(cap)),) if form.capped else ()
    named = stages(form).score_jvp
    assert named is not None
    target = unfold(named.name)(start(named, i, key))
    return valued(made, by_sums(slope_of(made), target.right, *signs), symmetry((target,)))


@cache
def slope(form: Form = PLAIN) -> Theorem:
    """Every row has a key ⊢ d/dt attention[i, f] = attention_jvp[i, f] = Σ_j P·(S′ − Σ_l P·S′)·v + Σ_j P·v′."""
    if form.mean:
        return _mean_slope(form)
    of, opened = stages(form), unfold(form.name)(there(form.call({}, i, f), T))
    row = specialisation((some_key(form),), (i,))
    known = (score_moves(form, j), score_moves(form, l)) if form != Form(sink=form.sink) else ()
    plain = differentiate(Lambda((T,), opened.right), 0, *moving(form), row, *known, over=OUT_AXES)
    plain = replacement((plain, symmetry((opened,))), (0, 0))
    named = tuple(everywhere(unfold(stage.name)) for stage in (of.weights, of.sink_weight) if stage is not None)
    target = in_order(unfold(of.jvp.name), *named)(start(of.jvp, i, f))
    return valued(plain, by_sums(slope_of(plain), target.right), symmetry((target,)))


def _mean_slope(form: Form) -> Theorem:
    """The same plus (1 − C/C)·Σ_j v′/m, where a fully masked row gives the mean."""
    base = stages(form).base
    share = 1 - form.count / form.count
    opened = unfold(form.name)(there(form.call({}, i, f), T))
    values = total(j, m, Entry("V", T, j, f))
    product = there(base.call({}, i, f), T) + share * (values * (ONE / m))
    opened = then(opened, arithmetic((), opened.right, product))
    plain = differentiate(Lambda((T,), product), 0, *moving(form), slope(base), over=OUT_AXES)
    plain = replacement((plain, symmetry((opened,))), (0, 0))
    target = start(stages(base).jvp, i, f) + share * (total(j, m, Entry("Z", j, f)) / m)
    return valued(plain, by_sums(slope_of(plain), target))


# -- back ---------------------------------------------------------------------------------------------------------------------------------


@cache
def lines_along_curves(form: Form = PLAIN) -> tuple[Theorem, ...]:
    """The derivative of Σ g·attention; what multiplies dS/dt and dV/dt; what multiplies each direction."""
    of = stages(form)
    loss = contracted(Lambda((i, f), Entry("g", i, f)), OUT_AXES, slope(form))
    rest: Term = total(j, m, total(f, e, Entry("Z", j, f) * start(of.dv, j, f)))
    if of.sink_weight is not None:
        rest = rest + u_sink * start_of_sink(of)
    scores = total(i, n, total(j, m, there(of.score_slope(i, j), ZERO) * start(of.ds, i, j))) + rest
    opened = everywhere(unfold(of.jvp.name))(slope_of(loss))
    to_weights = in_order(opening(form), to_results(form))(scores)
    through_scores = then(opened, by_sums(opened.right, to_weights.right), symmetry((to_weights,)))
    target = (
        total(i, n, total(c, of.width, Entry("U", i, c) * start(of.dq, i, c)))
        + total(j, m, total(c, of.width, Entry("W", j, c) * start(of.dk, j, c))) + rest
    )
    written = tuple(tried(everywhere(unfold(stage.name))) for stage in (of.score_jvp, of.dr) if stage is not None and stage != of.ds)
    shown, wanted = (in_order(to_results(form), *written)(value) for value in (scores, target))
    return loss, through_scores, then(shown, by_sums(shown.right, wanted.right), symmetry((wanted,)))


def start_of_sink(of: Stages) -> Term:
    """The gradient of the sink at the start of the curves: −Σ_i P₀·Δ, for it has no value."""
    assert of.sink_weight is not None
    return -total(i, n, start(of.sink_weight, i) * start(of.delta, i))


@cache
def adjoint(form: Form = PLAIN) -> Theorem:
    """⊢ Σ g·attention_jvp = Σ U·dq + Σ W·dk + Σ Z·dv: the pullback is the transpose of the derivative."""
    _, *others = lines_along_curves(form)
    return then(*others)


@cache
def along_curves(form: Form = PLAIN) -> Theorem:
    """Every row has a key ⊢ d/dt Σ g·attention = Σ U·dq + Σ W·dk + Σ Z·dv."""
    loss, *others = lines_along_curves(form)
    return valued(loss, *others)


def of_one(made: Theorem, lines: dict[str, tuple[str, str, str, Ranges]], name: str) -> Theorem:
    """The same with one input moving and the others fixed."""
    for tensor, (slope_, plain, _, axes) in lines.items():
        if plain != name:
            made = constant(made, tensor, slope_, plain, axes)
    made = straight(made, {tensor: given for tensor, given in lines.items() if given[1] == name})
    value = slope_of(made)
    target = next(part for part in _summands(value) if f"u_{name}" in tensors(part))
    return valued(made, by_sums(value, target))


def _summands(value: Term) -> list[Term]:
    return [*_summands(value.args[0]), value.args[1]] if isinstance(value, Op) and value.name == "add" else [value]


def build(variant: Options) -> Gradient:
    """Gradient of attention."""
    from kernelproof.symbolic.gradients.attention_heads import with_heads
    from kernelproof.symbolic.gradients.attention_identities import statements

    form = form_of(variant)
    if not isinstance(form, Form):
        return with_heads(form, variant)
    of, lines = stages(form), straight_lines(form)
    loss, through_scores, last = lines_along_curves(form)
    extras = (Extra("g", "real", (n, e)),)
    moves = {plain: Extra(direction, "real", tuple(length for _, length in axes)) for _, plain, direction, axes in lines.values()}
    titles = (
        "differentiate along q + t·u_q, k + t·u_k, v + t·u_v", "collect what multiplies the change of the scores and of the values",
        "the scores are linear in q and in k",
    )
    return Gradient(
        phase="attention",
        title="Gradient of attention",
        variant=dict(variant),
        definitions=(*of.all, *of.jvps),
        results={name: stage.name for name, stage in of.results.items()},
        lines=tuple(Line(title, straight(line, lines)) for title, line in zip(titles, (loss, through_scores, last), strict=True)),
        statements=(
            Statement(
                "attention.vjp", "dq, dk, dv are the gradients of Σ g·attention", straight(along_curves(form), lines), (),
                (*extras, *moves.values()),
            ),
            *(
                Statement(
                    f"attention.vjp_{name}", f"d{name} is the gradient in {name} alone", of_one(along_curves(form), lines, name), (),
                    (*extras, move),
                )
                for name, move in moves.items()
            ),
            *statements(form),
        ),
        along_curves=along_curves(form),
    )
