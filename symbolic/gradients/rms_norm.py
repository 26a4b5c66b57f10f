"""Gradient of RMS norm, of one row, with named intermediates: the normalised row x̂ and its gradient ``dx̂ = g·gain``.

``dx[c] = (dx̂[c] − x̂[c]·mean(dx̂·x̂)) / √(q + ε)``, q the mean of x², and ``dgain = g·x̂``; over several rows the last is summed. Derived
by differentiating the definition along curves of row and gain, for 0 < q + ε. ε does not move.
"""

from __future__ import annotations

from functools import cache

from kernelproof.symbolic.binding import substitute
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
from kernelproof.symbolic.phases.rms_norm import DEFINITION, GOOD, SQUARES, c, d, eps, k, mean_square
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
from kernelproof.symbolic.terms import ONE, ZERO, Entry, Lambda, Term, sqrt, total

AXES: Ranges = ((c, d),)
INPUTS: dict[str, Ranges] = {"x": AXES, "gain": AXES}
PARAMETERS = {parameter.name: parameter for parameter in (*DEFINITION.parameters, Parameter("g", (d,), meaning="gradient of the result"))}
SPREAD = SQUARES + eps
ROOT = sqrt(SPREAD)


def _stage(name: str, takes: str, body: Term, meaning: str) -> Definition:
    parameters = tuple(PARAMETERS[parameter] for parameter in takes.split())
    return define(Definition(f"rms_norm_{name}", parameters, (Clause((c,), AXES, body),), meaning=meaning))


NORMALISED = _stage("normalised", "d x eps", Entry("x", c) / ROOT, "the normalised row")
DNORMALISED = _stage("dnormalised", "d gain g", Entry("g", c) * Entry("gain", c), "gradient of the normalised row")


def projected(there: Term, products: Term, normalised: Term) -> Term:
    """(row[c] − x̂[c]·mean over k of the products) / √(q + ε): what x̂'s derivative does to a row, in either direction."""
    return (there - normalised * (total(k, d, products) / d)) / ROOT


DX = _stage(
    "dx", "d x gain eps g",
    projected(DNORMALISED.call({}, c), DNORMALISED.call({}, k) * NORMALISED.call({}, k), NORMALISED.call({}, c)), "gradient of the row",
)
DGAIN = _stage("dgain", "d x eps g", Entry("g", c) * NORMALISED.call({}, c), "gradient of the scale, from this row")
RESULTS = {"x": DX, "gain": DGAIN}


def at_start(value: Term) -> Term:
    """A term in x at the start of the curve."""
    return substitute(value, {}, {"x": Lambda((c,), Entry("X", ZERO, c))})


@cache
def slope() -> Theorem:
    """Row and gain move, c < d, 0 < q + ε ⊢ d/dt f[c] = (U − x̂·mean(x̂·U))/√(q + ε)·gain + x̂·U_gain."""
    start = assumption((), positive(at_start(SPREAD)))
    here, there = (call_at(NORMALISED, INPUTS, ZERO, index) for index in (c, k))
    moving = at_start(projected(Entry("U_x", c), there * Entry("U_x", k), here))
    target = moving * Entry("GAIN", ZERO, c) + here * Entry("U_gain", c)
    return entry_slope(DEFINITION, INPUTS, AXES, target, (NORMALISED,), start, nonempty(c, d))


@cache
def lines_along_curves() -> tuple[Theorem, Theorem, Theorem]:
    """The derivative of Σ g·f; what multiplies each direction; the names of the gradients."""
    return lines_to_gradients(slope(), AXES, named_gradients(RESULTS, INPUTS, DNORMALISED))


@cache
def along_curves() -> Theorem:
    """Row and gain move, 0 < q + ε ⊢ d/dt Σ g·f = Σ U_x·dx + Σ U_gain·dgain."""
    loss, *others = lines_along_curves()
    return valued(loss, *others)


@cache
def along_gain() -> Theorem:
    """gain moves ⊢ d/dt Σ g·f = Σ U_gain·dgain: f is linear in it, so nothing else is assumed."""
    inputs: dict[str, Ranges] = {"gain": AXES}
    moving = entry_slope(DEFINITION, inputs, AXES, NORMALISED.call({}, c) * Entry("U_gain", c), (NORMALISED,))
    loss, *others = lines_to_gradients(moving, AXES, named_gradients(RESULTS, inputs))
    return valued(loss, *others)


# -- identities --------------------------------------------------------------------------------------------------------------------------

#: ⟨dx̂, x̂⟩ = ⟨dgain, gain⟩
PRODUCTS = total(k, d, DNORMALISED.call({}, k) * NORMALISED.call({}, k))


@cache
def normalised_squares() -> Theorem:
    """0 < q + ε ⊢ (Σ x̂²)/d = q/(q + ε)."""
    to_plain = in_order(unfold(DEFINITION.name), by_arithmetic(Entry("x", c) / ROOT))
    same = both_sides(DEFINITION.call({"gain": Lambda((c,), ONE)}, c), NORMALISED.call({}, c), to_plain, unfold(NORMALISED.name))
    return replaced(mean_square(), same)


@cache
def against_normalised() -> Theorem:
    """0 < q + ε ⊢ Σ dx·x̂ = ε/(q + ε)·(Σ dx̂·x̂ / √(q + ε))."""
    here = NORMALISED.call({}, c)
    shown = opened(DX)(total(c, d, DX.call({}, c) * here))
    squares = total(c, d, here**2) / d
    grouped = by_sums(shown.right, (PRODUCTS - PRODUCTS * squares) / ROOT)
    return in_order(
        lambda _: shown, lambda _: grouped, first(rewriting(normalised_squares())), by_arithmetic(eps / SPREAD * (PRODUCTS / ROOT), GOOD)
    )(shown.left)


def against_input() -> Theorem:
    """0 < q + ε ⊢ Σ dx·x = ε/(q + ε)·Σ dgain·gain, since x = √(q + ε)·x̂."""
    here, dx, root = NORMALISED.call({}, c), DX.call({}, c), positivity(ROOT, GOOD)
    back = symmetry((in_order(opened(NORMALISED), by_arithmetic(Entry("x", c), root))(ROOT * here),))
    apart = first(rewriting(back))(total(c, d, dx * Entry("x", c)))
    grouped = by_sums(apart.right, ROOT * total(c, d, dx * here))
    scale = opened(DGAIN)(total(c, d, DGAIN.call({}, c) * Entry("gain", c)))
    same = opened(DNORMALISED)(PRODUCTS)
    pairs = then(same, by_sums(same.right, scale.right), symmetry((scale,)))
    return in_order(
        lambda _: apart, lambda _: grouped, first(rewriting(against_normalised())), by_arithmetic(eps / SPREAD * PRODUCTS, root),
        first(rewriting(pairs)),
    )(apart.left)


def build(variant: Options) -> Gradient:
    """Gradient of RMS norm."""
    loss, regrouped, folded = lines_along_curves()
    g = Extra("g", "real", (d,))
    return Gradient(
        phase="rms_norm",
        title="Gradient of RMS norm",
        variant=dict(variant),
        definitions=(NORMALISED, DNORMALISED, *RESULTS.values()),
        results={name: stage.name for name, stage in RESULTS.items()},
        lines=(
            Line("differentiate along straight curves of row and gain", straightened(loss, INPUTS)),
            Line("exchange the sums: what multiplies each direction", straightened(regrouped, INPUTS)),
            Line("these are the gradients", straightened(folded, INPUTS)),
        ),
        statements=(
            *vjp_statements("rms_norm", along_curves(), INPUTS, (d,), along_gain(), ("gain",)),
            Statement(
                "rms_norm.gradient_normalised", "⟨dx, x̂⟩ = ε/(q+ε)·⟨dx̂, x̂⟩/√(q+ε): zero without ε", against_normalised(), (), (g,)
            ),
            Statement("rms_norm.gradient_input", "⟨dx, x⟩ = ε/(q+ε)·⟨dgain, gain⟩: zero without ε", against_input(), (), (g,)),
        ),
        along_curves=along_curves(),
    )
