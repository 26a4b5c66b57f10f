"""Sinusoidal positions: ``PE[p, sine i] = sin((start+p)·ω_i)``, ``PE[p, cosine i] = cos((start+p)·ω_i)``, ``ω_i = base^(−i/steps)``.

Source: Vaswani et al., arXiv:1706.03762, section 3.5. ``steps`` is d/2 under the paper's denominator and max(⌊d/2⌋−1, 1) under
tensor2tensor's; with the layout ``interleaved`` sine i is column 2i and cosine i column 2i+1, with ``halves`` they are columns i
and h+i. Kernel form: the definition.
"""

from __future__ import annotations

from kernelproof.symbolic.core.analysis import (
    cosine_of_difference,
    cosine_of_sum,
    pi_irrational,
    sine_of_sum,
    turns_are_whole,
    unit_circle,
    whole_turns,
)
from kernelproof.symbolic.core.definitions import define, unfolding
from kernelproof.symbolic.core.equality import arithmetic, assumption, integer_difference, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import equation, integer
from kernelproof.symbolic.functions import Clause, Definition, Parameter
from kernelproof.symbolic.phase import Clausal, Derivation, Extra, Options, Phase, Statement, VariantOption
from kernelproof.symbolic.tactics import (
    Chain,
    both_sides,
    by_arithmetic,
    everywhere,
    first,
    in_order,
    inside,
    is_operation,
    rewriting,
    then,
)
from kernelproof.symbolic.terms import ZERO, Call, Lambda, Op, Term, Var, exp, log, size, total, variables

n, sines, cosines, h = size("n"), size("sines"), size("cosines"), size("h")
p, q, i, shift, base, steps, start = variables("p q i k base steps start")
LAYOUT = VariantOption("layout", "interleaved", ("interleaved", "halves"), "sine and cosine columns alternate, or sines first")
DENOMINATOR = VariantOption("denominator", "paper", ("paper", "half_minus_one"), "exponent 2i/d, or i/max(⌊d/2⌋−1, 1) as tensor2tensor")


def frequency(index: Term) -> Term:
    """ω_i = base^(−i/steps), written with exp and log."""
    return exp(-(index / steps) * log(base))


def columns(layout: str, index: Term) -> tuple[Term, Term]:
    """The columns of sine and cosine i."""
    return (2 * index, 2 * index + 1) if layout == "interleaved" else (index, sines + index)


def _definition(layout: str) -> Definition:
    angle = (start + p) * frequency(i)
    sine, cosine = columns(layout, i)
    return define(
        Definition(
            f"positional_{layout}",
            (
                Parameter("n", kind="size", meaning="positions"), Parameter("sines", kind="size", meaning="sine columns, ⌈d/2⌉"),
                Parameter("cosines", kind="size", meaning="cosine columns, ⌊d/2⌋"), Parameter("base", meaning="10000 in the paper"),
                Parameter("steps", meaning="d/2, or max(⌊d/2⌋−1, 1)"), Parameter("start", meaning="first position"),
            ),
            (
                Clause((p, sine), ((p, n), (i, sines)), Op("sin", angle)),
                Clause((p, cosine), ((p, n), (i, cosines)), Op("cos", angle)),
            ),
            meaning="sines and cosines of the position at geometric frequencies",
            result=(n, sines + cosines),
        )
    )


DEFINITIONS = {str(layout): _definition(str(layout)) for layout in LAYOUT.choices}


class Encoding:
    """Entries of the encoding in one layout."""

    def __init__(self, layout: str, even: bool = False) -> None:
        self.layout, self.definition = layout, DEFINITIONS[layout]
        self.fixed: dict[str, Lambda | Term] = {"sines": h, "cosines": h} if even else {}

    def at(self, position: Term, index: Term, **arguments: Term) -> tuple[Term, Term]:
        """Sine and cosine entry."""
        values = {**self.fixed, **arguments}
        width = values.get("sines", sines)
        assert not isinstance(width, Lambda)
        sine, cosine = (2 * index, 2 * index + 1) if self.layout == "interleaved" else (index, width + index)
        return self.definition.call(values, position, sine), self.definition.call(values, position, cosine)

    def unfolded(self, value: Term) -> Theorem:
        """Both clauses unfolded wherever they stand, sine before cosine as the layout says."""
        return everywhere(_by_clause)(value)


def _by_clause(value: Term) -> Theorem:
    """Unfold a call by the clause its column has the form of."""
    if not isinstance(value, Call):
        raise ProofError("not a call")
    return unfolding((), value, int(is_operation(value.indices[1], "add")))


def rotation(layout: str) -> tuple[Theorem, Theorem]:
    """⊢ PE[p+k] = R(k)·PE[p], as the two rows of the rotation, the shift k in ``start``."""
    encoding = Encoding(layout)
    results = []
    turn = shift * frequency(i)
    angle = (start + p) * frequency(i)
    moved, plain = encoding.at(p, i, start=start + shift), encoding.at(p, i)
    split = first(rewriting(arithmetic((), (start + shift + p) * frequency(i), angle + turn)))
    for which, rule in enumerate((sine_of_sum, cosine_of_sum)):
        s, c = plain
        target = (
            s * Op("cos", turn) + c * Op("sin", turn) if which == 0 else c * Op("cos", turn) - s * Op("sin", turn)
        )
        to_sum = in_order(encoding.unfolded, split, rewriting(rule((), angle, turn)))
        results.append(both_sides(moved[which], target, to_sum, encoding.unfolded))
    return results[0], results[1]


def unit_norm(layout: str) -> Theorem:
    """⊢ each pair lies on the unit circle."""
    encoding = Encoding(layout)
    s, c = encoding.at(p, i)
    return in_order(encoding.unfolded, rewriting(unit_circle((), (start + p) * frequency(i))))(s**2 + c**2)


def offset_only(layout: str) -> Theorem:
    """⊢ ⟨PE[p], PE[q]⟩ = Σ_i cos((p−q)·ω_i) for even d: the inner product depends on p − q only."""
    encoding = Encoding(layout, even=True)
    (s, c), (s2, c2) = encoding.at(p, i), encoding.at(q, i)
    a, b = (start + p) * frequency(i), (start + q) * frequency(i)
    folded = symmetry((cosine_of_difference((), a, b),))
    gap = arithmetic((), a - b, (p - q) * frequency(i))
    body = in_order(encoding.unfolded, by_arithmetic(folded.left), rewriting(folded), first(rewriting(gap)))
    return inside((2,), body)(total(i, h, s * s2 + c * c2))


def uniqueness(layout: str) -> Theorem:
    """PE[p] and PE[q] agree in the first pair, p and q integers ⊢ p − q = 0."""
    encoding = Encoding(layout)
    pairs = [
        assumption((), equation(left, right)) for left, right in zip(encoding.at(p, ZERO), encoding.at(q, ZERO), strict=True)
    ]
    equal = []
    for pair, function in zip(pairs, ("sin", "cos"), strict=True):
        sides = []
        for position, side in ((p, pair.left), (q, pair.right)):
            plain = arithmetic((), (start + position) * frequency(ZERO), start + position)
            sides.append(in_order(encoding.unfolded, first(rewriting(plain)))(side))
        assert sides[0].right.name == function
        equal.append(then(symmetry((sides[0],)), pair, sides[1]))
    a, b = start + p, start + q
    turns = whole_turns(tuple(equal), a, b)
    gap = then(arithmetic((), p - q, a - b), turns)
    whole = integer_difference((assumption((), integer(p)), assumption((), integer(q))))
    return pi_irrational((gap, whole, turns_are_whole((), a, b)))


def build(variant: Options) -> Derivation:
    """Derivation and theorems."""
    layout = str(variant["layout"])
    encoding, definition = Encoding(layout), DEFINITIONS[layout]
    clauses = []
    for which, value in enumerate(encoding.at(p, i)):
        name = ("sine", "cosine")[which]
        chain = Chain(value).step(f"unfold the {name} columns", encoding.unfolded)
        clauses.append(Clausal(definition.clauses[which], tuple(chain.lines)))
    sine_row, cosine_row = rotation(layout)
    over: tuple[tuple[Var, Term], ...] = ((p, n), (i, cosines))
    turn = (Extra("k", "offset"),)
    return Derivation(
        phase="positional",
        title=PHASE.title,
        variant=dict(variant),
        definition=definition,
        clauses=tuple(clauses),
        statements=(
            Statement("positional.rotation_sine", "PE[p+k] is PE[p] rotated by k·ω: sine row", sine_row, over, turn, ("start",)),
            Statement("positional.rotation_cosine", "PE[p+k] is PE[p] rotated by k·ω: cosine row", cosine_row, over, turn, ("start",)),
            Statement("positional.unit_norm", "Each pair lies on the unit circle", unit_norm(layout), over),
            Statement("positional.offset_only", "⟨PE[p], PE[q]⟩ depends on p − q only", offset_only(layout), ((p, n), (q, n))),
            Statement("positional.uniqueness", "Different positions have different encodings", uniqueness(layout)),
        ),
        licences=(),
    )


PHASE = Phase(
    name="positional",
    title="Sinusoidal positional encoding",
    summary="sines and cosines of the position at geometric frequencies",
    signature="f(n_positions, d_model, *, base=10000.0, start=0)",
    build=build,
    variants={"layout": LAYOUT, "denominator": DENOMINATOR},
)
