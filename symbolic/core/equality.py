"""Rules of equational logic: reflexivity, symmetry, transitivity, congruence, instantiation, assumption, cut, arithmetic, positivity.

Every function takes its premises first (a tuple of theorems), then its arguments, and returns hypotheses and conclusion.
"""

from __future__ import annotations

from collections.abc import Mapping

from kernelproof.symbolic.binding import Path, alpha_equal, at, bound_on_path, free_variables, replace_at, substitute
from kernelproof.symbolic.core.algebra import Arithmetic
from kernelproof.symbolic.core.theorem import Made, Theorem, gathered, rule, stated
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import Formula, equation, integer, nonzero, positive, within
from kernelproof.symbolic.terms import Entry, Fold, Lambda, Num, Op, Term, Var, is_size

Premises = tuple[Theorem, ...]
#: tensors that an axiom speaks of: they are constants, not variables
RESERVED = frozenset({"turns"})
EXPONENTIAL = "exp(a+b) = exp(a)·exp(b), exp > 0"


@rule("reflexivity")
def reflexivity(premises: Premises, value: Term, same: Term | None = None) -> Made:
    """t = t, also where only the names of bound variables differ."""
    other = value if same is None else same
    if not alpha_equal(value, other):
        raise ProofError("reflexivity: the two sides differ by more than bound names")
    return (), equation(value, other)


@rule("symmetry", premises=1)
def symmetry(premises: Premises) -> Made:
    """From a = b: b = a."""
    (given,) = premises
    return given.hypotheses, equation(given.right, given.left)


@rule("transitivity", premises=2)
def transitivity(premises: Premises) -> Made:
    """From a = b and b = c: a = c."""
    first, second = premises
    if not alpha_equal(first.right, second.left):
        raise ProofError("transitivity: the middle terms differ")
    return gathered(premises), equation(first.left, second.right)


@rule("congruence", premises=1)
def congruence(premises: Premises, whole: Term, path: Path) -> Made:
    """From a = b: a term with a at a position equals the term with b there; inside Σ_{i<n}, i may be assumed in range."""
    (given,) = premises
    if not alpha_equal(at(whole, path), given.left):
        raise ProofError("congruence: the term at the position is not the left side of the premise")
    hypotheses = list(given.hypotheses)
    for var, length in reversed(bound_on_path(whole, path)):
        # a length that speaks of a variable of the same name means the one outside
        if length is not None and var not in free_variables(length):
            hypotheses = [formula for formula in hypotheses if not alpha_equal(formula, within(var, length))]
        if any(var in free_variables(formula) for formula in hypotheses):
            raise ProofError(f"congruence: a hypothesis speaks of {var.name}, which is bound at the position")
    return hypotheses, equation(whole, replace_at(whole, path, given.right))


@rule("instantiation", premises=1)
def instantiation(premises: Premises, values: Mapping[Var, Term], functions: Mapping[str, Lambda]) -> Made:
    """A theorem holds for all values: put terms for its variables and lambdas for its tensors. Sizes stay natural numbers."""
    (given,) = premises
    if RESERVED & set(functions):
        raise ProofError(f"instantiation: {sorted(RESERVED & set(functions))} is fixed by an axiom and stands for nothing else")
    for var, value in values.items():
        if var.kind == "size" and not is_size(value):
            raise ProofError(f"instantiation: {var.name} is a size, and {value!r} is not shown to be a natural number")
    hypotheses = [_instance(formula, values, functions) for formula in given.hypotheses]
    return hypotheses, _instance(given.conclusion, values, functions)


def _instance(formula: Formula, values: Mapping[Var, Term], functions: Mapping[str, Lambda]) -> Formula:
    """The formula with the values put in. A permutation may only be renamed: anything else would leave the hypothesis behind."""
    new = substitute(formula, values, functions)
    if formula.tensor is None or formula.tensor not in functions:
        return new
    value = functions[formula.tensor]
    if len(value.params) == 1 and isinstance(value.body, Entry) and value.body.indices == value.params:
        return Formula(new.name, *new.terms, tensor=value.body.tensor)
    raise ProofError(f"instantiation: {formula.tensor!r} is assumed to be a permutation: it can be renamed, not replaced by {value!r}")


@rule("assumption")
def assumption(premises: Premises, formula: Formula) -> Made:
    """φ under the hypothesis φ."""
    return (formula,), formula


@rule("cut", premises=2)
def cut(premises: Premises) -> Made:
    """From φ, and ψ under the hypothesis φ: ψ without it."""
    lemma, given = premises
    rest = [formula for formula in given.hypotheses if not alpha_equal(formula, lemma.conclusion)]
    return [*lemma.hypotheses, *rest], given.conclusion


@rule("arithmetic", premises=None, axiom={"exp": EXPONENTIAL})
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


@rule("positivity", premises=None, axiom={"exp": EXPONENTIAL, "sqrt": "square root", "pi": "π > 0"})
def positivity(premises: Premises, value: Term) -> Made:
    """value > 0 by its form: exp, π, positive numbers; sums, products, quotients, powers, roots, non-empty sums of positive terms."""
    known = [stated(premise, "positive") for premise in premises]

    def shown(part: Term, bound: frozenset[Var]) -> bool:
        if not bound & free_variables(part) and any(alpha_equal(part, given) for given in known):
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


@rule("positive_is_nonzero", premises=1)
def positive_is_nonzero(premises: Premises) -> Made:
    """From t > 0: t ≠ 0."""
    return gathered(premises), nonzero(stated(premises[0], "positive"))


@rule("integer_difference", premises=2)
def integer_difference(premises: Premises) -> Made:
    """From a and b integers: a − b is an integer."""
    left, right = (stated(premise, "integer") for premise in premises)
    return gathered(premises), integer(left - right)
