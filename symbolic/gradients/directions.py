"""What gradients of several inputs share: their curves, and from the theorem along curves the gradient in all at once and in each alone.

Inputs are named, so the curve of ``w1`` is ``W1``, its derivative ``U_w1``, and the direction of a straight curve ``u_w1``. Guarantees:
nothing beyond the core's rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kernelproof.symbolic.binding import alpha_equal, tensors
from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.logic import replacement, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.functions import Definition
from kernelproof.symbolic.phase import Extra, Statement
from kernelproof.symbolic.tactics.calculus import Ranges, T, curve, differentiate, slope_of
from kernelproof.symbolic.tactics.collect import by_sums
from kernelproof.symbolic.tactics.gradients import constant, contracted, straight, valued
from kernelproof.symbolic.tactics.rewriting import Conversion, everywhere, in_order, replaced, tried, unfold, use
from kernelproof.symbolic.terms import ZERO, Entry, Lambda, Op, Term, TermLike, Var, total

#: the differentiable inputs by name, with indices for their axes
Inputs = Mapping[str, Ranges]


def curves(inputs: Inputs) -> tuple[Theorem, ...]:
    """Assumed: every input moves along a curve that is differentiable at 0."""
    return tuple(curve(name.upper(), f"U_{name}", axes) for name, axes in inputs.items())


def on_curves(inputs: Inputs, at: TermLike) -> dict[str, Lambda | Term]:
    """The inputs at a time."""
    return {name: Lambda(_indices(axes), Entry(name.upper(), at, *_indices(axes))) for name, axes in inputs.items()}


def call_at(definition: Definition, inputs: Inputs, at: TermLike, *indices: Term) -> Term:
    """A definition at the inputs of a time; what it does not take is left out."""
    names = {parameter.name for parameter in definition.parameters}
    return definition.call({name: value for name, value in on_curves(inputs, at).items() if name in names}, *indices)


def opened(*stages: Definition) -> Conversion:
    """Calls of these stages become their bodies, in this order."""
    return in_order(*(tried(everywhere(unfold(stage.name))) for stage in stages))


def pairing(name: str, axes: Ranges, gradient: Term) -> Term:
    """Σ U·gradient over the axes of an input."""
    value: Term = Entry(f"U_{name}", *_indices(axes)) * gradient
    for var, length in reversed(axes):
        value = total(var, length, value)
    return value


def entry_slope(
    definition: Definition, inputs: Inputs, axes: Ranges, target: Term, stages: tuple[Definition, ...], *signs: Theorem
) -> Theorem:
    """The inputs move ⊢ d/dt of an entry of the result = target, in which the stages stand by name; the signs are of divisors and roots."""
    whole = unfold(definition.name)(call_at(definition, inputs, T, *_indices(axes)))
    plain = differentiate(Lambda((T,), whole.right), 0, *curves(inputs), *signs, over=axes)
    plain = replacement((plain, symmetry((whole,))), (0, 0))
    shown = opened(*stages)(target)
    if not alpha_equal(slope_of(plain), shown.right):
        plain = valued(plain, by_sums(slope_of(plain), shown.right, *signs))
    return valued(plain, symmetry((shown,)))


def named_gradients(results: Mapping[str, Definition], inputs: Inputs, *stages: Definition) -> Theorem:
    """⊢ Σ U_x·(dx written out) + … = Σ U_x·dx + …, where the gradients and these stages are opened."""
    whole = added(pairing(name, axes, call_at(results[name], inputs, ZERO, *_indices(axes))) for name, axes in inputs.items())
    return symmetry((opened(*(results[name] for name in inputs), *stages)(whole),))


def lines_to_gradients(slope: Theorem, axes: Ranges, named: Theorem) -> tuple[Theorem, Theorem, Theorem]:
    """From the slope of an entry: the derivative of Σ g·f; what multiplies each direction; the names of the gradients."""
    loss = contracted(Lambda(_indices(axes), Entry("g", *_indices(axes))), axes, slope)
    return loss, by_sums(slope_of(loss), named.left), named


def straightened(theorem: Theorem, inputs: Inputs) -> Theorem:
    """The theorem with every curve a straight one: X[t] = x + t·u_x."""
    return straight(theorem, {name.upper(): (f"U_{name}", name, f"u_{name}", axes) for name, axes in inputs.items()})


def in_one(theorem: Theorem, inputs: Inputs, name: str) -> Theorem:
    """The theorem with one input moving along a straight curve, and the others fixed."""
    for other, axes in inputs.items():
        if other != name:
            theorem = constant(theorem, other.upper(), f"U_{other}", other, axes)
    value = slope_of(theorem)
    kept = next(part for part in _summands(value) if f"U_{name}" in tensors(part))
    return straightened(valued(theorem, by_sums(value, kept)), {name: inputs[name]})


def vjp_statements(
    phase: str, along: Theorem, inputs: Inputs, g_axes: tuple[Term, ...], linear: Theorem | None = None, linearly: tuple[str, ...] = ()
) -> tuple[Statement, ...]:
    """``phase.vjp``, all inputs at once; where there are several, ``phase.vjp_x`` for each input x alone.

    ``linear`` is the theorem for the inputs that enter linearly, the others fixed: it needs fewer hypotheses.
    """
    g = Extra("g", "real", g_axes)
    moves = {name: Extra(f"u_{name}", "real", tuple(length for _, length in axes)) for name, axes in inputs.items()}
    names = ", ".join(f"d{name}" for name in inputs)
    verb = "are the gradients" if len(inputs) > 1 else "is the gradient"
    found = [Statement(f"{phase}.vjp", f"{names} {verb} of Σ g·f", straightened(along, inputs), (), (g, *moves.values()))]
    for name, move in moves.items() if len(inputs) > 1 else ():
        if linear is not None and name in linearly:
            alone = in_one(linear, {other: inputs[other] for other in linearly}, name)
        else:
            alone = in_one(along, inputs, name)
        found.append(Statement(f"{phase}.vjp_{name}", f"d{name} is the gradient in {name} alone", alone, (), (g, move)))
    return tuple(found)


def nonempty(index: Term, length: Term) -> Theorem:
    """index < length ⊢ 0 < length."""
    below, above = use("index_below", a=index, n=length), use("index_nonnegative", a=index, n=length)
    whole = use("sum_with_nonnegative", below, above, a=length - index, b=index)
    return replaced(whole, arithmetic((), length - index + index, length))


def added(parts: Iterable[Term]) -> Term:
    """The sum of one or more terms, from the left."""
    first, *others = parts
    for part in others:
        first = first + part
    return first


def _summands(value: Term) -> list[Term]:
    return [*_summands(value.args[0]), value.args[1]] if isinstance(value, Op) and value.name == "add" else [value]


def _indices(axes: Ranges) -> tuple[Var, ...]:
    return tuple(var for var, _ in axes)
