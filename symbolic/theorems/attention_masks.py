"""What masks do to attention: convexity, causality, masked keys, padding, duplicated keys, log-odds.

A mask is ``allow``, with values 0 and 1; that it is so is a hypothesis where it matters: ``allow·allow = allow`` for every key.
"""

from __future__ import annotations

from collections.abc import Callable

from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.logic import assumption, cases, generalisation, instantiation, specialisation, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.formulas import equation, every, nonnegative, positive
from kernelproof.symbolic.gradients.attention_identities import by_weights, weights_sum
from kernelproof.symbolic.phase import Extra, Options, Statement
from kernelproof.symbolic.phases.attention import (
    DEFINITION,
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
)
from kernelproof.symbolic.tactics.collect import by_sums
from kernelproof.symbolic.tactics.rewriting import (
    both_sides,
    by_arithmetic,
    discharged,
    everywhere,
    first,
    in_order,
    inside,
    part,
    replaced,
    rewriting,
    then,
    unfold,
    use,
)
from kernelproof.symbolic.tactics.signs import nonnegativity
from kernelproof.symbolic.tactics.sums import sum_constant
from kernelproof.symbolic.terms import ONE, ZERO, Entry, Lambda, Num, Term, exp, less, log, total, variables

top, a1, a2, width = variables("top a1 a2 width")
ROW_HAS_KEY = assumption((), positive(WHOLE))
MASKING = "tried on kernels by the properties of masks, two calls compared"
INEQUALITY = "an inequality; kernels are tried on equations"
WEIGHTS_ONLY = "speaks of weights, which kernels do not return"


def fully_masked() -> Theorem:
    """⊢ attention(allow := 0)[i, f] = 0."""
    start = DEFINITION.call({"allow": Lambda((i, j), ZERO)}, i, f)
    return in_order(UNFOLD, inside((2,), by_arithmetic(ZERO)), sum_constant, by_arithmetic(ZERO))(start)


def hull(upper: bool) -> Theorem:
    """every allowed v[j, f] ≤ top, row i has a key ⊢ attention[i, f] ≤ top; and the same from below."""
    gap: Callable[[Term], Term] = (lambda value: top - value) if upper else (lambda value: value - top)
    value = Entry("v", j, f)
    known = assumption((), every(((j, m),), nonnegative(allow(i, j) * gap(value))))
    one = weights_sum()
    spread = by_sums(total(j, m, p(i, j) * gap(value)), gap_of_sums(upper))
    summed = then(spread, arithmetic((one, by_weights()), spread.right, gap(PLAIN), (top if upper else -top, ONE * (1 if upper else -1))))
    part = allow(i, j) * gap(value) * exp(score(i, j)) / WHOLE
    single = nonnegativity(part, specialisation((known,), (j,)), ROW_HAS_KEY)
    back = in_order(everywhere(unfold(WEIGHTS.name)), by_arithmetic(part))(p(i, j) * gap(value))
    each = generalisation((replaced(single, symmetry((back,))),), ((j, m),))
    made = use("total_nonnegative", each, n=m, f=Lambda((j,), p(i, j) * gap(value)))
    return replaced(made, summed)


def gap_of_sums(upper: bool) -> Term:
    """top·Σ P − Σ P·v, or its negative."""
    weights, values = total(j, m, p(i, j)), total(j, m, p(i, j) * Entry("v", j, f))
    return top * weights - values if upper else values - top * weights


def log_odds() -> Theorem:
    """keys a1, a2 allowed, row i has a key ⊢ log(P[i, a1]/P[i, a2]) = scale·Σ_c q·(k[a1] − k[a2]) + bias[i, a1] − bias[i, a2]."""
    start = log(p(i, a1) / p(i, a2))
    seen = [assumption((), equation(allow(i, key), ONE)) for key in (a1, a2)]
    gap = score(i, a1) - score(i, a2)
    opened = everywhere(unfold(WEIGHTS.name))(p(i, a1) / p(i, a2))
    shown = in_order(*(first(rewriting(one)) for one in seen))(opened.right)
    quotient = then(opened, shown, arithmetic((ROW_HAS_KEY,), shown.right, exp(gap)))
    inner = total(c, d, Entry("q", i, c) * (Entry("k", a1, c) - Entry("k", a2, c)))
    target = scale * inner + Entry("bias", i, a1) - Entry("bias", i, a2)
    return then(inside((0,), lambda _: quotient)(start), use("logarithm_of_exp", a=gap), by_sums(gap, target))


def masked_weight() -> Theorem:
    """allow[i, j] = 0 ⊢ P[i, j] = 0."""
    hidden = assumption((), equation(allow(i, j), ZERO))
    return in_order(unfold(WEIGHTS.name), inside((0, 0), rewriting(hidden)), by_arithmetic(ZERO))(p(i, j))


def window(index: Term, key: Term, width: Term) -> Term:
    """1 where 0 ≤ i − j < width."""
    return (1 - less(index, key)) * less(index - key, width)


def outside_window() -> Theorem:
    """i − j ≥ width ⊢ P(allow := window·allow)[i, j] = 0."""
    far = assumption((), nonnegative(i - j - width))
    mask = Lambda((i, j), window(i, j, width) * allow(i, j))
    none = use("less_fails", far, a=i - j, b=width)
    zero = in_order(first(rewriting(none)), by_arithmetic(ZERO))(mask.body)
    made = instantiation((masked_weight(),), {}, {"allow": mask})
    return discharged(made, zero)


def hidden_keys() -> Theorem:
    """b·b = b for every key ⊢ attention(k + (1−b)·u, v + (1−b)·w, allow := b·allow)[i, f] = attention(allow := b·allow)[i, f]."""

    def seen(key: Term) -> Term:
        return Entry("b", i, key)

    every_indicator = assumption((), every(((j, m),), equation(seen(j) * seen(j), seen(j))))
    masked = {"allow": Lambda((i, j), Entry("b", i, j) * allow(i, j))}
    moved = DEFINITION.call(
        {
            **masked,
            "k": Lambda((j, c), Entry("k", j, c) + (1 - seen(j)) * Entry("u", j, c)),
            "v": Lambda((j, f), Entry("v", j, f) + (1 - seen(j)) * Entry("w", j, f)),
        },
        i, f,
    )
    plain = DEFINITION.call(masked, i, f)
    keys = [_unseen_key(key, specialisation((every_indicator,), (key,))) for key in (j, l)]
    opened = UNFOLD(plain)
    body = part(opened.right, 2)
    weight_ = part(body, 0)
    indicator = specialisation((every_indicator,), (j,))
    share = allow(i, j) * exp(score(i, j)) / part(weight_, 1) * Entry("w", j, f)
    last = arithmetic((indicator,), weight_ * (Entry("v", j, f) + (1 - seen(j)) * Entry("w", j, f)), body, (-share,))
    to_plain = in_order(UNFOLD, *(first(rewriting(key)) for key in keys), inside((2,), rewriting(last)))
    return both_sides(moved, plain, to_plain, lambda _: opened)


def _unseen_key(key: Term, indicator: Theorem) -> Theorem:
    """b·allow·exp(S with k + (1−b)·u) = b·allow·exp(S)."""
    seen = indicator.right
    changed = Entry("k", key, c) + (1 - seen) * Entry("u", key, c)
    left = seen * allow(i, key) * exp(scale * total(c, d, Entry("q", i, c) * changed) + Entry("bias", i, key))
    right = seen * allow(i, key) * exp(score(i, key))

    def claim(known: Theorem) -> Theorem:
        one, two = (everywhere(rewriting(known))(side) for side in (left, right))
        there = Entry("k", key, c) + (1 - known.right) * Entry("u", key, c)
        plain = everywhere(rewriting(arithmetic((), there, Entry("k", key, c)))) if known.right is ONE else by_arithmetic(two.right)
        return then(one, plain(one.right), symmetry((two,)))

    return cases((indicator, *(claim(assumption((), equation(seen, Num(value)))) for value in (0, 1))))


def masked_keys() -> Theorem:
    """allow·allow = allow for every key ⊢ keys and values with allow = 0 may be anything: the result is the same."""
    made = instantiation((hidden_keys(),), {}, {"b": Lambda((i, j), allow(i, j)), "allow": Lambda((i, j), ONE)})
    return replaced(made, *(arithmetic((), Entry("allow", i, key) * ONE, Entry("allow", i, key)) for key in (j,)))


def causal() -> Theorem:
    """⊢ with allow := [j ≤ i]·allow, row i is the same whatever keys and values with j > i are."""
    later = less(i, j)
    made = instantiation((hidden_keys(),), {}, {"b": Lambda((i, j), 1 - less(i, j))})
    is_indicator = use("less_is_indicator", a=i, b=j)
    square = arithmetic((is_indicator,), (1 - later) * (1 - later), 1 - later, (ONE,))
    made = discharged(made, generalisation((square,), ((j, m),)))
    return replaced(made, arithmetic((), 1 - (1 - later), later))


def statements(variant: Options) -> tuple[Statement, ...]:
    """Theorems about masks on keys of one length."""
    over, entry = ((i, n), (f, e)), ((i, n), (j, m))
    bound = (Extra("top", "real"),)
    hidden = (Extra("u", "real", (m, d)), Extra("w", "real", (m, e)))
    return (
        Statement("attention.fully_masked", "A row that may attend to nothing gives zeros", fully_masked(), over, untested=MASKING),
        Statement("attention.hull_above", "No result is above all allowed values", hull(True), over, bound, untested=INEQUALITY),
        Statement("attention.hull_below", "No result is below all allowed values", hull(False), over, bound, untested=INEQUALITY),
        Statement(
            "attention.log_odds", "Log-odds of two keys are the difference of their scores", log_odds(), ((i, n), (a1, m), (a2, m)),
            untested=WEIGHTS_ONLY,
        ),
        Statement("attention.masked_weight", "A masked key has weight zero", masked_weight(), entry, untested=WEIGHTS_ONLY),
        Statement(
            "attention.outside_window", "With a window, keys outside have weight zero", outside_window(), entry,
            (Extra("width", "real"),), untested=WEIGHTS_ONLY,
        ),
        Statement(
            "attention.hidden_keys", "Keys hidden by a mask may be anything", hidden_keys(), over,
            (*hidden, Extra("b", "indicator", (n, m))), untested=MASKING,
        ),
        Statement("attention.masked_keys", "Keys that are not allowed may be anything", masked_keys(), over, hidden, untested=MASKING),
        Statement("attention.causality", "Causal: row i does not depend on later keys", causal(), over, hidden, untested=MASKING),
    )
