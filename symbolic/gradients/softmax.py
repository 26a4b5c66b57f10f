"""Gradient of softmax: ``dx[j] = p[j]·(g[j] − Σ_k p[k]·g[k])``, p the weights; the Jacobian is ``p[j]·(δ(j, a) − p[a])``.

Derived by differentiating the definition along a curve of scores; the one division is by a sum of exponentials, positive for a
non-empty row.
"""

from __future__ import annotations

from functools import cache

from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.definitions import define
from kernelproof.symbolic.core.logic import assumption, instantiation, replacement, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import positive
from kernelproof.symbolic.functions import Clause, Definition, Parameter
from kernelproof.symbolic.phase import Extra, Gradient, Options, Statement
from kernelproof.symbolic.phases.softmax import DEFINITION, j, k, n, recomputed, row_sum_one
from kernelproof.symbolic.tactics.calculus import T, curve, differentiate, slope_of
from kernelproof.symbolic.tactics.collect import by_sums, collected
from kernelproof.symbolic.tactics.gradients import contracted, straight, valued
from kernelproof.symbolic.tactics.rewriting import Line, everywhere, first, in_order, rewriting, then, unfold
from kernelproof.symbolic.tactics.sums import sum_delta
from kernelproof.symbolic.terms import ZERO, Call, Entry, Lambda, Term, delta, total, variables

(a,) = variables("a")
AXES = ((j, n),)
SOME = assumption((), positive(n))
X = curve("X", "U", AXES)
STRAIGHT = {"X": ("U", "x", "u", AXES)}
DX = define(
    Definition(
        "softmax_dx",
        (*DEFINITION.parameters, Parameter("g", (n,), meaning="gradient of the weights")),
        (
            Clause(
                (j,), AXES,
                DEFINITION.call({}, j) * (Entry("g", j) - total(k, n, DEFINITION.call({}, k) * Entry("g", k))),
            ),
        ),
        meaning="gradient of the scores",
    )
)


def weight(index: Term) -> Term:
    """A weight at the start of the curve."""
    return DEFINITION.call({"x": Lambda((j,), Entry("X", ZERO, j))}, index)


@cache
def jacobian_along_curves() -> Theorem:
    """0 < n, X moves with U ⊢ d/dt softmax(X[t])[j] = p[j]·(U[j] − Σ_k p[k]·U[k])."""
    opened = unfold("softmax")(DEFINITION.call({"x": Lambda((j,), Entry("X", T, j))}, j))
    plain = differentiate(Lambda((T,), opened.right), 0, X, SOME, over=AXES)
    along = replacement((plain, symmetry((opened,))), (0, 0))
    target = weight(j) * (Entry("U", j) - total(k, n, weight(k) * Entry("U", k)))
    to_weights = everywhere(unfold("softmax"))(target)
    return valued(along, by_sums(slope_of(along), to_weights.right), symmetry((to_weights,)))


#: the derivative of one entry of the result, under the name that every gradient file has
slope = jacobian_along_curves


def jacobian() -> Theorem:
    """0 < n, a < n ⊢ d/dt softmax(x + t·δ(·, a))[j] = p[j]·(δ(j, a) − p[a])."""
    along = straight(jacobian_along_curves(), STRAIGHT)
    one = instantiation((along,), {}, {"u": Lambda((j,), delta(j, a))})
    return valued(one, first(sum_delta)(slope_of(one)))


def rows_sum_to_zero() -> Theorem:
    """0 < n ⊢ Σ_a p[j]·(δ(j, a) − p[a]) = 0 where j < n."""
    p = DEFINITION.call({}, j)
    spread = collected(total(a, n, p * (delta(j, a) - DEFINITION.call({}, a))))
    return then(spread, arithmetic((row_sum_one(),), spread.right, ZERO, (-p,)))


@cache
def lines_along_curves() -> tuple[Theorem, Theorem, Theorem]:
    """The derivative of Σ g·softmax(X[t]); what multiplies U; the definition of dx."""
    loss = contracted(Lambda((j,), Entry("g", j)), AXES, jacobian_along_curves())
    at_start = {"x": Lambda((j,), Entry("X", ZERO, j))}
    inner = weight(j) * (Entry("g", j) - total(k, n, weight(k) * Entry("g", k)))
    regrouped = by_sums(slope_of(loss), total(j, n, Entry("U", j) * inner))
    folded = symmetry((first(unfold("softmax_dx"))(total(j, n, Entry("U", j) * DX.call(at_start, j))),))
    return loss, regrouped, in_order(rewriting(folded))(regrouped.right)


def gradient_sums_to_zero() -> Theorem:
    """0 < n ⊢ Σ_j dx[j] = 0: a constant added to the scores changes nothing."""
    opened = first(unfold("softmax_dx"))(total(j, n, DX.call({}, j)))
    average = total(j, n, DEFINITION.call({}, j) * Entry("g", j))
    grouped = by_sums(opened.right, average - total(j, n, DEFINITION.call({}, j)) * average)
    return then(opened, grouped, arithmetic((row_sum_one(),), grouped.right, ZERO, (-average,)))


def recomputed_gradient() -> Theorem:
    """⊢ dx[j] = p[j]·(g[j] − Σ_k p[k]·g[k]) with p[j] = exp(x[j] − c)/l, l = Σ_k exp(x[k] − c), for any c."""

    def recompute(value: Term) -> Theorem:
        """A weight from c and the sum under it."""
        if not (isinstance(value, Call) and value.function == "softmax"):
            raise ProofError("not a weight")
        return rewriting(instantiation((recomputed(),), {j: value.indices[0]}, {}))(value)

    return in_order(unfold("softmax_dx"), everywhere(recompute))(DX.call({}, j))


def build(variant: Options) -> Gradient:
    """Gradient of softmax."""
    loss, regrouped, folded = lines_along_curves()
    over = ((j, n),)
    extras = (Extra("g", "real", (n,)), Extra("u", "real", (n,)))
    along = valued(loss, regrouped, folded)
    return Gradient(
        phase="softmax",
        title="Gradient of softmax",
        variant=dict(variant),
        definitions=(DX,),
        results={"x": "softmax_dx"},
        lines=(
            Line("differentiate along x + t·u", straight(loss, STRAIGHT)),
            Line("exchange the sums: what multiplies u", straight(regrouped, STRAIGHT)),
            Line("this is dx", straight(folded, STRAIGHT)),
        ),
        statements=(
            Statement("softmax.vjp", "dx is the gradient of Σ g·softmax(x)", straight(along, STRAIGHT), (), extras),
            Statement("softmax.jacobian", "The Jacobian is p_j·(δ_ja − p_a)", jacobian(), (*over, (a, n))),
            Statement("softmax.jacobian_rows", "The rows of the Jacobian sum to zero", rows_sum_to_zero(), over),
            Statement(
                "softmax.recomputed_gradient", "dx with the weights recomputed from any shift", recomputed_gradient(), over,
                (extras[0], Extra("c", "real")),
            ),
            Statement("softmax.gradient_sum", "The gradient of the scores sums to zero", gradient_sums_to_zero(), (), extras[:1]),
        ),
        along_curves=along,
    )
