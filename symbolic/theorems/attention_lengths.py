"""Attention over more or fewer keys: padding, one more key at a time, keys given twice.

Each compares attention over ``a + b`` keys with attention over fewer: the sums are split, and what the mask hides is zero.
"""

from __future__ import annotations

from collections.abc import Callable

from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.phase import Options, Statement
from kernelproof.symbolic.phases.attention import DEFINITION, PLAIN, UNFOLD, WHOLE, allow, c, e, f, i, j, m, n
from kernelproof.symbolic.tactics.collect import to_sums
from kernelproof.symbolic.tactics.rewriting import (
    Conversion,
    both_sides,
    everywhere,
    in_order,
    inside,
    only_at,
    part,
    replaced,
    rewriting,
    tried,
    use,
)
from kernelproof.symbolic.tactics.signs import positivity
from kernelproof.symbolic.tactics.sums import as_sum, sum_split
from kernelproof.symbolic.terms import ONE, Entry, Lambda, Term, Var, less, size

b, r = size("b"), size("r")
LENGTHS = "compares calls with different numbers of keys; tried on kernels by the properties of masks"


def in_first(var: Var, length: Term) -> Theorem:
    """var < length ⊢ [var < length] = 1."""
    return use("less_holds", use("index_below", a=var, n=length), a=var, b=length)


def in_second(var: Var, length: Term, rest: Term) -> Theorem:
    """var < rest ⊢ [length + var < length] = 0."""
    beyond = replaced(use("index_nonnegative", a=var, n=rest), arithmetic((), var, length + var - length))
    return use("less_fails", beyond, a=length + var, b=length)


def halved(value: Term, one: Callable[[Var], Conversion], two: Callable[[Var], Conversion]) -> Theorem:
    """A sum over a + b keys, split, with what is known in each half."""
    var = as_sum(value).var
    return in_order(sum_split, inside((0, 2), one(var)), inside((1, 2), two(var)))(value)


def shortened(one: Callable[[Var], Conversion], two: Callable[[Var], Conversion], whole: Term, result: Term) -> Conversion:
    """Attention over a + b keys as the result: first the divisor becomes the whole, then the sum."""

    def convert(value: Term) -> Theorem:
        divisor = part(value, 2, 0, 1)
        short = in_order(lambda part: halved(part, one, two), to_sums(whole))(divisor)
        kept = inside((2, 0, 1), lambda _: short)(value)
        return in_order(lambda _: kept, lambda part: halved(part, one, two), to_sums(result))(value)

    return convert


def padding() -> Theorem:
    """⊢ attention over m + b keys, the last b masked, is attention over the first m."""
    padded = DEFINITION.call({"m": m + b, "allow": Lambda((i, j), less(j, m) * allow(i, j))}, i, f)
    plain = UNFOLD(PLAIN)

    def one(var: Var) -> Conversion:
        return everywhere(rewriting(in_first(var, m)))

    def two(var: Var) -> Conversion:
        return everywhere(rewriting(in_second(var, m, b)))

    return both_sides(padded, PLAIN, in_order(UNFOLD, shortened(one, two, WHOLE, plain.right)), lambda _: plain)


def decoding() -> Theorem:
    """⊢ causal: row r of attention over r + 1 + b keys is attention of that row over the first r + 1 keys: one key at a time is enough."""
    causal = Lambda((i, j), (1 - less(i, j)) * allow(i, j))
    seen = r + 1
    full = DEFINITION.call({"m": seen + b, "allow": causal}, r, f)
    short = DEFINITION.call({"m": seen}, r, f)
    plain = UNFOLD(short)

    def one(var: Var) -> Conversion:
        return everywhere(rewriting(use("less_fails", use("index_at_most", a=var, n=r), a=r, b=var)))

    def two(var: Var) -> Conversion:
        gap = use("sum_with_nonnegative", positivity(ONE), use("index_nonnegative", a=var, n=b), a=1, b=var)
        later = replaced(gap, arithmetic((), 1 + var, seen + var - r))
        return everywhere(rewriting(use("less_holds", later, a=r, b=seen + var)))

    whole = part(plain.right, 2, 0, 1)
    return both_sides(full, short, in_order(UNFOLD, shortened(one, two, whole, plain.right)), lambda _: plain)


def duplication() -> Theorem:
    """⊢ attention over all keys given twice (mask, bias and values too) is attention over them once."""

    def twice(first: Term, second: Term) -> Term:
        return less(j, m) * first + (1 - less(j, m)) * second

    doubled = DEFINITION.call(
        {
            "m": m + m,
            "k": Lambda((j, c), twice(Entry("k", j, c), Entry("k", j - m, c))),
            "v": Lambda((j, f), twice(Entry("v", j, f), Entry("v", j - m, f))),
            "allow": Lambda((i, j), twice(allow(i, j), allow(i, j - m))),
            "bias": Lambda((i, j), twice(Entry("bias", i, j), Entry("bias", i, j - m))),
        },
        i, f,
    )
    plain = UNFOLD(PLAIN)

    def picked(known: Theorem, var: Var, index: Term) -> Conversion:
        there = [
            Entry("k", var, c), Entry("v", var, f), allow(i, var), Entry("bias", i, var),
        ]
        chosen = []
        for entry in there:
            assert isinstance(entry, Entry)
            first, second = (
                Entry(entry.tensor, *(at if part is var else part for part in entry.indices)) for at in (index, index - m)
            )
            mixed = known.right * first + (1 - known.right) * second
            chosen.append(tried(everywhere(rewriting(arithmetic((), mixed, first if known.right is ONE else second)))))
        back = tried(everywhere(only_at(index - m, var)))
        return in_order(everywhere(rewriting(known)), *chosen, back)

    def one(var: Var) -> Conversion:
        return picked(in_first(var, m), var, var)

    def two(var: Var) -> Conversion:
        return picked(in_second(var, m, m), var, m + var)

    return both_sides(doubled, PLAIN, in_order(UNFOLD, shortened(one, two, 2 * WHOLE, plain.right)), lambda _: plain)


def statements(variant: Options) -> tuple[Statement, ...]:
    """Theorems that compare lengths."""
    over = ((i, n), (f, e))
    return (
        Statement("attention.padding", "Padding with masked keys is the same as leaving them out", padding(), over, untested=LENGTHS),
        Statement("attention.decoding", "Causal: the last row needs no later key", decoding(), ((f, e),), untested=LENGTHS),
        Statement("attention.duplication", "Every key given twice changes nothing", duplication(), over, untested=LENGTHS),
    )
