"""Sums of products brought to one form: ``Σ coefficient · Σ_i Σ_j … factor · factor``, so that arithmetic decides the rest.

What it does: multiplies out, pulls every sum in front of the products it stands in, takes out what does not depend on the index,
contracts deltas, orders the sums and the factors. Two terms that differ by such moves have equal forms, in which folds are atoms:
:func:`by_sums` proves them equal. Guarantees: nothing beyond the core's rules. Cannot see: inside divisors, exponentials and calls,
which are taken as they stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from fractions import Fraction
from itertools import permutations

from kernelproof.symbolic.binding import at, canonical, free_variables, fresh, substitute
from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.logic import reflexivity, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.tactics.monomials import Monomial, product, summed
from kernelproof.symbolic.tactics.rewriting import congruence, shown_as, then
from kernelproof.symbolic.tactics.sums import factored, sum_constant, sum_delta, sum_exchange, sum_of_sums
from kernelproof.symbolic.terms import ONE, ZERO, Fold, Num, Op, Term, Var, term

Collected = tuple[Theorem, list[Monomial]]


def by_sums(left: Term, right: Term, *premises: Theorem, cofactors: Iterable[Term] = ()) -> Theorem:
    """left = right by moving sums about, arithmetic and the premises."""
    one, two = collected(left), collected(right)
    middle = arithmetic(premises, one.right, two.right, tuple(cofactors))
    return then(one, middle, symmetry((two,)))


def to_sums(target: Term, *premises: Theorem, cofactors: Iterable[Term] = ()) -> Callable[[Term], Theorem]:
    """The conversion term = target by :func:`by_sums`."""
    return lambda value: by_sums(value, target, *premises, cofactors=tuple(cofactors))


def collected(value: Term) -> Theorem:
    """value = its collected form."""
    theorem, monomials = _collect(value)
    ordered = []
    for monomial in monomials:
        step, new = _ordered(monomial)
        theorem = _replace(theorem, step)
        ordered.append(new)
    return _to(theorem, summed(_merged(ordered)))


def _merged(monomials: list[Monomial]) -> list[Monomial]:
    """Like monomials together."""
    found: dict[object, Monomial] = {}
    for one in monomials:
        key = (tuple(sorted(repr(canonical(part)) for part in one.outer)), canonical(one.fold))
        found[key] = replace(found[key], coefficient=found[key].coefficient + one.coefficient) if key in found else one
    return [one for one in found.values() if one.coefficient]


def _to(theorem: Theorem, target: Term) -> Theorem:
    """The right side brought to this term by arithmetic."""
    return theorem if theorem.right is target else then(theorem, arithmetic((), theorem.right, target))


def _replace(theorem: Theorem, step: Theorem) -> Theorem:
    """The step applied to every such subterm of the right side that no binder is above."""
    if step.left is step.right:
        return theorem

    def convert(value: Term) -> Theorem:
        if value is step.left:
            return step
        if isinstance(value, Op) and value.name in ("add", "mul"):
            result = reflexivity((), value)
            for place, part in enumerate(value.args):
                below = convert(part)
                if below.left is not below.right:
                    result = then(result, congruence(below, result.right, (place,)))
            return result
        return reflexivity((), value)

    return then(theorem, convert(theorem.right))


def _collect(value: Term) -> Collected:
    if isinstance(value, Num):
        monomials = [Monomial(value.value)] if value.value else []
        return _to(reflexivity((), value), summed(monomials)), monomials
    if isinstance(value, Fold) and value.kind == "sum" and value.guard is ONE:
        return _collect_fold(value)
    if isinstance(value, Op):
        match value.name:
            case "add" | "sub" | "neg" | "mul":
                return _collect_operation(value)
            case "div" if value.args[0] is not ONE:
                whole, monomials = _collect(value.args[0] * (1 / value.args[1]))
                return then(arithmetic((), value, whole.left), whole), monomials
            case "pow" if isinstance(value.args[1], Num) and value.args[1].value >= 2:
                whole, monomials = _collect(product([value.args[0]] * int(value.args[1].value)))
                return then(arithmetic((), value, whole.left), whole), monomials
    return reflexivity((), value), [Monomial(Fraction(1), (value,))]


def _collect_operation(value: Op) -> Collected:
    parts = [_collect(arg) for arg in value.args]
    theorem = reflexivity((), value)
    for place, (part, _) in enumerate(parts):
        if part.left is not part.right:
            theorem = then(theorem, congruence(part, theorem.right, (place,)))
    monomials = [monomials for _, monomials in parts]
    if value.name == "mul":
        return _multiplied(theorem, *monomials)
    minus = [replace(one, coefficient=-one.coefficient) for one in monomials[-1]]
    flat = {"add": [*monomials[0], *monomials[-1]], "sub": [*monomials[0], *minus], "neg": minus}[value.name]
    return _to(theorem, summed(flat)), flat


def _multiplied(theorem: Theorem, ones: list[Monomial], twos: list[Monomial]) -> Collected:
    """Products of monomials; two folds become one nest."""
    products, steps = [], []
    for one in ones:
        for two in twos:
            scale, outer = one.coefficient * two.coefficient, (*one.outer, *two.outer)
            if one.prefix and two.prefix:
                renamed = _apart(two, one)
                made = Monomial(scale, outer, (*one.prefix, *renamed.prefix), (*one.inner, *renamed.inner))
                step = _flat(_nested(one.fold, renamed.fold), made.fold, len(made.prefix))
                steps.append(shown_as(step, one.fold * two.fold))
                products.append(made)
            else:
                products.append(Monomial(scale, outer, one.prefix or two.prefix, one.inner or two.inner))
    separate = [
        product([Num(a.coefficient * b.coefficient), *a.outer, *b.outer, *_folds(a, b)]) for a in ones for b in twos
    ]
    apart: Term = ZERO
    for part in separate:
        apart = part if apart is ZERO else apart + part
    theorem = _to(theorem, apart)
    for step in steps:
        theorem = _replace(theorem, step)
    return _to(theorem, summed(products)), products


def _flat(step: Theorem, target: Term, depth: int) -> Theorem:
    """The right side, a nest of sums, with the body that the target has."""
    if step.right is target:
        return step
    path = (2,) * depth
    old, new = term(at(step.right, path)), term(at(target, path))
    return then(step, congruence(arithmetic((), old, new), step.right, path))


def _folds(one: Monomial, two: Monomial) -> list[Term]:
    if one.prefix and two.prefix:
        return [one.fold * two.fold]
    return [part.fold for part in (one, two) if part.prefix]


def _apart(two: Monomial, one: Monomial) -> Monomial:
    """The second monomial with bound names that do not occur in the first."""
    taken = {var for var, _ in one.prefix} | free_variables(one.fold) | free_variables(two.fold)
    names: dict[Var, Term] = {}
    prefix = []
    for var, length in two.prefix:
        new = fresh(var, taken)
        taken.add(new)
        names[var] = new
        prefix.append((new, length))
    return replace(two, prefix=tuple(prefix), inner=tuple(substitute(part, names) for part in two.inner))


def _nested(one: Term, two: Term) -> Theorem:
    """(Σ_i x)·(Σ_j y) = Σ_i Σ_j x·y, whatever sums x and y are."""
    if isinstance(one, Fold):
        turned = congruence(arithmetic((), two * one.body, one.body * two), Fold("sum", one.var, one.size, two * one.body), (2,))
        out = factored(one.var, one.size, two, one.body)
        pulled = then(arithmetic((), one * two, out.right), symmetry((out,)), turned)
        return then(pulled, congruence(_nested(one.body, two), pulled.right, (2,)))
    if isinstance(two, Fold):
        pulled = symmetry((factored(two.var, two.size, one, two.body),))
        return then(pulled, congruence(_nested(one, two.body), pulled.right, (2,)))
    return reflexivity((), one * two)


def _collect_fold(value: Fold) -> Collected:
    body, monomials = _collect(value.body)
    theorem = congruence(body, value, (2,))
    if not monomials:
        return _to(then(theorem, sum_constant(theorem.right)), ZERO), []
    pieces = _split(theorem.right)
    theorem = then(theorem, pieces)
    done = []
    for monomial in monomials:
        step, new = _summed(value.var, value.size, monomial)
        theorem = _replace(theorem, step)
        done += new
    return _to(theorem, summed(done)), done


def _split(value: Term) -> Theorem:
    """Σ (a + b + c) = Σ a + Σ b + Σ c, sums nested to the left."""
    assert isinstance(value, Fold)
    if isinstance(value.body, Op) and value.body.name == "add":
        apart = sum_of_sums(value)
        assert isinstance(apart.right, Op)
        return then(apart, congruence(_split(apart.right.args[0]), apart.right, (0,)))
    return reflexivity((), value)


def _summed(var: Var, length: Term, one: Monomial) -> Collected:
    """Σ_var of a monomial, as monomials: what is free of the index stays outside, the rest goes in."""
    whole = Fold("sum", var, length, one.term)
    stays = tuple(part for part in one.outer if var not in free_variables(part))
    goes = tuple(part for part in one.outer if var in free_variables(part))
    if any(var in free_variables(size) for _, size in one.prefix) or var in {name for name, _ in one.prefix}:
        one = _apart(one, Monomial(Fraction(1), (), ((var, length),), (var,)))
    rest = product([*goes, *([one.fold] if one.prefix else [])])
    factors = product([Num(one.coefficient), *stays])
    inner = Fold("sum", var, length, factors * rest)
    theorem = congruence(arithmetic((), one.term, inner.body), whole, (2,)) if whole.body is not inner.body else reflexivity((), whole)
    theorem = shown_as(theorem, whole, inner)
    theorem = then(theorem, factored(var, length, factors, rest))
    fold = Fold("sum", var, length, rest)
    if var not in free_variables(rest):
        theorem = _replace(theorem, sum_constant(fold))
        new = Monomial(one.coefficient, (*stays, length), one.prefix, one.inner)
        return _to(theorem, summed([new])), [new]
    pushed = _pushed(goes, one)
    theorem = _replace(theorem, congruence(pushed, fold, (2,)))
    new = Monomial(one.coefficient, stays, ((var, length), *one.prefix), (*goes, *one.inner))
    picked = next((part for part in goes if _picks(part, var)), None)
    if picked is None or one.prefix:
        return _to(theorem, summed([new])), [new]
    others = product([part for part in goes if part is not picked])
    ready = Fold("sum", var, length, picked * others)
    contracted = then(_flat(reflexivity((), fold), ready, 1), sum_delta(ready))
    theorem = _replace(theorem, contracted)
    again, monomials = _collect(contracted.right)
    theorem = _replace(theorem, again)
    scaled = [replace(part, coefficient=part.coefficient * one.coefficient, outer=(*stays, *part.outer)) for part in monomials]
    return _to(theorem, summed(scaled)), scaled


def _picks(part: Term, var: Var) -> bool:
    """Whether a factor is δ(var, t), t free of var."""
    if not (isinstance(part, Op) and part.name == "delta"):
        return False
    return any(one is var and var not in free_variables(two) for one, two in (part.args, part.args[::-1]))


def _pushed(goes: tuple[Term, ...], one: Monomial) -> Theorem:
    """factors·Σ_j Σ_k g = Σ_j Σ_k factors·g."""
    start = product([*goes, *([one.fold] if one.prefix else [])])
    target = Monomial(Fraction(1), (), one.prefix, (*goes, *one.inner)).fold
    if not one.prefix or not goes:
        return reflexivity((), start) if start is target else arithmetic((), start, target)
    factors = product(goes)
    grouped = reflexivity((), start) if start is factors * one.fold else arithmetic((), start, factors * one.fold)
    return _flat(then(grouped, _nested(factors, one.fold)), target, len(one.prefix))


def _ordered(one: Monomial) -> tuple[Theorem, Monomial]:
    """The same nest with its sums and factors in the order that gives the least text."""
    if not one.prefix:
        return reflexivity((), one.term), one
    best: tuple[str, tuple[int, ...]] | None = None
    lengths = [repr(length) for _, length in one.prefix]
    least = sorted(lengths)
    for order in permutations(range(len(one.prefix))):
        if [lengths[place] for place in order] != least:
            continue
        names: dict[Var, Term] = {one.prefix[place][0]: Var(f"x{rank}") for rank, place in enumerate(order)}
        text = repr(([one.prefix[place][1] for place in order], sorted(repr(canonical(substitute(part, names))) for part in one.inner)))
        if best is None or text < best[0]:
            best = (text, order)
    assert best is not None
    order = best[1]
    names = {one.prefix[place][0]: Var(f"x{rank}") for rank, place in enumerate(order)}
    inner = tuple(sorted(one.inner, key=lambda part: repr(canonical(substitute(part, names)))))
    theorem = reflexivity((), one.fold)
    current = list(range(len(order)))
    for rank, wanted in enumerate(order):
        for place in range(current.index(wanted), rank, -1):
            path = (2,) * (place - 1)
            below = theorem.right
            for _ in path:
                assert isinstance(below, Fold)
                below = below.body
            theorem = then(theorem, congruence(sum_exchange(below), theorem.right, path))
            current[place - 1], current[place] = current[place], current[place - 1]
    new = replace(one, prefix=tuple(one.prefix[place] for place in order), inner=inner)
    theorem = _flat(theorem, new.fold, len(order))
    return _to(_replace(reflexivity((), one.term), theorem), new.term), new
