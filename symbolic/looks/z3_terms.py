"""Unrolled terms as z3 terms over the reals.

What it does: an atom is a real variable. A term is a fraction whose divisors are evidently positive (:mod:`evident`), so that equations
are cross-multiplied; any other division is a variable q with b ≠ 0 → q·b = a, b = 0 → q = 0. exp is a *ground* homomorphism: the
exponent as a polynomial (:mod:`polynomial`), one positive variable for each monomial. sin and cos: one point of the unit circle for each
monomial, and the addition theorems. √t is s ≥ 0 with s² = t, or 0 for t < 0; tanh is written with exp; max, less and delta are
if-then-else. erf and log are one variable for each argument (erf odd).

Guarantees: what holds of these variables for all values holds of the term; no quantifiers. Cannot see: what ties exp(x) to x, sin to its
angle, and erf and log to anything (``arbitrary``): a model may be spurious.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from math import gcd, lcm
from typing import Any

from kernelproof.symbolic.looks.evident import Evident
from kernelproof.symbolic.looks.nodes import ONE, ZERO, Ground, NotSeen, add, atoms, const, div, mul, remade, sub
from kernelproof.symbolic.looks.polynomial import Monomial, Polynomial, polynomial
from kernelproof.symbolic.looks.problem import Claim, Problem

#: how often an angle or exponent is taken at most
MULTIPLES = 12
#: functions whose arguments have units in common
EXP: tuple[str, ...] = ("exp",)
ANGLES: tuple[str, ...] = ("sin", "cos")


@dataclass(frozen=True)
class Quotient:
    """``top`` over the product of positive terms, each named by a key, with its power."""

    top: Any
    below: Mapping[Any, int]


class Translation:
    """z3 terms for the claims of a problem; ``facts`` are what is known of the variables made."""

    def __init__(self, z3: Any, found: Problem) -> None:
        self.z3, self.facts, self.arbitrary = z3, list[Any](), set[str]()
        rewritten: dict[Ground, Ground] = {}
        self.assumed = [_without_tanh(claim, rewritten) for claim in found.assumed]
        self.goals = [_without_tanh(claim, rewritten) for claim in found.goals]
        self.evident = Evident(self.assumed)
        self.variables: dict[Ground, Any] = {}
        self._known: dict[Ground, Quotient] = {}
        self._polynomials: dict[Ground, Polynomial] = {}
        self._divisors: dict[Any, Any] = {}
        self._named: dict[Any, Any] = {}
        self._units = {kind: self._common(kind) for kind in (EXP, ANGLES)}

    def claim(self, claim: Claim) -> Any:
        """A claim as a z3 formula."""
        values = [self.value(part) for part in claim.terms]
        match claim.name:
            case "eq":
                return self._difference(*values) == 0
            case "positive":
                return values[0].top > 0
            case "nonnegative":
                return values[0].top >= 0
            case "nonzero":
                return values[0].top != 0
        if any(value.below for value in values):
            raise NotSeen(f"{claim.name} of a quotient")
        whole = self.z3.IsInt(values[0].top)
        return whole if claim.name == "integer" else self.z3.And(whole, values[0].top >= 0, values[0].top < values[1].top)

    def value(self, node: Ground) -> Quotient:
        """A tree as a quotient."""
        if node not in self._known:
            self._known[node] = self._value(node)
        return self._known[node]

    def _value(self, node: Ground) -> Quotient:
        args = node.args
        match node.op:
            case "const":
                return Quotient(self._rational(args[0]), {})
            case "atom":
                self.variables[node] = self.z3.Real(repr(node))
                return Quotient(self.variables[node], {})
            case "pi":
                low, high = (self._rational(Fraction(hundredths, 100)) for hundredths in (314, 315))
                return Quotient(self._variable("π", lambda pi: [pi > low, pi < high]), {})
            case "add":
                a, b = self.value(args[0]), self.value(args[1])
                common = _least(a.below, b.below)
                return Quotient(self._raised(a, common) + self._raised(b, common), common)
            case "mul":
                return self._times(self.value(args[0]), self.value(args[1]))
            case "pow":
                return reduce(self._times, [self.value(args[0])] * int(args[1].args[0]))
            case "div":
                return self._divided(args[0], args[1])
            case "if":
                return self._chosen(self.value(args[0]).top != 0, args[1], args[2])
            case "max":
                return self._chosen(self._difference(self.value(args[0]), self.value(args[1])) >= 0, args[0], args[1])
            case "delta":
                return self._chosen(self._difference(self.value(args[0]), self.value(args[1])) == 0, ONE, ZERO)
            case "less":
                return self._chosen(self._difference(self.value(args[0]), self.value(args[1])) < 0, ONE, ZERO)
            case "exp":
                return self._exponential(args[0])
            case "sin" | "cos":
                return Quotient(self._angle(args[0])[node.op == "sin"], {})
            case "sqrt":
                return self._root(args[0])
        return self._arbitrary(node)

    def _times(self, a: Quotient, b: Quotient) -> Quotient:
        return Quotient(a.top * b.top, {key: a.below.get(key, 0) + b.below.get(key, 0) for key in (*a.below, *b.below)})

    def _raised(self, value: Quotient, common: Mapping[Any, int]) -> Any:
        """The top of a quotient over a common divisor."""
        factors = [self._divisors[key] for key, times in common.items() for _ in range(times - value.below.get(key, 0))]
        return reduce(lambda a, b: a * b, factors, value.top)

    def _difference(self, a: Quotient, b: Quotient) -> Any:
        """Has the sign of a − b."""
        common = _least(a.below, b.below)
        return self._raised(a, common) - self._raised(b, common)

    def _divided(self, top: Ground, bottom: Ground) -> Quotient:
        a, b = self.value(top), self.value(bottom)
        if self.evident.positive(bottom):
            self._divisors[bottom] = b.top
            flipped = Quotient(self._raised(Quotient(self._rational(Fraction(1)), {}), b.below), {bottom: 1})
            return self._times(a, flipped)
        common = _least(a.below, b.below)
        left, right = self._raised(a, common), self._raised(b, common)
        made = self._variable(
            ("/", top, bottom), lambda q: [self.z3.Implies(right != 0, q * right == left), self.z3.Implies(right == 0, q == 0)]
        )
        return Quotient(made, {})

    def _chosen(self, condition: Any, then: Ground, other: Ground) -> Quotient:
        a, b = self.value(then), self.value(other)
        common = _least(a.below, b.below)
        return Quotient(self.z3.If(condition, self._raised(a, common), self._raised(b, common)), common)

    def _exponential(self, exponent: Ground) -> Quotient:
        top: Any = self._rational(Fraction(1))
        below: dict[Any, int] = {}
        for monomial, factor in self._polynomial(exponent).items():
            times = self._multiple(EXP, monomial, factor)
            unit = self._unit(monomial)
            if times < 0:
                self._divisors[("exp", monomial)] = unit
                below[("exp", monomial)] = -times
            for _ in range(times):
                top = top * unit
        return Quotient(top, below)

    def _unit(self, monomial: Monomial) -> Any:
        """exp of the unit of a monomial."""
        return self._variable(("exp", monomial), lambda e: [e > 0, *self._logarithm(e, monomial)])

    def _logarithm(self, unit: Any, monomial: Monomial) -> list[Any]:
        """exp(log a) = a for a > 0, and 1 otherwise; the unit is a power or a root of it."""
        times = 1 / self._units[EXP][monomial]
        if len(monomial) != 1 or monomial[0][1] != 1 or monomial[0][0].op != "log" or times.denominator != 1 or times > MULTIPLES:
            return []
        a = self.value(monomial[0][0].args[0])
        whole = self._raised(Quotient(self._rational(Fraction(1)), {}), a.below)
        raised = reduce(lambda x, y: x * y, [unit] * int(times))
        return [self.z3.If(a.top > 0, raised * whole == a.top, unit == 1)]

    def _angle(self, angle: Ground) -> tuple[Any, Any]:
        """Cosine and sine by the addition theorems."""
        result: tuple[Any, Any] = (self._rational(Fraction(1)), self._rational(Fraction(0)))
        for monomial, factor in self._polynomial(angle).items():
            if any(atom is Ground("pi") for atom, _ in monomial):
                raise NotSeen("π in an angle")
            times = self._multiple(ANGLES, monomial, factor)
            c, s = self._point(monomial)
            s = s if times > 0 else -s
            for _ in range(abs(times)):
                result = (result[0] * c - result[1] * s, result[0] * s + result[1] * c)
        return result

    def _point(self, monomial: Monomial) -> tuple[Any, Any]:
        """Cosine and sine of the unit of a monomial."""
        s = self._variable(("sin", monomial))
        return self._variable(("cos", monomial), lambda c: [c * c + s * s == 1]), s

    def _root(self, inside: Ground) -> Quotient:
        t = self.value(inside)
        whole = self._raised(Quotient(self._rational(Fraction(1)), {}), t.below)

        def facts(root: Any) -> list[Any]:
            squared = root * root * whole == t.top
            if self.evident.positive(inside):
                return [root > 0, squared]
            return [root >= 0, self.z3.If(t.top >= 0, squared, root == 0)]

        return Quotient(self._variable(("√", inside), facts), {})

    def _arbitrary(self, node: Ground) -> Quotient:
        self.arbitrary.add(node.op)
        key = self._polynomial(node.args[0])
        form = tuple(sorted(key.items(), key=lambda item: [(id(atom), times) for atom, times in item[0]]))
        if node.op == "erf" and form and form[0][1] < 0:
            return Quotient(-self._variable((node.op, tuple((monomial, -factor) for monomial, factor in form))), {})
        return Quotient(self._variable((node.op, form)), {})

    def _variable(self, key: Any, facts: Callable[[Any], list[Any]] = lambda _: []) -> Any:
        if key not in self._named:
            self._named[key] = self.z3.Real(f"v{len(self._named)}")
            self.facts += facts(self._named[key])
        return self._named[key]

    def _rational(self, value: Fraction) -> Any:
        return self.z3.RatVal(value.numerator, value.denominator)

    def _polynomial(self, node: Ground) -> Polynomial:
        return polynomial(node, self._polynomials)

    def _multiple(self, kind: tuple[str, ...], monomial: Monomial, factor: Fraction) -> int:
        """How often the unit of a monomial is taken."""
        times = factor / self._units[kind][monomial]
        if abs(times) > MULTIPLES:
            raise NotSeen(f"{kind[0]} of something taken {times} times")
        return int(times)

    def _common(self, names: tuple[str, ...]) -> dict[Monomial, Fraction]:
        """For each monomial of the arguments of some functions, the largest number of which all its factors are multiples."""
        seen: set[Ground] = set()
        for claim in (*self.assumed, *self.goals):
            for part in claim.terms:
                atoms(part, seen)
        found: dict[Monomial, Fraction] = {}
        for node in seen:
            if node.op in names:
                for monomial, factor in self._polynomial(node.args[0]).items():
                    known = found.get(monomial, factor)
                    below = lcm(known.denominator, factor.denominator)
                    found[monomial] = Fraction(gcd(int(known * below), int(factor * below)), below)
        return found


def _least(a: Mapping[Any, int], b: Mapping[Any, int]) -> dict[Any, int]:
    """The least common divisor."""
    return {key: max(a.get(key, 0), b.get(key, 0)) for key in (*a, *b)}


def _without_tanh(claim: Claim, known: dict[Ground, Ground]) -> Claim:
    return Claim(claim.name, tuple(_rewritten(part, known) for part in claim.terms))


def _rewritten(node: Ground, known: dict[Ground, Ground]) -> Ground:
    """tanh x as (exp(2x) − 1) / (exp(2x) + 1)."""
    if node not in known:
        parts: Iterable[Ground] = (_rewritten(part, known) for part in node.parts)
        made = remade(node, parts) if node.parts else node
        if made.op == "tanh":
            power = Ground("exp", mul(const(2), made.args[0]))
            made = div(sub(power, ONE), add(power, ONE))
        known[node] = made
    return known[node]
