"""Gradient of rotary positions: g turned back, ``dx = R(−θ)·g`` for each pair of channels, θ = (start+p)·ω_i.

Derived by differentiating the definition along a curve of inputs. It is linear in x, so dx depends on g and the positions only; it
undoes the rotation and keeps the norm of each pair.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from kernelproof.symbolic.core.definitions import define
from kernelproof.symbolic.core.logic import instantiation, replacement, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.functions import Clause, Definition, Parameter
from kernelproof.symbolic.phase import Extra, Gradient, Options, Statement
from kernelproof.symbolic.phases.rotary import DEFINITIONS, UNFOLD, frequency, h, i, n, p, pair, start
from kernelproof.symbolic.tactics.calculus import T, curve, differentiate, slope_of
from kernelproof.symbolic.tactics.collect import by_sums
from kernelproof.symbolic.tactics.gradients import contracted, straight, valued
from kernelproof.symbolic.tactics.rewriting import Conversion, Line, by_arithmetic, discharged, in_order, inside, then, use
from kernelproof.symbolic.terms import Entry, Lambda, Op, Term, delta, total
from kernelproof.symbolic.theorems.rotary import CHANNELS, OVER, c, channels_in_range, every_channel, expanded, paired

X = curve("X", "U", OVER)
STRAIGHT = {"X": ("U", "x", "u", OVER)}
ANGLE = (start + p) * frequency(i)


def _definition(layout: str) -> Definition:
    one, two = pair(layout, i)
    g1, g2 = Entry("g", p, one), Entry("g", p, two)
    ranges = ((p, n), (i, h))
    return define(
        Definition(
            f"rotary_{layout}_dx",
            (
                *(parameter for parameter in DEFINITIONS[layout].parameters if parameter.name != "x"),
                Parameter("g", (n, CHANNELS), meaning="gradient of the result"),
            ),
            (
                Clause((p, one), ranges, g1 * Op("cos", ANGLE) + g2 * Op("sin", ANGLE)),
                Clause((p, two), ranges, g2 * Op("cos", ANGLE) - g1 * Op("sin", ANGLE)),
            ),
            meaning="gradient of the queries or keys: g turned back",
            result=(n, CHANNELS),
        )
    )


DX = {layout: _definition(layout) for layout in DEFINITIONS}


def turned(layout: str, tensor: str, *before: Term) -> Callable[[Term], Term]:
    """The result for an input, at position p, by channel."""
    return lambda channel: DEFINITIONS[layout].call({"x": Lambda((p, c), Entry(tensor, *before, p, c))}, p, channel)


def _channel_slope(layout: str, channel: Term) -> Theorem:
    """p < n, i < h, X moves with U ⊢ d/dt rotary(X[t])[p, channel] = rotary(U)[p, channel], for a channel of pair i."""
    opened, moving = UNFOLD(turned(layout, "X", T)(channel)), UNFOLD(turned(layout, "U")(channel))
    plain = discharged(differentiate(Lambda((T,), opened.right), 0, X, over=((p, n), (i, h))), *channels_in_range(layout))
    return valued(replacement((plain, symmetry((opened,))), (0, 0)), symmetry((moving,)))


@cache
def slope(layout: str) -> Theorem:
    """p < n, c < 2·h, X moves with U ⊢ d/dt rotary(X[t])[p, c] = rotary(U)[p, c]."""
    parts = [
        contracted(Lambda((i,), delta(channel, c)), ((i, h),), _channel_slope(layout, channel)) for channel in pair(layout, i)
    ]
    values = {letter: slope_of(part) for letter, part in zip("uv", parts, strict=True)}
    functions = {letter: part.conclusion.terms[0] for letter, part in zip("fg", parts, strict=True)}
    both = use("derivative_of_sum", *parts, p=0, **values, **functions)
    whole, moving = (symmetry((expanded(layout, entry),)) for entry in (turned(layout, "X", T), turned(layout, "U")))
    return valued(replacement((both, whole), (0, 0)), moving)


@cache
def lines_along_curves(layout: str) -> tuple[Theorem, Theorem, Theorem, Theorem]:
    """The derivative of Σ g·rotary(X[t]); by pairs; what multiplies U; the definition of dx."""
    loss = contracted(Lambda((p, c), Entry("g", p, c)), OVER, slope(layout))
    by_pairs = inside((2,), in_order(paired(layout), UNFOLD))
    opened = by_pairs(slope_of(loss))
    folded = by_pairs(total(p, n, total(c, CHANNELS, Entry("U", p, c) * DX[layout].call({}, p, c))))
    return loss, opened, by_sums(opened.right, folded.right), symmetry((folded,))


@cache
def adjoint(layout: str) -> Theorem:
    """⊢ Σ g·rotary(U) = Σ U·dx."""
    return then(*lines_along_curves(layout)[1:])


def pairing(layout: str) -> Theorem:
    """⊢ Σ g·rotary(x) = Σ x·dx."""
    return instantiation((adjoint(layout),), {}, {"U": Lambda((p, c), Entry("x", p, c))})


def on_the_circle(target: Term) -> Conversion:
    """Both channels unfolded are this, because sin² + cos² = 1 at the angle of the pair."""
    circle = use("unit_circle", a=ANGLE)
    return in_order(UNFOLD, by_arithmetic(target, circle, cofactors=(target,)))


def norm_kept(layout: str) -> Theorem:
    """p < n, i < h ⊢ dx[p, one]² + dx[p, other]² = g[p, one]² + g[p, other]²."""
    one, two = pair(layout, i)
    target = Entry("g", p, one) ** 2 + Entry("g", p, two) ** 2
    return on_the_circle(target)(DX[layout].call({}, p, one) ** 2 + DX[layout].call({}, p, two) ** 2)


def turned_back(layout: str) -> Theorem:
    """p < n, c < 2·h ⊢ dx of g = rotary(x) is x: dx undoes the rotation."""
    image = Lambda((p, c), DEFINITIONS[layout].call({}, p, c))

    def left(channel: Term) -> Term:
        return DX[layout].call({"g": image}, p, channel)

    def right(channel: Term) -> Term:
        return Entry("x", p, channel)

    return every_channel(layout, left, right, *(on_the_circle(right(channel))(left(channel)) for channel in pair(layout, i)))


def build(variant: Options) -> Gradient:
    """Gradient of rotary positions."""
    layout = str(variant["layout"])
    loss, opened, regrouped, folded = lines_along_curves(layout)
    along = valued(loss, adjoint(layout))
    g, u = Extra("g", "real", (n, CHANNELS)), Extra("u", "real", (n, CHANNELS))
    return Gradient(
        phase="rotary",
        title="Gradient of rotary positional encoding",
        variant=dict(variant),
        definitions=(DX[layout],),
        results={"x": DX[layout].name},
        lines=(
            Line("differentiate along x + t·u: the result is linear in x", straight(loss, STRAIGHT)),
            Line("unfold, pair by pair", straight(opened, STRAIGHT)),
            Line("what multiplies u", straight(regrouped, STRAIGHT)),
            Line("this is dx", straight(folded, STRAIGHT)),
        ),
        statements=(
            Statement("rotary.vjp", "dx is the gradient of Σ g·rotary(x)", straight(along, STRAIGHT), (), (g, u)),
            Statement("rotary.pairing", "⟨g, rotary(x)⟩ = ⟨dx, x⟩", pairing(layout), (), (g,)),
            Statement("rotary.gradient_norm", "The gradient keeps the norm of each pair", norm_kept(layout), ((p, n), (i, h)), (g,)),
            Statement("rotary.turned_back", "The gradient undoes the rotation", turned_back(layout), OVER),
        ),
        along_curves=along,
    )
