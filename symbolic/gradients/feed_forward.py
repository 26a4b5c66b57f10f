"""Gradient of the feed-forward: d/dt Σ g·f along curves of all inputs is Σ U_x·dx + Σ U_w1·dw1 + Σ U_b1·db1 + …

Derived forwards (how z and the gates move, then the activated units, then the result) and turned round by exchanging sums; the stages are
in :mod:`kernelproof.symbolic.gradients.feed_forward_stages`. relu needs z ≠ 0, or with gates the gate ≠ 0, for every token and hidden unit.
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
from kernelproof.symbolic.gradients.feed_forward_stages import GATE, GATED_STAGES, OUT, STAGES, UNITS, Stages, Z, i
from kernelproof.symbolic.phase import Gradient, Options
from kernelproof.symbolic.phases.activation import i as entry
from kernelproof.symbolic.phases.activation import n as entries
from kernelproof.symbolic.phases.feed_forward import c, d, h, k, n, u
from kernelproof.symbolic.tactics.calculus import T, curve, differentiate, slope_of
from kernelproof.symbolic.tactics.collect import by_sums
from kernelproof.symbolic.tactics.gradients import contracted, moved, valued
from kernelproof.symbolic.tactics.rewriting import Line, discharged, then, unfold
from kernelproof.symbolic.terms import ZERO, Entry, Lambda, Term, total

#: the inputs that enter linearly: the narrowing map and its bias
NARROWING = ("w2", "b2")


# -- forward: how the result moves ---------------------------------------------------------------------------------------------------


def change_of(weights: str, bias: str = "") -> Term:
    """d/dt of Σ_k x[i, k]·w[k, u] + b[u] along the curves."""
    through_x = Entry("U_x", i, k) * Entry(weights.upper(), ZERO, k, u)
    moves = total(k, d, through_x + Entry("X", ZERO, i, k) * Entry(f"U_{weights}", k, u))
    return moves + Entry(f"U_{bias}", u) if bias else moves


def change_of_units(stages: Stages, s: Term, p: Term) -> Term:
    """d/dt of the activated units, from the slope s of z, or with gates of the gate, and the activated gate p."""
    of_z = change_of("w1", "b1")
    return s * change_of("w_gate") + p * of_z if stages.gated else s * of_z


def change(stages: Stages, a: Term, s: Term, p: Term) -> Term:
    """d/dt of the result [i, c], from the activated units a and the factors of how they move."""
    return total(u, h, change_of_units(stages, s, p) * Entry("W2", ZERO, u, c) + a * Entry("U_w2", u, c)) + Entry("U_b2", c)


def slope_factor(stages: Stages, z: Term, gate: Term) -> Term:
    """act′(z), or with gates act′(gate)·z."""
    return z * SLOPES[stages.name](gate) if stages.gated else SLOPES[stages.name](z)


def factors(stages: Stages) -> tuple[Term, Term, Term]:
    """The activated units, the slope and the activated gate at the start of the curves."""
    a, z, gate = (call_at(stage, stages.inputs, ZERO, i, u) for stage in (stages.a, Z, GATE))
    return a, slope_factor(stages, z, gate), z if stages.p is None else call_at(stages.p, stages.inputs, ZERO, i, u)


@cache
def result_moves(stages: Stages) -> Theorem:
    """A, W2, B2 move, A with V ⊢ d/dt (Σ_u A[t, i, u]·W2[t, u, c] + B2[t, c]) = Σ_u (V·W2 + A·U) + U."""
    result = total(u, h, Entry("A", T, i, u) * Entry("W2", T, u, c)) + Entry("B2", T, c)
    return differentiate(Lambda((T,), result), 0, curve("A", "V", UNITS), *curves(stages.inputs), over=OUT)


def _linear(weights: str, bias: str = "") -> Term:
    """Σ_k x[i, k]·w[k, u] + b[u] at a time."""
    made = total(k, d, Entry("X", T, i, k) * Entry(weights, T, k, u))
    return made + Entry(bias, T, u) if bias else made


@cache
def moves(stages: Stages, weights: str, bias: str = "") -> Theorem:
    """x, w, b move ⊢ d/dt z[i, u], or of a gate, written out."""
    return differentiate(Lambda((T,), _linear(weights, bias)), 0, *curves(stages.inputs), over=UNITS)


@cache
def activated(stages: Stages) -> Theorem:
    """x, w, b move ⊢ d/dt act(z[i, u]) = act′(z[i, u])·dz/dt, or of the gate; for relu, not 0 for every token and hidden unit."""
    of_input = moves(stages, "W_GATE") if stages.gated else moves(stages, "W1", "B1")
    of_unit = instantiation((slope_of_formula(stages.name),), {entry: u, entries: h}, {})
    made = moved(of_unit, {"X": ("U_x", ((u, h),), of_input)})
    if stages.name != "relu":
        return made
    z = substitute(of_input.conclusion.terms[0].body, {T: ZERO})
    away = assumption((), every(UNITS, nonzero(z)))
    return discharged(made, generalisation((specialisation((away,), (i, u)),), ((u, h),)))


@cache
def units_move(stages: Stages) -> Theorem:
    """How the activated hidden units move: act(z), or with gates act(gate)·z."""
    if not stages.gated:
        return activated(stages)
    of_gate, of_z = activated(stages), moves(stages, "W1", "B1")
    product = of_gate.conclusion.terms[0].body * of_z.conclusion.terms[0].body
    return differentiate(Lambda((T,), product), 0, *curves(stages.inputs), of_gate, of_z, over=UNITS)


@cache
def slope(stages: Stages) -> Theorem:
    """All inputs move, i < n, c < d ⊢ d/dt f[i, c] = Σ_u (V·w2 + a·U_w2) + U_b2, V how the activated units move; for relu, away from 0."""
    made = moved(result_moves(stages), {"A": ("V", UNITS, units_move(stages))})
    whole = unfold(stages.phase.name)(call_at(stages.phase, stages.inputs, T, i, c))
    made = replacement((made, symmetry((whole,))), (0, 0))
    shown = opened(*stages.hidden)(change(stages, *factors(stages)))
    if stages.gated:
        made = valued(made, by_sums(slope_of(made), shown.right))
    return valued(made, symmetry((shown,)))


# -- back: what multiplies each direction ----------------------------------------------------------------------------------------------


@cache
def transposed(stages: Stages) -> Theorem:
    """Σ g·(d/dt f) = Σ U·dx + Σ U·dw1 + …, for any activated units A, slopes S and activated gates P: only sums change places."""
    a, s, p, g = (Entry(name, i, place) for name, place in (("A", u), ("S", u), ("P", u), ("g", c)))
    da = total(c, d, g * Entry("W2", ZERO, u, c))
    dz = da * (p if stages.gated else s)
    back = dz * Entry("W1", ZERO, k, u)
    gradients = {
        "w1": total(i, n, Entry("X", ZERO, i, k) * dz), "b1": total(i, n, dz), "w2": total(i, n, a * g), "b2": total(i, n, g),
    }
    if stages.gated:
        back = back + da * s * Entry("W_GATE", ZERO, k, u)
        gradients["w_gate"] = total(i, n, Entry("X", ZERO, i, k) * (da * s))
    gradients["x"] = total(u, h, back)
    moving = total(i, n, total(c, d, g * change(stages, a, s, p)))
    return by_sums(moving, added(pairing(name, stages.inputs[name], gradients[name]) for name in stages.inputs))


@cache
def lines_along_curves(stages: Stages) -> tuple[Theorem, Theorem, Theorem]:
    """The derivative of Σ g·f; what multiplies each direction; the names of the gradients."""
    loss = contracted(Lambda((i, c), Entry("g", i, c)), OUT, slope(stages))
    units = {name: Lambda((i, u), value) for name, value in zip("ASP", factors(stages), strict=True)}
    if not stages.gated:
        del units["P"]
    regrouped = instantiation((transposed(stages),), {}, units)
    named = named_gradients(stages.results, stages.inputs, *stages.back)
    if stages.gated:
        regrouped = then(regrouped, by_sums(regrouped.right, named.left))
    return loss, regrouped, named


@cache
def along_curves(stages: Stages) -> Theorem:
    """All inputs move ⊢ d/dt Σ g·f = Σ U_x·dx + Σ U_w1·dw1 + Σ U_b1·db1 + Σ U_w2·dw2 + Σ U_b2·db2; for relu, away from 0."""
    loss, *others = lines_along_curves(stages)
    return valued(loss, *others)


@cache
def along_narrowing(stages: Stages) -> Theorem:
    """w2, b2 move ⊢ d/dt Σ g·f = Σ U_w2·dw2 + Σ U_b2·db2: f is linear in them, so nothing else is assumed."""
    inputs = {key: stages.inputs[key] for key in NARROWING}
    target = total(u, h, stages.a.call({}, i, u) * Entry("U_w2", u, c)) + Entry("U_b2", c)
    moving = entry_slope(stages.phase, inputs, OUT, target, stages.hidden)
    loss, *others = lines_to_gradients(moving, OUT, named_gradients(stages.results, inputs))
    return valued(loss, *others)


def build(variant: Options) -> Gradient:
    """Gradient of the feed-forward."""
    name, gated = str(variant["activation"]), bool(variant.get("gated"))
    stages = (GATED_STAGES if gated else STAGES)[name]
    loss, regrouped, folded = lines_along_curves(stages)
    return Gradient(
        phase="feed_forward",
        title=f"Gradient of the {'gated ' if gated else ''}feed-forward with {name}",
        variant=dict(variant),
        definitions=stages.all,
        results={key: stage.name for key, stage in stages.results.items()},
        lines=(
            Line("differentiate along straight curves of all inputs", straightened(loss, stages.inputs)),
            Line("exchange the sums: what multiplies each direction", straightened(regrouped, stages.inputs)),
            Line("these are the gradients", straightened(folded, stages.inputs)),
        ),
        statements=(
            *vjp_statements("feed_forward", along_curves(stages), stages.inputs, (n, d), along_narrowing(stages), NARROWING),
            *statements(stages),
        ),
        along_curves=along_curves(stages),
    )
