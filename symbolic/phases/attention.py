"""Scaled dot-product attention with a mask and a bias on the scores.

``S[i, j] = scale·Σ_c q[i, c]·k[j, c] + bias[i, j]`` and
``attention[i, f] = Σ_j (allow[i, j]·exp S[i, j] / Σ_l allow[i, l]·exp S[i, l])·v[j, f]``, allow ∈ {0, 1}.

Source: Vaswani et al., arXiv:1706.03762, section 3.2.1. ``causal`` and boolean masks are values of ``allow``, a floating mask is
``bias``. Since x/0 = 0, a row that may attend to nothing gives zeros: the contract's convention. Kernel form: scores shifted by the
maximum of the allowed ones (shift invariance), and one division at the end (the divisor does not depend on the key).
"""

from __future__ import annotations

from kernelproof.symbolic.core.definitions import define
from kernelproof.symbolic.core.logic import assumption, instantiation, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.formulas import positive
from kernelproof.symbolic.functions import Clause, Definition, Parameter
from kernelproof.symbolic.phase import Clausal, Derivation, Extra, Options, Phase, Statement
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
from kernelproof.symbolic.terms import ONE, Entry, Lambda, Term, exp, maximum_of, size, total, variables

n, m, d, e = size("n"), size("m"), size("d"), size("e")
i, j, l, c, f, scale, shift, a, b = variables("i j l c f scale z a b")


def score(query: Term, key: Term) -> Term:
    """S[i, j]."""
    return scale * total(c, d, Entry("q", query, c) * Entry("k", key, c)) + Entry("bias", query, key)


def allow(query: Term, key: Term) -> Term:
    """1 where the key may be attended to, else 0."""
    return Entry("allow", query, key)


def weight(query: Term, key: Term) -> Term:
    """The weight before division."""
    return allow(query, key) * exp(score(query, key))


WHOLE = total(l, m, weight(i, l))
DEFINITION = define(
    Definition(
        "attention",
        (
            Parameter("n", kind="size", meaning="queries"), Parameter("m", kind="size", meaning="keys"),
            Parameter("d", kind="size", meaning="width of queries and keys"), Parameter("e", kind="size", meaning="width of values"),
            Parameter("q", (n, d), meaning="queries"), Parameter("k", (m, d), meaning="keys"), Parameter("v", (m, e), meaning="values"),
            Parameter("scale", meaning="1/√d unless given"), Parameter("allow", (n, m), "indicator", meaning="1 = may attend, 0 = may not"),
            Parameter("bias", (n, m), meaning="added to the scores"),
        ),
        (Clause((i, f), ((i, n), (f, e)), total(j, m, weight(i, j) / WHOLE * Entry("v", j, f))),),
        meaning="values averaged with the softmax of the scaled scores",
    )
)
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
    """One division at the end, for any arguments."""
    opened = UNFOLD(value)
    numerator, divisor, last = (part(opened.right, 2, *path) for path in ((0, 0), (0, 1), (1,)))
    return in_order(lambda _: opened, inside((2,), by_arithmetic(numerator * last / divisor)), sum_scaled)(value)


def row_sum_one() -> Theorem:
    """row i may attend to some key ⊢ attention(v := 1)[i, f] = 1."""
    start = DEFINITION.call({"v": Lambda((j, f), ONE)}, i, f)
    allowed = assumption((), positive(WHOLE))
    return in_order(
        UNFOLD, inside((2,), by_arithmetic(weight(i, j) / WHOLE)), sum_scaled, by_arithmetic(ONE, allowed)
    )(start)


def score_shift() -> Theorem:
    """⊢ the scores of a row may be shifted by any z: the result is the same, in the form with one division."""
    plain = deferred(PLAIN)
    numerator = first(split_exponential)
    moved_weight = allow(i, j) * exp(score(i, j) + shift)
    split = first(split_exponential)(moved_weight * Entry("v", j, f))
    regroup = by_arithmetic(weight(i, j) * Entry("v", j, f) * exp(shift))
    top = in_order(inside((2,), in_order(lambda _: split, regroup)), sum_scaled)(total(j, m, moved_weight * Entry("v", j, f)))
    under = allow(i, l) * exp(score(i, l) + shift)
    bottom = in_order(
        inside((2,), in_order(numerator, by_arithmetic(weight(i, l) * exp(shift)))), sum_scaled
    )(total(l, m, under))
    quotient = top.left / bottom.left
    cancelled = in_order(first(rewriting(top)), first(rewriting(bottom)), by_arithmetic(plain.right))(quotient)
    return in_order(lambda _: plain, rewriting(symmetry((cancelled,))))(PLAIN)


MAXIMUM = maximum_of(l, m, score(i, l), allow(i, l))


def permutation_equivariance() -> Theorem:
    """s permutes the tokens ⊢ attention of permuted tokens is attention permuted (mask and bias permuted alike)."""
    si, sj = Entry("s", i), Entry("s", j)
    moved = DEFINITION.call(
        {
            "m": n,
            "q": Lambda((i, c), Entry("q", si, c)), "k": Lambda((j, c), Entry("k", sj, c)), "v": Lambda((j, f), Entry("v", sj, f)),
            "allow": Lambda((i, j), allow(si, sj)), "bias": Lambda((i, j), Entry("bias", si, sj)),
        },
        i, f,
    )
    plain = DEFINITION.call({"m": n}, si, f)
    inner = total(l, n, weight(si, l))
    outer = total(j, n, weight(si, j) / inner * Entry("v", j, f))
    to_moved = in_order(
        UNFOLD, first(rewriting(reindexed("s")(inner))), rewriting(reindexed("s")(_with(outer, inner)))
    )
    return both_sides(moved, plain, UNFOLD, to_moved)


def _with(outer: Term, inner: Term) -> Term:
    """The outer sum with its divisor reindexed."""
    return first(rewriting(reindexed("s")(inner)))(outer).right


def key_permutation() -> Theorem:
    """s permutes the keys ⊢ keys and values permuted together (mask columns too) change nothing."""
    sj = Entry("s", j)
    moved = DEFINITION.call(
        {
            "k": Lambda((j, c), Entry("k", sj, c)), "v": Lambda((j, f), Entry("v", sj, f)),
            "allow": Lambda((i, j), allow(i, sj)), "bias": Lambda((i, j), Entry("bias", i, sj)),
        },
        i, f,
    )
    outer = total(j, m, weight(i, j) / WHOLE * Entry("v", j, f))
    to_moved = in_order(
        UNFOLD, first(rewriting(reindexed("s")(WHOLE))), rewriting(reindexed("s")(_with(outer, WHOLE)))
    )
    return both_sides(moved, PLAIN, UNFOLD, to_moved)


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


def linearity() -> Theorem:
    """⊢ attention(v := a·v + b·w) = a·attention(v) + b·attention(w)."""
    v, w = Entry("v", j, f), Entry("w", j, f)
    mixed = DEFINITION.call({"v": Lambda((j, f), a * v + b * w)}, i, f)
    other = DEFINITION.call({"v": Lambda((j, f), w)}, i, f)
    p = weight(i, j) / WHOLE
    to_sum = in_order(
        UNFOLD, inside((2,), by_arithmetic(a * (p * v) + b * (p * w))), sum_of_sums,
        inside((0,), sum_scaled), inside((1,), sum_scaled),
    )
    return both_sides(mixed, a * PLAIN + b * other, to_sum, everywhere(UNFOLD))


def build(variant: Options) -> Derivation:
    """Derivation and theorems."""
    shifted = score_shift()
    chain = Chain(PLAIN)
    chain.step("unfold attention; the divisor does not depend on the key: divide once, at the end", deferred)
    instance = instantiation((shifted,), {shift: -MAXIMUM}, {})
    plain = deferred(PLAIN)
    chain.step(
        "shift invariance with z = −max of the allowed scores",
        rewriting(in_order(rewriting(symmetry((plain,))), rewriting(instance))(plain.right)),
    )
    chain.step("write the negative shift as a difference", as_differences)
    over = ((i, n), (f, e))
    return Derivation(
        phase="attention",
        title=PHASE.title,
        variant=dict(variant),
        definition=DEFINITION,
        clauses=(Clausal(DEFINITION.clauses[0], tuple(chain.lines)),),
        statements=(
            Statement("attention.row_sum_one", "The weights of a row sum to one", row_sum_one(), over),
            Statement(
                "attention.score_shift", "Any shift of a row of scores, and one division at the end, give the same", shifted, over,
                (Extra("z", "real"),),
            ),
            Statement(
                "attention.permutation_equivariance", "Permuting the tokens permutes the result", permutation_equivariance(), over,
                (Extra("s", "permutation", (n,), n),),
            ),
            Statement(
                "attention.key_permutation", "Permuting keys and values together changes nothing", key_permutation(), over,
                (Extra("s", "permutation", (m,), m),),
            ),
            Statement(
                "attention.key_shift", "One vector added to every key changes nothing", key_shift(), over, (Extra("u", "real", (d,)),)
            ),
            Statement(
                "attention.linearity", "The result is linear in the values", linearity(), over,
                (Extra("w", "real", (m, e)), Extra("a", "real"), Extra("b", "real")),
            ),
        ),
        licences=("attention.score_shift",),
        free_shifts=(MAXIMUM,),
    )


PHASE = Phase(
    name="attention",
    title="Scaled dot-product attention",
    summary="values averaged with the softmax of scaled scores, with mask and bias",
    signature="f(q, k, v, *, causal=False, mask=None, scale=None)",
    build=build,
    variants={},
)
