"""Softmax: ``softmax(x)[j] = exp(x[j]) / Σ_k exp(x[k])`` over the last axis.

Kernel form: the same with the row maximum subtracted, licensed by shift invariance. Source: Bridle 1990; the shifted form is
analysed by Blanchard, Higham and Higham, IMA J. Numer. Anal. 41 (2021).
"""

from __future__ import annotations

from kernelproof.symbolic.core.definitions import define
from kernelproof.symbolic.core.equality import assumption, instantiation, positivity, symmetry
from kernelproof.symbolic.core.folds import fold_reindexed, sum_scaled
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.formulas import positive
from kernelproof.symbolic.functions import Clause, Definition, Parameter
from kernelproof.symbolic.phase import Clausal, Derivation, Extra, Options, Phase, Statement
from kernelproof.symbolic.tactics import (
    Chain,
    as_differences,
    both_sides,
    by_arithmetic,
    everywhere,
    first,
    in_order,
    of_rule,
    rewriting,
    split_exponential,
    unfold,
)
from kernelproof.symbolic.terms import ONE, Entry, Lambda, Term, exp, maximum_of, size, total, variables

n = size("n")
j, k, c = variables("j k c")


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


def row_sum_one() -> Theorem:
    """0 < n ⊢ Σ_j softmax(x)[j] = 1."""
    divisor = positivity((assumption((), positive(n)),), WHOLE)
    chain = Chain(total(j, n, DEFINITION.call({}, j)))
    chain.step("unfold softmax", first(unfold("softmax")))
    chain.step("the divisor does not depend on j: take it out of the sum", of_rule(sum_scaled))
    chain.step("a positive number over itself is one", by_arithmetic(ONE, divisor))
    return chain.theorem()


def shift_invariance() -> Theorem:
    """⊢ softmax(λj. x[j] + c)[j] = softmax(x)[j]."""
    shifted = DEFINITION.call({"x": Lambda((j,), x(j) + c)}, j)
    plain = DEFINITION.call({}, j)
    split = in_order(unfold("softmax"), everywhere(split_exponential), first(of_rule(sum_scaled)))
    to_plain = in_order(split, by_arithmetic(exp(x(j)) / WHOLE))
    return both_sides(shifted, plain, to_plain, unfold("softmax"))


def permutation_equivariance() -> Theorem:
    """s permutes the row ⊢ softmax(λj. x[s[j]])[j] = softmax(x)[s[j]]."""
    s_j = Entry("s", j)
    moved = DEFINITION.call({"x": Lambda((j,), x(s_j))}, j)
    return both_sides(
        moved, DEFINITION.call({}, s_j), unfold("softmax"), in_order(unfold("softmax"), first(of_rule(fold_reindexed, "s")))
    )


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
        ),
        licences=("softmax.shift_invariance", "softmax.stable_form"),
        free_shifts=(MAXIMUM,),
    )


PHASE = Phase(
    name="softmax",
    title="Softmax",
    summary="exponentials of a row of scores over their sum",
    signature="f(x)",
    build=build,
    variants={},
)
