"""The modular look: both sides of a theorem, exactly, modulo primes. *Sampled*.

What it does: draws sizes, indices, permutations and masks (:mod:`setting`), unrolls the theorem and evaluates both sides in a tower of
prime fields (:mod:`fields`) where exp is a random homomorphism, (cos, sin) one into the circle, and squares stand for positive numbers.
So exp(x + c) = exp(x)·exp(c) is visible, and exp(x + c) ≠ exp(x) too. Derivatives are differentiated forward first (:mod:`slope`): an
exponent is evaluated among the exponents, its derivative among the values, so nothing is ill-typed.

Guarantees: both sides of a statement that does *not* follow from the laws of fields and exp differ as rational functions of the atoms and
units; by Schwartz and Zippel a draw makes two different ones of degree D equal with probability at most D/q, q > 2⁶⁰ the smallest
prime; D is below 2³⁰ here, so a pass that should not be is less likely than 2⁻³⁰ a draw, *for the sizes drawn*. tanh is written with
exp. erf and log stand for arbitrary functions (erf odd): a pass holds for all such functions, a difference says nothing and is
``not_applicable``. Signs are those of squares, for which sums of positive numbers need not be positive: where max, less, a root or a
sign assumed is involved, a difference is a ``fail`` only if every one of many draws has it, else ``unknown``.

Cannot see: other sizes; inequalities as conclusions; equations as hypotheses unless one side is an atom; π in an angle; exp, sin
and cos nested more than three deep.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

from kernelproof.symbolic.looks.evident import Evident
from kernelproof.symbolic.looks.fields import TOWERS, Field
from kernelproof.symbolic.looks.logarithms import opened, without_logarithms_of_atoms
from kernelproof.symbolic.looks.model import Look
from kernelproof.symbolic.looks.nodes import ZERO, Ground, NotSeen, number
from kernelproof.symbolic.looks.problem import Claim, Problem, problem
from kernelproof.symbolic.looks.setting import Rejected, draw
from kernelproof.symbolic.phase import Derivation, Statement

SETTINGS, ATTEMPTS = 4, 40
#: draws of values at one setting until signs are as assumed, and draws that must all differ where signs matter
REDRAWS, WITNESSES = 300, 16
#: more different nodes than this take too long at one setting; after this many together two settings are enough, after twice as many one
LARGEST, ENOUGH = 20000, 3000


def look(derivation: Derivation, statement: Statement, seed: int = 0) -> Look:
    """One theorem at a few settings."""
    done: list[str] = []
    reasons: list[str] = []
    spent = 0
    for attempt in range(ATTEMPTS):
        rng = random.Random(f"modular {seed} {statement.id} {attempt}")
        try:
            setting = draw(derivation, statement, rng, (1, 2, 3) if attempt % 4 == 3 else (2, 3))
            found = opened(without_logarithms_of_atoms(problem(statement, setting).solved()))
            if found.size() > LARGEST:
                raise Rejected(f"{found.size()} nodes")
            verdict, detail = decide(found, rng, attempt)
        except NotSeen as error:
            return Look(statement.id, "modular", "not_applicable", str(error))
        except Rejected as error:
            reasons.append(str(error))
            continue
        if verdict != "pass":
            return Look(statement.id, "modular", verdict, f"{detail} at {found.setting.shown()}")
        done.append(detail)
        spent += found.size()
        if len(done) == SETTINGS or spent > (ENOUGH if len(done) > 1 else 2 * ENOUGH):
            break
    if not done:
        return Look(statement.id, "modular", "not_applicable", f"no draw in {ATTEMPTS} meets the hypotheses: {reasons[-1]}")
    notes = sorted({note for note in done if note})
    return Look(statement.id, "modular", "pass", "; ".join([f"{len(done)} setting{'s' if len(done) > 1 else ''} modulo primes", *notes]))


def decide(found: Problem, rng: random.Random, which: int = 0) -> tuple[str, str]:
    """pass, fail, unknown or not_applicable of a problem without assumed equations."""
    goals = []
    for goal in found.goals:
        known = goal.decided()
        if known is False:
            return "fail", f"{goal.name} does not hold of {goal.terms!r}"
        if known is None and goal.name != "eq":
            raise NotSeen(f"{goal.name} of real values is not seen modulo a prime")
        if known is None:
            goals.append(goal)
    differing, same = 0, 0
    first: Draw | None = None
    towers = TOWERS[which % len(TOWERS)]
    depth = _depth(part for claim in (*found.assumed, *goals) for part in claim.terms)
    if depth >= len(towers):
        raise NotSeen(f"exp, sin and cos are nested {depth} deep")
    for drawn in draws(Problem(found.setting, found.assumed, goals), rng, towers[depth]):
        if all(drawn.equal(goal) for goal in goals):
            if not differing:
                return "pass", drawn.note()
            same += 1
        elif drawn.arbitrary:
            return "not_applicable", f"the sides differ with {drawn.note()}"
        else:
            differing += 1
        first = first or drawn
        if same:
            return "unknown", "the sides differ for some choices of signs only"
        if differing >= (WITNESSES if drawn.signs else 1):
            return "fail", f"the sides differ modulo {drawn.field.prime}"
    if differing:
        return "unknown", "too few draws have the signs assumed"
    raise Rejected(f"no values in {REDRAWS} draws have the signs assumed")


def draws(found: Problem, rng: random.Random, field: Field) -> Iterator[Draw]:
    """Draws of the atoms in which the assumed claims hold and no divisor vanishes by chance."""
    positives = {claim.terms[0] for claim in found.assumed if claim.name == "positive" and claim.terms[0].op == "atom"}
    evident = Evident(found.assumed)
    for _ in range(REDRAWS):
        drawn, other = (Draw(field, rng.getrandbits(64), positives, evident) for _ in range(2))
        try:
            if not all(drawn.meets(claim) for claim in found.assumed):
                continue
            for goal in found.goals:
                drawn.equal(goal)
            if any(other.value(node, place) for node, place in drawn.vanishing):
                continue
        except Redraw:
            continue
        yield drawn


class Redraw(Exception):
    """The signs of a draw are not those of real numbers."""


class Draw:
    """One random value for each atom in each field. ``signs``: a sign was used; ``arbitrary``: functions that stand for any function."""

    def __init__(self, field: Field, seed: int, positives: set[Ground], evident: Evident) -> None:
        self.field, self.seed, self.positives, self.evident = field, seed, positives, evident
        self.signs, self.arbitrary = False, set[str]()
        self.vanishing: set[tuple[Ground, Field]] = set()
        self._known: dict[tuple[Ground, Field], int] = {}
        self._order: dict[tuple[Ground, Ground], int] = {}

    def note(self) -> str:
        """What stands for any function."""
        return f"{' and '.join(sorted(self.arbitrary))} as any (odd) function" if self.arbitrary else ""

    def equal(self, claim: Claim) -> bool:
        """Whether both sides have the same value."""
        if claim.name != "eq":
            return bool(claim.decided())
        left, right = (self.value(part, self.field) for part in claim.terms)
        return left == right

    def meets(self, claim: Claim) -> bool:
        """Whether an assumed claim holds here."""
        value = self.value(claim.terms[0], self.field)
        if claim.name == "nonzero":
            return value != 0
        if claim.name not in ("positive", "nonnegative"):
            raise NotSeen(f"a hypothesis {claim.name} of real values")
        self.signs = self.signs or claim.terms[0] not in self.positives
        return self.field.is_square(value) if value else claim.name == "nonnegative"

    def value(self, node: Ground, field: Field) -> int:
        """The value of a tree in a field."""
        key = (node, field)
        if key not in self._known:
            self._known[key] = self._value(node, field) % field.prime
        return self._known[key]

    def _value(self, node: Ground, field: Field) -> int:
        args = node.args
        match node.op:
            case "const":
                return int(args[0].numerator * field.inverse(args[0].denominator))
            case "atom":
                found = self._random(field, args[0], *(self._place(index, field) for index in args[1:]))
                return found * found if node in self.positives else found
            case "pi":
                return self._random(field, "π") ** 2
            case "add":
                return self.value(args[0], field) + self.value(args[1], field)
            case "mul":
                return self.value(args[0], field) * self.value(args[1], field)
            case "pow":
                return pow(self.value(args[0], field), int(args[1].args[0]), field.prime)
            case "div":
                below = self.value(args[1], field)
                if not below:
                    self.vanishing.add((args[1], field))
                return self.value(args[0], field) * field.inverse(below)
            case "if":
                return self.value(args[1] if self.value(args[0], field) else args[2], field)
            case "delta":
                return int(self.value(args[0], field) == self.value(args[1], field))
            case "less":
                return int(self._sign(args[0], args[1], field) > 0)
            case "max":
                return self._maximum(node, field)
        return self._function(node.op, args[0], field)

    def _function(self, name: str, inside: Ground, field: Field) -> int:
        if name in ("exp", "tanh"):
            assert field.exponents is not None
            power = pow(field.unit(self._random(field, "#unit")), self.value(inside, field.exponents), field.prime)
            return power if name == "exp" else (power * power - 1) * field.inverse(power * power + 1)
        if name in ("sin", "cos"):
            assert field.angles is not None
            if _has_pi(inside):
                raise NotSeen("π in an angle")
            circle = field.point(self._random(field, "#point"))
            return field.turned(circle, self.value(inside, field.angles))[name == "sin"]
        value = self.value(inside, field)
        if name == "sqrt":
            self.signs = True
            if value and not field.is_square(value):
                raise Redraw
            return field.root(value)
        self.arbitrary.add(name)
        if name == "erf" and 2 * value > field.prime:
            return -self._random(field, "#erf", field.prime - value)
        return self._random(field, f"#{name}", value) if value or name != "erf" else 0

    def _maximum(self, node: Ground, field: Field) -> int:
        """The largest: it must be above all others, since squares do not order the field."""
        items, waiting = list[Ground](), [node]
        while waiting:
            one = waiting.pop()
            if one.op == "max":
                waiting += one.args
            else:
                items.append(one)
        for one in items:
            if all(self._sign(other, one, field) >= 0 for other in items):
                return self.value(one, field)
        raise Redraw

    def _sign(self, left: Ground, right: Ground, field: Field) -> int:
        """1 where left < right, −1 where left > right; what is not evident must be the same in all fields, or the draw is none."""
        if (left is ZERO and self.evident.positive(right)) or (right is ZERO and self.evident.positive(left)):
            return 1 if left is ZERO else -1
        self.signs = True
        gap = (self.value(right, field) - self.value(left, field)) % field.prime
        sign = (1 if field.is_square(gap) else -1) if gap else 0
        if self._order.setdefault((left, right), sign) != sign or self._order.setdefault((right, left), -sign) != -sign:
            raise Redraw
        return sign

    def _random(self, field: Field, *key: object) -> int:
        return random.Random(f"{self.seed} {field.name} {key}").randrange(1, field.prime)

    def _place(self, index: Ground, field: Field) -> str:
        known = number(index)
        return str(known) if known is not None else f"~{self.value(index, field)}"


def _depth(nodes: Iterable[Ground]) -> int:
    """How deep exp, tanh, sin and cos are nested."""
    known: dict[Ground, int] = {}

    def depth(node: Ground) -> int:
        if node not in known:
            known[node] = max(map(depth, node.parts), default=0) + (node.op in ("exp", "tanh", "sin", "cos"))
        return known[node]

    return max(map(depth, nodes), default=0)


def _has_pi(node: Ground) -> bool:
    return node is Ground("pi") or any(map(_has_pi, node.parts))


