"""Settings: the part of an instance that is made of integers: sizes, indices, permutations, maps, masks.

What it does: reads off the hypotheses, the ranges and the extras of a statement what is an integer in a range, a permutation, or 0 or
1, and draws it. Guarantees: the same seed gives the same setting; ranges and permutations are met by construction. Cannot see: other
hypotheses; who evaluates them throws a setting away that does not meet them (:class:`Rejected`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from kernelproof.symbolic.binding import children
from kernelproof.symbolic.formulas import Every, Formula
from kernelproof.symbolic.phase import Derivation, Statement
from kernelproof.symbolic.terms import Entry, Node, Num, Op, Term, Var

Table = Callable[..., int]
#: with more sizes than this, a mixture is of 1 and 2: the terms of a block grow with the product
FEW = 4


class Rejected(Exception):
    """A draw that does not meet a hypothesis; another may."""


@dataclass
class Setting:
    """Integers for sizes, indices and other integer variables, and tensors of integers as functions."""

    values: dict[Var, int] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)

    def shown(self) -> str:
        """The integers in words."""
        return ", ".join(f"{var.name} = {number}" for var, number in sorted(self.values.items(), key=lambda item: item[0].name))


def formulas_of(statement: Statement) -> tuple[Formula, ...]:
    """Hypotheses and conclusion."""
    return (*statement.theorem.hypotheses, statement.theorem.conclusion)


def inner(formula: Formula) -> Formula:
    """What is said of each index."""
    return inner(formula.body) if isinstance(formula, Every) else formula


def sizes_of(derivation: Derivation, statement: Statement) -> list[Var]:
    """All sizes of a statement and of its phase, by name."""
    found = {parameter.var for parameter in derivation.definition.parameters if parameter.kind == "size"}
    nodes: list[Node] = [*formulas_of(statement), *(length for _, length in statement.over)]
    nodes += [length for extra in statement.extras for length in (*extra.axes, *((extra.bound,) if extra.bound is not None else ()))]
    seen: set[Node] = set()
    while nodes:
        node = nodes.pop()
        if node in seen:
            continue
        seen.add(node)
        if isinstance(node, Var) and node.kind == "size":
            found.add(node)
        nodes += [part for part, _ in children(node)]
    return sorted(found, key=lambda var: var.name)


def draw(derivation: Derivation, statement: Statement, rng: random.Random, lengths: Iterable[int] = (1, 2, 3)) -> Setting:
    """A random setting, each size one of the lengths."""
    setting, choices = Setting(), sorted(lengths)
    sizes = sizes_of(derivation, statement)
    if len(sizes) > FEW:
        choices = [1, 2] if len(choices) > 1 else choices
    for var in sizes:
        setting.values[var] = rng.choice(choices)
    for name, (bound, distinct) in _integer_tables(derivation, statement).items():
        below = length_of(bound, setting.values)
        setting.tables[name] = _permutation(rng, below) if distinct else _table(rng, range(max(1, below)))
    for mask in _indicators(derivation, statement):
        if isinstance(mask, Var):
            setting.values.setdefault(mask, rng.choice((0, 1, 1)))
        else:
            setting.tables[mask] = _table(rng, (0, 1, 1))
    for var, bounds in _ranges(statement).items():
        below = min(length_of(bound, setting.values) for bound in bounds)
        if below < 1:
            raise Rejected(f"no index in the range of {var.name}")
        setting.values[var] = rng.randrange(below)
    for formula in statement.theorem.hypotheses:
        if formula.name == "integer" and isinstance(formula.terms[0], Var) and formula.terms[0] not in setting.values:
            setting.values[formula.terms[0]] = rng.randint(-3, 3)
    return setting


def length_of(value: Term, values: Mapping[Var, int]) -> int:
    """The value of a length: sums, differences and products of sizes and numbers."""
    match value:
        case Num() if value.value.denominator == 1:
            return int(value.value)
        case Var() if value in values:
            return values[value]
        case Op("add", (left, right)):
            return length_of(left, values) + length_of(right, values)
        case Op("sub", (left, right)):
            return length_of(left, values) - length_of(right, values)
        case Op("mul", (left, right)):
            return length_of(left, values) * length_of(right, values)
    raise Rejected(f"a length that is not made of sizes: {value!r}")


def _ranges(statement: Statement) -> dict[Var, list[Term]]:
    """Indices with all the sizes that they are below."""
    found: dict[Var, list[Term]] = {}
    for var, length in statement.over:
        found.setdefault(var, []).append(length)
    for formula in statement.theorem.hypotheses:
        if formula.name == "in" and isinstance(formula.terms[0], Var) and _is_length(formula.terms[1]):
            found.setdefault(formula.terms[0], []).append(formula.terms[1])
    return {var: lengths for var, lengths in found.items() if var.kind == "real"}


def _integer_tables(derivation: Derivation, statement: Statement) -> dict[str, tuple[Term, bool]]:
    """Tensors of integers below a bound, and whether they are permutations."""
    found: dict[str, tuple[Term, bool]] = {}
    for parameter in derivation.definition.parameters:
        if parameter.kind == "index":
            found[parameter.name] = (Var("vocab", "size"), False)
    for extra in statement.extras:
        if extra.kind in ("permutation", "index_map") and extra.bound is not None:
            found[extra.name] = (extra.bound, extra.kind == "permutation")
    for formula in map(inner, statement.theorem.hypotheses):
        if formula.name == "in" and isinstance(formula.terms[0], Entry) and _is_length(formula.terms[1]):
            found.setdefault(formula.terms[0].tensor, (formula.terms[1], False))
    for formula in statement.theorem.hypotheses:
        if formula.tensor is not None:
            found[formula.tensor] = (formula.terms[0], True)
    return found


def _indicators(derivation: Derivation, statement: Statement) -> Iterator[str | Var]:
    """Tensors and variables that are zeros and ones: masks, and what is assumed to be its own square."""
    yield from (parameter.name for parameter in derivation.definition.parameters if parameter.kind == "indicator")
    for formula in map(inner, statement.theorem.hypotheses):
        if formula.name == "eq":
            for value, square in ((formula.left, formula.right), (formula.right, formula.left)):
                if isinstance(value, (Entry, Var)) and square in (value * value, value**2):
                    yield value.tensor if isinstance(value, Entry) else value


def _is_length(value: Term) -> bool:
    return isinstance(value, Num) or (isinstance(value, Var) and value.kind == "size") or (
        isinstance(value, Op) and value.name in ("add", "sub", "mul") and all(map(_is_length, value.args))
    )


def _permutation(rng: random.Random, count: int) -> Table:
    image = list(range(count))
    rng.shuffle(image)
    return lambda index: image[index] if 0 <= index < count else index


def _table(rng: random.Random, choices: Iterable[int]) -> Table:
    seed, values = rng.getrandbits(64), list(choices)

    def entry(*indices: int) -> int:
        return random.Random(f"{seed} {indices}").choice(values)

    return entry
