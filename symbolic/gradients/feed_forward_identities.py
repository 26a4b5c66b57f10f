"""Identities of the feed-forward's gradients that need no reference: sizes of gradients against sizes of inputs, and symmetries.

``⟨dx, x⟩ = ⟨dw1, w1⟩`` and ``⟨dw2, w2⟩ = ⟨g, f − b2⟩``, since x and w1 enter as a product, and w2 enters linearly; with relu
``⟨dx, x⟩ + ⟨db1, b1⟩ = ⟨dw2, w2⟩``, Euler's identity for a function that is homogeneous in z.
"""

from __future__ import annotations

from kernelproof.symbolic.core.logic import symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.functions import Definition
from kernelproof.symbolic.gradients.directions import added, opened
from kernelproof.symbolic.gradients.feed_forward_stages import DA, GATE, GATED_STAGES, INPUTS, OUT, STAGES, Stages, Z, i
from kernelproof.symbolic.phase import Extra, Statement
from kernelproof.symbolic.phases.feed_forward import c, d, h, k, n, u
from kernelproof.symbolic.tactics.calculus import Ranges
from kernelproof.symbolic.tactics.collect import by_sums
from kernelproof.symbolic.tactics.rewriting import Conversion, both_sides, everywhere, first, in_order, inside, rewriting, then, unfold, use
from kernelproof.symbolic.tactics.sums import reindexed
from kernelproof.symbolic.terms import ZERO, Entry, Lambda, Term, less, total


def inner(axes: Ranges, one: Term, two: Term) -> Term:
    """⟨one, two⟩ over these axes."""
    value = one * two
    for var, length in reversed(axes):
        value = total(var, length, value)
    return value


def against_input(stages: Stages, key: str) -> Term:
    """⟨dx, x⟩ for an input x."""
    axes = stages.inputs[key]
    indices = tuple(var for var, _ in axes)
    return inner(axes, stages.results[key].call({}, *indices), Entry(key, *indices))


def tokens_and_widening(stages: Stages) -> Theorem:
    """⊢ Σ dx·x = Σ dw1·w1, with gates + Σ dw_gate·w_gate."""
    widening = ("w1", "w_gate") if stages.gated else ("w1",)
    right = added(against_input(stages, key) for key in widening)
    named = (stages.dx, *(stages.results[key] for key in widening))
    if not stages.gated:
        sides = [opened(stage)(value) for stage, value in zip(named, (against_input(stages, "x"), right), strict=True)]
    else:
        sides = [opened(*named)(value) for value in (against_input(stages, "x"), right)]
    return then(sides[0], by_sums(sides[0].right, sides[1].right), symmetry((sides[1],)))


def narrowing(stages: Stages) -> Theorem:
    """⊢ Σ dw2·w2 = Σ g·(f − b2)."""
    units = total(u, h, stages.a.call({}, i, u) * Entry("w2", u, c)) + Entry("b2", c)
    whole = both_sides(stages.phase.call({}, i, c), units, unfold(stages.phase.name), opened(*stages.hidden))
    right = inner(OUT, Entry("g", i, c), whole.left - Entry("b2", c))
    sides = [opened(stages.dw2)(against_input(stages, "w2")), first(rewriting(whole))(right)]
    return then(sides[0], by_sums(sides[0].right, sides[1].right), symmetry((sides[1],)))


def gates_and_units() -> Theorem:
    """⊢ Σ dw_gate·w_gate = Σ dw2·w2 with relu gates, since relu(y) = [0 < y]·y."""
    stages = GATED_STAGES["relu"]
    gate = GATE.call({}, i, u)
    step = use("maximum_by_step", a=gate)
    product = then(step, inside((1,), unfold(GATE.name))(less(ZERO, gate) * gate))
    assert stages.dgate is not None and stages.p is not None
    left = opened(stages.results["w_gate"], stages.dgate, DA)(against_input(stages, "w_gate"))
    right = in_order(opened(stages.dw2, stages.a, stages.p), everywhere(rewriting(product)))(against_input(stages, "w2"))
    return then(left, by_sums(left.right, right.right), symmetry((right,)))


def euler() -> Theorem:
    """⊢ Σ dx·x + Σ db1·b1 = Σ dw2·w2 with relu, since relu(z) = [0 < z]·z."""
    stages, z = STAGES["relu"], Z.call({}, i, u)
    step = use("maximum_by_step", a=z)
    product = then(step, inside((1,), unfold(Z.name))(less(ZERO, z) * z))
    left = opened(stages.dx, stages.db1, stages.dz, DA)(against_input(stages, "x") + against_input(stages, "b1"))
    right = in_order(opened(stages.dw2, stages.a), everywhere(rewriting(product)))(against_input(stages, "w2"))
    return then(left, by_sums(left.right, right.right), symmetry((right,)))


def _steps(stages: Stages, stage: Definition) -> Conversion:
    """A gradient with everything that it is made of opened."""
    return opened(stage, *stages.back, *stages.hidden)


def position_wise(stages: Stages) -> Theorem:
    """⊢ dx(x∘r, g∘r)[i, k] = dx(x, g)[r[i], k] for any map r of the tokens."""
    r_i = Entry("r", i)
    moved = stages.dx.call({"x": Lambda((i, k), Entry("x", r_i, k)), "g": Lambda((i, c), Entry("g", r_i, c))}, i, k)
    return both_sides(moved, stages.dx.call({}, r_i, k), _steps(stages, stages.dx), _steps(stages, stages.dx))


def token_permutation(stages: Stages, key: str) -> Theorem:
    """s permutes the tokens ⊢ dw(x∘s, g∘s) = dw(x, g) for a weight or bias w: a sum over the tokens."""
    s_i, stage = Entry("s", i), stages.results[key]
    given = {"x": Lambda((i, k), Entry("x", s_i, k)), "g": Lambda((i, c), Entry("g", s_i, c))}
    taken = {parameter.name for parameter in stage.parameters}
    indices = tuple(var for var, _ in stages.inputs[key])
    moved = stage.call({other: value for other, value in given.items() if other in taken}, *indices)
    steps = _steps(stages, stage)
    return both_sides(moved, stage.call({}, *indices), steps, in_order(steps, first(reindexed("s"))))


def hidden_permutation(stages: Stages) -> Theorem:
    """s permutes the hidden units ⊢ dx(w1∘s, b1∘s, w2∘s) = dx(w1, b1, w2); w_gate with them."""
    s_u = Entry("s", u)
    order = {
        "w1": Lambda((k, u), Entry("w1", k, s_u)), "b1": Lambda((u,), Entry("b1", s_u)), "w2": Lambda((u, c), Entry("w2", s_u, c)),
    }
    if stages.gated:
        order["w_gate"] = Lambda((k, u), Entry("w_gate", k, s_u))
    steps = _steps(stages, stages.dx)
    return both_sides(stages.dx.call(order, i, k), stages.dx.call({}, i, k), steps, in_order(steps, first(reindexed("s"))))


def statements(stages: Stages) -> tuple[Statement, ...]:
    """The identities, as theorems of the gradient."""
    g = Extra("g", "real", (n, d))
    with_gates = "⟨dx, x⟩ = ⟨dw1, w1⟩ + ⟨dw_gate, w_gate⟩"
    found = [
        Statement("feed_forward.dx_dw1", with_gates if stages.gated else "⟨dx, x⟩ = ⟨dw1, w1⟩", tokens_and_widening(stages), (), (g,)),
        Statement("feed_forward.dw2_output", "⟨dw2, w2⟩ = ⟨g, f − b2⟩", narrowing(stages), (), (g,)),
        Statement(
            "feed_forward.dx_position_wise", "The gradient of a token depends on that token alone", position_wise(stages), INPUTS["x"],
            (g, Extra("r", "index_map", (n,), n)),
        ),
        Statement(
            "feed_forward.dx_hidden_permutation", "The order of the hidden units does not matter to dx", hidden_permutation(stages),
            INPUTS["x"], (g, Extra("s", "permutation", (h,), h)),
        ),
    ]
    found += [
        Statement(
            f"feed_forward.d{key}_token_permutation", f"The order of the tokens does not matter to d{key}", token_permutation(stages, key),
            stages.inputs[key], (g, Extra("s", "permutation", (n,), n)),
        )
        for key in stages.inputs if key != "x"
    ]
    if stages.name == "relu":
        law, title = (gates_and_units, "⟨dw_gate, w_gate⟩ = ⟨dw2, w2⟩ with relu") if stages.gated else (
            euler, "⟨dx, x⟩ + ⟨db1, b1⟩ = ⟨dw2, w2⟩ with relu",
        )
        found.append(Statement("feed_forward.euler", title, law(), (), (g,)))
    return tuple(found)
