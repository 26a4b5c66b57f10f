"""Theorems of sinusoidal positions: a shift is a rotation, inner products and distances depend on p − q, positions differ.

A pair is the sine and the cosine of one frequency, so these are theorems of pairs i with i < sines and i < cosines. For even d all
columns are paired: sines = cosines = h. For odd d there is one sine more than cosines, sines = h + 1, and what is said of the paired
columns leaves the last sine out. The frequencies are geometric, whatever ``steps`` (the paper's d/2 or tensor2tensor's).
"""

from __future__ import annotations

from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.logic import assumption, instantiation, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.formulas import equation, integer, nonzero, positive
from kernelproof.symbolic.phase import Extra, Statement
from kernelproof.symbolic.phases.positional import Encoding, base, cosines, frequency, h, i, n, p, q, shift, start, steps
from kernelproof.symbolic.tactics.rewriting import (
    Conversion,
    both_sides,
    by_arithmetic,
    discharged,
    first,
    in_order,
    inside,
    rewriting,
    then,
    use,
)
from kernelproof.symbolic.tactics.sums import sum_constant, sum_scaled
from kernelproof.symbolic.terms import ONE, ZERO, Entry, Op, Term, log, total

A, B, GAP = (start + p) * frequency(i), (start + q) * frequency(i), (p - q) * frequency(i)


def even(layout: str) -> Encoding:
    """All columns paired."""
    return Encoding(layout, sines=h, cosines=h)


def odd(layout: str) -> Encoding:
    """One sine more than cosines."""
    return Encoding(layout, sines=h + 1, cosines=h)


def over_pairs(encoding: Encoding, body: Term, convert: Conversion) -> Theorem:
    """Σ_{i<h} body with the encoding unfolded and converted; i < h is below h + 1 too."""

    def inner(value: Term) -> Theorem:
        return discharged(in_order(encoding.unfolded, convert)(value), use("range_widened", a=i, m=h, n=1))

    return inside((2,), inner)(total(i, h, body))


def rotation(layout: str) -> tuple[Theorem, Theorem]:
    """i < sines, cosines ⊢ PE[p+k] = R(k)·PE[p], as the two rows of the rotation, the shift k in ``start``."""
    encoding = Encoding(layout)
    turn = shift * frequency(i)
    (s, c), moved = encoding.at(p, i), encoding.at(p, i, start=start + shift)
    targets = s * Op("cos", turn) + c * Op("sin", turn), c * Op("cos", turn) - s * Op("sin", turn)
    split = first(rewriting(arithmetic((), (start + shift + p) * frequency(i), A + turn)))
    sine, cosine = (
        both_sides(left, right, in_order(encoding.unfolded, split, rewriting(use(rule, a=A, b=turn))), encoding.unfolded)
        for left, right, rule in zip(moved, targets, ("sine_of_sum", "cosine_of_sum"), strict=True)
    )
    return sine, cosine


def unit_norm(layout: str) -> Theorem:
    """i < sines, cosines ⊢ PE[p, sine i]² + PE[p, cosine i]² = 1."""
    encoding = Encoding(layout)
    s, c = encoding.at(p, i)
    return in_order(encoding.unfolded, rewriting(use("unit_circle", a=A)))(s**2 + c**2)


def norm(encoding: Encoding) -> Theorem:
    """p < n ⊢ Σ_{i<h} (PE[p, sine i]² + PE[p, cosine i]²) = h."""
    s, c = encoding.at(p, i)
    ones = over_pairs(encoding, s**2 + c**2, rewriting(use("unit_circle", a=A)))
    return then(ones, in_order(sum_constant, by_arithmetic(h))(ones.right))


def offset_only(encoding: Encoding) -> Theorem:
    """p, q < n ⊢ Σ_{i<h} (PE[p]·PE[q] at pair i) = Σ_{i<h} cos((p−q)·ω_i)."""
    (s, c), (s2, c2) = encoding.at(p, i), encoding.at(q, i)
    folded = symmetry((use("cosine_of_difference", a=A, b=B),))
    gap = first(rewriting(arithmetic((), A - B, GAP)))
    return over_pairs(encoding, s * s2 + c * c2, in_order(by_arithmetic(folded.left), rewriting(folded), gap))


def shift_invariance(encoding: Encoding) -> Theorem:
    """p, q < n ⊢ ⟨PE[p+k], PE[q+k]⟩ = ⟨PE[p], PE[q]⟩, the shift k in ``start``."""
    plain = offset_only(encoding)
    return then(instantiation((plain,), {start: start + shift}, {}), symmetry((plain,)))


def distance(encoding: Encoding) -> Theorem:
    """p, q < n ⊢ Σ_{i<h} (PE[p] − PE[q] at pair i)² = 2·Σ_{i<h} (1 − cos((p−q)·ω_i))."""
    (s, c), (s2, c2) = encoding.at(p, i), encoding.at(q, i)
    facts = use("unit_circle", a=A), use("unit_circle", a=B), use("cosine_of_difference", a=A, b=B)
    chord = by_arithmetic(2 * (1 - Op("cos", A - B)), *facts, cofactors=(ONE, ONE, ONE + 1))
    gap = first(rewriting(arithmetic((), A - B, GAP)))
    chords = over_pairs(encoding, (s - s2) ** 2 + (c - c2) ** 2, in_order(chord, gap))
    return then(chords, sum_scaled(chords.right))


def uniqueness(layout: str) -> Theorem:
    """PE[p] and PE[q] agree in the first pair, p and q integers ⊢ p − q = 0."""
    encoding = Encoding(layout)
    a, b = start + p, start + q
    equal = []
    for left, right in zip(encoding.at(p, ZERO), encoding.at(q, ZERO), strict=True):
        one, two = (
            in_order(encoding.unfolded, first(rewriting(arithmetic((), position * frequency(ZERO), position))))(side)
            for position, side in ((a, left), (b, right))
        )
        equal.append(then(symmetry((one,)), assumption((), equation(left, right)), two))
    turns = use("whole_turns", *equal, a=a, b=b)
    gap = then(arithmetic((), p - q, a - b), turns)
    whole = use("integer_difference", assumption((), integer(p)), assumption((), integer(q)), a=p, b=q)
    return use("pi_irrational", gap, whole, use("turns_are_whole", a=a, b=b), a=p - q, b=Entry("turns", a, b))


def frequencies() -> tuple[Theorem, Theorem, Theorem]:
    """⊢ ω_0 = 1; ⊢ ω_{i+1} = ω_i·ω_1; 0 < base, steps ≠ 0 ⊢ ω_steps = 1/base."""
    back = use("exp_of_logarithm", assumption((), positive(base)), a=base)
    last = arithmetic((assumption((), nonzero(steps)),), frequency(steps), 1 / Op("exp", log(base)))
    return (
        arithmetic((), frequency(ZERO), ONE),
        arithmetic((), frequency(i + 1), frequency(i) * frequency(ONE)),
        then(last, inside((1,), rewriting(back))(last.right)),
    )


def statements(layout: str) -> tuple[Statement, ...]:
    """What is proved of sinusoidal positions, in the order in which it is told."""
    sine_row, cosine_row = rotation(layout)
    pair, both, turn = ((p, n), (i, cosines)), ((p, n), (q, n)), (Extra("k", "offset"),)
    told = (
        Statement("positional.rotation_sine", "PE[p+k] is PE[p] rotated by k·ω: sine of a pair", sine_row, pair, turn, ("start",)),
        Statement("positional.rotation_cosine", "PE[p+k] is PE[p] rotated by k·ω: cosine of a pair", cosine_row, pair, turn, ("start",)),
        Statement("positional.unit_norm", "Each pair lies on the unit circle", unit_norm(layout), pair),
        Statement("positional.norm", "‖PE[p]‖² = d/2 for even d", norm(even(layout)), both[:1]),
        Statement("positional.offset_only", "⟨PE[p], PE[q]⟩ depends on p − q only, for even d", offset_only(even(layout)), both),
        Statement(
            "positional.shift_invariance", "⟨PE[p+k], PE[q+k]⟩ = ⟨PE[p], PE[q]⟩ for even d", shift_invariance(even(layout)), both, turn,
            ("start",),
        ),
        Statement("positional.distance", "‖PE[p] − PE[q]‖² = 2·Σ (1 − cos (p−q)·ω) for even d", distance(even(layout)), both),
        Statement(
            "positional.uniqueness", "Different positions have different encodings", uniqueness(layout),
            untested="its hypotheses are equations; that positions differ is tried as a property of its own",
        ),
        *_of_frequencies(),
    )
    return (*told, *_of_odd_width(layout)) if layout == "interleaved" else told


def _of_frequencies() -> tuple[Statement, ...]:
    reason = "it speaks of the frequencies, not of a result"
    first_one, ratio, last = frequencies()
    return (
        Statement("positional.frequency_first", "The first frequency is 1", first_one, untested=reason),
        Statement("positional.frequency_ratio", "The frequencies are geometric", ratio, ((i, cosines),), untested=reason),
        Statement("positional.frequency_last", "The frequency at i = steps is 1/base", last, untested=reason),
    )


def _of_odd_width(layout: str) -> tuple[Statement, ...]:
    reason = "it leaves out a column, and is tried on even d"
    both, encoding = ((p, n), (q, n)), odd(layout)
    return (
        Statement("positional.odd_norm", "Odd d: the paired columns have norm² (d−1)/2", norm(encoding), both[:1], untested=reason),
        Statement(
            "positional.odd_offset_only", "Odd d: the inner product of the paired columns depends on p − q only", offset_only(encoding),
            both, untested=reason,
        ),
        Statement("positional.odd_distance", "Odd d: the distance in the paired columns", distance(encoding), both, untested=reason),
    )
