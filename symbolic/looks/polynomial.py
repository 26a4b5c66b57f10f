"""Unrolled terms as polynomials over atoms: the normal form of exponents and angles.

What it does: multiplies out sums and products; everything else is an atom of the polynomial, a/b being a times the atom 1/b, and
roots of numbers are squared. Guarantees: terms with the same polynomial are equal for all values (1/0 = 0 included). Cannot see: that
different atoms have the same value; a term with more than :data:`LONGEST` monomials is one atom.
"""

from __future__ import annotations

from fractions import Fraction

from kernelproof.symbolic.looks.nodes import ONE, Ground, number

#: factors with their powers, in order; () is 1
Monomial = tuple[tuple[Ground, int], ...]
Polynomial = dict[Monomial, Fraction]
LONGEST = 300


def polynomial(node: Ground, known: dict[Ground, Polynomial]) -> Polynomial:
    """The polynomial of a tree."""
    if node not in known:
        try:
            known[node] = _polynomial(node, known)
        except _TooLong:
            known[node] = _atom(node)
    return known[node]


def _polynomial(node: Ground, known: dict[Ground, Polynomial]) -> Polynomial:
    value = number(node)
    if value is not None:
        return {(): value} if value else {}
    match node.op:
        case "add":
            return _sum(*(polynomial(part, known) for part in node.args))
        case "mul":
            return _product(*(polynomial(part, known) for part in node.args))
        case "div" if node.args[1].op == "sqrt" and number(node.args[1].args[0]) is not None:
            root = node.args[1]  # of a positive number: others are 0
            return _product(polynomial(node.args[0], known), {((root, 1),): 1 / _radicand(root)})
        case "div" if node.args[0] is not ONE:
            return _product(polynomial(node.args[0], known), _atom(Ground("div", ONE, node.args[1])))
        case "pow":
            result: Polynomial = {(): Fraction(1)}
            for _ in range(int(node.args[1].args[0])):
                result = _product(result, polynomial(node.args[0], known))
            return result
    return _atom(node)


class _TooLong(Exception):
    """A product with too many monomials."""


def _radicand(root: Ground) -> Fraction:
    inside = number(root.args[0])
    assert inside is not None and inside > 0
    return inside


def _atom(node: Ground) -> Polynomial:
    return {((node, 1),): Fraction(1)}


def _sum(left: Polynomial, right: Polynomial) -> Polynomial:
    result = dict(left)
    for monomial, factor in right.items():
        result[monomial] = result.get(monomial, Fraction(0)) + factor
    return {monomial: factor for monomial, factor in result.items() if factor}


def _product(left: Polynomial, right: Polynomial) -> Polynomial:
    if len(left) * len(right) > LONGEST:
        raise _TooLong
    result: Polynomial = {}
    for one, a in left.items():
        for two, b in right.items():
            powers: dict[Ground, int] = dict(one)
            for atom, times in two:
                powers[atom] = powers.get(atom, 0) + times
            factor = a * b
            for atom in [atom for atom in powers if atom.op == "sqrt" and number(atom.args[0]) is not None]:
                factor *= _radicand(atom) ** (powers[atom] // 2)
                powers[atom] %= 2
            monomial = tuple(sorted(((atom, times) for atom, times in powers.items() if times), key=lambda item: id(item[0])))
            result[monomial] = result.get(monomial, Fraction(0)) + factor
    return {monomial: factor for monomial, factor in result.items() if factor}
