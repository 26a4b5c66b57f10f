"""Gradient of layer norm, of one row, with named intermediates: the normalised row x̂ and its gradient ``dx̂ = g·gain``.

``dx[c] = (dx̂[c] − mean dx̂ − x̂[c]·mean(dx̂·x̂)) / √(σ² + ε)``, ``dgain = g·x̂``, ``dbias = g``; over several rows the last two are summed.
Derived by differentiating the definition along curves of row, gain and bias, for 0 < σ² + ε. ε does not move.
"""

from __future__ import annotations

from functools import cache

from kernelproof.symbolic.binding import substitute
from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.definitions import define
from kernelproof.symbolic.core.logic import assumption, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.formulas import positive
from kernelproof.symbolic.functions import Clause, Definition, Parameter
from kernelproof.symbolic.gradients.directions import (
    call_at,
    entry_slope,
    lines_to_gradients,
    named_gradients,
    nonempty,
    opened,
    straightened,
    vjp_statements,
)
from kernelproof.symbolic.phase import Extra, Gradient, Options, Statement
from kernelproof.symbolic.phases.layer_norm import DEFINITION, MEAN, NONEMPTY, PLAIN, VARIANCE, c, d, eps, k, mean_square, mean_zero
from kernelproof.symbolic.tactics.calculus import Ranges
from kernelproof.symbolic.tactics.collect import by_sums
from kernelproof.symbolic.tactics.gradients import valued
from kernelproof.symbolic.tactics.rewriting import (
    Line,
    both_sides,
    by_arithmetic,
    first,
    in_order,
    replaced,
    rewriting,
    then,
    unfold,
)
from kernelproof.symbolic.tactics.signs import positivity
from kernelproof.symbolic.terms import ZERO, Entry, Lambda, Term, sqrt, total

AXES: Ranges = ((c, d),)
INPUTS: dict[str, Ranges] = {"x": AXES, "gain": AXES, "bias": AXES}
#: the inputs that enter linearly
LINEAR = ("gain", "bias")
PARAMETERS = {parameter.name: parameter for parameter in (*DEFINITION.parameters, Parameter("g", (d,), meaning="gradient of the result"))}
SPREAD = VARIANCE + eps


def _stage(name: str, takes: str, body: Term, meaning: str) -> Definition:
    parameters = tuple(PARAMETERS[parameter] for parameter in takes.split())
    return define(Definition(f"layer_norm_{name}", parameters, (Clause((c,), AXES, body),), meaning=meaning))


def mean(body: Term) -> Term:
    """The mean over k of a body in k."""
    return total(k, d, body) / d


NORMAL = (Entry("x", c) - MEAN) / sqrt(SPREAD)
NORMALISED = _stage("normalised", "d x eps", NORMAL, "the normalised row")
DNORMALISED = _stage("dnormalised", "d gain g", Entry("g", c) * Entry("gain", c), "gradient of the normalised row")


def projected(there: Term, row: Term, products: Term, normalised: Term) -> Term:
    """(row[c] − mean of the row − x̂[c]·mean of the products) / √(σ² + ε): what x̂'s derivative does to a row, in either direction."""
    return (there - mean(row) - normalised * mean(products)) / sqrt(SPREAD)


def _dx() -> Term:
    here, there = DNORMALISED.call({}, c), DNORMALISED.call({}, k)
    return projected(here, there, there * NORMALISED.call({}, k), NORMALISED.call({}, c))


DX = _stage("dx", "d x gain eps g", _dx(), "gradient of the row")
DGAIN = _stage("dgain", "d x eps g", Entry("g", c) * NORMALISED.call({}, c), "gradient of the scale, from this row")
DBIAS = _stage("dbias", "d g", Entry("g", c), "gradient of the offset, from this row")
RESULTS = {"x": DX, "gain": DGAIN, "bias": DBIAS}


def at_start(value: Term) -> Term:
    """A term in x at the start of the curve."""
    return substitute(value, {}, {"x": Lambda((c,), Entry("X", ZERO, c))})


#: the row's variance plus ε is positive where the curve starts
GOOD = assumption((), positive(at_start(SPREAD)))


@cache
def slope() -> Theorem:
    """All inputs move, c < d, 0 < σ² + ε ⊢ d/dt f[c] = (U − mean U − x̂·mean(x̂·U))/√(σ² + ε)·gain + x̂·U_gain + U_bias."""
    here, there = (call_at(NORMALISED, INPUTS, ZERO, index) for index in (c, k))
    moving = at_start(projected(Entry("U_x", c), Entry("U_x", k), there * Entry("U_x", k), here))
    target = moving * Entry("GAIN", ZERO, c) + here * Entry("U_gain", c) + Entry("U_bias", c)
    return entry_slope(DEFINITION, INPUTS, AXES, target, (NORMALISED,), GOOD, nonempty(c, d))


@cache
def lines_along_curves() -> tuple[Theorem, Theorem, Theorem]:
    """The derivative of Σ g·f; what multiplies each direction; the names of the gradients."""
    return lines_to_gradients(slope(), AXES, named_gradients(RESULTS, INPUTS, DNORMALISED))


@cache
def along_curves() -> Theorem:
    """All inputs move, 0 < σ² + ε ⊢ d/dt Σ g·f = Σ U_x·dx + Σ U_gain·dgain + Σ U_bias·dbias."""
    loss, *others = lines_along_curves()
    return valued(loss, *others)


@cache
def along_linear() -> Theorem:
    """gain, bias move ⊢ d/dt Σ g·f = Σ U_gain·dgain + Σ U_bias·dbias: f is linear in them, so nothing else is assumed."""
    inputs = dict.fromkeys(LINEAR, AXES)
    target = NORMALISED.call({}, c) * Entry("U_gain", c) + Entry("U_bias", c)
    moving = entry_slope(DEFINITION, inputs, AXES, target, (NORMALISED,))
    loss, *others = lines_to_gradients(moving, AXES, named_gradients(RESULTS, inputs))
    return valued(loss, *others)


# -- identities --------------------------------------------------------------------------------------------------------------------------

#: ⟨dx̂, x̂⟩ = ⟨dgain, gain⟩
PRODUCTS = total(k, d, DNORMALISED.call({}, k) * NORMALISED.call({}, k))
ROOT = sqrt(SPREAD)
SPREAD_POSITIVE = assumption((), positive(SPREAD))


@cache
def normalised_sum_zero() -> Theorem:
    """0 < d ⊢ Σ x̂ = 0."""
    plain = DEFINITION.call(PLAIN, c)
    same = both_sides(NORMALISED.call({}, c), plain, unfold(NORMALISED.name), in_order(unfold(DEFINITION.name), by_arithmetic(NORMAL)))
    return then(first(rewriting(same))(total(c, d, NORMALISED.call({}, c))), mean_zero())


@cache
def normalised_squares() -> Theorem:
    """0 < d, 0 < σ² + ε ⊢ Σ x̂² = d·(σ²/(σ² + ε))."""
    plain = DEFINITION.call(PLAIN, c)
    same = both_sides(plain, NORMALISED.call({}, c), in_order(unfold(DEFINITION.name), by_arithmetic(NORMAL)), unfold(NORMALISED.name))
    squares = replaced(mean_square(), same)
    value = total(c, d, NORMALISED.call({}, c) ** 2)
    return arithmetic((squares, NONEMPTY), value, d * (VARIANCE / SPREAD), (d,))


@cache
def gradient_sum() -> Theorem:
    """0 < d ⊢ Σ dx = 0: a constant added to the row changes nothing."""
    shown = opened(DX)(total(c, d, DX.call({}, c)))
    there = total(c, d, NORMALISED.call({}, c)) * (PRODUCTS / d) / ROOT
    grouped = by_sums(shown.right, -there, NONEMPTY)
    return in_order(lambda _: shown, lambda _: grouped, first(rewriting(normalised_sum_zero())), by_arithmetic(ZERO))(shown.left)


@cache
def against_normalised() -> Theorem:
    """0 < d, 0 < σ² + ε ⊢ Σ dx·x̂ = ε/(σ² + ε)·(Σ dx̂·x̂ / √(σ² + ε))."""
    here = NORMALISED.call({}, c)
    shown = opened(DX)(total(c, d, DX.call({}, c) * here))
    row = mean(DNORMALISED.call({}, k))
    grouped = by_sums(shown.right, (PRODUCTS - row * total(c, d, here) - PRODUCTS / d * total(c, d, here**2)) / ROOT)
    return in_order(
        lambda _: shown, lambda _: grouped, first(rewriting(normalised_sum_zero())), first(rewriting(normalised_squares())),
        by_arithmetic(eps / SPREAD * (PRODUCTS / ROOT), NONEMPTY, SPREAD_POSITIVE),
    )(shown.left)


def against_input() -> Theorem:
    """0 < d, 0 < σ² + ε ⊢ Σ dx·x = ε/(σ² + ε)·Σ dgain·gain: x = √(σ² + ε)·x̂ + μ, and Σ dx = 0."""
    here, dx = NORMALISED.call({}, c), DX.call({}, c)
    root = positivity(ROOT, SPREAD_POSITIVE)
    back = symmetry((in_order(opened(NORMALISED), by_arithmetic(Entry("x", c), root))(ROOT * here + MEAN),))
    apart = first(rewriting(back))(total(c, d, dx * Entry("x", c)))
    grouped = by_sums(apart.right, ROOT * total(c, d, dx * here) + MEAN * total(c, d, dx))
    scale = opened(DGAIN)(total(c, d, DGAIN.call({}, c) * Entry("gain", c)))
    same = opened(DNORMALISED)(PRODUCTS)
    pairs = then(same, by_sums(same.right, scale.right), symmetry((scale,)))
    return in_order(
        lambda _: apart, lambda _: grouped, first(rewriting(gradient_sum())), first(rewriting(against_normalised())),
        by_arithmetic(eps / SPREAD * PRODUCTS, root), first(rewriting(pairs)),
    )(apart.left)


def build(variant: Options) -> Gradient:
    """Gradient of layer norm."""
    loss, regrouped, folded = lines_along_curves()
    g = Extra("g", "real", (d,))
    return Gradient(
        phase="layer_norm",
        title="Gradient of layer norm",
        variant=dict(variant),
        definitions=(NORMALISED, DNORMALISED, *RESULTS.values()),
        results={name: stage.name for name, stage in RESULTS.items()},
        lines=(
            Line("differentiate along straight curves of row, gain and bias", straightened(loss, INPUTS)),
            Line("exchange the sums: what multiplies each direction", straightened(regrouped, INPUTS)),
            Line("these are the gradients", straightened(folded, INPUTS)),
        ),
        statements=(
            *vjp_statements("layer_norm", along_curves(), INPUTS, (d,), along_linear(), LINEAR),
            Statement("layer_norm.gradient_sum", "The gradient of the row sums to zero", gradient_sum(), (), (g,)),
            Statement(
                "layer_norm.gradient_normalised", "⟨dx, x̂⟩ = ε/(σ²+ε)·⟨dx̂, x̂⟩/√(σ²+ε): zero without ε", against_normalised(), (), (g,)
            ),
            Statement("layer_norm.gradient_input", "⟨dx, x⟩ = ε/(σ²+ε)·⟨dgain, gain⟩: zero without ε", against_input(), (), (g,)),
        ),
        along_curves=along_curves(),
    )
