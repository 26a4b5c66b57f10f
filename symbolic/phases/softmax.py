"""Softmax: ``softmax(x)[j] = exp(x[j]) / Σ_k exp(x[k])`` over the last axis.

Kernel form: the same with the row maximum subtracted, licensed by shift invariance. Source: Bridle 1990; the shifted form is
analysed by Blanchard, Higham and Higham, IMA J. Numer. Anal. 41 (2021).
"""

from __future__ import annotations

from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.definitions import define
from kernelproof.symbolic.core.logic import assumption, generalisation, instantiation, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.formulas import positive
from kernelproof.symbolic.functions import Clause, Definition, Parameter
from kernelproof.symbolic.phase import Clausal, Derivation, Extra, Options, Phase, Statement
from kernelproof.symbolic.tactics.collect import by_sums
from kernelproof.symbolic.tactics.rewriting import (
    Chain,
    as_differences,
    both_sides,
    by_arithmetic,
    discharged,
    everywhere,
    first,
    in_order,
    inside,
    replaced,
    rewriting,
    split_exponential,
    then,
    unfold,
    use,
)
from kernelproof.symbolic.tactics.signs import nonnegativity, positivity
from kernelproof.symbolic.tactics.sums import reindexed, sum_delta, sum_scaled, sum_split
from kernelproof.symbolic.terms import ONE, Entry, Lambda, Term, delta, exp, log, maximum_of, size, total, variables

m, n = size("m"), size("n")
i, j, k, a, b, c, temperature = variables("i j k a b c T")


def x(index: Term) -> Entry:
    """An entry of the scores."""
    return Entry("x", index)


DEFINITION = define(
    Definition(
        "softmax",
        (Parameter("n", kind="size", meaning="length of a row"), Parameter("x", (n,), meaning="scores")),
        (Clause((j,), ((j, n),), exp(x(j)) / total(k, n, exp(x(k)))),),
        meaning="exponentials over their sum, along the last axis",
    )
)
WHOLE = total(k, n, exp(x(k)))
MAXIMUM = maximum_of(k, n, x(k))


def whole_positive() -> Theorem:
    """0 < n ⊢ 0 < Σ_k exp(x[k])."""
    return positivity(WHOLE, assumption((), positive(n)))


def row_sum_one() -> Theorem:
    """0 < n ⊢ Σ_j softmax(x)[j] = 1."""
    divisor = whole_positive()
    chain = Chain(total(j, n, DEFINITION.call({}, j)))
    chain.step("unfold softmax", first(unfold("softmax")))
    chain.step("the divisor does not depend on j: take it out of the sum", sum_scaled)
    chain.step("a positive number over itself is one", by_arithmetic(ONE, divisor))
    return chain.theorem()


def shift_invariance() -> Theorem:
    """⊢ softmax(λj. x[j] + c)[j] = softmax(x)[j]."""
    shifted = DEFINITION.call({"x": Lambda((j,), x(j) + c)}, j)
    plain = DEFINITION.call({}, j)
    split = in_order(unfold("softmax"), everywhere(split_exponential), first(sum_scaled))
    to_plain = in_order(split, by_arithmetic(exp(x(j)) / WHOLE))
    return both_sides(shifted, plain, to_plain, unfold("softmax"))


def permutation_equivariance() -> Theorem:
    """s permutes the row ⊢ softmax(λj. x[s[j]])[j] = softmax(x)[s[j]]."""
    s_j = Entry("s", j)
    moved = DEFINITION.call({"x": Lambda((j,), x(s_j))}, j)
    return both_sides(
        moved, DEFINITION.call({}, s_j), unfold("softmax"), in_order(unfold("softmax"), first(reindexed("s")))
    )


def weights_positive() -> Theorem:
    """0 < n ⊢ softmax(x)[j] > 0."""
    unfolded = unfold("softmax")(DEFINITION.call({}, j))
    return replaced(positivity(unfolded.right, whole_positive()), symmetry((unfolded,)))


def at_most_one() -> Theorem:
    """j < n ⊢ 1 − softmax(x)[j] ≥ 0, the sum of the other weights."""
    p, other = DEFINITION.call({}, k), 1 - delta(k, j)
    below, from_zero = use("index_below", a=j, n=n), use("index_nonnegative", a=j, n=n)
    some = replaced(use("sum_with_nonnegative", below, from_zero, a=n - j, b=j), arithmetic((), n - j + j, n))
    indicator = use("delta_is_indicator", a=k, b=j)
    square = replaced(use("square_nonnegative", a=other), arithmetic((indicator,), other * other, other, (ONE,)))
    weight = discharged(instantiation((weights_positive(),), {j: k}, {}), some)
    known = (generalisation((fact,), ((k, n),)) for fact in (square, weight))
    others = total(k, n, other * p)
    apart = by_sums(others, total(k, n, p) - total(k, n, delta(k, j) * p))
    whole = in_order(first(rewriting(discharged(row_sum_one(), some))), first(sum_delta))
    return replaced(nonnegativity(others, *known), then(apart, whole(apart.right)))


def log_odds(scores: Lambda, gap: Term) -> Theorem:
    """0 < n ⊢ log(p[i]/p[j]) = gap, where p = softmax(scores) and gap = scores[i] − scores[j]."""
    quotient = DEFINITION.call({"x": scores}, i) / DEFINITION.call({"x": scores}, j)
    whole = instantiation((whole_positive(),), {}, {"x": scores})
    to_exponential = in_order(everywhere(unfold("softmax")), by_arithmetic(exp(gap), whole))
    return in_order(inside((0,), to_exponential), rewriting(use("logarithm_of_exp", a=gap)))(log(quotient))


def log_sum_form() -> Theorem:
    """0 < n ⊢ softmax(x)[j] = exp(x[j] − log Σ_k exp(x[k]))."""
    inverse = symmetry((use("exp_of_logarithm", whole_positive(), a=WHOLE),))
    quotient = inside((1,), rewriting(inverse))
    return in_order(unfold("softmax"), quotient, by_arithmetic(exp(x(j) - log(WHOLE))))(DEFINITION.call({}, j))


def recomputed() -> Theorem:
    """⊢ softmax(x)[j] = exp(x[j] − c)/Σ_k exp(x[k] − c) for any c: a kernel may keep c and the sum, and drop the weights."""
    shifted = symmetry((instantiation((shift_invariance(),), {c: -c}, {}),))
    return in_order(rewriting(shifted), unfold("softmax"), as_differences)(DEFINITION.call({}, j))


def reshifted(score: Term, length: Term, shift: Term) -> Theorem:
    """⊢ Σ_k exp(score − c) = exp(shift − c)·Σ_k exp(score − shift)."""
    moved = inside((2,), by_arithmetic(exp(shift - c) * exp(score - shift)))
    return in_order(moved, sum_scaled)(total(k, length, exp(score - c)))


def online() -> Theorem:
    """⊢ the sum over m + n scores, shifted by c, from the sums over the first m, shifted by a, and the last n, shifted by b."""
    whole = instantiation((recomputed(),), {n: m + n}, {})
    one, two = rewriting(reshifted(x(k), m, a)), rewriting(reshifted(x(m + k), n, b))
    blocks = in_order(inside((1,), sum_split), inside((1, 0), one), inside((1, 1), two))
    return then(whole, blocks(whole.right))


def build(variant: Options) -> Derivation:
    """Derivation and theorems."""
    shift = shift_invariance()
    chain = Chain(DEFINITION.call({}, j))
    instance = symmetry((instantiation((shift,), {c: -MAXIMUM}, {}),))
    chain.step("shift invariance with c = −max x: any shift gives the same result", rewriting(instance))
    chain.step("unfold softmax", unfold("softmax"))
    chain.step("write the negative shift as a difference", as_differences)
    return Derivation(
        phase="softmax",
        title=PHASE.title,
        variant=dict(variant),
        definition=DEFINITION,
        clauses=(Clausal(DEFINITION.clauses[0], tuple(chain.lines)),),
        statements=(
            Statement("softmax.row_sum_one", "The weights of a row sum to one", row_sum_one()),
            Statement(
                "softmax.shift_invariance", "A constant added to a row changes nothing", shift, over=((j, n),), extras=(Extra("c", "real"),)
            ),
            Statement("softmax.stable_form", "Subtracting the row maximum changes nothing", chain.theorem(), over=((j, n),)),
            Statement(
                "softmax.permutation_equivariance", "Permuting the scores permutes the weights", permutation_equivariance(),
                over=((j, n),), extras=(Extra("s", "permutation", (n,), n),),
            ),
            *_more(),
        ),
        licences=("softmax.shift_invariance", "softmax.stable_form"),
        free_shifts=(MAXIMUM,),
    )


def _more() -> tuple[Statement, ...]:
    """Signs, ratios and other forms of the weights."""
    plain = log_odds(Lambda((j,), x(j)), x(i) - x(j))
    tempered = log_odds(Lambda((j,), x(j) / temperature), (x(i) - x(j)) / temperature)
    sign = "a sign, which the comparison with the definition covers"
    return (
        Statement("softmax.positive", "Every weight is positive", weights_positive(), ((j, n),), untested=sign),
        Statement("softmax.at_most_one", "No weight exceeds one", at_most_one(), ((j, n),), untested=sign),
        Statement("softmax.log_odds", "Log-odds are differences of scores", plain, ((i, n), (j, n))),
        Statement("softmax.temperature", "A temperature divides the log-odds", tempered, ((i, n), (j, n)), (Extra("T", "positive"),)),
        Statement("softmax.log_sum_form", "Subtracting the log of the sum, then exp", log_sum_form(), ((j, n),)),
        Statement("softmax.recomputed", "Weights from any shift and the sum under it", recomputed(), ((j, n),), (Extra("c", "real"),)),
        Statement(
            "softmax.online", "The sum of two blocks, each with its own shift", online(), ((j, m + n),),
            (Extra("a", "real"), Extra("b", "real"), Extra("c", "real")), untested="it speaks of a row of m + n scores",
        ),
    )


PHASE = Phase(
    name="softmax",
    title="Softmax",
    summary="exponentials of a row of scores over their sum",
    signature="f(x)",
    build=build,
    definitions={DEFINITION.name: {}},
    variants={},
)
