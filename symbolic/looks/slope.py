"""Derivatives of unrolled terms, in one real variable.

What it does: forward differentiation of a tree by the rules of calculus, the variable standing as an atom; what hypotheses say of the
derivatives of tensors along it is looked up. Guarantees: none of the core's laws is used. Where a rule holds only at some points, the
condition is collected (``conditions``): the tree is differentiable with that derivative where all of them hold. Cannot see: functions
whose derivative no hypothesis gives, ``delta`` and indices that depend on the variable (:class:`NotSeen`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kernelproof.symbolic.looks.nodes import ONE, ZERO, Ground, NotSeen, add, choose, const, div, mul, number, power, sub

TWO = const(2)


@dataclass
class Slope:
    """Derivatives along the atom ``along``; ``given`` are the derivatives of atoms that depend on it."""

    along: Ground
    given: Mapping[Ground, Ground]
    conditions: list[tuple[str, Ground]] = field(default_factory=list)
    _known: dict[Ground, Ground] = field(default_factory=dict)
    _depends: dict[Ground, bool] = field(default_factory=dict)

    def of(self, node: Ground) -> Ground:
        """The derivative of a tree."""
        if node not in self._known:
            self._known[node] = self._of(node) if self.depends(node) else ZERO
        return self._known[node]

    def depends(self, node: Ground) -> bool:
        """Whether the variable occurs in a tree."""
        if node not in self._depends:
            self._depends[node] = node is self.along or any(map(self.depends, node.parts))
        return self._depends[node]

    def _of(self, node: Ground) -> Ground:
        if node is self.along:
            return ONE
        if node in self.given:
            return self.given[node]
        match node.op:
            case "add":
                return add(self.of(node.args[0]), self.of(node.args[1]))
            case "mul":
                a, b = node.args
                return add(mul(self.of(a), b), mul(a, self.of(b)))
            case "div":
                return self._quotient(*node.args)
            case "pow":
                base, exponent = node.args
                times = number(exponent)
                assert times is not None
                return mul(mul(exponent, power(base, const(times - 1))), self.of(base))
            case "if":
                condition, then, other = node.args
                if not self.depends(condition):
                    return choose(condition, self.of(then), self.of(other))
            case "max":
                a, b = node.args
                self.conditions.append(("nonzero", sub(a, b)))
                return choose(Ground("less", a, b), self.of(b), self.of(a))
            case "less":
                self.conditions.append(("nonzero", sub(*node.args)))
                return ZERO
        if len(node.args) == 1 and node.op != "atom":
            return mul(self._outer(node), self.of(node.args[0]))
        raise NotSeen(f"nothing is known of the derivative of {node.args[0] if node.op == 'atom' else node.op}")

    def _quotient(self, top: Ground, bottom: Ground) -> Ground:
        if not self.depends(bottom):
            return div(self.of(top), bottom)
        self.conditions.append(("nonzero", bottom))
        return div(sub(self.of(top), mul(div(top, bottom), self.of(bottom))), bottom)

    def _outer(self, node: Ground) -> Ground:
        """The derivative of a function of one argument, at the argument."""
        (inside,) = node.args
        match node.op:
            case "exp":
                return node
            case "sin":
                return Ground("cos", inside)
            case "cos":
                return mul(const(-1), Ground("sin", inside))
            case "tanh":
                return sub(ONE, power(node, TWO))
            case "erf":
                return mul(div(TWO, Ground("sqrt", Ground("pi"))), Ground("exp", mul(const(-1), power(inside, TWO))))
            case "log":
                self.conditions.append(("positive", inside))
                return div(ONE, inside)
            case "sqrt":
                self.conditions.append(("positive", inside))
                return div(ONE, mul(TWO, node))
        raise NotSeen(f"nothing is known of the derivative of {node.op}")
