"""Signs that are evident from the form of an unrolled term.

What it does: a sum of positive and non-negative trees is positive, and so on; what is assumed positive or non-negative counts.
Guarantees: an evident sign is right for all real values at which the assumptions hold. Cannot see: signs that need an argument.
"""

from __future__ import annotations

from collections.abc import Collection

from kernelproof.symbolic.looks.nodes import Ground, number
from kernelproof.symbolic.looks.problem import Claim


class Evident:
    """Evident signs under assumed claims."""

    def __init__(self, assumed: Collection[Claim] = ()) -> None:
        self._positive: dict[Ground, bool] = {}
        self._nonnegative: dict[Ground, bool] = {}
        self._nonzero = {claim.terms[0] for claim in assumed if claim.name == "nonzero"}
        for claim in assumed:
            if claim.name == "positive":
                self._positive[claim.terms[0]] = True
            elif claim.name == "nonnegative":
                self._nonnegative[claim.terms[0]] = True

    def positive(self, node: Ground) -> bool:
        """Whether it is evidently above 0."""
        if node not in self._positive:
            self._positive[node] = self._is_positive(node)
        return self._positive[node]

    def nonzero(self, node: Ground) -> bool:
        """Whether it is evidently not 0."""
        return node in self._nonzero or self.positive(node)

    def nonnegative(self, node: Ground) -> bool:
        """Whether it is evidently not below 0."""
        if node not in self._nonnegative:
            self._nonnegative[node] = self.positive(node) or self._is_nonnegative(node)
        return self._nonnegative[node]

    def _is_positive(self, node: Ground) -> bool:
        known = number(node)
        if known is not None:
            return known > 0
        match node.op:
            case "exp" | "pi":
                return True
            case "add":
                a, b = node.args
                return (self.positive(a) and self.nonnegative(b)) or (self.nonnegative(a) and self.positive(b))
            case "mul" | "div":
                return all(map(self.positive, node.args))
            case "pow" | "sqrt":
                return self.positive(node.args[0])
            case "if":
                return all(map(self.positive, node.args[1:]))
            case "max":
                return any(map(self.positive, node.args))
        return False

    def _is_nonnegative(self, node: Ground) -> bool:
        known = number(node)
        if known is not None:
            return known >= 0
        match node.op:
            case "sqrt" | "less" | "delta":
                return True
            case "add" | "div":
                return all(map(self.nonnegative, node.args))
            case "mul":
                return node.args[0] is node.args[1] or all(map(self.nonnegative, node.args))
            case "pow":
                return int(node.args[1].args[0]) % 2 == 0 or self.nonnegative(node.args[0])
            case "if":
                return all(map(self.nonnegative, node.args[1:]))
            case "max":
                return any(map(self.nonnegative, node.args))
        return False
