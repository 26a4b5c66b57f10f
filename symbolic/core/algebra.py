"""Field arithmetic: when is a − b = 0 for all values of the atoms?

What it does: turns a term into a SymPy expression over plain commuting symbols, one for each subterm that is not arithmetic
(equal up to bound names, same symbol), and asks SymPy to expand. Exponentials become SymPy exponentials of such expressions, so
exp(a + b) = exp(a)·exp(b) is built in.

Guarantees: a division by t becomes t**-1 only if t ≠ 0 was handed in; otherwise the inverse of t is a symbol of its own, about
which nothing is known. So nothing cancels without a premise. SymPy sees no sums, indices, functions or assumptions of ours, only
``+ * **`` and ``exp`` on symbols: that arithmetic is what is trusted.

Cannot see: identities that need more than commuting-field arithmetic; the answer "no" means "not shown".
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from kernelproof.symbolic.binding import canonical
from kernelproof.symbolic.core.theorem import Made, Theorem, gathered, rule
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import equation
from kernelproof.symbolic.terms import Num, Op, Term, is_natural

if TYPE_CHECKING:
    import sympy

EXPONENTIAL = "exp(a+b) = exp(a)·exp(b), exp > 0"


@rule("arithmetic", premises=None, axiom={"exp": EXPONENTIAL})
def arithmetic(premises: tuple[Theorem, ...], left: Term, right: Term, cofactors: tuple[Term, ...] = ()) -> Made:
    """left = right by field arithmetic, exp(a+b) = exp(a)·exp(b) and equations e_i: left − right = Σ c_i (l_i − r_i)."""
    equations = [premise for premise in premises if premise.conclusion.name == "eq"]
    divisors = [premise for premise in premises if premise.conclusion.name in ("positive", "nonzero")]
    if len(equations) + len(divisors) != len(premises) or len(equations) != len(cofactors):
        raise ProofError("arithmetic: premises must be equations, one cofactor each, or positive/nonzero statements")
    combination: Term = right
    for given, cofactor in zip(equations, cofactors, strict=True):
        combination = combination + cofactor * (given.left - given.right)
    if not equal(left, combination, frozenset(premise.conclusion.terms[0] for premise in divisors)):
        raise ProofError("arithmetic: the two sides are not shown equal")
    return gathered(premises), equation(left, right)


@lru_cache(maxsize=1 << 14)  # proofs ask the same again and again
def equal(left: Term, right: Term, nonzero: frozenset[Term]) -> bool:
    """Whether left − right is zero by field arithmetic, where these terms may be divided by."""
    known = Arithmetic(nonzero)
    difference = known.translate(left) - known.translate(right)
    if difference.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo):
        raise ProofError("arithmetic led to nan or infinity: a premise 't ≠ 0' contradicts t = 0")
    numerator, _ = sympy.fraction(sympy.together(difference))  # the denominators are products of what may be divided by
    return bool(sympy.expand(numerator) == 0)


class Arithmetic:
    """A translation that knows which terms may be divided by."""

    def __init__(self, nonzero: Iterable[Term] = ()) -> None:
        global sympy  # imported when first needed: it takes longer than all the rest
        import sympy
        self._nonzero = {canonical(value) for value in nonzero}
        self._symbols: dict[object, sympy.Dummy] = {}

    def translate(self, value: Term) -> sympy.Expr:
        """The SymPy expression of a term."""
        if isinstance(value, Num):
            return sympy.Rational(value.value.numerator, value.value.denominator)
        if isinstance(value, Op):
            match value.name:
                case "add" | "sub" | "mul" | "neg":
                    return getattr(operator, value.name)(*map(self.translate, value.args))
                case "div":
                    return self.translate(value.args[0]) * self._inverse(value.args[1])
                case "exp":
                    return sympy.exp(self.translate(value.args[0]))
                case "pow" if is_natural(value.args[1]):
                    return self.translate(value.args[0]) ** self.translate(value.args[1])
        return self._symbol(canonical(value))

    def _inverse(self, value: Term) -> sympy.Expr:
        """1/value with 1/0 = 0: inverses of products, negations and quotients hold without a premise."""
        if isinstance(value, Num):
            return sympy.Rational(value.value.denominator, value.value.numerator) if value.value else sympy.Integer(0)
        if canonical(value) in self._nonzero:
            return self.translate(value) ** -1
        if isinstance(value, Op):
            match value.name:
                case "exp":
                    return sympy.exp(-self.translate(value.args[0]))
                case "mul":
                    return self._inverse(value.args[0]) * self._inverse(value.args[1])
                case "neg":
                    return -self._inverse(value.args[0])
                case "div":
                    return self._inverse(value.args[0]) * self.translate(value.args[1])
        return self._symbol(("inverse", canonical(value)))

    def _symbol(self, key: object) -> sympy.Dummy:
        return self._symbols.setdefault(key, sympy.Dummy(f"a{len(self._symbols)}"))
