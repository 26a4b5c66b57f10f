"""Gradient of the feed-forward: d/dt Σ g·f along curves of all five inputs is Σ U_x·dx + Σ U_w1·dw1 + Σ U_b1·db1 + …

Derived forwards (how z moves, then the activated units, then the result) and turned round by exchanging sums; the stages are in
:mod:`kernelproof.symbolic.gradients.feed_forward_stages`. relu needs z ≠ 0 for every token and hidden unit.
"""

from __future__ import annotations

from functools import cache

from kernelproof.symbolic.binding import substitute
from kernelproof.symbolic.core.logic import assumption, generalisation, instantiation, replacement, specialisation, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.formulas import every, nonzero
from kernelproof.symbolic.gradients.activation import SLOPES, slope_of_formula
from kernelproof.symbolic.gradients.directions import (
    added,
    call_at,
    curves,
    entry_slope,
    lines_to_gradients,
    named_gradients,
    opened,
    pairing,
    straightened,
    vjp_statements,
)
from kernelproof.symbolic.gradients.feed_forward_identities import statements
from kernelproof.symbolic.gradients.feed_forward_stages import DA, INPUTS, OUT, STAGES, UNITS, Z, i
from kernelproof.symbolic.phase import Gradient, Options
from kernelproof.symbolic.phases.activation import i as entry
from kernelproof.symbolic.phases.activation import n as entries
from kernelproof.symbolic.phases.feed_forward import c, d, h, k, n, u
from kernelproof.symbolic.tactics.calculus import T, curve, differentiate
from kernelproof.symbolic.tactics.collect import by_sums
from kernelproof.symbolic.tactics.gradients import contracted, moved, valued
from kernelproof.symbolic.tactics.rewriting import Line, discharged, unfold
from kernelproof.symbolic.terms import ZERO, Entry, Lambda, Term, total

#: the inputs that enter linearly: the narrowing map and its bias
NARROWING = ("w2", "b2")


# -- forward: how the result moves ---------------------------------------------------------------------------------------------------


def change_of_z() -> Term:
    """d/dt z[i, u] along the curves."""
    through_x = Entry("U_x", i, k) * Entry("W1", ZERO, k, u)
    return total(k, d, through_x + Entry("X", ZERO, i, k) * Entry("U_w1", k, u)) + Entry("U_b1", u)


def change(a: Term, a_slope: Term) -> Term:
    """d/dt of the result [i, c], from a[i, u] and act′(z[i, u])."""
    return total(u, h, a_slope * change_of_z() * Entry("W2", ZERO, u, c) + a * Entry("U_w2", u, c)) + Entry("U_b2", c)


@cache
def result_moves() -> Theorem:
    """A, W2, B2 move, A with V ⊢ d/dt (Σ_u A[t, i, u]·W2[t, u, c] + B2[t, c]) = Σ_u (V·W2 + A·U) + U."""
    result = total(u, h, Entry("A", T, i, u) * Entry("W2", T, u, c)) + Entry("B2", T, c)
    return differentiate(Lambda((T,), result), 0, curve("A", "V", UNITS), *curves(INPUTS), over=OUT)


@cache
def z_moves() -> Theorem:
    """x, w1, b1 move ⊢ d/dt z[i, u], z written out."""
    z = total(k, d, Entry("X", T, i, k) * Entry("W1", T, k, u)) + Entry("B1", T, u)
    return differentiate(Lambda((T,), z), 0, *curves(INPUTS), over=UNITS)


@cache
def a_moves(name: str) -> Theorem:
    """x, w1, b1 move ⊢ d/dt act(z[i, u]) = act′(z[i, u])·dz/dt; for relu, z ≠ 0 for every token and hidden unit."""
    of_unit = instantiation((slope_of_formula(name),), {entry: u, entries: h}, {})
    made = moved(of_unit, {"X": ("U_x", ((u, h),), z_moves())})
    if name != "relu":
        return made
    z = substitute(z_moves().conclusion.terms[0].body, {T: ZERO})
    away = assumption((), every(UNITS, nonzero(z)))
    return discharged(made, generalisation((specialisation((away,), (i, u)),), ((u, h),)))


@cache
def slope(name: str) -> Theorem:
    """All inputs move, i < n, c < d ⊢ d/dt f[i, c] = Σ_u (act′(z)·dz/dt·w2 + a·U_w2) + U_b2; for relu, z ≠ 0."""
    stages = STAGES[name]
    made = moved(result_moves(), {"A": ("V", UNITS, a_moves(name))})
    whole = unfold(stages.phase.name)(call_at(stages.phase, INPUTS, T, i, c))
    made = replacement((made, symmetry((whole,))), (0, 0))
    shown = opened(stages.a, Z)(change(call_at(stages.a, INPUTS, ZERO, i, u), SLOPES[name](call_at(Z, INPUTS, ZERO, i, u))))
    return valued(made, symmetry((shown,)))


# -- back: what multiplies each direction ----------------------------------------------------------------------------------------------


@cache
def transposed() -> Theorem:
    """Σ g·(d/dt f) = Σ U·dx + Σ U·dw1 + …, for any activated units A and any slopes S of the activation: only sums change places."""
    a, s, g = Entry("A", i, u), Entry("S", i, u), Entry("g", i, c)
    dz = total(c, d, g * Entry("W2", ZERO, u, c)) * s
    gradients = {
        "x": total(u, h, dz * Entry("W1", ZERO, k, u)), "w1": total(i, n, Entry("X", ZERO, i, k) * dz), "b1": total(i, n, dz),
        "w2": total(i, n, a * g), "b2": total(i, n, g),
    }
    moves = total(i, n, total(c, d, g * change(a, s)))
    return by_sums(moves, added(pairing(name, INPUTS[name], gradients[name]) for name in INPUTS))


@cache
def lines_along_curves(name: str) -> tuple[Theorem, Theorem, Theorem]:
    """The derivative of Σ g·f; what multiplies each direction; the names of the gradients."""
    stages = STAGES[name]
    loss = contracted(Lambda((i, c), Entry("g", i, c)), OUT, slope(name))
    units = {
        "A": Lambda((i, u), call_at(stages.a, INPUTS, ZERO, i, u)), "S": Lambda((i, u), SLOPES[name](call_at(Z, INPUTS, ZERO, i, u))),
    }
    return loss, instantiation((transposed(),), {}, units), named_gradients(stages.results, INPUTS, stages.dz, DA)


@cache
def along_curves(name: str) -> Theorem:
    """All inputs move ⊢ d/dt Σ g·f = Σ U_x·dx + Σ U_w1·dw1 + Σ U_b1·db1 + Σ U_w2·dw2 + Σ U_b2·db2; for relu, z ≠ 0."""
    loss, *others = lines_along_curves(name)
    return valued(loss, *others)


@cache
def along_narrowing(name: str) -> Theorem:
    """w2, b2 move ⊢ d/dt Σ g·f = Σ U_w2·dw2 + Σ U_b2·db2: f is linear in them, so nothing else is assumed."""
    stages, inputs = STAGES[name], {key: INPUTS[key] for key in NARROWING}
    target = total(u, h, stages.a.call({}, i, u) * Entry("U_w2", u, c)) + Entry("U_b2", c)
    moving = entry_slope(stages.phase, inputs, OUT, target, (stages.a, Z))
    loss, *others = lines_to_gradients(moving, OUT, named_gradients(stages.results, inputs))
    return valued(loss, *others)


def build(variant: Options) -> Gradient:
    """Gradient of the feed-forward."""
    name = str(variant["activation"])
    stages = STAGES[name]
    loss, regrouped, folded = lines_along_curves(name)
    return Gradient(
        phase="feed_forward",
        title=f"Gradient of the feed-forward with {name}",
        variant=dict(variant),
        definitions=stages.all,
        results={key: stage.name for key, stage in stages.results.items()},
        lines=(
            Line("differentiate along straight curves of all inputs", straightened(loss, INPUTS)),
            Line("exchange the sums: what multiplies each direction", straightened(regrouped, INPUTS)),
            Line("these are the gradients", straightened(folded, INPUTS)),
        ),
        statements=(
            *vjp_statements("feed_forward", along_curves(name), INPUTS, (n, d), along_narrowing(name), NARROWING), *statements(name),
        ),
        along_curves=along_curves(name),
    )
