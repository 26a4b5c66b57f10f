"""The result of a call by the definition of its phase, in many digits.

What it does: sets the formal parameters of the definition to the arguments of a call (:mod:`formal`, defaults as exact numbers) and
evaluates the *call of the definition*, entry by entry, with the evaluator of :mod:`instance`. Guarantees: neither the kernel form nor
lowering nor a printer is used, so a fault in those shows. Cannot see: a wrong definition; a convention that is wrong in :mod:`formal`
and in the kernel alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import mpmath
import numpy as np

from kernelproof.numeric.evaluation import World, value
from kernelproof.numeric.formal import Formal, alibi, formal, masks, placed
from kernelproof.numeric.reference import assemble
from kernelproof.numeric.rounding import Array
from kernelproof.symbolic.functions import Clause
from kernelproof.symbolic.phase import Derivation
from kernelproof.symbolic.terms import Term, Var

#: defaults that are no floats: what a scalar is where the call leaves it out, from the sizes
DEFAULTS: dict[str, Callable[[Mapping[str, int]], Any]] = {
    "scale": lambda sizes: 1 / mpmath.sqrt(width) if (width := sizes["d"] if "d" in sizes else 2 * sizes["h"]) else mpmath.mpf(1),
    "eps": lambda sizes: mpmath.mpf(1) / 100000,
}


def by_definition(derivation: Derivation, tensors: Mapping[str, Array], options: Mapping[str, Any], digits: int) -> Array:
    """The result as an array of mpmath numbers, of the shape that the kernel's has."""
    given = formal(derivation.phase, derivation.variant, tensors, options)
    with mpmath.workdps(digits):
        scalars, tables = numbers(derivation, given, options)
        axes = {parameter.name: len(parameter.axes) for parameter in derivation.definition.parameters}
        lead = np.broadcast_shapes(*(table.shape[: table.ndim - axes[name]] for name, table in tables.items()))
        full = {name: np.broadcast_to(table, (*lead, *table.shape[table.ndim - axes[name] :])) for name, table in tables.items()}
        parts = [np.empty((*lead, *lengths_of(clausal.clause, scalars)), dtype=object) for clausal in derivation.clauses]
        for at in np.ndindex(lead):
            world = World(0, dict(scalars), {name: entry(table[at]) for name, table in full.items()})
            for clausal, part in zip(derivation.clauses, parts, strict=True):
                fill(part[at], derivation.definition.call({}, *clausal.clause.pattern), clausal.clause, world)
        found = assemble(derivation, parts, given.shape)
        return found if given.undefined is None else np.where(given.undefined, mpmath.nan, found)


def lengths_of(clause: Clause, scalars: Mapping[str, Any]) -> tuple[int, ...]:
    """The lengths of the ranges of a clause, which speak of sizes only."""
    return tuple(int(value(length, World(0, dict(scalars)))) for _, length in clause.ranges)


def fill(part: Array, call: Term, clause: Clause, world: World) -> None:
    """The values of a call of the definition, for all indices of the clause."""
    for at in np.ndindex(part.shape):
        bound: dict[Var, Any] = {var: index for (var, _), index in zip(clause.ranges, at, strict=True)}
        part[at] = value(call, world, bound)


def numbers(derivation: Derivation, given: Formal, options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Array]]:
    """Sizes and scalars by name, and the tensors."""
    scalars: dict[str, Any] = dict(given.sizes)
    tables: dict[str, Array] = {}
    for name, number in given.inputs.items():
        if name == "bias" and derivation.variant.get("alibi"):
            n, m = np.shape(number)[-2:]
            variant = placed(derivation.variant, options)
            tables[name] = masks(options, n, m, variant)[1] + alibi(given.shape[-3], n, m, variant, mpmath.mpf(2))
        elif name == "cap":
            scalars[name] = mpmath.mpf(repr(number))  # the decimal number that the file has
        elif isinstance(number, np.ndarray):
            tables[name] = number
        elif name in DEFAULTS and options.get(name) is None:
            scalars[name] = DEFAULTS[name](given.sizes)
        else:
            scalars[name] = mpmath.mpf(number)
    return scalars, tables


def entry(table: Array) -> Callable[..., Any]:
    """A tensor as a function of indices: numbers as they are, which mpmath takes exactly."""
    if table.dtype.kind == "O":
        return lambda *at: mpmath.mpf(table[at])
    floating = table.dtype.kind not in "iub"
    return lambda *at: mpmath.mpf(float(table[at])) if floating else int(table[at])


def difference(result: Any, expected: Array) -> Any:
    """The largest |result − expected| / (1 + |expected|); infinite where an entry is missing or not finite, or the shapes differ."""
    if tuple(result.shape) != expected.shape:
        return mpmath.inf
    worst = mpmath.mpf(0)
    for got, want in zip(result.reshape(-1).tolist(), expected.reshape(-1).tolist(), strict=True):
        if got is not None and mpmath.isnan(got) and mpmath.isnan(want):
            continue  # where the convention of the variant is NaN
        if got is None or not mpmath.isfinite(got):
            return mpmath.inf
        worst = max(worst, abs(got - want) / (1 + abs(want)))
    return worst


def digits_of(difference: Any, most: int) -> int:
    """How many digits agree, of ``most`` that were computed."""
    if mpmath.isinf(difference):
        return 0
    return most if difference == 0 else max(0, min(most, math.floor(-mpmath.log10(difference))))
