"""Variants of attention as attention: ALiBi, soft-cap, sinks, grouped queries, rotary positions.

Sources: ALiBi: Press et al., arXiv:2108.12409; grouped queries: Ainslie et al., arXiv:2305.13245; rotary: Su et al., arXiv:2104.09864;
sinks: Xiao et al., arXiv:2309.17453.
"""

from __future__ import annotations

from functools import partial

from kernelproof.symbolic.binding import free_variables
from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.logic import assumption, instantiation, specialisation, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import equation, every, positive
from kernelproof.symbolic.phase import Extra, Options, Statement
from kernelproof.symbolic.phases import rotary
from kernelproof.symbolic.phases.attention import (
    DEFINITION,
    PLAIN_FORM,
    UNFOLD,
    WHOLE,
    c,
    d,
    deferred,
    e,
    f,
    form_of,
    i,
    j,
    l,
    m,
    n,
    scale,
    score,
    score_shift,
    shift,
)
from kernelproof.symbolic.phases.attention_forms import Form, cap, past, sink
from kernelproof.symbolic.phases.attention_heads import Heads, kv, member
from kernelproof.symbolic.tactics.collect import by_sums, to_sums
from kernelproof.symbolic.tactics.induction import peel
from kernelproof.symbolic.tactics.rewriting import (
    Conversion,
    both_sides,
    by_arithmetic,
    everywhere,
    first,
    in_order,
    inside,
    only_at,
    part,
    replaced,
    rewriting,
    shown_as,
    then,
    tried,
    unfold,
    use,
)
from kernelproof.symbolic.tactics.sums import sum_split
from kernelproof.symbolic.terms import ONE, ZERO, Entry, Fold, Lambda, Op, Term, Var, exp, less, size, total, variables

slope, x, turn = variables("slope x turn")
h = size("h")
SINKS, GROUPED = Form(sink=True), Heads(PLAIN_FORM, True)
TURN = (Extra("turn", "offset"),)
RELATED = "it relates two variants; kernels of each are compared with their own definition"
BOUNDED = "speaks of a score, which kernels do not return"


def row_bias() -> Theorem:
    """⊢ attention(bias := bias + r[i]) = attention: a bias that is the same for all keys of a row changes nothing."""
    r_i = Entry("r", i)
    moved = DEFINITION.call({"bias": Lambda((i, j), Entry("bias", i, j) + r_i)}, i, f)
    opened = deferred(moved)
    regrouped = [
        arithmetic((), scale * _dot(key) + (Entry("bias", i, key) + r_i), score(i, key) + r_i) for key in (j, l)
    ]
    same = instantiation((score_shift(),), {shift: r_i}, {})
    return in_order(lambda _: opened, *(first(rewriting(step)) for step in regrouped), rewriting(symmetry((same,))))(moved)


def _dot(key: Term) -> Term:
    return total(c, d, Entry("q", i, c) * Entry("k", key, c))


def alibi() -> Theorem:
    """⊢ the bias slope·(j − i) of ALiBi gives what slope·j gives: only the key's position matters within a row."""
    put = {"bias": Lambda((i, j), slope * j), "r": Lambda((i,), -(slope * i))}
    made = instantiation((row_bias(),), {}, put)
    biased = slope * (j - i)
    named = DEFINITION.call({"bias": Lambda((i, j), slope * j + -(slope * i))}, i, f)
    made = shown_as(made, named, DEFINITION.call({"bias": Lambda((i, j), slope * j)}, i, f))
    return replaced(made, arithmetic((), slope * j + -(slope * i), biased))


def capped(above: bool) -> Theorem:
    """0 < cap ⊢ −cap ≤ cap·tanh(x/cap) ≤ cap."""
    some = assumption((), positive(cap))
    angle = x / cap
    inner = angle if above else -angle
    room = use("product_positive", some, use("tanh_below_one", a=inner), a=cap, b=1 - Op("tanh", inner))
    made = use("positive_is_nonnegative", room, a=cap * (1 - Op("tanh", inner)))
    if above:
        return replaced(made, arithmetic((), made.conclusion.terms[0], cap - cap * Op("tanh", angle)))
    odd = use("tanh_odd", a=angle)
    turned = replaced(made, odd)
    return replaced(turned, arithmetic((), turned.conclusion.terms[0], cap * Op("tanh", angle) + cap))


def sinks() -> Theorem:
    """⊢ attention with a sink is attention with one more key of that score whose value is zero."""
    start = SINKS.call({}, i, f)

    def at_end(tensor: str, query: bool, last: Term) -> Lambda:
        """The tensor with ``last`` for the key m."""
        indices = (i, j) if query else (j, c)
        return Lambda(indices, less(j, m) * Entry(tensor, *indices) + (1 - less(j, m)) * last)

    more = DEFINITION.call(
        {
            "m": m + 1, "k": at_end("k", False, ZERO), "v": at_end("v", False, ZERO), "allow": at_end("allow", True, ONE),
            "bias": at_end("bias", True, sink),
        },
        i, f,
    )
    opened = UNFOLD(more)
    within = {var: use("less_holds", use("index_below", a=var, n=m), a=var, b=m) for var in (j, l)}
    beyond = use("less_fails", replaced(use("zero_nonnegative"), arithmetic((), ZERO, m - m)), a=m, b=m)

    def one_more(value: Term) -> Theorem:
        """The sum over m + 1 keys as the sum over m and the last."""
        known = [tried(inside((0,), everywhere(rewriting(given)))) for given in within.values()]
        return in_order(peel, *known, tried(inside((1,), everywhere(rewriting(beyond)))), tried(everywhere(_picked)))(value)

    divisor = part(opened.right, 2, 0, 1)
    shown = one_more(divisor)
    flat = in_order(lambda _: shown, inside((1,), by_arithmetic_in_exp), to_sums(WHOLE + exp(sink)))(divisor)
    plain = unfold("attention_sinks")(start)
    to_sink = in_order(lambda _: opened, inside((2, 0, 1), lambda _: flat), one_more, to_sums(plain.right))
    return both_sides(start, more, lambda _: plain, to_sink)


def by_arithmetic_in_exp(value: Term) -> Theorem:
    """1·exp(scale·Σ q·0 + sink) = exp(sink), at the root."""
    argument = part(value, 1, 0)
    short = by_sums(argument, sink)
    return in_order(inside((1, 0), lambda _: short), by_arithmetic(exp(sink)))(value)


def _picked(value: Term) -> Theorem:
    """1·x + (1 − 1)·y = x and 0·x + (1 − 0)·y = y for entries x, at the root."""
    if isinstance(value, Op) and value.name == "add" and all(isinstance(part, Op) and part.name == "mul" for part in value.args):
        (chosen, entry), (_, last) = (part.args for part in value.args if isinstance(part, Op))
        if isinstance(entry, Entry) and chosen in (ONE, ZERO):
            return arithmetic((), value, entry if chosen is ONE else last)
    raise ProofError("no choice to be made")


def grouped() -> Theorem:
    """k′[kv·group + member] = k[kv], likewise v′ ⊢ head kv·group + member of plain attention is grouped attention's."""
    head, over = GROUPED.query, GROUPED.over
    same = [
        assumption((), every((*over, *axes), equation(Entry(f"{name}2", head, *indices), Entry(name, kv, *indices))))
        for name, axes, indices in (("k", ((j, m), (c, d)), (j, c)), ("v", ((j, m), (f, e)), (j, f)))
    ]
    repeated = [
        specialisation((given,), (kv, member, *indices)) for given, indices in ((same[0], (j, c)), (same[0], (l, c)), (same[1], (j, f)))
    ]
    plain = DEFINITION.call(
        {
            "q": Lambda((i, c), Entry("q", head, i, c)), "k": Lambda((j, c), Entry("k2", head, j, c)),
            "v": Lambda((j, f), Entry("v2", head, j, f)),
            "allow": Lambda((i, j), Entry("allow", head, i, j)), "bias": Lambda((i, j), Entry("bias", head, i, j)),
        },
        i, f,
    )
    start = GROUPED.definition.call({}, kv, member, i, f)
    to_grouped = in_order(UNFOLD, *(everywhere(rewriting(given)) for given in repeated))
    return both_sides(plain, start, to_grouped, in_order(unfold(GROUPED.name), UNFOLD))


def rotary_start() -> Theorem:
    """⊢ with rotary positions inside, attention is the same wherever the positions start: scores depend on the offset only."""
    layout = "halves"
    call = rotary.DEFINITIONS[layout].call
    width = 2 * h

    def turned(start: Term) -> dict[str, Lambda | Term]:
        """Rotated queries and keys."""
        return {
            "m": n, "d": width,
            "q": Lambda((i, c), call({"x": Lambda((i, c), Entry("q", i, c)), "start": start}, i, c)),
            "k": Lambda((j, c), call({"x": Lambda((j, c), Entry("k", j, c)), "start": start}, j, c)),
        }

    sides = [DEFINITION.call(turned(start), i, f) for start in (rotary.start + turn, rotary.start)]
    opened = [UNFOLD(side) for side in sides]
    pairs = [[_paired(side, key) for key in (j, l)] for side in (rotary.start + turn, rotary.start)]
    shown = [in_order(*(everywhere(rewriting(pair)) for pair in given))(side.right) for side, given in zip(opened, pairs, strict=True)]
    return then(opened[0], shown[0], symmetry((shown[1],)), symmetry((opened[1],)))


def rotary_inside() -> Theorem:
    """⊢ attention with rotary positions is attention of turned queries and keys (halves)."""
    form, call = Form(turned="halves"), rotary.DEFINITIONS["halves"].call

    def turned(tensor: str, row: Var, start: Term, length: Term) -> Lambda:
        return Lambda((row, c), call({"n": length, "x": Lambda((row, c), Entry(tensor, row, c)), "start": start}, row, c))

    outer = DEFINITION.call({"d": 2 * h, "q": turned("q", i, past, n), "k": turned("k", j, ZERO, m)}, i, f)
    opened = UNFOLD(outer)
    step = opened
    for key in (j, l):
        whole = first(_score_sum(key))(step.right)
        step = then(step, whole)
    return both_sides(form.call({}, i, f), outer, unfold(form.name), lambda _: step)


def _score_sum(key: Term) -> Conversion:
    """Σ_{c < 2h} of turned channels as the sum over first channels of pairs and the sum over second ones, for this key."""

    def convert(value: Term) -> Theorem:
        if not (isinstance(value, Fold) and value.kind == "sum" and value.var is c and key in free_variables(value)):
            raise ProofError("not the sum of a score")
        doubled = in_order(inside((0,), only_at(2 * h, h + h)), sum_split)(value)
        made = in_order(rotary.UNFOLD, tried(everywhere(only_at(ZERO + key, key))))(doubled.right)
        return then(doubled, made)

    return convert


def _paired(start: Term, key: Term) -> Theorem:
    """The score of rotated rows as a sum over pairs that does not speak of the start."""
    call = rotary.DEFINITIONS["halves"].call

    def entry(tensor: str, row: Term, channel: Term) -> Term:
        return call({"x": Lambda((i, c), Entry(tensor, i, c)), "start": start}, row, channel)

    whole = total(c, 2 * h, entry("q", i, c) * entry("k", key, c))
    doubled = in_order(inside((0,), only_at(2 * h, h + h)), sum_split)(whole)
    p = c
    both = total(p, h, entry("q", i, p) * entry("k", key, p) + entry("q", i, h + p) * entry("k", key, h + p))
    joined = by_sums(doubled.right, both)
    offset = instantiation(
        (rotary.offset_only("halves"),), {rotary.n: n, rotary.p: i, rotary.q: key, rotary.start: start},
        {"x": Lambda((i, c), Entry("q", i, c)), "y": Lambda((i, c), Entry("k", i, c))},
    )
    return then(doubled, joined, rewriting(offset)(joined.right))


def statements(variant: Options) -> tuple[Statement, ...]:
    """Theorems about variants, each with the variants that it speaks of; the default has all of them."""
    over = ((i, n), (f, e))
    capping = (Extra("cap", "positive"), Extra("x", "real"))
    heads_over = (*GROUPED.over, *over)
    made = (
        ("row_bias", "A bias that is the same for all keys of a row changes nothing", row_bias, over, (Extra("r", "real", (n,)),), "alibi"),
        ("alibi", "ALiBi: only the key's position matters within a row", alibi, over, (Extra("slope", "real"),), "alibi"),
        ("capped_above", "A soft-capped score is at most the cap", partial(capped, True), (), capping, "softcap"),
        ("capped_below", "A soft-capped score is at least minus the cap", partial(capped, False), (), capping, "softcap"),
        ("sinks", "A sink is one more key with value zero", sinks, over, (Extra("sink", "real"),), "sinks"),
        ("grouped", "Grouped queries are repeated key and value heads", grouped, heads_over, (), "grouped_query"),
        ("rotary", "Rotary positions inside are turned queries and keys", rotary_inside, over, (), "rotary"),
        ("rotary_start", "With rotary inside, the first position does not matter", rotary_start, over, TURN, "rotary"),
    )
    plain, asked = form_of(variant) == PLAIN_FORM, {key for key, value in variant.items() if value != "interleaved"}
    return tuple(
        Statement(f"attention.{name}", title, theorem(), ranges, extras, untested=BOUNDED if name.startswith("capped") else RELATED)
        for name, title, theorem, ranges, extras, of in made
        if plain or of in asked
    )
