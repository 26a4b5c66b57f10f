"""Nodes of unrolled terms: trees without binders over atoms, rational numbers and operations.

What it does: constructors for every operation. Guarantees: equal trees are one object; the only steps of arithmetic are on rational
numbers and with 0 and 1, and they keep the total meaning of :mod:`kernelproof.symbolic.terms` (x/0 = 0, √x = 0 for x < 0). Cannot
see: that different trees have the same value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from math import isqrt
from typing import Any, ClassVar


class NotSeen(Exception):
    """A look cannot see such a statement; the text says why."""


class Ground:
    """A node: ``const`` (a Fraction), ``atom`` (a name, then its indices), or an operation on nodes. Equal nodes are one object."""

    __slots__ = ("args", "op")
    _pool: ClassVar[dict[Any, Ground]] = {}
    op: str
    args: tuple[Any, ...]

    def __new__(cls, op: str, *args: Any) -> Ground:
        found = cls._pool.get((op, args))
        if found is None:
            found = object.__new__(cls)
            found.op, found.args = op, args
            found = cls._pool.setdefault((op, args), found)
        return found

    def __repr__(self) -> str:
        if self.op == "const":
            return str(self.args[0])
        if self.op == "atom":
            return f"{self.args[0]}[{', '.join(map(repr, self.args[1:]))}]" if self.args[1:] else str(self.args[0])
        return f"{self.op}({', '.join(map(repr, self.args))})"

    @property
    def parts(self) -> tuple[Ground, ...]:
        """The nodes below, the indices of an atom among them."""
        return tuple(part for part in self.args if isinstance(part, Ground))


def const(value: Fraction | int) -> Ground:
    """A number."""
    return Ground("const", Fraction(value))


ZERO, ONE = const(0), const(1)


def number(node: Ground) -> Fraction | None:
    """The number that a node is, if it is one."""
    found: Fraction | None = node.args[0] if node.op == "const" else None
    return found


def add(left: Ground, right: Ground) -> Ground:
    """left + right."""
    if left is ZERO or right is ZERO:
        return right if left is ZERO else left
    a, b = number(left), number(right)
    return const(a + b) if a is not None and b is not None else Ground("add", left, right)


def mul(left: Ground, right: Ground) -> Ground:
    """left · right."""
    if left is ZERO or right is ZERO:
        return ZERO
    if left is ONE or right is ONE:
        return right if left is ONE else left
    a, b = number(left), number(right)
    return const(a * b) if a is not None and b is not None else Ground("mul", left, right)


def sub(left: Ground, right: Ground) -> Ground:
    """left − right."""
    return ZERO if left is right else add(left, mul(const(-1), right))


def div(left: Ground, right: Ground) -> Ground:
    """left / right, 0 where right is 0."""
    if left is ZERO or right is ZERO:
        return ZERO
    b = number(right)
    return Ground("div", left, right) if b is None else mul(left, const(1 / b))


def power(base: Ground, exponent: Ground) -> Ground:
    """base to a natural number."""
    times = number(exponent)
    assert times is not None
    a = number(base)
    if times == 0 or a is not None:
        return ONE if times == 0 else const(Fraction(a or 0) ** int(times))
    return base if times == 1 else Ground("pow", base, exponent)


def choose(condition: Ground, then: Ground, other: Ground) -> Ground:
    """``then`` where the condition is not 0, else ``other``."""
    known = number(condition)
    if known is not None or then is other:
        return then if known != 0 else other
    return Ground("if", condition, then, other)


def _sqrt(node: Ground) -> Ground:
    a = number(node)
    if a is not None:
        if a <= 0:
            return ZERO
        top, bottom = isqrt(a.numerator), isqrt(a.denominator)
        if top * top == a.numerator and bottom * bottom == a.denominator:
            return const(Fraction(top, bottom))
    return Ground("sqrt", node)


def _log(node: Ground) -> Ground:
    a = number(node)
    return ZERO if a is not None and (a <= 0 or a == 1) else Ground("log", node)


def maximum(left: Ground, right: Ground) -> Ground:
    """The larger one."""
    a, b = number(left), number(right)
    if left is right:
        return left
    return const(max(a, b)) if a is not None and b is not None else Ground("max", left, right)


def _compare(op: str, same: Ground, holds: Callable[[Fraction, Fraction], bool]) -> Callable[[Ground, Ground], Ground]:
    def make(left: Ground, right: Ground) -> Ground:
        a, b = number(left), number(right)
        if left is right:
            return same
        return const(int(holds(a, b))) if a is not None and b is not None else Ground(op, left, right)

    return make


def _function(op: str, at_zero: Ground) -> Callable[[Ground], Ground]:
    return lambda node: at_zero if node is ZERO else Ground(op, node)


MAKE: Mapping[str, Callable[..., Ground]] = {
    "add": add, "sub": sub, "mul": mul, "div": div, "pow": power, "neg": lambda node: mul(const(-1), node),
    "exp": _function("exp", ONE), "sin": _function("sin", ZERO), "cos": _function("cos", ONE), "tanh": _function("tanh", ZERO),
    "erf": _function("erf", ZERO), "sqrt": _sqrt, "log": _log, "max": maximum, "pi": lambda: Ground("pi"), "if": choose,
    "delta": _compare("delta", ONE, lambda a, b: a == b), "less": _compare("less", ZERO, lambda a, b: a < b),
}


def remade(node: Ground, parts: Iterable[Ground]) -> Ground:
    """The node with other nodes below it."""
    new = list(parts)
    if node.op == "atom":
        return Ground("atom", node.args[0], *new)
    return MAKE[node.op](*new) if node.op in MAKE else node


def replaced(node: Ground, values: Mapping[Ground, Ground], known: dict[Ground, Ground]) -> Ground:
    """Nodes put for atoms, everywhere."""
    if node in values:
        return values[node]
    if node not in known:
        known[node] = remade(node, (replaced(part, values, known) for part in node.parts))
    return known[node]


def atoms(node: Ground, seen: set[Ground] | None = None) -> set[Ground]:
    """The atoms of a tree. ``seen`` collects all its nodes."""
    seen = set() if seen is None else seen
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            waiting += one.parts
    return {one for one in seen if one.op == "atom"}
