"""Exact arithmetic of rational functions with exponentials, in a normal form.

What it does: a :class:`Field` knows atoms (numbers 0, 1, 2, …, about which it knows nothing) and *units* (inverses of polynomials that
are known not to be zero). A polynomial maps monomials to rational coefficients; a monomial is a product of powers of atoms and
units and of one exponential, whose exponent is again a polynomial: exp(a)·exp(b) is exp(a + b) by construction.

Guarantees: :meth:`Field.vanishes` answers yes only if the value is 0 whatever the atoms are, as long as what was inverted is not 0.
Units are cleared by multiplying with their polynomial, which loses nothing. Exponentials of different exponents are independent, so
the coefficients of each must vanish; exponents are compared by the same test.

Cannot see: relations between atoms. Work is limited (:data:`MOST_PRODUCTS`, :data:`MOST_BITS`): beyond, the answer is an error.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from .errors import CheckError

#: ((atom, power), …) in order of atoms; then the exponent as ((monomial, coefficient), …) in order of monomials
Monomial = tuple[tuple[tuple[int, int], ...], tuple[Any, ...]]
Polynomial = dict[Monomial, Fraction]

ONE: Monomial = ((), ())
MOST_PRODUCTS = 3_000_000
MOST_BITS = 50_000


def constant(value: Fraction | int) -> Polynomial:
    """A number."""
    return {ONE: Fraction(value)} if value else {}


def total(parts: Iterable[tuple[Polynomial, Fraction | int]]) -> Polynomial:
    """A linear combination."""
    result: Polynomial = {}
    for part, factor in parts:
        for monomial, coefficient in part.items():
            result[monomial] = result.get(monomial, Fraction(0)) + factor * coefficient
    return {monomial: _bounded(coefficient) for monomial, coefficient in result.items() if coefficient}


def add(left: Polynomial, right: Polynomial) -> Polynomial:
    """left + right."""
    return total(((left, 1), (right, 1)))


def subtract(left: Polynomial, right: Polynomial) -> Polynomial:
    """left − right."""
    return total(((left, 1), (right, -1)))


def negative(value: Polynomial) -> Polynomial:
    """−value."""
    return {monomial: -coefficient for monomial, coefficient in value.items()}


def exponential(exponent: Polynomial) -> Polynomial:
    """exp of a polynomial."""
    return {((), _frozen(exponent)): Fraction(1)}


def _frozen(value: Polynomial) -> tuple[Any, ...]:
    return tuple(sorted(value.items()))


def _bounded(value: Fraction) -> Fraction:
    if value.numerator.bit_length() + value.denominator.bit_length() > MOST_BITS:
        raise CheckError("arithmetic: a number grew beyond all bounds")
    return value


def _times(left: Monomial, right: Monomial, power: int = 1) -> Monomial:
    """left · right^power."""
    powers = dict(left[0])
    for atom, times in right[0]:
        powers[atom] = powers.get(atom, 0) + power * times
    exponent = left[1]
    if right[1]:
        exponent = _frozen(total(((dict(left[1]), 1), (dict(right[1]), power))))
    return tuple(sorted((atom, times) for atom, times in powers.items() if times)), exponent


class Field:
    """Atoms, units and the operations that need to know them."""

    def __init__(self) -> None:
        self._atoms: dict[object, int] = {}
        #: unit -> the polynomial that it is; its powers are negative where it was divided by
        self._units: dict[int, Polynomial] = {}
        self._products = 0

    def atom(self, key: object) -> Polynomial:
        """What is not arithmetic: the same key, the same atom."""
        return {(((self._number(key), 1),), ()): Fraction(1)}

    def _number(self, key: object) -> int:
        return self._atoms.setdefault(key, len(self._atoms))

    def multiply(self, left: Polynomial, right: Polynomial) -> Polynomial:
        """left · right."""
        self._products += len(left) * len(right)
        if self._products > MOST_PRODUCTS:
            raise CheckError("arithmetic: the polynomials grew beyond all bounds")
        result: Polynomial = {}
        for one, first in left.items():
            for two, second in right.items():
                monomial = _times(one, two)
                result[monomial] = result.get(monomial, Fraction(0)) + first * second
        return {monomial: _bounded(coefficient) for monomial, coefficient in result.items() if coefficient}

    def power(self, value: Polynomial, exponent: int) -> Polynomial:
        """value^exponent for a natural exponent; the empty product is 1."""
        if exponent == 0 or not value:
            return constant(0 if exponent else 1)
        if len(value) == 1:
            ((monomial, coefficient),) = value.items()
            if exponent * (coefficient.numerator.bit_length() + coefficient.denominator.bit_length()) > MOST_BITS and abs(coefficient) != 1:
                raise CheckError("arithmetic: a number grew beyond all bounds")
            # (±1)^exponent is the power of its parity
            sign = coefficient ** (exponent % 2 if abs(coefficient) == 1 else exponent)
            return {_times(ONE, monomial, exponent): sign}
        if exponent > MOST_PRODUCTS:
            raise CheckError("arithmetic: the polynomials grew beyond all bounds")
        result = value
        for _ in range(exponent - 1):
            result = self.multiply(result, value)
        return result

    def inverse(self, value: Polynomial) -> Polynomial:
        """1/value for what is known not to be 0, so that no factor of it is 0 either."""
        if self.vanishes(value):
            raise CheckError("arithmetic: a premise says that 0 is not 0")
        if len(value) == 1:
            ((monomial, coefficient),) = value.items()
            return {_times(ONE, monomial, -1): 1 / coefficient}
        unit = self._number(("unit", _frozen(value)))
        self._units[unit] = value
        return {(((unit, -1),), ()): Fraction(1)}

    def vanishes(self, value: Polynomial) -> bool:
        """Whether the value is 0 for all values of the atoms."""
        cleared = self._without_units(value)
        classes: list[tuple[tuple[Any, ...], Polynomial]] = []
        for (powers, exponent), coefficient in cleared.items():
            for known, members in classes:
                if known == exponent or self.vanishes(subtract(dict(known), dict(exponent))):
                    members[(powers, ())] = members.get((powers, ()), Fraction(0)) + coefficient
                    break
            else:
                classes.append((exponent, {(powers, ()): coefficient}))
        return not any(coefficient for _, members in classes for coefficient in members.values())

    def _without_units(self, value: Polynomial) -> Polynomial:
        """The value times powers of units, with the polynomials of units put in: zero where the value is, and only there."""
        while True:
            # a unit speaks of atoms and units that were there before it: take the last one first
            unit = max((atom for powers, _ in value for atom, _ in powers if atom in self._units), default=None)
            if unit is None:
                return value
            lowest = min(min((times for atom, times in powers if atom == unit), default=0) for powers, _ in value)
            by_power: dict[int, Polynomial] = {}
            for (powers, exponent), coefficient in value.items():
                times = dict(powers).get(unit, 0)
                rest = (tuple(pair for pair in powers if pair[0] != unit), exponent)
                by_power.setdefault(times - min(lowest, 0), {})[rest] = coefficient
            value = total((self.multiply(part, self.power(self._units[unit], times)), 1) for times, part in by_power.items())
