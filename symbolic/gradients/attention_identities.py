"""Identities of attention's gradient that need no reference: a gradient kernel can be held to them alone.

``Σ_j dK[j] = 0``, ``⟨dQ, Q⟩ = ⟨dK, K⟩``, ``⟨dV, V⟩ = ⟨g, O⟩``, ``Σ_j dV[j] = Σ_i (Σ_j P[i, j])·g[i]``; ``Δ[i] = Σ_f g·O``; the rows of
dS sum to zero; P can be had again from any shift m and its sum l.
"""

from __future__ import annotations

from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.logic import assumption, cut, specialisation, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.formulas import every, positive
from kernelproof.symbolic.gradients.attention import DELTA, DK, DQ, DS, DV, OPEN, RESULTS
from kernelproof.symbolic.phase import Extra, Statement
from kernelproof.symbolic.phases.attention import (
    PLAIN,
    UNFOLD,
    WEIGHTS,
    WHOLE,
    allow,
    c,
    d,
    e,
    f,
    i,
    j,
    l,
    m,
    n,
    p,
    scale,
    score,
    shift,
    weight,
)
from kernelproof.symbolic.tactics.collect import by_sums
from kernelproof.symbolic.tactics.rewriting import (
    by_arithmetic,
    everywhere,
    first,
    in_order,
    inside,
    rewriting,
    split_exponential,
    then,
    unfold,
    use,
)
from kernelproof.symbolic.tactics.sums import sum_constant, sum_scaled
from kernelproof.symbolic.terms import ONE, ZERO, Entry, Term, exp, log, total

G = Entry("g", i, f)
SOME_KEY = assumption((), every(((i, n),), positive(WHOLE)))
TO_WEIGHTS = everywhere(unfold(WEIGHTS.name))


def weights_sum() -> Theorem:
    """row i may attend to some key ⊢ Σ_j P[i, j] = 1."""
    opened = TO_WEIGHTS(total(j, m, p(i, j)))
    return in_order(
        lambda _: opened, sum_scaled, by_arithmetic(ONE, assumption((), positive(WHOLE)))
    )(opened.left)


def by_weights() -> Theorem:
    """⊢ attention[i, f] = Σ_j P[i, j]·v[j, f]."""
    target = total(j, m, p(i, j) * Entry("v", j, f))
    return then(UNFOLD(PLAIN), symmetry((TO_WEIGHTS(target),)))


def delta_by_output() -> Theorem:
    """⊢ Σ_f g[i, f]·attention[i, f] = Δ[i]."""
    start = total(f, e, G * PLAIN)
    opened = first(rewriting(by_weights()))(start)
    target = in_order(everywhere(unfold(DELTA.name)), OPEN)(DELTA.call({}, i))
    return then(opened, by_sums(opened.right, target.right), symmetry((target,)))


def score_rows() -> Theorem:
    """row i may attend to some key ⊢ Σ_j dS[i, j] = 0."""
    opened = everywhere(unfold(DS.name))(total(j, m, DS.call({}, i, j)))
    mean = DELTA.call({}, i)
    shown = everywhere(unfold(DELTA.name))(mean)
    grouped = by_sums(opened.right, shown.right - total(j, m, p(i, j)) * mean)
    return then(opened, grouped, arithmetic((weights_sum(), shown), grouped.right, ZERO, (-mean, ONE * -1)))


def keys_sum() -> Theorem:
    """every row may attend to some key ⊢ Σ_j dK[j, c] = 0."""
    opened = RESULTS(total(j, m, DK.call({}, j, c)))
    rows = total(i, n, Entry("q", i, c) * total(j, m, DS.call({}, i, j)))
    grouped = by_sums(opened.right, scale * rows)
    zero = discharged_row(score_rows())
    none = in_order(inside((2, 1), lambda _: zero), inside((2,), by_arithmetic(ZERO)), sum_constant)
    return then(opened, grouped, in_order(inside((1,), none), by_arithmetic(ZERO))(scale * rows))


def discharged_row(theorem: Theorem) -> Theorem:
    """A theorem about row i under "every row has a key" instead of "row i has"."""
    return cut((specialisation((SOME_KEY,), (i,)), theorem))


def queries_and_keys() -> Theorem:
    """⊢ Σ_i Σ_c dQ·Q = Σ_j Σ_c dK·K."""
    left = total(i, n, total(c, d, DQ.call({}, i, c) * Entry("q", i, c)))
    right = total(j, m, total(c, d, DK.call({}, j, c) * Entry("k", j, c)))
    one, two = RESULTS(left), RESULTS(right)
    return then(one, by_sums(one.right, two.right), symmetry((two,)))


def values_and_output() -> Theorem:
    """⊢ Σ_j Σ_f dV·V = Σ_i Σ_f g·attention."""
    one = RESULTS(total(j, m, total(f, e, DV.call({}, j, f) * Entry("v", j, f))))
    two = first(rewriting(by_weights()))(total(i, n, total(f, e, G * PLAIN)))
    return then(one, by_sums(one.right, two.right), symmetry((two,)))


def values_sum() -> Theorem:
    """⊢ Σ_j dV[j, f] = Σ_i (Σ_j P[i, j])·g[i, f]."""
    one = RESULTS(total(j, m, DV.call({}, j, f)))
    return then(one, by_sums(one.right, total(i, n, total(j, m, p(i, j)) * G)))


def recomputed() -> Theorem:
    """⊢ P[i, j] = allow·exp(S − z) / Σ_l allow·exp(S − z), for any z: from a kept shift and its sum."""
    factor = exp(-shift)

    def moved(key: Term) -> Theorem:
        """allow·exp(S − z) = weight·exp(−z)."""
        return in_order(first(split_exponential), by_arithmetic(weight(i, key) * factor))(allow(i, key) * exp(score(i, key) - shift))

    top, under = moved(j), moved(l)
    bottom = in_order(inside((2,), lambda _: under), sum_scaled)(total(l, m, under.left))
    quotient = in_order(first(rewriting(top)), first(rewriting(bottom)), by_arithmetic(weight(i, j) / WHOLE))(top.left / bottom.left)
    return then(unfold(WEIGHTS.name)(p(i, j)), symmetry((quotient,)))


def from_logarithm() -> Theorem:
    """row i may attend to some key ⊢ P[i, j] = allow·exp(S − log Σ_l allow·exp S): from a kept log-sum-exp."""
    some = assumption((), positive(WHOLE))
    logarithm = log(WHOLE)
    inverse = use("exp_of_logarithm", some, a=WHOLE)
    target = allow(i, j) * exp(score(i, j) - logarithm)
    split = first(split_exponential)(target)
    turned = arithmetic((), split.right, allow(i, j) * (exp(score(i, j)) / exp(logarithm)))
    replaced_whole = first(rewriting(inverse))(turned.right)
    flat = arithmetic((some,), replaced_whole.right, weight(i, j) / WHOLE)
    return then(unfold(WEIGHTS.name)(p(i, j)), symmetry((then(split, turned, replaced_whole, flat),)))


def statements() -> tuple[Statement, ...]:
    """The identities."""
    g = (Extra("g", "real", (n, e)),)
    row, entry = ((i, n),), ((i, n), (j, m))
    return (
        Statement("attention.delta_by_output", "Δ is the row sum of gradient times output", delta_by_output(), row, g),
        Statement("attention.score_rows", "The rows of dS sum to zero", score_rows(), row, g),
        Statement("attention.keys_sum", "The gradients of the keys sum to zero", keys_sum(), ((c, d),), g),
        Statement("attention.queries_and_keys", "⟨dQ, Q⟩ = ⟨dK, K⟩", queries_and_keys(), (), g),
        Statement("attention.values_and_output", "⟨dV, V⟩ = ⟨g, O⟩", values_and_output(), (), g),
        Statement("attention.values_sum", "Σ dV is the gradient weighted with the row sums", values_sum(), ((f, e),), g),
        Statement(
            "attention.recomputed_weights", "The weights can be had again from any shift and its sum", recomputed(), entry,
            (Extra("z", "real"),),
        ),
        Statement("attention.weights_from_logarithm", "The weights can be had again from the log-sum-exp", from_logarithm(), entry),
    )
