"""Gradients of the activations: ``dx[i] = f′(x[i])·g[i]``.

``relu′ = [0 < x]`` (0 at 0 by convention, where relu has no derivative), ``gelu′ = Φ + x·φ`` with the normal distribution Φ and its
density φ, ``silu′ = s·(1 + x·(1 − s))`` with the sigmoid s. Derived by differentiating the definitions along a curve.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from kernelproof.symbolic.binding import positions
from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.definitions import define
from kernelproof.symbolic.core.logic import assumption, replacement, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.formulas import nonzero
from kernelproof.symbolic.functions import Clause, Definition, Parameter
from kernelproof.symbolic.gradients.directions import call_at, curves, pairing, straightened, vjp_statements
from kernelproof.symbolic.phase import Extra, Gradient, Options, Statement
from kernelproof.symbolic.phases.activation import CUBIC, DEFINITIONS, FORMULAS, HALF, i, n, odd
from kernelproof.symbolic.tactics.calculus import Ranges, T, differentiate, slope_of
from kernelproof.symbolic.tactics.gradients import contracted, valued
from kernelproof.symbolic.tactics.rewriting import (
    Line,
    by_arithmetic,
    by_only,
    everywhere,
    first,
    in_order,
    inside,
    is_operation,
    replaced,
    rewriting,
    then,
    unfold,
    use,
)
from kernelproof.symbolic.tactics.signs import positivity
from kernelproof.symbolic.terms import PI, ZERO, Entry, Lambda, Num, Op, Term, exp, less, sqrt

AXES: Ranges = ((i, n),)
INPUTS = {"x": AXES}


def relu_slope(z: Term) -> Term:
    """1 where z > 0, else 0."""
    return less(ZERO, z)


def gelu_slope(z: Term) -> Term:
    """Φ(z) + z·φ(z)."""
    return HALF * (1 + Op("erf", z / sqrt(Num(2)))) + z * (exp(-(z**2 / 2)) / sqrt(2 * PI))


def gelu_tanh_slope(z: Term) -> Term:
    """½·(1 + tanh v) + ½·z·(1 − tanh² v)·v′ with v = √(2/π)·(z + 0.044715·z³)."""
    tanh = Op("tanh", sqrt(2 / PI) * (z + CUBIC * z**3))
    return HALF * (1 + tanh) + HALF * z * (1 - tanh**2) * (sqrt(2 / PI) * (1 + 3 * CUBIC * z**2))


def silu_slope(z: Term) -> Term:
    """s·(1 + z·(1 − s)) with s = 1 / (1 + exp(−z))."""
    sigmoid = 1 / (1 + exp(-z))
    return sigmoid * (1 + z * (1 - sigmoid))


SLOPES: dict[str, Callable[[Term], Term]] = {"relu": relu_slope, "gelu": gelu_slope, "gelu_tanh": gelu_tanh_slope, "silu": silu_slope}


def _definition(name: str) -> Definition:
    return define(
        Definition(
            f"activation_{name}_dx",
            (*DEFINITIONS[name].parameters, Parameter("g", (n,), meaning="gradient of the result")),
            (Clause((i,), AXES, SLOPES[name](Entry("x", i)) * Entry("g", i)),),
            meaning="gradient of the input",
        )
    )


DX = {name: _definition(name) for name in FORMULAS}


@cache
def slope_of_formula(name: str) -> Theorem:
    """X moves with U, i < n ⊢ d/dt f(X[t, i]) = f′(X[0, i])·U[i]; for relu, X[0, j] ≠ 0 for all j < n."""
    plain = differentiate(Lambda((T,), FORMULAS[name](Entry("X", T, i))), 0, *curves(INPUTS), over=AXES)
    z, value = Entry("X", ZERO, i), slope_of(plain)
    target = SLOPES[name](z) * Entry("U_x", i)
    if name == "gelu":
        return valued(plain, *_gelu_simplified(value, target, z))
    divisors = (positivity(1 + exp(-z)),) if name == "silu" else ()
    return valued(plain, arithmetic(divisors, value, target))


def _gelu_simplified(value: Term, target: Term, z: Term) -> tuple[Theorem, ...]:
    """(z/√2)² = z²/2 in the exponent, and √(2π) = √2·√π below φ."""
    root = sqrt(Num(2))
    two, above = use("root_squared", positivity(Num(2)), a=Num(2)), positivity(root)
    square = arithmetic((two, above), -((z / root) ** 2), -(z**2 / 2), (z**2 / (2 * (root * root)),))
    simple = first(rewriting(square))(value)
    inner = arithmetic((two,), 2 * PI, root**2 * PI, (-PI,))
    product = then(first(rewriting(inner))(sqrt(2 * PI)), use("root_scaled", above, c=root, a=PI))
    shown = first(rewriting(product))(target)
    return simple, arithmetic((), simple.right, shown.right), symmetry((shown,))


@cache
def slope(name: str) -> Theorem:
    """X moves with U, i < n ⊢ d/dt activation(X[t])[i] = f′(X[0, i])·U[i]; for relu, X[0, j] ≠ 0 for all j < n."""
    opened = unfold(DEFINITIONS[name].name)(call_at(DEFINITIONS[name], INPUTS, T, i))
    return replacement((slope_of_formula(name), symmetry((opened,))), (0, 0))


@cache
def lines_along_curves(name: str) -> tuple[Theorem, Theorem, Theorem]:
    """The derivative of Σ g·f(X[t]); what multiplies U; the definition of dx."""
    loss = contracted(Lambda((i,), Entry("g", i)), AXES, slope(name))
    moving, there, g = Entry("U_x", i), SLOPES[name](Entry("X", ZERO, i)), Entry("g", i)
    regrouped = inside((2,), by_arithmetic(moving * (there * g)))(slope_of(loss))
    folded = symmetry((first(unfold(DX[name].name))(pairing("x", AXES, call_at(DX[name], INPUTS, ZERO, i))),))
    return loss, regrouped, folded


@cache
def along_curves(name: str) -> Theorem:
    """X moves with U ⊢ d/dt Σ g·f(X[t]) = Σ U·dx; for relu, X[0, j] ≠ 0 for all j < n."""
    loss, *others = lines_along_curves(name)
    return valued(loss, *others)


def gradient_reflection(name: str) -> Theorem:
    """⊢ dx(x)[i] + dx(−x)[i] = g[i], the derivative of f(x) − f(−x) = x; for relu, x[i] ≠ 0."""
    x, g = Entry("x", i), Entry("g", i)
    unfolded = everywhere(unfold(DX[name].name))(DX[name].call({}, i) + DX[name].call({"x": Lambda((i,), -x)}, i))
    reflected = unfolded.right
    if name == "relu":
        steps = replaced(use("maximum_reflected", a=x), *(use("maximum_by_step", a=part) for part in (x, -x)))
        return then(unfolded, arithmetic((steps, assumption((), nonzero(x))), reflected, g, (g / x,)))
    if name == "silu":
        minus = -x
        return then(unfolded, arithmetic(tuple(positivity(1 + exp(part)) for part in (minus, -minus)), reflected, g))
    function = "erf" if name == "gelu" else "tanh"
    last = [part for _, part in positions(reflected) if is_operation(part, function)][-1]
    return in_order(lambda _: unfolded, everywhere(by_only(last, odd(function)(last))), by_arithmetic(g))(unfolded.left)


def build(variant: Options) -> Gradient:
    """Gradient of an activation."""
    name = str(variant["activation"])
    loss, regrouped, folded = lines_along_curves(name)
    return Gradient(
        phase="activation",
        title=f"Gradient of {name}",
        variant=dict(variant),
        definitions=(DX[name],),
        results={"x": DX[name].name},
        lines=(
            Line("differentiate along x + t·u_x", straightened(loss, INPUTS)),
            Line("what multiplies u_x", straightened(regrouped, INPUTS)),
            Line("this is dx", straightened(folded, INPUTS)),
        ),
        statements=(
            *vjp_statements("activation", along_curves(name), INPUTS, (n,)),
            Statement(
                "activation.gradient_reflection", "dx at x and at −x add up to g", gradient_reflection(name), AXES,
                (Extra("g", "real", (n,)),),
            ),
        ),
        along_curves=along_curves(name),
    )
