"""RMS norm: ``y[c] = x[c] / √(mean of x² + ε) · gain[c]`` over the last axis.

Source: Zhang and Sennrich, arXiv:1910.07467. It has no shift and no mean theorem. Kernel form: the definition.
"""

from __future__ import annotations

from kernelproof.symbolic.binding import at
from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.definitions import define
from kernelproof.symbolic.core.logic import assumption, instantiation
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.formulas import positive
from kernelproof.symbolic.functions import Clause, Definition, Parameter
from kernelproof.symbolic.phase import Clausal, Derivation, Extra, Options, Phase, Statement
from kernelproof.symbolic.tactics.rewriting import Chain, both_sides, by_arithmetic, first, in_order, replaced, rewriting, unfold, use
from kernelproof.symbolic.tactics.signs import positivity
from kernelproof.symbolic.tactics.sums import linear_sum, sum_scaled
from kernelproof.symbolic.terms import ONE, Entry, Lambda, Term, size, sqrt, term, total, variables

d = size("d")
c, k, a, eps = variables("c k a eps")


def x(index: Term) -> Entry:
    """An entry of the row."""
    return Entry("x", index)


SQUARES = total(k, d, x(k) ** 2) / d
DEFINITION = define(
    Definition(
        "rms_norm",
        (
            Parameter("d", kind="size", meaning="width"), Parameter("x", (d,), meaning="a row"), Parameter("gain", (d,), meaning="scale"),
            Parameter("eps", meaning="added to the mean square"),
        ),
        (Clause((c,), ((c, d),), x(c) / sqrt(SQUARES + eps) * Entry("gain", c)),),
        meaning="a row over the root of its mean square plus ε, scaled",
    )
)
GOOD = assumption((), positive(SQUARES + eps))


def mean_square() -> Theorem:
    """0 < q + ε ⊢ Σ_c rms_norm(x, 1)[c]² / d = q / (q + ε), q the mean of x²."""
    spread = SQUARES + eps
    start = total(c, d, DEFINITION.call({"gain": Lambda((c,), ONE)}, c) ** 2) / d
    unfolded = first(unfold("rms_norm"))(start)
    root = sqrt(spread)
    cofactor = -(x(c) ** 2) / (root * root * spread)
    divisors = (use("root_squared", GOOD, a=spread), positivity(root, GOOD), GOOD)
    squared = arithmetic(divisors, term(at(unfolded.right, (0, 2))), x(c) ** 2 / spread, (cofactor,))
    return in_order(
        lambda _: unfolded, first(rewriting(squared)), first(linear_sum), by_arithmetic(SQUARES / spread, GOOD)
    )(start)


def scale_invariance() -> Theorem:
    """0 < a, 0 < q + ε ⊢ rms_norm(a·x; a²·ε) = rms_norm(x; ε)."""
    scale = assumption((), positive(a))
    start = DEFINITION.call({"x": Lambda((c,), a * x(c)), "eps": a**2 * eps}, c)
    square = arithmetic((), (a * x(k)) ** 2, a**2 * x(k) ** 2)
    out = sum_scaled(total(k, d, a**2 * x(k) ** 2))
    together = arithmetic((), out.right / d + a**2 * eps, a**2 * (SQUARES + eps))
    plain = unfold("rms_norm")(DEFINITION.call({}, c))
    to_plain = in_order(
        unfold("rms_norm"), first(rewriting(square)), first(rewriting(out)), first(rewriting(together)),
        first(rewriting(use("root_scaled", scale, c=a, a=SQUARES + eps))),
        by_arithmetic(plain.right, scale, positivity(sqrt(SQUARES + eps), GOOD)),
    )
    return both_sides(start, DEFINITION.call({}, c), to_plain, lambda _: plain)


def sign_flip() -> Theorem:
    """⊢ rms_norm(−x)[c] = −rms_norm(x)[c]."""
    start = DEFINITION.call({"x": Lambda((c,), -x(c))}, c)
    square = arithmetic((), (-x(k)) ** 2, x(k) ** 2)
    plain = unfold("rms_norm")(DEFINITION.call({}, c))
    to_plain = in_order(unfold("rms_norm"), first(rewriting(square)), by_arithmetic(-plain.right))
    return both_sides(start, -DEFINITION.call({}, c), to_plain, first(unfold("rms_norm")))


def negative_scale() -> Theorem:
    """0 < a, 0 < q + ε ⊢ rms_norm(−a·x; a²·ε)[c] = −rms_norm(x; ε)[c]."""
    flipped = instantiation((sign_flip(),), {eps: a**2 * eps}, {"x": Lambda((c,), a * x(c))})
    return replaced(flipped, scale_invariance())


def build(variant: Options) -> Derivation:
    """Derivation and theorems."""
    chain = Chain(DEFINITION.call({}, c)).step("unfold RMS norm", unfold("rms_norm"))
    return Derivation(
        phase="rms_norm",
        title=PHASE.title,
        variant=dict(variant),
        definition=DEFINITION,
        clauses=(Clausal(DEFINITION.clauses[0], tuple(chain.lines)),),
        statements=(
            Statement("rms_norm.mean_square", "Before the gain the mean square is q/(q+ε)", mean_square()),
            Statement(
                "rms_norm.scale_invariance", "Scaling the row by a and ε by a² changes nothing", scale_invariance(), ((c, d),),
                (Extra("a", "positive"),), needs=("eps",),
            ),
            Statement("rms_norm.sign_flip", "Reversing the row reverses the result", sign_flip(), ((c, d),)),
            Statement(
                "rms_norm.negative_scale", "Scaling the row by −a and ε by a² reverses the result", negative_scale(), ((c, d),),
                (Extra("a", "positive"),), needs=("eps",),
            ),
        ),
        licences=(),
    )


PHASE = Phase(
    name="rms_norm",
    title="RMS normalisation",
    summary="a row over the root of its mean square, scaled",
    signature="f(x, gain, *, eps=1e-5)",
    build=build,
    definitions={DEFINITION.name: {}},
    variants={},
)
