"""Laws of finite sums for symbolic sizes, each proved by induction from the empty sum and the last term; and conversions that use them.

What it does: sums of sums, constant factors, exchange, splitting, tiling; contraction with a delta; reindexing by a permutation. A
conversion takes the sum as it stands and returns an equation, with the names of the bound variables kept.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from kernelproof.symbolic.binding import alpha_equal, free_variables, substitute
from kernelproof.symbolic.core.logic import instantiation
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.names import named
from kernelproof.symbolic.tactics.induction import by_induction, peel
from kernelproof.symbolic.tactics.rewriting import (
    any_of,
    by_arithmetic,
    by_only,
    everywhere,
    first,
    in_order,
    inside,
    only_at,
    shown_as,
    then,
    use,
)
from kernelproof.symbolic.terms import ONE, Entry, Fold, Lambda, Num, Op, Term, TermLike, Var, size, total, variables

n, m = size("n"), size("m")
i, j, c = variables("i j c")
F, G = Entry("f", j), Entry("g", j)


@cache
def lemma(name: str) -> Theorem:
    """A law of sums by name, proved once."""
    return named(name, LEMMAS[name]())


def _split() -> Theorem:
    """By induction on n: m + (n+1) is (m+n) + 1."""
    regrouped = first(any_of(only_at(m + (n + 1), (m + n) + 1), only_at(m + Num(0), m)))
    return by_induction(n, total(j, m + n, F), total(j, m, F) + total(j, n, Entry("f", m + j)), regrouped)


def _tiled() -> Theorem:
    """By induction on the number of tiles m: (m+1)·n is m·n + n."""
    regrouped = first(any_of(only_at((m + 1) * n, m * n + n), only_at(Num(0) * n, Num(0))))
    tiles = total(i, m, total(j, n, Entry("f", i * n + j)))
    last = first(by_only(total(j, m * n + n, F), sum_split(total(j, m * n + n, F))))
    return by_induction(m, total(j, m * n, F), tiles, regrouped, last)


def _exchange() -> Theorem:
    """By induction on the outer size."""
    body = Entry("f", i, j)
    left, right = total(i, n, total(j, m, body)), total(j, m, total(i, n, body))
    return by_induction(n, left, right, everywhere(peel), everywhere(any_of(sum_of_sums, sum_constant)))


LEMMAS: dict[str, Callable[[], Theorem]] = {
    "sum_of_sums": lambda: by_induction(n, total(j, n, F + G), total(j, n, F) + total(j, n, G)),
    "sum_of_differences": lambda: by_induction(n, total(j, n, F - G), total(j, n, F) - total(j, n, G)),
    "sum_of_negatives": lambda: by_induction(n, total(j, n, -F), -total(j, n, F)),
    "sum_scaled": lambda: by_induction(n, total(j, n, c * F), c * total(j, n, F)),
    "sum_constant": lambda: by_induction(n, total(j, n, c), n * c),
    "sum_exchange": _exchange,
    "sum_split": _split,
    "sum_tiled": _tiled,
}


# -- conversions ----------------------------------------------------------------------------------------------------------------


def as_sum(value: Term) -> Fold:
    """The term as a sum without a guard; ProofError otherwise."""
    if isinstance(value, Fold) and value.kind == "sum" and alpha_equal(value.guard, ONE):
        return value
    raise ProofError(f"a sum was expected, got {value!r}")


def _body(value: Fold, *names: str) -> Op:
    if isinstance(value.body, Op) and value.body.name in names:
        return value.body
    raise ProofError(f"a sum of {' or '.join(names)} was expected")


def apply(name: str, values: dict[Var, Term], tensors: dict[str, Lambda], left: Term, right: Term) -> Theorem:
    """A lemma with these values, shown with these names of bound variables."""
    return shown_as(instantiation((lemma(name),), values, tensors), left, right)


def sum_of_sums(value: Term) -> Theorem:
    """Σ (f ± g) = Σ f ± Σ g."""
    fold = as_sum(value)
    body = _body(fold, "add", "sub")
    name = "sum_of_sums" if body.name == "add" else "sum_of_differences"
    one, two = (Lambda((fold.var,), arg) for arg in body.args)
    parts = [Fold("sum", fold.var, fold.size, arg) for arg in body.args]
    return apply(name, {n: fold.size}, {"f": one, "g": two}, fold, Op(body.name, *parts))


def sum_scaled(value: Term) -> Theorem:
    """Σ c·f = c·Σ f, Σ f·c = (Σ f)·c, Σ f/c = (Σ f)/c and Σ −f = −Σ f, for c free of the index."""
    fold = as_sum(value)
    body = _body(fold, "mul", "div", "neg")
    inner = [Fold("sum", fold.var, fold.size, arg) for arg in body.args]
    if body.name == "neg":
        return apply("sum_of_negatives", {n: fold.size}, {"f": Lambda((fold.var,), body.args[0])}, fold, -inner[0])
    constant = [fold.var not in free_variables(arg) for arg in body.args]
    if constant[1]:
        factor = body.args[1] if body.name == "mul" else 1 / body.args[1]
        wanted: Term = Op(body.name, inner[0], body.args[1])
        rest = body.args[0]
    elif constant[0] and body.name == "mul":
        factor, wanted, rest = body.args[0], body.args[0] * inner[1], body.args[1]
    else:
        raise ProofError(f"sum_scaled: no factor is free of {fold.var.name}")
    scaled = factored(fold.var, fold.size, factor, rest)
    if scaled.left is not fold:
        scaled = then(inside((2,), by_arithmetic(factor * rest))(fold), scaled)
    return scaled if scaled.right is wanted else then(scaled, by_arithmetic(wanted)(scaled.right))


def factored(var: Var, length: Term, factor: Term, rest: Term) -> Theorem:
    """Σ factor·rest = factor·Σ rest, for a factor free of the index."""
    left, right = Fold("sum", var, length, factor * rest), factor * Fold("sum", var, length, rest)
    return apply("sum_scaled", {n: length, c: factor}, {"f": Lambda((var,), rest)}, left, right)


def sum_constant(value: Term) -> Theorem:
    """Σ_{j<n} c = n·c for c free of j."""
    fold = as_sum(value)
    if fold.var in free_variables(fold.body):
        raise ProofError(f"sum_constant: the body depends on {fold.var.name}")
    return apply("sum_constant", {n: fold.size, c: fold.body}, {}, fold, fold.size * fold.body)


def sum_exchange(value: Term) -> Theorem:
    """Σ_i Σ_j f = Σ_j Σ_i f."""
    outer = as_sum(value)
    inner = as_sum(outer.body)
    if outer.var in free_variables(inner.size) or inner.var is outer.var or inner.var in free_variables(outer.size):
        raise ProofError("sum_exchange: the ranges depend on the indices")
    right = Fold("sum", inner.var, inner.size, Fold("sum", outer.var, outer.size, inner.body))
    return apply("sum_exchange", {n: outer.size, m: inner.size}, {"f": Lambda((outer.var, inner.var), inner.body)}, outer, right)


def sum_split(value: Term) -> Theorem:
    """Σ_{j<a+b} f(j) = Σ_{j<a} f(j) + Σ_{j<b} f(a+j)."""
    fold = as_sum(value)
    if not (isinstance(fold.size, Op) and fold.size.name == "add"):
        raise ProofError("sum_split: the size must be a sum")
    one, two = fold.size.args
    right = Fold("sum", fold.var, one, fold.body) + Fold("sum", fold.var, two, substitute(fold.body, {fold.var: one + fold.var}))
    return apply("sum_split", {m: one, n: two}, {"f": Lambda((fold.var,), fold.body)}, fold, right)


def sum_tiled(value: Term, tile: Var) -> Theorem:
    """Σ_{j<a·b} f(j) = Σ_{i<a} Σ_{j<b} f(i·b+j)."""
    fold = as_sum(value)
    if not (isinstance(fold.size, Op) and fold.size.name == "mul"):
        raise ProofError("sum_tiled: the size must be a product")
    tiles, width = fold.size.args
    inner = Fold("sum", fold.var, width, substitute(fold.body, {fold.var: tile * width + fold.var}))
    values: dict[Var, Term] = {m: tiles, n: width}
    return apply("sum_tiled", values, {"f": Lambda((fold.var,), fold.body)}, fold, Fold("sum", tile, tiles, inner))


def sum_delta(value: Term) -> Theorem:
    """Σ_{j<n} δ(j,t)·f(j) = f(t) where t is an integer in the range: a one-hot contraction is a gather."""
    fold = as_sum(value)
    body = _body(fold, "mul")
    for picked, rest in (body.args, body.args[::-1]):
        if isinstance(picked, Op) and picked.name == "delta":
            for var, point in (picked.args, picked.args[::-1]):
                if var is fold.var and fold.var not in free_variables(point):
                    return _contracted(fold, picked, point, rest)
    raise ProofError(f"sum_delta: no factor δ({fold.var.name}, t)")


def _contracted(fold: Fold, picked: Op, point: Term, rest: Term) -> Theorem:
    """The contraction, after δ(t, j) was turned round and brought to the front."""
    plain = Op("delta", fold.var, point) * rest
    inner = None if fold.body is plain else by_arithmetic(plain)
    if inner is not None and picked.args[0] is point:
        inner = in_order(first(by_only(picked, use("delta_symmetric", a=point, b=fold.var))), inner)
    made = use("sum_delta", n=fold.size, p=point, f=Lambda((fold.var,), rest))
    whole = shown_as(made, Fold("sum", fold.var, fold.size, plain))
    return whole if inner is None else then(inside((2,), inner)(fold), whole)


def reindexed(tensor: str) -> Callable[[Term], Theorem]:
    """R_{j<n} f(j) = R_{j<n} f(s[j]) for a permutation s of the range, R a sum or a maximum."""

    def convert(value: Term) -> Theorem:
        if not isinstance(value, Fold):
            raise ProofError(f"a fold was expected, got {value!r}")
        var = value.var
        moved: dict[Var, Term] = {var: Entry(tensor, var)}
        image = Fold(value.kind, var, value.size, substitute(value.body, moved), substitute(value.guard, moved))
        given: dict[str, TermLike | Lambda] = {"n": value.size, "f": Lambda((var,), value.body), "s": Lambda((var,), Entry(tensor, var))}
        if value.kind == "max":
            given["g"] = Lambda((var,), value.guard)
        else:
            as_sum(value)
        return shown_as(use("sum_reindexed" if value.kind == "sum" else "maximum_reindexed", **given), value, image)

    return convert


def linear_sum(value: Term) -> Theorem:
    """Pull sums apart and constants out of a sum, at the root."""
    for conversion in (sum_delta, sum_constant, sum_of_sums, sum_scaled):
        try:
            return conversion(value)
        except ProofError:
            continue
    raise ProofError("the sum has no linear form")
