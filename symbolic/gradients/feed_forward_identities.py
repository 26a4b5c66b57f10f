"""Identities of the feed-forward's gradients that need no reference: sizes of gradients against sizes of inputs, and symmetries.

``⟨dx, x⟩ = ⟨dw1, w1⟩`` and ``⟨dw2, w2⟩ = ⟨g, f − b2⟩``, since x and w1 enter as a product, and w2 enters linearly; with relu
``⟨dx, x⟩ + ⟨db1, b1⟩ = ⟨dw2, w2⟩``, Euler's identity for a function that is homogeneous in z.
"""

from __future__ import annotations

from kernelproof.symbolic.core.logic import symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.gradients.directions import opened
from kernelproof.symbolic.gradients.feed_forward_stages import DA, INPUTS, OUT, STAGES, Z, i
from kernelproof.symbolic.phase import Extra, Statement
from kernelproof.symbolic.phases.feed_forward import DEFINITIONS, c, d, h, k, n, u
from kernelproof.symbolic.tactics.calculus import Ranges
from kernelproof.symbolic.tactics.collect import by_sums
from kernelproof.symbolic.tactics.rewriting import both_sides, everywhere, first, in_order, inside, rewriting, then, unfold, use
from kernelproof.symbolic.tactics.sums import reindexed
from kernelproof.symbolic.terms import ZERO, Entry, Lambda, Term, less, total


def inner(axes: Ranges, one: Term, two: Term) -> Term:
    """⟨one, two⟩ over these axes."""
    value = one * two
    for var, length in reversed(axes):
        value = total(var, length, value)
    return value


def against_input(name: str, key: str) -> Term:
    """⟨dx, x⟩ for an input x."""
    indices = tuple(var for var, _ in INPUTS[key])
    return inner(INPUTS[key], STAGES[name].results[key].call({}, *indices), Entry(key, *indices))


def tokens_and_widening(name: str) -> Theorem:
    """⊢ Σ dx·x = Σ dw1·w1."""
    stages = STAGES[name]
    sides = [opened(stage)(against_input(name, key)) for key, stage in (("x", stages.dx), ("w1", stages.dw1))]
    return then(sides[0], by_sums(sides[0].right, sides[1].right), symmetry((sides[1],)))


def narrowing(name: str) -> Theorem:
    """⊢ Σ dw2·w2 = Σ g·(f − b2)."""
    stages, units = STAGES[name], total(u, h, STAGES[name].a.call({}, i, u) * Entry("w2", u, c)) + Entry("b2", c)
    whole = both_sides(DEFINITIONS[name].call({}, i, c), units, unfold(DEFINITIONS[name].name), opened(stages.a, Z))
    right = inner(OUT, Entry("g", i, c), whole.left - Entry("b2", c))
    sides = [opened(stages.dw2)(against_input(name, "w2")), first(rewriting(whole))(right)]
    return then(sides[0], by_sums(sides[0].right, sides[1].right), symmetry((sides[1],)))


def euler() -> Theorem:
    """⊢ Σ dx·x + Σ db1·b1 = Σ dw2·w2 with relu, since relu(z) = [0 < z]·z."""
    stages, z = STAGES["relu"], Z.call({}, i, u)
    step = use("maximum_by_step", a=z)
    product = then(step, inside((1,), unfold(Z.name))(less(ZERO, z) * z))
    left = opened(stages.dx, stages.db1, stages.dz, DA)(against_input("relu", "x") + against_input("relu", "b1"))
    right = in_order(opened(stages.dw2, stages.a), everywhere(rewriting(product)))(against_input("relu", "w2"))
    return then(left, by_sums(left.right, right.right), symmetry((right,)))


def position_wise(name: str) -> Theorem:
    """⊢ dx(x∘r, g∘r)[i, k] = dx(x, g)[r[i], k] for any map r of the tokens."""
    stages, r_i = STAGES[name], Entry("r", i)
    moved = stages.dx.call({"x": Lambda((i, k), Entry("x", r_i, k)), "g": Lambda((i, c), Entry("g", r_i, c))}, i, k)
    steps = opened(stages.dx, stages.dz, DA, Z)
    return both_sides(moved, stages.dx.call({}, r_i, k), steps, steps)


def token_permutation(name: str, key: str) -> Theorem:
    """s permutes the tokens ⊢ dw(x∘s, g∘s) = dw(x, g) for a weight or bias w: a sum over the tokens."""
    stages, s_i = STAGES[name], Entry("s", i)
    stage = stages.results[key]
    given = {"x": Lambda((i, k), Entry("x", s_i, k)), "g": Lambda((i, c), Entry("g", s_i, c))}
    taken = {parameter.name for parameter in stage.parameters}
    indices = tuple(var for var, _ in INPUTS[key])
    moved = stage.call({other: value for other, value in given.items() if other in taken}, *indices)
    steps = opened(stage, stages.dz, stages.a, DA, Z)
    return both_sides(moved, stage.call({}, *indices), steps, in_order(steps, first(reindexed("s"))))


def hidden_permutation(name: str) -> Theorem:
    """s permutes the hidden units ⊢ dx(w1∘s, b1∘s, w2∘s) = dx(w1, b1, w2)."""
    stages, s_u = STAGES[name], Entry("s", u)
    order = {
        "w1": Lambda((k, u), Entry("w1", k, s_u)), "b1": Lambda((u,), Entry("b1", s_u)), "w2": Lambda((u, c), Entry("w2", s_u, c)),
    }
    steps = opened(stages.dx, stages.dz, DA, Z)
    return both_sides(stages.dx.call(order, i, k), stages.dx.call({}, i, k), steps, in_order(steps, first(reindexed("s"))))


def statements(name: str) -> tuple[Statement, ...]:
    """The identities, as theorems of the gradient."""
    g = Extra("g", "real", (n, d))
    found = [
        Statement("feed_forward.dx_dw1", "⟨dx, x⟩ = ⟨dw1, w1⟩", tokens_and_widening(name), (), (g,)),
        Statement("feed_forward.dw2_output", "⟨dw2, w2⟩ = ⟨g, f − b2⟩", narrowing(name), (), (g,)),
        Statement(
            "feed_forward.dx_position_wise", "The gradient of a token depends on that token alone", position_wise(name), INPUTS["x"],
            (g, Extra("r", "index_map", (n,), n)),
        ),
        Statement(
            "feed_forward.dx_hidden_permutation", "The order of the hidden units does not matter to dx", hidden_permutation(name),
            INPUTS["x"], (g, Extra("s", "permutation", (h,), h)),
        ),
    ]
    found += [
        Statement(
            f"feed_forward.d{key}_token_permutation", f"The order of the tokens does not matter to d{key}", token_permutation(name, key),
            INPUTS[key], (g, Extra("s", "permutation", (n,), n)),
        )
        for key in ("w1", "b1", "w2", "b2")
    ]
    if name == "relu":
        found.append(Statement("feed_forward.euler", "⟨dx, x⟩ + ⟨db1, b1⟩ = ⟨dw2, w2⟩ with relu", euler(), (), (g,)))
    return tuple(found)
