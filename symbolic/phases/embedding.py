"""Embedding: ``embedding(ids, table)[t, c] = Σ_v δ(v, ids[t])·table[v, c]``: one-hot rows times the table.

Kernel form: the gather ``table[ids[t], c]``, licensed by the contraction of the delta; it holds for ids in ``[0, vocab)`` only.
"""

from __future__ import annotations

from kernelproof.symbolic.core.definitions import define
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.functions import Clause, Definition, Parameter
from kernelproof.symbolic.phase import Clausal, Derivation, Extra, Options, Phase, Statement
from kernelproof.symbolic.tactics.rewriting import Chain, both_sides, in_order, unfold
from kernelproof.symbolic.tactics.sums import sum_delta
from kernelproof.symbolic.terms import Entry, Lambda, Term, delta, size, total, variables

n, vocab, d = size("n"), size("vocab"), size("d")
t, v, c = variables("t v c")


def ids(position: Term) -> Entry:
    """The id of a token."""
    return Entry("ids", position)


DEFINITION = define(
    Definition(
        "embedding",
        (
            Parameter("n", kind="size", meaning="tokens"), Parameter("vocab", kind="size", meaning="rows of the table"),
            Parameter("d", kind="size", meaning="width"),
            Parameter("ids", (n,), kind="index", meaning="token ids, 0 ≤ id < vocab"),
            Parameter("table", (vocab, d), meaning="one row per id"),
        ),
        (Clause((t, c), ((t, n), (c, d)), total(v, vocab, delta(v, ids(t)) * Entry("table", v, c))),),
        meaning="the one-hot matrix of the ids times the table",
    )
)
GATHER = in_order(unfold("embedding"), sum_delta)


def one_hot_is_gather() -> Theorem:
    """0 ≤ ids[t] < vocab ⊢ embedding(ids, table)[t, c] = table[ids[t], c]."""
    return GATHER(DEFINITION.call({}, t, c))


def vocabulary_relabelling() -> Theorem:
    """⊢ embedding(s∘ids, table)[t, c] = embedding(ids, table∘s)[t, c] where ids and their images are in range."""
    relabelled = DEFINITION.call({"ids": Lambda((t,), Entry("s", ids(t)))}, t, c)
    moved = DEFINITION.call({"table": Lambda((v, c), Entry("table", Entry("s", v), c))}, t, c)
    return both_sides(relabelled, moved, GATHER, GATHER)


def token_reindexing() -> Theorem:
    """⊢ embedding(ids∘r)[t, c] = embedding(ids)[r[t], c] for any map r of the tokens: each token is looked up alone."""
    moved = DEFINITION.call({"ids": Lambda((t,), ids(Entry("r", t)))}, t, c)
    return both_sides(moved, DEFINITION.call({}, Entry("r", t), c), unfold("embedding"), unfold("embedding"))


def build(variant: Options) -> Derivation:
    """Derivation and theorems."""
    chain = Chain(DEFINITION.call({}, t, c))
    chain.step("unfold embedding", unfold("embedding"))
    chain.step("a one-hot contraction is a gather", sum_delta)
    over = ((t, n), (c, d))
    return Derivation(
        phase="embedding",
        title=PHASE.title,
        variant=dict(variant),
        definition=DEFINITION,
        clauses=(Clausal(DEFINITION.clauses[0], tuple(chain.lines)),),
        statements=(
            Statement("embedding.one_hot_is_gather", "A one-hot contraction is a gather", one_hot_is_gather(), over),
            Statement(
                "embedding.vocabulary_relabelling", "Relabelling ids and rows together changes nothing", vocabulary_relabelling(), over,
                (Extra("s", "permutation", (vocab,), vocab),),
            ),
            Statement(
                "embedding.token_reindexing", "Each token is looked up alone", token_reindexing(), over, (Extra("r", "index_map", (n,), n),)
            ),
        ),
        licences=("embedding.one_hot_is_gather",),
    )


PHASE = Phase(
    name="embedding",
    title="Token embedding",
    summary="rows of a table picked by token ids",
    signature="f(ids, table)",
    build=build,
    definitions={DEFINITION.name: {}},
    variants={},
)
