"""Layer norm: ``y[c] = (x[c] − μ) / √(σ² + ε) · gain[c] + bias[c]`` over the last axis, population variance.

Source: Ba, Kiros and Hinton, arXiv:1607.06450. Kernel form: the definition in two passes (mean, then deviations); the error of the
mean enters the variance only squared, which no one-pass form has.
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
from kernelproof.symbolic.tactics.rewriting import (
    Chain,
    both_sides,
    by_arithmetic,
    everywhere,
    first,
    in_order,
    inside,
    replaced,
    rewriting,
    unfold,
    use,
)
from kernelproof.symbolic.tactics.signs import positivity
from kernelproof.symbolic.tactics.sums import linear_sum, sum_scaled
from kernelproof.symbolic.terms import ONE, ZERO, Entry, Lambda, Term, size, sqrt, term, total, variables

d = size("d")
c, k, l, a, eps = variables("c k l a eps")


def x(index: Term) -> Entry:
    """An entry of the row."""
    return Entry("x", index)


MEAN = total(k, d, x(k)) / d
VARIANCE = total(l, d, (x(l) - MEAN) ** 2) / d
DEFINITION = define(
    Definition(
        "layer_norm",
        (
            Parameter("d", kind="size", meaning="width"), Parameter("x", (d,), meaning="a row"), Parameter("gain", (d,), meaning="scale"),
            Parameter("bias", (d,), meaning="offset"), Parameter("eps", meaning="added to the variance"),
        ),
        (Clause((c,), ((c, d),), (x(c) - MEAN) / sqrt(VARIANCE + eps) * Entry("gain", c) + Entry("bias", c)),),
        meaning="a row less its mean, over the root of its variance plus ε, scaled and offset",
    )
)
PLAIN = {"gain": Lambda((c,), ONE), "bias": Lambda((c,), ZERO)}
NONEMPTY = assumption((), positive(d))


def normalised_sum(body: Term) -> Theorem:
    """Σ_c (x[c] − μ) = 0 for a non-empty row, in the form that stands in the term."""
    fold = total(c, d, body)
    return in_order(everywhere(linear_sum), by_arithmetic(ZERO, NONEMPTY))(fold)


def mean_zero() -> Theorem:
    """0 < d ⊢ Σ_c layer_norm(x, 1, 0)[c] = 0."""
    start = total(c, d, DEFINITION.call(PLAIN, c))
    divided = (x(c) - MEAN) / sqrt(VARIANCE + eps)
    tidy = first(by_arithmetic(divided))
    deviations = normalised_sum(x(c) - MEAN)
    return in_order(
        first(unfold("layer_norm")), inside((2,), tidy), linear_sum, first(rewriting(deviations)), by_arithmetic(ZERO)
    )(start)


def mean_square() -> Theorem:
    """0 < d, 0 < σ² + ε ⊢ Σ_c layer_norm(x, 1, 0)[c]² / d = σ² / (σ² + ε)."""
    spread = VARIANCE + eps
    good = assumption((), positive(spread))
    root = use("root_squared", good, a=spread)
    start = total(c, d, DEFINITION.call(PLAIN, c) ** 2) / d
    square = (x(c) - MEAN) ** 2 / spread
    divisors = (root, positivity(sqrt(spread), good), good)
    unfolded = first(unfold("layer_norm"))(start)
    body = term(at(unfolded.right, (0, 2)))
    # (y/r)² = y²/s because r·r = s: the difference is y²·(s − r²)/(r²·s)
    deviation = x(c) - MEAN
    cofactor = -(deviation**2) / (sqrt(spread) * sqrt(spread) * spread)
    squared = arithmetic(divisors, body, square, (cofactor,))
    return in_order(
        lambda _: unfolded, first(rewriting(squared)), first(linear_sum), by_arithmetic(VARIANCE / spread, good)
    )(start)


def shift_invariance() -> Theorem:
    """0 < d ⊢ layer_norm(λc. x[c] + a)[c] = layer_norm(x)[c]."""
    shifted = DEFINITION.call({"x": Lambda((c,), x(c) + a)}, c)
    mean = in_order(everywhere(linear_sum), by_arithmetic(MEAN + a, NONEMPTY))(total(k, d, x(k) + a) / d)
    deviations = [arithmetic((), x(index) + a - (MEAN + a), x(index) - MEAN) for index in (l, c)]
    to_plain = in_order(
        unfold("layer_norm"), everywhere(rewriting(mean)), *(everywhere(rewriting(equal)) for equal in deviations)
    )
    return both_sides(shifted, DEFINITION.call({}, c), to_plain, unfold("layer_norm"))


def scale_invariance() -> Theorem:
    """0 < a, 0 < σ² + ε ⊢ layer_norm(a·x; a²·ε) = layer_norm(x; ε)."""
    scale = assumption((), positive(a))
    good = assumption((), positive(VARIANCE + eps))
    start = DEFINITION.call({"x": Lambda((c,), a * x(c)), "eps": a**2 * eps}, c)
    mean = in_order(everywhere(linear_sum), by_arithmetic(a * MEAN))(total(k, d, a * x(k)) / d)
    squares = arithmetic((), (a * x(l) - a * MEAN) ** 2, a**2 * (x(l) - MEAN) ** 2)
    spread = a**2 * total(l, d, (x(l) - MEAN) ** 2) / d + a**2 * eps
    together = arithmetic((), spread, a**2 * (VARIANCE + eps))
    root = use("root_scaled", scale, c=a, a=VARIANCE + eps)
    plain = unfold("layer_norm")(DEFINITION.call({}, c))
    divisors = (scale, positivity(sqrt(VARIANCE + eps), good))
    to_plain = in_order(
        unfold("layer_norm"), everywhere(rewriting(mean)), everywhere(rewriting(squares)), _scaled_at_squares,
        first(rewriting(together)), first(rewriting(root)), by_arithmetic(plain.right, *divisors),
    )
    return both_sides(start, DEFINITION.call({}, c), to_plain, lambda _: plain)


def _scaled_at_squares(value: Term) -> Theorem:
    """Σ a²·f = a²·Σ f at the one sum that has a² in front."""
    fold = total(l, d, a**2 * (x(l) - MEAN) ** 2)
    return first(rewriting(sum_scaled(fold)))(value)


def sign_flip() -> Theorem:
    """⊢ layer_norm(−x, gain, −bias)[c] = −layer_norm(x, gain, bias)[c]."""
    start = DEFINITION.call({"x": Lambda((c,), -x(c)), "bias": Lambda((c,), -Entry("bias", c))}, c)
    mean = in_order(first(sum_scaled), by_arithmetic(-MEAN))(total(k, d, -x(k)) / d)
    square = arithmetic((), (-x(l) - -MEAN) ** 2, (x(l) - MEAN) ** 2)
    plain = unfold("layer_norm")(DEFINITION.call({}, c))
    to_plain = in_order(
        unfold("layer_norm"), everywhere(rewriting(mean)), first(rewriting(square)), by_arithmetic(-plain.right),
    )
    return both_sides(start, -DEFINITION.call({}, c), to_plain, first(unfold("layer_norm")))


def negative_scale() -> Theorem:
    """0 < a, 0 < σ² + ε ⊢ layer_norm(−a·x, −bias; a²·ε)[c] = −layer_norm(x; ε)[c]."""
    flipped = instantiation((sign_flip(),), {eps: a**2 * eps}, {"x": Lambda((c,), a * x(c))})
    return replaced(flipped, scale_invariance())


def build(variant: Options) -> Derivation:
    """Derivation and theorems."""
    chain = Chain(DEFINITION.call({}, c)).step("unfold layer norm", unfold("layer_norm"))
    over = ((c, d),)
    return Derivation(
        phase="layer_norm",
        title=PHASE.title,
        variant=dict(variant),
        definition=DEFINITION,
        clauses=(Clausal(DEFINITION.clauses[0], tuple(chain.lines)),),
        statements=(
            Statement("layer_norm.mean_zero", "Before gain and bias a row has mean zero", mean_zero()),
            Statement("layer_norm.mean_square", "Before gain and bias the mean square is σ²/(σ²+ε)", mean_square()),
            Statement(
                "layer_norm.shift_invariance", "A constant added to the row changes nothing", shift_invariance(), over,
                (Extra("a", "real"),),
            ),
            Statement(
                "layer_norm.scale_invariance", "Scaling the row by a and ε by a² changes nothing", scale_invariance(), over,
                (Extra("a", "positive"),), needs=("eps",),
            ),
            Statement("layer_norm.sign_flip", "Reversing the row and the bias reverses the result", sign_flip(), over),
            Statement(
                "layer_norm.negative_scale", "Scaling the row by −a, the bias by −1 and ε by a² reverses the result", negative_scale(),
                over, (Extra("a", "positive"),), needs=("eps",),
            ),
        ),
        licences=(),
    )


PHASE = Phase(
    name="layer_norm",
    title="Layer normalisation",
    summary="a row less its mean, over its standard deviation, scaled and offset",
    signature="f(x, gain, bias, *, eps=1e-5)",
    build=build,
    definitions={DEFINITION.name: {}},
    variants={},
)
