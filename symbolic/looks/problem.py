"""Problems: a statement at a setting, unrolled: what is assumed, and what is to be seen.

What it does: writes out ``every``, decides what is about integers only, turns derivatives into equations by differentiating
(:mod:`slope`), with the hypotheses about derivatives as the derivatives of tensors. :meth:`Problem.solved` meets assumed equations by
putting one side for an atom.

Guarantees: a problem that comes back states what the theorem states at that setting; a setting at which a hypothesis about integers
fails is :class:`Rejected`. What cannot be stated is :class:`NotSeen`, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product

from kernelproof.symbolic.binding import tensors
from kernelproof.symbolic.core.logic import RESERVED
from kernelproof.symbolic.formulas import Every, Formula
from kernelproof.symbolic.looks.nodes import Ground, NotSeen, atoms, const, number, replaced
from kernelproof.symbolic.looks.setting import Rejected, Setting, formulas_of
from kernelproof.symbolic.looks.slope import Slope
from kernelproof.symbolic.looks.unrolled import Scope
from kernelproof.symbolic.phase import Statement
from kernelproof.symbolic.terms import Term, Var

#: the variable of differentiation; no variable from outside starts with #
ALONG = Ground("atom", "#t")


@dataclass(frozen=True)
class Claim:
    """``eq``, ``positive``, ``nonnegative``, ``nonzero``, ``in`` or ``integer`` of trees."""

    name: str
    terms: tuple[Ground, ...]

    def decided(self) -> bool | None:
        """Whether it holds, where only numbers matter."""
        if self.name == "eq" and self.terms[0] is self.terms[1]:
            return True
        known = [number(part) for part in self.terms]
        values = [value for value in known if value is not None]
        if len(values) < len(known):
            return None
        match self.name:
            case "eq":
                return values[0] == values[1]
            case "positive":
                return values[0] > 0
            case "nonnegative":
                return values[0] >= 0
            case "nonzero":
                return values[0] != 0
            case "in":
                return values[0].denominator == 1 and 0 <= values[0] < values[1]
        return values[0].denominator == 1

    def put(self, values: Mapping[Ground, Ground], known: dict[Ground, Ground]) -> Claim:
        """With trees for atoms."""
        return Claim(self.name, tuple(replaced(part, values, known) for part in self.terms))


@dataclass
class Problem:
    """Assumed claims that are not decided yet, and goals; ``defined`` are atoms for which a tree was put."""

    setting: Setting
    assumed: list[Claim]
    goals: list[Claim]
    defined: dict[Ground, Ground] = field(default_factory=dict)

    def solved(self) -> Problem:
        """The problem without assumed equations: each defines an atom that the other side does not speak of."""
        assumed, goals, defined = list(self.assumed), list(self.goals), dict(self.defined)
        while any(claim.name == "eq" for claim in assumed):
            claim = next((claim for claim in assumed if claim.name == "eq" and _definition(claim)), None)
            if claim is None:
                raise NotSeen("a hypothesis is an equation that no draw meets by construction")
            pair = _definition(claim)
            assert pair is not None
            values = {pair[0]: pair[1]}
            known: dict[Ground, Ground] = {}
            assumed = undecided(other.put(values, known) for other in assumed if other is not claim)
            goals = [goal.put(values, known) for goal in goals]
            defined = {**{atom: replaced(tree, values, known) for atom, tree in defined.items()}, **values}
        return Problem(self.setting, assumed, goals, defined)

    def size(self) -> int:
        """Number of different nodes."""
        seen: set[Ground] = set()
        for claim in (*self.assumed, *self.goals):
            for part in claim.terms:
                atoms(part, seen)
        return len(seen)


def _definition(claim: Claim) -> tuple[Ground, Ground] | None:
    for atom, tree in (claim.terms, claim.terms[::-1]):
        if atom.op == "atom" and atom not in atoms(tree):
            return atom, tree
    return None


def undecided(claims: Iterable[Claim]) -> list[Claim]:
    """Claims less those that hold; Rejected where one does not."""
    left = []
    for claim in claims:
        known = claim.decided()
        if known is False:
            raise Rejected(f"{claim.name} does not hold")
        if known is None:
            left.append(claim)
    return left


def problem(statement: Statement, setting: Setting) -> Problem:
    """The statement at a setting."""
    if any(RESERVED & tensors(formula) for formula in formulas_of(statement)):
        raise NotSeen(f"it speaks of {', '.join(sorted(RESERVED))}, which only an axiom knows")
    scope = Scope.of(setting)
    assumed: list[Claim] = []
    slopes: dict[Ground, dict[Ground, Ground]] = {}
    for formula in statement.theorem.hypotheses:
        for plain, bound in _instances(formula, scope, {}):
            if plain.name == "derivative":
                body, point, slope = _derivative(plain, scope, bound)
                if body.op != "atom" or body is ALONG:
                    raise NotSeen("a hypothesis gives the derivative of what is not one entry of a tensor")
                known = slopes.setdefault(point, {})
                if known.setdefault(body, slope) is not slope:
                    assumed.append(Claim("eq", (known[body], slope)))
            elif plain.name != "permutation":
                assumed.append(Claim(plain.name, tuple(scope.unroll(part, bound) for part in plain.terms)))
    goals = []
    for plain, bound in _instances(statement.theorem.conclusion, scope, {}):
        if plain.name == "derivative":
            body, point, slope = _derivative(plain, scope, bound)
            along = Slope(ALONG, slopes.get(point, {}))
            values, seen = {ALONG: point}, dict[Ground, Ground]()
            goals.append(Claim("eq", (replaced(along.of(body), values, seen), slope)))
            assumed += [Claim(name, (replaced(part, values, seen),)) for name, part in dict.fromkeys(along.conditions)]
        elif plain.name == "permutation":
            raise NotSeen("permutations as a conclusion")
        else:
            goals.append(Claim(plain.name, tuple(scope.unroll(part, bound) for part in plain.terms)))
    real = any(claim.name == "eq" and None in map(number, claim.terms) for claim in assumed)
    if real and all(number(part) is not None for goal in goals for part in goal.terms):
        raise NotSeen("what an equation of real values says of integers is not seen where the integers are fixed")
    return Problem(setting, undecided(dict.fromkeys(assumed)), goals)


def _instances(formula: Formula, scope: Scope, bound: Mapping[Var, Ground]) -> Iterator[tuple[Formula, Mapping[Var, Ground]]]:
    """The formula, with ``every`` written out."""
    if not isinstance(formula, Every):
        yield formula, bound
        return
    lengths = [_length(scope, length, bound) for _, length in formula.over]
    for choice in product(*map(range, lengths)):
        inner = dict(zip((var for var, _ in formula.over), map(const, choice), strict=True))
        yield from _instances(formula.body, scope, {**bound, **inner})


def _length(scope: Scope, length: Term, bound: Mapping[Var, Ground]) -> int:
    known = number(scope.unroll(length, bound))
    if known is None:
        raise NotSeen("a range whose length depends on real values")
    return max(0, -(-known.numerator // known.denominator))


def _derivative(formula: Formula, scope: Scope, bound: Mapping[Var, Ground]) -> tuple[Ground, Ground, Ground]:
    """Body along the variable, point, value."""
    function, point, value = formula.terms
    body = scope.unroll(function.body, {**bound, function.params[0]: ALONG})
    return body, scope.unroll(point, bound), scope.unroll(value, bound)
