"""Rules of logic: equality, replacement, instantiation, hypotheses, "for all", cases, induction.

Every function takes its premises first (a tuple of theorems), then its arguments, and returns hypotheses and conclusion.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kernelproof.symbolic.binding import Path, alpha_equal, at, bound_on_path, free_variables, replace_at, substitute
from kernelproof.symbolic.core.theorem import Made, Theorem, gathered, rule
from kernelproof.symbolic.errors import ProofError
from kernelproof.symbolic.formulas import Every, Formula, equation, within
from kernelproof.symbolic.terms import ONE, ZERO, Entry, Lambda, Op, Term, Var, is_size

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


@rule("symmetry", premises=1)
def symmetry(premises: Premises) -> Made:
    """From a = b: b = a."""
    return gathered(premises), equation(premises[0].right, premises[0].left)


@rule("transitivity", premises=2)
def transitivity(premises: Premises) -> Made:
    """From a = b and b = c: a = c."""
    first, second = premises
    if not alpha_equal(first.right, second.left):
        raise ProofError("transitivity: the middle terms differ")
    return gathered(premises), equation(first.left, second.right)


@rule("replacement", premises=2)
def replacement(premises: Premises, path: Path) -> Made:
    """From φ with a at a position, and a = b: φ with b there; where the position is under an index, the index may be assumed in range."""
    whole, given = premises
    if not alpha_equal(at(whole.conclusion, path), given.left):
        raise ProofError("replacement: what stands at the position is not the left side of the equation")
    hypotheses = given.hypotheses
    for over in reversed(bound_on_path(whole.conclusion, path)):
        hypotheses = _freed(hypotheses, over)
    return [*whole.hypotheses, *hypotheses], replace_at(whole.conclusion, path, given.right)


def _freed(hypotheses: Iterable[Formula], over: Iterable[tuple[Var, Term | None]]) -> tuple[Formula, ...]:
    """The hypotheses less those that say that an index is in its range; no other may speak of an index that is to be bound."""
    names = {var for var, _ in over}
    # a length that speaks of a variable of the same name means the one outside
    ranges = [within(var, length) for var, length in over if length is not None and not names & free_variables(length)]
    kept = tuple(formula for formula in hypotheses if not any(alpha_equal(formula, known) for known in ranges))
    if any(names & free_variables(formula) for formula in kept):
        raise ProofError(f"a hypothesis speaks of {sorted(var.name for var in names)}, bound here, and says more than its range")
    return kept


@rule("instantiation", premises=1)
def instantiation(premises: Premises, values: Mapping[Var, Term], functions: Mapping[str, Lambda]) -> Made:
    """A theorem holds for all values: put terms for its variables and lambdas for its tensors. Sizes stay natural numbers."""
    (given,) = premises
    return instances((*given.hypotheses, given.conclusion), values, functions)


def instances(formulas: Iterable[Formula], values: Mapping[Var, Term], functions: Mapping[str, Lambda]) -> Made:
    """All formulas, the last one the conclusion, with the values put in."""
    if RESERVED & set(functions):
        raise ProofError(f"instantiation: {sorted(RESERVED & set(functions))} is fixed by an axiom and stands for nothing else")
    for var, value in values.items():
        if var.kind == "size" and not is_size(value):
            raise ProofError(f"instantiation: {var.name} is a size, and {value!r} is not shown to be a natural number")
    *hypotheses, conclusion = (_instance(formula, values, functions) for formula in formulas)
    return hypotheses, conclusion


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
    return [*lemma.hypotheses, *without(given, lemma.conclusion)], given.conclusion


def without(given: Theorem, known: Formula) -> list[Formula]:
    """The hypotheses of a theorem less one."""
    return [formula for formula in given.hypotheses if not alpha_equal(formula, known)]


@rule("generalisation", premises=1)
def generalisation(premises: Premises, over: tuple[tuple[Var, Term], ...]) -> Made:
    """From φ, proved with nothing assumed of the indices but their ranges: φ for all of them."""
    (given,) = premises
    return _freed(given.hypotheses, over), Every(over, given.conclusion)


@rule("specialisation", premises=1)
def specialisation(premises: Premises, indices: tuple[Term, ...]) -> Made:
    """From φ for all indices of the ranges: φ at these, which must be in the ranges."""
    (given,) = premises
    if not isinstance(given.conclusion, Every) or len(indices) != len(given.conclusion.over):
        raise ProofError(f"specialisation: a statement for all of {len(indices)} indices was expected, got {given.conclusion!r}")
    over, body = given.conclusion.over, given.conclusion.body
    ranges = [within(index, length) for index, (_, length) in zip(indices, over, strict=True)]
    return [*given.hypotheses, *ranges], substitute(body, {var: index for index, (var, _) in zip(indices, over, strict=True)})


@rule("cases", premises=3)
def cases(premises: Premises) -> Made:
    """From t·t = t, φ where t = 0, and φ where t = 1: φ."""
    either, zero, one = premises
    value = either.right
    if not alpha_equal(either.left, Op("mul", value, value)) or not alpha_equal(zero.conclusion, one.conclusion):
        raise ProofError("cases: expected t·t = t and the same conclusion twice")
    kept = [*without(zero, equation(value, ZERO)), *without(one, equation(value, ONE))]
    return [*either.hypotheses, *kept], one.conclusion


@rule("induction", premises=2)
def induction(premises: Premises, var: Var, claim: Formula) -> Made:
    """From φ(0), and φ(n+1) under the hypothesis φ(n): φ(n) for every natural n."""
    base, step = premises
    wanted = [substitute(claim, {var: value}) for value in (ZERO, Op("add", var, ONE))]
    if var.kind != "size" or not all(alpha_equal(given.conclusion, goal) for given, goal in zip(premises, wanted, strict=True)):
        raise ProofError("induction: the premises must be φ(0) and φ(n+1) for a size n")
    hypotheses = [*base.hypotheses, *without(step, claim)]
    if any(var in free_variables(formula) for formula in hypotheses):
        raise ProofError(f"induction: a hypothesis speaks of {var.name}")
    return hypotheses, claim
