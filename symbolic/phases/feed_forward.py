"""Position-wise feed-forward: ``y[t, c] = Σ_u f(Σ_k x[t, k]·w1[k, u] + b1[u])·w2[u, c] + b2[c]``.

Source: Vaswani et al., arXiv:1706.03762, section 3.3. Gated (Shazeer, arXiv:2002.05202): ``f(Σ_k x·w_gate)·(Σ_k x·w1 + b1)`` instead of
``f(Σ_k x·w1 + b1)``, the gate without a bias; with silu it is SwiGLU. Kernel form: the definition, contractions with the activation
between.
"""

from __future__ import annotations

from functools import partial

from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.definitions import define
from kernelproof.symbolic.core.logic import assumption, instantiation, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.formulas import positive
from kernelproof.symbolic.functions import Clause, Definition, Parameter
from kernelproof.symbolic.phase import Clausal, Derivation, Extra, Options, Phase, Statement, Values, VariantOption, flag
from kernelproof.symbolic.phases.activation import FORMULAS, OPTION
from kernelproof.symbolic.tactics.collect import by_sums, to_sums
from kernelproof.symbolic.tactics.rewriting import (
    Chain,
    both_sides,
    by_arithmetic,
    everywhere,
    first,
    in_order,
    replaced,
    rewriting,
    shown_as,
    unfold,
    use,
)
from kernelproof.symbolic.tactics.sums import reindexed, sum_scaled
from kernelproof.symbolic.terms import ZERO, Entry, Lambda, Term, size, total, variables

n, d, h = size("n"), size("d"), size("h")
t, k, u, c, a = variables("t k u c a")


def hidden(name: str) -> Term:
    """The activated hidden unit u of token t."""
    return FORMULAS[name](total(k, d, Entry("x", t, k) * Entry("w1", k, u)) + Entry("b1", u))


def gated_hidden(name: str) -> Term:
    """The hidden unit u of token t times its gate."""
    gate = FORMULAS[name](total(k, d, Entry("x", t, k) * Entry("w_gate", k, u)))
    return gate * (total(k, d, Entry("x", t, k) * Entry("w1", k, u)) + Entry("b1", u))


def _definition(name: str, gated: bool = False) -> Definition:
    unit = gated_hidden(name) if gated else hidden(name)
    return define(
        Definition(
            f"feed_forward_{'gated_' if gated else ''}{name}",
            (
                Parameter("n", kind="size", meaning="tokens"), Parameter("d", kind="size", meaning="width"),
                Parameter("h", kind="size", meaning="hidden units"), Parameter("x", (n, d), meaning="tokens"),
                Parameter("w1", (d, h), meaning="widening map"), Parameter("b1", (h,), meaning="its bias"),
                *((Parameter("w_gate", (d, h), meaning="map to the gates"),) if gated else ()),
                Parameter("w2", (h, d), meaning="narrowing map"), Parameter("b2", (d,), meaning="its bias"),
            ),
            (Clause((t, c), ((t, n), (c, d)), total(u, h, unit * Entry("w2", u, c)) + Entry("b2", c)),),
            meaning=f"two linear maps with {name} between, {'as a gate, ' if gated else ''}at each position alone",
        )
    )


DEFINITIONS = {name: _definition(name) for name in FORMULAS}
GATED = {name: _definition(name, True) for name in FORMULAS}
GATE = VariantOption(
    "gated", False, (False,), "the activation of x @ w_gate times x @ w1 + b1; silu unless activation is given (SwiGLU)",
    Values("true or false", "true", flag), implies={"activation": "silu"},
)


def position_wise(definition: Definition) -> Theorem:
    """⊢ f(x∘r)[t, c] = f(x)[r[t], c] for any map r of the tokens: a token sees no other."""
    r_t = Entry("r", t)
    moved = definition.call({"x": Lambda((t, k), Entry("x", r_t, k))}, t, c)
    return both_sides(moved, definition.call({}, r_t, c), unfold(definition.name), unfold(definition.name))


def permutation_equivariance(definition: Definition) -> Theorem:
    """⊢ f(x∘s)[t, c] = f(x)[s[t], c], of which nothing is assumed; for a permutation s."""
    return instantiation((position_wise(definition),), {}, {"r": Lambda((t,), Entry("s", t))})


def hidden_permutation(definition: Definition) -> Theorem:
    """s permutes the hidden units ⊢ f(w1∘s, b1∘s, w2∘s) = f(w1, b1, w2)."""
    s_u = Entry("s", u)
    arguments: dict[str, Lambda | Term] = {
        "w1": Lambda((k, u), Entry("w1", k, s_u)), "b1": Lambda((u,), Entry("b1", s_u)), "w2": Lambda((u, c), Entry("w2", s_u, c)),
    }
    if definition in GATED.values():
        arguments["w_gate"] = Lambda((k, u), Entry("w_gate", k, s_u))
    moved = definition.call(arguments, t, c)
    to_moved = in_order(unfold(definition.name), first(reindexed("s")))
    return both_sides(moved, definition.call({}, t, c), unfold(definition.name), to_moved)


def at_zero(definition: Definition) -> Theorem:
    """⊢ f(0)[t, c] = Σ_u act(b1[u])·w2[u, c] + b2[c]."""
    start = definition.call({"x": Lambda((t, k), ZERO)}, t, c)
    inner = total(k, d, ZERO * Entry("w1", k, u)) + Entry("b1", u)
    only_bias = in_order(first(sum_scaled), by_arithmetic(Entry("b1", u)))(inner)
    return in_order(unfold(definition.name), everywhere(rewriting(only_bias)))(start)


def homogeneity() -> Theorem:
    """0 < a ⊢ f(a·x, a·b1, a·b2)[t, c] = a·f(x, b1, b2)[t, c] with relu."""
    definition = DEFINITIONS["relu"]
    scale = assumption((), positive(a))
    scaled = {"x": Lambda((t, k), a * Entry("x", t, k)), "b1": Lambda((u,), a * Entry("b1", u)), "b2": Lambda((c,), a * Entry("b2", c))}
    unit = total(k, d, Entry("x", t, k) * Entry("w1", k, u)) + Entry("b1", u)
    grown = by_sums(total(k, d, a * Entry("x", t, k) * Entry("w1", k, u)) + a * Entry("b1", u), a * unit)
    plain = unfold(definition.name)(definition.call({}, t, c))
    return in_order(
        unfold(definition.name), first(rewriting(grown)), first(rewriting(use("maximum_scaled", scale, c=a, a=unit))),
        to_sums(a * plain.right), first(rewriting(symmetry((plain,)))),
    )(definition.call(scaled, t, c))


def homogeneity_without_biases() -> Theorem:
    """0 < a ⊢ f(a·x)[t, c] = a·f(x)[t, c] with relu and zero biases."""
    zero = {"b1": Lambda((u,), ZERO), "b2": Lambda((c,), ZERO)}
    made = replaced(instantiation((homogeneity(),), {}, zero), arithmetic((), a * ZERO, ZERO))
    return shown_as(made, made.left, a * DEFINITIONS["relu"].call(zero, t, c))


def build(variant: Options) -> Derivation:
    """Derivation and theorems."""
    name, gated = str(variant["activation"]), bool(variant.get("gated"))
    definition = (GATED if gated else DEFINITIONS)[name]
    chain = Chain(definition.call({}, t, c)).step(f"unfold feed-forward with {name}", unfold(definition.name))
    over = ((t, n), (c, d))
    factor = (Extra("a", "positive"),)
    with_relu = (
        Statement("feed_forward.homogeneity", "f(a·x) = a·f(x) for a > 0 and zero biases", homogeneity_without_biases(), over, factor),
        Statement("feed_forward.scaled_biases", "x and the biases scaled by a > 0 scale the result", homogeneity(), over, factor),
    )
    return Derivation(
        phase="feed_forward",
        title=PHASE.title,
        variant=dict(variant),
        definition=definition,
        clauses=(Clausal(definition.clauses[0], tuple(chain.lines)),),
        statements=(
            Statement(
                "feed_forward.position_wise", "Each token is mapped alone, whatever the others are", position_wise(definition), over,
                (Extra("r", "index_map", (n,), n),),
            ),
            Statement(
                "feed_forward.hidden_permutation", "The order of the hidden units does not matter", hidden_permutation(definition), over,
                (Extra("s", "permutation", (h,), h),),
            ),
            Statement(
                "feed_forward.permutation_equivariance", "Permuting the tokens permutes the result", permutation_equivariance(definition),
                over, (Extra("s", "permutation", (n,), n),),
            ),
            *(() if gated else (Statement("feed_forward.at_zero", "At zero only the biases speak", at_zero(definition), over),)),
            *(with_relu if name == "relu" and not gated else ()),
        ),
        licences=(),
    )


PHASE = Phase(
    name="feed_forward",
    title="Position-wise feed-forward",
    summary="two linear maps with an activation between, at each position alone",
    signature="f(x, w1, b1, w2, b2)",
    build=build,
    definitions={definition.name: {"activation": name} for name, definition in DEFINITIONS.items()},
    variants={"activation": OPTION},
    opened={"gated": GATE},
    samples=({"activation": "silu", "gated": True}, {"activation": "gelu", "gated": True}),
    functions={definition.name: partial(build, {"activation": name, "gated": True}) for name, definition in GATED.items()},
)
