"""Theorems of rotary positions beside the kernel form: linear in x, a group of rotations, scores that ``start`` does not change.

A channel c < 2·h is one of the two of a pair i < h. So a sum over all channels is one over the pairs (:func:`paired`), and what
holds for both channels of every pair holds for every channel (:func:`every_channel`): ``f(c) = Σ_j δ(j, c)·f(j)``, summed by pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.logic import assumption, instantiation, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.formulas import positive
from kernelproof.symbolic.phase import Extra, Statement
from kernelproof.symbolic.phases.rotary import DEFINITIONS, UNFOLD, frequency, h, i, n, norm_kept, offset_only, p, pair, q, start
from kernelproof.symbolic.tactics.induction import peel
from kernelproof.symbolic.tactics.rewriting import (
    Conversion,
    any_of,
    by_arithmetic,
    discharged,
    everywhere,
    in_order,
    inside,
    only_at,
    replaced,
    rewriting,
    shown_as,
    then,
    use,
)
from kernelproof.symbolic.tactics.sums import as_sum, sum_delta, sum_of_sums, sum_split, sum_tiled
from kernelproof.symbolic.terms import ONE, ZERO, Entry, Lambda, Num, Term, delta, total, variables

c, j, a, b, k = variables("c j a b k")
CHANNELS = 2 * h
OVER = ((p, n), (c, CHANNELS))


# -- channels and pairs ---------------------------------------------------------------------------------------------------------


@cache
def pairs(layout: str) -> Theorem:
    """⊢ Σ_{j<2h} f(j) = Σ_{i<h} f(one of pair i) + Σ_{i<h} f(the other)."""
    whole = total(j, CHANNELS, Entry("f", j))
    one, two = (Entry("f", channel) for channel in pair(layout, i))
    if layout == "halves":
        split = in_order(inside((0,), by_arithmetic(h + h)), sum_split)
    else:
        named = any_of(only_at(i * 2 + ZERO, 2 * i), only_at(i * 2 + (ZERO + 1), 2 * i + 1))
        tile = in_order(inside((0,), by_arithmetic(ZERO + 1 + 1)), everywhere(peel), everywhere(named), by_arithmetic(one + two))
        split = in_order(
            inside((0,), by_arithmetic(h * 2)), lambda value: sum_tiled(value, i), inside((2,), tile), sum_of_sums
        )
    return shown_as(split(whole), whole, total(i, h, one) + total(i, h, two))


def paired(layout: str) -> Conversion:
    """A sum over the channels as two over the pairs."""

    def convert(value: Term) -> Theorem:
        fold = as_sum(value)
        return rewriting(instantiation((pairs(layout),), {}, {"f": Lambda((fold.var,), fold.body)}))(fold)

    return convert


def expanded(layout: str, entry: Callable[[Term], Term]) -> Theorem:
    """c < 2·h ⊢ f(c) = Σ_i δ(one, c)·f(one) + Σ_i δ(other, c)·f(other)."""
    picked = total(j, CHANNELS, delta(j, c) * entry(j))
    return then(symmetry((sum_delta(picked),)), paired(layout)(picked))


def every_channel(layout: str, left: Callable[[Term], Term], right: Callable[[Term], Term], *equal: Theorem) -> Theorem:
    """c < 2·h ⊢ left(c) = right(c), from the equations for both channels of a pair i < h."""
    both = expanded(layout, left)
    for place, equation in enumerate(equal):
        both = then(both, inside((place, 2, 1), rewriting(equation))(both.right))
    return then(both, symmetry((expanded(layout, right),)))


def channels_in_range(layout: str) -> tuple[Theorem, Theorem]:
    """i < h ⊢ both channels of pair i are below 2·h."""
    one, two = pair(layout, i)
    if layout == "halves":
        double = arithmetic((), h + h, CHANNELS)
        return replaced(use("range_widened", a=i, m=h, n=h), double), replaced(use("range_shifted", a=i, m=h, n=h), double)
    first_place = use("first_in_range", use("one_positive"), n=1)
    places = (use("range_widened", first_place, a=0, m=1, n=1), use("range_shifted", first_place, a=0, m=1, n=1))
    numbers = arithmetic((), ONE + 1, Num(2)), arithmetic((), ONE + 0, ONE)
    even, odd = (
        replaced(use("range_tiled", replaced(place, *numbers), a=i, b=number, m=h, n=2), arithmetic((), h * 2, CHANNELS))
        for number, place in enumerate(places)
    )
    return replaced(even, arithmetic((), i * 2 + ZERO, one)), replaced(odd, arithmetic((), i * 2 + ONE, two))


# -- theorems -------------------------------------------------------------------------------------------------------------------


def same(left: Term, right: Term, step: Conversion | None = None) -> Theorem:
    """left = right, by unfolding both, a step on the right one, and arithmetic."""
    opened, wanted = UNFOLD(left), UNFOLD(right)
    if step is not None:
        wanted = then(wanted, step(wanted.right))
    return then(opened, arithmetic((), opened.right, wanted.right), symmetry((wanted,)))


def linearity(layout: str) -> Theorem:
    """p < n, c < 2·h ⊢ rotary(a·x + b·y)[p, c] = a·rotary(x)[p, c] + b·rotary(y)[p, c]."""
    call = DEFINITIONS[layout].call
    mixed = Lambda((p, c), a * Entry("x", p, c) + b * Entry("y", p, c))
    other = Lambda((p, c), Entry("y", p, c))

    def left(channel: Term) -> Term:
        return call({"x": mixed}, p, channel)

    def right(channel: Term) -> Term:
        return a * call({}, p, channel) + b * call({"x": other}, p, channel)

    return every_channel(layout, left, right, *(same(left(channel), right(channel)) for channel in pair(layout, i)))


def composition(layout: str) -> Theorem:
    """p < n, c < 2·h ⊢ turning from start b, then from start a, is turning from start a + b + p: the angles add up."""
    call = DEFINITIONS[layout].call
    inner = Lambda((p, c), call({"start": b}, p, c))
    one, two = (a + p) * frequency(i), (b + p) * frequency(i)
    angle = arithmetic((), (a + b + p + p) * frequency(i), one + two)
    sums = [rewriting(use(f"{name}_of_sum", a=one, b=two)) for name in ("sine", "cosine")]
    apart = in_order(everywhere(rewriting(angle)), everywhere(any_of(*sums)))

    def left(channel: Term) -> Term:
        return call({"start": a, "x": inner}, p, channel)

    def right(channel: Term) -> Term:
        return call({"start": a + b + p}, p, channel)

    return every_channel(layout, left, right, *(same(left(channel), right(channel), apart) for channel in pair(layout, i)))


def group(layout: str) -> Theorem:
    """0 < n, c < 2·h ⊢ at position 0: turning by start b, then by start a, is turning by a + b."""
    at_zero = instantiation((composition(layout),), {p: ZERO}, {})
    there = use("first_in_range", assumption((), positive(n)), n=n)
    return replaced(discharged(at_zero, there), arithmetic((), a + b + ZERO, a + b))


def start_invariance(layout: str) -> Theorem:
    """p, q < n ⊢ Σ_c rotary(x)[p, c]·rotary(y)[q, c] is the same from start + k as from start."""
    call = DEFINITIONS[layout].call
    other = Lambda((p, i), Entry("y", p, i))
    plain = total(c, CHANNELS, call({}, p, c) * call({"x": other}, q, c))
    by_pairs, scores = paired(layout)(plain), offset_only(layout)
    together = then(by_pairs, symmetry((sum_of_sums(scores.left),)), scores)
    moved = instantiation((together,), {start: start + k}, {})
    return then(moved, symmetry((together,)))


def statements(layout: str) -> tuple[Statement, ...]:
    """What is proved of rotary positions, in the order in which it is told."""
    y = Extra("y", "real", (n, CHANNELS))
    scalars = (Extra("a", "real"), Extra("b", "real"))
    starts = (Extra("a", "offset"), Extra("b", "offset"))
    return (
        Statement("rotary.norm_kept", "The norm of each pair is kept", norm_kept(layout), ((p, n), (i, h))),
        Statement(
            "rotary.offset_only", "Scores of turned queries and keys depend on the offset only", offset_only(layout), ((p, n), (q, n)), (y,)
        ),
        Statement(
            "rotary.start_invariance", "Scores do not change with the first position", start_invariance(layout), ((p, n), (q, n)),
            (y, Extra("k", "offset")), ("start",),
        ),
        Statement("rotary.linearity", "Turning is linear", linearity(layout), OVER, (y, *scalars)),
        Statement(
            "rotary.composition", "Angles add up", composition(layout), OVER, starts, ("start",),
            untested="its start differs from row to row",
        ),
        Statement("rotary.group", "At position 0: turned by b, then by a, is turned by a + b", group(layout), OVER[1:], starts, ("start",)),
    )
