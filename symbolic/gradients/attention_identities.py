"""Identities of attention's gradient that need no reference: a gradient kernel can be held to them alone.

``Σ_j dK[j] = 0``, ``⟨dQ, Q⟩ = ⟨dK, K⟩``, ``⟨dV, V⟩ = ⟨g, O⟩``, ``Σ_j dV[j] = Σ_i (Σ_j P[i, j])·g[i]``; ``Δ[i] = Σ_f g·O``; the rows of
dS sum to zero; P can be had again from any shift m and its sum l. Each is said of the forms in which it holds: with a soft-cap or turned
keys the gradients of keys do not sum to zero, with a sink the rows of dS do not.
"""

from __future__ import annotations

from functools import cache

from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.logic import assumption, cut, instantiation, reflexivity, replacement, specialisation, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.formulas import every, nonzero, positive
from kernelproof.symbolic.gradients.attention import OUT_AXES, PLAIN, along, moving, straight_lines, there, to_results
from kernelproof.symbolic.gradients.attention_stages import DP, stages
from kernelproof.symbolic.phase import Extra, Statement
from kernelproof.symbolic.phases.attention import allow, c, d, e, f, i, j, l, m, n, scale, shift
from kernelproof.symbolic.phases.attention_forms import Form, cap, sink
from kernelproof.symbolic.tactics.calculus import Ranges, T, differentiate, slope_of
from kernelproof.symbolic.tactics.collect import by_sums
from kernelproof.symbolic.tactics.gradients import constant, contracted, straight, valued
from kernelproof.symbolic.tactics.rewriting import (
    Conversion,
    by_arithmetic,
    everywhere,
    first,
    in_order,
    inside,
    part,
    rewriting,
    split_exponential,
    then,
    unfold,
    use,
)
from kernelproof.symbolic.tactics.sums import sum_constant, sum_scaled
from kernelproof.symbolic.terms import ONE, ZERO, Entry, Lambda, Term, exp, log, total

G = Entry("g", i, f)


def to_weights(form: Form) -> Conversion:
    """The weights become their bodies."""
    return everywhere(unfold(stages(form).weights.name))


def weights_sum() -> Theorem:
    """row i may attend to some key ⊢ Σ_j P[i, j] = 1."""
    opened = to_weights(PLAIN)(total(j, m, stages(PLAIN).p(i, j)))
    return in_order(
        lambda _: opened, sum_scaled, by_arithmetic(ONE, assumption((), positive(PLAIN.whole)))
    )(opened.left)


def by_weights(form: Form = PLAIN) -> Theorem:
    """⊢ attention[i, f] = Σ_j P[i, j]·v[j, f]."""
    target = total(j, m, stages(form).p(i, j) * Entry("v", j, f))
    return then(unfold(form.name)(form.call({}, i, f)), symmetry((to_weights(form)(target),)))


@cache
def delta_by_output(form: Form = PLAIN) -> Theorem:
    """⊢ Σ_f g[i, f]·attention[i, f] = Δ[i]."""
    delta = stages(form).delta
    start = total(f, e, G * form.call({}, i, f))
    opened = first(rewriting(by_weights(form)))(start)
    target = in_order(everywhere(unfold(delta.name)), everywhere(unfold(DP.name)))(delta.call({}, i))
    return then(opened, by_sums(opened.right, target.right), symmetry((target,)))


def score_rows() -> Theorem:
    """row i may attend to some key ⊢ Σ_j dS[i, j] = 0."""
    of = stages(PLAIN)
    opened = everywhere(unfold(of.ds.name))(total(j, m, of.ds.call({}, i, j)))
    mean = of.delta.call({}, i)
    shown = everywhere(unfold(of.delta.name))(mean)
    grouped = by_sums(opened.right, shown.right - total(j, m, of.p(i, j)) * mean)
    return then(opened, grouped, arithmetic((weights_sum(), shown), grouped.right, ZERO, (-mean, ONE * -1)))


def keys_sum() -> Theorem:
    """every row may attend to some key ⊢ Σ_j dK[j, c] = 0."""
    of = stages(PLAIN)
    opened = to_results(PLAIN)(total(j, m, of.dk.call({}, j, c)))
    rows = total(i, n, Entry("q", i, c) * total(j, m, of.ds.call({}, i, j)))
    grouped = by_sums(opened.right, scale * rows)
    zero = discharged_row(score_rows())
    none = in_order(inside((2, 1), lambda _: zero), inside((2,), by_arithmetic(ZERO)), sum_constant)
    return then(opened, grouped, in_order(inside((1,), none), by_arithmetic(ZERO))(scale * rows))


def discharged_row(theorem: Theorem) -> Theorem:
    """A theorem about row i under "every row has a key" instead of "row i has"."""
    some_key = assumption((), every(((i, n),), positive(PLAIN.whole)))
    return cut((specialisation((some_key,), (i,)), theorem))


def queries_and_keys(form: Form = PLAIN) -> Theorem:
    """⊢ Σ_i Σ_c dQ·Q = Σ_j Σ_c dK·K."""
    of = stages(form)
    left = total(i, n, total(c, of.width, of.dq.call({}, i, c) * Entry("q", i, c)))
    right = total(j, m, total(c, of.width, of.dk.call({}, j, c) * Entry("k", j, c)))
    one, two = to_results(form)(left), to_results(form)(right)
    return then(one, by_sums(one.right, two.right), symmetry((two,)))


def values_and_output(form: Form = PLAIN) -> Theorem:
    """⊢ Σ_j Σ_f dV·V = Σ_i Σ_f g·attention."""
    one = to_results(form)(total(j, m, total(f, e, stages(form).dv.call({}, j, f) * Entry("v", j, f))))
    start = total(i, n, total(f, e, G * form.call({}, i, f)))
    opened = everywhere(unfold(form.name))(start) if form.mean else reflexivity((), start)
    two = then(opened, first(rewriting(by_weights(stages(form).base)))(opened.right))
    return then(one, by_sums(one.right, two.right), symmetry((two,)))


def values_sum(form: Form = PLAIN) -> Theorem:
    """⊢ Σ_j dV[j, f] = Σ_i (Σ_j P[i, j])·g[i, f]."""
    of = stages(form)
    one = to_results(form)(total(j, m, of.dv.call({}, j, f)))
    return then(one, by_sums(one.right, total(i, n, total(j, m, of.p(i, j)) * G)))


@cache
def recomputed(form: Form = PLAIN) -> Theorem:
    """⊢ P[i, j] = allow·exp(S − z) / Σ_l allow·exp(S − z), for any z: from a kept shift and its sum."""
    of = stages(form)
    quotient = _shifted(form, _moved_weight(form, j))
    return then(unfold(of.weights.name)(of.p(i, j)), symmetry((quotient,)))


@cache
def recomputed_sink(form: Form) -> Theorem:
    """⊢ P₀[i] = exp(sink − z) / (Σ_l allow·exp(S − z) + exp(sink − z)), for any z."""
    weight = stages(form).sink_weight
    assert weight is not None
    quotient = _shifted(form, _moved_sink())
    return then(unfold(weight.name)(weight.call({}, i)), symmetry((quotient,)))


def _moved_weight(form: Form, key: Term) -> Theorem:
    """allow·exp(S − z) = weight·exp(−z)."""
    moved = allow(i, key) * exp(form.score(i, key) - shift)
    return in_order(first(split_exponential), by_arithmetic(form.weight(i, key) * exp(-shift)))(moved)


def _moved_sink() -> Theorem:
    """exp(sink − z) = exp(sink)·exp(−z)."""
    return first(split_exponential)(exp(sink - shift))


def _shifted(form: Form, top: Theorem) -> Theorem:
    """numerator·exp(−z) over the shifted divisor = numerator over the divisor."""
    under = _moved_weight(form, l)
    bottom = in_order(inside((2,), lambda _: under), sum_scaled)(total(l, m, under.left))
    whole = bottom.left
    if form.sink:
        whole = whole + exp(sink - shift)
        both = in_order(inside((0,), rewriting(bottom)), inside((1,), rewriting(_moved_sink())))
        bottom = in_order(both, by_arithmetic(form.whole * exp(-shift)))(whole)
    plain = part(top.right, 0) / form.whole
    return in_order(first(rewriting(top)), first(rewriting(bottom)), by_arithmetic(plain))(top.left / whole)


def from_logarithm(form: Form = PLAIN) -> Theorem:
    """row i may attend to some key ⊢ P[i, j] = allow·exp(S − log Σ_l allow·exp S): from a kept log-sum-exp."""
    of, some = stages(form), assumption((), positive(form.whole))
    logarithm = log(form.whole)
    inverse = use("exp_of_logarithm", some, a=form.whole)
    target = allow(i, j) * exp(form.score(i, j) - logarithm)
    split = first(split_exponential)(target)
    turned = arithmetic((), split.right, allow(i, j) * (exp(form.score(i, j)) / exp(logarithm)))
    replaced_whole = first(rewriting(inverse))(turned.right)
    flat = arithmetic((some,), replaced_whole.right, form.weight(i, j) / form.whole)
    return then(unfold(of.weights.name)(of.p(i, j)), symmetry((then(split, turned, replaced_whole, flat),)))


@cache
def slope_from_score(form: Form) -> Theorem:
    """cap ≠ 0 ⊢ dR[i, j] = dS·(1 − (C/cap)²), C the capped score: from what the scores are after the soft-cap."""
    of = stages(form)
    opened = unfold(of.dr.name)(of.dr.call({}, i, j))
    slope = of.cap_slope(i, j)
    tanh = part(slope, 1, 0)
    target = of.ds.call({}, i, j) * (1 - (cap * tanh / cap) ** 2)
    return then(opened, arithmetic((assumption((), nonzero(cap)),), opened.right, target))


def _still(form: Form, tensor: str) -> tuple[str, str, str, Ranges]:
    """A curve that does not move: its name, that of its derivative, the input, its axes."""
    slope, plain, _, axes = straight_lines(form)[tensor]
    return tensor, slope, plain, axes


@cache
def of_masked_rows(form: Form) -> Theorem:
    """⊢ d/dt Σ g·attention(allow := 0) = Σ Z·dv(allow := 0), where rows that may attend to nothing give the mean of the values."""
    from kernelproof.symbolic.theorems.attention_mean import fully_masked_mean  # it speaks of the forms whose gradients are here

    nothing: dict[str, Lambda | Term] = {"allow": Lambda((i, j), ZERO)}
    moving_rows = {name: given for name, given in along(T).items() if isinstance(given, Lambda)}
    mean = instantiation((fully_masked_mean(form),), {}, moving_rows)
    product = arithmetic((), mean.right, total(j, m, Entry("V", T, j, f)) * (ONE / m))
    made = differentiate(Lambda((T,), product.right), 0, *moving(form), over=OUT_AXES)
    made = replacement((made, symmetry((then(mean, product),))), (0, 0))
    loss = contracted(Lambda((i, f), G), OUT_AXES, made)
    of = stages(form)
    dv = there(of.dv.call(nothing, j, f), ZERO)
    target = total(j, m, total(f, e, Entry("Z", j, f) * dv))
    none = in_order(sum_constant, by_arithmetic(ZERO))(total(l, m, ZERO))
    opened = in_order(
        *(everywhere(unfold(stage.name)) for stage in (of.dv, stages(of.base).dv, of.weights)), everywhere(rewriting(none)),
    )(target)
    return valued(loss, by_sums(slope_of(loss), opened.right), symmetry((opened,)))


def statements(form: Form = PLAIN) -> tuple[Statement, ...]:
    """The identities that hold in a form; of the weights of a form without a mean."""
    g = (Extra("g", "real", (n, e)),)
    row, entry = ((i, n),), ((i, n), (j, m))
    found = []
    if not form.mean:
        found.append(Statement("attention.delta_by_output", "Δ is the row sum of gradient times output", delta_by_output(form), row, g))
    if form == PLAIN:
        found += [
            Statement("attention.score_rows", "The rows of dS sum to zero", score_rows(), row, g),
            Statement("attention.keys_sum", "The gradients of the keys sum to zero", keys_sum(), ((c, d),), g),
        ]
    found += [
        Statement("attention.queries_and_keys", "⟨dQ, Q⟩ = ⟨dK, K⟩", queries_and_keys(form), (), g),
        Statement("attention.values_and_output", "⟨dV, V⟩ = ⟨g, O⟩", values_and_output(form), (), g),
    ]
    if form.mean:
        lines = {"V": straight_lines(form)["V"]}
        masked = straight(constant(constant(of_masked_rows(form), *_still(form, "Q")), *_still(form, "K")), lines)
        title = "Where no row may attend to a key, dv is the gradient of Σ g·attention"
        found.append(Statement("attention.vjp_fully_masked", title, masked, (), (*g, Extra("u_v", "real", (m, e)))))
        return tuple(found)
    found += [
        Statement("attention.values_sum", "Σ dV is the gradient weighted with the row sums", values_sum(form), ((f, e),), g),
        Statement(
            "attention.recomputed_weights", "The weights can be had again from any shift and its sum", recomputed(form), entry,
            (Extra("z", "real"),),
        ),
        Statement("attention.weights_from_logarithm", "The weights can be had again from the log-sum-exp", from_logarithm(form), entry),
    ]
    if form.capped:
        title = "The slope of the soft-cap from the capped score"
        found.append(Statement("attention.slope_from_score", title, slope_from_score(form), entry, g))
    return tuple(found)
