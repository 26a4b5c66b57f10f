"""What the tests of the checker share: documents of every derivation, a handmade one that uses every rule, and the core's nodes mirrored.

:func:`mirrored` turns a node of the core into one of the checker with an environment of binders on the way down; the checker itself reads
tables and closes binders on the way up. So the two conversions can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from typing import Any

from kernelproof.symbolic.checker import nodes as own
from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.definitions import define, unfolding
from kernelproof.symbolic.core.laws import LAWS, law
from kernelproof.symbolic.core.logic import (
    assumption,
    cases,
    cut,
    generalisation,
    induction,
    instantiation,
    reflexivity,
    replacement,
    specialisation,
    symmetry,
    transitivity,
)
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.formulas import Every, Formula, equation, nonzero, positive, within
from kernelproof.symbolic.functions import Clause, Definition, Parameter
from kernelproof.symbolic.printing.derivation import named_theorems
from kernelproof.symbolic.serialise import proofs
from kernelproof.symbolic.terms import ONE, ZERO, Call, Entry, Fold, Lambda, Node, Num, Op, Term, Var, delta, exp, size, total, variables
from kernelproof.symbolic.trust import derivations

a, b, c, i, j, k, p, t = variables("a b c i j k p t")
m, n = size("m"), size("n")


@cache
def derived() -> dict[str, tuple[dict[str, Theorem], dict[str, Any]]]:
    """Named theorems and the document of every derivation in every variant."""
    found = {}
    for derivation in derivations():
        theorems = named_theorems(derivation)
        variant = ",".join(f"{key}={value}" for key, value in derivation.variant.items())
        found[f"{derivation.phase}[{variant}]"] = theorems, proofs(theorems)
    return found


def mirrored(node: Node, around: tuple[Var, ...] = ()) -> own.Node:
    """The checker's node that means the same; ``around`` are the bound variables, the innermost last."""

    def all_of(parts: Any) -> list[own.Node]:
        return [mirrored(part, around) for part in parts]

    match node:
        case Num():
            return own.number(Fraction(node.value))
        case Var():
            inside = [place for place, var in enumerate(reversed(around)) if var is node]
            return own.make(("bound", inside[0])) if inside else own.variable(node.name, node.kind)
        case Entry():
            return own.make(("entry", node.tensor), all_of(node.indices))
        case Op():
            return own.make(("op", node.name), all_of(node.args))
        case Fold():
            below = (*around, node.var)
            return own.make(("fold", node.kind), (*all_of([node.size]), mirrored(node.guard, below), mirrored(node.body, below)))
        case Lambda():
            return own.make(("lambda", len(node.params)), [mirrored(node.body, around + node.params)])
        case Call():
            names = tuple(name for name, _ in node.arguments)
            return own.make(("call", node.function, names), all_of([*(value for _, value in node.arguments), *node.indices]))
        case Every():
            names = tuple(var for var, _ in node.over)
            sizes = all_of(length for _, length in node.over)
            return own.make(("every", len(names)), [*sizes, mirrored(node.body, around + names)])
        case Formula():
            return own.make(("formula", node.name, node.tensor), all_of(node.terms))
    raise TypeError(f"{node!r}: no node of the core")


def x(*indices: Any) -> Term:
    """An entry of a tensor."""
    return Entry("x", *indices)


@cache
def handmade() -> dict[str, Theorem]:
    """Small theorems that together use every rule, and every form of a definition."""
    plain = define(Definition("checked_scaled", (Parameter("n", (), "size"), Parameter("c"), Parameter("x", (n,))),
        (Clause((i,), ((i, n),), c * x(i) + total(j, n, x(j))),)))
    paired = define(Definition("checked_paired", (Parameter("n", (), "size"), Parameter("x", (n,))),
        (Clause((2 * i,), ((i, n),), x(i)), Clause((2 * j + 1,), ((j, n),), -x(j)))))
    joined = define(Definition("checked_joined", (Parameter("n", (), "size"), Parameter("c"), Parameter("x", (n,))),
        (Clause((i,), ((i, n),), plain.call({"x": Lambda((k,), x(k))}, i)), Clause((n + j,), ((j, n),), c * x(j)))))
    commuted = arithmetic((), x(j) * a, a * x(j))
    summed = replacement((reflexivity((), total(j, n, x(j) * a)), commuted), (1, 2))
    ranged = replacement((reflexivity((), total(j, n, x(j))), _ranged()), (1, 2))
    indicator = law((), "delta_is_indicator", {a: a, b: b}, {})
    steps = {
        "summed": summed,
        "ranged": ranged,
        "instance": instantiation([summed], {a: x(j), n: n + 1}, {"x": Lambda((i,), x(i) + j)}),
        "chained": transitivity((summed, symmetry((summed,)))),
        "renamed": reflexivity((), total(j, n, x(j) * i), total(k, n, x(k) * i)),
        "split": cases((indicator, *(_square(assumption((), equation(delta(a, b), value))) for value in (ZERO, ONE)))),
        "counted": _counted(),
        "positive": cut((law((), "exp_positive", {a: x(i)}, {}), law((), "positive_is_nonzero", {a: exp(x(i))}, {}))),
        "cancelled": arithmetic((assumption((), nonzero(b)),), a * b / b, a),
        "combined": arithmetic((assumption((), equation(a, b)), assumption((), positive(c))), a / c, b / c, (1 / c,)),
        "grown": arithmetic((), exp(a + b) / exp(b) * exp(-a), ONE),
        "unfolded": unfolding((), plain.call({"c": j, "x": Lambda((i,), x(i) * j)}, k + 1)),
        "even": unfolding((), paired.call({}, 2 * (i + 1))),
        "odd": unfolding((), paired.call({"n": m + n}, 2 * p + 1), 1),
        "first": unfolding((), joined.call({"n": Num(3), "c": i}, i)),
        "rest": unfolding((), joined.call({"n": m + n, "c": j}, (m + n) + k), 1),
        "everywhere": specialisation((generalisation((_in_range(),), ((i, n), (j, m))),), (a, x(b))),
        "total": _total(),
    }
    return steps | {f"law {name}": law((), name, {}, {}) for name in LAWS}


def _ranged() -> Theorem:
    """x[j] = x[j]·1 under the hypothesis that j is in its range, which a sum over j discharges."""
    return cut((assumption((), within(j, n)), _padded()))


def _padded() -> Theorem:
    integral = law((assumption((), within(j, n)),), "index_nonnegative", {a: j, n: n}, {})
    shifted = law((integral, law((), "one_positive", {}, {})), "sum_with_nonnegative", {a: ONE, b: j}, {})
    return arithmetic((shifted,), x(j), x(j) * (1 + j) / (1 + j))


def _square(given: Theorem) -> Theorem:
    """δ·δ·δ = δ from δ = 0 or δ = 1."""
    value = delta(a, b)
    cofactor = value * value if given.right is ZERO else value * (value + 1)
    if given.right is ZERO:
        return arithmetic((given,), value * value * value, value, (cofactor - 1,))
    return arithmetic((given,), value * value * value, value, (cofactor,))


def _counted() -> Theorem:
    """Σ 1 over j < n is n, by induction."""
    claim = equation(total(j, n, Num(1)), n)
    ones = {"f": Lambda((j,), Num(1))}
    base = law((), "sum_empty", {}, ones)
    last = law((), "sum_last", {n: n}, ones)
    step = replacement((last, assumption((), claim)), (1, 0))
    return induction((base, step), n, claim)


def _in_range() -> Theorem:
    return cut((assumption((), within(i, n)), reflexivity((), i * j)))


def _total() -> Theorem:
    """exp sums to something positive."""
    each = generalisation((law((), "exp_positive", {a: x(i)}, {}),), ((i, n),))
    return law((each,), "total_positive", {n: n}, {"f": Lambda((i,), exp(x(i)))})


@cache
def handmade_document() -> dict[str, Any]:
    """The document of :func:`handmade`."""
    return proofs(handmade())


def documents() -> Mapping[str, dict[str, Any]]:
    """All documents by name."""
    return {name: document for name, (_, document) in derived().items()} | {"handmade": handmade_document()}
