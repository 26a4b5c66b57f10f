"""The online state of a row over blocks of keys: two blocks, any number of tiles, one more tile.

The state and its merge are those of ``attention_merge``. That any shift of a tile gives the same result after rescaling is what lets a
kernel use the running maximum; the maximum keeps exponentials from overflowing, and nothing else depends on it.
"""

from __future__ import annotations

from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.logic import assumption, cases, instantiation, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import equation
from kernelproof.symbolic.phase import Options, Statement
from kernelproof.symbolic.tactics.induction import peel
from kernelproof.symbolic.tactics.rewriting import (
    congruence,
    everywhere,
    first,
    in_order,
    inside,
    part,
    replaced,
    rewriting,
    then,
    unfold,
    use,
)
from kernelproof.symbolic.tactics.signs import nonnegativity
from kernelproof.symbolic.tactics.sums import sum_scaled, sum_split, sum_tiled
from kernelproof.symbolic.terms import ZERO, Entry, Fold, Lambda, Num, Op, Term, exp, less, maximum_of, size, total, variables
from kernelproof.symbolic.theorems.attention_merge import MERGE, OPEN, ROW, merge

a, b = size("a"), size("b")
tiles, width = size("tiles"), size("width")
j, i, z, z1, z2 = variables("j i z z1 z2")


def s(key: Term) -> Term:
    """The score of a key."""
    return Entry("s", key)


def allowed(key: Term) -> Term:
    """1 where the key may be attended to, else 0."""
    return Entry("allow", key)


def weighted(length: Term, shift: Term, valued: bool, offset: Term = ZERO) -> Fold:
    """Σ allow·exp(s − shift), times v where wanted, over keys from an offset on."""
    key = j if offset is ZERO else offset + j
    body = allowed(key) * exp(s(key) - shift)
    return total(j, length, body * Entry("v", key) if valued else body)


def state(length: Term, offset: Term = ZERO) -> tuple[Term, ...]:
    """The state of a block."""
    key = j if offset is ZERO else offset + j
    shift = maximum_of(j, length, s(key), allowed(key))
    seen = less(0, total(j, length, allowed(key) * allowed(key)))
    return seen, shift, weighted(length, shift, False, offset), weighted(length, shift, True, offset)


def blocks(valued: bool) -> Theorem:
    """⊢ l (or o) of a + b keys at shift z is that of both blocks at any shifts z1, z2, rescaled."""
    left = weighted(a + b, z, valued)
    right = weighted(a, z1, valued) * exp(z1 - z) + weighted(b, z2, valued, a) * exp(z2 - z)
    apart = sum_split(left)
    target = by_pieces(apart.right, right)
    return then(apart, target)


def by_pieces(left: Term, right: Term) -> Theorem:
    """Sums with one exponential each side: pull the factor in and compare the bodies."""
    pulled = everywhere(_factor_in)(right)
    return then(arithmetic_of_bodies(left, pulled.right), symmetry((pulled,)))


def _factor_in(value: Term) -> Theorem:
    """(Σ f)·c = Σ f·c, at the root."""
    if isinstance(value, Op) and value.name == "mul" and isinstance(value.args[0], Fold) and not isinstance(value.args[1], Fold):
        fold = value.args[0]
        return symmetry((sum_scaled(Fold("sum", fold.var, fold.size, fold.body * value.args[1])),))
    raise ProofError("not a sum times a factor")


def arithmetic_of_bodies(left: Term, right: Term) -> Theorem:
    """Two sums of folds equal, body by body."""
    if isinstance(left, Fold) and isinstance(right, Fold):
        return congruence(arithmetic((), left.body, right.body), left, (2,))
    assert isinstance(left, Op) and isinstance(right, Op) and left.name == right.name
    one = congruence(arithmetic_of_bodies(left.args[0], right.args[0]), left, (0,))
    return then(one, congruence(arithmetic_of_bodies(left.args[1], right.args[1]), one.right, (1,)))


def whole_shift() -> Theorem:
    """⊢ the maximum of a + b keys is the merged shift of the two blocks, one or both of which may be empty."""
    split = use("maximum_split", m=a, n=b, f=Lambda((j,), s(j)), g=Lambda((j,), allowed(j)))
    target = merge(state(a), state(b, a))[1]
    opened = OPEN(target)
    return then(split, arithmetic((), split.right, opened.right), symmetry((opened,)))


def whole(valued: bool) -> Theorem:
    """⊢ l (or o) of a + b keys is the merged one of the two blocks."""
    place = 3 if valued else 2
    left = state(a + b)[place]
    moved = first(rewriting(whole_shift()))(left)
    one, two = state(a), state(b, a)
    merged = merge(one, two)
    known = blocks(valued)
    put = instantiation((known,), {z: merged[1], z1: one[1], z2: two[1]}, {})
    opened = unfold(MERGE[place].name)(merged[place])
    return then(moved, put, symmetry((opened,)))


def tiled(valued: bool) -> Theorem:
    """⊢ l (or o) of tiles·width keys at shift z is the sum of the tiles' own, each at any shift z[i], rescaled."""
    left = weighted(tiles * width, z, valued)
    own = Entry("z", i)
    inner = weighted(width, own, valued, i * width)
    apart = sum_tiled(left, i)
    body = inner * exp(own - z)
    right = total(i, tiles, body)
    pulled = inside((2,), everywhere(_factor_in))(right)
    assert isinstance(apart.right, Fold) and isinstance(pulled.right, Fold)
    same = congruence(arithmetic_of_bodies(apart.right.body, pulled.right.body), apart.right, (2,))
    return then(apart, same, symmetry((pulled,)))


def running_step() -> Theorem:
    """⊢ the rescaled sum of n + 1 tiles at shift y[n+1] is that of n tiles at y[n], rescaled, plus the last tile's."""
    n = size("n")
    y_n, y_next = Entry("y", n), Entry("y", n + 1)
    tile = Entry("l", i) * exp(Entry("z", i) - y_next)
    left = total(i, n + 1, tile)
    before = total(i, n, Entry("l", i) * exp(Entry("z", i) - y_n))
    last = Entry("l", n) * exp(Entry("z", n) - y_next)
    apart = peel(left)
    right = before * exp(y_n - y_next) + last
    pulled = everywhere(_factor_in)(right)
    assert isinstance(apart.right, Op) and isinstance(pulled.right, Op)
    same = congruence(arithmetic_of_bodies(apart.right.args[0], pulled.right.args[0]), apart.right, (0,))
    return then(apart, same, symmetry((pulled,)))


def whole_seen() -> Theorem:
    """⊢ a + b keys have an allowed one where either block has."""
    one, two, both = (state(*given)[0] for given in ((a,), (b, a), (a + b,)))
    first_sum, second_sum = part(one, 1), part(two, 1)
    apart = inside((1,), sum_split)(both)
    goal = OPEN(merge(state(a), state(b, a))[0])
    signs = [nonnegativity(value) for value in (first_sum, second_sum)]

    def claim(known: tuple[Theorem, Theorem]) -> Theorem:
        values = [given.right for given in known]
        shown = in_order(*(everywhere(rewriting(given)) for given in known))(goal.right)
        together = first_sum + second_sum
        if values == [ZERO, ZERO]:
            low = [use("not_less_means", given, a=0, b=part(given.left, 1)) for given in known]
            gap = use("sum_nonnegative", *low, a=0 - first_sum, b=0 - second_sum)
            met = use("less_fails", replaced(gap, arithmetic((), gap.conclusion.terms[0], 0 - together)), a=0, b=together)
        else:
            place = 0 if values[0] is not ZERO else 1
            above = use("less_means", known[place], a=0, b=part(known[place].left, 1))
            above = replaced(above, arithmetic((), above.conclusion.terms[0], (first_sum, second_sum)[place]))
            other = signs[1 - place]
            total_above = use("sum_with_nonnegative", above, other, a=above.conclusion.terms[0], b=other.conclusion.terms[0])
            met = use("less_holds", replaced(total_above, arithmetic((), total_above.conclusion.terms[0], together - 0)), a=0, b=together)
        return then(met, arithmetic((), met.right, shown.right), symmetry((shown,)))

    indicators = [use("less_is_indicator", a=0, b=value) for value in (first_sum, second_sum)]

    def split(chosen: tuple[Theorem, ...]) -> Theorem:
        if len(chosen) == 2:
            return claim((chosen[0], chosen[1]))
        indicator = indicators[len(chosen)]
        return cases((indicator, *(split((*chosen, assumption((), equation(indicator.right, Num(value))))) for value in (0, 1))))

    return then(apart, split(()), symmetry((goal,)))


def statements(variant: Options) -> tuple[Statement, ...]:
    """Theorems about blocks and tiles."""
    made = [
        Statement("attention.online_seen", "Two blocks have an allowed key where either has", whole_seen(), untested=ROW),
        Statement("attention.online_m", "The maximum of two blocks is the merged one", whole_shift(), untested=ROW),
    ]
    for valued, of in ((False, "l"), (True, "o")):
        made += [
            Statement(f"attention.online_blocks_{of}", f"Two blocks at any shifts give the whole: {of}", blocks(valued), untested=ROW),
            Statement(f"attention.online_{of}", f"Two symbolic blocks merged are the whole: {of}", whole(valued), untested=ROW),
            Statement(f"attention.online_tiles_{of}", f"Any tiles at any shifts give the whole: {of}", tiled(valued), untested=ROW),
        ]
    step = running_step()
    made.append(Statement("attention.online_step", "One more tile: rescale what was there, add the tile's own", step, untested=ROW))
    return tuple(made)
