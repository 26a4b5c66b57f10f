"""The order of the heads does not matter: permuting the columns of w_q, w_k, w_v and the rows of w_o by heads changes nothing.

That the permuted weights are such is a hypothesis, entry by entry: ``w_q2[a, h·f+g] = w_q[a, s[h]·f+g]`` and likewise for the others.
"""

from __future__ import annotations

from kernelproof.symbolic.core.logic import assumption, specialisation
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.formulas import equation, every
from kernelproof.symbolic.phase import Extra, Options, Statement
from kernelproof.symbolic.phases.multi_head_attention import DEFINITION, D, a, c, f, g, hd, heads, i, j, n
from kernelproof.symbolic.tactics.rewriting import both_sides, everywhere, first, in_order, rewriting, unfold
from kernelproof.symbolic.tactics.sums import reindexed
from kernelproof.symbolic.terms import Entry, Lambda, Var

S_H = Entry("s", hd)
PERMUTED = "about weights that are permuted by heads, which the properties do not draw"


def _column(weights: str, index: Var) -> Theorem:
    """a < d, index < f, h < heads ⊢ w2[a, h·f+index] = w[a, s[h]·f+index]."""
    over = ((a, D), (hd, heads), (g, f))
    same = equation(Entry(f"{weights}2", a, hd * f + g), Entry(weights, a, S_H * f + g))
    return specialisation((assumption((), every(over, same)),), (a, hd, index))


def _row() -> Theorem:
    """h < heads, g < f, c < d ⊢ w_o2[h·f+g, c] = w_o[s[h]·f+g, c]."""
    over = ((hd, heads), (g, f), (c, D))
    same = equation(Entry("w_o2", hd * f + g, c), Entry("w_o", S_H * f + g, c))
    return specialisation((assumption((), every(over, same)),), (hd, g, c))


def head_permutation() -> Theorem:
    """s permutes the heads, weights permuted alike ⊢ MHA(w2) = MHA(w)."""

    def renamed(name: str) -> Lambda:
        return Lambda((j, a), Entry(f"{name}2", j, a))

    moved = DEFINITION.call({name: renamed(name) for name in ("w_q", "w_k", "w_v", "w_o")}, i, c)
    plain = DEFINITION.call({}, i, c)
    opened = in_order(unfold("multi_head_attention"), everywhere(unfold("attention")))
    columns = (_column("w_q", c), _column("w_k", c), _column("w_v", g))
    to_permuted = in_order(opened, *(everywhere(rewriting(step)) for step in columns), first(rewriting(_row())))
    return both_sides(moved, plain, to_permuted, in_order(opened, first(reindexed("s"))))


def statements(variant: Options) -> tuple[Statement, ...]:
    """Head permutation."""
    extras = (Extra("s", "permutation", (heads,), heads), *(Extra(f"{name}2", "real", (D, D)) for name in ("w_q", "w_k", "w_v", "w_o")))
    return (
        Statement(
            "multi_head_attention.head_permutation", "The order of the heads does not matter", head_permutation(), ((i, n), (c, D)), extras,
            untested=PERMUTED,
        ),
    )
