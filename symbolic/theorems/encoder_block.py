"""With positions the block sees word order: "cat before dog" is not "dog before cat". An explicit witness, pre-norm.

No general claim can hold: there are weights for which the order is invisible. The witness is the block with w_o = 0, w2 = 0, b2 = 0, which
passes its tokens on: with positions added, permuting the tokens leaves each token at another position, and positions differ.
"""

from __future__ import annotations

from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.logic import assumption, instantiation, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.formulas import equation
from kernelproof.symbolic.phase import Options, Statement
from kernelproof.symbolic.phases import feed_forward, multi_head_attention, positional
from kernelproof.symbolic.phases.encoder_block import DEFINITIONS, D, c, i, n
from kernelproof.symbolic.tactics.rewriting import (
    by_arithmetic,
    discharged,
    first,
    in_order,
    inside,
    part,
    rewriting,
    then,
    unfold,
)
from kernelproof.symbolic.tactics.sums import sum_constant
from kernelproof.symbolic.terms import ONE, ZERO, Entry, Lambda, Term, size, variables
from kernelproof.symbolic.theorems.positional import uniqueness

sines, cosines = size("sines"), size("cosines")
a, u, p = variables("a u p")
WITNESS = "a witness at chosen weights; that the block without positions is equivariant is tried on kernels"
SILENT = {"w_o": Lambda((a, c), ZERO), "w2": Lambda((u, c), ZERO), "b2": Lambda((c,), ZERO)}


def position(row: Term, column: Term) -> Term:
    """The encoding of a position."""
    return positional.DEFINITIONS["interleaved"].call({"n": n}, row, column)


def placed(token: Term, row: Term, column: Term) -> Term:
    """A token's embedding, with the encoding of the row it stands in."""
    return Entry("e", token, column) + position(row, column)


def passes_on(function: str, tokens: Term) -> Theorem:
    """⊢ the silent block gives back its tokens λi c. tokens."""
    definition = DEFINITIONS["pre", function]
    start = definition.call({**SILENT, "x": Lambda((i, c), tokens)}, i, c)
    silent_sum = in_order(inside((2,), in_order(inside((2,), by_arithmetic(ZERO)), sum_constant, by_arithmetic(ZERO))), sum_constant)

    def zero_heads(value: Term) -> Theorem:
        """Σ_h Σ_g A·0 = 0, at the root."""
        return in_order(unfold(multi_head_attention.DEFINITION.name), silent_sum, by_arithmetic(ZERO))(value)

    def zero_ffn(value: Term) -> Theorem:
        """Σ_u a·0 + 0 = 0, at the root."""
        opened = unfold(feed_forward.DEFINITIONS[function].name)(value)
        none = in_order(inside((2,), by_arithmetic(ZERO)), sum_constant)
        return in_order(lambda _: opened, inside((0,), none), by_arithmetic(ZERO))(value)

    return in_order(unfold(definition.name), first(zero_heads), first(zero_ffn), by_arithmetic(tokens))(start)


def order_seen(function: str) -> Theorem:
    """⊢ silent block(e∘s + PE)[i, c] − silent block(e + PE)[s[i], c] = PE[i, c] − PE[s[i], c]."""
    s_i = Entry("s", i)
    permuted = passes_on(function, placed(s_i, i, c))
    plain = instantiation((passes_on(function, placed(i, i, c)),), {i: s_i}, {})
    start = permuted.left - plain.left
    return in_order(
        inside((0,), lambda _: permuted), inside((1,), lambda _: plain), by_arithmetic(position(i, c) - position(s_i, c))
    )(start)


def order_matters(function: str) -> Theorem:
    """permuting the tokens permutes the silent block's first pair of columns, positions integers ⊢ s[i] = i: nothing was permuted."""
    s_i = Entry("s", i)
    seen = order_seen(function)
    pairs = []
    for column in (2 * ZERO, 2 * ZERO + 1):
        gap = instantiation((seen,), {c: column}, {})
        same = assumption((), equation(part(gap.left, 0), part(gap.left, 1)))
        zero = then(symmetry((gap,)), in_order(inside((0,), rewriting(same)), by_arithmetic(ZERO))(gap.left))
        pairs.append(arithmetic((zero,), position(i, column), position(s_i, column), (ONE,)))
    unique = instantiation((uniqueness("interleaved"),), {positional.p: i, positional.q: s_i}, {})
    return discharged(unique, *pairs)


def statements(variant: Options) -> tuple[Statement, ...]:
    """The witness, for pre-norm without gates."""
    if variant["norm"] != "pre" or variant.get("gated"):
        return ()
    function = str(variant["activation"])
    return (
        Statement(
            "encoder_block.order_seen", "With positions, a permuted token takes the encoding of its new place", order_seen(function),
            ((i, n), (c, D)), untested=WITNESS,
        ),
        Statement(
            "encoder_block.order_matters", "With positions the block is not equivariant: a witness", order_matters(function), (),
            untested=WITNESS,
        ),
    )
