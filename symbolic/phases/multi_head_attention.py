"""Multi-head self-attention: each head attends with its own columns of the projections, the heads are joined and projected.

``out[i, c] = Σ_h Σ_g attention(q_h, k_h, v_h)[i, g]·w_o[h·f + g, c]`` with ``q_h[i, g] = Σ_a x[i, a]·w_q[a, h·f + g]`` and likewise
for k and v, f = d / heads. Source: Vaswani et al., arXiv:1706.03762, section 3.2.2. Kernel form: the definition with the kernel
form of attention inside.
"""

from __future__ import annotations

from kernelproof.symbolic.core.definitions import define
from kernelproof.symbolic.core.logic import instantiation
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.functions import Clause, Definition, Parameter
from kernelproof.symbolic.phase import Clausal, Derivation, Extra, Options, Phase, Statement
from kernelproof.symbolic.phases import attention
from kernelproof.symbolic.tactics.rewriting import Chain, both_sides, by_arithmetic, everywhere, first, in_order, inside, rewriting, unfold
from kernelproof.symbolic.tactics.sums import sum_of_sums, sum_scaled
from kernelproof.symbolic.terms import Entry, Lambda, size, sqrt, total, variables

n, heads, f = size("n"), size("heads"), size("f")
i, j, c, g, hd, a, s_, t_ = variables("i j c g h a s t")
D = heads * f


def projected(weights: str) -> Lambda:
    """λ i g. Σ_a x[i, a]·w[a, h·f + g]."""
    return Lambda((i, g), total(a, D, Entry("x", i, a) * Entry(weights, a, hd * f + g)))


HEAD = attention.DEFINITION.call(
    {
        "m": n, "d": f, "e": f, "q": projected("w_q"), "k": projected("w_k"), "v": projected("w_v"), "scale": 1 / sqrt(f),
    },
    i, g,
)
DEFINITION = define(
    Definition(
        "multi_head_attention",
        (
            Parameter("n", kind="size", meaning="tokens"), Parameter("heads", kind="size", meaning="heads"),
            Parameter("f", kind="size", meaning="width of a head, d / heads"), Parameter("x", (n, D), meaning="tokens"),
            *(Parameter(f"w_{what[0]}", (D, D), meaning=f"projection to {what}") for what in ("queries", "keys", "values")),
            Parameter("w_o", (D, D), meaning="projection of the joined heads"),
            Parameter("allow", (n, n), "indicator", meaning="1 = may attend, 0 = may not"),
            Parameter("bias", (n, n), meaning="added to the scores"),
        ),
        (Clause((i, c), ((i, n), (c, D)), total(hd, heads, total(g, f, HEAD * Entry("w_o", hd * f + g, c)))),),
        meaning="attention in each head, joined and projected",
    )
)
UNFOLD = unfold("multi_head_attention")


def permutation_equivariance() -> Theorem:
    """s permutes the tokens ⊢ MHA(x∘s)[i, c] = MHA(x)[s[i], c] (mask and bias permuted alike)."""
    si, sj = Entry("s", i), Entry("s", j)
    moved = DEFINITION.call(
        {
            "x": Lambda((i, c), Entry("x", si, c)), "allow": Lambda((i, j), Entry("allow", si, sj)),
            "bias": Lambda((i, j), Entry("bias", si, sj)),
        },
        i, c,
    )
    inner = instantiation(
        (attention.permutation_equivariance(),),
        {attention.d: f, attention.e: f, attention.scale: 1 / sqrt(f), attention.f: g},
        {"q": projected("w_q"), "k": projected("w_k"), "v": projected("w_v")},
    )
    return both_sides(moved, DEFINITION.call({}, si, c), in_order(UNFOLD, first(rewriting(inner))), UNFOLD)


def linearity() -> Theorem:
    """⊢ MHA is linear in the last projection: MHA(a·w_o + b·w) = a·MHA(w_o) + b·MHA(w)."""
    w_o, w = Entry("w_o", j, c), Entry("w", j, c)
    mixed = DEFINITION.call({"w_o": Lambda((j, c), s_ * w_o + t_ * w)}, i, c)
    other = DEFINITION.call({"w_o": Lambda((j, c), w)}, i, c)
    row = hd * f + g
    product = s_ * (HEAD * Entry("w_o", row, c)) + t_ * (HEAD * Entry("w", row, c))
    pull = in_order(sum_of_sums, inside((0,), sum_scaled), inside((1,), sum_scaled))
    to_sum = in_order(UNFOLD, inside((2, 2), by_arithmetic(product)), inside((2,), pull), pull)
    return both_sides(mixed, s_ * DEFINITION.call({}, i, c) + t_ * other, to_sum, everywhere(UNFOLD))


def build(variant: Options) -> Derivation:
    """Derivation and theorems."""
    chain = Chain(DEFINITION.call({}, i, c)).step("unfold multi-head attention", UNFOLD)
    over = ((i, n), (c, D))
    return Derivation(
        phase="multi_head_attention",
        title=PHASE.title,
        variant=dict(variant),
        definition=DEFINITION,
        clauses=(Clausal(DEFINITION.clauses[0], tuple(chain.lines)),),
        statements=(
            Statement(
                "multi_head_attention.permutation_equivariance", "Permuting the tokens permutes the result", permutation_equivariance(),
                over, (Extra("s", "permutation", (n,), n),),
            ),
            Statement(
                "multi_head_attention.linearity", "The result is linear in the last projection", linearity(), over,
                (Extra("w", "real", (D, D)), Extra("s", "real"), Extra("t", "real")),
            ),
        ),
        licences=("attention.score_shift",),
    )


PHASE = Phase(
    name="multi_head_attention",
    title="Multi-head attention",
    summary="attention in each head, joined and projected",
    signature="f(x, w_q, w_k, w_v, w_o, *, n_heads, causal=False, mask=None)",
    build=build,
    definitions={DEFINITION.name: {}},
    variants={},
)
