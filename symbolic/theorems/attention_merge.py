"""The online state of a row, (seen, m, l, o), and its merge: associative, with an empty state.

Source: Milakov and Gimelshein, arXiv:1805.02867.
A block of keys has ``seen`` = 1 where it has an allowed key, the maximum m of the allowed scores, ``l = Σ allow·exp(s − m)`` and
``o = Σ allow·exp(s − m)·v``. There is no −∞ here: a block without an allowed key is the explicit empty state (0, 0, 0, 0), which merges as
the neutral element.
"""

from __future__ import annotations

from functools import cache
from itertools import product

from kernelproof.symbolic.core.algebra import arithmetic
from kernelproof.symbolic.core.definitions import define
from kernelproof.symbolic.core.logic import assumption, cases, symmetry
from kernelproof.symbolic.core.theorem import Theorem
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import equation
from kernelproof.symbolic.functions import Clause, Definition, Parameter
from kernelproof.symbolic.phase import Options, Statement
from kernelproof.symbolic.tactics.rewriting import (
    Conversion,
    by_arithmetic,
    everywhere,
    in_order,
    rewriting,
    then,
    tried,
    unfold,
    use,
)
from kernelproof.symbolic.terms import ONE, ZERO, Num, Op, Term, Var, exp, variables

STATES = [variables(f"seen{k} m{k} l{k} o{k}") for k in (1, 2, 3)]
ROW = "a statement about a row's running state, which kernels do not return"


def merged_shift(one: tuple[Term, ...], two: tuple[Term, ...]) -> Term:
    """The larger of the two maxima that exist."""
    (c1, m1, *_), (c2, m2, *_) = one, two
    return c1 * c2 * Op("max", m1, m2) + c1 * (1 - c2) * m1 + (1 - c1) * c2 * m2


def _merging(part: str, places: tuple[int, ...], body: Term, meaning: str) -> Definition:
    """A part of the merged state, from the parts of both that it needs."""
    parameters = tuple(Parameter(state[place].name, meaning="part of a state") for state in STATES[:2] for place in places)
    return define(Definition(f"merged_{part}", parameters, (Clause((), (), body),), meaning=meaning))


SEEN = _merging("seen", (0,), STATES[0][0] + STATES[1][0] - STATES[0][0] * STATES[1][0], "1 where either has an allowed key")
SHIFT = _merging("m", (0, 1), merged_shift(STATES[0], STATES[1]), "the larger of the maxima that exist")


def _rescaled(place: int) -> Term:
    shift = SHIFT.call({})
    return STATES[0][place] * exp(STATES[0][1] - shift) + STATES[1][place] * exp(STATES[1][1] - shift)


SUM = _merging("l", (0, 1, 2), _rescaled(2), "rescaled sums")
OUTPUT = _merging("o", (0, 1, 3), _rescaled(3), "rescaled outputs")
MERGE = (SEEN, SHIFT, SUM, OUTPUT)
OPEN = in_order(*(tried(everywhere(unfold(part.name))) for part in (OUTPUT, SUM, SHIFT, SEEN)))


def merge(one: tuple[Term, ...], two: tuple[Term, ...]) -> tuple[Term, ...]:
    """The merge of two states, as calls."""
    given = {var.name: value for state, values in zip(STATES, (one, two), strict=False) for var, value in zip(state, values, strict=True)}
    return tuple(part.call({p.name: given[p.name] for p in part.parameters}) for part in MERGE)


def indicator(flag: Var) -> Theorem:
    """flag·flag = flag, assumed."""
    return assumption((), equation(flag * flag, flag))


@cache
def shift_associative() -> Theorem:
    """seen flags are 0 or 1 ⊢ the shift of (1 ⊕ 2) ⊕ 3 is that of 1 ⊕ (2 ⊕ 3)."""
    one, two, three = STATES
    left, right = merge(merge(one, two), three)[1], merge(one, merge(two, three))[1]
    opened = [OPEN(side) for side in (left, right)]
    flags = [state[0] for state in STATES]

    def at(values: tuple[int, ...]) -> Theorem:
        """The equation with these flags assumed."""
        known = [assumption((), equation(flag, value)) for flag, value in zip(flags, values, strict=True)]
        put = in_order(*(tried(everywhere(rewriting(given))) for given in known))
        sides = [put(side.right) for side in opened]
        plain = [in_order(tried(everywhere(_known_maximum)))(side.right) for side in sides]
        grouped = [then(side, more) for side, more in zip(sides, plain, strict=True)]
        turned = tried(everywhere(_associated))(grouped[0].right)
        return then(grouped[0], turned, arithmetic((), turned.right, grouped[1].right), symmetry((grouped[1],)))

    def split(values: tuple[int, ...]) -> Theorem:
        if len(values) == len(flags):
            return at(values)
        return cases((indicator(flags[len(values)]), split((*values, 0)), split((*values, 1))))

    return then(opened[0], split(()), symmetry((opened[1],)))


def _known_maximum(value: Term) -> Theorem:
    """Arithmetic between known numbers and inside max, done where it makes the term shorter."""
    short = _short(value)
    if short is value:
        raise ProofError("nothing to shorten")
    return arithmetic((), value, short)


def _short(value: Term) -> Term:
    """0·x = 0, 1·x = x, x + 0 = x, at the root."""
    if isinstance(value, Op) and value.name in ("add", "sub", "mul"):
        one, two = value.args
        if isinstance(one, Num) and isinstance(two, Num):
            left, right = one.value, two.value
            return Num({"add": left + right, "sub": left - right, "mul": left * right}[value.name])
        if value.name == "mul" and ZERO in value.args:
            return ZERO
        if value.name == "mul" and ONE in value.args:
            return two if one is ONE else one
        if value.name == "add" and ZERO in value.args:
            return two if one is ZERO else one
        if value.name == "sub" and two is ZERO:
            return one
    return value


def _associated(value: Term) -> Theorem:
    """max(max(x, y), z) = max(x, max(y, z)), at the root."""
    if isinstance(value, Op) and value.name == "max" and isinstance(value.args[0], Op) and value.args[0].name == "max":
        x, y = value.args[0].args
        return use("maximum_associative", a=x, b=y, c=value.args[1])
    raise ProofError("not a maximum of a maximum")


def merge_associative(place: int) -> Theorem:
    """seen flags are 0 or 1 ⊢ (1 ⊕ 2) ⊕ 3 = 1 ⊕ (2 ⊕ 3), in one part of the state."""
    one, two, three = STATES
    left, right = merge(merge(one, two), three)[place], merge(one, merge(two, three))[place]
    if place == 1:
        return shift_associative()
    if place == 0:
        opened = [OPEN(side) for side in (left, right)]
        return then(opened[0], arithmetic((), opened[0].right, opened[1].right), symmetry((opened[1],)))
    name = MERGE[place].name
    unfolded = in_order(tried(everywhere(unfold(name))))
    same = shift_associative()
    sides = [unfolded(side) for side in (left, right)]
    turned = everywhere(rewriting(same))(sides[0].right)
    return then(sides[0], turned, arithmetic((), turned.right, sides[1].right), symmetry((sides[1],)))


def neutral(first_empty: bool, place: int) -> Theorem:
    """seen = 1 ⊢ a state merged with the empty one is itself, from either side."""
    state, empty = STATES[0], (ZERO,) * 4
    start = (merge(empty, state) if first_empty else merge(state, empty))[place]
    known = assumption((), equation(state[0], ONE))
    return in_order(OPEN, tried(everywhere(rewriting(known))), _to(state[place], known))(start)


def _to(target: Term, known: Theorem) -> Conversion:
    """By arithmetic, or for the flag itself by what is known of it."""
    return in_order(by_arithmetic(ONE), rewriting(symmetry((known,)))) if target is known.left else by_arithmetic(target)


def empties() -> Theorem:
    """⊢ empty ⊕ empty is empty: its l, and likewise its o."""
    return in_order(OPEN, lambda value: arithmetic((), value, ZERO))(merge((ZERO,) * 4, (ZERO,) * 4)[2])


def statements(variant: Options) -> tuple[Statement, ...]:
    """Theorems about the merge."""
    parts = ("seen", "m", "l", "o")
    made = [
        Statement(
            f"attention.merge_associative_{part}", f"The merge of states is associative: {part}", merge_associative(place), untested=ROW
        )
        for place, part in enumerate(parts)
    ]
    for (side, first_empty), place in product((("right", False), ("left", True)), range(4)):
        title = f"The empty state is neutral from the {side}: {parts[place]}"
        made.append(Statement(f"attention.empty_{side}_{parts[place]}", title, neutral(first_empty, place), untested=ROW))
    made.append(Statement("attention.empty_with_empty", "Two empty states merge to an empty one", empties(), untested=ROW))
    return tuple(made)
