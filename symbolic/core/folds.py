"""Rules of folds: sums and maxima over ``0 <= j < n``, for symbolic n. Each takes the fold as it stands and returns an equation."""

from __future__ import annotations

from kernelproof.symbolic.binding import alpha_equal, free_variables, substitute
from kernelproof.symbolic.core.equality import Premises
from kernelproof.symbolic.core.theorem import Made, rule
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import equation, permutation, within
from kernelproof.symbolic.terms import ONE, Entry, Fold, Op, Term, is_size


def _sum(value: Term) -> Fold:
    if isinstance(value, Fold) and value.kind == "sum" and alpha_equal(value.guard, ONE):
        return value
    raise ProofError(f"a sum was expected, got {value!r}")


def _body(value: Fold, *names: str) -> Op:
    if isinstance(value.body, Op) and value.body.name in names:
        return value.body
    raise ProofError(f"a sum of {' or '.join(names)} was expected")


@rule("sum_of_sums")
def sum_of_sums(premises: Premises, value: Term) -> Made:
    """Σ (f ± g) = Σ f ± Σ g."""
    fold = _sum(value)
    body = _body(fold, "add", "sub")
    left, right = (Fold("sum", fold.var, fold.size, arg) for arg in body.args)
    return (), equation(fold, Op(body.name, left, right))


@rule("sum_scaled")
def sum_scaled(premises: Premises, value: Term) -> Made:
    """Σ c·f = c·Σ f, Σ f·c = (Σ f)·c, Σ f/c = (Σ f)/c and Σ −f = −Σ f, for c free of the index."""
    fold = _sum(value)
    body = _body(fold, "mul", "div", "neg")
    inner = [Fold("sum", fold.var, fold.size, arg) for arg in body.args]
    if body.name == "neg":
        return (), equation(fold, -inner[0])
    constant = [fold.var not in free_variables(arg) for arg in body.args]
    if constant[1]:
        return (), equation(fold, Op(body.name, inner[0], body.args[1]))
    if constant[0] and body.name == "mul":
        return (), equation(fold, body.args[0] * inner[1])
    raise ProofError(f"sum_scaled: no factor is free of {fold.var.name}")


@rule("sum_constant")
def sum_constant(premises: Premises, value: Term) -> Made:
    """Σ_{j<n} c = n·c for c free of j."""
    fold = _sum(value)
    if fold.var in free_variables(fold.body):
        raise ProofError(f"sum_constant: the body depends on {fold.var.name}")
    if not is_size(fold.size):
        raise ProofError("sum_constant: the range must be a natural number")
    return (), equation(fold, fold.size * fold.body)


@rule("sum_exchange")
def sum_exchange(premises: Premises, value: Term) -> Made:
    """Σ_i Σ_j f = Σ_j Σ_i f where the inner range does not depend on i."""
    outer = _sum(value)
    inner = _sum(outer.body)
    if outer.var in free_variables(inner.size) or inner.var is outer.var or inner.var in free_variables(outer.size):
        raise ProofError("sum_exchange: the ranges depend on the indices")
    return (), equation(outer, Fold("sum", inner.var, inner.size, Fold("sum", outer.var, outer.size, inner.body)))


@rule("sum_split")
def sum_split(premises: Premises, value: Term) -> Made:
    """Σ_{j<a+b} f(j) = Σ_{j<a} f(j) + Σ_{j<b} f(a+j)."""
    fold = _sum(value)
    if not (isinstance(fold.size, Op) and fold.size.name == "add"):
        raise ProofError("sum_split: the size must be a sum")
    if not is_size(fold.size):
        raise ProofError("sum_split: both parts of the range must be natural numbers")
    first, second = fold.size.args  # sizes only, so neither speaks of the index
    shifted = substitute(fold.body, {fold.var: first + fold.var})
    return (), equation(fold, Fold("sum", fold.var, first, fold.body) + Fold("sum", fold.var, second, shifted))


@rule("sum_delta")
def sum_delta(premises: Premises, value: Term) -> Made:
    """Σ_{j<n} δ(j,t)·f(j) = f(t) where t is an integer in the range: a one-hot contraction is a gather."""
    fold = _sum(value)
    body = _body(fold, "mul")
    for picked, rest in (body.args, body.args[::-1]):
        if isinstance(picked, Op) and picked.name == "delta":
            for var, point in (picked.args, picked.args[::-1]):
                if var is fold.var and fold.var not in free_variables(point):
                    return (within(point, fold.size),), equation(fold, substitute(rest, {fold.var: point}))
    raise ProofError(f"sum_delta: no factor δ({fold.var.name}, t)")


@rule("fold_reindexed")
def fold_reindexed(premises: Premises, value: Term, tensor: str) -> Made:
    """R_{j<n} f(j) = R_{j<n} f(s[j]) for a permutation s of the range, R a sum or a maximum."""
    if not isinstance(value, Fold):
        raise ProofError(f"fold_reindexed: a fold was expected, got {value!r}")
    var = value.var
    moved = {var: Entry(tensor, var)}
    image = Fold(value.kind, var, value.size, substitute(value.body, moved), substitute(value.guard, moved))
    return (permutation(tensor, value.size),), equation(value, image)


@rule("delta_same")
def delta_same(premises: Premises, value: Term) -> Made:
    """δ(t, t) = 1."""
    return (), equation(Op("delta", value, value), ONE)
