"""Gradient of the embedding: ``dtable[v, c] = Σ_i δ(v, ids[i])·g[i, c]``, a scatter-add: every token adds its row to the row it picked.

Derived by differentiating the definition along a curve of tables; it is linear in the table, so nothing is assumed of the ids. That
all ids are in range is needed only where a row of the gradient is counted out: the sum over the rows, the relabelled vocabulary.
"""

from __future__ import annotations

from functools import cache

from kernelproof.symbolic.core.definitions import define
from kernelproof.symbolic.core.logic import assumption, instantiation, replacement, specialisation, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.formulas import every, nonzero, within
from kernelproof.symbolic.functions import Clause, Definition, Parameter
from kernelproof.symbolic.phase import Extra, Gradient, Options, Statement
from kernelproof.symbolic.phases.embedding import DEFINITION, c, d, ids, n, v, vocab
from kernelproof.symbolic.tactics.calculus import T, curve, differentiate
from kernelproof.symbolic.tactics.collect import by_sums, collected
from kernelproof.symbolic.tactics.gradients import contracted, straight, valued
from kernelproof.symbolic.tactics.rewriting import (
    Line,
    discharged,
    first,
    in_order,
    inside,
    rewriting,
    then,
    unfold,
    use,
)
from kernelproof.symbolic.tactics.sums import reindexed, sum_delta, sum_exchange
from kernelproof.symbolic.terms import Entry, Lambda, Term, delta, total, variables

(i,) = variables("i")
TABLE = ((v, vocab), (c, d))
TOKENS = ((i, n), (c, d))
X = curve("X", "U", TABLE)
STRAIGHT = {"X": ("U", "table", "u", TABLE)}
IN_RANGE = assumption((), every(((i, n),), within(ids(i), vocab)))
G = Entry("g", i, c)
DTABLE = define(
    Definition(
        "embedding_dtable",
        (
            *(parameter for parameter in DEFINITION.parameters if parameter.name != "table"),
            Parameter("g", (n, d), meaning="gradient of the result"),
        ),
        (Clause((v, c), TABLE, total(i, n, delta(v, ids(i)) * G)),),
        meaning="gradient of the table: the rows of g added up by id",
    )
)


def rows(table: str, *before: Term) -> Term:
    """The result for a table, at token i and column c."""
    return DEFINITION.call({"table": Lambda((v, c), Entry(table, *before, v, c))}, i, c)


@cache
def slope() -> Theorem:
    """c < d, X moves with U ⊢ d/dt embedding(ids, X[t])[i, c] = embedding(ids, U)[i, c], for any ids."""
    opened, moving = unfold("embedding")(rows("X", T)), unfold("embedding")(rows("U"))
    plain = differentiate(Lambda((T,), opened.right), 0, X, over=TOKENS)
    along = replacement((plain, symmetry((opened,))), (0, 0))
    return valued(along, symmetry((moving,)))


@cache
def lines_along_curves() -> tuple[Theorem, Theorem, Theorem, Theorem]:
    """The derivative of Σ g·embedding(X[t]); one-hot rows; the sum over the tokens first; the definition of dtable."""
    weight = Entry("w", v, i)
    by_token = total(i, n, total(c, d, G * total(v, vocab, weight * Entry("U", v, c))))
    by_row = total(v, vocab, total(c, d, Entry("U", v, c) * total(i, n, weight * G)))
    regrouped = instantiation((by_sums(by_token, by_row),), {}, {"w": Lambda((v, i), delta(v, ids(i)))})
    opened = first(unfold("embedding"))(total(i, n, total(c, d, G * rows("U"))))
    folded = first(unfold("embedding_dtable"))(total(v, vocab, total(c, d, Entry("U", v, c) * DTABLE.call({}, v, c))))
    return contracted(Lambda((i, c), G), TOKENS, slope()), opened, regrouped, symmetry((folded,))


def adjoint() -> Theorem:
    """⊢ Σ_i Σ_c g[i, c]·embedding(ids, U)[i, c] = Σ_v Σ_c U[v, c]·dtable[v, c]."""
    return then(*lines_along_curves()[1:])


def pairing() -> Theorem:
    """⊢ Σ g·embedding(ids, table) = Σ table·dtable."""
    return instantiation((adjoint(),), {}, {"U": Lambda((v, c), Entry("table", v, c))})


def column_sums() -> Theorem:
    """Every id in range ⊢ Σ_v dtable[v, c] = Σ_i g[i, c]."""

    def picked(value: Term) -> Theorem:
        """Σ_v δ(v, ids[i])·g = g where all ids are in range."""
        return discharged(sum_delta(value), specialisation((IN_RANGE,), (i,)))

    counted = in_order(first(unfold("embedding_dtable")), sum_exchange, inside((2,), picked))
    return counted(total(v, vocab, DTABLE.call({}, v, c)))


def unpicked_row() -> Theorem:
    """No token has the id v ⊢ dtable[v, c] = 0."""
    none = specialisation((assumption((), every(((i, n),), nonzero(v - ids(i)))),), (i,))
    apart = use("delta_differs", none, a=v, b=ids(i))
    opened = in_order(unfold("embedding_dtable"), first(rewriting(apart)))(DTABLE.call({}, v, c))
    return then(opened, collected(opened.right))


def vocabulary_relabelled() -> Theorem:
    """s permutes the vocabulary, every id in range, v < vocab ⊢ dtable(s∘ids)[s[v], c] = dtable(ids)[v, c]."""
    moved = DTABLE.call({"ids": Lambda((i,), Entry("s", ids(i)))}, Entry("s", v), c)
    same = use("delta_permuted", specialisation((IN_RANGE,), (i,)), s=Lambda((i,), Entry("s", i)), n=vocab, a=v, b=ids(i))
    opened = in_order(unfold("embedding_dtable"), first(rewriting(same)))(moved)
    return then(opened, symmetry((unfold("embedding_dtable")(DTABLE.call({}, v, c)),)))


def token_order() -> Theorem:
    """r permutes the tokens ⊢ dtable(ids∘r, g∘r)[v, c] = dtable(ids, g)[v, c]: it does not matter which token adds first."""
    place = Entry("r", i)
    moved = DTABLE.call({"ids": Lambda((i,), ids(place)), "g": Lambda((i, c), Entry("g", place, c))}, v, c)
    plain = in_order(unfold("embedding_dtable"), reindexed("r"))(DTABLE.call({}, v, c))
    return then(unfold("embedding_dtable")(moved), symmetry((plain,)))


def build(variant: Options) -> Gradient:
    """Gradient of the embedding."""
    loss, opened, regrouped, folded = lines_along_curves()
    along = valued(loss, adjoint())
    g, u = Extra("g", "real", (n, d)), Extra("u", "real", (vocab, d))
    return Gradient(
        phase="embedding",
        title="Gradient of the token embedding",
        variant=dict(variant),
        definitions=(DTABLE,),
        results={"table": "embedding_dtable"},
        lines=(
            Line("differentiate along table + t·u: the result is linear in the table", straight(loss, STRAIGHT)),
            Line("unfold: one-hot rows times u", straight(opened, STRAIGHT)),
            Line("exchange the sums: what multiplies u", straight(regrouped, STRAIGHT)),
            Line("this is dtable", straight(folded, STRAIGHT)),
        ),
        statements=(
            Statement("embedding.vjp", "dtable is the gradient of Σ g·embedding(table)", straight(along, STRAIGHT), (), (g, u)),
            Statement("embedding.pairing", "⟨g, embedding(table)⟩ = ⟨dtable, table⟩", pairing(), (), (g,)),
            Statement("embedding.column_sums", "Summed over the rows, dtable is g summed over the tokens", column_sums(), ((c, d),), (g,)),
            Statement("embedding.unpicked_row", "A row that no token picks has zero gradient", unpicked_row(), TABLE, (g,)),
            Statement(
                "embedding.gradient_relabelling", "Relabelling the ids moves the rows of dtable", vocabulary_relabelled(), TABLE,
                (g, Extra("s", "permutation", (vocab,), vocab)),
            ),
            Statement(
                "embedding.token_order", "The order of the tokens does not matter to dtable", token_order(), TABLE,
                (g, Extra("r", "permutation", (n,), n)),
            ),
        ),
        along_curves=along,
    )
