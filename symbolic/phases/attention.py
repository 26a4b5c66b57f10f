"""Scaled dot-product attention with a mask and a bias on the scores.

``S[i, j] = scale·Σ_c q[i, c]·k[j, c] + bias[i, j]`` and
``attention[i, f] = Σ_j (allow[i, j]·exp S[i, j] / Σ_l allow[i, l]·exp S[i, l])·v[j, f]``, allow ∈ {0, 1}.

Source: Vaswani et al., arXiv:1706.03762, section 3.2.1. ``causal`` and boolean masks are values of ``allow``, a floating mask is
``bias``. Since x/0 = 0, a row that may attend to nothing gives zeros: the contract's convention. Kernel form: scores shifted by the
maximum of the allowed ones (shift invariance), and one division at the end (the divisor does not depend on the key).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial

from kernelproof.symbolic.core.definitions import define
from kernelproof.symbolic.core.logic import assumption, instantiation, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.formulas import positive
from kernelproof.symbolic.functions import Clause, Definition
from kernelproof.symbolic.phase import Clausal, Derivation, Extra, Options, Phase, Statement
from kernelproof.symbolic.phases.attention_forms import FORMS, Form, a, allow, b, c, d, e, f, i, j, l, m, n, scale, shift, sink
from kernelproof.symbolic.phases.attention_heads import HEADS, Heads
from kernelproof.symbolic.phases.attention_options import EXCLUDED, OPTIONS, VARIANTS, left_out
from kernelproof.symbolic.tactics.rewriting import (
    Chain,
    as_differences,
    both_sides,
    by_arithmetic,
    everywhere,
    first,
    in_order,
    inside,
    part,
    rewriting,
    split_exponential,
    unfold,
)
from kernelproof.symbolic.tactics.sums import reindexed, sum_of_sums, sum_scaled
from kernelproof.symbolic.terms import ONE, Call, Entry, Fold, Lambda, Term, exp, total

#: the names of indices and sizes are those of the forms
__all__ = [
    "DEFINITION", "MAXIMUM", "PHASE", "PLAIN", "WEIGHTS", "WHOLE", "a", "allow", "b", "c", "d", "e", "f", "i", "j", "l", "m", "n", "scale",
    "shift",
]
PLAIN_FORM = FORMS[0]
score, weight, WHOLE, MAXIMUM = PLAIN_FORM.score, PLAIN_FORM.weight, PLAIN_FORM.whole, PLAIN_FORM.highest
DEFINITION = PLAIN_FORM.definition
UNFOLD = unfold("attention")
WEIGHTS = define(
    Definition(
        "attention_weights",
        tuple(parameter for parameter in DEFINITION.parameters if parameter.name not in ("e", "v")),
        (Clause((i, j), ((i, n), (j, m)), weight(i, j) / WHOLE),),
        meaning="softmax of the scaled scores of the allowed keys",
    )
)


def p(query: Term, key: Term) -> Term:
    """P[i, j], the weight of a key."""
    return WEIGHTS.call({}, query, key)


PLAIN = DEFINITION.call({}, i, f)


def deferred(value: Term) -> Theorem:
    """One division at the end, for any arguments, in any form."""
    assert isinstance(value, Call)
    opened = unfold(value.function)(value)
    numerator, divisor, last = (part(opened.right, 2, *path) for path in ((0, 0), (0, 1), (1,)))
    return in_order(lambda _: opened, inside((2,), by_arithmetic(numerator * last / divisor)), sum_scaled)(value)


def row_sum_one(form: Form = PLAIN_FORM) -> Theorem:
    """row i may attend to some key ⊢ attention(v := 1)[i, f] = 1."""
    start = form.call({"v": Lambda((j, f), ONE)}, i, f)
    allowed = assumption((), positive(form.whole))
    return in_order(
        unfold(form.name), inside((2,), by_arithmetic(form.weight(i, j) / form.whole)), sum_scaled, by_arithmetic(ONE, allowed)
    )(start)


def score_shift(form: Form = PLAIN_FORM) -> Theorem:
    """⊢ the scores of a row (and its sink) may be shifted by any z: the result is the same, in the form with one division."""
    plain = deferred(form.call({}, i, f))
    numerator = first(split_exponential)
    moved_weight = allow(i, j) * exp(form.score(i, j) + shift)
    split = first(split_exponential)(moved_weight * Entry("v", j, f))
    regroup = by_arithmetic(form.weight(i, j) * Entry("v", j, f) * exp(shift))
    top = in_order(inside((2,), in_order(lambda _: split, regroup)), sum_scaled)(total(j, m, moved_weight * Entry("v", j, f)))
    under = allow(i, l) * exp(form.score(i, l) + shift)
    bottom = in_order(
        inside((2,), in_order(numerator, by_arithmetic(form.weight(i, l) * exp(shift)))), sum_scaled
    )(total(l, m, under))
    if form.sink:
        whole = bottom.left + exp(sink + shift)
        bottom = in_order(inside((0,), rewriting(bottom)), by_arithmetic(form.whole * exp(shift)))(whole)
    quotient = top.left / bottom.left
    cancelled = in_order(first(rewriting(top)), first(rewriting(bottom)), by_arithmetic(plain.right))(quotient)
    return in_order(lambda _: plain, rewriting(symmetry((cancelled,))))(plain.left)


def permutation_equivariance(form: Form = PLAIN_FORM) -> Theorem:
    """s permutes the tokens ⊢ attention of permuted tokens is attention permuted (mask and bias permuted alike)."""
    si, sj = Entry("s", i), Entry("s", j)
    moved = form.call(
        {
            "m": n,
            "q": Lambda((i, c), Entry("q", si, c)), "k": Lambda((j, c), Entry("k", sj, c)), "v": Lambda((j, f), Entry("v", sj, f)),
            "allow": Lambda((i, j), allow(si, sj)), "bias": Lambda((i, j), Entry("bias", si, sj)),
        },
        i, f,
    )
    return both_sides(moved, form.call({"m": n}, si, f), unfold(form.name), in_order(unfold(form.name), _keys_reindexed))


def _keys_reindexed(value: Term) -> Theorem:
    """Both sums of Σ_j w[j]/Σ_l w[l]·v[j] over permuted keys, the inner one first; beside it may stand a sink."""
    inner = part(value, 2, 0, 1)
    inner = inner if isinstance(inner, Fold) else part(inner, 0)
    return in_order(first(rewriting(reindexed("s")(inner))), reindexed("s"))(value)


def key_permutation(form: Form = PLAIN_FORM) -> Theorem:
    """s permutes the keys ⊢ keys and values permuted together (mask columns too) change nothing."""
    sj = Entry("s", j)
    moved = form.call(
        {
            "k": Lambda((j, c), Entry("k", sj, c)), "v": Lambda((j, f), Entry("v", sj, f)),
            "allow": Lambda((i, j), allow(i, sj)), "bias": Lambda((i, j), Entry("bias", i, sj)),
        },
        i, f,
    )
    return both_sides(moved, form.call({}, i, f), unfold(form.name), in_order(unfold(form.name), _keys_reindexed))


def key_shift() -> Theorem:
    """⊢ attention(k := k + u)[i, f] = attention(k)[i, f] for one vector u added to every key."""
    u = Entry("u", c)
    moved = DEFINITION.call({"k": Lambda((j, c), Entry("k", j, c) + u)}, i, f)
    offset = scale * total(c, d, Entry("q", i, c) * u)
    opened = deferred(moved)
    to_shifted = [
        in_order(
            first(by_arithmetic(Entry("q", i, c) * Entry("k", key, c) + Entry("q", i, c) * u)), first(sum_of_sums),
            by_arithmetic(score(i, key) + offset),
        )(scale * total(c, d, Entry("q", i, c) * (Entry("k", key, c) + u)) + Entry("bias", i, key))
        for key in (j, l)
    ]
    same = instantiation((score_shift(),), {shift: offset}, {})
    return in_order(
        lambda _: opened, *(first(rewriting(step)) for step in to_shifted), rewriting(symmetry((same,)))
    )(moved)


def linearity(form: Form = PLAIN_FORM) -> Theorem:
    """⊢ attention(v := a·v + b·w) = a·attention(v) + b·attention(w)."""
    v, w = Entry("v", j, f), Entry("w", j, f)
    mixed = form.call({"v": Lambda((j, f), a * v + b * w)}, i, f)
    other = form.call({"v": Lambda((j, f), w)}, i, f)
    p = form.weight(i, j) / form.whole
    to_sum = in_order(
        unfold(form.name), inside((2,), by_arithmetic(a * (p * v) + b * (p * w))), sum_of_sums,
        inside((0,), sum_scaled), inside((1,), sum_scaled),
    )
    return both_sides(mixed, a * form.call({}, i, f) + b * other, to_sum, everywhere(unfold(form.name)))


@cache
def derivation(form: Form) -> Derivation:
    """The derivation of one head in a form, with the theorems that hold in it."""
    if form.mean:
        from kernelproof.symbolic.theorems.attention_mean import with_mean  # it speaks of the derivations here

        return with_mean(form)
    shifted = score_shift(form)
    start = form.call({}, i, f)
    chain = Chain(start)
    chain.step("unfold attention; the divisor does not depend on the key: divide once, at the end", deferred)
    instance = instantiation((shifted,), {shift: -form.highest}, {})
    plain = deferred(start)
    chain.step(
        f"shift invariance with z = −max of the allowed scores{' and the sink' if form.sink else ''}",
        rewriting(in_order(rewriting(symmetry((plain,))), rewriting(instance))(plain.right)),
    )
    chain.step("write the negative shift as a difference", as_differences)
    return Derivation(
        phase="attention",
        title=PHASE.title,
        variant={},
        definition=form.definition,
        clauses=(Clausal(form.definition.clauses[0], tuple(chain.lines)),),
        statements=tuple(_statements(form, shifted)),
        licences=("attention.score_shift",),
        free_shifts=(form.highest,),
    )


def _statements(form: Form, shifted: Theorem) -> Iterator[Statement]:
    """The theorems of a form. With a sink the weights of keys do not sum to one."""
    over = ((i, n), (f, e))
    if not form.sink:
        yield Statement("attention.row_sum_one", "The weights of a row sum to one", row_sum_one(form), over)
    yield Statement(
        "attention.score_shift", "Any shift of a row of scores, and one division at the end, give the same", shifted, over,
        (Extra("z", "real"),),
    )
    if not form.turned:
        yield from _permutations(form)
    if form == PLAIN_FORM:
        vector = (Extra("u", "real", (d,)),)
        yield Statement("attention.key_shift", "One vector added to every key changes nothing", key_shift(), over, vector)
    yield Statement(
        "attention.linearity", "The result is linear in the values", linearity(form), over,
        (Extra("w", "real", (m, e)), Extra("a", "real"), Extra("b", "real")),
    )


def _permutations(form: Form) -> Iterator[Statement]:
    """What permutations of tokens and keys do where scores do not depend on positions."""
    over = ((i, n), (f, e))
    yield Statement(
        "attention.permutation_equivariance", "Permuting the tokens permutes the result", permutation_equivariance(form), over,
        (Extra("s", "permutation", (n,), n),),
    )
    yield Statement(
        "attention.key_permutation", "Permuting keys and values together changes nothing", key_permutation(form), over,
        (Extra("s", "permutation", (m,), m),),
    )


@cache
def by_heads(kind: Heads) -> Derivation:
    """The derivation with heads in the definition."""
    return kind.derivation(derivation(kind.form))


def form_of(variant: Options) -> Form | Heads:
    """What the definition of a variant is."""
    sunk, grouped = bool(variant.get("sinks")), bool(variant.get("grouped_query"))
    wanted = Form(variant.get("softcap") is not None, sunk, variant.get("fully_masked") == "mean", str(variant.get("rotary") or ""))
    form = next(found for found in FORMS if found == wanted)
    headed = grouped or sunk or bool(variant.get("alibi"))
    return next(kind for kind in HEADS if kind == Heads(form, grouped)) if headed else form


def of_plain_form(statements: Callable[[Options], tuple[Statement, ...]]) -> Callable[[Options], tuple[Statement, ...]]:
    """Statements about the plain definition: made once, and none for variants that are defined otherwise."""
    made = cache(lambda: statements({}))

    def of(variant: Options) -> tuple[Statement, ...]:
        return tuple(found for found in made() if found.id not in left_out(variant)) if form_of(variant) == PLAIN_FORM else ()

    return of


def build(variant: Options) -> Derivation:
    """Derivation and theorems."""
    form = form_of(variant)
    made = derivation(form) if isinstance(form, Form) else by_heads(form)
    kept = tuple(found for found in made.statements if found.id not in left_out(variant))
    return replace(made, variant=dict(variant), statements=kept)


PHASE = Phase(
    name="attention",
    title="Scaled dot-product attention",
    summary="values averaged with the softmax of scaled scores, with mask and bias",
    signature="f(q, k, v, *, causal=False, mask=None, scale=None)",
    build=build,
    variants={},
    opened=OPTIONS,
    samples=VARIANTS,
    excluded=EXCLUDED,
    functions={
        **{form.name: partial(derivation, form) for form in FORMS}, **{kind.name: partial(by_heads, kind) for kind in HEADS},
    },
    shifts=tuple(form.highest for form in FORMS),
)
