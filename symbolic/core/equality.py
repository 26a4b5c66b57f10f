"""Rules of equational logic: reflexivity, symmetry, transitivity, congruence, instantiation, assumption, cut, arithmetic, positivity.

Every function takes its premises first (a tuple of theorems), then its arguments, and returns hypotheses and conclusion.
"""

from __future__ import annotations

from collections.abc import Mapping

from kernelproof.symbolic.binding import Path, alpha_equal, at, bound_on_path, has_operation, replace_at
from kernelproof.symbolic.core.algebra import Arithmetic
from kernelproof.symbolic.core.formulas import Formula, equation, integer, nonzero, positive, within
from kernelproof.symbolic.core.theorem import Made, Theorem, gathered, rule
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.terms import Fold, Lambda, Num, Op, Term, Var

Premises = tuple[Theorem, ...]
#: tensors that an axiom speaks of: they are constants, not variables
RESERVED = frozenset({"turns"})


@rule("reflexivity")
def reflexivity(premises: Premises, value: Term, same: Term | None = None) -> Made:
    """t = t, also where only the names of bound variables differ."""
    other = value if same is None else same
    if not alpha_equal(value, other):
        raise ProofError("reflexivity: the two sides differ by more than bound names")
    return (), equation(value, other)


@rule("symmetry")
def symmetry(premises: Premises) -> Made:
    """From a = b: b = a."""
    (given,) = premises
    return given.hypotheses, equation(given.right, given.left)


@rule("transitivity")
def transitivity(premises: Premises) -> Made:
    """From a = b and b = c: a = c."""
    first, second = premises
    if not alpha_equal(first.right, second.left):
        raise ProofError("transitivity: the middle terms differ")
    return gathered(premises), equation(first.left, second.right)


@rule("congruence")
def congruence(premises: Premises, whole: Term, path: Path) -> Made:
    """From a = b: a term with a at a position equals the term with b there; inside Σ_{i<n}, i may be assumed in range."""
    (given,) = premises
    if not alpha_equal(at(whole, path), given.left):
        raise ProofError("congruence: the term at the position is not the left side of the premise")
    hypotheses = list(given.hypotheses)
    for var, length in reversed(bound_on_path(whole, path)):
        if length is not None:
            in_range = within(var, length)
            hypotheses = [formula for formula in hypotheses if not formula.same(in_range)]
        if any(var in formula.free() for formula in hypotheses):
            raise ProofError(f"congruence: a hypothesis speaks of {var.name}, which is bound at the position")
    return hypotheses, equation(whole, replace_at(whole, path, given.right))


@rule("instantiation")
def instantiation(premises: Premises, values: Mapping[Var, Term], functions: Mapping[str, Lambda]) -> Made:
    """A theorem holds for all values: put terms for its variables and lambdas for its tensors. Sizes stay natural numbers."""
    (given,) = premises
    if RESERVED & set(functions):
        raise ProofError(f"instantiation: {sorted(RESERVED & set(functions))} is fixed by an axiom and stands for nothing else")
    for var, value in values.items():
        if var.kind == "size" and not is_size(value):
            raise ProofError(f"instantiation: {var.name} is a size, and {value!r} is not shown to be a natural number")
    hypotheses = [formula.substituted(values, functions) for formula in given.hypotheses]
    return hypotheses, given.conclusion.substituted(values, functions)


def is_size(value: Term) -> bool:
    """Natural by form: a size, a natural number, a sum or product of such."""
    if isinstance(value, Var):
        return value.kind == "size"
    if isinstance(value, Num):
        return value.value.denominator == 1 and value.value >= 0
    return isinstance(value, Op) and value.name in ("add", "mul") and all(is_size(arg) for arg in value.args)


@rule("assumption")
def assumption(premises: Premises, formula: Formula) -> Made:
    """φ under the hypothesis φ."""
    return (formula,), formula


@rule("cut")
def cut(premises: Premises) -> Made:
    """From φ, and ψ under the hypothesis φ: ψ without it."""
    lemma, given = premises
    rest = [formula for formula in given.hypotheses if not formula.same(lemma.conclusion)]
    return [*lemma.hypotheses, *rest], given.conclusion


def _exponential(conclusion: Formula) -> str | None:
    return "exp(a+b) = exp(a)·exp(b), exp > 0" if any(has_operation(part, "exp") for part in conclusion.terms) else None


@rule("arithmetic", axiom=_exponential)
def arithmetic(premises: Premises, left: Term, right: Term, cofactors: tuple[Term, ...] = ()) -> Made:
    """left = right by field arithmetic, exp(a+b) = exp(a)exp(b) and equations e_i: left − right = Σ c_i (l_i − r_i)."""
    equations = [premise for premise in premises if premise.conclusion.name == "eq"]
    divisors = [premise for premise in premises if premise.conclusion.name in ("positive", "nonzero")]
    if len(equations) + len(divisors) != len(premises) or len(equations) != len(cofactors):
        raise ProofError("arithmetic: premises must be equations, one cofactor each, or positive/nonzero statements")
    combination: Term = right
    for given, cofactor in zip(equations, cofactors, strict=True):
        combination = combination + cofactor * (given.left - given.right)
    known = Arithmetic(premise.conclusion.terms[0] for premise in divisors)
    if not known.equal(left, combination):
        raise ProofError("arithmetic: the two sides are not shown equal")
    return gathered(premises), equation(left, right)


@rule("positivity", axiom=_exponential)
def positivity(premises: Premises, value: Term) -> Made:
    """value > 0 by its form: exp, positive numbers, sums, products, quotients, roots, non-empty sums of positive terms."""
    known = [premise.conclusion for premise in premises]
    if any(formula.name != "positive" for formula in known):
        raise ProofError("positivity: every premise must state that something is positive")

    def shown(part: Term, bound: frozenset[Var]) -> bool:
        for formula in known:
            if formula.same(positive(part)) and not bound & formula.free():
                return True
        if isinstance(part, Num):
            return part.value > 0
        if isinstance(part, Fold):
            unguarded = isinstance(part.guard, Num) and part.guard.value != 0
            return part.kind == "sum" and unguarded and shown(part.size, bound) and shown(part.body, bound | {part.var})
        if isinstance(part, Op):
            match part.name:
                case "exp" | "pi":
                    return True
                case "add" | "mul" | "div" | "sqrt":
                    return all(shown(arg, bound) for arg in part.args)
                case "pow":
                    return shown(part.args[0], bound)
        return False

    if not shown(value, frozenset()):
        raise ProofError("positivity: not shown by the form of the term and the premises")
    return gathered(premises), positive(value)


@rule("positive_is_nonzero")
def positive_is_nonzero(premises: Premises) -> Made:
    """From t > 0: t ≠ 0."""
    (given,) = premises
    if given.conclusion.name != "positive":
        raise ProofError("positive_is_nonzero: the premise must state that something is positive")
    return given.hypotheses, nonzero(given.conclusion.terms[0])


@rule("integer_difference")
def integer_difference(premises: Premises) -> Made:
    """From a and b integers: a − b is an integer."""
    left, right = premises
    if {left.conclusion.name, right.conclusion.name} != {"integer"}:
        raise ProofError("integer_difference: both premises must state that something is an integer")
    return gathered(premises), integer(left.conclusion.terms[0] - right.conclusion.terms[0])
