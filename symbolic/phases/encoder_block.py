"""Encoder block: multi-head attention and feed-forward, each with a residual and a layer norm.

Post-norm, as in Vaswani et al., arXiv:1706.03762, section 3.1: ``y = LN(x + MHA(x))``, ``out = LN(y + FFN(y))``. Pre-norm, as in
Xiong et al., arXiv:2002.04745: ``y = x + MHA(LN(x))``, ``out = y + FFN(LN(y))``. Kernel form: the definition with the kernel forms
of the parts inside.
"""

from __future__ import annotations

from functools import partial

from kernelproof.symbolic.core.definitions import define
from kernelproof.symbolic.core.logic import instantiation
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.functions import Clause, Definition, Parameter
from kernelproof.symbolic.phase import Clausal, Derivation, Extra, Options, Phase, Statement, VariantOption
from kernelproof.symbolic.phases import activation, feed_forward, layer_norm, multi_head_attention
from kernelproof.symbolic.tactics.rewriting import Chain, both_sides, everywhere, first, in_order, part, rewriting, unfold
from kernelproof.symbolic.terms import ONE, ZERO, Call, Entry, Lambda, Term, size, total, variables

n, heads, f, h = size("n"), size("heads"), size("f"), size("h")
i, j, c = variables("i j c")
D = heads * f
NORM = VariantOption("norm", "post", ("post", "pre"), "layer norm after the residual sum, or before each part")


def normed(row: Term, which: int) -> Term:
    """Layer norm number ``which`` of the row λc. row, at c."""
    arguments: dict[str, Lambda | Term] = {
        "d": D, "x": Lambda((c,), row), "gain": Lambda((c,), Entry(f"gain{which}", c)), "bias": Lambda((c,), Entry(f"bias{which}", c)),
    }
    return layer_norm.DEFINITION.call(arguments, c)


def attended(tokens: Term) -> Term:
    """MHA of the tokens λi c. tokens, at i, c."""
    return multi_head_attention.DEFINITION.call({"x": Lambda((i, c), tokens)}, i, c)


def fed(tokens: Term, function: str, gated: bool = False) -> Term:
    """FFN of the tokens λi c. tokens, at i, c."""
    return (feed_forward.GATED if gated else feed_forward.DEFINITIONS)[function].call({"d": D, "x": Lambda((i, c), tokens)}, i, c)


def body(norm: str, function: str, gated: bool = False) -> Term:
    """The entry i, c of the block."""
    x = Entry("x", i, c)
    if norm == "post":
        y = normed(x + attended(x), 1)
        return normed(y + fed(y, function, gated), 2)
    y = x + attended(normed(x, 1))
    return y + fed(normed(y, 2), function, gated)


def _definition(norm: str, function: str, gated: bool = False) -> Definition:
    square = ("w_q", "w_k", "w_v", "w_o")
    return define(
        Definition(
            f"encoder_block_{norm}_{'gated_' if gated else ''}{function}",
            (
                Parameter("n", kind="size", meaning="tokens"), Parameter("heads", kind="size", meaning="heads"),
                Parameter("f", kind="size", meaning="width of a head, d / heads"), Parameter("h", kind="size", meaning="hidden units"),
                Parameter("x", (n, D), meaning="tokens"), *(Parameter(name, (D, D)) for name in square),
                Parameter("w1", (D, h)), Parameter("b1", (h,)),
                *((Parameter("w_gate", (D, h)),) if gated else ()), Parameter("w2", (h, D)), Parameter("b2", (D,)),
                *(Parameter(name, (D,)) for name in ("gain1", "bias1", "gain2", "bias2")),
                Parameter("eps", meaning="added to the variance, 1e-5"),
                Parameter("allow", (n, n), "indicator", meaning="1 = may attend, 0 = may not"),
                Parameter("bias", (n, n), meaning="added to the scores"),
            ),
            (Clause((i, c), ((i, n), (c, D)), body(norm, function, gated)),),
            meaning=f"{norm}-norm block: attention and feed-forward with residuals",
        )
    )


DEFINITIONS = {
    (norm, function): _definition(norm, function) for norm in ("post", "pre") for function in activation.FORMULAS
}
GATED = {(norm, function): _definition(norm, function, True) for norm, function in DEFINITIONS}


def permutation_equivariance(definition: Definition, norm: str, function: str) -> Theorem:
    """s permutes the tokens ⊢ block(x∘s)[i, c] = block(x)[s[i], c]: without positions, word order is invisible."""
    si, sj = Entry("s", i), Entry("s", j)
    moved = definition.call(
        {
            "x": Lambda((i, c), Entry("x", si, c)), "allow": Lambda((i, j), Entry("allow", si, sj)),
            "bias": Lambda((i, j), Entry("bias", si, sj)),
        },
        i, c,
    )
    seen = normed(Entry("x", i, c), 1) if norm == "pre" else Entry("x", i, c)
    mha = instantiation((multi_head_attention.permutation_equivariance(),), {}, {"x": Lambda((i, c), seen)})
    x_attended = Entry("x", i, c) + attended(seen)
    middle = normed(x_attended, 1) if norm == "post" else normed(x_attended, 2)
    inner = (feed_forward.GATED if definition in GATED.values() else feed_forward.DEFINITIONS)[function]
    ffn = instantiation(
        (feed_forward.position_wise(inner),),
        {feed_forward.d: D, feed_forward.t: i},
        {"x": Lambda((i, c), middle), "r": Lambda((i,), si)},
    )
    opened = unfold(definition.name)
    to_plain = in_order(opened, everywhere(rewriting(mha)), everywhere(rewriting(ffn)))
    return both_sides(moved, definition.call({}, si, c), to_plain, opened)


def mean_zero(definition: Definition) -> Theorem:
    """0 < d ⊢ with gain 1 and bias 0 at the end, each row of a post-norm block has mean zero."""
    plain: dict[str, Lambda | Term] = {"gain2": Lambda((c,), ONE), "bias2": Lambda((c,), ZERO)}
    start = total(c, D, definition.call(plain, i, c))
    opened = first(unfold(definition.name))(start)
    call = part(opened.right, 2)
    assert isinstance(call, Call)
    row = dict(call.arguments)["x"]
    mean = instantiation((layer_norm.mean_zero(),), {layer_norm.d: D}, {"x": row})
    return in_order(lambda _: opened, rewriting(mean))(start)


def build(variant: Options) -> Derivation:
    """Derivation and theorems."""
    norm, function = str(variant["norm"]), str(variant["activation"])
    definition = (GATED if variant.get("gated") else DEFINITIONS)[norm, function]
    chain = Chain(definition.call({}, i, c)).step(f"unfold the {norm}-norm block", unfold(definition.name))
    statements = [
        Statement(
            "encoder_block.permutation_equivariance", "Without positions the block does not see word order",
            permutation_equivariance(definition, norm, function), ((i, n), (c, D)), (Extra("s", "permutation", (n,), n),),
        )
    ]
    if norm == "post":
        statements.append(
            Statement("encoder_block.mean_zero", "Before the last gain and bias a row has mean zero", mean_zero(definition), ((i, n),))
        )
    return Derivation(
        phase="encoder_block",
        title=PHASE.title,
        variant=dict(variant),
        definition=definition,
        clauses=(Clausal(definition.clauses[0], tuple(chain.lines)),),
        statements=tuple(statements),
        licences=("attention.score_shift",),
    )


PHASE = Phase(
    name="encoder_block",
    title="Encoder block",
    summary="attention and feed-forward, each with a residual and a layer norm",
    signature="f(x, params, *, n_heads, causal=False, mask=None)",
    build=build,
    definitions={
        definition.name: {"norm": norm, "activation": function} for (norm, function), definition in DEFINITIONS.items()
    },
    variants={"norm": NORM, "activation": activation.OPTION},
    opened={"gated": feed_forward.GATE},
    samples=({"norm": "pre", "activation": "silu", "gated": True},),
    functions={
        definition.name: partial(build, {"norm": norm, "activation": function, "gated": True})
        for (norm, function), definition in GATED.items()
    },
)
