"""Gradients along curves: from the derivative of a result to the pullback of a gradient.

A gradient theorem speaks of *curves*: for every X with ``d/dt X[t, …] = U[…]`` at t = 0,
``d/dt Σ g·f(X[t]) = Σ U·dx``, where dx is what a gradient kernel computes from X[0] and g. In this form theorems compose by the chain
rule (:func:`chained`); :func:`straight` puts ``X[t] = x + t·u`` and gives the directional derivative in every direction u.
Guarantees: nothing beyond the core's rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kernelproof.symbolic.binding import Path, alpha_equal, positions, substitute
from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.logic import assumption, cut, generalisation, instantiation, reflexivity, replacement
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import Formula
from kernelproof.symbolic.tactics.calculus import Ranges, T, differentiate, slope_of
from kernelproof.symbolic.tactics.rewriting import discharged, use
from kernelproof.symbolic.terms import ZERO, Entry, Lambda, Op, Term, Var, total


def valued(theorem: Theorem, *equations: Theorem) -> Theorem:
    """derivative(f, p, a) with a replaced: a = b, b = c, …"""
    for equation in equations:
        theorem = replacement((theorem, equation), (2,))
    return theorem


def straight(theorem: Theorem, curves: Mapping[str, tuple[str, str, str, Ranges]]) -> Theorem:
    """The theorem with each curve X replaced by x + t·u; ``curves`` gives, for X: its derivative U, then x, u and the axes."""
    functions: dict[str, Lambda] = {}
    lemmas = []
    for tensor, (moving, plain, direction, axes) in curves.items():
        indices = tuple(var for var, _ in axes)
        there, step = Entry(plain, *indices), Entry(direction, *indices)
        functions[tensor] = Lambda((T, *indices), there + T * step)
        functions[moving] = Lambda(indices, step)
        lemmas.append(generalisation((differentiate(Lambda((T,), there + T * step), 0),), axes))
    made = discharged(instantiation((theorem,), {}, functions), *lemmas)
    return at_zero(made, {(plain, direction) for _, plain, direction, _ in curves.values()})


def at_zero(theorem: Theorem, pairs: Iterable[tuple[str, str]]) -> Theorem:
    """x[…] + 0·u[…] written as x[…], in the conclusion and in the hypotheses."""
    known = set(pairs)
    for formula in theorem.hypotheses:
        short = assumption((), formula)
        for path, part in _starts_in(formula, known):
            short = replacement((short, arithmetic((), part, part.args[0])), path)
        if short.conclusion is not formula:
            back = assumption((), short.conclusion)
            for path, part in _starts_in(formula, known):
                back = replacement((back, arithmetic((), part.args[0], part)), path)
            theorem = cut((back, theorem))
    for path, part in _starts_in(theorem.conclusion, known):
        theorem = replacement((theorem, arithmetic((), part, part.args[0])), path)
    return theorem


def _starts_in(formula: Formula, pairs: set[tuple[str, str]]) -> list[tuple[Path, Op]]:
    """Where x[…] + 0·u[…] stands."""
    return [(path, part) for path, part in positions(formula) if isinstance(part, Op) and part.name == "add" and _starts(part, pairs)]


def _starts(value: Op, pairs: set[tuple[str, str]]) -> bool:
    one, two = value.args
    if not (isinstance(one, Entry) and isinstance(two, Op) and two.name == "mul" and two.args[0] is ZERO):
        return False
    return isinstance(two.args[1], Entry) and (one.tensor, two.args[1].tensor) in pairs


def constant(theorem: Theorem, tensor: str, moving: str, plain: str, axes: Ranges) -> Theorem:
    """The theorem with a curve that does not move: X[t] = x, U = 0."""
    indices = tuple(var for var, _ in axes)
    there = Entry(plain, *indices)
    still = generalisation((use("derivative_of_constant", c=there, p=0),), axes)
    functions = {tensor: Lambda((T, *indices), there), moving: Lambda(indices, ZERO)}
    return cut((still, instantiation((theorem,), {}, functions)))


def moved(theorem: Theorem, curves: Mapping[str, tuple[str, Ranges, Theorem]]) -> Theorem:
    """The theorem with each curve X replaced by another: ``curves`` gives, for X: the name of its derivative, its axes, and how it moves.

    The last is a theorem ``derivative(λt. body, 0, value)`` in the indices of the axes; its hypotheses may speak of their ranges only.
    """
    functions: dict[str, Lambda] = {}
    lemmas = []
    for tensor, (moving, axes, slope) in curves.items():
        indices = tuple(var for var, _ in axes)
        function = slope.conclusion.terms[0]
        (var,) = function.params
        functions[tensor] = Lambda((var, *indices), function.body)
        functions[moving] = Lambda(indices, slope_of(slope))
        lemmas.append(generalisation((slope,), axes))
    return discharged(instantiation((theorem,), {}, functions), *lemmas)


def adjoint(weights: Lambda, axes: Ranges, slope: Theorem, along: Theorem) -> Theorem:
    """Σ w·y′ = Σ U·dx, from the derivative y′ of one entry and the gradient theorem along the same curves."""
    return chained(contracted(weights, axes, slope), along)


def chained(outer: Theorem, inner: Theorem) -> Theorem:
    """The chain rule: from d/dt F = a, and d/dt G = b where G's value at every t is such that both speak of the same function: a = b."""
    if not alpha_equal(outer.conclusion.terms[0], inner.conclusion.terms[0]):
        raise ProofError("chained: the two derivatives are of different functions")
    function = outer.conclusion.terms[0]
    point = outer.conclusion.terms[1]
    return use("derivative_unique", outer, inner, f=function, p=point, u=slope_of(outer), v=slope_of(inner))


def contracted(weights: Lambda, axes: Ranges, slope: Theorem) -> Theorem:
    """From d/dt y[…] = v for all indices: d/dt Σ w[…]·y[…] = Σ w[…]·v, for fixed weights."""
    names: dict[Var, Term] = dict(zip(weights.params, (var for var, _ in axes), strict=True))
    weight = substitute(weights.body, names)
    function = slope.conclusion.terms[0]
    (var,) = function.params
    still = use("derivative_of_constant", c=weight, p=slope.conclusion.terms[1])
    made = use(
        "derivative_of_product", still, slope, p=slope.conclusion.terms[1],
        f=Lambda((var,), weight), g=Lambda((var,), function.body), u=ZERO, v=slope_of(slope),
    )
    return summed(replacement((made, arithmetic((), slope_of(made), weight * slope_of(slope))), (2,)), axes)


def summed(slope: Theorem, axes: Ranges) -> Theorem:
    """From d/dt y[…] = v for all indices: d/dt Σ y[…] = Σ v over these axes."""
    (var,) = slope.conclusion.terms[0].params
    for index, length in reversed(axes):
        each = generalisation((slope,), ((index, length),))
        body, value = slope.conclusion.terms[0].body, slope_of(slope)
        slope = use(
            "derivative_of_total", each, n=length, p=slope.conclusion.terms[1], f=Lambda((var, index), body), g=Lambda((index,), value),
        )
        slope = shown_with(slope, total(index, length, body), total(index, length, value))
    return slope


def shown_with(slope: Theorem, body: Term, value: Term) -> Theorem:
    """The derivative with the names of bound variables that these terms have."""
    slope = replacement((slope, reflexivity((), slope.conclusion.terms[0].body, body)), (0, 0))
    return replacement((slope, reflexivity((), slope_of(slope), value)), (2,))
